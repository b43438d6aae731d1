//! A result on its way: what is known of a run, and the bytes that are signed.

use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::signature::HmacKey;
use badgesmith_domain::test_result::{Commit, Counts, HttpsUrl, RunAttempt, RunId};
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// The result of a run, but for what makes a submission fresh.
#[derive(Debug, Clone)]
pub(crate) struct RunResult {
    pub(crate) repository: Repository,
    pub(crate) platform: Platform,
    pub(crate) branch: Branch,
    pub(crate) counts: Counts,
    pub(crate) run_id: RunId,
    pub(crate) run_attempt: RunAttempt,
    pub(crate) commit: Option<Commit>,
    pub(crate) run_url: Option<HttpsUrl>,
}

/// The body of `POST /tests/results`.
#[derive(Serialize)]
struct Body<'a> {
    owner: &'a str,
    repo: &'a str,
    platform: &'a str,
    branch: &'a str,
    passed: u32,
    failed: u32,
    skipped: u32,
    total: u32,
    timestamp: String,
    nonce: String,
    run_id: &'a str,
    run_attempt: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_run_url: Option<&'a str>,
}

/// What is sent, again and again if need be: always these bytes.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) body: String,
    pub(crate) signature: String,
    /// `OWNER/REPO`, for the header `X-Repo-Secret`.
    pub(crate) repository: String,
    pub(crate) at: Timestamp,
}

impl RunResult {
    /// Signs the result as of `now`.
    pub(crate) fn sign(&self, key: &HmacKey, now: Timestamp) -> Signed {
        let body = self.body(now);
        let signature = key.sign(body.as_bytes()).to_string();
        Signed { body, signature, repository: self.repository.to_string(), at: now }
    }

    /// The body as of `now`, with a nonce of its own.
    pub(crate) fn body(&self, now: Timestamp) -> String {
        let body = Body {
            owner: self.repository.owner.as_str(),
            repo: self.repository.repo.as_str(),
            platform: self.platform.as_str(),
            branch: self.branch.as_str(),
            passed: self.counts.passed(),
            failed: self.counts.failed(),
            skipped: self.counts.skipped(),
            total: self.counts.total(),
            timestamp: now.to_string(),
            nonce: Uuid::new_v4().to_string(),
            run_id: self.run_id.as_str(),
            run_attempt: self.run_attempt.get(),
            commit: self.commit.as_ref().map(Commit::as_str),
            workflow_run_url: self.run_url.as_ref().map(HttpsUrl::as_str),
        };
        #[expect(clippy::expect_used, reason = "strings and integers are always JSON")]
        serde_json::to_string(&body).expect("a flat object")
    }
}
