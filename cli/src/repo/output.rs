//! The output of `badgesmith repo`.

use std::fmt;

use badgesmith_aws::secrets_manager::SecretDescription;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::registration::{ActiveRegistration, PREVIOUS_KEY_LIFETIME, Proofs, Registration};
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use crate::duration::{age, format_duration};
use crate::quantity::quantity;
use crate::table::Table;

/// A key that was created or rotated. Its text is the key alone, for `$(...)`.
#[derive(Serialize)]
pub(super) struct NewKey {
    pub(super) repository: String,
    /// The secret that holds the key; `None` for a derived key.
    pub(super) secret: Option<String>,
    pub(super) key: String,
    /// `None` if there was no previous key, or it is revoked.
    pub(super) previous_valid_until: Option<Timestamp>,
}

/// A repository whose ID tokens are accepted.
#[derive(Serialize)]
pub(super) struct KeylessRepository {
    pub(super) repository: String,
}

/// A repository or owner that the next ID token identifies.
#[derive(Serialize)]
pub(super) struct ResetIdentity {
    pub(super) name: String,
    /// The id that counted so far, if there was one.
    pub(super) previous: Option<u64>,
}

/// The current derived key of a repository.
#[derive(Serialize)]
pub(super) struct ShownKey {
    pub(super) repository: String,
    pub(super) key: String,
}

/// A registration, for one repository or for a list.
#[derive(Serialize)]
pub(super) struct RepositoryDescription {
    repository: String,
    removed_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    rotated_at: Option<Timestamp>,
    posts_per_minute: Option<u32>,
    derived_key: bool,
    previous_key_valid_until: Option<Timestamp>,
    own_secret: bool,
    own_secret_valid_until: Option<Timestamp>,
    /// Whether ID tokens are accepted, and the ids that they must have.
    keyless: bool,
    repository_id: Option<u64>,
    owner_id: Option<u64>,
    /// The name of the secret; absent in lists.
    #[serde(skip)]
    secret: Option<SecretDescription>,
    #[serde(skip)]
    now: Timestamp,
}

#[derive(Serialize)]
pub(super) struct RegistrationList {
    repositories: Vec<RepositoryDescription>,
}

#[derive(Serialize)]
pub(super) struct UpdatedRepository {
    pub(super) repository: String,
    pub(super) posts_per_minute: u32,
}

#[derive(Serialize)]
pub(super) struct RemovedRepository {
    pub(super) repository: String,
    pub(super) removed_at: Timestamp,
}

#[derive(Default, Serialize)]
pub(super) struct ImportSummary {
    pub(super) registered: Vec<String>,
    /// Registered before.
    pub(super) unchanged: Vec<String>,
    /// Removed before, so they stay removed.
    pub(super) removed: Vec<String>,
    /// Names of secrets with capital letters, which functions do not read.
    pub(super) ignored: Vec<String>,
}

/// Its text is the key alone, for `$(...)`.
#[derive(Serialize)]
pub(super) struct RenamedRepository {
    pub(super) from: String,
    pub(super) to: String,
    /// `None` if the new name was registered before, or the repository has no key.
    pub(super) key: Option<String>,
    pub(super) slots: usize,
}

#[derive(Serialize)]
pub(super) struct ErasedResults {
    pub(super) repository: String,
    pub(super) branch: Option<String>,
    pub(super) items: usize,
}

impl RepositoryDescription {
    pub(super) fn new(
        repository: &Repository,
        registration: &Registration,
        secret: Option<SecretDescription>,
        now: Timestamp,
    ) -> Self {
        let repository = repository.to_string();
        match registration {
            Registration::Removed(at) => Self {
                repository,
                removed_at: Some(*at),
                created_at: None,
                rotated_at: None,
                posts_per_minute: None,
                derived_key: false,
                previous_key_valid_until: None,
                own_secret: false,
                own_secret_valid_until: None,
                keyless: false,
                repository_id: None,
                owner_id: None,
                secret,
                now,
            },
            Registration::Active(ActiveRegistration { proofs, posts_per_minute, created, rotated }) => {
                let Proofs { derived, own_secret, keyless } = proofs;
                let ids = keyless.and_then(|keyless| keyless.ids);
                let own_secret = own_secret.filter(|secret| secret.counts_at(now));
                // The versions of an own secret show rotations by other tools, too.
                let secret_rotated =
                    secret.as_ref().filter(|secret| secret.has_previous).map(|secret| secret.changed);
                let previous = derived.and_then(|ids| ids.previous).map(|(_, until)| until);
                let previous =
                    previous.or_else(|| secret_rotated.map(|rotated| rotated.plus(PREVIOUS_KEY_LIFETIME)));
                let rotated_at = match (derived, &secret) {
                    (None, Some(_)) => secret_rotated,
                    (Some(_), _) | (None, None) => *rotated,
                };
                Self {
                    repository,
                    removed_at: None,
                    created_at: Some(*created),
                    rotated_at,
                    posts_per_minute: Some(posts_per_minute.get()),
                    derived_key: derived.is_some(),
                    previous_key_valid_until: previous.filter(|until| now < *until),
                    own_secret: own_secret.is_some(),
                    own_secret_valid_until: own_secret.and_then(|secret| secret.until),
                    keyless: keyless.is_some(),
                    repository_id: ids.map(|ids| ids.repository),
                    owner_id: ids.map(|ids| ids.owner),
                    secret,
                    now,
                }
            }
        }
    }

