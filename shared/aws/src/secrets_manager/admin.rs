//! Operators create, update, describe and delete secrets.

use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretError;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use aws_sdk_secretsmanager::primitives::DateTime;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::package::{FeedName, Package, PackageType};
use badgesmith_domain::secret_scope::SecretScope;
use badgesmith_domain::timestamp::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{SecretNames, SecretsManager, Stage};
use crate::sdk::AwsError;

/// A secret without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretDescription {
    pub created: Timestamp,
    /// The last change of its value or its description.
    pub changed: Timestamp,
    /// The id of the version that has the label `AWSCURRENT`.
    pub current_id: Option<String>,
    /// Whether a version has the label `AWSPREVIOUS`.
    pub has_previous: bool,
    /// When Secrets Manager deletes it for good, if it is scheduled for deletion. Until then it can be restored.
    pub deletes_at: Option<Timestamp>,
}

/// The result of creating a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateOutcome {
    Created,
    /// A secret of that name exists. It is unchanged.
    AlreadyExists,
    /// A secret of that name is scheduled for deletion. It can be restored.
    ScheduledForDeletion,
}

/// The value of a secret that holds the key of a repository, base64 or not;
/// [`SecretKeys::parse`](badgesmith_domain::signature::SecretKeys::parse) reads it.
pub fn repository_secret(key: &str) -> String {
    json!({ "hmac_key": key, "type": "repo_hmac" }).to_string()
}

/// The value of a secret that holds a token for GitHub.
pub fn token_secret(token: &str) -> String {
    json!({ "token": token, "type": "github_pat" }).to_string()
}

/// The value of a secret that holds the credentials of a feed.
pub fn feed_secret(service_index: &str, username: &str, password: &str) -> String {
    json!({ "url": service_index, "username": username, "password": password, "type": "nuget_basic" })
        .to_string()
}

impl SecretNames {
    /// The name of the secret that holds the credentials of a feed: `{prefix}/nuget/{feed}`.
    pub fn feed(&self, feed: &FeedName) -> String {
        format!("{}/nuget/{feed}", self.prefix)
    }

    /// The name of the secret that holds the token for one package of GitHub, or for all public ones of an
    /// organization: `{prefix}/github/{organization}/{package}` or `{prefix}/github/{organization}`, with `@npm` or
    /// `@container` after the organization for these types. The table of secrets may map a package to another secret.
    pub fn token(&self, scope: &SecretScope) -> String {
        let prefix = &self.prefix;
        let of_type = |package_type: &PackageType| match package_type {
            PackageType::NuGet => "",
            PackageType::Npm => "@npm",
            PackageType::Container => "@container",
        };
        match scope {
            SecretScope::Organization(organization, package_type) => {
                format!("{prefix}/github/{organization}{}", of_type(package_type))
            }
            SecretScope::Package(Package::GitHub(organization, package_type, name)) => {
                format!("{prefix}/github/{organization}{}/{name}", of_type(package_type))
            }
            SecretScope::Package(Package::NuGet(Some(feed), _)) => self.feed(feed),
            SecretScope::Package(Package::NuGet(None, name)) => format!("{prefix}/nuget/-/{name}"),
        }
    }

    /// The repository whose secret has this name, and whether functions read it: they read names in lower case only.
    /// `None` for another secret.
    pub fn repository_of(&self, name: &str) -> Option<(Repository, bool)> {
        let repository = name.strip_prefix(&self.prefix)?.strip_prefix("/repo/")?.parse().ok()?;
        let is_read = self.repository(&repository) == name;
        Some((repository, is_read))
    }
}

impl SecretsManager {
    /// How many days a deleted secret can be restored: the maximum of Secrets Manager.
    pub const RECOVERY_DAYS: u8 = 30;

    /// Describes a secret; `None` when it does not exist.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
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
            deletes_at: timestamp(output.deleted_date.as_ref()),
        }))
    }

    /// The names of all secrets of the account that are not scheduled for deletion.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
    pub async fn names(&self) -> Result<Vec<String>, AwsError> {
        let mut pages = self.client.list_secrets().into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::new("secretsmanager:ListSecrets", error))?;
            names.extend(page.secret_list.unwrap_or_default().into_iter().filter_map(|secret| secret.name));
        }
        Ok(names)
    }

    /// Creates a secret.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed. The secret may exist all the same.
    pub async fn create(&self, name: &str, value: &str) -> Result<CreateOutcome, AwsError> {
        let result = self.client.create_secret().name(name).secret_string(value).send().await;
        match result {
            Ok(_) => Ok(CreateOutcome::Created),
            Err(error) => match error.as_service_error() {
                Some(CreateSecretError::ResourceExistsException(_)) => Ok(CreateOutcome::AlreadyExists),
                Some(CreateSecretError::InvalidRequestException(_)) => {
                    Ok(CreateOutcome::ScheduledForDeletion)
                }
                _ => Err(AwsError::new("secretsmanager:CreateSecret", error)),
            },
        }
    }

    /// Makes `value` the current version, and the current version the previous one. `false` when the secret does
    /// not exist or is scheduled for deletion.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed, and describing the secret did not show the new version. The value may
    /// have been stored all the same.
    pub async fn put_value(&self, name: &str, value: &str) -> Result<bool, AwsError> {
        // The token becomes the id of the version.
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
                    Ok(Some(secret)) if secret.current_id.as_ref() == Some(&token) => Ok(true),
                    _ => Err(AwsError::new("secretsmanager:PutSecretValue", error)),
                },
            },
        }
    }

    /// Schedules a secret for deletion after [`Self::RECOVERY_DAYS`]. `false` when it does not exist or is scheduled
    /// already.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed. The secret may be scheduled all the same.
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
