//! Prints the table "Whole bills" of docs/costs.md: `cargo run --package tests --bin cost`.
//!
//! Prices are those of us-east-1 in November 2026; sizes and durations are the assumptions of docs/costs.md.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

/// Seconds in a month of 730 hours.
const MONTH: f64 = 730.0 * 3600.0;
const DAY: f64 = 86_400.0;
/// Runs of the schedule, one every five minutes.
const RUNS: f64 = MONTH / 300.0;
/// Seconds between two lookups of a package, `FreshSeconds`.
const FRESH: f64 = 900.0;
/// Packages that the refresher looks up per second: 1,673 were measured on two CPUs, and 1,769 MB of memory correspond
/// to one CPU.
const REFRESHES_PER_SECOND: f64 = 1673.0 / 2.0 * 512.0 / 1769.0;
const MILLION: f64 = 1e6;

// Dollars; requests, units, events and traces by the million.
const CDN_REQUESTS: f64 = 1.00;
const CDN_GIGABYTE: f64 = 0.085;
const API_REQUESTS: f64 = 1.00;
const INVOCATIONS: f64 = 0.20;
const GIGABYTE_SECOND: f64 = 0.000_013_333_4;
const WRITE_UNITS: f64 = 0.625;
const READ_UNITS: f64 = 0.125;
const STORED_GIGABYTE: f64 = 0.25;
const BACKUP_GIGABYTE: f64 = 0.20;
const QUEUE_REQUESTS: f64 = 0.40;
const EVENTS: f64 = 1.00;
const SECRET: f64 = 0.40;
const SECRET_READS: f64 = 5.00;
const TRACES: f64 = 5.00;

/// The monthly load.
#[derive(Clone, Copy)]
struct Load {
    scale: u32,
    badge_reads: f64,
    results: f64,
    package_lookups: f64,
    /// Events with which badge-api reports that a package is read, one a day for each package.
    read_events: f64,
}

/// The monthly use of a service, and its price in dollars.
type Item = (String, f64);

impl Load {
    /// At scale 1: a million badge reads, 10,000 results of 100 repositories with 3 badges each, 1,000 packages.
    fn new(scale: u32, fresh: f64) -> Self {
        let (times, packages) = (f64::from(scale), f64::from(scale * 1000));
        Self {
            scale,
            badge_reads: 1e6 * times,
            results: 1e4 * times,
            package_lookups: packages * MONTH / fresh,
            read_events: packages * MONTH / DAY,
        }
    }

    /// At 10,000 times, `FreshSeconds` is the longest that it may be.
    fn all() -> [Self; 3] {
        [Self::new(1, FRESH), Self::new(100, FRESH), Self::new(10_000, DAY)]
    }

    /// Names and cells of a column of the table.
    fn rows(self) -> Vec<(&'static str, String)> {
        let services = [
            ("CloudFront: requests, 1 KB each", self.cdn()),
            ("API Gateway: requests", self.api()),
            ("Lambda: invocations", self.lambda()),
            ("DynamoDB, results, nonces and badges: units written", self.results_and_badges()),
            ("DynamoDB, packages: units written", self.packages()),
            ("DynamoDB: GB of results after two years", self.storage()),
            ("SQS: requests; and EventBridge", self.messages()),
            ("Secrets Manager: the master key; its reads", self.master_key()),
            ("CloudWatch: GB of logs; metrics, alarms, dashboard", self.monitoring()),
            ("X-Ray: traces; with `Tracing=PassThrough` none", self.traces()),
        ];
        let total: f64 = services.iter().map(|(_, (_, cost))| cost).sum();
        let cell = |(name, (used, cost))| (name, format!("{used}: {}", dollars(cost)));
        let mut rows: Vec<_> = services.into_iter().map(cell).collect();
        let every_15_minutes = Self { package_lookups: self.read_events * DAY / FRESH, ..self };
        rows.extend([
            ("**together**", format!("**{}**", dollars(total))),
            ("packages every 15 minutes instead", dollars(every_15_minutes.packages().1)),
            ("reads that the CDN answers, if badges are read by Zipf's law", self.cdn_hits()),
        ]);
        rows
    }

    fn cdn(self) -> Item {
        let requests = self.badge_reads + self.results;
        (millions(requests), requests / MILLION * (CDN_REQUESTS + CDN_GIGABYTE))
    }

    /// Results only. Reads reach badge-api by its function URL, which costs nothing.
    fn api(self) -> Item {
        (millions(self.results), self.results / MILLION * API_REQUESTS)
    }

    /// A badge takes 10 ms, a post 30 ms, its batch 20 ms, a package request 50 ms; a run every five minutes 1 s or more.
    fn lambda(self) -> Item {
        let invocations = self.badge_reads + 2.0 * self.results + self.read_events + RUNS;
        let refresher = (self.package_lookups / REFRESHES_PER_SECOND).max(RUNS) + self.read_events * 0.050;
        let others = self.badge_reads * 0.010 + self.results * (0.030 + 0.020);
        let cost = (0.5 * refresher + 0.25 * others) * GIGABYTE_SECOND;
        (millions(invocations), invocations / MILLION * INVOCATIONS + cost)
    }