    fn proof(&self) -> String {
        let proofs =
            [(self.derived_key, "derived key"), (self.own_secret, "own secret"), (self.keyless, "ID tokens")];
        let proofs: Vec<_> = proofs.iter().filter(|(counts, _)| *counts).map(|(_, name)| *name).collect();
        if proofs.is_empty() { "none".to_owned() } else { proofs.join(", ") }
    }
}

impl RegistrationList {
    pub(super) fn new(registrations: &[(Repository, Registration)], now: Timestamp) -> Self {
        let describe = |(repository, registration): &(Repository, Registration)| {
            RepositoryDescription::new(repository, registration, None, now)
        };
        Self { repositories: registrations.iter().map(describe).collect() }
    }
}

impl fmt::Display for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

impl fmt::Display for KeylessRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ID tokens of {} are accepted", self.repository)
    }
}

impl fmt::Display for ResetIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reset {}", self.name)?;
        self.previous.map_or(Ok(()), |id| write!(f, ", which had the id {id}"))
    }
}

impl fmt::Display for ShownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

impl fmt::Display for RepositoryDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, now, .. } = self;
        let left = |until: Timestamp| format_duration(until.since(*now));
        write!(f, "repository  {repository}")?;
        if let Some(removed_at) = self.removed_at {
            write!(f, "\nremoved     {removed_at}, {} ago", age(removed_at, *now))?;
        }
        if let Some(created_at) = self.created_at {
            write!(f, "\nproof       {}", self.proof())?;
            if let Some(until) = self.own_secret_valid_until {
                write!(f, "; the secret counts for another {}", left(until))?;
            }
            write!(f, "\ncreated     {created_at}, {} ago", age(created_at, *now))?;
        }
        if let Some(rotated_at) = self.rotated_at {
            write!(f, "\nrotated     {rotated_at}, {} ago", age(rotated_at, *now))?;
            if let Some(until) = self.previous_key_valid_until {
                write!(f, "; the old key is valid for another {}", left(until))?;
                // Its versions do not show whether the secret was compromised.
                f.write_str(if self.secret.is_some() { ", unless it was revoked" } else { "" })?;
            }
        }
        match (self.repository_id, self.owner_id) {
            (Some(repository), Some(owner)) => {
                write!(f, "\nids         repository {repository}, owner {owner}")?;
            }
            _ if self.keyless => f.write_str("\nids         those of the next ID token")?,
            _ => {}
        }
        if let Some(rate) = self.posts_per_minute {
            write!(f, "\nrate        {} a minute", quantity(rate, "result"))?;
        }
        match &self.secret {
            Some(SecretDescription { deletes_at: Some(at), .. }) => {
                write!(f, "\nsecret      is scheduled for deletion at {at}, so its key does not count")
            }
            None if self.own_secret => f.write_str("\nsecret      does not exist, so no key counts"),
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for RegistrationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.repositories.is_empty() {
            return f.write_str("no repository is registered");
        }
        let mut table = Table::new(&["REPOSITORY", "PROOF", "CREATED", "ROTATED", "PER MINUTE"]);
        for repository in &self.repositories {
            let RepositoryDescription { removed_at, created_at, rotated_at, now, .. } = repository;
            let ago = |at: &Option<Timestamp>| {
                at.map_or_else(|| "-".to_owned(), |at| format!("{} ago", age(at, *now)))
            };
            let proof = if removed_at.is_some() {
                format!("removed {}", ago(removed_at))
            } else {
                repository.proof()
            };
            let rate = repository.posts_per_minute.map_or_else(|| "-".to_owned(), |rate| rate.to_string());
            table.row([repository.repository.clone(), proof, ago(created_at), ago(rotated_at), rate]);
        }
        table.fmt(f)
    }
}

