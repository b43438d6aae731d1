//! A client that signs a result, posts it, and retries.

use std::sync::Arc;
use std::time::Duration;

use badgesmith_domain::timestamp::Timestamp;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::instances::InvocationOutcome;
use super::invocation::{Invocation, mix};
use super::model::{Commit, Sent, commit, run_id};
use super::run::Simulation;
use super::schedule::{BRANCHES, INSTANCES, KeyChoice, PLATFORMS, REPOSITORIES, SUITES, Submit, Tests};
use crate::client::{Answer, Post, result, with};

/// The timeout of ingest-api.
const INGEST_TIMEOUT: Duration = Duration::from_secs(12);
/// How long a client waits for an answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// A timestamp may be this old, or this far ahead. The last second allows for rounding.
const OLD_MAX: Duration = Duration::from_secs(5 * 60 + 1);
const AHEAD_MAX: Duration = Duration::from_secs(60 + 1);
/// The fraction of requests that never arrive, and of answers that are lost.
const LOST: f64 = 0.03;
/// The fraction of requests that arrive twice.
const DUPLICATED: f64 = 0.03;

/// A post that was sent, and the commit of its result.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    pub(super) post: Post,
    pub(super) commit: Commit,
    pub(super) timestamp: Timestamp,
    /// The repository and the key that signed it; `None` if it must be rejected, or has an ID token.
    pub(super) key: Option<(usize, String)>,
}

/// Submits a result, with retries.
pub(super) async fn submit(simulation: Arc<Simulation>, event: u32, submit: Submit) {
    let mut random = Rng::with_seed(mix(simulation.seed, event.into()));
    let Some(posted) = sign(&simulation, event, &submit, &mut random) else { return };
    simulation.posted.lock().unwrap().insert(event, posted.clone());
    retry(&simulation, event, &posted, submit.attempts, &mut random).await;
}

/// Sends a post until it is accepted or rejected.
pub(super) async fn retry(
    simulation: &Arc<Simulation>,
    event: u32,
    posted: &Posted,
    attempts: u32,
    random: &mut Rng,
) {
    for attempt in 0..attempts {
        let Some(answer) = send(simulation, event, attempt, posted, random).await else {
            sleep(Duration::from_millis(random.u64(100..4_000))).await;
            continue;
        };
        match answer.verdict().as_str() {
            "409 SUBMISSION_IN_PROGRESS" | "503 UNAVAILABLE" | "429 RATE_LIMITED" => {
                sleep(Duration::from_millis(random.u64(500..20_000))).await;
            }
            _ => return,
        }
    }
}

/// Sends the bytes of an earlier post again, with another nonce in the header that is not signed.
pub(super) async fn replay(simulation: Arc<Simulation>, event: u32, earlier: u32) {
    let Some(mut posted) = simulation.posted.lock().unwrap().get(&earlier).cloned() else { return };
    posted.post = posted.post.header("x-nonce", format!("replay-{event:08}"));
    let mut random = Rng::with_seed(mix(simulation.seed, event.into()));
    send(&simulation, event, 0, &posted, &mut random).await;
}

fn sign(simulation: &Simulation, event: u32, submit: &Submit, random: &mut Rng) -> Option<Posted> {
    let now = simulation.trace.elapsed();
    let keys = simulation.keys.lock().unwrap();
    let current = keys.current(submit.repository);
    let (key, refusal) = match submit.key {
        KeyChoice::Current => {
            let key = current?;
            let has_ended = keys.has_ended(submit.repository, &key, now);
            (key, has_ended.then_some("its key has ended"))
        }
        KeyChoice::Previous => (keys.previous(submit.repository, now)?, None),
        KeyChoice::Ended => (keys.ended(submit.repository, now, random)?, Some("its key has ended")),
        KeyChoice::OtherRepository => {
            let other = (submit.repository + 1) % REPOSITORIES.len();
            (keys.current(other)?, Some("its key is that of another repository"))
        }
    };
    drop(keys);
    let skew = Duration::from_secs(submit.skew.unsigned_abs());
    let (now, is_behind) = (simulation.world.now(), submit.skew < 0);
    let mut timestamp = if is_behind { now.minus(skew) } else { now.plus(skew) };
    if submit.rounded {
        let milliseconds = timestamp.unix_milliseconds();
        timestamp = Timestamp::from_unix_milliseconds(milliseconds - milliseconds % 60_000);
    }
    let commit = commit(event);
    let nonce = match submit.nonce_of.filter(|_| !submit.path_form) {
        Some(earlier) => format!("nonce-{earlier:08}"),
        None => format!("nonce-{event:08}"),
    };
    let post = post(submit, timestamp, event, &nonce, &key);
    let key = refusal.is_none().then_some((submit.repository, key));
    let nonce = if submit.path_form { format!("path-{commit}") } else { nonce };
    let sent = Sent {
        repository: submit.repository,
        // A nonce is scoped by its repository.
        nonce: format!("{} {nonce}", submit.repository),
        at: simulation.trace.elapsed(),
        refusal,
        is_acknowledged: false,
        is_purged: false,
    };
    simulation.model.lock().unwrap().sent.insert(commit.clone(), sent);
    Some(Posted { post, commit, timestamp, key })
}

