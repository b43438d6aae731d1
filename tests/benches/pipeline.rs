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
use std::io::IsTerminal;
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
/// To compare repositories with few and with many results, this many badges of each are read.
const COMPARED: usize = 1000;
/// A repository with few results has this many, each on its own branch.
const FEW: usize = 100;
/// Results that are not posted are stored this many at a time.
const PORTION: usize = 1000;
/// Nothing is waited for longer than this.
const PATIENCE: Duration = Duration::from_mins(5);

/// Measure the pipeline on this machine.
#[derive(Parser)]
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

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    println!("The clients and the pipeline share {} CPU cores.", cores());
    let nothing_lost = measure_pipeline(&options).await;
    compare_repositories(&options).await;
    if nothing_lost { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
    measure_visibility(&client, options.pick(100, 10)).await;

    let places = (0..posts.min(REPOSITORIES * BRANCHES)).map(Place::of).collect();
    read_each(&client, clients, places).await.print("badges read from the table");
    let period = options.pick(Duration::from_secs(3), Duration::from_millis(300));
    let badge = client.get(&Place::of(0).badge(), "").await;
    let entity_tag = badge.header("etag").expect("an entity tag");
    read_often(&client, clients, period, ("", 200)).await.print("a badge read from memory");
    read_often(&client, clients, period, (entity_tag, 304)).await.print("the same with If-None-Match, a 304");
    server.stop().await;
    nothing_lost
}

