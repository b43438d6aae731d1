//! Secrets and their versions.

#[cfg(feature = "admin")]
mod admin;

#[cfg(feature = "admin")]
pub use admin::{CreateOutcome, SecretDescription, feed_secret, repository_secret, token_secret};

use std::fmt;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_types::SdkConfig;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::timestamp::Timestamp;

use crate::sdk::AwsError;

/// The names of a stack's secrets. They begin with a prefix, so that stacks of one account need not share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretNames {
    prefix: String,
}

impl Default for SecretNames {
    /// The names with the default prefix of the template.
    fn default() -> Self {
        Self::new("badge".to_owned())
    }
}

impl SecretNames {
    pub fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// The name of the secret that holds a repository's HMAC key: `{prefix}/repo/{owner}/{repo}`.
    pub fn repository(&self, repository: &Repository) -> String {
        format!("{}/repo/{repository}", self.prefix)
    }
}

/// The Secrets Manager of the account.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
}

/// A version of a secret, by its staging label:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `AWSCURRENT`
    Current,
    /// `AWSPREVIOUS`, the current version before the last rotation.
    Previous,
}

impl Stage {
    fn label(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Previous => "AWSPREVIOUS",
        }
    }
}

/// One version of a secret. Its value does not show in `Debug` output.
#[derive(Clone)]
pub struct SecretVersion {
    /// The version's id, a new one for each value.
    pub id: String,
    pub value: String,
    /// When this version was stored.
    pub created: Timestamp,
}

impl fmt::Debug for SecretVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretVersion")
            .field("id", &self.id)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

impl SecretsManager {
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// Reads one version of a secret; `None` when the secret or the version does not exist, is scheduled for deletion,
    /// or holds no text.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
    pub async fn read(&self, name: &str, stage: Stage) -> Result<Option<SecretVersion>, AwsError> {
        match self.client.get_secret_value().secret_id(name).version_stage(stage.label()).send().await {
            Ok(output) => Ok(output.secret_string.map(|value| SecretVersion {
                id: output.version_id.unwrap_or_default(),
                value,
                created: Timestamp::from_unix_milliseconds(
                    output.created_date.and_then(|date| date.to_millis().ok()).unwrap_or_default(),
                ),
            })),
            Err(error) => match error.as_service_error() {
                // A secret that is scheduled for deletion causes an InvalidRequestException.
                Some(
                    GetSecretValueError::ResourceNotFoundException(_)
                    | GetSecretValueError::InvalidRequestException(_),
                ) => Ok(None),
                _ => Err(AwsError::new("secretsmanager:GetSecretValue", error)),
            },
        }
    }
}
