//! How fast packages are refreshed and their badges read, and what a flood of invented names costs, all of it
//! on one machine, with upstreams of its own.
//!
//! `cargo bench --bench packages` prints tables, and takes minutes; `cargo bench --bench packages -- --help`
//! lists the options. It measures
//! - how many packages one scheduled run refreshes a second, and in how much memory;
//! - how long a run over 10,000 packages takes, of an upstream as slow as a distant one;
//! - how fast badges of a package with 3,000 versions are read;
//! - what becomes of a million reads of invented names within an hour, and of known packages meanwhile.
//!
//! Rates and memory have no thresholds, since they depend on the machine. The exit code is 1 if the large run
//! did not come to its end in time, or the flood cost more than the budgets allow, or a known package waited
//! for it.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark writes to the terminal, and stops when something is wrong"
)]

#[path = "packages/feed.rs"]
mod feed;
#[path = "packages/flood.rs"]
mod flood;
mod measure;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use badgesmith_domain::package_request::Reason;
use clap::{Parser, ValueEnum};
use refresher::Report;
use tests::upstream::Upstream;
use tests::world::{FRESH_FOR, World};

use crate::feed::{Feed, serve, versions};
use crate::measure::{Extent, Load, TIMES, cells, grouped, heading, per_second, progress, row};

/// Columns of scheduled runs: the rate, what was resident before, and the most that was meanwhile.
const REFRESHES: [&str; 3] = ["per second", "MB before", "MB peak"];
/// As fast as names that were never seen may come: so many at once, half a second for each.
const AT_ONCE: usize = 50;
const PER_NAME: Duration = Duration::from_millis(500);
/// The clock of a scheduled run ticks so often.
const TICK: Duration = Duration::from_millis(10);
/// The function's timeout.
const RUN_MAX: Duration = Duration::from_mins(5);
/// The badge API serves what it has read from memory for so long.
const KEPT_FOR: Duration = Duration::from_mins(2);

/// Measure packages on this machine.
#[derive(Parser)]
struct Options {
    /// Measure this alone
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Part>,

    #[command(flatten)]
    extent: Extent,

