//! The pipeline as its clients see it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod attacks;
mod badges;
mod faults;
mod flood;
mod github;
mod history;
mod init;
mod keys;
mod nuget;
mod operators;
mod packages;
mod processing;
mod refreshing;
mod rights;
mod submitting;
mod template;
mod tidy;
