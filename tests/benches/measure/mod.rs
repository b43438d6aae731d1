//! The number of measurements, and the tables that the benchmarks print.

use std::io::IsTerminal;
use std::time::Duration;

/// The columns of timed calls.
pub(crate) const TIMES: [&str; 3] = ["per second", "p50 ms", "p99 ms"];

/// The number of measurements.
#[derive(clap::Args)]
pub(crate) struct Extent {
    /// Measure little, to check within seconds that everything works
    #[arg(long)]
    quick: bool,

    /// Passed by `cargo bench`, but not by `cargo test --benches`, which should be quick
    #[arg(long, hide = true)]
    bench: bool,
}

impl Extent {
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick || !self.bench { quick } else { full }
    }
}

/// Begins a table.
pub(crate) fn heading(text: &str, [first, second, third]: [&str; 3]) {
    println!("\n{text:<52}{first:>10}{second:>10}{third:>10}");
}

/// Prints a row under [`TIMES`]: the rate of this many calls in this time, and percentiles of the time of each.
pub(crate) fn row(name: &str, rate: Option<(usize, Duration)>, times: &[Duration]) {
    let rate = rate.map_or(String::new(), |(count, time)| per_second(count, time));
    let mut times = times.to_vec();
    times.sort_unstable();
    let [p50, p99] = [50, 99].map(|percent| {
        // The shortest time that this percentage does not exceed.
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

pub(crate) fn per_second(count: usize, time: Duration) -> String {
    format!("{:.0}", count as f64 / time.as_secs_f64())
}

/// Reports progress: each step on a terminal, every tenth elsewhere.
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
