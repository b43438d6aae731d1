//! Requests, dollars and rates at once, a hundred and ten thousand times today's .NET service: what arithmetic can say.
//! Calls are those that the tests count (ARCHITECTURE.md), sizes of log lines and durations those of docs/operations.md.

use crate::paper::{Paper, dollars, heading, rounded};
use crate::settings::{Settings, estimates};

/// A month has 730 hours.
const MONTH: f64 = 730.0 * 3600.0;
const MILLION: f64 = 1e6;
/// Today's service, in a month.
const READS: f64 = 1e6;
const RESULTS: f64 = 1e4;
const PACKAGES: f64 = 1e3;
/// Assumed: a repository has a hundred results a month, and a badge for each of three platforms.
const RESULTS_OF_REPOSITORY: f64 = 100.0;
const BADGES_OF_REPOSITORY: f64 = 3.0;
/// Assumed: the busiest second has so many times the requests of an average one.
const PEAK: f64 = 10.0;
/// Between two lookups of a package, in seconds: as deployed, and, where the refresher could not keep up, the longest
/// that `FreshSeconds` may be.
const FRESH: [f64; 3] = [900.0, 900.0, 86_400.0];

/// Prices in dollars, us-east-1, on demand, without free tiers. docs/scale.md has their sources.
mod price {
    pub(super) const CDN_REQUESTS: f64 = 1.00;
    pub(super) const CDN_GIGABYTE: f64 = 0.085;
    pub(super) const API_REQUESTS: f64 = 1.00;
    /// From 300 million on.
    pub(super) const API_REQUESTS_MORE: f64 = 0.90;
    pub(super) const INVOCATIONS: f64 = 0.20;
    pub(super) const GIGABYTE_SECOND: f64 = 0.000_013_333_4;
    pub(super) const WRITE_UNITS: f64 = 0.625;
    pub(super) const READ_UNITS: f64 = 0.125;
    pub(super) const STORED_GIGABYTE: f64 = 0.25;
    pub(super) const BACKED_UP_GIGABYTE: f64 = 0.20;
    pub(super) const QUEUE_REQUESTS: f64 = 0.40;
    pub(super) const EVENTS: f64 = 1.00;
    pub(super) const SECRET: f64 = 0.40;
    pub(super) const SECRET_READS: f64 = 5.00;
    pub(super) const LOG_GIGABYTE: f64 = 0.50 + 0.03;
    pub(super) const TRACES: f64 = 5.00;
    /// 19 alarms, 10 metrics, the dashboard.
    pub(super) const MONITORING: f64 = 19.0 * 0.10 + 10.0 * 0.30 + 3.00;
}

/// So many times today's service.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    times: f64,
    fresh: f64,
}

impl Scale {
    pub(crate) fn all() -> [Self; 3] {
        [(1.0, FRESH[0]), (100.0, FRESH[1]), (10_000.0, FRESH[2])].map(|(times, fresh)| Self { times, fresh })
    }

    fn reads(self) -> f64 {
        READS * self.times
    }

    fn results(self) -> f64 {
        RESULTS * self.times
    }

    fn packages(self) -> f64 {
        PACKAGES * self.times
    }

    pub(crate) fn repositories(self) -> f64 {
        self.results() / RESULTS_OF_REPOSITORY
    }

    fn refreshes(self) -> f64 {
        self.packages() * MONTH / self.fresh
    }

    /// What badge-api tells of packages, once a day each.
    fn told(self) -> f64 {
        self.packages() * MONTH / 86_400.0
    }

    pub(crate) fn posts_per_second(self) -> f64 {
        self.results() / MONTH
    }

    pub(crate) fn peak_posts_per_second(self) -> f64 {
        PEAK * self.posts_per_second()
    }

    /// How many of a hundred reads the CDN answers, when some badges are read more than others (Zipf's law), and all
    /// readers come to one cache: shields.io asks from few places. A copy is fresh for `fresh` seconds.
    fn hits_percent(self, fresh: f64) -> f64 {
        let badges = (BADGES_OF_REPOSITORY * self.repositories() + self.packages()) as u32;
        let sum: f64 = (1..=badges).map(|rank| 1.0 / f64::from(rank)).sum();
        let per_second = self.reads() / MONTH;
        let misses = (1..=badges).map(|rank| {
            let rate = per_second / (f64::from(rank) * sum);
            rate / (1.0 + rate * fresh)
        });
        100.0 * (1.0 - misses.sum::<f64>() / per_second)
    }
}

/// What each refresh can be done a second, on the CPU that its memory brings: Lambda gives a CPU for 1,769 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>), and 1,673 a second were measured on two,
/// with database and upstream (docs/performance.md). From an upstream that takes 50 ms it was 558, on as many.
const REFRESHES_MEASURED: f64 = 1673.0 / 2.0;
const REFRESHES_SLOW: f64 = 558.0;
const CPU_MEGABYTES: f64 = 1769.0;
/// Assumed: what GitHub takes for a request, in seconds. A package takes two.
const GITHUB_REQUEST: f64 = 0.2;
const GITHUB_REQUESTS_OF_PACKAGE: f64 = 2.0;
/// Points a minute that GitHub allows, a request being one:
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
const GITHUB_POINTS: f64 = 900.0;

