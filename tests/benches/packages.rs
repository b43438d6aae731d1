//! How fast packages are refreshed and their badges read, on one machine, with its own upstream.
//!
//! `cargo bench --bench packages` prints tables, and takes minutes; `-- --quick` seconds. It measures
//! - how many packages one scheduled run refreshes a second, and in how much memory;
//! - how long a run over 10,000 packages takes if the upstream is slow, and fails if that is too long;
//! - how fast badges of a package with 3,000 versions are read;
//! - what a flood of invented names within an hour causes, and fails if it delays a known package.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark writes to the terminal, and stops when something is wrong"
)]

mod measure;

use std::io::{BufRead, BufReader, Write};
use std::ops::RangeInclusive;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use badgesmith_domain::package_request::Reason;
use clap::Parser;
use refresher::Report;
use tests::upstream::Upstream;
use tests::world::{FRESH_FOR, World};

use crate::measure::{Extent, TIMES, cells, grouped, heading, per_second, progress, row};

/// Columns of scheduled runs: the rate, the resident memory before the run, and its peak.
const REFRESHES: [&str; 3] = ["per second", "MB before", "MB peak"];
/// The number of new names that are looked up at once, in half a second each.
const AT_ONCE: usize = 50;
const PER_NAME: Duration = Duration::from_millis(500);
/// The steps in which the world's clock advances during a scheduled run.
const TICK: Duration = Duration::from_millis(10);
/// The function's timeout.
const RUN_MAX: Duration = Duration::from_mins(5);
/// The latency of a slow upstream.
const LATENCY: Duration = Duration::from_millis(50);
/// How often the requests of a flood are handled, and how many times in an hour.
const DRAINED_EVERY: Duration = Duration::from_secs(10);
const ROUNDS: usize = 360;
/// The time for which the badge API serves a package from memory.
const KEPT_FOR: Duration = Duration::from_mins(2);

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    extent: Extent,

    /// Serve as the upstream of the parent process, with this many packages and versions
    #[arg(long, hide = true, num_args = 2)]
    serve: Vec<usize>,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    if let [packages, versions] = options.serve[..] {
        return serve(packages, versions).await;
    }
    println!("Memory is that of this process with its tables; the upstream is another process.");
    measure_refreshing(options.extent.pick(1000, 50)).await;
    measure_slow_upstream(options.extent.pick(10_000, 200)).await;
    measure_reading(&options.extent).await;
    measure_flood(options.extent.pick(1_000_000, 10_000)).await;
}

/// The badges of invented names are read at a constant rate. Each kind of name is a third of them: of NuGet, of one
/// organization, and of invented organizations.
async fn measure_flood(count: usize) {
    let upstream = Upstream::start();
    upstream.github_token("token", &[]);
    upstream.publish("kit", &["1.0.0"]);
    let world = World::with_upstream(&upstream);
    world.set_github_token("acme", "token").await;
    world.publish_request("nuget/kit", Reason::FirstRequested).await;
    world.drain_requests().await;
    upstream.take_requests();
    let (mut counts, mut github, mut refreshes) = ([0; 3], 0, 0);
    let started = Instant::now();
    for round in 0..ROUNDS {
        for number in round * count / ROUNDS..(round + 1) * count / ROUNDS {
            let package = match number % 3 {
                0 => format!("nuget/invented.{number}"),
                1 => format!("github/acme/invented.{number}"),
                _ => format!("github/org-{number}/invented"),
            };
            world.version(&package).await;
        }
        world.clock.advance(DRAINED_EVERY);
        world.drain_requests().await;
        if round.is_multiple_of(30) {
            world.refresh_due().await;
        }
        for call in world.faults.take_calls() {
            counts[0] += usize::from(call.operation == "PutEvents");
            counts[1] += usize::from(call.operation == "PutItem");
        }
        let requests = upstream.take_requests();
        github += requests.iter().filter(|request| request.path.starts_with("/github")).count();
        refreshes += requests.iter().filter(|request| request.path.ends_with("/kit/index.json")).count();
        counts[2] += requests.len();
    }
    let name = format!("{} invented names in an hour", grouped(count));
    heading("flood of invented names", ["events", "new items", "requests"]);
    cells(&name, counts.map(grouped));
    println!("  {} requests to GitHub; {:.1} s in all", grouped(github), started.elapsed().as_secs_f64());
    assert_eq!(world.version("nuget/kit").await, "1.0.0");
    assert!(refreshes >= 3, "the known package was refreshed {refreshes} times in an hour");
}

async fn measure_refreshing(count: usize) {
    let mut feed = Feed::start(count, 99);
    let world = world_of(&feed, count).await;
    heading("one scheduled run, SQLite in memory, no latency", REFRESHES);
    let report = run(&world, &format!("{} packages, all unchanged: 304", grouped(count)), count).await;
    assert_eq!(report.unchanged, count, "{report:?}");
    feed.command("publish");
    let name = format!("{} packages of 100 versions, one new: 200", grouped(count));
    let report = run(&world, &name, count).await;
    assert_eq!(report.changed, count, "{report:?}");
}

async fn measure_slow_upstream(count: usize) {
    let mut feed = Feed::start(count, 1);
    let world = world_of(&feed, count).await;
    feed.command("latency");
    heading(&format!("one scheduled run, SQLite in memory, latency {LATENCY:?}"), REFRESHES);
    let started = Instant::now();
    let report = run(&world, &format!("{} packages, all unchanged: 304", grouped(count)), count).await;
    let elapsed = started.elapsed();
    println!("  {:.1} s in all", elapsed.as_secs_f64());
    let Report { unchanged, unfinished, .. } = report;
    assert!(unchanged == count && !unfinished && elapsed <= RUN_MAX, "{elapsed:?}: {report:?}");
}

