//! The function that answers readers: badges, the redirect behind them, history and health.
//!
//! It only reads, and never calls an upstream: it requests the refresh of a package by an event. Badges are always
//! answered with 200, since shields.io shows nothing else; an error is a badge, too.

mod app;
mod history;
mod latest;
mod package_badge;
mod package_cache;
mod package_reader;
mod refresh_requests;
mod respond;

pub use app::{App, Settings};
