//! The HTTP API: its [`route`] table, the events of API Gateway ([`http`]), and the error body ([`error_response`]).

pub mod error_response;
pub mod http;
pub mod route;
