//! Packages, whose upstream publishes versions, fails, and sends invalid responses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use badgesmith_aws::dynamodb::Packages;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::PackageState;
use bytes::Bytes;
use fastrand::Rng;
use http::Request;
use local::stack::PACKAGES_TABLE;
use tokio::time::sleep;

use super::instances::InvocationOutcome;
use super::invocation::Invocation;
use super::run::Simulation;
use super::schedule::INSTANCES;
use crate::client::Answer;
use crate::upstream::{Upstream, UpstreamFault};

const PACKAGES: [&str; 2] = ["acme.kit", "acme.tool"];
/// The timeout of the refresher.
const REFRESHER_TIMEOUT: Duration = Duration::from_mins(5);
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time after which a package is due again, even after failures.
const DUE_AFTER: Duration = Duration::from_mins(80);
/// The number of scheduled runs after which all packages must be up to date.
const ROUNDS: u32 = 6;
/// The step of the virtual time while the upstream's sockets are in use.
const SOCKET_TIME: Duration = Duration::from_millis(5);

#[derive(Debug, Clone)]
pub enum PackageAction {
    Publish {
        package: usize,
    },
    /// The next requests to the upstream fail.
    Fail {
        fault: usize,
        times: usize,
    },
    Recover,
    /// The refresher runs on its schedule.
    Refresh {
        instance: usize,
    },
    /// The refresher gets a batch of requests.
    Process {
        instance: usize,
    },
    Read {
        instance: usize,
        package: usize,
    },
}

impl PackageAction {
    pub(super) fn new(random: &mut Rng) -> Self {
        let (instance, package) = (random.usize(0..INSTANCES), random.usize(0..PACKAGES.len()));
        match random.u32(0..20) {
            0..3 => Self::Publish { package },
            3..6 => Self::Fail { fault: random.usize(0..faults().len()), times: random.usize(1..6) },
            6 => Self::Recover,
            7..11 => Self::Refresh { instance },
            11..15 => Self::Process { instance },
            _ => Self::Read { instance, package },
        }
    }
}

/// Faults that must not delete a version. They do not include 404, because a package is deleted after several of them.
fn faults() -> Vec<UpstreamFault> {
    let status = |status| UpstreamFault::Status { status, headers: Vec::new(), body: "{}".to_owned() };
    vec![
        status(500),
        status(503),
        status(403),
        status(200),
        UpstreamFault::Dropped,
        UpstreamFault::BrokenOff,
        UpstreamFault::TruncatedGzip,
        UpstreamFault::Garbage,
        UpstreamFault::SameTag,
        UpstreamFault::Slow(Duration::from_secs(2)),
    ]
}

/// The upstream, and the newest version of each package: `1.N.0`.
#[derive(Debug)]
pub(super) struct PackageFeed {
    pub(super) upstream: Upstream,
    /// The index in `KEYS` of the key with which the issuer signs tokens.
    pub(super) signs_with: Mutex<usize>,
    state: Mutex<[Versions; PACKAGES.len()]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Versions {
    published: u32,
    stored: u32,
}

impl PackageFeed {
    /// An upstream in this runtime, with one version of each package.
    pub(super) fn start() -> Self {
        let feed = Self {
            upstream: Upstream::start_in_this_runtime(),
            signs_with: Mutex::default(),
            state: Mutex::default(),
        };
        (0..PACKAGES.len()).for_each(|package| feed.publish(package));
        feed
    }

