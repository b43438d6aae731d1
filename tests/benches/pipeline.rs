//! How fast the pipeline is on one machine: all of it in this process, its clients beside it, and real HTTP
//! over keep-alive connections in between.
//!
//! `cargo bench --bench pipeline` prints a table; `cargo bench --bench pipeline -- --help` lists the options.
//! It measures
//! - how fast results are accepted, how fast they are processed, and that none is lost;
//! - how long after its 202 a result shows in its badge;
//! - how fast badges are read from the table, from memory, and again with their entity tag;
//! - how fast a badge is read from the table when its repository has 100 results, and when it has a million.
//!
//! There are no thresholds, since figures depend on the machine. The exit code is 1 if a result was lost.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark writes to the terminal, and stops when something is wrong"
)]

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use badgesmith_shared::clock::Clock;
use badgesmith_shared::dynamodb::Results;
use badgesmith_shared::name::Platform;
use badgesmith_shared::secrets_manager::repository_secret_name;
use badgesmith_shared::test_result::{Counts, RunAttempt, TestResult, TestResultId};
use bytes::Bytes;
use clap::Parser;
use http::Request;
use local::aws::Storage;
use local::options::Secret;
use local::server::Server;
use local::stack::RESULTS_QUEUE;
use serde_json::json;
use tests::client::{Answer, KEY, Post, result, with};
use tokio::task::JoinSet;

/// Results are posted to this many repositories in turn, and there to this many branches in turn.
const REPOSITORIES: usize = 4;
const BRANCHES: usize = 250;
/// This many branches are read of repositories with few and with many results.
const COMPARED: usize = 1000;
/// A repository with few results has this many, each on its own branch.
const FEW: usize = 100;
/// Results that are not posted are stored this many at a time.
const PORTION: usize = 1000;
/// Nothing is waited for longer than this.
const PATIENCE: Duration = Duration::from_mins(5);

/// Measure the pipeline on this machine.
#[derive(Debug, Parser)]
struct Options {
    /// Results to post [default: 5000]
    #[arg(long, value_name = "N")]
    posts: Option<usize>,

    /// Concurrent clients
    #[arg(long, value_name = "C", default_value = "16")]
    clients: NonZero<usize>,

    /// Results in the repository that has many [default: 1000000]
    #[arg(long, value_name = "N")]
    stored: Option<usize>,

    /// Measure little, to see within seconds that everything works
    #[arg(long)]
    quick: bool,

