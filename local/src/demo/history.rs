//! Results of the last weeks, so that the page of the demo repository has something to show.

use std::time::Duration;

use badgesmith_domain::ids::{Branch, ParseError, Platform, Repository};
use badgesmith_domain::signature::Digest;
use badgesmith_domain::test_result::{
    Conclusion, Counts, FailedTest, Outcome, RunAttempt, TestResult, TestResultId, TestRun,
};
use badgesmith_domain::timestamp::Timestamp;

/// The jobs of a run: suite, platform, number of tests, number of skipped tests.
const JOBS: [(&str, Platform, u32, u32); 4] = [
    ("unit", Platform::Linux, 142, 0),
    ("integration", Platform::Linux, 48, 2),
    ("unit", Platform::MacOs, 142, 0),
    ("unit", Platform::Windows, 142, 3),
];
/// How many unit tests were added since the oldest run of the default branch.
const ADDED_TESTS: u32 = 24;
/// The runs of the default branch, the newest first.
const MAIN_RUNS: u32 = 84;
/// The time between two of them.
const MAIN_INTERVAL: Duration = Duration::from_mins(11 * 60 + 24);

/// The id of the newest run of the default branch.
pub(super) const NEWEST_RUN: u32 = 4084;

/// A branch besides the default branch: its name, the number of its runs, the hours since the newest, and the test that
/// fails in it.
const OTHERS: [(&str, u32, u32, Option<&str>); 6] = [
    ("feature/dark-mode", 14, 3, None),
    ("fix/upload-timeout", 9, 5, Some("upload::retries_after_timeout")),
    ("release/1.x", 22, 19, None),
    ("dependabot/cargo/serde-1.0.231", 1, 30, None),
    ("refactor/parser", 6, 70, Some("parser::reads_nested_groups")),
    ("spike/wasm", 3, 62 * 24, None),
];

/// All results but that of the suite `unit` on linux in the newest run, which the demo submits.
///
/// # Errors
/// None in practice: all names are valid.
pub(super) fn results(repository: &Repository, now: Timestamp) -> Result<Vec<TestResult>, ParseError> {
    let mut results = Vec::new();
    for age in 0..MAIN_RUNS {
        let at = now.minus(MAIN_INTERVAL * age).minus(Duration::from_mins(4));
        let run = Run { repository, branch: "main", id: NEWEST_RUN - age, at };
        let added_since = ADDED_TESTS * age / MAIN_RUNS;
        for (number, job) in JOBS.into_iter().enumerate() {
            if age > 0 || number > 0 {
                results.push(run.result(job, added_since, failure_on_main(age, number))?);
            }
        }
    }
    for (branch_number, (branch, runs, hours, failing)) in (1_u32..).zip(OTHERS) {
        for age in 0..runs {
            let at = now.minus(Duration::from_hours(u64::from(hours + 26 * age)));
            let run = Run { repository, branch, id: NEWEST_RUN - 500 * branch_number - age, at };
            for (number, job) in JOBS.into_iter().enumerate() {
                let failing = failing.filter(|_| number == 1 && age % 4 != 3);
                results.push(run.result(job, 0, failing.map_or(Failure::None, Failure::Test))?);
            }
        }
    }
    Ok(results)
}

/// How a job fails.
#[derive(Debug, Clone, Copy)]
enum Failure {
    None,
    Test(&'static str),
    /// The run fails outside its tests.
    Run,
}

/// The failures on `main`: a test that has failed since some runs ago, an intermittent one, one that was fixed, and a run
/// that broke. `age` is the number of newer runs.
fn failure_on_main(age: u32, job: usize) -> Failure {
    match (job, age) {
        (3, 0..=3) => Failure::Test("locale::reads_a_decimal_comma"),
        (1, 7 | 19 | 33 | 51 | 64 | 70) => Failure::Test("upload::retries_after_timeout"),
        (1, 41) => Failure::Test("cache::expires_after_an_hour"),
        (3, 25..=31) => Failure::Test("paths::accepts_drive_letters"),
        (2, 46) => Failure::Run,
        _ => Failure::None,
    }
}

struct Run<'a> {
    repository: &'a Repository,
    branch: &'static str,
    id: u32,
    at: Timestamp,
}

impl Run<'_> {
    fn result(
        &self,
        (suite, platform, tests, skipped): (&str, Platform, u32, u32),
        added_since: u32,
        failure: Failure,
    ) -> Result<TestResult, ParseError> {
        let tests = if suite == "unit" { tests - added_since } else { tests };
        let outcome = match failure {
            Failure::None => Outcome::new(Counts::new(tests, 0, skipped, tests + skipped)?, None)?,
            Failure::Test(_) => Outcome::new(Counts::new(tests - 1, 1, skipped, tests + skipped)?, None)?,
            Failure::Run => Outcome::new(Counts::new(0, 0, 0, 0)?, Some(Conclusion::Failure))?,
        };
        let failures = match failure {
            Failure::Test(name) => vec![name.parse::<FailedTest>()?],
            Failure::None | Failure::Run => Vec::new(),
        };
        let main: Branch = "main".parse()?;
        let name = format!("demo {} {suite} {platform}", self.id);
        let run = TestRun {
            repository: self.repository.clone(),
            platform,
            branch: self.branch.parse()?,
            suite: Some(suite.parse()?),
            outcome,
            timestamp: self.at,
            run_id: self.id.to_string().parse()?,
            run_attempt: RunAttempt::default(),
            commit: Some(commit(self.id).parse()?),
            url_html: None,
            workflow_run_url: Some(run_url(self.id).parse()?),
            default_branch: Some(main),
            failures,
        };
        Ok(TestResult { id: TestResultId::derive(&name, &Digest::of(name.as_bytes())), run })
    }
}

/// The commit of a run.
pub(super) fn commit(run_id: u32) -> String {
    Digest::of(format!("commit {run_id}").as_bytes()).to_string().chars().take(40).collect()
}

/// The URL of a run, which does not exist.
pub(super) fn run_url(id: u32) -> String {
    format!("https://example.com/demo/badgesmith/runs/{id}")
}
