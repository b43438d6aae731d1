//! The outcome of a run, from its reports or counts and the status of the step and the job in the CI system.

use std::str::FromStr;

use badgesmith_domain::test_result::{Conclusion, Counts, FailedTest, Outcome};
use test_reports::Repetitions;

use super::collect::{CollectError, Collected, checked, collect};
use super::options::Options;
use crate::terminal;

const CANCELLED: &str = "the run was cancelled";
const SKIPPED: &str = "the job was skipped";

/// Why the outcome of a run is unknown. Names the option that helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutcomeError {
    #[error(transparent)]
    Collect(#[from] CollectError),
    #[error("invalid {option}: {value:?} is not success, failure, cancelled or skipped")]
    InvalidStatus { option: &'static str, value: String },
    #[error("the reports contain no tests: check that the tests ran, or pass --allow-empty")]
    NoTests,
    #[error("nothing to submit: pass reports or --passed, or --job-status for a job without tests")]
    NoInput,
}

impl OutcomeError {
    /// Whether no test was counted, as after a crash. Other errors are mistakes in the options.
    fn is_missing_tests(&self) -> bool {
        match self {
            Self::Collect(error) => error.is_about_a_report(),
            Self::NoTests | Self::NoInput => true,
            Self::InvalidStatus { .. } => false,
        }
    }
}

/// What to do with a run.
pub(crate) enum Decision {
    Submit(RunOutcome),
    /// Submit nothing, for a reason that is not a failure.
    Skip(&'static str),
}

/// How a run ended.
pub(crate) struct RunOutcome {
    pub(crate) outcome: Outcome,
    /// How many of the passed tests were retried.
    pub(crate) retried: u64,
    pub(crate) failures: Vec<FailedTest>,
}

impl From<Outcome> for RunOutcome {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, retried: 0, failures: Vec::new() }
    }
}

/// The status of a step or a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Concluded(Conclusion),
    Cancelled,
    Skipped,
}

impl FromStr for Status {
    type Err = ();

    /// The words of GitHub Actions, GitLab (`CI_JOB_STATUS`), Azure Pipelines (`AGENT_JOBSTATUS`), Jenkins
    /// (`currentBuild.currentResult`), Drone and Woodpecker, in any case, and exit codes, which are negative after a crash
    /// on Windows.
    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "success" | "succeeded" | "succeededwithissues" | "passed" | "0" => {
                Self::Concluded(Conclusion::Success)
            }
            "failure" | "failed" | "error" | "killed" | "timed_out" | "unstable" => {
                Self::Concluded(Conclusion::Failure)
            }
            "cancelled" | "canceled" | "aborted" => Self::Cancelled,
            "skipped" | "not_built" => Self::Skipped,
            exit_code => {
                exit_code.parse::<i64>().map(|_| Self::Concluded(Conclusion::Failure)).map_err(|_| ())?
            }
        })
    }
}

/// Parses `value`. `None` if it is empty, such as the outcome of a step that does not exist.
fn parse_status(option: &'static str, value: Option<&str>) -> Result<Option<Status>, OutcomeError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    value.parse().map(Some).map_err(|()| OutcomeError::InvalidStatus { option, value: value.to_owned() })
}

