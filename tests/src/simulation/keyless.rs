//! Jobs that send an ID token instead of a signature, and an issuer that rotates its keys.

use std::sync::Arc;

use fastrand::Rng;
use serde_json::{Value, json};

use super::client::{self, Posted};
use super::invocation::mix;
use super::model::{Sent, commit};
use super::run::Simulation;
use super::schedule::REPOSITORIES;
use crate::client::{Post, with};
use crate::id_token::KEYS;
use crate::upstream::Upstream;
use crate::world::KEYLESS;

/// The number of the repository [`KEYLESS`], after those of [`REPOSITORIES`].
pub(super) const KEYLESS_REPOSITORY: usize = REPOSITORIES.len();
/// The first run id of these jobs, above the ids of all other runs.
const FIRST_RUN: u32 = 5_000_000;

#[derive(Debug, Clone)]
pub enum KeylessAction {
    Submit {
        forgery: Option<Forgery>,
        attempts: u32,
    },
    /// The issuer publishes one or both of its keys, and signs with the last of them.
    RotateIssuerKeys {
        first: bool,
        second: bool,
    },
}

/// Why a token is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    /// It is signed with another key than its header names.
    Key,
    /// It is for another body.
    Body,
    /// It is for another repository.
    Repository,
}

impl KeylessAction {
    pub(super) fn new(random: &mut Rng) -> Self {
        let forgery = *random
            .choice(&[None, None, Some(Forgery::Key), Some(Forgery::Body), Some(Forgery::Repository)])
            .expect("one");
        match random.u32(0..6) {
            0 => Self::RotateIssuerKeys { first: random.bool(), second: random.bool() },
            _ => Self::Submit { forgery, attempts: random.u32(1..7) },
        }
    }
}

/// Starts an action.
pub(super) fn begin(simulation: &Arc<Simulation>, event: u32, action: &KeylessAction) {
    let Some(feed) = &simulation.packages else { return };
    match *action {
        KeylessAction::RotateIssuerKeys { first, second } => {
            // There is always at least one key.
            let is_published = [first || !second, second];
            let keys: Vec<_> = KEYS
                .iter()
                .zip(is_published)
                .filter(|(_, is_published)| *is_published)
                .map(|(key, _)| key.jwk())
                .collect();
            feed.upstream.set_key_set(&json!({ "keys": keys }));
            *feed.signs_with.lock().unwrap() = usize::from(second);
        }
        KeylessAction::Submit { forgery, attempts } => {
            let mut random = Rng::with_seed(mix(simulation.seed, event.into()));
            let signs_with = *feed.signs_with.lock().unwrap();
            let posted = sign(simulation, event, &feed.upstream, signs_with, forgery);
            simulation.posted.lock().unwrap().insert(event, posted.clone());
            let simulation = Arc::clone(simulation);
            tokio::spawn(
                async move { client::retry(&simulation, event, &posted, attempts, &mut random).await },
            );
        }
    }
}

fn sign(
    simulation: &Simulation,
    event: u32,
    upstream: &Upstream,
    signs_with: usize,
    forgery: Option<Forgery>,
) -> Posted {
    let run_id = (FIRST_RUN + event).to_string();
    let (nonce, commit) = (format!("nonce-{event:08}"), commit(event));
    let result = simulation.world.keyless_result();
    let body = with(result, &json!({ "run_id": run_id, "run_attempt": 1, "nonce": nonce, "commit": commit }));
    let claimed = match forgery {
        Some(Forgery::Body) => with(body.clone(), &json!({ "passed": 0, "failed": 190 })),
        Some(Forgery::Repository) => with(body.clone(), &json!({ "repo": "kit" })),
        Some(Forgery::Key) | None => body.clone(),
    };
    let mut claims = simulation.world.claims(&upstream.issuer(), &claimed);
    claims["run_id"] = run_id.into();
    claims["sha"] = commit.clone().into();
    if forgery == Some(Forgery::Repository) {
        // Only the repository is wrong.
        claims["aud"] = simulation.world.claims(&upstream.issuer(), &body)["aud"].clone();
    }
    let (header_key, signer) = match forgery {
        Some(Forgery::Key) => (&KEYS[signs_with], &KEYS[1 - signs_with]),
        _ => (&KEYS[signs_with], &KEYS[signs_with]),
    };
    let token = signer.token_with_header(&header_key.header(), &claims);
    let sent = Sent {
        repository: KEYLESS_REPOSITORY,
        nonce: format!("{KEYLESS_REPOSITORY} {nonce}"),
        at: simulation.trace.elapsed(),
        refusal: forgery.map(|_| "its token is forged"),
        is_acknowledged: false,
        is_purged: false,
    };
    simulation.model.lock().unwrap().sent.insert(commit.clone(), sent);
    let post = Post::unsigned(&body).header("x-id-token", token);
    Posted { post, commit, timestamp: timestamp(&body), key: None }
}

fn timestamp(body: &Value) -> badgesmith_domain::timestamp::Timestamp {
    body["timestamp"].as_str().unwrap().parse().unwrap()
}

/// Checks that a token that the issuer signs with a current key is accepted.
pub(super) async fn check_end(simulation: &Simulation, event: u32) {
    let Some(feed) = &simulation.packages else { return };
    let signs_with = *feed.signs_with.lock().unwrap();
    let posted = sign(simulation, event, &feed.upstream, signs_with, None);
    let answer = simulation.world.submit(&posted.post).await;
    let mut model = simulation.model.lock().unwrap();
    if !answer.is_accepted() {
        model.violate("a current key is accepted", format!("{KEYLESS}: {}", answer.verdict()));
    }
}
