//! The pipeline as its clients see it: over HTTP, by base URL, whatever it runs on.
//!
//! Without a variable set, the suite starts a `local` of its own, and `cargo test` is all it takes. With
//! `BADGESMITH_URL`, it speaks to what is deployed there; [`target`] says what else it then has to be told.
//!
//! Every run invents its own names, so that it can be repeated on the same stack: nothing here depends on an
//! empty table, on another test, or on the order of the tests. What happens after an answer is waited for by
//! looking, up to a bound.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod branches;
mod history;
mod packages;
mod pipeline;
mod reading;
mod refusals;
mod sending;
mod target;