/// The outcome that `options` describe. `--conclusion` covers the test step, so it applies in addition to the reports.
/// `--job-status` covers all steps of the job, so it applies only if no test was counted.
pub(crate) fn outcome(options: &Options) -> Result<Decision, OutcomeError> {
    if options.retire {
        return Ok(Decision::Submit(Outcome::retired().into()));
    }
    let step = match parse_status("--conclusion", options.conclusion.as_deref())? {
        Some(Status::Concluded(conclusion)) => Some(conclusion),
        Some(Status::Cancelled) => return Ok(Decision::Skip(CANCELLED)),
        // A skipped test step has no conclusion.
        Some(Status::Skipped) | None => None,
    };
    let job = parse_status("--job-status", options.job_status.as_deref())?;
    if job == Some(Status::Cancelled) {
        return Ok(Decision::Skip(CANCELLED));
    }
    let error = match tests(options) {
        Ok(collected) => return Ok(Decision::Submit(from_reports(options, collected, step, job))),
        Err(error) if error.is_missing_tests() => error,
        Err(error) => return Err(error),
    };
    let status = step.map(Status::Concluded).or(job);
    let without_tests = match (step, job, error) {
        (_, _, OutcomeError::NoInput) => match status {
            Some(Status::Concluded(conclusion)) => {
                terminal::note("no reports were given, so the status of the job is the result");
                with_conclusion(Counts::NONE, Some(conclusion))
            }
            Some(Status::Skipped) => return Ok(Decision::Skip(SKIPPED)),
            Some(Status::Cancelled) | None => return Err(OutcomeError::NoInput),
        },
        (Some(Conclusion::Failure), _, error) | (_, Some(Status::Concluded(Conclusion::Failure)), error) => {
            // Without the advice to pass --allow-empty.
            let error = if matches!(error, OutcomeError::NoTests) {
                "the reports contain no tests".to_owned()
            } else {
                error.to_string()
            };
            terminal::note(&format!("{error}; submitting a failed run without counts"));
            with_conclusion(Counts::NONE, Some(Conclusion::Failure))
        }
        (_, Some(Status::Skipped), _) => return Ok(Decision::Skip(SKIPPED)),
        (_, _, OutcomeError::NoTests) if options.allow_empty => Outcome::from_counts(Counts::NONE),
        (_, _, error) => return Err(error),
    };
    Ok(Decision::Submit(without_tests.into()))
}

fn from_reports(
    options: &Options,
    collected: Collected,
    step: Option<Conclusion>,
    job: Option<Status>,
) -> RunOutcome {
    let Collected { counts, retried, run_failed, failed_tests } = collected;
    let is_green = step.is_none() && !run_failed && counts.failed() == 0;
    if is_green && job == Some(Status::Concluded(Conclusion::Failure)) {
        terminal::note(
            "the job failed, but no test did, so the run counts as passed; to make it a failed run, pass the outcome of \
             the tests as --conclusion",
        );
    }
    let conclusion = if run_failed {
        if step == Some(Conclusion::Success) {
            terminal::note("ignored --conclusion success, because the reports state a failure");
        }
        Some(Conclusion::Failure)
    } else {
        step
    };
    let failures = if options.failures { failed_tests } else { Vec::new() };
    RunOutcome { outcome: with_conclusion(counts, conclusion), retried, failures }
}

fn with_conclusion(counts: Counts, conclusion: Option<Conclusion>) -> Outcome {
    Outcome::new(counts, conclusion).unwrap_or_else(|_| {
        terminal::note("ignored --conclusion success, because tests failed");
        Outcome::from_counts(counts)
    })
}

