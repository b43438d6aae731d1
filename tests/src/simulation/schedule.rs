//! The events of a simulation, all generated from its seed.

use std::time::Duration;

use fastrand::Rng;

use super::keyless::KeylessAction;
use super::network::FaultRate;
use super::packages::PackageAction;

/// The repositories of a simulation.
pub(super) const REPOSITORIES: [&str; 3] = ["acme/kit", "acme/tool", "other/kit"];
pub(super) const BRANCHES: [&str; 2] = ["main", "feature/x"];
pub(super) const PLATFORMS: [&str; 2] = ["linux", "windows"];
/// The first is the unnamed suite.
pub(super) const SUITES: [&str; 3] = ["", "unit", "e2e"];
/// The instances of each function.
pub(super) const INSTANCES: usize = 3;

/// The calls that fail in an outage, as prefixes of `x-amz-target`. `PutItem` writes slots and reservations.
const SERVICES: [&str; 7] = [
    "",
    "DynamoDB",
    "DynamoDB_20120810.PutItem",
    "AmazonSQS",
    "AmazonSQS.SendMessage",
    "secretsmanager",
    "AWSEvents",
];

const EVENTS: std::ops::Range<u32> = 120..280;

/// The events of one simulation. Events can be left out, because each has its own random numbers.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub seed: u64,
    /// Whether there are upstreams: a NuGet feed, and an issuer of ID tokens. With them, a simulation takes longer.
    pub has_upstreams: bool,
    pub events: Vec<Event>,
}

#[derive(Debug, Clone)]
pub struct Event {
    /// A unique number, which stays the same when other events are left out.
    pub id: u32,
    /// The virtual time after the start.
    pub at: Duration,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    /// A client submits a result, and retries.
    Submit(Submit),
    /// The bytes of an earlier post are sent again.
    Replay {
        earlier: u32,
    },
    /// The processor receives a batch.
    Process {
        instance: usize,
    },
    ReadBadge {
        instance: usize,
        target: Target,
    },
    /// An instance of each function is killed, and starts with empty memory.
    Restart {
        instance: usize,
    },
    FaultRate(FaultRate),
    /// No result can be stored until the messages are in the dead-letter queue. Then an operator replays them.
    Outage {
        instance: usize,
    },
    /// Poison messages arrive.
    Poison,
    /// An operator replays the dead-letter queue.
    ReplayDeadLetters,
    /// An operator deletes the messages of the dead-letter queue.
    PurgeDeadLetters,
    /// An operator replaces the key of a repository.
    RotateKey {
        repository: usize,
        compromised: bool,
    },
    RemoveRepository {
        repository: usize,
    },
    AddRepository {
        repository: usize,
    },
    RotateMasterKey,
    EndPreviousMasterKey,
    BackUpRegistrations,
    /// An operator loses the table of registrations, and restores it as documented.
    RestoreRegistrations,
    /// DynamoDB deletes the nonces that have expired.
    DeleteExpiredNonces,
    Package(PackageAction),
    Keyless(KeylessAction),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    pub repository: usize,
    pub branch: usize,
    /// `None` for all platforms.
    pub platform: Option<usize>,
    /// `None` for all suites.
    pub suite: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Submit {
    pub repository: usize,
    pub branch: usize,
    pub platform: usize,
    pub suite: usize,
    pub tests: Tests,
    /// How far the client's clock is ahead, in seconds; negative if it is behind.
    pub skew: i64,
    /// Whether the timestamp is rounded down to a minute, so that results of a suite have equal timestamps.
    pub rounded: bool,
    /// The names are in the path, and the nonce is not signed.
    pub path_form: bool,
    pub key: KeyChoice,
    /// The event whose nonce is used again.
    pub nonce_of: Option<u32>,
    pub attempts: u32,
}

/// The outcome of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    Passed(u32),
    Failed {
        passed: u32,
        failed: u32,
    },
    /// The run failed outside its tests.
    Broke,
    /// The suite is retired.
    Retired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChoice {
    Current,
    /// The key before the current one, which may still be valid.
    Previous,
    /// A key of this repository that has ended.
    Ended,
    /// The key of another repository.
    OtherRepository,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let faults = *random.choice(&[0.0, 0.02, 0.1, 0.3]).expect("a rate");
        let has_upstreams = random.u32(0..4) == 0;
        let mut at = Duration::ZERO;
        let mut events =
            vec![Event { id: 0, at, action: Action::FaultRate(FaultRate { rate: faults, service: "" }) }];
        // At most one long pause, so that no message expires before it is received.
        let mut long_pauses = 1;
        for id in 1..random.u32(EVENTS) {
            at += pause(&mut random, &mut long_pauses);
            let action = if has_upstreams && random.u32(0..3) == 0 {
                match random.u32(0..4) {
                    0 => Action::Keyless(KeylessAction::new(&mut random)),
                    _ => Action::Package(PackageAction::new(&mut random)),
                }
            } else {
                action(&mut random, faults, &events)
            };
            events.push(Event { id, at, action });
        }
        Self { seed, has_upstreams, events }
    }
}

