//! Cold starts and warm invocations of two programs, which alternate so that the state of the machine affects both
//! alike.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::Value;
use tests::sandbox::{Answer, Sandbox};

/// The CPU of this program and of the AWS that it serves, and the one of the function.
pub(crate) const HOST_CPU: usize = 0;
const FUNCTION_CPU: usize = 1;
/// Warm invocations of one program before those of the other.
const WARM_BATCH: usize = 50;

/// A function, and what it is compared with.
pub(crate) struct Comparison<'a> {
    pub(crate) base: &'a Path,
    pub(crate) subject: &'a Path,
    /// Of both.
    pub(crate) environment: &'a [(String, String)],
    /// Sent one after the other, and then from the first again.
    pub(crate) events: &'a [Value],
    /// Of every response, if it is HTTP.
    pub(crate) status: Option<u16>,
    pub(crate) starts: usize,
    pub(crate) warm: usize,
    /// Removes the program from the page cache before each start.
    pub(crate) evicts: bool,
}

/// Medians, except for the memory and the sizes.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) init_ms: f64,
    pub(crate) first_ms: f64,
    pub(crate) init_plus_first_ms: f64,
    /// Until the function waits for its second event.
    pub(crate) cpu_ms: f64,
    pub(crate) warm_us: f64,
    /// The peak, after the warm invocations.
    pub(crate) rss_mb: f64,
    pub(crate) mb: f64,
    pub(crate) zipped_mb: f64,
}

/// What one cold start took.
struct ColdStart {
    init: Duration,
    first: Duration,
    cpu: Duration,
}

impl Comparison<'_> {
    /// Returns the figures of the base and those of the subject.
    pub(crate) async fn measure(&self) -> io::Result<[Figures; 2]> {
        let programs = [self.base, self.subject];
        if !self.evicts {
            for program in programs {
                // An executable that was just written, or read in part, starts more slowly.
                evict(program)?;
                fs::read(program)?;
                self.start(program, &self.events[0]).await?;
            }
        }
        let mut starts = [Vec::new(), Vec::new()];
        for number in 0..self.starts {
            let event = &self.events[number % self.events.len()];
            // Base and subject, then subject and base.
            for side in [number % 2, 1 - number % 2] {
                starts[side].push(self.start(programs[side], event).await?.1);
            }
        }
        let warm = self.measure_warm(programs).await?;
        let figures = |side: usize| Figures::new(programs[side], &starts[side], &warm[side]);
        Ok([figures(0)?, figures(1)?])
    }

    async fn start(&self, program: &Path, event: &Value) -> io::Result<(Sandbox, ColdStart)> {
        if self.evicts {
            evict(program)?;
        }
        let mut sandbox = Sandbox::start(program, self.environment, Some(FUNCTION_CPU)).await?;
        let first = self.invoke(&mut sandbox, event).await?;
        let start = ColdStart { init: sandbox.init_time(), first, cpu: sandbox.cpu_time().await? };
        Ok((sandbox, start))
    }

    /// Returns the time of each invocation, and the peak memory in KB.
    async fn measure_warm(&self, programs: [&Path; 2]) -> io::Result<[(Vec<Duration>, u64); 2]> {
        let mut sandboxes = Vec::new();
        for program in programs {
            sandboxes.push(self.start(program, &self.events[0]).await?.0);
        }
        let mut times = [Vec::new(), Vec::new()];
        for first in (0..self.warm).step_by(WARM_BATCH) {
            for (sandbox, times) in sandboxes.iter_mut().zip(&mut times) {
                for number in first..self.warm.min(first + WARM_BATCH) {
                    let event = &self.events[number % self.events.len()];
                    times.push(self.invoke(sandbox, event).await?);
                }
            }
        }
        let [base, subject] = times;
        Ok([(base, sandboxes[0].peak_memory()?), (subject, sandboxes[1].peak_memory()?)])
    }

    async fn invoke(&self, sandbox: &mut Sandbox, event: &Value) -> io::Result<Duration> {
        let Answer { body, elapsed } = sandbox.invoke(event).await?;
        let is_expected = self.status.is_none_or(|status| body["statusCode"] == status);
        if is_expected { Ok(elapsed) } else { Err(io::Error::other(format!("unexpected answer: {body}"))) }
    }
}

impl Figures {
    fn new(program: &Path, starts: &[ColdStart], (warm, peak_kb): &(Vec<Duration>, u64)) -> io::Result<Self> {
        let bytes = fs::read(program)?;
        let milliseconds = |time: fn(&ColdStart) -> Duration| 1e3 * median(starts.iter().map(time));
        Ok(Self {
            init_ms: milliseconds(|start| start.init),
            first_ms: milliseconds(|start| start.first),
            init_plus_first_ms: milliseconds(|start| start.init + start.first),
            cpu_ms: milliseconds(|start| start.cpu),
            warm_us: 1e6 * median(warm.iter().copied()),
            rss_mb: *peak_kb as f64 / 1024.0,
            mb: bytes.len() as f64 / 1e6,
            zipped_mb: zipped(&bytes)? as f64 / 1e6,
        })
    }
}

/// In seconds.
fn median(times: impl Iterator<Item = Duration>) -> f64 {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    let middle = times.len() / 2;
    let low = if times.len().is_multiple_of(2) { middle.saturating_sub(1) } else { middle };
    (times[low] + times[middle]).as_secs_f64() / 2.0
}

/// The bytes of a program in a ZIP archive, without its headers.
fn zipped(program: &[u8]) -> io::Result<usize> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    io::Write::write_all(&mut encoder, program)?;
    Ok(encoder.finish()?.len())
}

/// Removes a file from the page cache.
fn evict(file: &Path) -> io::Result<()> {
    let mut command = Command::new("dd");
    command.arg(format!("if={}", file.display())).args(["iflag=nocache", "count=0"]);
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("dd: {}", String::from_utf8_lossy(&output.stderr))))
}