/// Tells rates, upstreams and dollars.
pub(crate) fn tell(paper: &mut Paper, settings: &Settings) {
    rates(paper);
    upstreams(paper, settings);
    bill(paper, settings);
}

fn columns(paper: &mut Paper, name: &str, cell: impl Fn(Scale) -> String) {
    let cells = Scale::all().map(cell);
    paper.row(&[&[name.to_owned()], &cells[..]].concat());
}

fn rates(paper: &mut Paper) {
    heading("a second: on average, and at the peak");
    let both = |average: f64| format!("{}, {}", rounded(average), rounded(PEAK * average));
    columns(paper, "badge reads", |scale| both(scale.reads() / MONTH));
    columns(paper, "results", |scale| both(scale.posts_per_second()));
    columns(paper, "packages looked up, every 15 minutes", |scale| rounded(scale.packages() / FRESH[0]));
    columns(paper, "functions at once, peak: badge-api, ingest-api", |scale| {
        let (reads, posts) = (PEAK * scale.reads() / MONTH, scale.peak_posts_per_second());
        format!(
            "{}, {}",
            rounded((reads * estimates::BADGE).ceil()),
            rounded((posts * estimates::POST).ceil())
        )
    });
    columns(paper, "units that are written, peak: results and their index, nonces", |scale| {
        let posts = scale.peak_posts_per_second();
        format!("{}, {}", rounded(2.0 * posts), rounded(2.0 * posts))
    });
    columns(paper, "units that are read, peak", |scale| rounded(PEAK * scale.reads() / MONTH / 2.0));
}

fn upstreams(paper: &mut Paper, settings: &Settings) {
    heading("what one run of the refresher can look up, and packages that it keeps fresh");
    let time = settings.refresher_timeout - settings.refresher_time_left;
    let mut row = |name: &str, per_second: f64| {
        let of_run = per_second * time;
        let kept = |fresh: f64| rounded((of_run * fresh / settings.schedule / 100.0).floor() * 100.0);
        let rate = rounded(per_second);
        paper.row(&[name.to_owned(), rate, rounded(of_run), kept(FRESH[0]), kept(FRESH[2])]);
        of_run
    };
    let cpu = settings.refresher_memory / CPU_MEGABYTES;
    let nuget = row("NuGet, by the CPU of 512 MB", (REFRESHES_MEASURED * cpu).min(REFRESHES_SLOW));
    row("NuGet, by 32 at once and 50 ms, with a whole CPU (1,769 MB)", REFRESHES_SLOW);
    row(
        "GitHub, by 8 at once and 200 ms",
        settings.github_at_once / GITHUB_REQUEST / GITHUB_REQUESTS_OF_PACKAGE,
    );
    row("GitHub, one token, all unchanged", GITHUB_POINTS / 60.0 / GITHUB_REQUESTS_OF_PACKAGE);
    let due = |scale: Scale| scale.packages() * settings.schedule / scale.fresh;
    let [_, hundred, ten_thousand] = Scale::all();
    paper.claim(settings.fresh_packages.to_bits() == FRESH[0].to_bits(), "packages are fresh for 15 minutes");
    paper.claim(due(hundred) < nuget, "a run does what is due at 100 times");
    paper.claim(due(ten_thousand) < nuget, "at 10,000 times it does so with the longest FreshSeconds");
    let today = Scale { fresh: FRESH[0], ..ten_thousand };
    paper.claim(
        due(today) > 40.0 * nuget,
        "at 10,000 times it does not, by far, with the present FreshSeconds",
    );
}

fn bill(paper: &mut Paper, settings: &Settings) {
    heading("dollars a month");
    let mut totals = [0.0; 3];
    for (name, cost) in SERVICES {
        let amounts = Scale::all().map(|scale| cost(scale, settings));
        totals.iter_mut().zip(&amounts).for_each(|(total, (_, amount))| *total += amount);
        let cells = amounts.map(|(what, amount)| format!("{what}: {}", dollars(amount)));
        paper.row(&[&[name.to_owned()], &cells[..]].concat());
    }
    let mut row = |name: &str, amounts: [f64; 3]| {
        let amounts = amounts.map(|amount| format!("**{}**", dollars(amount)));
        paper.row(&[&[format!("**{name}**")], &amounts[..]].concat());
    };
    let of_secrets = Scale::all().map(|scale| secrets(scale, settings).1);
    let [one, hundred, ten_thousand] = [0, 1, 2].map(|index| totals[index] - of_secrets[index]);
    row("together", totals);
    row("without secrets", [one, hundred, ten_thousand]);
    columns(paper, "packages every 15 minutes instead", |scale| {
        dollars(packages(Scale { fresh: FRESH[0], ..scale }, settings).1)
    });
    columns(paper, "reads that the CDN answers, if badges are read by Zipf's law", |scale| {
        format!("{}%", rounded(scale.hits_percent(settings.fresh)))
    });
    paper.claim(of_secrets[1] > hundred, "at 100 times secrets are most of the bill");
    paper.claim(of_secrets[2] > 5.0 * ten_thousand, "at 10,000 times they are nearly all of it");
    paper.claim(ten_thousand / 1e4 < one, "without them a badge costs no more at 10,000 times");
}

