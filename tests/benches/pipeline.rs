//! How fast the pipeline is on one machine. The pipeline and its clients run in this process and talk HTTP over
//! keep-alive connections.
//!
//! `cargo bench --bench pipeline` prints a table, and takes minutes; `-- --help` lists the options. It measures
//! - how fast results of many clients are accepted and processed, and how long after its 202 a result shows in its
//!   badge meanwhile;
//! - how long that takes for a single result;
//! - how fast badges are read from the table, from memory, and again with their entity tag;
//! - how fast badges are read of a repository with 100 results, and of one with a million;
//! - how fast pages of repositories with 1 to 2,000 branches are drawn.
//!
//! There are no thresholds, since figures depend on the machine. The exit code is 1 if an accepted result was lost.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark writes to the terminal, and stops when something is wrong"
)]

#[path = "pipeline/load.rs"]
mod load;
mod measure;

use std::collections::HashMap;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::Results;
use badgesmith_domain::test_result::TestResult;
use bytes::Bytes;
use clap::Parser;
use embedded_aws::Storage;
use http::Request;
use local::config::{Config, Secret};
use local::server::Server;
use local::stack::{RESULTS_QUEUE, TEST_RESULTS_TABLE, UpstreamConfig};
use serde_json::{Value, json};
use tests::branches;
use tests::client::{Answer, KEY, Post, result, with};

use crate::load::{Load, Run};
use crate::measure::{Extent, TIMES, grouped, heading, progress, row};

/// Repositories that results are posted to.
const REPOSITORIES: usize = 4;
/// Branches that results are spread over.
const BRANCHES: usize = 1000;
/// One post in this many goes to a branch without results, whose badge is polled from its 202 on.
const WATCHED: usize = 20;
/// The time between two polls of such a badge. A poll costs as much as a post.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Results of each repository that has few, one per branch.
const FEW: usize = 100;
/// The number of results that are stored in one call without being posted.
const CHUNK: usize = 1000;
/// How many branches the repository of a page has.
const PAGE_BRANCHES: [usize; 3] = [1, 100, 2000];
const TIMEOUT: Duration = Duration::from_mins(5);

/// Measure the pipeline on this machine.
#[derive(Parser)]
struct Options {
    /// Results to post [default: 10000]
    #[arg(long, value_name = "N")]
    posts: Option<NonZero<usize>>,

    /// Concurrent clients [default: 64]
    #[arg(long, value_name = "C")]
    clients: Option<NonZero<usize>>,

    /// Results in the repository that has many; a million take 3 GB of memory [default: 1000000]
    #[arg(long, value_name = "N")]
    stored: Option<usize>,

