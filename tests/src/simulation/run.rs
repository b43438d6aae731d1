//! Runs a schedule, and checks the promises.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use local::stack::{RESULTS_DEAD_LETTER_QUEUE, RESULTS_QUEUE};
use serde_json::{Value, json};

use super::client::{self, Posted};
use super::instances::{Instances, InvocationOutcome};
use super::invocation::Invocation;
use super::keyless::{self, KEYLESS_REPOSITORY};
use super::keys::Keys;
use super::model::{Model, Violation, badge_of, badge_path, shown};
use super::network::{FaultRate, Network};
use super::observer::{self, Observations};
use super::operator::{self, Backup};
use super::packages::{self, PackageFeed};
use super::panics;
use super::schedule::{Action, BRANCHES, Event, PLATFORMS, REPOSITORIES, SUITES, Schedule, Target};
use super::trace::{Keep, Trace};
use crate::client::{Post, result, with};
use crate::world::{KEYLESS, VISIBILITY_TIMEOUT, World};

/// The timeout of the processor, plus time to receive a batch.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(35);
/// Everything in progress ends within this time: a client retries for two minutes, and a restore takes five.
const SETTLED_AFTER: Duration = Duration::from_mins(8);
/// The most rounds that it may take to empty the queues at the end.
const ROUNDS: u32 = 40;
/// How many poison messages arrive at once.
const POISON: u32 = 3;
/// The first event id after those of the schedule.
const LAST: u32 = 1_000_000;

/// The state of a simulation.
#[derive(Debug)]
pub(super) struct Simulation {
    pub(super) seed: u64,
    pub(super) world: World,
    pub(super) network: Network,
    pub(super) trace: Trace,
    pub(super) instances: Instances,
    pub(super) model: Mutex<Model>,
    pub(super) keys: Mutex<Keys>,
    /// `None` if the schedule has no upstreams.
    pub(super) packages: Option<PackageFeed>,
    pub(super) backup: Mutex<Backup>,
    /// The posts, by the id of their event.
    pub(super) posted: Mutex<BTreeMap<u32, Posted>>,
    pub(super) observations: Mutex<Observations>,
    /// Operator commands run one at a time.
    pub(super) operator_lock: tokio::sync::Mutex<()>,
    /// Held during each [`Action::Outage`], which sets the fault rate.
    outage_lock: Arc<tokio::sync::Mutex<()>>,
    ingest_is_open: AtomicBool,
}

/// The outcome of a simulation.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many results were acknowledged.
    pub acknowledged: usize,
    pub violation: Option<Violation>,
    /// The digest of what happened, if it is kept. Two runs of a schedule without upstreams have the same digest.
    pub digest: u64,
    /// What happened, if it is kept.
    pub lines: Vec<String>,
}

