//! How fast the functions start, and how fast they answer: measured with a ruler, a program that is Lambda to them,
//! beside a function that does nothing and others that make the same calls and nothing else.
//!
//! `tests/bench` builds all of it and runs this.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a benchmark writes to the terminal, and stops when something is wrong"
)]

mod aws;
mod ruler;
mod table;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;
use tests::events;
use tests::function::Function;

use crate::aws::{BRANCHES, Beside};
use crate::ruler::{Comparison, Ruler};
use crate::table::{cold_row, verdict};

/// Warm invocations after which the memory is read.
const SETTLED: usize = 200;

/// Measure cold starts and warm answers; run by tests/bench, which builds what is measured
#[derive(Parser)]
struct Options {
    /// Where the functions are, and hello, read and post, to compare them with
    #[arg(long, value_name = "DIR")]
    programs: PathBuf,
    /// Where other builds of the functions are, to compare each with instead
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// The host of the Runtime API that measures
    #[arg(long, value_name = "FILE")]
    ruler: PathBuf,
    /// Cold starts of each
    #[arg(long, value_name = "N", default_value_t = 41)]
    starts: usize,
    /// Warm answers of each
    #[arg(long, value_name = "N", default_value_t = 2000)]
    warm: usize,
    /// Start each from a cold page cache, as on a machine that has not run it before
    #[arg(long)]
    evict: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match measure(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> io::Result<()> {
    let Options { programs, base, ruler, starts, warm, evict } = options;
    let ruler = Ruler::new(ruler.clone(), *evict)?;
    let program = |name: &str| programs.join(name);
    let base = |probe: &str, function: Function| match base {
        Some(others) => others.join(function.name()),
        None => program(probe),
    };
    let beside = Beside::start().await;

    println!("{}", table::COLD_HEAD);
    for function in Function::ALL {
        let events = [event(function)];
        let measured = ruler
            .compare(Comparison {
                base: &base("hello", function),
                subject: &program(function.name()),
                environment: &beside.environment(function),
                events: &events,
                status: status(function),
                starts: *starts,
                warm: SETTLED,
            })
            .await?;
        println!("{}", cold_row(function, &measured));
    }

    println!("{}", table::WARM_HEAD);
    let warm = async |what: &str, bound: f64, function: Function, probe: &str, events: &[Value]| {
        let measured = ruler
            .compare(Comparison {
                base: &base(probe, function),
                subject: &program(function.name()),
                environment: &beside.environment(function),
                events,
                status: status(function),
                starts: 1,
                warm: *warm,
            })
            .await?;
        let (base, subject) = (measured.base.warm_us, measured.subject.warm_us);
        println!("| {what} | {base:.0} | {subject:.0} | {} |", verdict(subject / base, bound));
        io::Result::Ok(())
    };
    let badges: Vec<_> = (0..BRANCHES).map(|number| events::badge(&aws::branch(number), "")).collect();
    warm("a badge from memory; base: hello", 1.5, Function::BadgeApi, "hello", &badges[..1]).await?;
    warm("a badge from the table; base: its query alone", 1.15, Function::BadgeApi, "read", &badges).await?;
    warm("a post; base: its three calls alone", 1.3, Function::IngestApi, "post", &[events::post()]).await
}

/// What a function is for.
fn event(function: Function) -> Value {
    match function {
        Function::IngestApi => events::post(),
        Function::Processor => events::full_batch(),
        Function::Refresher => events::schedule(),
        Function::BadgeApi => events::badge(&aws::branch(0), ""),
    }
}

/// What a function that answers HTTP has to answer.
fn status(function: Function) -> Option<u16> {
    match function {
        Function::IngestApi => Some(202),
        Function::BadgeApi => Some(200),
        Function::Processor | Function::Refresher => None,
    }
}