fn post(submit: &Submit, timestamp: Timestamp, event: u32, nonce: &str, key: &str) -> Post {
    let (owner, repo) = REPOSITORIES[submit.repository].split_once('/').expect("two names");
    let (platform, branch) = (PLATFORMS[submit.platform], BRANCHES[submit.branch]);
    let suite = SUITES[submit.suite];
    let (run_id, run_attempt) = run_id(event, submit);
    let fields = json!({
        "owner": owner, "repo": repo, "platform": platform, "branch": branch, "nonce": nonce,
        "run_id": run_id.to_string(), "run_attempt": run_attempt, "commit": commit(event),
        "suite": if suite.is_empty() { Value::Null } else { suite.into() },
    });
    let outcome = match submit.tests {
        Tests::Passed(passed) => json!({ "passed": passed, "failed": 0, "total": passed }),
        Tests::Failed { passed, failed } => {
            json!({ "passed": passed, "failed": failed, "total": passed + failed })
        }
        Tests::Broke => json!({ "passed": 0, "failed": 0, "total": 0, "conclusion": "failure" }),
        Tests::Retired => json!({ "passed": 0, "failed": 0, "total": 0, "retire": true }),
    };
    let body = with(with(result(timestamp), &fields), &outcome);
    if submit.path_form {
        let body = with(body, &json!({ "owner": null, "repo": null, "branch": null, "nonce": null }));
        Post::to_path(&format!("{platform}/{owner}/{repo}/{branch}"), &body).signed(key)
    } else {
        Post::json(&body).signed(key)
    }
}

/// Sends a post once, though it may arrive twice. `None` if there is no answer.
async fn send(
    simulation: &Arc<Simulation>,
    event: u32,
    attempt: u32,
    posted: &Posted,
    random: &mut Rng,
) -> Option<Answer> {
    simulation.network.wait(Duration::from_millis(random.u64(1..30))).await;
    let (is_lost, is_duplicated, is_answer_lost) =
        (random.f64() < LOST, random.f64() < DUPLICATED, random.f64() < LOST);
    let (first, second) = (random.usize(0..INSTANCES), random.usize(0..INSTANCES));
    if is_lost {
        return None;
    }
    if is_duplicated {
        let (simulation, posted) = (Arc::clone(simulation), posted.clone());
        tokio::spawn(async move { deliver(&simulation, event, attempt + 100, second, &posted).await });
    }
    let answer = timeout(CLIENT_TIMEOUT, deliver(simulation, event, attempt, first, posted)).await.ok()??;
    simulation.network.set_clock();
    (!is_answer_lost).then_some(answer)
}

impl Simulation {
    /// Whether ingest-api must accept the key of a post that arrived at this time.
    fn must_accept_key(&self, posted: &Posted, arrived: Duration) -> bool {
        let keys = self.keys.lock().unwrap();
        posted.key.as_ref().is_some_and(|(repository, key)| {
            self.is_ingest_open() && keys.is_valid(*repository, key, arrived, self.trace.elapsed())
        })
    }
}

/// Whether the timestamp of a post may be fresh at some time from its arrival to now.
fn is_fresh(posted: &Posted, arrived: Timestamp, now: Timestamp) -> bool {
    arrived.since(posted.timestamp) <= OLD_MAX && posted.timestamp.since(now) <= AHEAD_MAX
}

/// Invokes ingest-api, and reads its answer.
async fn deliver(
    simulation: &Simulation,
    event: u32,
    number: u32,
    instance: usize,
    posted: &Posted,
) -> Option<Answer> {
    if !simulation.is_ingest_open() {
        return None;
    }
    let (request, arrived) = (posted.post.request(), simulation.world.now());
    let arrived_at = simulation.trace.elapsed();
    if is_fresh(posted, arrived, arrived) {
        simulation.model.lock().unwrap().deliver(&posted.commit, arrived_at);
    }
    let invocation = Invocation::new(simulation.seed, event, number, true);
    let ended = simulation.instances.request(instance, &invocation, INGEST_TIMEOUT, request).await;
    let mut model = simulation.model.lock().unwrap();
    match ended {
        InvocationOutcome::Returned(answer) => {
            let verdict = answer.verdict();
            simulation.trace.add(event, format_args!("posted {}: {verdict}", posted.commit));
            match verdict.as_str() {
                "202" | "409 ALREADY_ACCEPTED" => {
                    model.acknowledge(&posted.commit);
                    let now = simulation.world.now();
                    if !is_fresh(posted, arrived, now) {
                        let details = format!("event {event}: {} of {}", posted.commit, posted.timestamp);
                        model.violate("only what was signed within the last minutes is accepted", details);
                    }
                }
                "409 NONCE_REUSED"
                | "409 SUBMISSION_IN_PROGRESS"
                | "401 TIMESTAMP_NOT_FRESH"
                | "503 UNAVAILABLE"
                | "429 RATE_LIMITED" => {}
                "401 UNAUTHORIZED" => {
                    if simulation.must_accept_key(posted, arrived_at) {
                        let details = format!("event {event}: {} was rejected", posted.commit);
                        model.violate("a valid key is accepted", details);
                    }
                }
                _ => model.violate("every answer is documented", format!("event {event}: {verdict}")),
            }
            Some(answer)
        }
        InvocationOutcome::Killed => None,
    }
}
