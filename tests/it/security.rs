//! Forged, replayed and flooding submissions, where the outcome depends on time, on keys or on calls to AWS.

use std::time::Duration;

use badgesmith_domain::registration::{ActiveRegistration, Registration};
use badgesmith_domain::signature::Digest;
use badgesmith_domain::timestamp::Timestamp;
use serde_json::json;
use tests::client::{KEY, Post, REPOSITORY, result, with};
use tests::faults::Fault;
use tests::world::World;

#[tokio::test(start_paused = true)]
async fn a_nonce_belongs_to_its_repository() {
    let world = World::new();
    world.set_key("other/kit", KEY);
    let body = result(world.now());
    assert_eq!(world.submit(&Post::json(&body)).await.status, 202);
    let elsewhere = Post::json(&with(body, &json!({ "owner": "other" })));
    assert_eq!(world.submit(&elsewhere).await.status, 202, "another repository may use the same nonce");
}

#[tokio::test(start_paused = true)]
async fn fresh_unsigned_headers_do_not_make_an_old_signature_fresh() {
    let world = World::new();
    let body = json!({ "passed": 1, "failed": 0, "skipped": 0, "total": 1, "timestamp": world.now().to_string(), "run_id": "1" });
    let post = Post::to_path("linux/acme/kit/main", &body);
    assert_eq!(world.submit(&post).await.status, 202);
    // The old nonce expires after 45 minutes.
    for minutes in [6, 40] {
        world.clock.advance(Duration::from_mins(minutes));
        let fresh = post
            .clone()
            .header("x-nonce", "another-fresh-nonce")
            .header("x-timestamp", world.now().to_string());
        for replay in [&post, &fresh] {
            assert_eq!(world.submit(replay).await.verdict(), "401 TIMESTAMP_NOT_FRESH");
        }
    }
    assert_eq!(world.queued(), 1);
}

/// Here and not in `blackbox`, since gateways route such a path in different ways.
#[tokio::test(start_paused = true)]
async fn a_line_feed_in_the_path_is_not_the_branch_in_the_body() {
    let world = World::new();
    let post = Post::to_path("linux/acme/kit/a%0Ab", &result(world.now()));
    assert_eq!(world.submit(&post).await.verdict(), "400 PATH_BODY_MISMATCH");
}

