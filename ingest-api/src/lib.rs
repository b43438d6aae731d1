//! The function that accepts test results. It validates, authenticates, reserves and enqueues a submission, then
//! responds with 202.
//!
//! It writes nothing before a request is verified, and never reads a test result.

mod app;
mod body;
mod error;
mod issuer_keys;
mod json_object;
mod keyless;
mod rate_limits;
mod repository_keys;
mod secret_cache;
mod settings;
mod submission;

pub use app::{App, read_unverified};
pub use settings::{OidcSettings, Settings};
