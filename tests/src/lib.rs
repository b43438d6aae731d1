//! What the tests and the benchmark share: a client that signs, a world to run the pipeline in, and faults.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

pub mod client;
pub mod faults;
pub mod http;
pub mod upstream;
pub mod world;