/// What a service is asked for in a month, and what that costs.
type Cost = fn(Scale, &Settings) -> (String, f64);

const SERVICES: [(&str, Cost); 10] = [
    ("CloudFront: requests, 1 KB each", cdn),
    ("API Gateway: requests, none answered by the CDN", api),
    ("Lambda: invocations", lambda),
    ("DynamoDB, results, nonces and badges: units written", results_and_badges),
    ("DynamoDB, packages: units written", packages),
    ("DynamoDB: GB of results after two years", storage),
    ("SQS: requests; and EventBridge", messages),
    ("Secrets Manager: secrets", secrets),
    ("CloudWatch: GB of logs; metrics, alarms, dashboard", logs),
    ("X-Ray: traces; with `Tracing=PassThrough` none", traces),
];

fn millions(number: f64) -> String {
    format!("{} M", rounded(number / MILLION))
}

fn cdn(scale: Scale, _: &Settings) -> (String, f64) {
    let reads = scale.reads() / MILLION;
    (millions(scale.reads()), reads * (price::CDN_REQUESTS + price::CDN_GIGABYTE))
}

fn api(scale: Scale, _: &Settings) -> (String, f64) {
    let requests = (scale.reads() + scale.results()) / MILLION;
    let first = requests.min(300.0);
    (
        millions(requests * MILLION),
        first * price::API_REQUESTS + (requests - first) * price::API_REQUESTS_MORE,
    )
}

/// Durations are those that docs/operations.md assumes, and for a package that is told of 50 ms.
fn lambda(scale: Scale, settings: &Settings) -> (String, f64) {
    let invocations = scale.reads() + 2.0 * scale.results() + scale.told() + MONTH / settings.schedule;
    let small = scale.reads() * estimates::BADGE + scale.results() * (estimates::POST + estimates::BATCH);
    let refreshed_per_second = REFRESHES_MEASURED * settings.refresher_memory / CPU_MEGABYTES;
    let runs = (scale.refreshes() / refreshed_per_second).max(MONTH / settings.schedule);
    let large = runs + scale.told() * 0.050;
    let gigabyte_seconds = 0.25 * small + settings.refresher_memory / 1024.0 * large;
    let cost = invocations / MILLION * price::INVOCATIONS + gigabyte_seconds * price::GIGABYTE_SECOND;
    (millions(invocations), cost)
}

/// A result reserves its nonce and marks it, and is written into the table and its index; a badge is half a unit.
fn results_and_badges(scale: Scale, _: &Settings) -> (String, f64) {
    let written = 4.0 * scale.results();
    let read = 0.5 * scale.reads();
    (millions(written), (written * price::WRITE_UNITS + read * price::READ_UNITS) / MILLION)
}

/// A lookup that finds nothing new writes the lease, the item, and twice the index; it reads one item.
fn packages(scale: Scale, _: &Settings) -> (String, f64) {
    let written = 4.0 * scale.refreshes() + scale.told();
    (millions(written), (written * price::WRITE_UNITS + scale.refreshes() * price::READ_UNITS) / MILLION)
}

/// A million results are 1.5 GB with their index, of which one half is backed up (docs/operations.md).
fn storage(scale: Scale, _: &Settings) -> (String, f64) {
    let results = 24.0 * scale.results() / MILLION;
    let cost = 1.5 * results * price::STORED_GIGABYTE + 0.75 * results * price::BACKED_UP_GIGABYTE;
    (rounded(1.5 * results), cost)
}

/// A message is sent, received and deleted; two queues are polled by five at once, 20 s each.
fn messages(scale: Scale, _: &Settings) -> (String, f64) {
    let events = scale.results() + scale.told();
    let requests = 3.0 * events + 2.0 * 5.0 * MONTH / 20.0;
    (millions(requests), (requests * price::QUEUE_REQUESTS + events * price::EVENTS) / MILLION)
}

/// Keys are read at most once for each result.
fn secrets(scale: Scale, _: &Settings) -> (String, f64) {
    let kept = scale.repositories();
    (rounded(kept), kept * price::SECRET + scale.results() * price::SECRET_READS / MILLION)
}

/// Bytes of lines as docs/operations.md has them; kept for a month.
fn logs(scale: Scale, _: &Settings) -> (String, f64) {
    let gigabytes = (scale.reads() * 450.0 + scale.results() * 3400.0) / 1e9;
    (rounded(gigabytes), gigabytes * price::LOG_GIGABYTE + price::MONITORING)
}

/// One request a second is traced, and a twentieth of the others; of three functions.
fn traces(scale: Scale, _: &Settings) -> (String, f64) {
    let traced = |requests: f64| {
        let first_of_second = MONTH * (1.0 - (-requests / MONTH).exp());
        first_of_second + 0.05 * (requests - first_of_second)
    };
    let traces = traced(scale.reads()) + 2.0 * traced(scale.results());
    (millions(traces), traces * price::TRACES / MILLION)
}
