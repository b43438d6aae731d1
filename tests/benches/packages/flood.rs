//! A flood of invented names, more of them than every budget allows: what it costs, and whether known packages
//! wait for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use badgesmith_domain::package_request::Reason;
use badgesmith_domain::timestamp::Timestamp;
use refresher::Report;
use tests::upstream::{Account, Upstream, Visibility};
use tests::world::{FRESH_FOR, World};
use uuid::Uuid;

use crate::measure::{Extent, Load, Run, TIMES, cells, grouped, heading, progress};

/// Columns of what is checked.
const BOUNDS: [&str; 3] = ["counted", "at most", ""];
/// Of the known packages, which outlast the flood, those from this one on are GitHub's.
const KNOWN: usize = 100;
const FIRST_OF_GITHUB: usize = 90;
/// Requests a second that other sandboxes of the badge API tell of: together more than the refresher takes.
const TOLD_ELSEWHERE: usize = 10;
/// The schedule runs so often.
const SCHEDULE_SECONDS: usize = 300;
/// What is due is late by the time between two runs at most, and this.
const A_LITTLE: usize = 10;

/// Reads badges of names that nobody has published, never the same twice, while known packages are kept
/// fresh; tells whether all of it stays within bounds.
pub(crate) async fn check(extent: &Extent) -> bool {
    let (reads, seconds) = (extent.pick(1_000_000, 20_000), extent.pick(3600, 120));
    let upstream = Upstream::start();
    let mut tally = Tally::default();
    let world = Arc::new(known_world(&upstream, &mut tally).await);
    let mut tally = Tally { looked_up_at: tally.looked_up_at, ..Tally::default() };
    let mut flood = Run { outcomes: Vec::new(), times: Vec::new(), elapsed: Duration::ZERO };
    for second in 1..=seconds {
        let count = reads * second / seconds - reads * (second - 1) / seconds;
        let load = Load { clients: 8, count, period: Duration::MAX };
        let read = load.run(Arc::clone(&world), async |world, _| {
            (world.version(&invented()).await == "pending").then_some(())
        });
        let read = read.await;
        tally.not_pending += count - read.outcomes.len();
        flood.outcomes.extend(read.outcomes);
        flood.times.extend(read.times);
        flood.elapsed += read.elapsed;
        for _ in 0..TOLD_ELSEWHERE {
            world.publish_request(&invented(), Reason::FirstRequested).await;
        }
        world.drain_requests().await;
        world.clock.advance(Duration::from_secs(1));
        if second.is_multiple_of(SCHEDULE_SECONDS) || second == seconds {
            tally.note_run(&world.refresh_due().await);
        }
        tally.note(&world, &upstream);
        progress(second, seconds, "simulated seconds");
    }
    heading("a flood of names, 8 clients, without HTTP", TIMES);
    flood.print(&format!("{} badges of names that were never seen", grouped(flood.outcomes.len())));
    for number in 0..KNOWN {
        tally.not_shown += usize::from(world.version(&known(number)).await != "1.0.0");
    }
    tally.check(seconds, world.now())
}

/// A world with packages of both upstreams, which become due one after the other.
async fn known_world(upstream: &Upstream, tally: &mut Tally) -> World {
    let world = World::with_upstream(upstream);
    upstream.github_token("token", &[]);
    world.set_github_token("acme", "token").await;
    for number in 0..KNOWN {
        let name = format!("kit.{number}");
        if number < FIRST_OF_GITHUB {
            upstream.publish(&name, &["1.0.0"]);
        } else {
            upstream.github_publish(Account::Org("acme"), &name, Visibility::Public, &["1.0.0"]);
        }
        world.publish_request(&known(number), Reason::FirstRequested).await;
        world.drain_requests().await;
        tally.note(&world, upstream);
        world.clock.advance(FRESH_FOR / 100);
    }
    world.refresh_due().await;
    tally.note(&world, upstream);
    assert_eq!(tally.looked_up_at.len(), KNOWN);
    world
}

fn known(number: usize) -> String {
    let place = if number < FIRST_OF_GITHUB { "nuget" } else { "github/acme" };
    format!("{place}/kit.{number}")
}

/// A name that nobody has published: half of them NuGet's, a quarter of an organisation that has a token.
fn invented() -> String {
    let uuid = Uuid::new_v4();
    let name = uuid.simple();
    match uuid.as_bytes()[0] % 4 {
        0 | 1 => format!("nuget/{name}"),
        2 => format!("github/acme/{name}"),
        _ => format!("github/{name}/{name}"),
    }
}