fn pause(random: &mut Rng, long_pauses: &mut u32) -> Duration {
    match random.u32(0..1000) {
        0..700 => Duration::from_millis(random.u64(0..400)),
        700..930 => Duration::from_millis(random.u64(400..8_000)),
        930..990 => Duration::from_secs(random.u64(8..200)),
        990..996 => Duration::from_mins(random.u64(4..50)),
        _ if *long_pauses > 0 => {
            *long_pauses -= 1;
            let hours = if random.bool() { 1..12 } else { 25..40 };
            Duration::from_hours(random.u64(hours))
        }
        _ => Duration::ZERO,
    }
}

fn action(random: &mut Rng, faults: f64, earlier: &[Event]) -> Action {
    let instance = random.usize(0..INSTANCES);
    let repository = random.usize(0..REPOSITORIES.len());
    match random.u32(0..1000) {
        0..370 => Action::Submit(submit(random, earlier)),
        370..400 => Action::Replay { earlier: recent(random, earlier, repository).unwrap_or_default() },
        400..680 => Action::Process { instance },
        680..880 => Action::ReadBadge { instance, target: target(random) },
        880..900 => Action::Restart { instance },
        900..925 => Action::FaultRate(fault_rate(random, faults)),
        925..928 => Action::Outage { instance },
        928..936 => Action::Poison,
        936..944 => Action::ReplayDeadLetters,
        944..947 => Action::PurgeDeadLetters,
        947..962 => Action::RotateKey { repository, compromised: random.bool() },
        962..968 => Action::RemoveRepository { repository },
        968..980 => Action::AddRepository { repository },
        980..984 => Action::RotateMasterKey,
        984..988 => Action::EndPreviousMasterKey,
        988..992 => Action::BackUpRegistrations,
        992..995 => Action::RestoreRegistrations,
        _ => Action::DeleteExpiredNonces,
    }
}

fn target(random: &mut Rng) -> Target {
    Target {
        repository: random.usize(0..REPOSITORIES.len()),
        branch: random.usize(0..BRANCHES.len()),
        platform: random.bool().then(|| random.usize(0..PLATFORMS.len())),
        // The unnamed suite has no separate badge.
        suite: (random.u32(0..3) == 0).then(|| random.usize(1..SUITES.len())),
    }
}

fn submit(random: &mut Rng, earlier: &[Event]) -> Submit {
    let repository = random.usize(0..REPOSITORIES.len());
    let rounded = random.u32(0..4) == 0;
    // Results with equal timestamps are of one suite, so that they compete for its slot.
    let (platforms, suites) = if rounded { (1, 1) } else { (PLATFORMS.len(), SUITES.len()) };
    Submit {
        repository,
        branch: random.usize(0..BRANCHES.len()),
        platform: random.usize(0..platforms),
        suite: random.usize(0..suites),
        tests: match random.u32(0..10) {
            0..5 => Tests::Passed(random.u32(0..50)),
            5..8 => Tests::Failed { passed: random.u32(0..50), failed: random.u32(1..9) },
            8 => Tests::Broke,
            _ => Tests::Retired,
        },
        skew: match random.u32(0..20) {
            0..12 => 0,
            12..18 => random.i64(-250..40),
            18 => random.i64(-5_000..-320),
            _ => random.i64(200..5_000),
        },
        rounded,
        path_form: random.u32(0..5) == 0,
        key: match random.u32(0..20) {
            0..14 => KeyChoice::Current,
            14..16 => KeyChoice::Previous,
            16..19 => KeyChoice::Ended,
            _ => KeyChoice::OtherRepository,
        },
        nonce_of: (random.u32(0..8) == 0).then(|| recent(random, earlier, repository)).flatten(),
        attempts: random.u32(1..7),
    }
}

/// One of the last events that submit a result of a repository, or a keyless result.
fn recent(random: &mut Rng, earlier: &[Event], repository: usize) -> Option<u32> {
    let is_of = |event: &&Event| {
        matches!(&event.action, Action::Submit(submit) if submit.repository == repository)
            || matches!(&event.action, Action::Keyless(KeylessAction::Submit { .. }))
    };
    let last: Vec<_> = earlier.iter().rev().filter(is_of).take(5).map(|event| event.id).collect();
    random.choice(last)
}

fn fault_rate(random: &mut Rng, faults: f64) -> FaultRate {
    let service = *random.choice(&SERVICES).expect("a service");
    match random.u32(0..6) {
        // An outage.
        0 if !service.is_empty() => FaultRate { rate: 1.0, service },
        1 => FaultRate { rate: 0.5, service },
        _ => FaultRate { rate: faults, service: "" },
    }
}
