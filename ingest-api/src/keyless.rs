//! Submissions with the ID token of a CI job instead of a signature.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_types::SdkConfig;
use badgesmith_aws::dynamodb::{Issuers, Owners, PinOutcome, Registrations};
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::id_token::UnverifiedIdToken;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::oidc_owners::OwnerRule;
use badgesmith_domain::registration::{AccountIds, ActiveRegistration, Keyless, Proofs};
use badgesmith_domain::timestamp::Timestamp;

use crate::error::{Reason, SubmitError};
use crate::issuer_keys::IssuerKeys;
use crate::repository_keys::RepositoryKeys;
use crate::settings::OidcSettings;
use crate::submission::Unverified;

/// All calls for a token together. With those for a submission, they take less than the function's timeout of 12 s.
const TIME_MAX: Duration = Duration::from_secs(6);
/// The most repositories that an owner registers in a day, unless it is listed by name.
const NEW_REPOSITORIES_MAX: u32 = 100;
/// How often a registration is written and read again while others write it, too.
const TRIES: usize = 3;
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug)]
pub(crate) struct IdTokens {
    settings: OidcSettings,
    keys: IssuerKeys,
    registrations: Registrations,
    owners: Owners,
}

impl IdTokens {
    pub(crate) fn new(config: &SdkConfig, secrets_table: &str, settings: OidcSettings) -> Self {
        let issuers = Issuers::new(config, secrets_table.to_owned());
        Self {
            keys: IssuerKeys::new(issuers, settings.issuer.clone()),
            registrations: Registrations::new(config, secrets_table.to_owned()),
            owners: Owners::new(config, secrets_table.to_owned()),
            settings,
        }
    }

    /// Checks that a job of the repository has requested the token for this submission, and that the repository may
    /// submit results with tokens. Registers it if this is its first token. Returns how many results it may submit in a
    /// minute.
    ///
    /// # Errors
    /// [`SubmitError::Unauthorized`] with the reason, which the client does not learn.
    pub(crate) async fn verify(
        &self,
        unverified: &Unverified<'_>,
        token: &UnverifiedIdToken,
        repositories: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<NonZeroU32, SubmitError> {
        let verify = self.verify_in_time(unverified, token, repositories, now);
        tokio::time::timeout(TIME_MAX, verify).await.unwrap_or_else(|_| {
            Err(AwsError::unexpected("verifying an ID token", "the calls took more than 6 s").into())
        })
    }

    async fn verify_in_time(
        &self,
        unverified: &Unverified<'_>,
        token: &UnverifiedIdToken,
        repositories: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<NonZeroU32, SubmitError> {
        let repository = unverified.repository();
        let unauthorized = |reason| SubmitError::Unauthorized(repository.clone(), reason);
        // Before the registration is read, so that only jobs of the repository learn whether it has one.
        let claims = self.keys.verify(token, now).await?.ok_or_else(|| unauthorized(Reason::NotOfIssuer))?;
        claims
            .check(unverified.purpose(&self.settings.services), now)
            .map_err(|rejection| unauthorized(Reason::Token(rejection)))?;
        let rule = self.settings.owners.rule(&repository.owner);
        if matches!(rule, OwnerRule::ListedWithId(id) if id != claims.ids.owner) {
            return Err(unauthorized(Reason::OtherOwnerId));
        }
        let known = match repositories.registration(repository, now).await? {
            Ok(active) => Some(active),
            Err(Reason::NotRegistered) if rule != OwnerRule::NotListed => None,
            Err(reason) => return Err(unauthorized(reason)),
        };
        let known = match known {
            Some(active) if accepts(&active.proofs, claims.ids) => return Ok(active.posts_per_minute),
            Some(_) => repositories.reload_registration(repository, now).await?.map(Some),
            None => Ok(None),
        };
        self.admit(repository, claims.ids, known, repositories, now).await
    }

    /// Accepts the ids of a valid token for a repository that has none yet. `known` is its registration, `None` if it
    /// was never registered.
    ///
    /// Several requests may register the repository at the same time. All of them then read the same registration.
    async fn admit(
        &self,
        repository: &Repository,
        ids: AccountIds,
        mut known: Result<Option<ActiveRegistration>, Reason>,
        repositories: &RepositoryKeys,
        now: Timestamp,
    ) -> Result<NonZeroU32, SubmitError> {
        let unauthorized = |reason| SubmitError::Unauthorized(repository.clone(), reason);
        for _ in 0..TRIES {
            match known.map_err(unauthorized)? {
                Some(active) => match active.proofs.keyless {
                    Some(Keyless { ids: Some(expected) }) if expected == ids => {
                        return Ok(active.posts_per_minute);
                    }
                    Some(Keyless { ids: Some(_) }) => return Err(unauthorized(Reason::OtherRepositoryId)),
                    Some(Keyless { ids: None }) => {
                        let pinned = self.owners.pin(&repository.owner, ids.owner, now).await?;
                        check_owner(pinned, repository, now)?;
                        self.registrations.set_ids(repository, ids).await?;
                    }
                    None => return Err(unauthorized(Reason::KeysOnly)),
                },
                None => match self.register(repository, ids, now).await {
                    // An operator may have registered it, or another job within the limit.
                    Err(limit @ SubmitError::OwnerLimit(..)) => {
                        known = repositories.latest_registration(repository, now).await?.map(Some);
                        if matches!(known, Err(Reason::NotRegistered)) {
                            return Err(limit);
                        }
                        continue;
                    }
                    registered => registered?,
                },
            }
            known = repositories.latest_registration(repository, now).await?.map(Some);
        }
        Err(AwsError::unexpected("dynamodb:PutItem", "the registration kept changing").into())
    }

    /// Registers a repository, unless another request does at the same time.
    async fn register(
        &self,
        repository: &Repository,
        ids: AccountIds,
        now: Timestamp,
    ) -> Result<(), SubmitError> {
        let max = match self.settings.owners.rule(&repository.owner) {
            OwnerRule::All => NEW_REPOSITORIES_MAX,
            OwnerRule::Listed | OwnerRule::ListedWithId(_) => u32::MAX,
            OwnerRule::NotListed => {
                return Err(SubmitError::Unauthorized(repository.clone(), Reason::NotRegistered));
            }
        };
        // First the owner: without its id, nothing registers the repository.
        let counted = self.owners.count_repository(&repository.owner, ids.owner, max, now).await?;
        check_owner(counted, repository, now)?;
        if self.registrations.register(repository, ActiveRegistration::keyless(Some(ids), now)).await? {
            tracing::info!(
                %repository, repository_id = ids.repository, owner_id = ids.owner, "registered a repository by its ID token"
            );
        }
        Ok(())
    }
}

fn accepts(proofs: &Proofs, ids: AccountIds) -> bool {
    proofs.keyless == Some(Keyless { ids: Some(ids) })
}

fn check_owner(outcome: PinOutcome, repository: &Repository, now: Timestamp) -> Result<(), SubmitError> {
    match outcome {
        PinOutcome::Pinned => Ok(()),
        PinOutcome::OtherId => Err(SubmitError::Unauthorized(repository.clone(), Reason::OtherOwnerId)),
        PinOutcome::LimitReached => Err(SubmitError::OwnerLimit(repository.clone(), until_tomorrow(now))),
    }
}

/// The time until the next day begins in UTC.
fn until_tomorrow(now: Timestamp) -> Duration {
    let since_midnight = now.unix_seconds().rem_euclid(DAY.as_secs().cast_signed());
    DAY.saturating_sub(Duration::from_secs(since_midnight.unsigned_abs()))
}
