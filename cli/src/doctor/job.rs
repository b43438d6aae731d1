//! Checks that a job of a CI system can submit without a key.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::timestamp::Timestamp;
use ci_env::CiRun;

use super::failed;
use crate::error::CliError;
use crate::submit::{self, Proof, SendError, Service};

/// 1 January 2000, in milliseconds. The service verifies the token of a result before it rejects such a timestamp.
const STALE: i64 = 946_684_800_000;
/// A service that does not have the key of a token reads the keys of the issuer again after a minute.
const RETRY_FOR: Duration = Duration::from_secs(90);

/// Requests a token, and sends a result with it that is too old to be accepted, for the branch that the job proves.
pub(super) async fn check(
    proof: &Proof,
    url: &ServiceUrl,
    ci_run: &CiRun,
    repository: &Repository,
) -> Result<String, CliError> {
    let ci_run = submit::with_token_branch(ci_run);
    let branch = ci_run.branch.clone().map_err(failed)?;
    let result = super::result(repository, branch).map_err(failed)?;
    submit::check_token(&ci_run, &result).map_err(failed)?;
    let clock = Clock::manual(Timestamp::from_unix_milliseconds(STALE));
    let service = Service { url, proof, retry_for: RETRY_FOR, clock };
    match submit::send(&service, &result, submit::note_retry).await {
        Err(SendError::ClockSkew { .. }) => {
            Ok(format!("{url} accepts tokens of this job for {repository}, branch {}", result.branch))
        }
        Err(error) => Err(failed(error)),
        Ok(_) => Err(CliError::Failed(format!("{url} accepted a result dated 2000"))),
    }
}
