//! The harness of the tests and the benchmarks: a signing client, the pipeline in one process, fake upstreams
//! and faults; and, for functions as processes, AWS over TLS and a Lambda sandbox.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

pub mod branches;
pub mod client;
pub mod endpoint;
pub mod events;
pub mod faults;
pub mod function;
pub mod http;
pub mod id_token;
pub mod page;
pub mod sandbox;
pub mod simulation;
pub mod upstream;
pub mod world;