impl fmt::Display for UpdatedRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = quantity(self.posts_per_minute, "result");
        write!(f, "{} may submit {rate} a minute", self.repository)
    }
}

impl fmt::Display for RemovedRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "removed {}", self.repository)
    }
}

impl fmt::Display for ImportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registered, unchanged, removed, ignored } = self;
        write!(f, "registered {}, {} registered before", registered.len(), unchanged.len())?;
        if !removed.is_empty() {
            write!(f, ", {} stay removed", removed.len())?;
        }
        if !ignored.is_empty() {
            write!(f, "\nignored names that are not in lower case: {}", ignored.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for RenamedRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key.as_deref().unwrap_or_default())
    }
}

impl fmt::Display for ErasedResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deleted {} of {}", quantity(self.items, "item"), self.repository)
    }
}

#[cfg(test)]
mod tests {
    use badgesmith_domain::derived_key::KeyId;
    use badgesmith_domain::registration::AccountIds;

    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_new_key_is_alone_in_the_text() {
        let key = NewKey {
            repository: "acme/kit".to_owned(),
            secret: None,
            key: "c2VjcmV0".to_owned(),
            previous_valid_until: Some(at("2026-05-02T10:00:00Z")),
        };
        assert_eq!(key.to_string(), "c2VjcmV0");
        insta::assert_json_snapshot!(key, @r#"
        {
          "repository": "acme/kit",
          "secret": null,
          "key": "c2VjcmV0",
          "previous_valid_until": "2026-05-02T10:00:00.000Z"
        }
        "#);
    }

    #[test]
    fn a_registration_has_every_date_but_no_key_id() {
        let (created, rotated) = (at("2026-05-01T10:00:00Z"), at("2026-05-03T10:00:00Z"));
        let registration = ActiveRegistration::with_own_secret(created)
            .rotated(KeyId::new([1; 16]), false, created)
            .rotated(KeyId::new([2; 16]), false, rotated);
        let ids = AccountIds { repository: 7, owner: 3 };
        let keyless = ActiveRegistration::keyless(Some(ids), created);
        let repository: Repository = "acme/kit".parse().unwrap();
        let registrations = [
            (repository.clone(), Registration::Active(registration)),
            (repository.clone(), Registration::Removed(rotated)),
            (repository.clone(), Registration::Active(keyless)),
            (repository, Registration::Active(ActiveRegistration::keyless(None, created))),
        ];
        let now = at("2026-05-03T12:30:00Z");
        let describe = |index: usize| {
            RepositoryDescription::new(&registrations[index].0, &registrations[index].1, None, now)
        };
        insta::assert_snapshot!(describe(0), @r"
        repository  acme/kit
        proof       derived key
        created     2026-05-01T10:00:00.000Z, 2d 2h ago
        rotated     2026-05-03T10:00:00.000Z, 2h 30m ago; the old key is valid for another 21h 30m
        rate        300 results a minute
        ");
        insta::assert_snapshot!(describe(1), @r"
        repository  acme/kit
        removed     2026-05-03T10:00:00.000Z, 2h 30m ago
        ");
        insta::assert_snapshot!(describe(2), @r"
        repository  acme/kit
        proof       ID tokens
        created     2026-05-01T10:00:00.000Z, 2d 2h ago
        ids         repository 7, owner 3
        rate        300 results a minute
        ");
        let first_token = describe(3).to_string();
        assert!(first_token.contains("those of the next ID token"), "{first_token}");
        insta::assert_json_snapshot!(describe(0), @r#"
        {
          "repository": "acme/kit",
          "removed_at": null,
          "created_at": "2026-05-01T10:00:00.000Z",
          "rotated_at": "2026-05-03T10:00:00.000Z",
          "posts_per_minute": 300,
          "derived_key": true,
          "previous_key_valid_until": "2026-05-04T10:00:00.000Z",
          "own_secret": false,
          "own_secret_valid_until": null,
          "keyless": false,
          "repository_id": null,
          "owner_id": null
        }
        "#);
        insta::assert_snapshot!(RegistrationList::new(&registrations, now), @r"
        REPOSITORY  PROOF               CREATED    ROTATED     PER MINUTE
        acme/kit    derived key         2d 2h ago  2h 30m ago  300
        acme/kit    removed 2h 30m ago  -          -           -
        acme/kit    ID tokens           2d 2h ago  -           300
        acme/kit    ID tokens           2d 2h ago  -           300
        ");
    }
}
