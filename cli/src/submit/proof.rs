//! How a submission proves its repository: with the repository's key, or with an OIDC token of the job.

use std::path::Path;

use badgesmith_domain::id_token::Job;
use badgesmith_domain::ids::Branch;
use badgesmith_domain::signature::HmacKey;
use badgesmith_domain::test_result::TestRun;
use ci_env::{CiRun, MissingReason, Provider};

use super::id_token::{InvalidEndpoint, TokenEndpoint};
use super::key::{KeyError, read_key};

#[derive(Debug, Clone)]
pub(crate) enum Proof {
    Key(HmacKey),
    /// Each request needs a new token.
    IdToken(TokenEndpoint),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
}

/// A submission that a token of the job cannot prove.
#[derive(Debug, thiserror::Error)]
#[error(
    "a result for {result} needs a key: {reason}; set BADGESMITH_KEY (`key` in the action) to the key of {repository}, \
     or pass --key-file"
)]
pub(crate) struct NeedsKey {
    result: String,
    reason: String,
    repository: String,
}

const NO_PERMISSION: &str = ", and no permission to request an OIDC token";

/// Why there is neither a key nor a token, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("no key{missing}: {advice} to the key of {repository}, or pass --key-file{hint}")]
pub(crate) struct NoProof {
    missing: &'static str,
    advice: &'static str,
    repository: String,
    hint: String,
}

impl Proof {
    /// The key, or else the endpoint of the job's tokens. `None` without either.
    pub(crate) fn find(key_file: Option<&Path>, provider: Provider) -> Result<Option<Self>, ProofError> {
        match read_key(key_file, provider)? {
            Some(key) => Ok(Some(Self::Key(key))),
            None => Ok(TokenEndpoint::from_environment()?.map(Self::IdToken)),
        }
    }
}

/// The run with the branch that a token of the job proves. With a key, the result of a pull request counts for its head;
/// a token proves only its number.
pub(crate) fn with_token_branch(ci_run: &CiRun) -> CiRun {
    let mut run = ci_run.clone();
    if let Some(branch) = run.token_job.as_ref().and_then(token_branch)
        && !run.branch.as_ref().is_err_and(MissingReason::is_expected)
    {
        run.branch = Ok(branch);
    }
    run
}

/// The branch of the job's reference, or `pull/NUMBER`, if a token proves it.
fn token_branch(job: &Job) -> Option<Branch> {
    let name = match job.reference.strip_prefix("refs/heads/") {
        Some(branch) => branch.to_owned(),
        None => format!("pull/{}", job.reference.strip_prefix("refs/pull/")?.split('/').next()?),
    };
    name.parse().ok().filter(|branch| job.may_report_for(branch))
}

/// Checks that a token of the job can prove `test_run`, as far as the job knows.
pub(crate) fn check_token(ci_run: &CiRun, test_run: &TestRun) -> Result<(), NeedsKey> {
    let TestRun { repository, branch, .. } = test_run;
    let needs_key =
        |result: String, reason: String| Err(NeedsKey { result, reason, repository: repository.to_string() });
    if let Ok(own) = &ci_run.repository
        && own != repository
    {
        return needs_key(repository.to_string(), format!("without one, this job submits only for {own}"));
    }
    let Some(job) = ci_run.token_job.as_ref().filter(|job| !job.may_report_for(branch)) else {
        return Ok(());
    };
    let reason = match (token_branch(job), &ci_run.branch) {
        (Some(own), _) => format!("without one, this job submits only for branch {own}"),
        (None, Err(reason)) if reason.is_expected() => reason.to_string(),
        (None, _) => format!(
            "without one, a job for {:?} submits at most for branches of forks (OWNER:BRANCH)",
            job.event
        ),
    };
    needs_key(format!("branch {branch}"), reason)
}

impl NoProof {
    pub(crate) fn new(ci_run: &CiRun, repository: String) -> Self {
        let (missing, advice) = if ci_run.provider == Provider::GitHubActions {
            let advice = "add to the job or the workflow\n\npermissions:\n  id-token: write\n\n(with `contents: read` for \
                          actions/checkout, because a job has only the permissions that are listed), or set \
                          BADGESMITH_KEY (`key` in the action)";
            (NO_PERMISSION, advice)
        } else if ci_run.provider == Provider::Forgejo {
            let advice = "add `enable-openid-connect: true` to the job or the workflow, or set BADGESMITH_KEY (`key` in \
                          the action)";
            (NO_PERMISSION, advice)
        } else {
            ("", "set BADGESMITH_KEY")
        };
        let hint = ci_run.no_secret_reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        Self { missing, advice, repository, hint }
    }
}
