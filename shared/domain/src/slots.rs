//! The slots of a branch, and the badge that they add up to.
//!
//! A slot is the newest result of a suite on a platform. The slots of one CI run need no coordination: a job that has
//! not reported yet keeps its last result, so that a run in progress never shows a partial sum, and a failed suite
//! stays red until it succeeds, is retired, or becomes silent.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;

use crate::ids::Platform;
use crate::test_result::{Conclusion, Counts, HttpsUrl, Suite, TestResult, TestRun};
use crate::timestamp::Timestamp;

/// The maximum number of slots that a badge adds up.
pub const SLOTS_MAX: usize = 300;
/// A slot counts while it is at most this much older than the newest slot of its branch.
const LIVE_FOR: Duration = Duration::from_hours(35 * 24);

/// How long badges show the slots of a branch after its newest one.
const SHOWN_FOR: Duration = Duration::from_hours(2 * 365 * 24);
/// The same for branches other than the default branch.
const NON_DEFAULT_BRANCH_SHOWN_FOR: Duration = Duration::from_hours(180 * 24);
/// How much longer a slot is stored than it is shown. A slot must not be deleted while a newer one is shown, or a
/// branch would turn green because a failure expired. DynamoDB deletes expired items within a few days.
pub const STORED_AFTER_SHOWN: Duration = LIVE_FOR.saturating_add(Duration::from_hours(5 * 24));

/// Until when badges show the slot of `run`, if its branch has no newer one.
pub fn shown_until(run: &TestRun) -> Timestamp {
    let shown_for = match &run.default_branch {
        Some(default) if *default != run.branch => NON_DEFAULT_BRANCH_SHOWN_FOR,
        Some(_) | None => SHOWN_FOR,
    };
    run.timestamp.plus(shown_for)
}

/// The earliest time at which a slot with this timestamp becomes silent, if other suites of its branch keep reporting.
pub fn silent_after(timestamp: Timestamp) -> Timestamp {
    timestamp.plus(LIVE_FOR)
}

/// Whether a slot that is not retired is live. `newest` is the timestamp of the newest slot of its branch.
fn is_live(timestamp: Timestamp, newest: Timestamp) -> bool {
    newest.since(timestamp) <= LIVE_FOR
}

/// Whether a slot counts, or why it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotState {
    Live,
    Retired,
    /// More than 35 days older than the newest slot of its branch.
    Silent,
}

impl SlotState {
    /// The state of each of the slots of one branch, in the same order.
    pub fn of_branch(slots: &[TestResult]) -> Vec<Self> {
        let newest =
            slots.iter().filter(|slot| !slot.run.outcome.is_retired()).map(|slot| slot.run.timestamp).max();
        slots.iter().map(|slot| Self::of(slot, newest)).collect()
    }

    fn of(slot: &TestResult, newest: Option<Timestamp>) -> Self {
        match newest {
            _ if slot.run.outcome.is_retired() => Self::Retired,
            Some(newest) if !is_live(slot.run.timestamp, newest) => Self::Silent,
            Some(_) | None => Self::Live,
        }
    }
}

/// What a badge needs to know about a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub platform: Platform,
    pub suite: Option<Suite>,
    pub counts: Counts,
    pub conclusion: Conclusion,
    pub timestamp: Timestamp,
    /// See [`shown_until`].
    pub shown_until: Timestamp,
    /// The target of a click on the badge.
    pub link: Option<HttpsUrl>,
}

impl Slot {
    /// The slot of `result`; `None` if it retires its suite.
    pub fn from_result(result: &TestResult) -> Option<Self> {
        let run = &result.run;
        Some(Self {
            platform: run.platform,
            suite: run.suite.clone(),
            counts: run.outcome.counts(),
            conclusion: run.outcome.conclusion()?,
            timestamp: run.timestamp,
            shown_until: shown_until(run),
            link: run.link().cloned(),
        })
    }

    fn is_failure(&self) -> bool {
        self.conclusion == Conclusion::Failure
    }
}

/// The live slots of a branch, newest first. A slot is live when it is not retired and at most 35 days older than the
/// newest slot of the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSlots {
    slots: Vec<Slot>,
    is_complete: bool,
}

/// The slots that a badge shows: those of a platform, of a suite, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    pub platform: Option<Platform>,
    pub suite: Option<Suite>,
}

/// The sum of the live slots that match a [`Selection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub passed: u64,
    pub failed: u64,
    /// Whether a run failed, perhaps outside its tests.
    pub has_failure: bool,
    /// Whether all live slots of the branch were read.
    pub is_complete: bool,
    pub newest: Timestamp,
}

impl LiveSlots {
    /// `newest_first` holds slots of a branch that are not retired. `has_more` means that older ones were not read.
    pub fn new(newest_first: Vec<Slot>, has_more: bool, now: Timestamp) -> Self {
        let read = newest_first.len();
        let newest = newest_first.first().filter(|slot| now < slot.shown_until).map(|slot| slot.timestamp);
        let is_live = |slot: &Slot| newest.is_some_and(|newest| is_live(slot.timestamp, newest));
        let mut slots: Vec<_> = newest_first.into_iter().take_while(is_live).collect();
        // Slots that were not read are older, so they are live only if all that were read are.
        let is_complete = slots.len() < read || !has_more && read <= SLOTS_MAX;
        slots.truncate(SLOTS_MAX);
        // While DynamoDB moves an entry in the index, a query may also find it at its old position.
        let mut suites = HashSet::new();
        slots.retain(|slot| suites.insert((slot.platform, slot.suite.clone())));
        Self { slots, is_complete }
    }

