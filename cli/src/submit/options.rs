//! Options of `badgesmith submit`.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  In a supported CI system, which provides everything but the URL and the reports:
    badgesmith submit --url https://badges.example.org 'results/**/*.xml'

  Anywhere else, with counts instead of reports:
    badgesmith submit --url http://127.0.0.1:9474 --repo acme/kit --platform linux --branch main \\
      --run-id 1 --passed 190

  From the output of a test tool, keeping its exit code:
    set -o pipefail; cargo test 2>&1 | tee tests.log
    badgesmith submit --url https://badges.example.org tests.log

  After a job was renamed or removed:
    badgesmith submit --url https://badges.example.org --retire --suite 'ci / old name'

The key is read from the environment variable BADGESMITH_KEY or from --key-file. It is never an
argument, because all users of a machine can read the arguments of its processes. Without a key, a
job of GitHub Actions or Forgejo Actions that may request OIDC tokens authenticates with one.

Exit codes:
  0  accepted; or not accepted, without --fail-on-error; or nothing to submit
  1  not accepted, with --fail-on-error
  2  an option, the key or a report is missing or invalid";

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[expect(clippy::doc_markdown, reason = "--help prints it as it is")]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// Report files, glob patterns (`results/**/*.xml`), or `-` for stdin; their counts are added up
    ///
    /// `!PATTERN` excludes files. Formats are detected from the content: JUnit XML, TRX, NUnit, xUnit.net, TAP, CTRF, the
    /// JSON of Mocha, RSpec and Dart, and the output of `cargo test`, nextest and `go test`.
    #[arg(value_name = "REPORT", conflicts_with_all = ["passed", "failed", "skipped", "retire"])]
    pub(crate) reports: Vec<String>,
    /// Count each result of a repeated test, for runs that repeat tests on purpose (`go test -count=3`)
    #[arg(long)]
    pub(crate) count_repetitions: bool,
    /// Send the names of up to 20 failed tests, which become public
    #[arg(long)]
    pub(crate) failures: bool,
    /// URL of the service
    #[arg(long, value_name = "URL", env = "BADGESMITH_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,
    /// Repository the results belong to [default: from the CI system or git]
    #[arg(long, value_name = "OWNER/REPO")]
    pub(crate) repo: Option<String>,
    /// Platform the tests ran on: linux, windows or macos [default: from the CI system or this machine]
    #[arg(long)]
    pub(crate) platform: Option<String>,
    /// Branch that was tested [default: from the CI system or git]
    #[arg(long)]
    pub(crate) branch: Option<String>,
    /// Suite the results belong to; the badge adds up all suites of a branch [default: the job, from the CI system; or the unnamed suite]
    #[arg(long, value_name = "NAME", group = "retired")]
    pub(crate) suite: Option<String>,
    /// Commit that was tested [default: from the CI system or git]
    #[arg(long, value_name = "SHA")]
    pub(crate) commit: Option<String>,
    /// ID of the CI run [default: from the CI system]
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
    /// Attempt of the CI run, from 1 [default: from the CI system, or 1]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) run_attempt: Option<String>,
    /// Page of the CI run that the badge links to [default: from the CI system]
    #[arg(long, value_name = "URL")]
    pub(crate) run_url: Option<String>,
    /// Number of tests that passed, instead of reports
    #[arg(long, value_name = "NUMBER")]
    pub(crate) passed: Option<u32>,
    /// Number of tests that failed, with --passed
    #[arg(long, value_name = "NUMBER", requires = "passed", default_value_t = 0)]
    pub(crate) failed: u32,
    /// Number of tests that were skipped, with --passed
    #[arg(long, value_name = "NUMBER", requires = "passed", default_value_t = 0)]
    pub(crate) skipped: u32,
    /// Outcome of the test step, which can fail even if all tests pass: success, failure, cancelled or skipped
    ///
    /// With `failure`, the run is a failure whatever the reports say, even without reports. With `cancelled`, nothing
    /// is submitted. `skipped` and an empty value are ignored.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) conclusion: Option<String>,
    /// Status of the whole job, for jobs without tests: success, failure, cancelled or skipped
    ///
    /// Used only if there are no reports, or no tests in them: `failure` then submits a failed run. With `cancelled`,
    /// nothing is submitted.
    #[arg(
        long,
        value_name = "STATUS",
        env = "BADGESMITH_JOB_STATUS",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub(crate) job_status: Option<String>,
    /// Accept reports without tests
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// Stop counting the suite named by --suite, or all but those of --all-but, on all platforms or on that of
    /// --platform
    #[arg(long, requires = "retired", conflicts_with_all = ["passed", "conclusion"])]
    pub(crate) retire: bool,
    /// Suites to keep with --retire; all other suites of the branch stop counting
    #[arg(long, value_name = "NAME", num_args = 1.., requires = "retire", group = "retired")]
    pub(crate) all_but: Vec<String>,
    /// File with the repository's key, instead of BADGESMITH_KEY
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Maximum time to keep retrying, in seconds [default: 120, or 420 without a key]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) retry_for: Option<u64>,
    /// Print the request, or with --retire the suites to retire, without sending anything
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Exit with 1 if the result is not accepted, instead of printing a warning
    #[arg(long)]
    pub(crate) fail_on_error: bool,
    /// Print one JSON object to stdout instead of Markdown
    #[arg(long)]
    pub(crate) json: bool,
}
