//! What an operator does with secrets: make, replace and delete them.

use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretError;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use aws_sdk_secretsmanager::primitives::DateTime;
use uuid::Uuid;

use super::{SecretsManager, Stage};
use crate::sdk::AwsError;
use badgesmith_domain::timestamp::Timestamp;

/// What is known of a secret besides its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretDescription {
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed: its value, or its description.
    pub changed: Timestamp,
    /// The id of the version that counts.
    pub current_id: Option<String>,
    /// It has a value that was current before.
    pub has_previous: bool,
    /// When it will be gone for good, if it was deleted. Until then it can be restored.
    pub gone_at: Option<Timestamp>,
}

/// What came of making a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    Created,
    /// There was one of that name already.
    Exists,
    /// One of that name was deleted, and can still be restored.
    BeingDeleted,
}

impl SecretsManager {
    /// For how many days a deleted secret can be restored: the most that there are.
    pub const RECOVERY_DAYS: u8 = 30;

    /// What is known of a secret; `None` when there is none.
    ///
    /// # Errors
    /// [`AwsError`] when Secrets Manager could not be asked.
    pub async fn describe(&self, name: &str) -> Result<Option<SecretDescription>, AwsError> {
        let output = match self.client.describe_secret().secret_id(name).send().await {
            Ok(output) => output,
            Err(error) => {
                return match error.as_service_error() {
                    Some(DescribeSecretError::ResourceNotFoundException(_)) => Ok(None),
                    _ => Err(AwsError::new("secretsmanager:DescribeSecret", error)),
                };
            }
        };
        let created = timestamp(output.created_date.as_ref()).unwrap_or(Timestamp::UNIX_EPOCH);
        let labels = output.version_ids_to_stages.unwrap_or_default();
        let version =
            |stage: Stage| labels.iter().find(|(_, all)| all.iter().any(|one| one == stage.label()));
        Ok(Some(SecretDescription {
            created,
            changed: timestamp(output.last_changed_date.as_ref()).unwrap_or(created),
            current_id: version(Stage::Current).map(|(id, _)| id.clone()),
            has_previous: version(Stage::Previous).is_some(),
            gone_at: timestamp(output.deleted_date.as_ref()),
        }))
    }

    /// Makes a secret.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it.
    pub async fn create(&self, name: &str, value: &str) -> Result<Created, AwsError> {
        let result = self.client.create_secret().name(name).secret_string(value).send().await;
        match result {
            Ok(_) => Ok(Created::Created),
            Err(error) => match error.as_service_error() {
                Some(CreateSecretError::ResourceExistsException(_)) => Ok(Created::Exists),
                Some(CreateSecretError::InvalidRequestException(_)) => Ok(Created::BeingDeleted),
                _ => Err(AwsError::new("secretsmanager:CreateSecret", error)),
            },
        }
    }

    /// Makes `value` the current one, and what was current the previous one. `false` when there is no such secret,
    /// or it is being deleted.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it. It may have been done all the same: when the answer was lost, and
    /// then the secret cannot be asked either.
    pub async fn replace(&self, name: &str, value: &str) -> Result<bool, AwsError> {
        // It becomes the id of the version.
        let token = Uuid::new_v4().to_string();
        let put = self.client.put_secret_value().secret_id(name).secret_string(value);
        match put.client_request_token(&token).send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(
                    PutSecretValueError::ResourceNotFoundException(_)
                    | PutSecretValueError::InvalidRequestException(_),
                ) => Ok(false),
                _ => match self.describe(name).await {
                    Ok(Some(facts)) if facts.current_id.as_ref() == Some(&token) => Ok(true),
                    _ => Err(AwsError::new("secretsmanager:PutSecretValue", error)),
                },
            },
        }
    }

    /// Deletes a secret, for [`Self::RECOVERY_DAYS`] so that it can be restored. `false` when there is none, or it is
    /// deleted already.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it.
    pub async fn delete(&self, name: &str) -> Result<bool, AwsError> {
        let days = i64::from(Self::RECOVERY_DAYS);
        match self.client.delete_secret().secret_id(name).recovery_window_in_days(days).send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(
                    DeleteSecretError::ResourceNotFoundException(_)
                    | DeleteSecretError::InvalidRequestException(_),
                ) => Ok(false),
                _ => Err(AwsError::new("secretsmanager:DeleteSecret", error)),
            },
        }
    }
}

fn timestamp(date: Option<&DateTime>) -> Option<Timestamp> {
    Some(Timestamp::from_unix_milliseconds(date?.to_millis().ok()?))
}