    /// Passed by `cargo bench`, but not by `cargo test --all-targets`, which is to be quick
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick || !self.bench { quick } else { full }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    println!("The clients and the pipeline share {cores} CPU cores.");
    runtime.block_on(async {
        let nothing_lost = measure_pipeline(&options).await;
        compare_repositories(&options).await;
        if nothing_lost { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// Measures what clients see; tells whether nothing was lost.
async fn measure_pipeline(options: &Options) -> bool {
    // Beside the build, which is on a disk; where the system keeps temporary files may be memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let server = Server::start(&Storage::Directory(directory.path().to_owned()), 0).await.expect("a server");
    for number in 0..REPOSITORIES {
        let repository = Place::of(number).repository.parse().expect("a repository");
        let name = repository_secret_name(&repository);
        let secret = Secret::new(repository, KEY).expect("a secret");
        server.aws().secrets().put(&name, &secret.value).expect("a place for the secret");
    }
    let client = Client::of(&server);
    let (clients, posts) = (options.clients.get(), options.posts.unwrap_or(options.pick(5000, 200)));
    heading(&format!("SQLite on disk, {clients} clients"));
    let accepted = measure_posts(&server, &client, clients, posts).await;
    let nothing_lost = check_history(&client, &accepted).await;
    let times = measure_visibility(&client, options.pick(100, 10)).await;
    row("from a 202 to the badge, one client", None, &times);

    let places = (0..posts.min(REPOSITORIES * BRANCHES)).map(Place::of).collect();
    read_each(&client, clients, places).await.print("badges read from the table");
    let badge = client.get(&Place::of(0).badge(), "").await;
    let entity_tag = badge.header("etag").expect("an entity tag");
    let period = options.pick(Duration::from_secs(3), Duration::from_millis(300));
    read_often(&client, clients, period, "", 200).await.print("a badge read from memory");
    read_often(&client, clients, period, entity_tag, 304).await.print("the same with If-None-Match, a 304");
    server.stop().await;
    nothing_lost
}

/// Posts results and waits until they are processed; returns the ids of those that were accepted.
async fn measure_posts(server: &Server, client: &Client, clients: usize, posts: usize) -> Vec<String> {
    let started = Instant::now();
    let sender = client.clone();
    let (answers, elapsed) = in_parallel(clients, posts, PATIENCE, move |number| {
        let client = sender.clone();
        async move { client.post(&Place::of(number)).await }
    })
    .await;
    let waiting = || {
        let depth = server.aws().queues().depth(RESULTS_QUEUE).expect("the queue's depth");
        depth.visible + depth.in_flight > 0
    };
    while waiting() {
        assert!(started.elapsed() < PATIENCE, "the queue does not drain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let processed = started.elapsed();
    let (accepted, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(answer, _)| answer.status == 202);
    let (ids, times): (Vec<_>, Vec<_>) = accepted
        .into_iter()
        .map(|(answer, time)| (answer.json()["test_result_id"].to_string(), time))
        .unzip();
    row(&format!("{} posts accepted", grouped(ids.len())), Some(rate(ids.len(), elapsed)), &times);
    row("the same, and processed", Some(rate(ids.len(), processed)), &[]);
    if let Some((answer, _)) = refused.first() {
        println!("  {} posts were refused, the first with {}", grouped(refused.len()), answer.verdict());
    }
    ids
}

/// Reads all of the history, page by page; tells whether each of `accepted` is there exactly once.
async fn check_history(client: &Client, accepted: &[String]) -> bool {
    let mut found: HashMap<String, usize> = HashMap::new();
    let mut times = Vec::new();
    for number in 0..REPOSITORIES {
        let first = format!("/tests/results/{}?limit=200", Place::of(number).repository);
        let mut next = Some(first.clone());
        while let Some(path) = next {
            let started = Instant::now();
            let page = client.get(&path, "").await.json();
            times.push(started.elapsed());
            for result in page["results"].as_array().expect("results") {
                *found.entry(result["test_result_id"].to_string()).or_default() += 1;
            }
            next = page["next_cursor"].as_str().map(|cursor| format!("{first}&cursor={cursor}"));
        }
    }
    row("history pages of 200, one client", None, &times);
    let wrong: Vec<_> = accepted.iter().filter(|id| found.get(*id) != Some(&1)).collect();
    let (right, all) = (grouped(accepted.len() - wrong.len()), grouped(accepted.len()));
    println!("  {right} of {all} accepted results are in the history exactly once");
    for id in &wrong {
        println!("  lost or doubled: {id} is there {} times", found.get(*id).copied().unwrap_or_default());
    }
    wrong.is_empty()
}

/// How long after its 202 a result shows, each on a branch of its own: that a branch has no result is never
/// kept in memory, so that what is seen is the first moment at which the badge can be read.
async fn measure_visibility(client: &Client, samples: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0..samples {
        let place = Place { branch: format!("fresh-{number}"), ..Place::of(number) };
        let answer = client.post(&place).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let accepted = Instant::now();
        while !client.shows(&place).await {
            assert!(accepted.elapsed() < PATIENCE, "the badge of {place:?} does not show");
        }
        times.push(accepted.elapsed());
    }
    times
}

/// Reads a badge that is in memory over and over.
async fn read_often(client: &Client, clients: usize, period: Duration, entity_tag: &str, status: u16) -> Run {
    let (client, entity_tag) = (client.clone(), entity_tag.to_owned());
    let (answers, elapsed) = in_parallel(clients, usize::MAX, period, move |_| {
        let (client, entity_tag) = (client.clone(), entity_tag.clone());
        async move { client.get(&Place::of(0).badge(), &entity_tag).await.status }
    })
    .await;
    assert!(answers.iter().all(|(other, _)| *other == status), "not every answer was {status}");
    Run { times: answers.into_iter().map(|(_, time)| time).collect(), elapsed }
}

/// Reads badges that were never read before, and so come from the table, each once.
async fn read_each(client: &Client, clients: usize, places: Vec<Place>) -> Run {
    let (client, places) = (client.clone(), Arc::new(places));
    let (answers, elapsed) = in_parallel(clients, places.len(), PATIENCE, move |number| {
        let (client, places) = (client.clone(), Arc::clone(&places));
        async move { client.shows(&places[number]).await }
    })
    .await;
    assert!(answers.iter().all(|(shows, _)| *shows), "a badge does not show");
    Run { times: answers.into_iter().map(|(_, time)| time).collect(), elapsed }
}

/// Measures reads from the table for repositories with few results, then for one with many.
async fn compare_repositories(options: &Options) {
    let many = options.stored.unwrap_or(options.pick(1_000_000, 2000));
    let server = Server::start(&Storage::Memory, 0).await.expect("a server");
    let client = Client::of(&server);
    let results = Results::new(&server.aws().sdk_config(), "TestResultsTable".to_owned());
    heading("SQLite in memory, one client");

    let mut places = Vec::new();
    for number in 0..COMPARED / FEW {
        let repository = format!("acme/small-{number}");
        places.extend(store(&results, &repository, FEW).await);
    }
    let name = format!("badges of repositories with {FEW} results");
    read_each(&client, 1, places).await.print(&name);
    let started = Instant::now();
    let places = store(&results, "acme/large", many).await;
    let stored = started.elapsed();
    let name = format!("badges of a repository with {}", grouped(many));
    read_each(&client, 1, places).await.print(&name);
    row("results stored to prepare that", Some(rate(many, stored)), &[]);
    server.stop().await;
}

/// Stores results without posting them, spread over branches; returns those.
async fn store(results: &Results, repository: &str, count: usize) -> Vec<Place> {
    let places: Vec<_> = (0..COMPARED.min(count))
        .map(|number| Place { repository: repository.to_owned(), branch: format!("branch-{number}") })
        .collect();
    let (results, spread) = (results.clone(), Arc::new(places.clone()));
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    in_parallel(threads, count.div_ceil(PORTION), Duration::MAX, move |portion| {
        let (results, places) = (results.clone(), Arc::clone(&spread));
        async move {
            let numbers = portion * PORTION..count.min((portion + 1) * PORTION);
            let portion: Vec<_> =
                numbers.clone().map(|number| places[number % places.len()].result(number)).collect();
            assert!(results.record(&portion).await.is_empty(), "a result was not stored");
            progress(numbers.end, count);
        }
    })
    .await;
    places
}

/// Shows on a terminal how far it is; elsewhere says so now and then.
fn progress(done: usize, count: usize) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let end = if done == count { "\r\x1b[K" } else { "" };
        // Nobody may be watching.
        let _ = write!(stderr, "\r{} of {} results stored{end}", grouped(done), grouped(count));
    } else if done.is_multiple_of(100_000) {
        eprintln!("{} of {} results stored", grouped(done), grouped(count));
    }
}

/// A branch of a repository, on Linux.
#[derive(Debug, Clone)]
struct Place {
    repository: String,
    branch: String,
}

impl Place {
    /// Where the post with this number goes.
    fn of(number: usize) -> Self {
        Self {
            repository: format!("acme/kit-{}", number % REPOSITORIES),
            branch: format!("branch-{}", number / REPOSITORIES % BRANCHES),
        }
    }

    fn badge(&self) -> String {
        format!("/badges/tests/linux/{}/{}", self.repository, self.branch)
    }

    /// A result of this branch; the higher the number, the later.
    fn result(&self, number: usize) -> TestResult {
        let start = Clock::System.now();
        TestResult {
            id: TestResultId::derive(&format!("{}#{number}", self.repository)),
            repository: self.repository.parse().expect("a repository"),
            platform: Platform::Linux,
            branch: self.branch.parse().expect("a branch"),
            counts: Counts::new(190, 0, 0, 190).expect("a sum"),
            timestamp: start,
            run_id: number.to_string().parse().expect("a run id"),
            run_attempt: RunAttempt::default(),
            commit: "4d8474bda0b16fbbb69887d0d08c3885843bbdc7".parse().ok(),
            url_html: "https://github.com/acme/kit/runs/123".parse().ok(),
            workflow_run_url: "https://github.com/acme/kit/actions/runs/456".parse().ok(),
        }
    }
}

/// Sends requests over connections that it keeps; clones share them.
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

    async fn post(&self, place: &Place) -> Answer {
        let (owner, repo) = place.repository.split_once('/').expect("an owner and a name");
        let names = json!({ "owner": owner, "repo": repo, "branch": place.branch });
        self.send(Post::json(&with(result(Clock::System.now()), &names)).request()).await
    }

    async fn get(&self, path: &str, if_none_match: &str) -> Answer {
        let request = Request::get(path).header("if-none-match", if_none_match).body(Bytes::new());
        self.send(request.expect("a request")).await
    }

    /// Whether there is a badge of a result.
    async fn shows(&self, place: &Place) -> bool {
        let badge = self.get(&place.badge(), "").await;
        assert_eq!(badge.status, 200, "{}", badge.text);
        badge.json()["isError"] != true
    }
}

/// How long calls took, each and all together.
struct Run {
    times: Vec<Duration>,
    elapsed: Duration,
}

impl Run {
    fn print(&self, name: &str) {
        row(name, Some(rate(self.times.len(), self.elapsed)), &self.times);
    }
}

/// Has `clients` at a time call `work` with 0, 1, 2 and so on, `count` times or until `period` is over;
/// returns what came of each call with the time it took, and the time of all.
async fn in_parallel<T: Send + 'static, Work: Future<Output = T> + Send>(
    clients: usize,
    count: usize,
    period: Duration,
    work: impl Fn(usize) -> Work + Clone + Send + 'static,
) -> (Vec<(T, Duration)>, Duration) {
    let started = Instant::now();
    let numbers = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (numbers, work) = (Arc::clone(&numbers), work.clone());
        tasks.spawn(async move {
            let mut done = Vec::new();
            loop {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                if number >= count || started.elapsed() >= period {
                    return done;
                }
                let called = Instant::now();
                let outcome = work(number).await;
                done.push((outcome, called.elapsed()));
            }
        });
    }
    let done = tasks.join_all().await.into_iter().flatten().collect();
    (done, started.elapsed())
}

fn heading(text: &str) {
    println!("\n{text:<46}{:>10}{:>10}{:>10}", "per second", "p50 ms", "p99 ms");
}

fn row(name: &str, rate: Option<f64>, times: &[Duration]) {
    let rate = rate.map_or(String::new(), |rate| grouped(rate.round() as usize));
    let [p50, p99] = [50, 99].map(|percent| percentile(times, percent).map_or(String::new(), milliseconds));
    println!("{:<46}{rate:>10}{p50:>10}{p99:>10}", format!("  {name}"));
}

fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// The shortest time that `percent` of `times` do not exceed.
fn percentile(times: &[Duration], percent: usize) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get((times.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

/// `1234567` as `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