/// The counts from the options, or the sum of all reports; an error if the reports have neither a test nor a failure.
fn tests(options: &Options) -> Result<Collected, OutcomeError> {
    if let Some(passed) = options.passed {
        // Counts of zero are valid: the user passed them.
        let (failed, skipped) = (options.failed.into(), options.skipped.into());
        let counts = checked(test_reports::Counts { passed: passed.into(), failed, skipped })?;
        return Ok(Collected { counts, retried: 0, run_failed: false, failed_tests: Vec::new() });
    }
    if options.reports.is_empty() {
        return Err(OutcomeError::NoInput);
    }
    let repetitions = if options.count_repetitions { Repetitions::Count } else { Repetitions::Merge };
    let collected = collect(&options.reports, repetitions)?;
    let has_result = collected.counts.total() > 0 || collected.run_failed;
    if has_result { Ok(collected) } else { Err(OutcomeError::NoTests) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    /// The numbers of passed and failed tests with the conclusion.
    fn outcome_of(arguments: &[&str]) -> String {
        let command = Command::try_parse_from([&["submit"], arguments].concat()).unwrap();
        match outcome(&command.options) {
            Ok(Decision::Submit(RunOutcome { outcome, .. })) => {
                let counts = outcome.counts();
                format!("{} {} {}", counts.passed(), counts.failed(), outcome.conclusion().unwrap().as_str())
            }
            Ok(Decision::Skip(_)) => "nothing".to_owned(),
            Err(_) => "error".to_owned(),
        }
    }

    #[test]
    fn statuses_are_the_words_and_exit_codes_of_ci_systems() {
        let statuses = |texts: &[&str]| texts.iter().map(|text| text.parse()).collect::<Vec<_>>();
        for (texts, expected) in [
            (
                &["success", "Succeeded", "SucceededWithIssues", "passed", "0"][..],
                Ok(Status::Concluded(Conclusion::Success)),
            ),
            (
                &["failure", "Failed", "UNSTABLE", "error", "killed", "timed_out", "1", "-1", "-1073741819"],
                Ok(Status::Concluded(Conclusion::Failure)),
            ),
            (&["cancelled", "Canceled", "ABORTED"], Ok(Status::Cancelled)),
            (&["skipped", "NOT_BUILT"], Ok(Status::Skipped)),
            (&["red", "1.0", "--1"], Err(())),
        ] {
            assert_eq!(statuses(texts), vec![expected; texts.len()], "{texts:?}");
        }
    }

    #[test]
    fn the_outcome_follows_from_reports_conclusion_and_job_status() {
        const REPORTS: [(&str, &str); 4] = [
            ("passed", r#"<testsuite><testcase name="a"/></testsuite>"#),
            ("failed", r#"<testsuite><testcase name="a"><failure/></testcase></testsuite>"#),
            ("empty", "<testsuite/>"),
            ("half", r#"<testsuite><testcase name="a"/>"#),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for (name, content) in REPORTS {
            std::fs::write(path(name), content).unwrap();
        }
        let row = |options: &str, cells: [String; 6]| {
            let cells = cells.map(|cell| format!("{cell:<12}")).concat();
            format!("{options:<45}{}\n", cells.trim_end())
        };
        let names = ["passed", "failed", "empty", "half", "missing"];
        let mut table =
            row("", ["passed", "failed", "empty", "half", "missing", "(none)"].map(str::to_owned));
        for options in [
            "",
            "--conclusion=success",
            "--conclusion=failure",
            "--job-status=success",
            "--job-status=success --allow-empty",
            "--job-status=failure",
            "--job-status=failure --allow-empty",
            "--job-status=skipped",
            "--job-status=failure --conclusion=success",
            "--job-status=failure --conclusion=skipped",
            "--job-status=failure --conclusion=cancelled",
            "--job-status=cancelled",
        ] {
            let arguments: Vec<_> = options.split_whitespace().collect();
            let [passed, failed, empty, half, missing] =
                names.map(|name| outcome_of(&[&arguments[..], &[&path(name)]].concat()));
            table += &row(options, [passed, failed, empty, half, missing, outcome_of(&arguments)]);
        }
        insta::assert_snapshot!(table, @r#"
                                                     passed      failed      empty       half        missing     (none)
                                                     1 0 success 0 1 failure error       error       error       error
        --conclusion=success                         1 0 success 0 1 failure error       error       error       0 0 success
        --conclusion=failure                         1 0 failure 0 1 failure 0 0 failure 0 0 failure 0 0 failure 0 0 failure
        --job-status=success                         1 0 success 0 1 failure error       error       error       0 0 success
        --job-status=success --allow-empty           1 0 success 0 1 failure 0 0 success error       error       0 0 success
        --job-status=failure                         1 0 success 0 1 failure 0 0 failure 0 0 failure 0 0 failure 0 0 failure
        --job-status=failure --allow-empty           1 0 success 0 1 failure 0 0 failure 0 0 failure 0 0 failure 0 0 failure
        --job-status=skipped                         1 0 success 0 1 failure nothing     nothing     nothing     nothing
        --job-status=failure --conclusion=success    1 0 success 0 1 failure 0 0 failure 0 0 failure 0 0 failure 0 0 success
        --job-status=failure --conclusion=skipped    1 0 success 0 1 failure 0 0 failure 0 0 failure 0 0 failure 0 0 failure
        --job-status=failure --conclusion=cancelled  nothing     nothing     nothing     nothing     nothing     nothing
        --job-status=cancelled                       nothing     nothing     nothing     nothing     nothing     nothing
        "#);
    }
}
