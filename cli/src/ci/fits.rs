//! What the service takes, so that an optional value that it would refuse is left out instead.

use std::str::FromStr;

use badgesmith_shared::name::Repository;
use badgesmith_shared::test_result::{Commit, HttpsUrl, RunAttempt, RunId};

use super::{Absent, Found};

/// A commit. Buildkite may say `HEAD`, and Azure Pipelines the number of a changeset.
pub(super) fn commit(text: String) -> Option<String> {
    if_valid::<Commit>(text)
}

/// A run's name.
pub(super) fn run_id(text: String) -> Option<String> {
    if_valid::<RunId>(text)
}

/// An attempt.
pub(super) fn run_attempt(number: u64) -> Option<u16> {
    RunAttempt::try_from(number).ok().map(RunAttempt::get)
}

/// An attempt as a variable has it.
pub(super) fn run_attempt_text(text: &str) -> Option<u16> {
    text.parse().ok().and_then(run_attempt)
}

/// An `https` address.
pub(super) fn https_url(text: String) -> Option<String> {
    if_valid::<HttpsUrl>(text)
}

/// A repository.
pub(super) fn repository(text: String) -> Found {
    if text.parse::<Repository>().is_ok() { Ok(text) } else { Err(Absent::NotOwnerAndRepo(text)) }
}

fn if_valid<T: FromStr>(text: String) -> Option<String> {
    text.parse::<T>().is_ok().then_some(text)
}
