//! Packages, whose upstream publishes versions, fails, and sends invalid responses.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use badgesmith_aws::dynamodb::Packages;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::package_request::Reason;
use fastrand::Rng;
use local::stack::PACKAGES_TABLE;
use tokio::time::sleep;

use super::instances::InvocationOutcome;
use super::invocation::Invocation;
use super::run::Simulation;
use super::schedule::INSTANCES;
use crate::upstream::{Upstream, UpstreamFault};

const PACKAGES: [&str; 2] = ["acme.kit", "acme.tool"];
/// The timeout of the refresher.
const REFRESHER_TIMEOUT: Duration = Duration::from_mins(5);
/// The longest time after which a package is due again, even after failures.
const DUE_AFTER: Duration = Duration::from_mins(80);
/// The number of scheduled runs after which all packages must be up to date.
const ROUNDS: u32 = 6;
/// A part of the paths of all documents about a package.
const REGISTRATIONS: &str = "registration5";
/// The most requests that are answered with 404. A package is deleted after several of them.
const NOT_FOUND_MAX: usize = 2;
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
    /// A version is unlisted and relisted: the documents change, but not the versions.
    Relist {
        package: usize,
    },
    /// The upstream answers one request with 404.
    NotFound,
    Recover,
    /// A badge or an operator requests a refresh.
    Request {
        package: usize,
        reason: Reason,
    },
    /// An operator unschedules a package while a new version is fetched.
    Unschedule {
        instance: usize,
        package: usize,
        after: Duration,
    },
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
        match random.u32(0..27) {
            0..3 => Self::Publish { package },
            3..6 => Self::Fail { fault: random.usize(0..faults().len()), times: random.usize(1..12) },
            6 => Self::Recover,
            7..11 => Self::Refresh { instance },
            11..15 => Self::Process { instance },
            15..20 => Self::Read { instance, package },
            20 => Self::NotFound,
            21..24 => {
                let reasons = [Reason::RefreshNow, Reason::Stale, Reason::StillRead, Reason::Unschedule];
                Self::Request { package, reason: *random.choice(&reasons).expect("a reason") }
            }
            24..26 => {
                Self::Unschedule { instance, package, after: Duration::from_millis(random.u64(0..200)) }
            }
            _ => Self::Relist { package },
        }
    }
}

/// Faults that must not delete a version. 404 is not among them, because of [`NOT_FOUND_MAX`].
fn faults() -> Vec<UpstreamFault> {
    vec![
        status(500),
        status(503),
        status(403),
        status(429),
        status(304),
        status(200),
        UpstreamFault::Dropped,
        UpstreamFault::BrokenOff,
        UpstreamFault::TruncatedGzip,
        UpstreamFault::Garbage,
        UpstreamFault::SameTag,
        UpstreamFault::Slow(Duration::from_secs(2)),
    ]
}

fn status(status: u16) -> UpstreamFault {
    UpstreamFault::Status { status, headers: Vec::new(), body: "{}".to_owned() }
}

/// The upstream, and the newest version of each package: `1.N.0`.
#[derive(Debug)]
pub(super) struct PackageFeed {
    pub(super) upstream: Upstream,
    /// The index in `KEYS` of the key with which the issuer signs tokens.
    pub(super) signs_with: Mutex<usize>,
    state: Mutex<[Versions; PACKAGES.len()]>,
    /// The number of `NotFound` actions.
    not_found: AtomicUsize,
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
            not_found: AtomicUsize::default(),
        };
        (0..PACKAGES.len()).for_each(|package| feed.publish(package));
        feed
    }

    fn relist(&self, package: usize) {
        let version = format!("1.{}.0", self.state.lock().unwrap()[package].published);
        self.upstream.unlist(PACKAGES[package], &version);
        self.upstream.relist(PACKAGES[package], &version);
    }

    fn plan_not_found(&self) {
        if self.not_found.fetch_add(1, Ordering::Relaxed) < NOT_FOUND_MAX {
            self.upstream.plan_fault(REGISTRATIONS, status(404), 1);
        }
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
        PackageAction::NotFound => feed.plan_not_found(),
        PackageAction::Relist { package } => feed.relist(package),
        PackageAction::Recover => feed.upstream.heal(),
        PackageAction::Request { package, reason } => {
            let package = format!("nuget/{}", PACKAGES[package]);
            tokio::spawn(async move { simulation.world.publish_request(&package, reason).await });
        }
        PackageAction::Unschedule { instance, package, after } => {
            feed.publish(package);
            tokio::spawn(unschedule(simulation, event, instance, package, after));
        }
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

async fn unschedule(
    simulation: Arc<Simulation>,
    event: u32,
    instance: usize,
    package: usize,
    after: Duration,
) {
    let package = format!("nuget/{}", PACKAGES[package]);
    simulation.world.publish_request(&package, Reason::RefreshNow).await;
    let refreshed = process(&simulation, event, 0, instance, true);
    let unscheduled = async {
        simulation.network.wait(after).await;
        simulation.world.publish_request(&package, Reason::Unschedule).await;
        process(&simulation, event, 1, (instance + 1) % INSTANCES, true).await;
    };
    tokio::join!(refreshed, unscheduled);
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
    let invocation = Invocation::new(simulation.seed, event, 0, may_be_killed);
    let message = match simulation.instances.get(instance, &invocation, path).await {
        InvocationOutcome::Returned(answer) => {
            answer.json()["message"].as_str().unwrap_or_default().to_owned()
        }
        InvocationOutcome::Killed => return,
    };
    simulation.trace.add(event, format_args!("read {}: {message}", PACKAGES[package]));
    let Some(feed) = &simulation.packages else { return };
    let published = feed.state.lock().unwrap()[package].published;
    let is_true = match message.split_once('.') {
        Some(_) => number(&message) <= published,
        // A package is not found until the first lookup that is not answered with 404.
        None if message == "not found" => feed.not_found.load(Ordering::Relaxed) > 0,
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
    let found = packages.find_with_versions(&package, simulation.world.now()).await.unwrap();
    let Some((PackageRecord { state: PackageState::Known(known), .. }, versions)) = found else { return 0 };
    if known.latest(false) != versions.iter().next() {
        let details = format!("{package} has {known:?} and {versions:?}");
        simulation.model.lock().unwrap().violate("a package changes at once", details);
    }
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
    for round in 0..ROUNDS {
        for package in 0..PACKAGES.len() {
            read(simulation, event, 0, package, false).await;
        }
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
