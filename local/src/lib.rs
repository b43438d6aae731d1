//! The whole pipeline on one machine.
//!
//! Nothing of the pipeline is written again here. The functions are the ones that are deployed, called with
//! the events that AWS would send; what stands in for AWS is behind the HTTP client of its SDK
//! ([`embedded_aws`]), made from the same template.

#![expect(clippy::indexing_slicing, reason = "only of serde_json's values, which answer with null")]

pub mod demo;
pub mod gateway;
pub mod options;
pub mod poller;
pub mod scheduler;
pub mod server;
pub mod stack;
