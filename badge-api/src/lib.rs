//! The function that answers readers: badges, the redirect behind them, history and health.
//!
//! It only reads, and never asks an upstream: a package that has to be looked up is told of by an event. Badges are always answered with 200, since
//! shields.io shows nothing else; what went wrong is the badge.

mod app;
mod history;
mod latest;
mod package_badge;
mod packages;
mod respond;

pub use app::{App, Settings};
