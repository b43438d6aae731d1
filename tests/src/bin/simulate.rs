//! Simulates the pipeline: `just simulate --help`.

#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tests::simulation::{Schedule, run, shrink};

/// Simulates the pipeline under combinations of faults, each from a seed
#[derive(Debug, Parser)]
struct Options {
    /// Replay this seed, with fewer events if it breaks a promise, and print each step
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
    /// Run each seed twice, and compare what happened
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
    if run(&schedule, false).violation.is_some() {
        schedule = shrink(&schedule);
    }
    let outcome = run(&schedule, true);
    for line in &outcome.lines {
        println!("{line}");
    }
    match outcome.violation {
        Some(violation) => {
            println!(
                "broken promise: {}\n  {}\n  {} events",
                violation.promise,
                violation.details,
                schedule.events.len()
            );
            ExitCode::FAILURE
        }
        None => {
            println!("all promises kept, {} events", schedule.events.len());
            ExitCode::SUCCESS
        }
    }
}

fn simulate(options: &Options) -> ExitCode {
    let began = Instant::now();
    let deadline = options.seconds.map(|seconds| began + Duration::from_secs(seconds));
    let seeds: Range<u64> = options.first..options.first + options.seeds;
    let (mut done, mut events, mut failed) = (0_u64, 0, 0);
    for seed in seeds {
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            break;
        }
        let schedule = Schedule::new(seed);
        let outcome = run(&schedule, false);
        if options.twice && run(&schedule, false).digest != outcome.digest {
            println!("seed {seed}: two runs differ");
            failed += 1;
        }
        if let Some(violation) = outcome.violation {
            println!("seed {seed}: {}: {}", violation.promise, violation.details);
            failed += 1;
        }
        done += 1;
        events += schedule.events.len();
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{done} seeds with {events} events in {seconds:.1} s, {failed} failed; replay one with --seed N"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
