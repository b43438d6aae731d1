//! The keys of the repositories, and when each stops to count.

use std::time::Duration;

use fastrand::Rng;

use super::schedule::REPOSITORIES;

/// Functions remember registrations and secrets for five minutes. The rest is for calls that are under way.
const CACHED_FOR: Duration = Duration::from_secs(5 * 60 + 20);

#[derive(Debug, Clone)]
struct Key {
    text: String,
    /// The number of its key id, and of the master key that it is derived from; `None` for a secret of its own.
    derived: Option<(u32, u32)>,
    /// The virtual time since which it counts.
    since: Duration,
    /// The virtual time at which it stops to count.
    ends: Option<Duration>,
    is_current: bool,
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    repositories: [Vec<Key>; REPOSITORIES.len()],
    /// How many key ids and master keys there were before the current one.
    key_id: u32,
    master: u32,
}

/// Where a new key of a repository comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewKey {
    OwnSecret,
    /// Its registration has a new key id.
    KeyId,
    /// It is derived from another master key, with the key id of before.
    MasterKey,
}

impl Keys {
    /// Adds the current key of a repository.
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

    /// One of the keys that no longer count anywhere.
    pub(super) fn ended(&self, repository: usize, now: Duration, random: &mut Rng) -> Option<String> {
        let ended = self.repositories[repository].iter().filter(|key| key.is_over(now)).collect::<Vec<_>>();
        random.choice(&ended).map(|key| key.text.clone())
    }

    /// Whether a key counts nowhere.
    pub(super) fn is_over(&self, repository: usize, text: &str, now: Duration) -> bool {
        self.repositories[repository].iter().any(|key| key.text == text && key.is_over(now))
    }

    pub(super) fn has_current(&self, repository: usize) -> bool {
        self.current(repository).is_some()
    }

    /// Whether a key has counted for this long, without an end in sight.
    pub(super) fn has_counted_for(
        &self,
        repository: usize,
        text: &str,
        duration: Duration,
        now: Duration,
    ) -> bool {
        let counts = |key: &Key| {
            key.text == text && key.is_current && key.ends.is_none() && key.since + duration <= now
        };
        self.repositories[repository].iter().any(counts)
    }

    /// The key id is replaced. Only the key before counts for some more time.
    pub(super) fn rotate(&mut self, repository: usize, now: Duration, previous_until: Duration) {
        let keys = &mut self.repositories[repository];
        let current = keys.iter().rfind(|key| key.is_current).and_then(|key| key.derived);
        for key in keys {
            let is_previous =
                key.derived.map(|(id, _)| id) == current.map(|(id, _)| id) || key.derived.is_none();
            key.end(if is_previous { previous_until } else { now });
        }
    }

    /// Ends all keys of a repository at a time, or earlier if they end earlier.
    pub(super) fn end(&mut self, repository: usize, at: Duration) {
        for key in &mut self.repositories[repository] {
            key.end(at);
        }
    }

    /// The repository was removed.
    pub(super) fn remove(&mut self, repository: usize, at: Duration) {
        for key in &mut self.repositories[repository] {
            key.end(at);
            key.is_current = false;
        }
    }

    /// Another master key is the current one. Keys of the one before the previous end.
    pub(super) fn rotate_master(&mut self, at: Duration) {
        self.end_derived(|master, current| master < current, at);
        self.master += 1;
    }

    /// Only keys of the current master key still count.
    pub(super) fn end_previous_master(&mut self, at: Duration) {
        self.end_derived(|master, current| master < current, at);
    }

    fn end_derived(&mut self, ends: fn(u32, u32) -> bool, at: Duration) {
        let current = self.master;
        for key in self.repositories.iter_mut().flatten() {
            if key.derived.is_some_and(|(_, master)| ends(master, current)) {
                key.end(at);
            }
        }
    }
}

impl Key {
    fn is_over(&self, now: Duration) -> bool {
        self.ends.is_some_and(|ends| ends + CACHED_FOR <= now)
    }

    fn end(&mut self, at: Duration) {
        self.ends = Some(self.ends.map_or(at, |ends| ends.min(at)));
    }
}
