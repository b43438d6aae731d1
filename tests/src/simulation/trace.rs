//! What happened in a simulation, in order.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

/// The lines of one simulation; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Trace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    hasher: DefaultHasher,
    /// `None` if only the digest is wanted.
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn start(keep_lines: bool) -> Self {
        let lines = keep_lines.then(Vec::new);
        let state = Mutex::new(State { hasher: DefaultHasher::new(), lines });
        Self(Arc::new(Inner { start: Instant::now(), state }))
    }

    /// The virtual time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.0.start.elapsed()
    }

    pub(super) fn add(&self, event: u32, text: impl fmt::Display) {
        let line = format!("{:>12.3} s  event {event:<4} {text}", self.elapsed().as_secs_f64());
        let mut state = self.0.state.lock().unwrap();
        line.hash(&mut state.hasher);
        if let Some(lines) = &mut state.lines {
            lines.push(line);
        }
    }

    /// The digest of all lines, and the lines.
    pub(super) fn finish(&self) -> (u64, Vec<String>) {
        let mut state = self.0.state.lock().unwrap();
        (state.hasher.finish(), state.lines.take().unwrap_or_default())
    }
}
