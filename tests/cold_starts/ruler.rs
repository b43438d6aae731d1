//! The program that measures: any host of the Runtime API with these arguments, which writes what it has measured to
//! stdout as JSON.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A function, and what it is compared with.
pub(crate) struct Comparison<'a> {
    pub(crate) base: &'a Path,
    pub(crate) subject: &'a Path,
    /// Of both.
    pub(crate) environment: &'a [(String, String)],
    /// Taken in turn.
    pub(crate) events: &'a [Value],
    /// Of every answer, where it is HTTP.
    pub(crate) status: Option<u16>,
    pub(crate) starts: usize,
    pub(crate) warm: usize,
}

/// What was measured of both, in turns.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) base: Side,
    pub(crate) subject: Side,
}

/// Medians of one function.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) init_ms: f64,
    pub(crate) first_ms: f64,
    pub(crate) init_plus_first_ms: f64,
    /// Until the first answer.
    pub(crate) cpu_ms: f64,
    pub(crate) warm_us: f64,
    pub(crate) rss_mb: f64,
    pub(crate) bytes: f64,
}

/// The program, and a place for its events.
pub(crate) struct Ruler {
    program: PathBuf,
    evicts: bool,
    folder: TempDir,
}

impl Ruler {
    pub(crate) fn new(program: PathBuf, evicts: bool) -> io::Result<Self> {
        Ok(Self { program, evicts, folder: tempfile::tempdir()? })
    }

    /// Measures, where no other work of this program is held up.
    pub(crate) async fn compare(&self, comparison: Comparison<'_>) -> io::Result<Measured> {
        let Comparison { base, subject, environment, events, status, starts, warm } = comparison;
        let file = self.folder.path().join("events.json");
        fs::write(&file, serde_json::to_vec(events)?)?;
        let mut command = Command::new(&self.program);
        // The ruler and what stands in for AWS have one CPU, the function has the other.
        command.args(["--json", "--pin", "--starts", &starts.to_string(), "--warm", &warm.to_string()]);
        command.arg("--event").arg(file);
        for (name, value) in environment {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        if let Some(status) = status {
            command.args(["--expect-status", &status.to_string()]);
        }
        if self.evicts {
            command.arg("--evict");
        }
        command.arg("--compare").arg(subject).arg(base).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{} was not measured:\n{said}", subject.display())));
        }
        let measured: Value = serde_json::from_slice(&output.stdout)?;
        Ok(Measured { base: Side::read(&measured["a"])?, subject: Side::read(&measured["b"])? })
    }
}

impl Side {
    fn read(side: &Value) -> io::Result<Self> {
        let number = |path: &str| {
            let number = side.pointer(path).and_then(Value::as_f64);
            number.ok_or_else(|| io::Error::other(format!("the ruler does not say {path}")))
        };
        Ok(Self {
            init_ms: number("/init_ms/median")?,
            first_ms: number("/first_ms/median")?,
            init_plus_first_ms: number("/init_plus_first_ms/median")?,
            cpu_ms: number("/init_plus_first_cpu_ms/median")?,
            warm_us: number("/warm_us/p50")?,
            rss_mb: number("/peak_rss_after_warm_mb/max")?,
            bytes: number("/binary_bytes")?,
        })
    }
}
