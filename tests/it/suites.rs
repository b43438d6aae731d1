//! A badge adds up the suites of a branch, and is green only if all of them succeed.

use std::time::Duration;

use serde_json::{Value, json};
use tests::client::{Post, result, with};
use tests::faults::Fault;
use tests::world::{VISIBILITY_TIMEOUT, World};

const DAY: Duration = Duration::from_hours(24);

/// Submits and stores a result of acme/kit, main, with these fields.
async fn report(world: &World, suite: &str, passed: u32, failed: u32, fields: Value) {
    let counts =
        json!({ "suite": suite, "passed": passed, "failed": failed, "skipped": 0, "total": passed + failed });
    let body = with(with(result(world.now()), &counts), &fields);
    assert_eq!(world.submit(&Post::json(&body)).await.verdict(), "202", "{body}");
    world.drain().await;
    // The next result is later than this one.
    world.clock.advance(Duration::from_secs(1));
}

/// The message and the color once caches have expired.
async fn shown(world: &World, address: &str) -> String {
    world.clock.advance(Duration::from_secs(30));
    let badge = world.get(&format!("/badges/tests/{address}")).await.json();
    format!("{} {}", badge["message"].as_str().unwrap(), badge["color"].as_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_renamed_suite_counts_until_it_is_retired_or_silent_for_35_days() {
    let world = World::new();
    report(&world, "old", 1, 5, json!({})).await;
    report(&world, "forgotten", 7, 1, json!({})).await;
    report(&world, "new", 6, 0, json!({})).await;
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "14 passed, 6 failed red");
    report(&world, "old", 0, 0, json!({ "retire": true })).await;
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "13 passed, 1 failed red");
    assert_eq!(shown(&world, "linux/acme/kit/main?suite=old").await, "no results lightgrey");
    let history = world.history().await;
    assert_eq!(history[0]["retire"], true, "the history keeps the retirement: {history:?}");

    world.clock.advance(34 * DAY);
    report(&world, "new", 6, 0, json!({})).await;
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "13 passed, 1 failed red");
    world.clock.advance(2 * DAY);
    report(&world, "new", 6, 0, json!({})).await;
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "6 passed brightgreen");
}

#[tokio::test(start_paused = true)]
async fn a_dormant_branch_keeps_its_badge_unless_the_reader_limits_its_age() {
    let world = World::new();
    report(&world, "unit", 4, 0, json!({})).await;
    world.clock.advance(20 * DAY);
    report(&world, "monthly", 2, 0, json!({})).await;
    world.clock.advance(100 * DAY);
    assert_eq!(shown(&world, "all/acme/kit/main").await, "6 passed brightgreen");
    assert_eq!(shown(&world, "all/acme/kit/main?max_age=101d").await, "6 passed brightgreen");
    assert_eq!(shown(&world, "all/acme/kit/main?max_age=99d").await, "no recent results lightgrey");
    assert_eq!(shown(&world, "all/acme/kit/main?max_age=soon").await, "not found red");
}

#[tokio::test(start_paused = true)]
async fn a_retirement_leaves_the_other_suites_of_a_dormant_branch_live() {
    let world = World::new();
    report(&world, "unit", 5, 0, json!({})).await;
    report(&world, "e2e", 0, 3, json!({})).await;
    world.clock.advance(300 * DAY);
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "5 passed, 3 failed red");
    report(&world, "e2e", 0, 0, json!({ "retire": true })).await;
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "5 passed brightgreen");
}

#[tokio::test(start_paused = true)]
async fn a_branch_with_more_suites_than_a_badge_reads_is_never_green() {
    let world = World::new();
    for number in 0..400 {
        let fields =
            json!({ "suite": format!("shard {number}"), "passed": 1, "failed": 0, "skipped": 0, "total": 1 });
        assert_eq!(world.submit(&Post::json(&with(result(world.now()), &fields))).await.status, 202);
        // Below the rate limit of a repository.
        world.clock.advance(Duration::from_secs(1));
    }
    world.drain().await;
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "too many suites lightgrey");
    assert_eq!(shown(&world, "linux/acme/kit/main?suite=shard%200").await, "too many suites lightgrey");
    for query in ["", "?suite=shard%200"] {
        let badge = world.get(&format!("/badges/tests/linux/acme/kit/main{query}")).await;
        assert_eq!(badge.header("cache-control"), Some("public, max-age=30, s-maxage=30"), "{query}");
    }
    report(&world, "shard 7", 0, 1, json!({})).await;
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "299 passed, 1 failed red");
}