    /// The same, when slots of any age were not read.
    #[must_use]
    pub fn incomplete(self) -> Self {
        Self { is_complete: false, ..self }
    }

    /// Whether all live slots of the branch were read.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn matching<'a>(&'a self, selection: &Selection) -> impl Iterator<Item = &'a Slot> {
        self.slots.iter().filter(|slot| {
            selection.platform.is_none_or(|platform| slot.platform == platform)
                && selection.suite.as_ref().is_none_or(|suite| slot.suite.as_ref() == Some(suite))
        })
    }

    pub fn has_match(&self, selection: &Selection) -> bool {
        self.matching(selection).next().is_some()
    }

    /// The sum of the slots that match; `None` if none does.
    pub fn summary(&self, selection: &Selection) -> Option<Summary> {
        let newest = self.matching(selection).next()?.timestamp;
        let sum = |count: fn(Counts) -> u32| {
            self.matching(selection).map(|slot| u64::from(count(slot.counts))).sum()
        };
        Some(Summary {
            passed: sum(Counts::passed),
            failed: sum(Counts::failed),
            has_failure: self.matching(selection).any(Slot::is_failure),
            is_complete: self.is_complete,
            newest,
        })
    }

    /// The link of the newest matching slot that failed, or of the newest matching slot if none failed. Slots without a
    /// link are skipped.
    pub fn link(&self, selection: &Selection) -> Option<&HttpsUrl> {
        let has_failure = self.matching(selection).any(Slot::is_failure);
        let mut newest_first = self.matching(selection).filter(|slot| slot.is_failure() == has_failure);
        newest_first.find_map(|slot| slot.link.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn now() -> Timestamp {
        Timestamp::from_unix_milliseconds(1_700_000_000_000)
    }

    /// A slot that is some days old: `linux`, `ci / test`, passed, failed.
    fn slot(days: u32, platform: &str, suite: &str, passed: u32, failed: u32) -> Slot {
        Slot {
            platform: platform.parse().unwrap(),
            suite: suite.parse().ok(),
            counts: Counts::new(passed, failed, 0, passed + failed).unwrap(),
            conclusion: if failed > 0 { Conclusion::Failure } else { Conclusion::Success },
            timestamp: now().minus(days * DAY),
            shown_until: now().minus(days * DAY).plus(SHOWN_FOR),
            link: format!("https://ci.test/{platform}/{}", suite.replace(' ', "")).parse().ok(),
        }
    }

    fn selection(platform: &str, suite: &str) -> Selection {
        Selection { platform: platform.parse().ok(), suite: suite.parse().ok() }
    }

    fn counts(slots: &LiveSlots, platform: &str, suite: &str) -> Option<(u64, u64)> {
        slots.summary(&selection(platform, suite)).map(|summary| (summary.passed, summary.failed))
    }

    #[test]
    fn a_badge_adds_up_the_live_slots_that_match() {
        let slots = LiveSlots::new(
            vec![
                slot(0, "linux", "test (3.12)", 100, 0),
                slot(0, "linux", "test (3.11)", 98, 2),
                slot(1, "windows", "test (3.12)", 99, 0),
                // The index may have an entry twice while it moves.
                slot(2, "linux", "test (3.12)", 1, 1),
                slot(35, "linux", "", 7, 0),
                slot(36, "linux", "renamed", 1, 50),
            ],
            false,
            now(),
        );
        assert_eq!(counts(&slots, "", ""), Some((304, 2)));
        assert_eq!(counts(&slots, "linux", ""), Some((205, 2)));
        assert_eq!(counts(&slots, "", "test (3.12)"), Some((199, 0)));
        assert_eq!(counts(&slots, "linux", "test (3.12)"), Some((100, 0)));
        assert_eq!(counts(&slots, "macos", ""), None);
        assert_eq!(counts(&slots, "", "renamed"), None, "it is silent for 36 days");
        let link = |platform, suite| slots.link(&selection(platform, suite)).map(HttpsUrl::as_str);
        assert_eq!(link("", ""), Some("https://ci.test/linux/test(3.11)"), "the newest that fails");
        assert_eq!(link("windows", ""), Some("https://ci.test/windows/test(3.12)"), "the newest");
    }

    #[test]
    fn a_dormant_branch_keeps_its_badge_until_its_newest_slot_is_no_longer_shown() {
        let shown = |days| {
            let slots = vec![slot(days, "linux", "", 5, 0), slot(days + 34, "linux", "nightly", 2, 1)];
            counts(&LiveSlots::new(slots, false, now()), "", "")
        };
        assert_eq!(shown(400), Some((7, 1)));
        assert_eq!(shown(729), Some((7, 1)), "although the older slot alone would no longer be shown");
        assert_eq!(shown(730), None);
    }

    #[test]
    fn a_branch_with_more_live_slots_than_the_maximum_is_incomplete() {
        let many = |days| {
            (0..=SLOTS_MAX).map(|number| slot(days, "linux", &number.to_string(), 1, 0)).collect::<Vec<_>>()
        };
        let is_complete = |slots: Vec<Slot>, has_more| {
            LiveSlots::new(slots, has_more, now()).summary(&Selection::default()).unwrap().is_complete
        };
        assert!(!is_complete(many(0), false));
        assert!(!is_complete(many(0)[1..].to_vec(), true));
        assert!(is_complete(many(0)[1..].to_vec(), false));
        let silent = [vec![slot(0, "linux", "", 1, 0)], many(36)].concat();
        assert!(is_complete(silent, true));
    }
}
