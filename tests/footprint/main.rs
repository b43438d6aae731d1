//! What a function costs, checked as it is deployed: the size of its program, the CPU time until its first answer, and
//! its calls to AWS, of which there is none that is not needed.
//!
//! None of it depends on how fast the machine is, or only where it is many times slower. `tests/bench` measures what
//! does.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a check writes to the terminal; of serde_json's values, which answer with null"
)]

mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tests::function::Function;

use crate::story::Told;

/// Starts of each function. The least CPU time counts, which other work on the machine disturbs least.
const STARTS: usize = 5;
/// Until the first answer, over TLS. It is some 4 ms; the CPU jitter entropy that `.cargo/config.toml` leaves out
/// takes 30 ms alone.
const CPU_TIME_MAX: Duration = Duration::from_millis(10);
/// The SDK's clients are most of a program, and reading it is most of a cold start on a machine that has not run it
/// before.
const BYTES_MAX: u64 = 6_000_000;
/// Of the refresher, which has another HTTP client, for its upstreams.
const REFRESHER_BYTES_MAX: u64 = 6_700_000;

/// Check what the functions cost: size, CPU time until the first answer, calls to AWS
///
/// Each is started as Lambda does it, with AWS beside it, over TLS. Needs openssl, for a certificate.
#[derive(Parser)]
struct Options {
    /// The program of ingest-api, built for this machine as it is deployed
    #[arg(long, value_name = "FILE")]
    ingest_api: PathBuf,
    /// That of processor
    #[arg(long, value_name = "FILE")]
    processor: PathBuf,
    /// That of refresher
    #[arg(long, value_name = "FILE")]
    refresher: PathBuf,
    /// That of badge-api
    #[arg(long, value_name = "FILE")]
    badge_api: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let mut wrong = Vec::new();
    for (function, program) in [
        (Function::IngestApi, &options.ingest_api),
        (Function::Processor, &options.processor),
        (Function::Refresher, &options.refresher),
        (Function::BadgeApi, &options.badge_api),
    ] {
        let name = function.name();
        let bytes = match std::fs::metadata(program) {
            Ok(metadata) => metadata.len(),
            Err(error) => return fail(&format!("{}: {error}", program.display())),
        };
        let mut cpu_times = Vec::new();
        for _ in 0..STARTS {
            match story::tell(function, program).await {
                Ok(Told { cpu_time, unexpected }) => {
                    cpu_times.push(cpu_time);
                    wrong.extend(unexpected.into_iter().map(|what| format!("{name}: {what}")));
                }
                Err(error) => return fail(&format!("{name}: {error}")),
            }
        }
        let cpu_time = cpu_times.into_iter().min().unwrap_or_default();
        println!(
            "{name}: {:.2} MB, {:.1} ms of CPU until the first answer",
            bytes as f64 / 1e6,
            cpu_time.as_secs_f64() * 1e3
        );
        if cpu_time > CPU_TIME_MAX {
            wrong.push(format!(
                "{name}: its first answer takes {cpu_time:?} of CPU, more than {CPU_TIME_MAX:?}"
            ));
        }
        let bytes_max = if function == Function::Refresher { REFRESHER_BYTES_MAX } else { BYTES_MAX };
        if bytes > bytes_max {
            wrong.push(format!("{name}: it has {bytes} bytes, more than {bytes_max}"));
        }
    }
    wrong.dedup();
    for what in &wrong {
        eprintln!("wrong: {what}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}
