//! One run of a repository's tests on one platform and branch.

mod counts;
mod https_url;
mod outcome;
mod run;
mod suite;

use std::fmt;
use std::ops::Not;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub use counts::Counts;
pub use https_url::HttpsUrl;
pub use outcome::{Conclusion, Outcome};
pub use run::{Commit, RunAttempt, RunId};
pub use suite::{FailedTest, Suite};

use crate::ids::{Branch, Nonce, Owner, ParseError, Platform, Repo, Repository};
use crate::signature::Digest;
use crate::timestamp::Timestamp;

/// One run of a suite, as a client submits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    pub repository: Repository,
    pub platform: Platform,
    pub branch: Branch,
    /// `None` for the unnamed suite.
    pub suite: Option<Suite>,
    pub outcome: Outcome,
    /// When the tests ran, by the client's clock.
    pub timestamp: Timestamp,
    pub run_id: RunId,
    pub run_attempt: RunAttempt,
    /// The commit that was tested.
    pub commit: Option<Commit>,
    /// The test report to link to.
    pub url_html: Option<HttpsUrl>,
    /// The run in the CI system.
    pub workflow_run_url: Option<HttpsUrl>,
    /// The default branch of the repository, if the client knows it.
    pub default_branch: Option<Branch>,
    /// The names of failed tests, at most [`FailedTest::COUNT_MAX`].
    pub failures: Vec<FailedTest>,
}

impl TestRun {
    /// The first attempt of a run of the unnamed suite, without optional fields.
    pub fn new(
        repository: Repository,
        platform: Platform,
        branch: Branch,
        outcome: Outcome,
        timestamp: Timestamp,
        run_id: RunId,
    ) -> Self {
        Self {
            repository,
            platform,
            branch,
            suite: None,
            outcome,
            timestamp,
            run_id,
            run_attempt: RunAttempt::default(),
            commit: None,
            url_html: None,
            workflow_run_url: None,
            default_branch: None,
            failures: Vec::new(),
        }
    }

    /// The target of a click on the badge: the report or, without one, the run in the CI system.
    pub fn link(&self) -> Option<&HttpsUrl> {
        self.url_html.as_ref().or(self.workflow_run_url.as_ref())
    }

    /// The body of `POST /tests/results`, a JSON object with the field names of the HTTP API.
    ///
    /// # Errors
    /// None in practice: every field serializes.
    pub fn to_body(&self, nonce: &Nonce) -> serde_json::Result<String> {
        serde_json::to_string(&Fields { nonce: Some(nonce.clone()), ..self.clone().into() })
    }
}

/// An accepted test result: a run and its id.
///
/// Its JSON is flat, has the field names of the HTTP API plus `test_result_id`, and omits absent fields:
///
/// ```
/// # use badgesmith_domain::test_result::TestResult;
/// let json = r#"{"test_result_id":"6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70","owner":"acme","repo":"kit",
///     "platform":"linux","branch":"main","passed":190,"failed":0,"skipped":2,"total":192,
///     "timestamp":"2025-01-15T10:30:00.000Z","run_id":"16814735762","run_attempt":1}"#;
/// let result: TestResult = serde_json::from_str(json)?;
/// assert_eq!(result.run.outcome.counts().total(), 192);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct TestResult {
    pub id: TestResultId,
    pub run: TestRun,
}

/// The id of a result: a version 8 UUID (RFC 9562, 5.8) derived from the key of its reservation and its content, so
/// that the same submission always has the same id, and no other one has it. The id of an imported result is derived
/// from the imported item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TestResultId(Uuid);

impl TestResultId {
    /// The id of the submission that is reserved under `reservation_key`, and whose content has this digest. For an
    /// imported result, the key is [`import_key`](crate::key::import_key).
    pub fn derive(reservation_key: &str, content: &Digest) -> Self {
        let digest = Sha256::digest(format!("test-result-id:{reservation_key}#{content}"));
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
        Self(Uuid::new_v8(bytes))
    }
}

impl FromStr for TestResultId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(Self).map_err(|_| ParseError { expected: "a UUID" })
    }
}

impl fmt::Display for TestResultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The JSON of a run: alone, with its nonce, or with its id.
#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test_result_id: Option<TestResultId>,
    owner: Owner,
    repo: Repo,
    platform: Platform,
    branch: Branch,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suite: Option<Suite>,
    passed: u32,
    failed: u32,
    skipped: u32,
    total: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conclusion: Option<Conclusion>,
    #[serde(default, skip_serializing_if = "Not::not")]
    retire: bool,
    timestamp: Timestamp,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    nonce: Option<Nonce>,
    run_id: RunId,
    #[serde(default)]
    run_attempt: RunAttempt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<Commit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url_html: Option<HttpsUrl>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workflow_run_url: Option<HttpsUrl>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_branch: Option<Branch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failures: Vec<FailedTest>,
}

impl TryFrom<Fields> for TestResult {
    type Error = ParseError;

    fn try_from(fields: Fields) -> Result<Self, ParseError> {
        let id = fields.test_result_id.ok_or(ParseError { expected: "a test_result_id" })?;
        let counts = Counts::new(fields.passed, fields.failed, fields.skipped, fields.total)?;
        let run = TestRun {
            repository: Repository { owner: fields.owner, repo: fields.repo },
            platform: fields.platform,
            branch: fields.branch,
            suite: fields.suite,
            outcome: if fields.retire {
                Outcome::retired()
            } else {
                Outcome::new(counts, fields.conclusion)?
            },
            timestamp: fields.timestamp,
            run_id: fields.run_id,
            run_attempt: fields.run_attempt,
            commit: fields.commit,
            url_html: fields.url_html,
            workflow_run_url: fields.workflow_run_url,
            default_branch: fields.default_branch,
            failures: fields.failures,
        };
        Ok(Self { id, run })
    }
}

impl From<TestRun> for Fields {
    fn from(run: TestRun) -> Self {
        let counts = run.outcome.counts();
        Self {
            test_result_id: None,
            owner: run.repository.owner,
            repo: run.repository.repo,
            platform: run.platform,
            branch: run.branch,
            suite: run.suite,
            passed: counts.passed(),
            failed: counts.failed(),
            skipped: counts.skipped(),
            total: counts.total(),
            conclusion: run.outcome.conclusion(),
            retire: run.outcome.is_retired(),
            timestamp: run.timestamp,
            nonce: None,
            run_id: run.run_id,
            run_attempt: run.run_attempt,
            commit: run.commit,
            url_html: run.url_html,
            workflow_run_url: run.workflow_run_url,
            default_branch: run.default_branch,
            failures: run.failures,
        }
    }
}

impl From<TestResult> for Fields {
    fn from(result: TestResult) -> Self {
        Self { test_result_id: Some(result.id), ..result.run.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_submission_has_the_same_id_and_no_other_one_has_it() {
        let (content, other) = (Digest::of(b"content"), Digest::of(b"other"));
        let id = TestResultId::derive("one reservation", &content);
        assert_eq!(id, TestResultId::derive("one reservation", &content));
        assert_ne!(id, TestResultId::derive("another reservation", &content));
        assert_ne!(
            id,
            TestResultId::derive("one reservation", &other),
            "a nonce is free again after 45 minutes"
        );
    }
}
