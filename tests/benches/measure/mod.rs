//! What the benchmarks share: how much is measured, calls that are timed, and the tables of what came of it.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// The columns of calls that were timed.
pub(crate) const TIMES: [&str; 3] = ["per second", "p50 ms", "p99 ms"];

/// How much is measured.
#[derive(clap::Args)]
pub(crate) struct Extent {
    /// Measure little, to see within seconds that everything works
    #[arg(long)]
    quick: bool,

    /// Passed by `cargo bench`, but not by `cargo test --all-targets`, which is to be quick
    #[arg(long, hide = true)]
    bench: bool,
}

impl Extent {
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick || !self.bench { quick } else { full }
    }
}

/// Work for so many clients at once: so often in all, or until the period is over.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) count: usize,
    pub(crate) period: Duration,
}

/// What came of the calls that came to something, how long each of these took, and all of them together.
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

/// Begins a table.
pub(crate) fn heading(text: &str, [first, second, third]: [&str; 3]) {
    println!("\n{text:<52}{first:>10}{second:>10}{third:>10}");
}

/// Prints what there is, under [`TIMES`]: how many in what time, and how long each took.
pub(crate) fn row(name: &str, rate: Option<(usize, Duration)>, times: &[Duration]) {
    let rate = rate.map_or(String::new(), |(count, time)| per_second(count, time));
    let mut times = times.to_vec();
    times.sort_unstable();
    let [p50, p99] = [50, 99].map(|percent| {
        // The shortest time that so many percent of them do not exceed.
        let rank = (times.len() * percent).div_ceil(100);
        let time = rank.checked_sub(1).map(|index| times[index].as_secs_f64() * 1000.0);
        time.map_or(String::new(), |time| format!("{time:.2}"))
    });
    cells(name, [rate, p50, p99]);
}

/// Prints a row of any table.
pub(crate) fn cells(name: &str, [first, second, third]: [String; 3]) {
    println!("{:<52}{first:>10}{second:>10}{third:>10}", format!("  {name}"));
}

/// So many in this time.
pub(crate) fn per_second(count: usize, time: Duration) -> String {
    format!("{:.0}", count as f64 / time.as_secs_f64())
}

/// Says how far something is: all the time on a terminal, now and then elsewhere.
pub(crate) fn progress(done: usize, count: usize, what: &str) {
    let end = if std::io::stderr().is_terminal() { '\r' } else { '\n' };
    if end == '\r' || done.is_multiple_of((count / 10).max(1)) {
        eprint!("  {} of {} {what}{end}", grouped(done), grouped(count));
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
