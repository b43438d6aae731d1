//! The keys of the repositories, and when each stops being valid.

use std::time::Duration;

use fastrand::Rng;

use super::schedule::REPOSITORIES;

/// Functions cache registrations and secrets for five minutes. The rest allows for calls in progress.
const CACHED_FOR: Duration = Duration::from_secs(5 * 60 + 20);
/// If no key matches, functions read a registration again once a minute. The rest allows for stale reads.
const KNOWN_AFTER: Duration = Duration::from_secs(60 + 10);

#[derive(Debug, Clone)]
struct Key {
    text: String,
    /// The numbers of its key id and of the master key that it is derived from; `None` for a repository's own secret.
    derived: Option<(u32, u32)>,
    /// The virtual time from which it is valid.
    since: Duration,
    /// The virtual time at which it stops being valid.
    ends: Option<Duration>,
    is_current: bool,
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    repositories: [Vec<Key>; REPOSITORIES.len()],
    /// The number of the latest key id; 0 if there is none.
    key_id: u32,
    /// The number of the current master key, from 0.
    master: u32,
}

/// How a new key of a repository is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewKey {
    OwnSecret,
    /// Derived, with a new key id in the registration.
    KeyId,
    /// Derived from a new master key, with the same key id.
    MasterKey,
}

impl Keys {
    /// Adds a key of a repository, which becomes the current one.
    pub(super) fn add(&mut self, repository: usize, text: String, from: NewKey, since: Duration) {
        let keys = &mut self.repositories[repository];
        let before = keys.iter().rfind(|key| key.is_current).and_then(|key| key.derived);
        let derived = match (from, before) {
            (NewKey::OwnSecret, _) => None,
            (NewKey::MasterKey, Some((key_id, _))) => Some((key_id, self.master)),
            (NewKey::KeyId | NewKey::MasterKey, _) => {
                self.key_id += 1;
                Some((self.key_id, self.master))
            }
        };
        for key in &mut *keys {
            key.is_current = false;
        }
        keys.push(Key { text, derived, since, ends: None, is_current: true });
    }

    /// The key that the client has.
    pub(super) fn current(&self, repository: usize) -> Option<String> {
        self.repositories[repository].iter().find(|key| key.is_current).map(|key| key.text.clone())
    }

    /// The key before the current one, if it is still valid.
    pub(super) fn previous(&self, repository: usize, now: Duration) -> Option<String> {
        let key = self.repositories[repository].iter().rev().nth(1)?;
        key.ends.is_none_or(|ends| now < ends).then(|| key.text.clone())
    }

    /// Whether every function accepts a key from `began` to `now`.
    pub(super) fn is_valid(&self, repository: usize, text: &str, began: Duration, now: Duration) -> bool {
        self.repositories[repository].iter().any(|key| {
            key.text == text && key.since + KNOWN_AFTER <= began && key.ends.is_none_or(|ends| now < ends)
        })
    }

    /// One of the keys that no function accepts anymore.
    pub(super) fn ended(&self, repository: usize, now: Duration, random: &mut Rng) -> Option<String> {
        let ended = self.repositories[repository].iter().filter(|key| key.has_ended(now)).collect::<Vec<_>>();
        random.choice(&ended).map(|key| key.text.clone())
    }

    /// Whether no function accepts a key anymore.
    pub(super) fn has_ended(&self, repository: usize, text: &str, now: Duration) -> bool {
        self.repositories[repository].iter().any(|key| key.text == text && key.has_ended(now))
    }

    pub(super) fn has_current(&self, repository: usize) -> bool {
        self.current(repository).is_some()
    }

    /// Replaces the key id. Keys of the current key id, and own secrets, end at `previous_until`; older keys end now.
    pub(super) fn rotate(&mut self, repository: usize, now: Duration, previous_until: Duration) {
        let keys = &mut self.repositories[repository];
        let current = keys.iter().rfind(|key| key.is_current).and_then(|key| key.derived);
        for key in keys {
            let is_previous =
                key.derived.map(|(id, _)| id) == current.map(|(id, _)| id) || key.derived.is_none();
            key.end(if is_previous { previous_until } else { now });
        }
    }

    /// Ends all keys of a repository at a time, except those that end earlier.
    pub(super) fn end(&mut self, repository: usize, at: Duration) {
        for key in &mut self.repositories[repository] {
            key.end(at);
        }
    }

    /// Ends all keys of a repository that was removed.
    pub(super) fn remove(&mut self, repository: usize, at: Duration) {
        for key in &mut self.repositories[repository] {
            key.end(at);
            key.is_current = false;
        }
    }

    /// Replaces the master key. Keys derived from the one before the previous end.
    pub(super) fn rotate_master(&mut self, at: Duration) {
        self.end_previous_master(at);
        self.master += 1;
    }

    /// Ends all keys that are not derived from the current master key.
    pub(super) fn end_previous_master(&mut self, at: Duration) {
        let current = self.master;
        for key in self.repositories.iter_mut().flatten() {
            if key.derived.is_some_and(|(_, master)| master < current) {
                key.end(at);
            }
        }
    }
}

impl Key {
    fn has_ended(&self, now: Duration) -> bool {
        self.ends.is_some_and(|ends| ends + CACHED_FOR <= now)
    }

    fn end(&mut self, at: Duration) {
        self.ends = Some(self.ends.map_or(at, |ends| ends.min(at)));
    }
}
