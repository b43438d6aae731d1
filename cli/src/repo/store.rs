//! Registrations, and the keys that belong to them.

use badgesmith_aws::dynamodb::{RegistrationRecord, Registrations};
use badgesmith_aws::secrets_manager::{SecretDescription, SecretNames, SecretsManager, Stage};
use badgesmith_domain::derived_key::{DerivedKey, KeyId, MasterKey};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::registration::{ActiveRegistration, Registration};

use crate::error::CliError;
use crate::stack::Stack;

/// Where registrations, secrets and the master key are.
#[derive(Debug)]
pub(crate) struct RepositoryStore {
    pub(super) registrations: Registrations,
    pub(super) secrets: SecretsManager,
    pub(super) secret_names: SecretNames,
    /// `None` for a stack of an older version, where `import` has to work before it is upgraded.
    master_key_arn: Option<String>,
}

impl RepositoryStore {
    pub(crate) fn new(stack: &Stack) -> Result<Self, CliError> {
        Ok(Self {
            registrations: stack.registrations()?,
            secrets: SecretsManager::new(&stack.config),
            secret_names: stack.secret_names(),
            master_key_arn: stack.master_key_arn(),
        })
    }

    /// The registration of a repository, or its tombstone.
    pub(super) async fn find(&self, repository: &Repository) -> Result<RegistrationRecord, CliError> {
        self.registrations.find(repository).await?.ok_or_else(|| not_registered(repository))
    }

    /// The registration of a repository that may submit results.
    pub(crate) async fn active(
        &self,
        repository: &Repository,
    ) -> Result<(RegistrationRecord, ActiveRegistration), CliError> {
        let record = self.find(repository).await?;
        match record.registration.clone() {
            Registration::Active(active) => Ok((record, active)),
            Registration::Removed(_) => Err(removed(repository)),
        }
    }

    /// Stores a registration in place of `replaced`. After an error, checks whether it was stored all the same.
    pub(super) async fn put(
        &self,
        repository: &Repository,
        registration: &Registration,
        replaced: Option<&RegistrationRecord>,
    ) -> Result<(), CliError> {
        match self.registrations.put(repository, registration, replaced).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(CliError::Failed(format!(
                "another command has changed the registration of {repository} in the meantime; run this one again"
            ))),
            Err(error) => match self.registrations.find(repository).await {
                Ok(Some(stored)) if stored.registration == *registration => Ok(()),
                Ok(_) | Err(_) => {
                    let error = CliError::from(error);
                    let advice =
                        format!("check with `badgesmith repo show {repository}` whether it took effect");
                    Err(CliError::Failed(format!("{error}; {advice}")))
                }
            },
        }
    }

    /// The key of a repository with this id.
    pub(crate) async fn derive(
        &self,
        repository: &Repository,
        key_id: KeyId,
    ) -> Result<DerivedKey, CliError> {
        let master = self.master_key(Stage::Current).await?;
        let master = master.ok_or_else(|| CliError::Failed("the master key does not exist".to_owned()))?;
        Ok(master.derive(repository, key_id))
    }

    /// A version of the master key; `None` if it does not exist.
    pub(crate) async fn master_key(&self, stage: Stage) -> Result<Option<MasterKey>, CliError> {
        let Some(version) = self.secrets.read(self.master_key_arn()?, stage).await? else { return Ok(None) };
        let master = MasterKey::new(&version.value);
        master.map(Some).ok_or_else(|| CliError::Failed("the master key is too short".to_owned()))
    }

    /// The description of the master key, without its values; `None` if it does not exist.
    pub(crate) async fn master_key_description(&self) -> Result<Option<SecretDescription>, CliError> {
        Ok(self.secrets.describe(self.master_key_arn()?).await?)
    }

    fn master_key_arn(&self) -> Result<&str, CliError> {
        self.master_key_arn.as_deref().ok_or_else(|| {
            let advice = "upgrade it to this version first";
            CliError::Failed(format!("the stack has no output MasterKeyArn; {advice}"))
        })
    }

    /// The name of the secret of a repository's own.
    pub(crate) fn secret_name(&self, repository: &Repository) -> String {
        self.secret_names.repository(repository)
    }

    /// What becomes of a repository's own secret when the repository is gone. Other stacks may share it.
    pub(super) fn secret_note(&self, repository: &Repository) -> String {
        let name = self.secret_name(repository);
        format!(
            "The secret {name} still exists; `aws secretsmanager delete-secret --secret-id {name}` deletes it."
        )
    }

    /// The description of a repository's own secret, if the registration has one.
    pub(crate) async fn secret_description(
        &self,
        repository: &Repository,
        registration: &Registration,
    ) -> Result<Option<SecretDescription>, CliError> {
        match registration {
            Registration::Active(active) if active.proofs.own_secret.is_some() => {
                Ok(self.secrets.describe(&self.secret_name(repository)).await?)
            }
            Registration::Active(_) | Registration::Removed(_) => Ok(None),
        }
    }
}

fn not_registered(repository: &Repository) -> CliError {
    CliError::NotFound(format!(
        "{repository} is not registered; register it with `badgesmith repo add {repository}`"
    ))
}

pub(super) fn removed(repository: &Repository) -> CliError {
    CliError::NotFound(format!(
        "{repository} was removed; register it again with `badgesmith repo add {repository}`"
    ))
}
