//! The function that accepts test results. It validates, authenticates, reserves and enqueues a submission, then
//! responds with 202.
//!
//! It writes nothing before a request is verified, and never reads a test result.

mod app;
mod body;
mod error;
mod json_object;
mod rate_limits;
mod repository_keys;
mod secret_cache;
mod submission;

pub use app::{App, Settings};
