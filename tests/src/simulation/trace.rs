//! What happened in a simulation, in order.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

/// How much of the trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    /// A digest of all lines, which is equal for equal simulations.
    Digest,
    Lines,
}

/// The lines of one simulation; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Trace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    keep: Keep,
    kept: Mutex<(DefaultHasher, Vec<String>)>,
}

impl Trace {
    pub(super) fn start(keep: Keep) -> Self {
        Self(Arc::new(Inner { start: Instant::now(), keep, kept: Mutex::default() }))
    }

    /// The virtual time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.0.start.elapsed()
    }

    pub(super) fn add(&self, event: u32, text: impl fmt::Display) {
        if self.0.keep == Keep::Nothing {
            return;
        }
        let line = format!("{:>12.3} s  event {event:<4} {text}", self.elapsed().as_secs_f64());
        let (digest, lines) = &mut *self.0.kept.lock().unwrap();
        line.hash(digest);
        if self.0.keep == Keep::Lines {
            lines.push(line);
        }
    }

    /// The digest of all lines, and the lines.
    pub(super) fn finish(&self) -> (u64, Vec<String>) {
        let (digest, lines) = std::mem::take(&mut *self.0.kept.lock().unwrap());
        (digest.finish(), lines)
    }
}