    fn publish(&self, package: usize) {
        let version = &mut self.state.lock().unwrap()[package].published;
        *version += 1;
        self.upstream.publish(PACKAGES[package], &[&format!("1.{version}.0")]);
    }
}

/// Starts an action.
pub(super) fn begin(simulation: &Arc<Simulation>, event: u32, action: &PackageAction) {
    let Some(feed) = &simulation.packages else { return };
    let simulation = Arc::clone(simulation);
    match *action {
        PackageAction::Publish { package } => feed.publish(package),
        PackageAction::Fail { fault, times } => {
            feed.upstream.plan_fault("", faults().swap_remove(fault), times);
        }
        PackageAction::Recover => feed.upstream.heal(),
        PackageAction::Refresh { instance } => {
            tokio::spawn(async move { refresh(&simulation, event, 0, instance, true).await });
        }
        PackageAction::Process { instance } => {
            tokio::spawn(async move { process(&simulation, event, 0, instance, true).await });
        }
        PackageAction::Read { instance, package } => {
            tokio::spawn(async move { read(&simulation, event, instance, package, true).await });
        }
    }
}

async fn refresh(simulation: &Simulation, event: u32, number: u32, instance: usize, may_be_killed: bool) {
    let invocation = Invocation::new(simulation.seed, event, number, may_be_killed);
    let refreshed = simulation.instances.invoke(instance, &invocation, REFRESHER_TIMEOUT, |stack| {
        with_small_time_steps(async move { stack.refresh_due().await.is_ok() })
    });
    ended(simulation, event, "the schedule", refreshed.await).await;
}

async fn process(simulation: &Simulation, event: u32, number: u32, instance: usize, may_be_killed: bool) {
    let invocation = Invocation::new(simulation.seed, event, number, may_be_killed);
    let processed = simulation.instances.invoke(instance, &invocation, REFRESHER_TIMEOUT, |stack| {
        with_small_time_steps(async move { stack.requests.poll(0).await.is_ok() })
    });
    ended(simulation, event, "requests", processed.await).await;
}

async fn ended(simulation: &Simulation, event: u32, what: &str, ended: InvocationOutcome<bool>) {
    simulation.trace.add(event, format_args!("refreshed after {what}: {ended:?}"));
    check(simulation, event).await;
}

/// Runs a function while the virtual time advances in small steps. Without them, the paused clock would jump to the
/// next timer while a socket waits for data.
async fn with_small_time_steps<T>(function: impl Future<Output = T>) -> T {
    let steps = async {
        loop {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            sleep(SOCKET_TIME).await;
        }
    };
    tokio::select! {
        output = function => output,
        () = steps => unreachable!("endless"),
    }
}

async fn read(simulation: &Simulation, event: u32, instance: usize, package: usize, may_be_killed: bool) {
    let path = format!("/badges/packages/nuget/{}", PACKAGES[package]);
    let request = Request::get(path).body(Bytes::new()).unwrap();
    let invocation = Invocation::new(simulation.seed, event, 0, may_be_killed);
    let answered = simulation.instances.invoke(instance, &invocation, READ_TIMEOUT, |stack| async move {
        Answer::from(stack.gateway.answer(request).await)
    });
    let message = match answered.await {
        InvocationOutcome::Returned(answer) => {
            answer.json()["message"].as_str().unwrap_or_default().to_owned()
        }
        InvocationOutcome::Killed => return,
    };
    simulation.trace.add(event, format_args!("read {}: {message}", PACKAGES[package]));
    let published =
        simulation.packages.as_ref().map_or(0, |feed| feed.state.lock().unwrap()[package].published);
    let is_true = match message.split_once('.') {
        Some(_) => number(&message) <= published,
        None => message == "pending" || message == "unavailable",
    };
    if !is_true {
        let details = format!("event {event}: {} shows {message} of {published}", PACKAGES[package]);
        simulation.model.lock().unwrap().violate("a package badge shows a published version", details);
    }
}

/// Checks that no stored version is lost, and that each was published.
async fn check(simulation: &Simulation, event: u32) {
    let Some(feed) = &simulation.packages else { return };
    for package in 0..PACKAGES.len() {
        let stored = stored(simulation, package).await;
        let mut state = feed.state.lock().unwrap();
        let versions = &mut state[package];
        if stored < versions.stored || stored > versions.published {
            let details = format!("event {event}: {} has version {stored}, {versions:?}", PACKAGES[package]);
            simulation.model.lock().unwrap().violate("no version is lost because an upstream fails", details);
        }
        versions.stored = stored;
    }
}

/// The `N` of the stored version `1.N.0`; 0 if none is stored.
async fn stored(simulation: &Simulation, package: usize) -> u32 {
    let packages = Packages::new(&simulation.world.sdk_config(), PACKAGES_TABLE.to_owned());
    let package: Package = format!("nuget/{}", PACKAGES[package]).parse().unwrap();
    let record = packages.find(&package, simulation.world.now()).await.unwrap();
    let Some(PackageState::Known(known)) = record.map(|record| record.state) else { return 0 };
    number(&known.latest(false).expect("a version").to_string())
}

/// The `N` of the version `1.N.0`.
fn number(version: &str) -> u32 {
    version.split('.').nth(1).unwrap().parse().unwrap()
}

/// Once the upstream has recovered, every package gets its newest version.
pub(super) async fn check_end(simulation: &Simulation, event: u32) {
    let Some(feed) = &simulation.packages else { return };
    feed.upstream.heal();
    for package in 0..PACKAGES.len() {
        read(simulation, event, 0, package, false).await;
    }
    for round in 0..ROUNDS {
        process(simulation, event, 2 * round, 0, false).await;
        simulation.network.wait(DUE_AFTER).await;
        refresh(simulation, event, 2 * round + 1, 0, false).await;
    }
    for (package, name) in PACKAGES.iter().enumerate() {
        let published = feed.state.lock().unwrap()[package].published;
        let stored = stored(simulation, package).await;
        if stored != published {
            let details = format!("{name} has version {stored} instead of {published}");
            simulation.model.lock().unwrap().violate("packages become fresh", details);
        }
    }
}
