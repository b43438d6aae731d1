//! The branches of a repository, each with its badge.

use std::cmp::Reverse;
use std::time::Duration;

use badgesmith_aws::dynamodb::SlotPage;
use badgesmith_domain::badge::Badge;
use badgesmith_domain::ids::Branch;
use badgesmith_domain::key::ResultOrder;
use badgesmith_domain::slots::{LiveSlots, Selection, Slot};
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;

/// A branch without new results for longer than this is listed apart.
const SILENT_AFTER: Duration = Duration::from_hours(35 * 24);
/// The names of default branches, where results do not say which one it is.
const USUAL_DEFAULTS: [&str; 2] = ["main", "master"];

/// The branches of a repository: the default branch first, then the most recent.
#[derive(Debug)]
pub(super) struct Overview {
    pub(super) branches: Vec<BranchState>,
    /// The default branch, or the branch that is shown in its place. `None` if there is no branch.
    pub(super) default: Option<Branch>,
    /// Whether there are more branches than were read.
    pub(super) is_cut: bool,
}

#[derive(Debug, Clone)]
pub(super) struct BranchState {
    pub(super) branch: Branch,
    pub(super) badge: Badge,
    /// When it last reported.
    pub(super) newest: Timestamp,
    pub(super) is_silent: bool,
    /// Its slots, in the order of their keys.
    pub(super) slots: Vec<TestResult>,
}

impl Overview {
    /// The branches of the first page of a repository's slots.
    pub(super) fn new(page: SlotPage, now: Timestamp) -> Self {
        let is_cut = page.next.is_some();
        let default = default_branch(&page.slots);
        let mut branches = Vec::new();
        let mut slots = page.slots.into_iter().peekable();
        while let Some(first) = slots.next() {
            let mut group = vec![first];
            while let (Some(next), Some(first)) = (slots.peek(), group.first())
                && next.run.branch == first.run.branch
            {
                group.extend(slots.next());
            }
            // The last branch may have more slots than were read.
            if !is_cut || slots.peek().is_some() {
                branches.extend(BranchState::new(group, false, now));
            }
        }
        branches.sort_by_key(|state| (Some(&state.branch) != default.as_ref(), Reverse(state.newest)));
        Self { default: default.or_else(|| Some(branches.first()?.branch.clone())), branches, is_cut }
    }

    /// Inserts a branch at the beginning, unless it is among those that were read.
    pub(super) fn add(&mut self, state: &BranchState) {
        if self.branches.iter().all(|other| other.branch != state.branch) {
            self.branches.insert(0, state.clone());
        }
    }
}

impl BranchState {
    /// `None` without slots. `is_cut` means that the branch has more slots, which were not read.
    pub(super) fn new(slots: Vec<TestResult>, is_cut: bool, now: Timestamp) -> Option<Self> {
        let newest = slots.iter().map(|slot| slot.run.timestamp).max()?;
        Some(Self {
            branch: slots.first()?.run.branch.clone(),
            badge: badge(&slots, is_cut, now),
            newest,
            is_silent: now.since(newest) > SILENT_AFTER,
            slots,
        })
    }
}

/// The badge of a branch with these slots.
fn badge(slots: &[TestResult], is_cut: bool, now: Timestamp) -> Badge {
    let mut newest_first: Vec<_> = slots.iter().collect();
    newest_first.sort_by_cached_key(|slot| Reverse(ResultOrder::of(slot)));
    let live = LiveSlots::new(newest_first.into_iter().filter_map(Slot::from_result).collect(), false, now);
    let live = if is_cut { live.incomplete() } else { live };
    match live.summary(&Selection::default()) {
        Some(summary) => Badge::tests(&summary),
        None => Badge::no_results(),
    }
}

/// The branch that the newest result names as the default branch, or else one with a usual name.
///
/// Results of forks and pull requests do not count, because their authors choose what they name.
fn default_branch(slots: &[TestResult]) -> Option<Branch> {
    let is_own = |branch: &Branch| !branch.as_str().contains(':') && !branch.as_str().starts_with("pull/");
    let named = slots.iter().filter(|slot| slot.run.default_branch.is_some() && is_own(&slot.run.branch));
    let named = named.max_by_key(|slot| slot.run.timestamp).and_then(|slot| slot.run.default_branch.clone());
    let usual = || {
        let mut branches = USUAL_DEFAULTS.into_iter().flat_map(|name| {
            slots.iter().map(|slot| &slot.run.branch).filter(move |branch| branch.as_str() == name)
        });
        branches.next().cloned()
    };
    named.or_else(usual)
}
