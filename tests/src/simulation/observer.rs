//! Reads of badges, compared with the slots that an observer reads without caches and faults.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::instances::InvocationOutcome;
use super::invocation::Invocation;
use super::model::{Commit, badge_of, badge_path, commit_of, shown};
use super::network::STALE_MAX;
use super::run::Simulation;
use super::schedule::{BRANCHES, REPOSITORIES, Target};

/// The maximum age of a badge: it is cached for 30 s, and may come from a stale read.
const BADGE_AGE_MAX: Duration = Duration::from_secs(31).saturating_add(STALE_MAX);

/// The observed slots of each branch, the latest last.
#[derive(Debug, Default)]
pub(super) struct Observations {
    slots: HashMap<Branch, Vec<Observation>>,
    /// The commits that were observed in the history.
    recorded: HashSet<Commit>,
}

/// The repository and the branch.
type Branch = (usize, usize);

/// When the slots of a branch were first observed, and the slots.
type Observation = (Duration, Vec<Value>);

impl Observations {
    fn add(&mut self, target: Target, at: Duration, slots: Vec<Value>) {
        let observed = self.slots.entry((target.repository, target.branch)).or_default();
        // Of equal observations in a row, the first one is kept, because its time counts.
        if observed.last().is_none_or(|(_, last)| commits(last) != commits(&slots)) {
            observed.push((at, slots));
        }
    }

    /// The slots now, if they have not changed since `since`.
    fn constant_since(&self, target: Target, since: Duration) -> Option<&[Value]> {
        let (at, slots) = self.slots.get(&(target.repository, target.branch))?.last()?;
        (*at <= since).then_some(slots)
    }
}

fn commits(slots: &[Value]) -> Vec<String> {
    slots.iter().map(commit_of).collect()
}

/// The slots of a branch, retired ones included.
pub(super) async fn slots(simulation: &Simulation, target: Target) -> Vec<Value> {
    let (repository, branch) = (REPOSITORIES[target.repository], BRANCHES[target.branch]);
    let answer = simulation.world.get(&format!("/tests/latest/{repository}?branch={branch}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["slots"].as_array().unwrap().clone()
}

/// Reads a badge, and checks it if its slots have not changed for [`BADGE_AGE_MAX`].
pub(super) async fn read(simulation: Arc<Simulation>, event: u32, instance: usize, target: Target) {
    let began = simulation.trace.elapsed();
    let path = badge_path(target, REPOSITORIES[target.repository]);
    let invocation = Invocation::new(simulation.seed, event, 0, true);
    let ended = simulation.instances.get(instance, &invocation, path).await;
    observe(&simulation, target).await;
    let mut model = simulation.model.lock().unwrap();
    let answer = match ended {
        InvocationOutcome::Returned(answer) => answer,
        InvocationOutcome::Killed => return,
    };
    let badge = shown(&answer.json());
    simulation.trace.add(event, format_args!("read {target:?}: {} {badge}", answer.status));
    if (answer.status == 503 && badge == "unavailable lightgrey") && !invocation.has_no_fault() {
        return;
    }
    if answer.status != 200 {
        return model.violate("every answer is documented", format!("event {event}: {}", answer.text));
    }
    // While DynamoDB fails, a badge is as old as what the instance has in memory. Without results in memory, there is
    // no badge.
    let observations = simulation.observations.lock().unwrap();
    let since = began.saturating_sub(BADGE_AGE_MAX);
    if (invocation.has_no_fault() || badge == "no results lightgrey")
        && let Some(slots) = observations.constant_since(target, since)
    {
        let expected = badge_of(target, slots);
        if badge != expected {
            let details = format!("event {event}, {target:?}: {badge:?} instead of {expected:?}");
            model.violate("a badge shows the newest results", details);
        }
    }
}

async fn observe(simulation: &Simulation, target: Target) {
    let slots = slots(simulation, target).await;
    check_recorded(simulation, target.repository, &slots).await;
    simulation.observations.lock().unwrap().add(target, simulation.trace.elapsed(), slots);
}

/// Checks that the results in slots are in the history.
async fn check_recorded(simulation: &Simulation, repository: usize, slots: &[Value]) {
    let is_recorded =
        |slot: &Value| simulation.observations.lock().unwrap().recorded.contains(&commit_of(slot));
    if slots.iter().all(is_recorded) {
        return;
    }
    let history = simulation.history(REPOSITORIES[repository]).await;
    simulation.observations.lock().unwrap().recorded.extend(history.iter().map(commit_of));
    if let Some(slot) = slots.iter().find(|slot| !is_recorded(slot)) {
        let details = format!("{} is in a slot, but not in the history", commit_of(slot));
        simulation.model.lock().unwrap().violate("a result in a slot is in the history", details);
    }
}