    /// A result takes two writes for its nonce, one for the history, one for its slot and two in the index of slots; a
    /// badge reads half a unit, and so does a result for its repository's registration.
    fn results_and_badges(self) -> Item {
        let (written, read) = (6.0 * self.results, 0.5 * (self.badge_reads + self.results));
        (millions(written), (written * WRITE_UNITS + read * READ_UNITS) / MILLION)
    }

    /// An unchanged package takes a write for its lease, one for its item and two for the index, and reads a unit. Each of
    /// the ten queries of a run reads at least half a unit.
    fn packages(self) -> Item {
        let written = 4.0 * self.package_lookups + self.read_events;
        let read = self.package_lookups + 10.0 * 0.5 * RUNS;
        (millions(written), (written * WRITE_UNITS + read * READ_UNITS) / MILLION)
    }

    /// A million results are 0.75 GB, and as much in the backup. Slots are few.
    fn storage(self) -> Item {
        let results = 24.0 * self.results / MILLION;
        (rounded(0.75 * results), results * 0.75 * (STORED_GIGABYTE + BACKUP_GIGABYTE))
    }

    /// A message is sent, received and deleted; five pollers on each of two queues wait 20 s for messages.
    fn messages(self) -> Item {
        let events = self.results + self.read_events;
        let requests = 3.0 * events + 2.0 * 5.0 * MONTH / 20.0;
        (millions(requests), (requests * QUEUE_REQUESTS + events * EVENTS) / MILLION)
    }

    /// Each instance of ingest-api reads both versions of the master key once in five minutes, but not more often than
    /// once for a result. A post takes 30 ms, and the busiest second has ten times the average posts.
    fn master_key(self) -> Item {
        let instances = (10.0 * self.results / MONTH * 0.030).ceil();
        let reads = (2.0 * instances * MONTH / 300.0).min(self.results);
        (millions(reads), SECRET + reads / MILLION * SECRET_READS)
    }

    /// A GB of logs is ingested and kept for a month; besides there are 21 alarms, 10 metrics and the dashboard. Reads are
    /// not logged.
    fn monitoring(self) -> Item {
        let gigabytes = self.results * 3200.0 / 1e9;
        let cost = gigabytes * (0.50 + 0.03) + 21.0 * 0.10 + 10.0 * 0.30 + 3.00;
        (rounded(gigabytes), cost)
    }

    /// X-Ray samples the first request of each second and 5% of the others, in each of three functions.
    fn traces(self) -> Item {
        let sampled = |requests: f64| {
            let first_of_second = MONTH * (1.0 - (-requests / MONTH).exp());
            first_of_second + 0.05 * (requests - first_of_second)
        };
        let traces = sampled(self.badge_reads) + 2.0 * sampled(self.results);
        (millions(traces), traces / MILLION * TRACES)
    }

    /// The CDN serves a copy for 30 s, and all readers share one cache.
    fn cdn_hits(self) -> String {
        let badges = self.scale * (100 * 3 + 1000);
        let harmonic: f64 = (1..=badges).map(|rank| 1.0 / f64::from(rank)).sum();
        let rate = |rank: u32| self.badge_reads / MONTH / (f64::from(rank) * harmonic);
        let misses: f64 = (1..=badges).map(|rank| rate(rank) / (1.0 + rate(rank) * 30.0)).sum();
        format!("{}%", rounded(100.0 * (1.0 - misses * MONTH / self.badge_reads)))
    }
}

fn main() {
    println!("| | once | 100 times | 10,000 times |\n|---|---|---|---|");
    let [once, hundred, ten_thousand] = Load::all().map(Load::rows);
    for (((name, first), (_, second)), (_, third)) in once.iter().zip(&hundred).zip(&ten_thousand) {
        println!("| {name} | {first} | {second} | {third} |");
    }
}

fn millions(number: f64) -> String {
    format!("{} M", rounded(number / MILLION))
}

fn dollars(amount: f64) -> String {
    if amount < 100.0 { format!("${amount:.2}") } else { format!("${}", rounded(amount)) }
}

/// `1234567.4` as `1,234,567`; two digits after the point below 10, one below 100.
fn rounded(number: f64) -> String {
    let places = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    let text = format!("{number:.places$}");
    let (whole, digits) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = digits.trim_end_matches('0');
    let groups: Vec<_> = whole.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    if fraction.is_empty() { groups.join(",") } else { format!("{}.{fraction}", groups.join(",")) }
}

#[test]
fn totals_match_the_documentation() {
    let totals = Load::all().map(|load| load.rows()[10].1.clone());
    assert_eq!(totals, ["**$22.80**", "**$996**", "**$20,080**"]);
}
