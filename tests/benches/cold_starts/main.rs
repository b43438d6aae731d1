//! How fast the functions start and respond as processes, compared with probes that do nothing or only make the same
//! calls. This program acts as Lambda and AWS.
//!
//! `cargo bench --bench cold-starts` builds the functions as they are deployed, measures them and prints tables; see
//! `-- --help` for the options. `-- --check DIR` checks deployed programs instead, without regard to the speed of the
//! machine. Both need Linux and `openssl`, and measuring needs two CPUs and `taskset`.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark writes to the terminal, and stops when something is wrong"
)]

mod check;
mod comparison;
mod fake_aws;
mod programs;
mod scenario;
mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;
use tests::events;
use tests::function::Function;
use tests::sandbox::pin_thread;

use crate::comparison::{Comparison, HOST_CPU};
use crate::fake_aws::{BRANCHES, FakeAws};
use crate::table::{bounded, cold_rows};

/// Warm invocations before the memory is read.
const SETTLED: usize = 200;

/// Measure cold starts and warm invocations of the functions, or check their costs
///
/// Paths are relative to the root of the repository.
#[derive(Parser)]
struct Options {
    /// Directory with built functions and probes, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Directory with other builds of the functions to compare with, instead of the probes
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Number of cold starts of each function
    #[arg(long, value_name = "N", default_value_t = 41, value_parser = at_least_one)]
    starts: usize,
    /// Number of warm invocations of each function
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = at_least_one)]
    warm: usize,
    /// Start from a cold page cache, as on a machine that has not run the function before
    #[arg(long)]
    evict: bool,
    /// Check the sizes, CPU times and calls of the functions in a directory of `target/functions`
    #[arg(long, value_name = "DIR")]
    check: Option<PathBuf>,
    /// Passed by `cargo bench`, but not by `cargo test --benches`
    #[arg(long, hide = true)]
    bench: bool,
}

// On one thread, so that the measured time includes no wake-up of another thread.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let result = match &options.check {
        Some(built) => check::run(&from_root(built)).await,
        None if options.bench => measure(&options).await,
        None => {
            println!("`cargo bench --bench cold-starts` measures");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Cargo starts benchmarks in the directory of their package.
fn from_root(path: &Path) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

async fn measure(options: &Options) -> io::Result<()> {
    let programs = match &options.programs {
        Some(directory) => from_root(directory),
        None => programs::build()?,
    };
    pin_thread(HOST_CPU)?;
    let aws = FakeAws::start().await;
    measure_cold(options, &programs, &aws).await?;
    measure_warm(options, &programs, &aws).await
}

async fn measure_cold(options: &Options, programs: &Path, aws: &FakeAws) -> io::Result<()> {
    println!("{}", table::COLD_HEAD);
    for function in Function::ALL {
        let comparison = Comparison {
            base: &base(options, programs, "hello", function),
            subject: &programs.join(function.name()),
            environment: &aws.environment(function),
            events: &[event(function)],
            status: status(function),
            starts: options.starts,
            warm: SETTLED,
            evicts: options.evict,
        };
        println!("{}", cold_rows(function, &comparison.measure().await?));
    }
    Ok(())
}

async fn measure_warm(options: &Options, programs: &Path, aws: &FakeAws) -> io::Result<()> {
    println!("{}", table::WARM_HEAD);
    let badges: Vec<_> = (0..BRANCHES).map(|number| events::badge(&fake_aws::branch(number), "")).collect();
    let post = [events::post()];
    for (name, bound, function, probe, events) in [
        ("a badge from memory; base: hello", 1.5, Function::BadgeApi, "hello", &badges[..1]),
        ("a badge from the table; base: its query alone", 1.15, Function::BadgeApi, "read", &badges),
        ("a post; base: its three calls alone", 1.3, Function::IngestApi, "post", &post),
    ] {
        let comparison = Comparison {
            base: &base(options, programs, probe, function),
            subject: &programs.join(function.name()),
            environment: &aws.environment(function),
            events,
            status: status(function),
            starts: 1,
            warm: options.warm,
            evicts: options.evict,
        };
        let [base, subject] = comparison.measure().await?.map(|figures| figures.warm_us);
        println!("| {name} | {base:.0} | {subject:.0} | {} |", bounded(subject / base, bound));
    }
    Ok(())
}

fn base(options: &Options, programs: &Path, probe: &str, function: Function) -> PathBuf {
    match &options.base {
        Some(others) => from_root(others).join(function.name()),
        None => programs.join(probe),
    }
}

/// The event that a function is made for.
fn event(function: Function) -> Value {
    match function {
        Function::IngestApi => events::post(),
        Function::Processor => events::full_batch(1),
        Function::Refresher => events::schedule(),
        Function::BadgeApi => events::badge(&fake_aws::branch(0), ""),
    }
}

/// The status of the response, if it is HTTP.
fn status(function: Function) -> Option<u16> {
    match function {
        Function::IngestApi => Some(202),
        Function::BadgeApi => Some(200),
        Function::Processor | Function::Refresher => None,
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| "expected an integer of at least 1".to_owned())
}
