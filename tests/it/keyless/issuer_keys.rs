//! The keys of the issuer of ID tokens: fetched on the schedule, kept when that fails, and rotated while posts come in.

use std::time::Duration;

use badgesmith_aws::dynamodb::Issuers;
use badgesmith_domain::issuer::KeySet;
use local::stack::SECRETS_TABLE;
use serde_json::{Value, json};
use tests::client::{Answer, Post, REPOSITORY, with};
use tests::faults::Fault;
use tests::id_token::{KEYS, SigningKey};
use tests::upstream::{Upstream, UpstreamFault};
use tests::world::{ISSUER, KEYLESS, World};

const MINUTE: Duration = Duration::from_mins(1);
const DISCOVERY: &str = "/.well-known/openid-configuration";
const JWKS: &str = "/.well-known/jwks";

async fn stored(world: &World, upstream: &Upstream) -> Option<KeySet> {
    let issuers = Issuers::new(&world.sdk_config(), SECRETS_TABLE.to_owned());
    issuers.keys(&upstream.issuer().parse().unwrap()).await.unwrap()
}

fn key_set(keys: &[&SigningKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

fn parsed(keys: &[&SigningKey]) -> Option<KeySet> {
    serde_json::from_value(key_set(keys)).unwrap()
}

/// A result with a token of `issuer` that `key` has signed.
fn post(world: &World, issuer: &str, key: &SigningKey) -> Post {
    let body = world.keyless_result();
    Post::unsigned(&body).header("x-id-token", key.token(&world.claims(issuer, &body)))
}

async fn submit(world: &World, issuer: &str, key: &SigningKey) -> Answer {
    world.submit(&post(world, issuer, key)).await
}

/// The statuses of the requests so far, by the end of their paths.
fn statuses(upstream: &Upstream) -> Vec<(bool, u16)> {
    let requests =
        upstream.take_requests().into_iter().filter(|request| request.path.contains("/.well-known/"));
    requests.map(|request| (request.path.ends_with(JWKS), request.status.unwrap_or_default())).collect()
}

#[tokio::test]
async fn the_keys_are_fetched_on_the_schedule_and_stored_when_they_change() {
    let upstream = Upstream::start();
    let world = World::with_issuer(&upstream, "acme");
    let early = submit(&world, &upstream.issuer(), &KEYS[0]).await;
    assert_eq!(early.verdict(), "503 UNAVAILABLE");
    assert_eq!(early.header("retry-after"), Some("60"));
    world.faults.take_calls();
    world.refresh_due().await;
    assert_eq!(statuses(&upstream), [(false, 200), (true, 200)]);
    assert_eq!(world.faults.take_count("PutItem"), 1);
    assert_eq!(stored(&world, &upstream).await, parsed(&[&KEYS[0]]));
    world.clock.advance(MINUTE);
    assert_eq!(submit(&world, &upstream.issuer(), &KEYS[0]).await.status, 202);

    world.faults.take_calls();
    world.refresh_due().await;
    assert_eq!(statuses(&upstream), [(false, 304), (true, 304)]);
    assert_eq!(world.faults.take_count("PutItem"), 0);
    upstream.set_key_set(&key_set(&[&KEYS[1]]));
    world.refresh_due().await;
    assert_eq!(statuses(&upstream), [(false, 304), (true, 200)]);
    assert_eq!(stored(&world, &upstream).await, parsed(&[&KEYS[1]]));
}

#[tokio::test]
async fn known_keys_stay_when_the_issuer_fails_or_answers_nonsense() {
    let upstream = Upstream::start();
    let mut world = World::with_issuer(&upstream, "acme");
    world.refresh_due().await;
    let known = parsed(&[&KEYS[0]]);
    assert_eq!(stored(&world, &upstream).await, known);
    let status = |status: u16| UpstreamFault::Status { status, headers: Vec::new(), body: String::new() };
    for part in [DISCOVERY, JWKS] {
        for fault in [
            status(503),
            status(404),
            status(401),
            status(429),
            UpstreamFault::Dropped,
            UpstreamFault::Garbage,
            UpstreamFault::GzipBomb,
            UpstreamFault::TruncatedGzip,
            UpstreamFault::RedirectTo("http://127.0.0.1:9/".to_owned()),
        ] {
            upstream.plan_fault(part, fault.clone(), usize::MAX);
            world.refresh_due().await;
            upstream.heal();
            // Breakers and rate limits end.
            world.clock.advance(Duration::from_hours(1));
            assert_eq!(stored(&world, &upstream).await, known, "{part}: {fault:?}");
        }
    }
    let mut huge = key_set(&[&KEYS[0]]);
    for number in 0..32 {
        let mut key = KEYS[1].jwk();
        key["kid"] = number.to_string().into();
        huge["keys"].as_array_mut().unwrap().push(key);
    }
    let of_another_kind =
        json!({ "keys": [{ "kty": "EC", "kid": "one", "crv": "P-256", "x": "AA", "y": "AA" }] });
    for nonsense in [json!({ "keys": [] }), huge, of_another_kind, json!([]), json!({ "keys": "none" })] {
        upstream.set_key_set(&nonsense);
        world.refresh_due().await;
        assert_eq!(stored(&world, &upstream).await, known, "{nonsense}");
    }
    upstream.set_key_set(&key_set(&[&KEYS[1]]));
    let (issuer, url) = (upstream.issuer(), upstream.url());
    for nonsense in [
        json!({ "issuer": "https://evil.test", "jwks_uri": format!("{issuer}{JWKS}") }),
        json!({ "issuer": format!("{issuer}/"), "jwks_uri": format!("{issuer}{JWKS}") }),
        json!({ "issuer": issuer, "jwks_uri": format!("{}{JWKS}", issuer.replace("127.0.0.1", "localhost")) }),
        json!({ "issuer": issuer, "jwks_uri": format!("{}0{JWKS}", url) }),
        json!({ "issuer": issuer, "jwks_uri": "/.well-known/jwks" }),
        json!({ "issuer": issuer }),
    ] {
        upstream.set_discovery(&nonsense);
        world.restart_functions();
        world.refresh_due().await;
        assert_eq!(stored(&world, &upstream).await, known, "{nonsense}");
    }
    upstream.set_discovery(&json!({ "issuer": issuer, "jwks_uri": format!("{issuer}{JWKS}") }));
    world.refresh_due().await;
    assert_eq!(stored(&world, &upstream).await, parsed(&[&KEYS[1]]));
}

/// A post comes in every 10 s, and its client sends it again for up to seven minutes, with a new token each time.
#[tokio::test]
async fn no_post_is_lost_while_the_keys_rotate() {
    const STEP: usize = 10;
    const SCHEDULE: usize = 300;
    const RETRY_FOR: usize = 420;
    // The first use of the new key, 10 or 70 s after a run of the schedule. Issuers publish a key before they use it. One
    // that does not makes clients wait for the schedule, and for a function that read the keys a moment before it.
    for (rotation, published_before, longest_wait) in [(1270, 600, 0), (1270, 0, 240), (1210, 0, 300)] {
        let upstream = Upstream::start();
        let world = World::with_issuer(&upstream, "acme");
        let (mut pending, mut waits) = (Vec::new(), Vec::new());
        for second in (0..2400).step_by(STEP) {
            if second == rotation - published_before {
                upstream.set_key_set(&key_set(&[&KEYS[0], &KEYS[1]]));
            }
            // Its last tokens have expired.
            if second == rotation + 600 {
                upstream.set_key_set(&key_set(&[&KEYS[1]]));
            }
            if second % SCHEDULE == 0 {
                world.refresh_due().await;
            }
            let key = &KEYS[usize::from(second >= rotation)];
            pending.push((second, second));
            let (due, later): (Vec<_>, _) = pending.into_iter().partition(|(_, next)| *next <= second);
            pending = later;
            for (start, _) in due {
                let answer = submit(&world, &upstream.issuer(), key).await;
                if answer.status == 202 {
                    waits.push(second - start);
                } else {
                    assert_eq!(answer.verdict(), "503 UNAVAILABLE");
                    let wait: usize = answer.header("retry-after").unwrap().parse().unwrap();
                    assert!(second + wait - start <= RETRY_FOR, "the client gives up");
                    pending.push((start, second + wait));
                }
            }
            world.clock.advance(Duration::from_secs(STEP as u64));
        }
        assert_eq!((waits.len(), pending.len()), (240, 0));
        assert_eq!(
            waits.into_iter().max(),
            Some(longest_wait),
            "{rotation}, published {published_before} s before"
        );
        world.clock.advance(Duration::from_hours(1));
        assert_eq!(submit(&world, &upstream.issuer(), &KEYS[0]).await.status, 503, "the old key is gone");
    }
}

#[tokio::test(start_paused = true)]
async fn the_keys_are_read_once_an_hour_and_once_a_minute_for_unknown_ones() {
    let world = World::keyless("acme").await;
    assert_eq!(submit(&world, ISSUER, &KEYS[0]).await.status, 202);
    world.faults.take_calls();
    let reads = |world: &World| {
        let calls = world.faults.take_calls();
        calls
            .iter()
            .filter(|call| call.operation == "GetItem" && call.body.to_string().contains("ISSUER#"))
            .count()
    };
    // A flood of tokens with an unknown key, and others in between.
    for _ in 0..10 {
        for _ in 0..50 {
            let answer = submit(&world, ISSUER, &KEYS[1]).await;
            assert_eq!(answer.verdict(), "503 UNAVAILABLE");
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
        assert_eq!(submit(&world, ISSUER, &KEYS[0]).await.status, 202);
        world.clock.advance(MINUTE / 2);
    }
    assert!(reads(&world) <= 5, "one a minute");
    for _ in 0..36 {
        assert_eq!(submit(&world, ISSUER, &KEYS[0]).await.status, 202);
        world.clock.advance(MINUTE * 5);
    }
    assert_eq!(reads(&world), 2, "one an hour");
}

/// Whether a repository is registered is not told to everyone who can invent a token.
#[tokio::test(start_paused = true)]
async fn a_forged_token_gets_the_same_answer_for_every_name_and_reads_no_registration() {
    let world = World::keyless("acme").await;
    assert_eq!(submit(&world, ISSUER, &KEYS[0]).await.status, 202);
    let names = [KEYLESS, REPOSITORY, "acme/new", "other/unregistered"];
    let answers = async |key: &SigningKey, header: &Value| {
        let mut answers = Vec::new();
        for name in names {
            let (owner, repo) = name.split_once('/').unwrap();
            let body = with(world.keyless_result(), &json!({ "owner": owner, "repo": repo }));
            let token = key.token_with_header(header, &world.claims(ISSUER, &body));
            answers.push(world.submit(&Post::unsigned(&body).header("x-id-token", token)).await);
        }
        answers
    };
    // The first one reads the keys again, and the others say how long that takes effect.
    submit(&world, ISSUER, &KEYS[1]).await;
    world.faults.take_calls();
    let unknown_key = answers(&KEYS[1], &KEYS[1].header()).await;
    assert_eq!(unknown_key[0].verdict(), "503 UNAVAILABLE");
    let forged = answers(&KEYS[1], &KEYS[0].header()).await;
    assert_eq!(forged[0].verdict(), "401 UNAUTHORIZED");
    for same in [unknown_key, forged] {
        assert_eq!(same, vec![same[0].clone(); names.len()]);
    }
    assert_eq!(world.faults.take_calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_read_again_are_not_used_past_their_time() {
    let world = World::keyless("acme").await;
    assert_eq!(submit(&world, ISSUER, &KEYS[0]).await.status, 202);
    world.faults.plan_for("GetItem", "ISSUER#", Fault::Fails, usize::MAX);
    world.clock.advance(MINUTE * 59);
    assert_eq!(submit(&world, ISSUER, &KEYS[0]).await.status, 202);
    world.clock.advance(MINUTE);
    let answer = submit(&world, ISSUER, &KEYS[0]).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    world.faults.heal();
    assert_eq!(submit(&world, ISSUER, &KEYS[0]).await.status, 202);
    // The issuer replaces a key, and a token of the old one is still there.
    world.set_issuer_keys(&key_set(&[&KEYS[1]])).await;
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(submit(&world, ISSUER, &KEYS[0]).await.status, 503);
}
