//! What the tests and the benchmarks share: a client that signs, a world to run the pipeline in, and faults; and what it
//! takes to run a function as a process of its own, AWS over TLS and a sandbox.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

pub mod client;
pub mod endpoint;
pub mod events;
pub mod faults;
pub mod function;
pub mod http;
pub mod sandbox;
pub mod upstream;
pub mod world;
