//! The HTTP API: its [`route`] table, the events of API Gateway ([`http`]), and the error body ([`problem`]).

pub mod http;
pub mod problem;
pub mod route;