/// Posts results and waits until they are processed; returns the ids of those that were accepted.
async fn measure_posts(server: &Server, client: &Client, clients: usize, posts: usize) -> Vec<String> {
    let started = Instant::now();
    let run = Run::of(clients, posts, PATIENCE, client.clone(), |client, number| async move {
        let answer = client.post(&Place::of(number)).await;
        (answer.status == 202).then(|| answer.json()["test_result_id"].to_string())
    });
    let run = run.await;
    let waiting = || {
        let depth = server.aws().queues().depth(RESULTS_QUEUE).expect("the queue's depth");
        depth.visible + depth.in_flight > 0
    };
    while waiting() {
        assert!(started.elapsed() < PATIENCE, "the queue does not drain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let processed = rate(run.outcomes.len(), started.elapsed());
    run.print(&format!("{} of {} posts accepted", grouped(run.outcomes.len()), grouped(posts)));
    row("the same, and processed", Some(processed), &[]);
    run.outcomes
}

/// Reads all of the history, page by page; tells whether each of `accepted` is there exactly once.
async fn check_history(client: &Client, accepted: &[String]) -> bool {
    let mut found: HashMap<String, usize> = HashMap::new();
    for number in 0..REPOSITORIES {
        let first = format!("/tests/results/{}?limit=200", Place::of(number).repository);
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
    let right = accepted.len() - wrong.len();
    println!("  {} of {} are in the history exactly once", grouped(right), grouped(accepted.len()));
    wrong.is_empty()
}

/// Measures how long after its 202 a result shows, each on a branch of its own: that a branch has none is
/// never kept in memory, so that a badge shows as soon as there is one.
async fn measure_visibility(client: &Client, samples: usize) {
    let mut times = Vec::new();
    for number in 0..samples {
        let place = Place { branch: format!("fresh-{number}"), ..Place::of(number) };
        let answer = client.post(&place).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let accepted = Instant::now();
        while !client.shows(&place).await {
            assert!(accepted.elapsed() < PATIENCE, "{place:?} does not show");
        }
        times.push(accepted.elapsed());
    }
    row("from a 202 to the badge, one client", None, &times);
}

/// Reads one badge, which is in memory, again and again.
async fn read_often(
    client: &Client,
    clients: usize,
    period: Duration,
    (tag, status): (&str, u16),
) -> Run<()> {
    let state = (client.clone(), tag.to_owned(), status);
    let run = Run::of(clients, usize::MAX, period, state, |(client, tag, status), _| async move {
        let answer = client.get(&Place::of(0).badge(), &tag).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        Some(())
    });
    run.await
}

/// Reads badges that were never read before, and so come from the table, each once.
async fn read_each(client: &Client, clients: usize, places: Arc<[Place]>) -> Run<()> {
    let (count, state) = (places.len(), (client.clone(), places));
    let run = Run::of(clients, count, PATIENCE, state, |(client, places), number| async move {
        assert!(client.shows(&places[number]).await, "{:?} does not show", places[number]);
        Some(())
    });
    run.await
}

/// Measures reads from the table of repositories with few results, and of one with many.
async fn compare_repositories(options: &Options) {
    let many = options.stored.unwrap_or(options.pick(1_000_000, 2000));
    let server = Server::start(&Storage::Memory, 0).await.expect("a server");
    let client = Client::of(&server);
    let results = Results::new(&server.aws().sdk_config(), "TestResultsTable".to_owned());
    heading("SQLite in memory, one client");
    let mut places = Vec::new();
    for number in 0..COMPARED / FEW {
        let stored = store(&results, &format!("acme/small-{number}"), FEW).await;
        places.extend_from_slice(&stored);
    }
    let name = format!("badges of repositories with {FEW} results");
    read_each(&client, 1, places.into()).await.print(&name);
    let started = Instant::now();
    let places = store(&results, "acme/large", many).await;
    row("results stored without being posted", Some(rate(many, started.elapsed())), &[]);
    let name = format!("badges of a repository with {}", grouped(many));
    read_each(&client, 1, places).await.print(&name);
    server.stop().await;
}

/// Stores results without posting them, on every branch in turn; returns the branches.
async fn store(results: &Results, repository: &str, count: usize) -> Arc<[Place]> {
    let branch = |number| Place { repository: repository.to_owned(), branch: format!("branch-{number}") };
    let places: Arc<[Place]> = (0..COMPARED.min(count)).map(branch).collect();
    let state = (results.clone(), Arc::clone(&places), count);
    let portions = count.div_ceil(PORTION);
    let run =
        Run::of(cores(), portions, Duration::MAX, state, |(results, places, count), portion| async move {
            let numbers = portion * PORTION..count.min((portion + 1) * PORTION);
            let portion: Vec<_> =
                numbers.clone().map(|number| places[number % places.len()].result(number)).collect();
            assert!(results.record(&portion).await.is_empty(), "a result was not stored");
            progress(numbers.end, count);
            Some(())
        });
    run.await;
    places
}

/// Says how far it is: all the time on a terminal, now and then elsewhere.
fn progress(stored: usize, count: usize) {
    let end = if std::io::stderr().is_terminal() { '\r' } else { '\n' };
    if end == '\r' || stored.is_multiple_of(100_000) {
        eprint!("  {} of {} results stored{end}", grouped(stored), grouped(count));
    }
}

/// A branch of a repository.
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

    /// A result of now.
    fn result(&self, number: usize) -> TestResult {
        TestResult {
            id: TestResultId::derive(&format!("{}#{number}", self.repository)),
            repository: self.repository.parse().expect("a repository"),
            platform: Platform::Linux,
            branch: self.branch.parse().expect("a branch"),
            counts: Counts::new(190, 0, 0, 190).expect("a sum"),
            timestamp: Clock::System.now(),
            run_id: number.to_string().parse().expect("a run id"),
            run_attempt: RunAttempt::default(),
            commit: "4d8474bda0b16fbbb69887d0d08c3885843bbdc7".parse().ok(),
            url_html: "https://github.com/acme/kit/runs/123".parse().ok(),
            workflow_run_url: "https://github.com/acme/kit/actions/runs/456".parse().ok(),
        }
    }
}

/// Sends requests over connections that are kept; clones share them.
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

    /// Whether there is a result to show.
    async fn shows(&self, place: &Place) -> bool {
        let badge = self.get(&place.badge(), "").await;
        assert_eq!(badge.status, 200, "{}", badge.text);
        badge.json()["isError"] != true
    }
}

/// What came of the calls that came to something, how long each of these took, and all of them together.
struct Run<T> {
    outcomes: Vec<T>,
    times: Vec<Duration>,
    elapsed: Duration,
}

impl<T: Send + 'static> Run<T> {
    /// Has `clients` at once call `work` with 0, 1, 2 and so on, `count` times or until `period` is over.
    async fn of<State: Clone + Send + 'static, Work: Future<Output = Option<T>> + Send>(
        clients: usize,
        count: usize,
        period: Duration,
        state: State,
        work: impl Fn(State, usize) -> Work + Copy + Send + 'static,
    ) -> Self {
        let started = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let (next, state) = (Arc::clone(&next), state.clone());
            tasks.spawn(async move {
                let mut done = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || started.elapsed() >= period {
                        return done;
                    }
                    let called = Instant::now();
                    let outcome = work(state.clone(), number).await;
                    done.extend(outcome.map(|outcome| (outcome, called.elapsed())));
                }
            });
        }
        let (outcomes, times) = tasks.join_all().await.into_iter().flatten().unzip();
        Self { outcomes, times, elapsed: started.elapsed() }
    }

    fn print(&self, name: &str) {
        row(name, Some(rate(self.times.len(), self.elapsed)), &self.times);
    }
}

fn heading(text: &str) {
    println!("\n{text:<46}{:>10}{:>10}{:>10}", "per second", "p50 ms", "p99 ms");
}

fn row(name: &str, rate: Option<f64>, times: &[Duration]) {
    let rate = rate.map_or(String::new(), |rate| format!("{rate:.0}"));
    let mut times = times.to_vec();
    times.sort_unstable();
    // The shortest time that so many percent of them do not exceed.
    let percentile = |percent: usize| times.get((times.len() * percent).div_ceil(100).checked_sub(1)?);
    let [p50, p99] = [50, 99].map(|percent| {
        percentile(percent).map_or(String::new(), |time| format!("{:.2}", time.as_secs_f64() * 1000.0))
    });
    println!("{:<46}{rate:>10}{p50:>10}{p99:>10}", format!("  {name}"));
}

fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// `1234567` as `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
