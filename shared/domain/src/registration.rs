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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn id(byte: u8) -> KeyId {
        KeyId::new([byte; 16])
    }

    #[track_caller]
    fn check(registration: &ActiveRegistration, after: Duration, expected: &[KeyId], own_secret: bool) {
        let (now, proofs) = (NOW.plus(after), &registration.proofs);
        let ids: Vec<_> = proofs.derived.iter().flat_map(|ids| ids.at(now)).collect();
        assert_eq!(ids, expected);
        assert_eq!(proofs.own_secret.is_some_and(|secret| secret.counts_at(now)), own_secret);
    }

    #[test]
    fn the_key_before_a_rotation_counts_for_a_day() {
        let rotated = ActiveRegistration::with_derived_key(id(1), NOW).rotated(id(2), false, NOW);
        check(&rotated, Duration::ZERO, &[id(2), id(1)], false);
        check(&rotated, PREVIOUS_KEY_LIFETIME, &[id(2)], false);
        let again = rotated.rotated(id(3), false, NOW);
        check(&again, Duration::ZERO, &[id(3), id(2)], false);
    }

    #[test]
    fn a_compromised_key_does_not_count() {
        for before in [
            ActiveRegistration::with_derived_key(id(1), NOW).rotated(id(2), false, NOW),
            ActiveRegistration::with_own_secret(NOW),
        ] {
            check(&before.rotated(id(3), true, NOW), Duration::ZERO, &[id(3)], false);
        }
    }

    #[test]
    fn a_derived_key_replaces_an_own_secret_within_a_day() {
        let day = PREVIOUS_KEY_LIFETIME;
        let rotated = ActiveRegistration::with_own_secret(NOW).rotated(id(1), false, NOW);
        check(&rotated, Duration::ZERO, &[id(1)], true);
        check(&rotated, day, &[id(1)], false);
        let again = rotated.rotated(id(2), false, NOW.plus(day / 2));
        check(&again, day, &[id(2), id(1)], false);
        assert_eq!(
            rotated.rotated(id(2), false, NOW.plus(day)).proofs.own_secret,
            None,
            "it may be deleted by now"
        );
    }
}
