//! The programs that are measured.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Builds the functions and the probes as functions are deployed; returns the directory of their programs.
pub(crate) fn build() -> io::Result<PathBuf> {
    let mut directory = None;
    // One by one, since packages that are built together share the features that any of them needs.
    for package in ["ingest-api", "processor", "refresher", "badge-api", "probes"] {
        eprintln!("building {package}");
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--release", "--locked", "--message-format", "json-render-diagnostics"]);
        command.args(["--package", package]).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("{package} could not be built")));
        }
        let messages = output.stdout.split(|byte| *byte == b'\n').map(serde_json::from_slice::<Value>);
        for message in messages.flatten() {
            if let Some(program) = message["executable"].as_str() {
                directory = Path::new(program).parent().map(Path::to_owned);
            }
        }
    }
    directory.ok_or_else(|| io::Error::other("cargo has built no program"))
}
