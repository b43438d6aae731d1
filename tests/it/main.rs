//! The pipeline as its clients see it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod admin;
mod badges;
mod cold_start;
mod faults;
mod github;
mod history;
mod iam;
mod key_rotation;
mod nuget;
mod packages;
mod processing;
mod refreshing;
mod security;
mod template;
mod tidy;