/// The registration of the package has pages.
async fn measure_reading(extent: &Extent) {
    let upstream = Upstream::start();
    let versions: Vec<_> = (1..=3000).map(|major| format!("{major}.0.0")).collect();
    upstream.publish("kit.0", &versions.iter().map(String::as_str).collect::<Vec<_>>());
    let mut world = World::with_upstream(&upstream);
    assert_eq!(world.look_up("nuget/kit.0").await, "3000.0.0");
    heading("badge of 3,000 versions, one client, without HTTP", TIMES);
    for (name, package, expected, operation) in [
        ("without a range", "nuget/kit.0", "3000.0.0", "GetItem"),
        ("with a range", "nuget/kit.0?version=[1.0,2000.0)", "1999.0.0", "Query"),
    ] {
        let read = async || {
            let called = Instant::now();
            assert_eq!(world.version(package).await, expected);
            called.elapsed()
        };
        read().await;
        world.faults.take_calls();
        let period = extent.pick(Duration::from_secs(3), Duration::from_millis(300));
        let (started, mut times) = (Instant::now(), Vec::new());
        while started.elapsed() < period {
            times.push(read().await);
        }
        row(&format!("{name}, from memory"), Some((times.len(), started.elapsed())), &times);
        assert_eq!(world.faults.take_calls().len(), 0, "nothing is read from the table");
        times.clear();
        for _ in 0..extent.pick(1000, 20) {
            world.clock.advance(KEPT_FOR + Duration::from_secs(1));
            // The badge of a stale package would also publish an event.
            world.refresh_due().await;
            world.faults.take_calls();
            times.push(read().await);
            assert_eq!(world.faults.take_count(operation), 1, "it is read from the table");
        }
        row(&format!("{name}, from the table"), Some((times.len(), times.iter().sum())), &times);
    }
}

/// A world that knows the packages `nuget/kit.0`, `nuget/kit.1` and so on of a feed.
async fn world_of(feed: &Feed, count: usize) -> World {
    let mut world = World::new();
    world.set_nuget_service_index(&feed.index);
    for number in 1..=count {
        world.publish_request(&format!("nuget/kit.{}", number - 1), Reason::FirstRequested).await;
        world.clock.advance(PER_NAME);
        if number.is_multiple_of(AT_ONCE) {
            world.drain_requests().await;
            world.faults.take_calls();
            progress(number, count, "packages looked up for the first time");
        }
    }
    world
}

/// Runs the schedule when all packages are due, and prints the rate and the memory.
async fn run(world: &World, name: &str, count: usize) -> Report {
    world.clock.advance(FRESH_FOR * 2);
    let (clock, faults) = (world.clock.clone(), world.faults.clone());
    let ticking = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            clock.advance(TICK);
            // The record of calls is not the refresher's memory.
            faults.take_calls();
        }
    });
    // Makes what is resident now the peak. Without this file, the peak is that of the whole process.
    std::fs::write("/proc/self/clear_refs", "5").ok();
    let before = resident_mb("VmRSS:");
    let started = Instant::now();
    let report = world.refresh_due().await;
    let elapsed = started.elapsed();
    ticking.abort();
    cells(name, [per_second(count, elapsed), before, resident_mb("VmHWM:")]);
    report
}

/// A line of `/proc/self/status`, or nothing without that file.
fn resident_mb(name: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let kilobytes = kilobytes.and_then(|kilobytes| kilobytes.parse::<f64>().ok());
    kilobytes.map_or(String::new(), |kilobytes| format!("{:.1}", kilobytes / 1024.0))
}

/// An upstream in its own process, which ends when this is dropped.
struct Feed {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The URL of its service index.
    index: String,
}

impl Feed {
    fn start(packages: usize, versions: usize) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command.arg("--serve").args([packages.to_string(), versions.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut feed = Self { child, output, index: String::new() };
        feed.index = feed.line();
        feed
    }

    fn command(&mut self, command: &str) {
        writeln!(self.child.stdin.as_mut().expect("its input"), "{command}").expect("a running upstream");
        assert_eq!(self.line(), command, "it responds when it is done");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Closes its input, at which it ends.
        self.child.wait().ok();
    }
}

/// Serves packages until the input ends. `publish` adds a version to each, `latency` delays each response.
async fn serve(packages: usize, versions: usize) {
    let upstream = Upstream::start();
    publish(&upstream, packages, 1..=versions).await;
    println!("{}", upstream.nuget_service_index());
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        match line.as_str() {
            "publish" => publish(&upstream, packages, versions + 1..=versions + 1).await,
            _ => upstream.set_latency(LATENCY),
        }
        println!("{line}");
    }
}

/// Publishes `kit.0`, `kit.1` and so on, and reads each registration, so that it is made before it is measured.
async fn publish(upstream: &Upstream, packages: usize, versions: RangeInclusive<usize>) {
    let versions: Vec<_> = versions.map(|major| format!("{major}.0.0")).collect();
    let versions: Vec<_> = versions.iter().map(String::as_str).collect();
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    for number in 0..packages {
        upstream.publish(&format!("kit.{number}"), &versions);
        let url = format!("{}/v3/registration5-gz-semver2/kit.{number}/index.json", upstream.url());
        let answer = http.get(url).send().await.and_then(reqwest::Response::error_for_status);
        answer.expect("a registration").bytes().await.expect("all of it");
    }
}
