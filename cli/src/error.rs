//! Errors of commands, and their exit codes.

use std::process::ExitCode;

use badgesmith_aws::dynamodb::StoreError;
use badgesmith_aws::sdk::AwsError;

use crate::aws_hint::aws_hint;

/// Why a command failed, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("{0}")]
    Failed(String),
    /// An argument is missing or invalid, so the command did nothing.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
}

impl CliError {
    /// The exit code, as listed in every `--help`.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
        })
    }
}

impl From<AwsError> for CliError {
    fn from(error: AwsError) -> Self {
        Self::Failed(match aws_hint(error.kind()) {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        })
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Aws(error) => error.into(),
            error @ StoreError::CorruptItem { .. } => Self::Failed(error.to_string()),
        }
    }
}
