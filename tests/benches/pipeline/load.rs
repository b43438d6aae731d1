//! Concurrent calls that are timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::measure::row;

/// Concurrent clients that make `count` calls together, or fewer until the period is over.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) count: usize,
    pub(crate) period: Duration,
}

/// The outcomes of calls that had one, the time of each of these, and the time of all calls together.
pub(crate) struct Run<T> {
    pub(crate) outcomes: Vec<T>,
    pub(crate) times: Vec<Duration>,
    pub(crate) elapsed: Duration,
}

impl Load {
    /// Calls `work` with 0, 1, 2 and so on.
    pub(crate) async fn run<
        T: Send + 'static,
        State: Clone + Send + 'static,
        Work: Future<Output = Option<T>> + Send,
    >(
        self,
        state: State,
        work: impl Fn(State, usize) -> Work + Copy + Send + 'static,
    ) -> Run<T> {
        let started = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..self.clients {
            let (next, state) = (Arc::clone(&next), state.clone());
            tasks.spawn(async move {
                let mut done = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= self.count || started.elapsed() >= self.period {
                        return done;
                    }
                    let called = Instant::now();
                    let outcome = work(state.clone(), number).await;
                    done.extend(outcome.map(|outcome| (outcome, called.elapsed())));
                }
            });
        }
        let (outcomes, times) = tasks.join_all().await.into_iter().flatten().unzip();
        Run { outcomes, times, elapsed: started.elapsed() }
    }
}

impl<T> Run<T> {
    /// Prints a row under [`TIMES`].
    pub(crate) fn print(&self, name: &str) {
        row(name, Some((self.times.len(), self.elapsed)), &self.times);
    }
}