/// `tests/blackbox/authentication.rs` has the other attempts.
#[tokio::test(start_paused = true)]
async fn the_key_of_another_repository_is_rejected_before_any_write() {
    const OTHER_KEY: &str = "another key that is long";
    let world = World::new();
    world.set_key("evil/kit", OTHER_KEY);
    for post in [world.post(), world.post().header("x-repo-secret", "evil/kit")] {
        assert_eq!(world.submit(&post.signed(OTHER_KEY)).await.verdict(), "401 UNAUTHORIZED");
        assert_eq!((world.queued(), world.faults.take_count("PutItem")), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn timestamps_are_fresh_from_five_minutes_before_to_one_minute_after() {
    let world = World::new();
    let now = world.now();
    for (offset_seconds, accepted) in [(-301, false), (-300, true), (0, true), (60, true), (61, false)] {
        let at = Timestamp::from_unix_milliseconds(now.unix_milliseconds() + offset_seconds * 1000);
        let answer = world.submit(&Post::json(&result(at))).await;
        let expected = if accepted { "202" } else { "401 TIMESTAMP_NOT_FRESH" };
        assert_eq!(answer.verdict(), expected, "{offset_seconds} s");
    }
    let stale_header =
        Post::to_path("linux/acme/kit/main", &result(now)).header("x-timestamp", "2026-01-15T10:20:00Z");
    assert_eq!(world.submit(&stale_header).await.json()["error_details"][0]["property_name"], "X-Timestamp");
}

/// Registered repositories that a function has not seen yet are not kept out by those that do not exist.
#[tokio::test(start_paused = true)]
async fn invented_repositories_use_up_nothing_that_others_need() {
    let world = World::new();
    let mut keys = Vec::new();
    for number in 0..20 {
        let repository = format!("acme/kit-{number}");
        keys.push((world.register(&repository).await, repository));
    }
    world.faults.take_calls();
    for number in 0..2000 {
        let invented = world.post_of(&format!("acme/invented-{number}"));
        assert_eq!(world.submit(&invented).await.verdict(), "401 UNAUTHORIZED");
        if number % 100 == 99 {
            let (key, repository) = keys.pop().unwrap();
            assert_eq!(
                world.submit(&world.post_of(&repository).signed(&key)).await.status,
                202,
                "{repository}"
            );
        }
    }
    let again = world.post_of("acme/invented-1999");
    assert_eq!(world.submit(&again).await.verdict(), "401 UNAUTHORIZED");
    let calls = world.faults.take_calls();
    let count = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
    assert_eq!(count("GetItem"), 2020, "half a read unit for each name, then cached for a minute");
    assert_eq!(count("GetSecretValue"), 1, "the master key");
}

#[tokio::test(start_paused = true)]
async fn each_repository_has_a_rate_limit_that_only_its_own_posts_use_up() {
    let world = World::new();
    let key = world.register("acme/other").await;
    for _ in 0..400 {
        let forged = world.post().signed("a key of somebody else");
        assert_eq!(world.submit(&forged).await.verdict(), "401 UNAUTHORIZED");
    }
    // Three matrices of 100 jobs at once.
    for _ in 0..300 {
        assert_eq!(world.submit(&world.post()).await.status, 202);
    }
    let limited = world.post();
    let answer = world.submit(&limited).await;
    assert_eq!((answer.verdict().as_str(), answer.header("retry-after")), ("429 RATE_LIMITED", Some("1")));
    assert_eq!(world.submit(&world.post_of("acme/other").signed(&key)).await.status, 202);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.submit(&limited).await.status, 202, "the same bytes after Retry-After");
}

/// Registers [`REPOSITORY`] with this rate limit, and returns the new key.
async fn register_with_rate(world: &World, posts_per_minute: u32) -> String {
    let key = world.register(REPOSITORY).await;
    let active = world.registration(REPOSITORY).await;
    let slow = ActiveRegistration { posts_per_minute: posts_per_minute.try_into().unwrap(), ..active };
    world.set_registration(REPOSITORY, Registration::Active(slow)).await;
    key
}

/// Ten jobs, a third of the rate, retry because the queue is unavailable or because the responses are lost.
#[tokio::test(start_paused = true)]
async fn retries_of_a_matrix_do_not_use_up_its_rate() {
    let world = World::new();
    let key = register_with_rate(&world, 30).await;
    let posts: Vec<_> = (0..10).map(|_| world.post().signed(&key)).collect();
    world.faults.plan("SendMessage", Fault::Fails, usize::MAX);
    for _ in 0..8 {
        for post in &posts {
            assert_eq!(world.submit(post).await.verdict(), "503 UNAVAILABLE");
        }
    }
    world.faults.heal();
    for expected in ["202"].into_iter().chain(["409 ALREADY_ACCEPTED"; 8]) {
        for post in &posts {
            assert_eq!(world.submit(post).await.verdict(), expected);
        }
    }
}

/// Each replay is a write, even though it changes nothing.
#[tokio::test(start_paused = true)]
async fn a_flood_of_replays_is_limited_to_ten_times_the_rate() {
    let world = World::new();
    let key = register_with_rate(&world, 30).await;
    let post = world.post().signed(&key);
    assert_eq!(world.submit(&post).await.status, 202);
    let mut replays = 0;
    while world.submit(&post).await.verdict() == "409 ALREADY_ACCEPTED" {
        replays += 1;
        assert!(replays <= 300);
    }
    assert_eq!(replays, 280);
    assert_eq!(world.submit(&post).await.verdict(), "429 RATE_LIMITED");
}

#[tokio::test(start_paused = true)]
async fn a_registration_sets_its_own_rate() {
    let world = World::new();
    let key = register_with_rate(&world, 2).await;
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        verdicts.push(world.submit(&world.post().signed(&key)).await.verdict());
    }
    assert_eq!(verdicts, ["202", "202", "429 RATE_LIMITED"]);
}

#[tokio::test(start_paused = true)]
async fn the_content_is_part_of_the_id_and_no_nonce_blocks_another_submission() {
    let world = World::new();
    let body = result(world.now());
    let first = world.submit(&Post::json(&body)).await.json()["test_result_id"].clone();
    world.clock.advance(Duration::from_mins(46));
    let later = with(body, &json!({ "timestamp": world.now().to_string() }));
    let second = world.submit(&Post::json(&later)).await;
    assert_eq!(second.status, 202, "the nonce is free again");
    assert_ne!(second.json()["test_result_id"], first);

    let in_path = Post::to_path("linux/acme/kit/main", &with(result(world.now()), &json!({ "nonce": null })));
    let digest = Digest::of(in_path.body.as_bytes());
    for nonce in [format!("sha256:{digest}"), format!("sha256#{digest}")] {
        let post = Post::json(&with(result(world.now()), &json!({ "nonce": nonce })));
        assert_eq!(world.submit(&post).await.status, 202);
    }
    assert_eq!(world.submit(&in_path).await.status, 202);
}
