//! The results that were sent and acknowledged, and what must hold in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::schedule::{BRANCHES, PLATFORMS, SUITES, Submit, Target};

/// The commit of a result. No two results have the same, while several have the same run and attempt, as in a matrix.
pub(super) type Commit = String;

/// A result that a client sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) repository: usize,
    pub(super) nonce: String,
    /// The virtual time of the post, or of the last one until it was acknowledged.
    pub(super) at: Duration,
    /// Why the service must refuse it; `None` if it may accept it.
    pub(super) refusal: Option<&'static str>,
    pub(super) is_acknowledged: bool,
    /// Whether an operator deleted a message with this result.
    pub(super) is_purged: bool,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise, as a sentence.
    pub promise: &'static str,
    pub details: String,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) sent: BTreeMap<Commit, Sent>,
    /// The bodies of the poison messages that no operator has received yet.
    poison: BTreeSet<String>,
    violation: Option<Violation>,
}

/// The service remembers a nonce for 45 minutes, and a post may arrive about six minutes after it was signed.
const NONCE_LIFETIME: Duration = Duration::from_mins(38);

impl Model {
    /// Records a violation, unless there is an earlier one.
    pub(super) fn violate(&mut self, promise: &'static str, details: String) {
        self.violation.get_or_insert(Violation { promise, details });
    }

    pub(super) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    pub(super) fn deliver(&mut self, commit: &str, now: Duration) {
        if let Some(sent) = self.sent.get_mut(commit).filter(|sent| !sent.is_acknowledged) {
            sent.at = now;
        }
    }

    pub(super) fn acknowledge(&mut self, commit: &str) {
        let Some(sent) = self.sent.get_mut(commit) else { return };
        sent.is_acknowledged = true;
        if let Some(refusal) = sent.refusal {
            let details = format!("{commit} was accepted, but {refusal}");
            self.violate("only what a valid key has signed is accepted", details);
        }
    }

    /// How many results were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.sent.values().filter(|sent| sent.is_acknowledged).count()
    }

    pub(super) fn purge(&mut self, commit: &str) {
        if let Some(sent) = self.sent.get_mut(commit) {
            sent.is_purged = true;
        }
    }

    /// Records a poison message that was sent.
    pub(super) fn add_poison(&mut self, body: String) {
        self.poison.insert(body);
    }

    /// Records a message that an operator received from the dead-letter queue.
    pub(super) fn receive_dead_letter(&mut self, body: &str) {
        self.poison.remove(body);
    }

    /// Checks that each poison message reached the dead-letter queue.
    pub(super) fn check_poison(&mut self) {
        if let Some(body) = self.poison.first().cloned() {
            self.violate("a poison message is kept for the operator", format!("{body} was dropped"));
        }
    }

    /// Checks the whole history of a repository.
    pub(super) fn check_history(&mut self, repository: usize, history: &[Value]) {
        let mut stored = BTreeSet::new();
        let mut nonces: BTreeMap<String, (Commit, Duration)> = BTreeMap::new();
        for row in history {
            let commit = commit_of(row);
            if !stored.insert(commit.clone()) {
                self.violate("a result is shown once", format!("{commit} is twice in the history"));
            }
            let Some(sent) = self.sent.get(&commit).cloned() else {
                self.violate("only what was sent is shown", format!("{commit} was never sent"));
                continue;
            };
            if let Some(refusal) = sent.refusal {
                let details = format!("{commit} is in the history, but {refusal}");
                self.violate("only what a valid key has signed is accepted", details);
            }
            if let Some((other, at)) = nonces.insert(sent.nonce.clone(), (commit.clone(), sent.at))
                && at.abs_diff(sent.at) < NONCE_LIFETIME
            {
                let details = format!("{commit} and {other} have the nonce {}", sent.nonce);
                self.violate("a nonce is accepted once", details);
            }
        }
        let lost = self.sent.iter().find(|(commit, sent)| {
            sent.repository == repository
                && sent.is_acknowledged
                && !sent.is_purged
                && !stored.contains(*commit)
        });
        if let Some(commit) = lost.map(|(commit, _)| commit.clone()) {
            self.violate(
                "what was acknowledged is shown",
                format!("{commit} was acknowledged, and is not in the history"),
            );
        }
    }

    /// Checks the slots of a branch against the history.
    pub(super) fn check_slots(&mut self, target: Target, history: &[Value], slots: &[Value]) {
        let mut newest: BTreeMap<(String, String), &Value> = BTreeMap::new();
        for row in history.iter().filter(|row| row["branch"] == BRANCHES[target.branch]) {
            let slot = newest.entry(slot_of(row)).or_insert(row);
            if order_of(row) > order_of(slot) {
                *slot = row;
            }
        }
        // The message of a result may have been purged after it reached the history, but before it reached its slot.
        let is_purged = |row: &Value| self.sent.get(&commit_of(row)).is_some_and(|sent| sent.is_purged);
        let purged: BTreeSet<_> = history.iter().filter(|row| is_purged(row)).map(slot_of).collect();
        let commits = |rows: &mut dyn Iterator<Item = &Value>| -> BTreeMap<_, _> {
            rows.map(|row| (slot_of(row), commit_of(row)))
                .filter(|(slot, _)| !purged.contains(slot))
                .collect()
        };
        let (expected, actual) = (commits(&mut newest.into_values()), commits(&mut slots.iter()));
        if expected != actual {
            let details = format!("{target:?}: expected {expected:?}, found {actual:?}");
            self.violate("a slot holds the newest result of its suite", details);
        }
    }
}

