//! What a deployed function costs: the size of its program, the CPU time until its first response, and its calls to
//! AWS. None of these depends on the speed of the machine, unless it is many times slower.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tests::function::Function;

use crate::scenario;

/// Starts of each function. The lowest CPU time counts, because other work on the machine disturbs it least.
const STARTS: usize = 5;
/// The maximum until the first response, over TLS, which usually takes 4 ms. The CPU jitter entropy that
/// `.cargo/config.toml` disables would alone take 30 ms.
const CPU_TIME_MAX: Duration = Duration::from_millis(10);
/// The maximum size of a program. The SDK's clients are most of it, and reading it is most of a cold start on a machine
/// that has not run it before.
pub(crate) fn bytes_max(function: Function) -> u32 {
    match function {
        // Widths of characters and logos, for images.
        Function::BadgeApi => 7_000_000,
        Function::IngestApi => 6_200_000,
        Function::Processor => 6_000_000,
        // A second HTTP client, for its upstreams.
        Function::Refresher => 6_700_000,
    }
}

/// Checks the functions in a directory of `target/functions`, where `.ci/aws-archive` builds them.
pub(crate) async fn run(built: &Path) -> io::Result<()> {
    let mut faults = Vec::new();
    for function in Function::ALL {
        let program = built.join(function.name()).join("bootstrap");
        let found = check(function, &program).await;
        let found = found.map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", function.name())));
    }
    for fault in &faults {
        eprintln!("wrong: {fault}");
    }
    if faults.is_empty() { Ok(()) } else { Err(io::Error::other("functions cost more than they should")) }
}

async fn check(function: Function, program: &Path) -> io::Result<Vec<String>> {
    let bytes = fs::metadata(program)?.len();
    let mut faults = Vec::new();
    let mut cpu_time = Duration::MAX;
    for _ in 0..STARTS {
        let outcome = scenario::run(function, program).await?;
        cpu_time = cpu_time.min(outcome.cpu_time);
        faults.extend(outcome.faults);
    }
    faults.sort();
    faults.dedup();
    println!(
        "{}: {:.2} MB, {:.1} ms of CPU until the first response",
        function.name(),
        bytes as f64 / 1e6,
        cpu_time.as_secs_f64() * 1e3
    );
    if cpu_time > CPU_TIME_MAX {
        faults.push(format!("the first response takes {cpu_time:?} of CPU, more than {CPU_TIME_MAX:?}"));
    }
    let bytes_max = u64::from(bytes_max(function));
    if bytes > bytes_max {
        faults.push(format!("the program has {bytes} bytes, more than {bytes_max}"));
    }
    Ok(faults)
}
