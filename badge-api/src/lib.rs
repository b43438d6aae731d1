//! The function that answers readers: badges, the redirect behind them, history and health.
//!
//! It only reads, and never waits for anything but DynamoDB. Badges are always answered with 200, since
//! shields.io shows nothing else; what went wrong is the badge.

mod app;
mod history;
mod latest;
mod respond;

pub use app::{App, Settings};
