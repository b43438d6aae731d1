//! A deterministic simulation of the pipeline: the real functions, in one thread and on virtual time, call the embedded
//! AWS through a network that loses, delays and duplicates calls. One seed determines everything. See tests/README.md.

mod client;
mod instances;
mod invocation;
mod keyless;
mod keys;
mod model;
mod network;
mod observer;
mod operator;
mod packages;
mod panics;
mod run;
mod schedule;
mod shrink;
mod trace;

pub use self::run::{Outcome, run};
pub use self::schedule::{Action, Event, Schedule};
pub use self::shrink::shrink;
pub use self::trace::Keep;
