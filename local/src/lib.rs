//! The whole pipeline on one machine.
//!
//! The functions are the deployed ones, and receive the events that AWS would send. The services of AWS are embedded
//! behind the HTTP client of its SDK ([`embedded_aws`]), with the resources of the deployed template.

#![expect(clippy::indexing_slicing, reason = "only serde_json values are indexed, and they answer with null")]

pub mod config;
pub mod demo;
pub mod gateway;
pub mod options;
pub mod poller;
pub mod scheduler;
pub mod server;
pub mod stack;