    #[command(flatten)]
    extent: Extent,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    println!("The pipeline and its clients share {cores} CPU cores.");
    let nothing_lost = measure_pipeline(&options).await;
    compare_repositories(&options).await;
    if nothing_lost { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures the latencies that clients see; returns whether no result was lost.
async fn measure_pipeline(options: &Options) -> bool {
    // The system's temporary directory may be in memory; that of the build is on disk.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let storage = Storage::Directory(directory.path().to_owned());
    let branches = Branch::spread("kit", REPOSITORIES, BRANCHES + options.extent.pick(100, 10));
    let (branches, fresh) = branches.split_at(BRANCHES);
    let secret = |branch: &Branch| {
        let repository = format!("acme/{}", branch.repo).parse().expect("a repository");
        let secret = Secret::new(repository, KEY).expect("a key that is long enough");
        Secret { posts_per_minute: NonZero::<u32>::MAX, ..secret }
    };
    let secrets: Vec<_> = branches[..REPOSITORIES].iter().map(secret).collect();
    let server = Server::start(Config { storage, secrets, ..config() }).await.expect("a server");
    let client = Client::of(&server);
    // A busy machine can keep 64 clients waiting for longer than a function waits for its table.
    let clients = options.clients.map_or(options.extent.pick(64, 8), NonZero::get);
    heading(&format!("{clients} clients, SQLite on disk"), TIMES);
    let count = options.posts.map_or(options.extent.pick(10_000, 200), NonZero::get);
    let posts = Load { clients, count, period: TIMEOUT };
    let accepted = measure_posts(&server, &client, posts, branches).await;
    let nothing_lost = check_history(&client, &accepted, &branches[..REPOSITORIES]).await;

    let each = Load { count: unwatched(posts.count).min(BRANCHES), ..posts };
    read(&client, each, branches, "").await.print("badges read from the table");
    let often = options.extent.pick(Duration::from_secs(3), Duration::from_millis(300));
    let often = Load { clients, count: usize::MAX, period: often };
    read(&client, often, &branches[..1], "").await.print("a badge read from memory");
    let image = branches[0].badge().replacen("/badges", "/svg", 1);
    let images = often.run((client.clone(), image), |(client, image), _| async move {
        assert_eq!(client.get(&image, "").await.status, 200);
        Some(())
    });
    images.await.print("its image read from memory");
    let badge = client.get(&branches[0].badge(), "").await;
    let tag = badge.header("etag").expect("an entity tag");
    read(&client, often, &branches[..1], tag).await.print("the same with If-None-Match: 304");
    heading("one client, SQLite on disk", TIMES);
    measure_visibility(&client, fresh).await;
    assert_eq!(server.stop().await.ok(), Some(0), "results stayed in the queue");
    nothing_lost
}

/// Posts results and waits until they are processed; returns the ids of accepted ones.
async fn measure_posts(server: &Server, client: &Client, posts: Load, branches: &[Branch]) -> Vec<String> {
    let started = Instant::now();
    let state = (client.clone(), Arc::<[Branch]>::from(branches));
    let run = posts.run(state, |(client, branches), number| async move {
        let is_watched = number % WATCHED == 0;
        let mut branch = branches[unwatched(number) % branches.len()].clone();
        if is_watched {
            branch.name = format!("watched-{number}");
        }
        let answer = client.post(&branch).await;
        let id = (answer.status == 202).then(|| answer.json()["test_result_id"].to_string())?;
        Some((id, is_watched.then(|| tokio::spawn(client.shows_after(branch, POLL_INTERVAL)))))
    });
    let Run { outcomes, times, elapsed } = run.await;
    let (ids, watched): (Vec<_>, Vec<_>) = outcomes.into_iter().unzip();
    let waiting = || server.aws().queues().depth(RESULTS_QUEUE).expect("the queue's depth") > 0;
    while waiting() {
        assert!(started.elapsed() < TIMEOUT, "the queue does not drain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let processed = started.elapsed();
    let accepted = format!("{} of {} posts accepted", grouped(ids.len()), grouped(posts.count));
    row(&accepted, Some((ids.len(), elapsed)), &times);
    row("the same, until the queue is empty", Some((ids.len(), processed)), &[]);
    let mut shown = Vec::new();
    for watch in watched.into_iter().flatten() {
        shown.push(watch.await.expect("a badge that shows"));
    }
    row("from a 202 until the badge shows, meanwhile", None, &shown);
    ids
}

/// The number of posts, of this many, that go to branches without a poll.
fn unwatched(posts: usize) -> usize {
    posts - posts.div_ceil(WATCHED)
}

/// Reads the whole history, page by page; returns whether it has each of `accepted` exactly once.
async fn check_history(client: &Client, accepted: &[String], repositories: &[Branch]) -> bool {
    let mut found: HashMap<String, usize> = HashMap::new();
    for Branch { repo, .. } in repositories {
        let first = format!("/tests/results/acme/{repo}?limit=200");
        let mut next = Some(first.clone());
        while let Some(path) = next {
            let page = client.get(&path, "").await.json();
            for result in page["results"].as_array().expect("results") {
                *found.entry(result["test_result_id"].to_string()).or_default() += 1;
            }
            next = page["next_cursor"].as_str().map(|cursor| format!("{first}&cursor={cursor}"));
        }
    }
    let times_found = |id: &String| found.get(id).copied().unwrap_or_default();
    let wrong: Vec<_> = accepted.iter().filter(|id| times_found(id) != 1).collect();
    for id in &wrong {
        println!("  wrong: {id} was accepted and is in the history {} times", times_found(id));
    }
    println!("  {} of them in the history exactly once", grouped(accepted.len() - wrong.len()));
    wrong.is_empty()
}

/// Measures how long after its 202 a result shows, each on a fresh branch. badge-api does not cache that a branch has no
/// result, so the first one shows at once.
async fn measure_visibility(client: &Client, fresh: &[Branch]) {
    let mut times = Vec::new();
    for branch in fresh {
        let answer = client.post(branch).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        times.push(client.clone().shows_after(branch.clone(), Duration::ZERO).await);
    }
    row("from a 202 until the badge shows", None, &times);
}

/// Reads badges one after the other; with an entity tag, expects 304.
async fn read(client: &Client, load: Load, branches: &[Branch], tag: &str) -> Run<()> {
    let state = (client.clone(), Arc::<[Branch]>::from(branches), tag.to_owned());
    let run = load.run(state, |(client, branches, tag), number| async move {
        let branch = &branches[number % branches.len()];
        assert!(client.shows(branch, &tag).await, "{branch:?} does not show");
        Some(())
    });
    run.await
}

/// A pipeline in memory, on a free port.
fn config() -> Config {
    Config::ephemeral(UpstreamConfig::default())
}

/// Reads badges from the table, for the first time: of repositories with few results, then of one with many.
async fn compare_repositories(options: &Options) {
    let server = Server::start(config()).await.expect("a server");
    let client = Client::of(&server);
    let results = Results::new(&server.aws().sdk_config(), TEST_RESULTS_TABLE.to_owned());
    heading("one client, SQLite in memory", TIMES);
    let few = Branch::spread("small", BRANCHES / FEW, BRANCHES);
    store(&results, &few, few.len()).await;
    let each = Load { clients: 1, count: few.len(), period: TIMEOUT };
    read(&client, each, &few, "").await.print(&format!("badges of repositories with {FEW} results"));

    let count = options.stored.unwrap_or(options.extent.pick(1_000_000, 2000));
    let many = Branch::spread("large", 1, BRANCHES.min(count));
    let started = Instant::now();
    store(&results, &many, count).await;
    row("results stored without being posted", Some((count, started.elapsed())), &[]);
    let each = Load { count: many.len(), ..each };
    read(&client, each, &many, "").await.print(&format!("badges of a repository with {}", grouped(count)));

    for &branches in options.extent.pick(&PAGE_BRANCHES[..], &PAGE_BRANCHES[..2]) {
        let repo = format!("branches-{branches}");
        let stored = branches::results(&repo, branches, Clock::System.now());
        assert!(results.put_all(&stored).await.is_empty(), "a result was not stored");
        let each = Load { count: options.extent.pick(100, 2), ..each };
        let pages =
            each.run((client.clone(), format!("/repos/acme/{repo}")), |(client, path), _| async move {
                assert_eq!(client.get(&path, "").await.status, 200);
                Some(())
            });
        pages.await.print(&format!("pages of a repository with {} branches", grouped(branches)));
    }
}

/// Stores results without posting them, spread over the branches.
async fn store(results: &Results, branches: &[Branch], count: usize) {
    let load = Load { clients: 4, count: count.div_ceil(CHUNK), period: Duration::MAX };
    let state = (results.clone(), Arc::<[Branch]>::from(branches), count);
    let run = load.run(state, |(results, branches, count), chunk| async move {
        let numbers = chunk * CHUNK..count.min((chunk + 1) * CHUNK);
        let stored = numbers.clone().map(|number| branches[number % branches.len()].stored());
        assert!(results.put_all(&stored.collect::<Vec<_>>()).await.is_empty(), "a result was not stored");
        progress(numbers.end, count, "results stored");
        Some(())
    });
    run.await;
}

/// A branch of one of acme's repositories.
#[derive(Debug, Clone)]
struct Branch {
    repo: String,
    name: String,
}

impl Branch {
    /// Branches spread evenly over repositories.
    fn spread(name: &str, repositories: usize, branches: usize) -> Vec<Self> {
        let branch = |number| Self {
            repo: format!("{name}-{}", number % repositories),
            name: format!("branch-{}", number / repositories),
        };
        (0..branches).map(branch).collect()
    }

    fn badge(&self) -> String {
        format!("/badges/tests/linux/acme/{}/{}", self.repo, self.name)
    }

    /// A result with the current time, as it is posted.
    fn result(&self) -> Value {
        with(result(Clock::System.now()), &json!({ "repo": self.repo, "branch": self.name }))
    }

    /// A result with the current time, as it is stored.
    fn stored(&self) -> TestResult {
        let mut result = self.result();
        result["test_result_id"] = result["nonce"].take();
        serde_json::from_value(result).expect("a result")
    }
}

/// Clones share the keep-alive connections.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    fn of(server: &Server) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { http, base: format!("http://{}", server.address()) }
    }

    async fn send(&self, request: Request<Bytes>) -> Answer {
        let (head, body) = request.into_parts();
        let request = self.http.request(head.method, format!("{}{}", self.base, head.uri));
        let response = request.headers(head.headers).body(body).send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("all of the answer") }
    }

    async fn post(&self, branch: &Branch) -> Answer {
        self.send(Post::json(&branch.result()).request()).await
    }

    async fn get(&self, path: &str, tag: &str) -> Answer {
        let request = Request::get(path).header("if-none-match", tag).body(Bytes::new());
        self.send(request.expect("a request")).await
    }

    /// The time from now until the badge shows a result.
    async fn shows_after(self, branch: Branch, interval: Duration) -> Duration {
        let started = Instant::now();
        while !self.shows(&branch, "").await {
            assert!(started.elapsed() < TIMEOUT, "{branch:?} does not show");
            tokio::time::sleep(interval).await;
        }
        started.elapsed()
    }

    /// Whether the badge shows a result; with an entity tag, expects 304.
    async fn shows(&self, branch: &Branch, tag: &str) -> bool {
        let badge = self.get(&branch.badge(), tag).await;
        assert_eq!(badge.status, if tag.is_empty() { 200 } else { 304 }, "{}", badge.text);
        badge.json()["isError"] != true
    }
}
