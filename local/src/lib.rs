//! The whole pipeline on one machine.
//!
//! The functions are the deployed ones, and receive the events that AWS would send. The AWS services are embedded
//! behind the HTTP client of the AWS SDK ([`embedded_aws`]), with the resources of the deployed template.

pub mod config;
pub mod demo;
pub mod gateway;
mod hosts;
pub mod options;
pub mod poller;
pub mod scheduler;
pub mod server;
pub mod stack;
