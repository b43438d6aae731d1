//! Simulates the pipeline: `just simulate --help`.

#![expect(clippy::print_stdout, reason = "a program that prints a report")]

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use clap::Parser;
use tests::simulation::{Keep, Schedule, run, shrink};

/// Simulate the pipeline under combinations of faults, which each seed determines
#[derive(Debug, Parser)]
struct Options {
    /// Replay this seed, and print each step; if it breaks a promise, first leave out events that do not matter
    #[arg(long, conflicts_with_all = ["seeds", "seconds"])]
    seed: Option<u64>,
    /// First seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Number of seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// Stop after this many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Run each seed without upstreams twice, and fail if the runs differ
    #[arg(long)]
    twice: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.seed {
        Some(seed) => replay(seed),
        None => simulate(&options),
    }
}

fn replay(seed: u64) -> ExitCode {
    let mut schedule = Schedule::new(seed);
    if run(&schedule, Keep::Nothing).violation.is_some() {
        schedule = shrink(&schedule);
    }
    let outcome = run(&schedule, Keep::Lines);
    for line in &outcome.lines {
        println!("{line}");
    }
    let events = schedule.events.len();
    let Some(violation) = outcome.violation else {
        println!("all promises kept in {events} events");
        return ExitCode::SUCCESS;
    };
    println!("broken promise: {}\n  {}\n  in {events} events", violation.promise, violation.details);
    ExitCode::FAILURE
}

fn simulate(options: &Options) -> ExitCode {
    let began = Instant::now();
    let deadline = options.seconds.map(|seconds| began + Duration::from_secs(seconds));
    let next = AtomicU64::new(options.first);
    let total = Mutex::new(Total::default());
    let simulate_seeds = || {
        while deadline.is_none_or(|deadline| Instant::now() < deadline) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= options.first + options.seeds {
                return;
            }
            simulate_seed(seed, options.twice, &total);
        }
    };
    let threads = available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(simulate_seeds);
        }
    });
    let Total { seeds, events, acknowledged, failed } =
        total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds with {events} events and {acknowledged} accepted results in {seconds:.1} s, {failed} failed; \
         --seed N replays one"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Debug, Default)]
struct Total {
    seeds: u64,
    events: usize,
    acknowledged: usize,
    failed: u64,
}

fn simulate_seed(seed: u64, twice: bool, total: &Mutex<Total>) {
    let schedule = Schedule::new(seed);
    let keep = if twice { Keep::Digest } else { Keep::Nothing };
    let outcome = run(&schedule, keep);
    // Sockets take their own time.
    let is_exact = !schedule.has_upstreams;
    let differs = twice && is_exact && run(&schedule, keep).digest != outcome.digest;
    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
    total.seeds += 1;
    total.events += schedule.events.len();
    total.acknowledged += outcome.acknowledged;
    if differs {
        println!("seed {seed}: the two runs differ");
    }
    if let Some(violation) = &outcome.violation {
        println!("seed {seed}: {}: {}", violation.promise, violation.details);
    }
    total.failed += u64::from(differs || outcome.violation.is_some());
}
