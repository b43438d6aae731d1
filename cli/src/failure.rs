//! How an operator's command ends when it does not end well.

use std::process::ExitCode;

use badgesmith_aws::dynamodb::StoreError;
use badgesmith_aws::sdk::AwsError;

/// What all operators' commands say below their examples.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or not done as a whole
  2  wrong use: something is missing or wrong in what was given
  3  not found: there is no such thing";

/// The end of a command's help.
pub(crate) fn help(examples: &str) -> String {
    format!("Examples:\n{examples}\n\n{EXIT_CODES}")
}

/// Why a command did not do what it was asked for. Each says what to do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It was tried.
    #[error("{0}")]
    Failed(String),
    /// It could not be tried as it was asked.
    #[error("{0}")]
    Usage(String),
    /// What it is about is not there.
    #[error("{0}")]
    NotFound(String),
}

impl Failure {
    /// The exit code, as [`EXIT_CODES`] says.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
        })
    }
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        Self::Failed(with_advice(&error.to_string()))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Aws(error) => error.into(),
            error @ StoreError::CorruptItem { .. } => Self::Failed(error.to_string()),
        }
    }
}

/// A failed call, and what mends it, as far as that can be told from what AWS says.
pub(crate) fn with_advice(error: &str) -> String {
    let any = |texts: &[&str]| texts.iter().any(|text| error.contains(text));
    let advice = if any(&["AccessDenied", "not authorized", "UnauthorizedOperation"]) {
        "these credentials may not do that: use others with --profile, or have it allowed"
    } else if any(&[
        "ExpiredToken",
        "has expired",
        "InvalidClientTokenId",
        "UnrecognizedClient",
        "InvalidAccessKeyId",
    ]) {
        "the credentials are not valid, or no longer: sign in again, for example with `aws sso login`"
    } else if any(&["credentials", "credential provider", "no providers in chain"]) {
        "there are no credentials: name a profile of ~/.aws with --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    } else if any(&["PurgeQueueInProgress"]) {
        "it was purged less than a minute ago: wait a minute"
    } else if any(&["NonExistentQueue", "QueueDoesNotExist", "ResourceNotFoundException"]) {
        "that is not there: are --stack, --region and --endpoint-url right?"
    } else if any(&["dispatch failure", "timed out", "timeout"]) {
        "AWS does not answer: are the network, --region and --endpoint-url right?"
    } else {
        return error.to_owned();
    };
    format!("{error}; {advice}")
}
