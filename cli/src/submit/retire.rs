//! `--retire`: stops counting suites of a branch that were renamed or removed.

use std::fmt;
use std::time::Duration;

use badgesmith_domain::ids::{Branch, ParseError, Platform, Repository};
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::test_result::{Suite, TestResultId, TestRun};
use serde::Serialize;

use super::options::Options;
use super::output::code_span;
use super::send::{SendError, Service, send};
use super::slots::{Slot, SlotsError, fetch_slots};

const SLOTS_TIMEOUT: Duration = Duration::from_secs(31);

/// Why nothing was retired.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetireError {
    #[error("invalid {option}: {value:?} is not {expected}")]
    InvalidName { option: &'static str, value: String, expected: &'static str },
    #[error(transparent)]
    Slots(#[from] SlotsError),
    #[error("no suite {suite} on branch {branch} of {repository}; {advice}")]
    UnknownSuite { suite: String, branch: Branch, repository: Repository, advice: String },
}

/// Which suites to retire. `None` is the unnamed suite.
#[derive(Debug)]
enum Selection {
    One(Option<Suite>),
    AllBut(Vec<Option<Suite>>),
}

impl Selection {
    fn new(options: &Options) -> Result<Self, RetireError> {
        match &options.suite {
            Some(suite) => parse("--suite", suite).map(Self::One),
            None => options
                .all_but
                .iter()
                .map(|name| parse("--all-but", name))
                .collect::<Result<_, _>>()
                .map(Self::AllBut),
        }
    }

    /// The suites that the options name.
    fn named(&self) -> &[Option<Suite>] {
        match self {
            Self::One(suite) => std::slice::from_ref(suite),
            Self::AllBut(kept) => kept,
        }
    }

    fn matches(&self, slot: &Slot) -> bool {
        match self {
            Self::One(suite) => slot.suite == *suite,
            Self::AllBut(kept) => !kept.contains(&slot.suite),
        }
    }
}

fn parse(option: &'static str, value: &str) -> Result<Option<Suite>, RetireError> {
    if value.is_empty() {
        return Ok(None);
    }
    let invalid =
        |ParseError { expected }| RetireError::InvalidName { option, value: value.to_owned(), expected };
    value.parse().map(Some).map_err(invalid)
}

/// The slots to retire: those that match the options and are not retired.
///
/// # Errors
/// [`RetireError`], also if an option names a suite without a slot: with --all-but, a misspelled name would retire the
/// suite that it was meant to keep.
pub(crate) async fn select(
    options: &Options,
    service: &ServiceUrl,
    run: &TestRun,
) -> Result<Vec<Slot>, RetireError> {
    let selection = Selection::new(options)?;
    let TestRun { repository, branch, .. } = run;
    let mut slots = fetch_slots(service, repository, branch, SLOTS_TIMEOUT).await?;
    let platform = options.platform.as_ref().map(|_| run.platform);
    slots.retain(|slot| platform.is_none_or(|platform| slot.platform == platform));
    slots.sort_by_cached_key(ToString::to_string);
    let is_unknown = |suite: &&Option<Suite>| slots.iter().all(|slot| slot.suite != **suite);
    if let Some(suite) = selection.named().iter().find(is_unknown) {
        let on_platform = platform.map(|platform| format!(" on {platform}")).unwrap_or_default();
        return Err(RetireError::UnknownSuite {
            suite: name(suite.as_ref()),
            branch: branch.clone(),
            repository: repository.clone(),
            advice: match slots.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice() {
                [] => format!("the branch has no suites{on_platform}; check --repo and --branch"),
                names => format!("its suites{on_platform} are: {}", names.join("; ")),
            },
        });
    }
    slots.retain(|slot| selection.matches(slot) && !slot.is_retired());
    Ok(slots)
}

/// The name of a suite for people.
pub(crate) fn name(suite: Option<&Suite>) -> String {
    suite.map_or_else(|| "'' (unnamed)".to_owned(), ToString::to_string)
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", name(self.suite.as_ref()), self.platform)
    }
}

/// The output of a retirement. `--json` prints it as JSON; it displays as a line for each suite.
#[derive(Debug, Serialize)]
pub(crate) struct RetireOutput {
    /// Whether every retirement was accepted. False for a dry run.
    accepted: bool,
    /// Present if a retirement was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    repository: String,
    branch: Branch,
    /// The suites that match; without an ID if their retirement was not sent or not accepted.
    suites: Vec<RetiredSuite>,
}

#[derive(Debug, Serialize)]
struct RetiredSuite {
    platform: Platform,
    #[serde(skip_serializing_if = "Option::is_none")]
    suite: Option<Suite>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_result_id: Option<TestResultId>,
}

/// Retires `slots` one after the other, and stops at the first that is not accepted. Without a service it is a dry run.
pub(crate) async fn retire(
    service: Option<&Service<'_>>,
    run: &TestRun,
    slots: Vec<Slot>,
) -> (RetireOutput, Result<(), SendError>) {
    let mut result = Ok(());
    let mut suites = Vec::new();
    for Slot { platform, suite, .. } in slots {
        let mut test_result_id = None;
        if let (Some(service), Ok(())) = (service, &result) {
            let run = TestRun { platform, suite: suite.clone(), ..run.clone() };
            match send(service, &run, super::note_retry).await {
                Ok(accepted) => test_result_id = Some(accepted.test_result_id),
                Err(error) => result = Err(error),
            }
        }
        suites.push(RetiredSuite { platform, suite, test_result_id });
    }
    let output = RetireOutput {
        accepted: service.is_some() && result.is_ok(),
        error: result.as_ref().err().map(ToString::to_string),
        repository: run.repository.to_string(),
        branch: run.branch.clone(),
        suites,
    };
    (output, result)
}

impl RetireOutput {
    /// Markdown; a list of the suites in code spans.
    pub(crate) fn step_summary(&self) -> String {
        let lines = self.to_string();
        let suites: Vec<_> = lines.lines().map(|line| format!("- {}", code_span(line))).collect();
        format!("### Suites of {}\n\n{}\n", code_span(self.branch.as_str()), suites.join("\n"))
    }
}

impl fmt::Display for RetireOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, RetiredSuite { platform, suite, test_result_id }) in self.suites.iter().enumerate() {
            let line_break = if number == 0 { "" } else { "\n" };
            let verb = match test_result_id {
                Some(_) => "retired",
                None if self.error.is_some() => "not retired:",
                None => "would retire",
            };
            write!(f, "{line_break}{verb} {} on {platform}", name(suite.as_ref()))?;
        }
        Ok(())
    }
}