/// Runs a schedule.
pub fn run(schedule: &Schedule, keep: Keep) -> Outcome {
    // The SDK takes the random part of its backoff from this generator.
    fastrand::seed(schedule.seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    if schedule.has_upstreams {
        // The upstream uses sockets.
        runtime.enable_io();
    }
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let (outcome, panics) = panics::count(|| runtime.block_on(simulate(schedule, keep)));
    match outcome {
        Some(outcome) if panics == 0 => outcome,
        outcome => {
            let violation = Violation { promise: "nothing panics", details: format!("{panics} panics") };
            Outcome { violation: Some(violation), ..outcome.unwrap_or_default() }
        }
    }
}

async fn simulate(schedule: &Schedule, keep: Keep) -> Outcome {
    let simulation = Simulation::start(schedule, keep).await;
    for event in &schedule.events {
        simulation.network.wait(event.at.saturating_sub(simulation.trace.elapsed())).await;
        simulation.trace.add(event.id, format_args!("{:?}", event.action));
        simulation.begin(event).await;
        if simulation.model.lock().unwrap().violation().is_some() {
            break;
        }
    }
    Box::pin(simulation.check_end()).await;
    let (digest, lines) = simulation.trace.finish();
    let model = simulation.model.lock().unwrap();
    Outcome { acknowledged: model.acknowledged(), violation: model.violation().cloned(), digest, lines }
}

impl Simulation {
    async fn start(schedule: &Schedule, keep: Keep) -> Arc<Self> {
        let packages = schedule.has_upstreams.then(PackageFeed::start);
        let world = packages
            .as_ref()
            .map_or_else(World::new, |packages| World::with_issuer(&packages.upstream, "acme"));
        let trace = Trace::start(keep);
        let network = Network::new(world.aws(), &world.clock, &trace);
        let simulation = Self {
            seed: schedule.seed,
            packages,
            instances: Instances::new(&world, &network),
            world,
            network,
            trace,
            model: Mutex::default(),
            keys: Mutex::default(),
            backup: Mutex::default(),
            posted: Mutex::default(),
            observations: Mutex::default(),
            operator_lock: tokio::sync::Mutex::default(),
            outage_lock: Arc::default(),
            ingest_is_open: AtomicBool::new(true),
        };
        operator::register_all(&simulation).await;
        operator::back_up_registrations(&simulation).await;
        Arc::new(simulation)
    }

    pub(super) fn is_ingest_open(&self) -> bool {
        self.ingest_is_open.load(Ordering::Relaxed)
    }

    pub(super) fn set_ingest_open(&self, is_open: bool) {
        self.ingest_is_open.store(is_open, Ordering::Relaxed);
    }

    /// Starts an event. Most events continue in the background during later ones.
    async fn begin(self: &Arc<Self>, event: &Event) {
        let (simulation, id) = (Arc::clone(self), event.id);
        match event.action.clone() {
            Action::Submit(submit) => drop(tokio::spawn(client::submit(simulation, id, submit))),
            Action::Replay { earlier } => drop(tokio::spawn(client::replay(simulation, id, earlier))),
            Action::Process { instance } => {
                tokio::spawn(async move { simulation.process(id, 0, instance, true).await });
            }
            Action::ReadBadge { instance, target } => {
                tokio::spawn(observer::read(simulation, id, instance, target));
            }
            Action::Restart { instance } => self.instances.restart(instance, &self.world),
            Action::FaultRate(fault_rate) => self.network.set_fault_rate(fault_rate),
            Action::Poison => {
                for number in 0..POISON {
                    let body = format!("poison {id}.{number}");
                    self.world.send(RESULTS_QUEUE, &body).await;
                    self.model.lock().unwrap().add_poison(body);
                }
            }
            Action::Outage { instance } => {
                let lock = Arc::clone(&self.outage_lock).lock_owned().await;
                tokio::spawn(async move {
                    operator::outage(simulation, id, instance).await;
                    drop(lock);
                });
            }
            Action::ReplayDeadLetters => {
                tokio::spawn(
                    async move { operator::empty_dead_letters(&simulation, id, false, false).await },
                );
            }
            Action::PurgeDeadLetters => {
                tokio::spawn(async move { operator::empty_dead_letters(&simulation, id, true, false).await });
            }
            Action::RotateKey { repository, compromised } => {
                operator::rotate_key(self, repository, compromised).await;
            }
            Action::RemoveRepository { repository } => operator::remove_repository(self, repository).await,
            Action::AddRepository { repository } => operator::add_repository(self, repository).await,
            Action::RotateMasterKey => operator::rotate_master_key(self).await,
            Action::EndPreviousMasterKey => operator::end_previous_master_key(self).await,
            Action::BackUpRegistrations => operator::back_up_registrations(self).await,
            Action::RestoreRegistrations => {
                tokio::spawn(async move { operator::restore_registrations(&simulation).await });
            }
            Action::Keyless(action) => keyless::begin(self, id, &action),
            Action::Package(action) => packages::begin(self, id, &action),
            Action::DeleteExpiredNonces => operator::delete_expired_nonces(self).await,
        }
    }

    /// Gives the processor one batch, and returns its number of messages.
    pub(super) async fn process(
        &self,
        event: u32,
        number: u32,
        instance: usize,
        may_be_killed: bool,
    ) -> Option<usize> {
        if self.world.queued() == 0 {
            return Some(0);
        }
        let invocation = Invocation::new(self.seed, event, number, may_be_killed);
        let processed = self.instances.invoke(instance, &invocation, PROCESS_TIMEOUT, |stack| async move {
            stack.results.poll(0).await
        });
        let ended = processed.await;
        self.trace.add(event, format_args!("processed {ended:?}"));
        match ended {
            InvocationOutcome::Returned(processed) => processed.ok(),
            InvocationOutcome::Killed => None,
        }
    }

    /// Lets everything finish without faults, and checks what is stored and shown.
    async fn check_end(self: &Arc<Self>) {
        drop(self.outage_lock.lock().await);
        self.network.set_fault_rate(FaultRate::NONE);
        self.network.wait(SETTLED_AFTER).await;
        for repository in 0..REPOSITORIES.len() {
            operator::add_repository(self, repository).await;
        }
        self.instances.restart(0, &self.world);
        packages::check_end(self, LAST + ROUNDS).await;
        keyless::check_end(self, LAST + ROUNDS + 1).await;
        self.check_keys().await;
        self.empty_queues().await;
        self.model.lock().unwrap().check_poison();
        let history = self.history(KEYLESS).await;
        self.model.lock().unwrap().check_history(KEYLESS_REPOSITORY, &history);
        for (repository, name) in REPOSITORIES.iter().enumerate() {
            let history = self.history(name).await;
            self.model.lock().unwrap().check_history(repository, &history);
            for branch in 0..BRANCHES.len() {
                self.check_branch(Target { repository, branch, platform: None, suite: None }, &history).await;
            }
        }
    }

    /// Checks that the current key of each repository is accepted.
    async fn check_keys(&self) {
        for (repository, name) in REPOSITORIES.iter().enumerate() {
            let (owner, repo) = name.split_once('/').unwrap();
            let fields =
                json!({ "owner": owner, "repo": repo, "branch": "last", "run_id": LAST.to_string() });
            let key = self.keys.lock().unwrap().current(repository).expect("a registered repository");
            let post = Post::json(&with(result(self.world.now()), &fields)).signed(&key);
            let answer = self.world.submit(&post).await;
            if answer.status != 202 {
                let details = format!("{name}: {}", answer.verdict());
                self.model.lock().unwrap().violate("a current key is accepted", details);
            }
        }
    }

    async fn empty_queues(self: &Arc<Self>) {
        for round in 0..ROUNDS {
            self.network.wait(VISIBILITY_TIMEOUT).await;
            let mut number = 0;
            while self.process(LAST + round, number, 0, false).await.is_some_and(|messages| messages > 0) {
                number += 1;
            }
            operator::empty_dead_letters(self, LAST + round, false, true).await;
            let depth = |queue| self.world.aws().queues().depth(queue).unwrap();
            if depth(RESULTS_QUEUE) + depth(RESULTS_DEAD_LETTER_QUEUE) == 0 {
                return;
            }
        }
        self.model.lock().unwrap().violate("queues become empty", format!("not in {ROUNDS} rounds"));
    }

    pub(super) async fn history(&self, repository: &str) -> Vec<Value> {
        let mut history = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self.world.get(&format!("/tests/results/{repository}?limit=100{cursor}")).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let page = answer.json();
            history.extend(
                page["results"].as_array().unwrap().iter().filter(|row| row["branch"] != "last").cloned(),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return history,
            }
        }
    }

    async fn check_branch(&self, branch: Target, history: &[Value]) {
        let slots = observer::slots(self, branch).await;
        self.model.lock().unwrap().check_slots(branch, history, &slots);
        let platforms = std::iter::once(None).chain((0..PLATFORMS.len()).map(Some));
        for platform in platforms {
            for suite in std::iter::once(None).chain((1..SUITES.len()).map(Some)) {
                let target = Target { platform, suite, ..branch };
                let badge = self.world.get(&badge_path(target, REPOSITORIES[branch.repository])).await.json();
                let expected = badge_of(target, &slots);
                if shown(&badge) != expected {
                    let details = format!("{target:?}: {:?} instead of {expected:?}", shown(&badge));
                    self.model.lock().unwrap().violate("a badge shows the newest results", details);
                }
            }
        }
    }
}
