//! The registration of a repository: whether it may submit results, and how it proves who it is.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::derived_key::KeyId;
use crate::timestamp::Timestamp;

/// How long the key before a rotation stays valid.
pub const PREVIOUS_KEY_LIFETIME: Duration = Duration::from_hours(24);
/// How many results a repository may submit in a minute, unless its registration says otherwise.
pub const POSTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(300).unwrap();

/// What is known about a repository whose name was registered once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    Active(ActiveRegistration),
    /// The repository was removed at this time. Only an operator may register it again.
    Removed(Timestamp),
}

/// A repository that may submit results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveRegistration {
    pub proofs: Proofs,
    /// How many results it may submit in a minute, and at once.
    pub posts_per_minute: NonZeroU32,
    pub created: Timestamp,
    /// When its key was last replaced by a command.
    pub rotated: Option<Timestamp>,
}

/// The proofs that count: a signature by any of these keys, or an ID token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proofs {
    pub derived: Option<DerivedKeyIds>,
    pub own_secret: Option<OwnSecret>,
    pub keyless: Option<Keyless>,
}

/// ID tokens of the repository's CI jobs count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyless {
    /// The only ids that its tokens may have. `None` before the first valid token, which sets them.
    pub ids: Option<AccountIds>,
}

/// The ids of a repository and its owner at the CI system. Another account can take a name, but not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountIds {
    pub repository: u64,
    pub owner: u64,
}

/// The ids of the derived keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DerivedKeyIds {
    pub current: KeyId,
    /// The key before the last rotation, and when it expires.
    pub previous: Option<(KeyId, Timestamp)>,
}

impl DerivedKeyIds {
    /// The ids whose keys count at `now`, the current one first.
    pub fn at(self, now: Timestamp) -> impl Iterator<Item = KeyId> {
        let previous = self.previous.filter(|(_, until)| now < *until).map(|(id, _)| id);
        [Some(self.current), previous].into_iter().flatten()
    }
}

/// A secret in Secrets Manager that holds the key of this one repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnSecret {
    /// When it stops to count, once a derived key has replaced it.
    pub until: Option<Timestamp>,
}

impl OwnSecret {
    pub fn counts_at(self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl ActiveRegistration {
    /// A new registration with a derived key.
    pub fn with_derived_key(key_id: KeyId, now: Timestamp) -> Self {
        let derived = Some(DerivedKeyIds { current: key_id, previous: None });
        Self::new(Proofs { derived, ..Proofs::default() }, now)
    }

    /// A new registration with a secret of its own.
    pub fn with_own_secret(now: Timestamp) -> Self {
        let own_secret = Some(OwnSecret { until: None });
        Self::new(Proofs { own_secret, ..Proofs::default() }, now)
    }

    /// A new registration without a key, whose ID tokens must have these ids. `None` accepts those of the first one.
    pub fn keyless(ids: Option<AccountIds>, now: Timestamp) -> Self {
        Self::new(Proofs { keyless: Some(Keyless { ids }), ..Proofs::default() }, now)
    }

    fn new(proofs: Proofs, now: Timestamp) -> Self {
        Self { proofs, posts_per_minute: POSTS_PER_MINUTE, created: now, rotated: None }
    }

    /// This registration with another derived key. What counted before counts for [`PREVIOUS_KEY_LIFETIME`] more, or
    /// no longer if it is `compromised`.
    #[must_use]
    pub fn rotated(&self, key_id: KeyId, compromised: bool, now: Timestamp) -> Self {
        let until = now.plus(PREVIOUS_KEY_LIFETIME);
        let Proofs { derived, own_secret, keyless } = self.proofs;
        let previous = derived.map(|ids| (ids.current, until)).filter(|_| !compromised);
        let own_secret = own_secret.filter(|secret| !compromised && secret.counts_at(now)).map(|secret| {
            OwnSecret { until: Some(secret.until.map_or(until, |earlier| earlier.min(until))) }
        });
        let derived = Some(DerivedKeyIds { current: key_id, previous });
        Self { proofs: Proofs { derived, own_secret, keyless }, rotated: Some(now), ..self.clone() }
    }
}
