//! The HTTP contract of the pipeline, tested over HTTP by base URL.
//!
//! Without variables, the suite starts `local` in this process, so `cargo test` is enough. With
//! `BADGESMITH_URL`, it tests the stack at that URL; [`target`] lists the other variables.
//!
//! Each run uses unique names, so it can be repeated on the same stack: no test depends on an empty table,
//! on another test, or on the order of the tests. Tests poll for effects that follow a response, up to a bound.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod authentication;
mod branches;
mod history;
mod packages;
mod pipeline;
mod reading;
mod routes;
mod submission;
mod suites;
mod target;
mod validation;
