//! The function that serves badges, the redirect behind them, history and health.
//!
//! It only reads and never calls an upstream. It publishes an event to request the refresh of a package. Every
//! badge has the status 200, because shields.io shows nothing else. An error is a badge, too.

mod app;
mod history;
mod latest;
mod package_badge;
mod package_cache;
mod package_reader;
mod refresh_requests;
mod respond;

pub use app::{App, Settings};
