//! What `badgesmith submit` is told.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  Everything but the address and the reports is taken from the CI system:
    badgesmith submit --url https://badges.example.org 'results/**/*.xml'

  Without a CI system, and with counts instead of reports:
    badgesmith submit --url http://127.0.0.1:9474 --repo acme/kit --platform linux --branch main \\
      --run-id 1 --passed 190

  What a test tool prints, which is not to hide that it failed (`-` reads stdin):
    set -o pipefail; cargo test 2>&1 | tee tests.log
    badgesmith submit --url https://badges.example.org tests.log

The key is read from the environment variable BADGESMITH_KEY, or from --key-file. It is never an argument, since
arguments can be read by everybody on the machine.

Exit codes:
  0  accepted; or not, without --fail-on-error
  1  not accepted, with --fail-on-error
  2  something is missing or wrong in what was given";

/// Sends the results of a test run, and prints the badge for a README.
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "it is shown as it is by --help")]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// Reports, or patterns of their paths (`results/**/*.xml`); `-` is stdin. They add up
    ///
    /// JUnit XML, TRX, NUnit 3, xUnit v2, TAP, the output of `cargo test` and of `go test -json`: what a report is, is
    /// seen from its content.
    #[arg(value_name = "REPORT", required_unless_present = "passed", conflicts_with_all = ["passed", "failed", "skipped"])]
    pub(crate) reports: Vec<String>,
    /// Where the service is
    #[arg(long, value_name = "URL", env = "BADGESMITH_URL")]
    pub(crate) url: Option<String>,
    /// Whose tests ran
    #[arg(long, value_name = "OWNER/REPO")]
    pub(crate) repo: Option<String>,
    /// What they ran on: linux, windows or macos
    #[arg(long)]
    pub(crate) platform: Option<String>,
    /// What they ran of
    #[arg(long)]
    pub(crate) branch: Option<String>,
    /// The commit that was tested
    #[arg(long, value_name = "SHA")]
    pub(crate) commit: Option<String>,
    /// The CI system's name for the run
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
    /// Which attempt of the run, from 1
    #[arg(long, value_name = "NUMBER")]
    pub(crate) run_attempt: Option<u64>,
    /// The run's page, where a click on the badge leads
    #[arg(long, value_name = "URL")]
    pub(crate) run_url: Option<String>,
    /// How many tests passed, instead of reports
    #[arg(long, value_name = "NUMBER")]
    pub(crate) passed: Option<u32>,
    /// How many failed, beside --passed
    #[arg(long, value_name = "NUMBER", requires = "passed", default_value_t = 0)]
    pub(crate) failed: u32,
    /// How many were skipped, beside --passed
    #[arg(long, value_name = "NUMBER", requires = "passed", default_value_t = 0)]
    pub(crate) skipped: u32,
    /// A file with the repository's key; BADGESMITH_KEY if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// How long to try, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) retry_for: u64,
    /// Show the request, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Fail when the result was not accepted; otherwise that is a warning
    #[arg(long)]
    pub(crate) fail_on_error: bool,
    /// Print one JSON object to stdout instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
