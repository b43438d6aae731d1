//! The pipeline in one process: tests that need a clock, faults, keys or the stores, and checks of the sources.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod admin;
mod badges;
mod cold_start;
mod edge;
mod faults;
mod feeds;
mod first_reads;
mod flood;
#[path = "../fuzz/src/lib.rs"]
pub mod fuzz;
mod fuzz_corpus;
mod github;
mod history;
mod iam;
mod key_rotation;
mod keyless;
mod nuget;
mod packages;
mod pages;
mod processing;
mod refreshing;
mod security;
mod simulation;
mod suites;
mod svg;
mod template;
mod tidy;
