//! The function that takes test results in: authenticate, validate, reserve, enqueue, answer 202.
//!
//! It writes nothing before a request is verified, and reads no test result ever.

mod app;
mod error;
mod repository_keys;
mod submission;

pub use app::{App, Settings};