/// What the flood has led to.
#[derive(Default)]
struct Tally {
    not_pending: usize,
    told: usize,
    put_items: usize,
    /// Invented names that an upstream was asked for.
    invented: HashSet<String>,
    /// All requests to GitHub are with the organisation's token.
    github_for_known: usize,
    github_for_invented: usize,
    /// The known packages, and when each was last asked for.
    looked_up_at: HashMap<String, Timestamp>,
    longest: Duration,
    runs: usize,
    refreshed: usize,
    failed: usize,
    lag_seconds: u64,
    not_shown: usize,
}

impl Tally {
    /// Takes note of the calls and requests since the last time.
    fn note(&mut self, world: &World, upstream: &Upstream) {
        for call in world.faults.take_calls() {
            match call.operation.as_str() {
                "PutEvents" => self.told += 1,
                "PutItem" => self.put_items += 1,
                _ => {}
            }
        }
        for asked in upstream.take_requests() {
            // The service index is of no package.
            let Some(name) = name_in(&asked.path) else { continue };
            let is_known = name.starts_with("kit.");
            if asked.path.starts_with("/github/") {
                assert!(asked.header("authorization").is_some(), "nobody is asked without a token");
                *if is_known { &mut self.github_for_known } else { &mut self.github_for_invented } += 1;
            }
            if is_known {
                let before = self.looked_up_at.insert(name.to_owned(), world.now());
                let since = before.map_or(Duration::ZERO, |before| world.now().since(before));
                self.longest = self.longest.max(since);
            } else {
                self.invented.insert(name.to_owned());
            }
        }
    }

    fn note_run(&mut self, report: &Report) {
        self.runs += 1;
        self.refreshed += report.unchanged;
        self.failed += report.failed + usize::from(report.unfinished);
        self.lag_seconds = self.lag_seconds.max(report.lag_seconds);
    }

    /// Prints what was counted, beside what the budgets of the badge API and of the refresher allow.
    fn check(&self, seconds: usize, now: Timestamp) -> bool {
        let waiting = self.looked_up_at.values().map(|at| now.since(*at)).max().unwrap_or_default();
        let longest = self.longest.max(waiting).as_secs().try_into().expect("seconds");
        let fresh_seconds: usize = FRESH_FOR.as_secs().try_into().expect("seconds");
        let github = self.github_for_known + self.github_for_invented;
        heading(&format!("in {} simulated seconds", grouped(seconds)), BOUNDS);
        let rows = [
            ("badges that did not say pending", self.not_pending, Some(0)),
            ("events told", self.told, Some(10 + 2 * seconds)),
            ("events told by other sandboxes", TOLD_ELSEWHERE * seconds, None),
            (
                "items put into the table",
                self.put_items,
                Some(50 + 2 * seconds + 20 + seconds + 10 + seconds / 6),
            ),
            ("invented names looked up upstream", self.invented.len(), Some(self.put_items)),
            (
                "requests to GitHub for invented names",
                self.github_for_invented,
                Some(2 * (10 + (10 * seconds).div_ceil(60))),
            ),
            ("requests to GitHub for known packages", self.github_for_known, None),
            // Half of what GitHub allows a token.
            ("requests to GitHub in an hour like this", github * 3600 / seconds, Some(2500)),
            ("scheduled runs", self.runs, None),
            ("refreshes of known packages", self.refreshed, None),
            ("refreshes that failed", self.failed, Some(0)),
            (
                "longest overdue, seconds",
                self.lag_seconds.try_into().expect("seconds"),
                Some(SCHEDULE_SECONDS + A_LITTLE),
            ),
            (
                "longest between two refreshes, seconds",
                longest,
                Some(fresh_seconds + SCHEDULE_SECONDS + A_LITTLE),
            ),
            ("known packages that do not show", self.not_shown, Some(0)),
        ];
        let mut is_good = true;
        for (name, counted, most) in rows {
            let is_wrong = most.is_some_and(|most| counted > most);
            let verdict = if is_wrong { "wrong" } else { "" };
            cells(name, [grouped(counted), most.map(grouped).unwrap_or_default(), verdict.to_owned()]);
            is_good &= !is_wrong;
        }
        is_good
    }
}

/// The package that a path is about: `/v3/HIVE/NAME/index.json`, `/github/orgs/acme/packages/nuget/NAME/versions`.
fn name_in(path: &str) -> Option<&str> {
    let github = path.split_once("/packages/nuget/");
    let (_, rest) = github.or_else(|| path.strip_prefix("/v3/")?.split_once('/'))?;
    rest.split('/').next()
}