    /// Be the upstream of the process that started this one
    #[arg(long, hide = true)]
    serve: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Scheduled runs, and their memory
    Refreshing,
    /// One scheduled run over many packages
    Many,
    /// Badges of a package with many versions
    Reading,
    /// Names that nobody has published
    Flood,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if options.serve {
        serve().await;
        return ExitCode::SUCCESS;
    }
    let asked = |part| options.only.is_none_or(|only| only == part);
    let mut is_good = true;
    if asked(Part::Refreshing) {
        measure_refreshing(&options.extent).await;
    }
    if asked(Part::Many) {
        is_good &= check_many(&options.extent).await;
    }
    if asked(Part::Reading) {
        measure_reading(&options.extent).await;
    }
    if asked(Part::Flood) {
        is_good &= flood::check(&options.extent).await;
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the schedule when all packages are due: all of them unchanged, then all with a new version.
async fn measure_refreshing(extent: &Extent) {
    let count = extent.pick(1000, 50);
    let mut feed = Feed::start();
    feed.publish(count, 1, 99);
    let world = world_of(&feed, count).await;
    println!("\nMemory is all of this process, its tables included: VmRSS before a run, VmHWM during it.");
    println!("The upstream is another process.");
    heading("one scheduled run, SQLite in memory, no latency", REFRESHES);
    let unchanged = run(&world).await;
    assert_eq!(unchanged.report.unchanged, count, "{:?}", unchanged.report);
    unchanged.print(&format!("{} packages, all unchanged: 304", grouped(count)), count);
    feed.publish(count, 100, 100);
    let changed = run(&world).await;
    assert_eq!(changed.report.changed, count, "{:?}", changed.report);
    changed.print(&format!("{} packages of 100 versions, one new: 200", grouped(count)), count);
}

/// Runs the schedule for more packages; tells whether all were looked up in the time that there is.
async fn check_many(extent: &Extent) -> bool {
    let count = extent.pick(10_000, 200);
    let mut feed = Feed::start();
    feed.publish(count, 1, 1);
    let world = world_of(&feed, count).await;
    feed.set_latency(50);
    feed.take_unchanged();
    heading("one scheduled run, SQLite in memory, latency 50 ms", REFRESHES);
    let many = run(&world).await;
    many.print(&format!("{} packages, all unchanged: 304", grouped(count)), count);
    let asked = feed.take_unchanged();
    let Report { unchanged, unfinished, lag_seconds, .. } = many.report;
    println!(
        "  {} looked up in {:.1} s, unfinished: {unfinished}, lag {} s; {} times 304",
        grouped(unchanged),
        many.elapsed.as_secs_f64(),
        grouped(lag_seconds.try_into().expect("seconds")),
        grouped(asked),
    );
    let is_good = !unfinished && many.elapsed <= RUN_MAX && (unchanged, asked) == (count, count);
    if !is_good {
        println!("  wrong: {:?}", many.report);
    }
    is_good
}

/// Reads badges of a package with many versions, the registration of which has pages.
async fn measure_reading(extent: &Extent) {
    let upstream = Upstream::start();
    let versions = versions(1, 3000);
    upstream.publish("kit.0", &versions.iter().map(String::as_str).collect::<Vec<_>>());
    let mut world = World::with_upstream(&upstream);
    assert_eq!(world.look_up("nuget/kit.0").await, "3000.0.0");
    let world = Arc::new(world);
    heading("badge of 3,000 versions, one client, without HTTP", TIMES);
    let ways = [
        ("without a range", "nuget/kit.0", "3000.0.0", "GetItem"),
        ("with a range", "nuget/kit.0?version=[1.0,2000.0)", "1999.0.0", "Query"),
    ];
    for (name, package, expected, _) in ways {
        assert_eq!(world.version(package).await, expected);
        world.faults.take_calls();
        let period = extent.pick(Duration::from_secs(3), Duration::from_millis(300));
        let often = Load { clients: 1, count: usize::MAX, period };
        let reads = often.run(Arc::clone(&world), move |world, _| async move {
            assert_eq!(world.version(package).await, expected);
            Some(())
        });
        reads.await.print(&format!("{name}, from memory"));
        assert_eq!(world.faults.take_calls().len(), 0, "nothing is read from the table");
    }
    for (name, package, expected, operation) in ways {
        let times = read_anew(&world, package, expected, operation, extent.pick(1000, 20)).await;
        row(&format!("{name}, from the table"), Some((times.len(), times.iter().sum())), &times);
    }
}

/// Reads a badge so many times, when what is in memory has just become too old.
async fn read_anew(
    world: &World,
    package: &str,
    expected: &str,
    operation: &str,
    count: usize,
) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..count {
        world.clock.advance(KEPT_FOR + Duration::from_secs(1));
        // Readers have nothing to tell of what is fresh.
        world.refresh_due().await;
        world.faults.take_calls();
        let called = Instant::now();
        assert_eq!(world.version(package).await, expected);
        times.push(called.elapsed());
        assert_eq!(world.faults.take_count(operation), 1, "it is read from the table");
    }
    times
}

/// A world that knows the packages `nuget/kit.0`, `nuget/kit.1` and so on of a feed, all of them due.
async fn world_of(feed: &Feed, count: usize) -> World {
    let mut world = World::new();
    world.set_nuget_service_index(&feed.index);
    for number in 1..=count {
        world.publish_request(&format!("nuget/kit.{}", number - 1), Reason::FirstRequested).await;
        world.clock.advance(PER_NAME);
        if number.is_multiple_of(AT_ONCE) {
            world.drain_requests().await;
            world.faults.take_calls();
            progress(number, count, "packages made known");
        }
    }
    world
}

/// One run of the schedule, how long it took, and what was resident: before, and at most, in KB.
struct Scheduled {
    report: Report,
    elapsed: Duration,
    memory: [Option<u64>; 2],
}

/// Runs the schedule when everything is due. The world's clock runs meanwhile.
async fn run(world: &World) -> Scheduled {
    world.clock.advance(FRESH_FOR * 2);
    let (clock, faults) = (world.clock.clone(), world.faults.clone());
    let ticking = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            clock.advance(TICK);
            // The record of calls is none of the refresher's memory.
            faults.take_calls();
        }
    });
    // Makes the peak what is resident now. Where that is not to be had, the peak is that of the whole process.
    std::fs::write("/proc/self/clear_refs", "5").ok();
    let before = resident("VmRSS:");
    let started = Instant::now();
    let report = world.refresh_due().await;
    let elapsed = started.elapsed();
    ticking.abort();
    Scheduled { report, elapsed, memory: [before, resident("VmHWM:")] }
}

impl Scheduled {
    fn print(&self, name: &str, count: usize) {
        let [before, peak] = self.memory.map(|kilobytes| {
            kilobytes.map_or(String::new(), |kilobytes| format!("{:.1}", kilobytes as f64 / 1024.0))
        });
        cells(name, [per_second(count, self.elapsed), before, peak]);
    }
}

/// A line of `/proc/self/status`, in KB; nothing where there is no such file.
fn resident(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