pub(super) fn commit_of(row: &Value) -> Commit {
    row["commit"].as_str().unwrap_or_default().to_owned()
}

fn slot_of(row: &Value) -> (String, String) {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    (text("platform"), text("suite"))
}

/// The order of results: a newer one compares greater.
fn order_of(row: &Value) -> (&str, u64, u64, &str) {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let run_id = text("run_id").parse().unwrap_or_default();
    (text("timestamp"), run_id, row["run_attempt"].as_u64().unwrap_or_default(), text("test_result_id"))
}

/// The expected message and color of a badge, from the slots of its branch.
pub(super) fn badge_of(target: Target, slots: &[Value]) -> String {
    let counted: Vec<_> = slots
        .iter()
        .filter(|row| row["retire"] != true)
        .filter(|row| target.platform.is_none_or(|platform| row["platform"] == PLATFORMS[platform]))
        .filter(|row| target.suite.is_none_or(|suite| row["suite"] == SUITES[suite]))
        .collect();
    let sum = |name: &str| counted.iter().filter_map(|row| row[name].as_u64()).sum::<u64>();
    let (passed, failed) = (sum("passed"), sum("failed"));
    let is_broken = counted.iter().any(|row| row["conclusion"] == "failure");
    match (passed, failed) {
        _ if counted.is_empty() => "no results lightgrey".to_owned(),
        (0, 1..) => format!("{failed} failed red"),
        (_, 1..) => format!("{passed} passed, {failed} failed red"),
        (0, 0) if is_broken => "run failed red".to_owned(),
        (_, 0) if is_broken => format!("{passed} passed, run failed red"),
        (0, 0) => "no tests lightgrey".to_owned(),
        (_, 0) => format!("{passed} passed brightgreen"),
    }
}

/// The message and the color of a badge.
pub(super) fn shown(badge: &Value) -> String {
    let text = |name: &str| badge[name].as_str().unwrap_or_default();
    format!("{} {}", text("message"), text("color"))
}

/// The path of a badge.
pub(super) fn badge_path(target: Target, repository: &str) -> String {
    let platform = target.platform.map_or("all", |platform| PLATFORMS[platform]);
    let suite = target.suite.map_or(String::new(), |suite| format!("?suite={}", SUITES[suite]));
    format!("/badges/tests/{platform}/{repository}/{}{suite}", BRANCHES[target.branch])
}

/// The commit of the result that an event submits.
pub(super) fn commit(event: u32) -> Commit {
    format!("{event:040}")
}

/// The id and the attempt of the run that an event submits.
pub(super) fn run_id(event: u32, submit: &Submit) -> (u32, u32) {
    // Some events submit results of the same run, and of the same or another attempt. The numbers are those whose order
    // differs from that of their text.
    if submit.rounded { (98 + event % 4, 8 + event / 4 % 4) } else { (1_000_000 + event, 1) }
}