#[tokio::test(start_paused = true)]
async fn a_failed_slot_write_does_not_fail_the_other_slots() {
    let world = World::new();
    for suite in ["unit", "e2e"] {
        let fields = json!({ "suite": suite, "passed": 1, "failed": 0, "skipped": 0, "total": 1 });
        world.submit(&Post::json(&with(result(world.now()), &fields))).await;
    }
    world.faults.plan_for("PutItem", "main#linux#e2e", Fault::Fails, usize::MAX);
    world.drain().await;
    assert_eq!(world.queued(), 1, "only the message of the failed slot is delivered again");
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "1 passed brightgreen");
    world.faults.heal();
    world.clock.advance(VISIBILITY_TIMEOUT);
    world.drain().await;
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "2 passed brightgreen");
    assert_eq!((world.history().await.len(), world.queued()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn stale_slots_are_served_only_if_one_matches_the_badge() {
    let world = World::new();
    report(&world, "unit", 1, 0, json!({})).await;
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "1 passed brightgreen");
    world.faults.plan("Query", Fault::Fails, usize::MAX);
    assert_eq!(shown(&world, "linux/acme/kit/main").await, "1 passed brightgreen", "a stale copy");
    assert_eq!(shown(&world, "macos/acme/kit/main").await, "unavailable lightgrey");
    assert_eq!(shown(&world, "all/acme/kit/main?suite=e2e").await, "unavailable lightgrey");
}

#[tokio::test(start_paused = true)]
async fn the_slots_of_a_branch_say_whether_they_count() {
    let world = World::new();
    report(&world, "gone", 1, 0, json!({})).await;
    world.clock.advance(36 * DAY);
    report(&world, "unit", 4, 1, json!({ "failures": ["kit::works"] })).await;
    report(&world, "old", 0, 0, json!({ "retire": true })).await;
    report(&world, "unit", 9, 0, json!({ "branch": "other" })).await;
    let states = async |query: &str| {
        let page = world.get(&format!("/tests/latest/acme/kit?{query}")).await.json();
        let slots = page["slots"].as_array().unwrap().iter();
        let text = |slot: &Value, name: &str| slot[name].as_str().unwrap().to_owned();
        let states: Vec<_> =
            slots.map(|slot| ["branch", "suite", "state"].map(|name| text(slot, name)).join(" ")).collect();
        (states, page["next_cursor"].as_str().map(str::to_owned))
    };
    let (newest_first, _) = states("branch=main").await;
    assert_eq!(newest_first, ["main old retired", "main unit live", "main gone silent"]);
    let (all, _) = states("").await;
    assert_eq!(all, ["main gone silent", "main old retired", "main unit live", "other unit live"]);
    let (first, cursor) = states("limit=2").await;
    assert_eq!(first, ["main gone unknown", "main old retired"], "the branch continues on the next page");
    let (second, _) = states(&format!("limit=2&cursor={}", cursor.unwrap())).await;
    assert_eq!(second, ["main unit unknown", "other unit live"]);
    let answer = world.get("/tests/latest/acme/kit?limit=0&cursor=x&branch=/").await;
    assert_eq!(answer.verdict(), "400 INVALID_BRANCH INVALID_LIMIT INVALID_CURSOR");
}

#[tokio::test(start_paused = true)]
async fn invalid_fields_of_a_suite_are_reported_together() {
    let world = World::new();
    let fields = json!({
        "suite": " x", "conclusion": "cancelled", "retire": "yes", "default_branch": "/", "failures": ["a\u{202e}b"],
    });
    let answer = world.submit(&Post::json(&with(result(world.now()), &fields))).await;
    insta::assert_snapshot!(answer.json()["message"].as_str().unwrap().replace("; ", "\n"), @r"
    suite: expected 1 to 80 bytes of UTF-8 without control characters or surrounding whitespace
    retire: expected true or false
    conclusion: expected success or failure
    default_branch: expected 1 to 255 bytes of UTF-8 without control characters, a leading or trailing /, or //
    failures: expected at most 20 names, each 1 to 200 bytes of UTF-8 without control or format characters
    ");
    let success = json!({ "conclusion": "success", "passed": 1, "failed": 1, "skipped": 0, "total": 2 });
    let answer = world.submit(&Post::json(&with(result(world.now()), &success))).await;
    assert_eq!(answer.verdict(), "400 INVALID_CONCLUSION");
    let retired = json!({ "retire": true, "passed": 1, "failed": 0, "skipped": 0, "total": 1 });
    let answer = world.submit(&Post::json(&with(result(world.now()), &retired))).await;
    assert_eq!(answer.json()["error_details"].as_array().unwrap().len(), 2, "passed and total");
}
