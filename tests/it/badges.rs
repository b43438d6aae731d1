//! What readers get: badges, the redirect, health, and how all of it is cached.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tests::client::{Answer, Post, result, with};
use tests::faults::Fault;
use tests::world::World;

const BADGE: &str = "/badges/tests/linux/acme/kit/main";
const REDIRECT: &str = "/redirect/test-results/linux/acme/kit/main";

/// A world in which `fields` of a result are stored.
async fn world_with(fields: serde_json::Value) -> World {
    let world = World::new();
    let answer = world.submit(&Post::json(&with(result(world.now()), &fields))).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    world.drain().await;
    world
}

/// An answer as it goes over the wire, without its body's wrapping.
pub(crate) fn shown(answer: &Answer) -> String {
    let mut headers: Vec<_> =
        answer.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    headers.sort();
    format!("{}\n{}\n{}", answer.status, headers.concat(), answer.text)
}

#[tokio::test(start_paused = true)]
async fn a_badge_with_all_its_headers() {
    let world = world_with(json!({})).await;
    insta::assert_snapshot!(shown(&world.get(BADGE).await));
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_a_badge_with_status_200() {
    let world = world_with(json!({})).await;
    for (path, message) in [
        ("linux/acme/kit/main", "190 passed"),
        ("Linux/ACME/Kit/main", "190 passed"),
        ("linux/acme/kit/Main", "no results"),
        ("windows/acme/kit/main", "no results"),
        ("linux/unknown/kit/main", "no results"),
        ("beos/acme/kit/main", "not found"),
        ("linux/acme/kit", "not found"),
        ("linux/acme/kit/a//b", "not found"),
        ("linux/acme/kit/a%0Ab", "not found"),
        ("linux/a%20b/kit/main", "not found"),
    ] {
        assert_eq!(world.badge(path).await, message, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_there_is_cached_briefly_and_never_when_stale() {
    let world = World::new();
    for path in ["/badges/tests/linux/acme/kit/main", "/badges/tests/beos/acme/kit/main"] {
        let answer = world.get(path).await;
        assert_eq!(answer.header("cache-control"), Some("public, max-age=30, s-maxage=30"), "{path}");
        assert_eq!(answer.json()["isError"], true);
    }
    world.submit(&world.post()).await;
    world.drain().await;
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed", "that there was nothing is not kept");
}

#[tokio::test(start_paused = true)]
async fn entity_tags_save_the_body() {
    let world = world_with(json!({})).await;
    let first = world.get(BADGE).await;
    let tag = first.header("etag").unwrap();
    for (tags, status) in [
        (tag.to_owned(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"other\", {tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let answer = world.request(Method::GET, BADGE, &[("if-none-match", &tags)]).await;
        assert_eq!(answer.status, status, "{tags}");
        for name in ["etag", "cache-control", "last-modified", "access-control-allow-origin"] {
            assert_eq!(answer.header(name), first.header(name), "{name}");
        }
        assert_eq!(answer.text.is_empty(), status == 304);
    }
    assert!(tag.starts_with('"'), "a strong tag");
}

#[tokio::test(start_paused = true)]
async fn head_is_get_without_the_body() {
    let world = world_with(json!({})).await;
    for path in [BADGE, REDIRECT, "/health", "/tests/results/acme/kit", "/nowhere"] {
        let get = world.get(path).await;
        let head = world.request(Method::HEAD, path, &[]).await;
        assert_eq!(head.text, "", "{path}");
        assert_eq!((head.status, head.headers), (get.status, get.headers), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn browsers_may_read() {
    let world = World::new();
    let preflight = world
        .request(
            Method::OPTIONS,
            BADGE,
            &[("origin", "https://a.test"), ("access-control-request-method", "GET")],
        )
        .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(preflight.header("allow"), Some("GET, HEAD, OPTIONS"));
    for path in [BADGE, "/health", "/nowhere", "/tests/results/acme/kit"] {
        assert_eq!(world.get(path).await.header("access-control-allow-origin"), Some("*"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_read_once_in_thirty_seconds() {
    let world = world_with(json!({})).await;
    let reads = |world: &World| world.faults.take_calls().len();
    reads(&world);
    for _ in 0..10 {
        assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed");
    }
    assert_eq!(reads(&world), 1);
    world
        .submit(&Post::json(&with(
            result(world.now()),
            &json!({ "passed": 191, "total": 191, "run_id": "99999999999" }),
        )))
        .await;
    world.drain().await;
    reads(&world);
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed", "from memory");
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(world.badge("linux/acme/kit/main").await, "191 passed");
    assert_eq!(reads(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn an_old_badge_is_better_than_none() {
    let world = world_with(json!({})).await;
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed");
    world.clock.advance(Duration::from_hours(20));
    for fault in [Fault::Fails, Fault::TimesOut] {
        world.faults.plan("Query", fault, usize::MAX);
        assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed", "{fault:?}");
        let answer = world.get("/badges/tests/linux/acme/kit/never-read").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["message"], "unavailable");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=5, s-maxage=5"));
        assert_eq!(
            world.get("/redirect/test-results/linux/acme/kit/never-read").await.verdict(),
            "503 UNAVAILABLE"
        );
        let history = world.get("/tests/results/acme/kit").await;
        assert_eq!(
            (history.verdict().as_str(), history.header("retry-after")),
            ("503 UNAVAILABLE", Some("1"))
        );
    }
    world.faults.heal();
    assert_eq!(world.badge("linux/acme/kit/never-read").await, "no results");
}

#[tokio::test(start_paused = true)]
async fn a_badge_never_waits_longer_than_its_readers() {
    let world = World::new();
    world.faults.plan("Query", Fault::TimesOut, usize::MAX);
    let started = tokio::time::Instant::now();
    assert_eq!(world.badge("linux/acme/kit/main").await, "unavailable");
    let waited = started.elapsed();
    assert!(waited <= Duration::from_millis(1500), "{waited:?} of virtual time");

    let started = tokio::time::Instant::now();
    let history = world.get("/tests/results/acme/kit?branch=main").await;
    assert_eq!(history.verdict(), "503 UNAVAILABLE");
    assert!(started.elapsed() <= Duration::from_millis(1501), "three reads, one bound");
}

#[tokio::test(start_paused = true)]
async fn nothing_was_modified_in_the_future() {
    let world = World::new();
    let ahead = with(result(world.now()), &json!({ "timestamp": "2026-01-15T10:30:59Z" }));
    assert_eq!(world.submit(&Post::json(&ahead)).await.status, 202);
    world.drain().await;
    for path in [BADGE, "/tests/results/acme/kit"] {
        let answer = world.get(path).await;
        assert_eq!(answer.header("last-modified"), Some("Thu, 15 Jan 2026 10:30:00 GMT"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_redirect_leads_to_the_run() {
    let run = "https://github.com/acme/kit/runs/1";
    let workflow = "https://github.com/acme/kit/actions/runs/2";
    for (fields, location) in [
        (json!({ "url_html": run, "workflow_run_url": workflow }), Some(run)),
        (json!({ "url_html": "", "workflow_run_url": workflow }), Some(workflow)),
        (json!({ "url_html": null, "workflow_run_url": null }), None),
    ] {
        let world = world_with(fields).await;
        let answer = world.get(REDIRECT).await;
        assert_eq!(answer.header("location"), location);
        match location {
            Some(_) => {
                assert_eq!(answer.status, 302);
                assert_eq!(answer.header("cache-control"), Some("public, max-age=30, s-maxage=30"));
            }
            None => assert_eq!(answer.verdict(), "404 NO_RUN"),
        }
    }
    let world = World::new();
    assert_eq!(world.get(REDIRECT).await.verdict(), "404 NO_RUN");
    assert_eq!(world.get("/redirect/test-results/beos/acme/kit/main").await.verdict(), "404 NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn health_tells_the_time_and_is_not_cached() {
    let world = World::new();
    let answer = world.get("/health").await;
    assert_eq!(answer.json(), json!({ "status": "healthy", "time_stamp": "2026-01-15T10:30:00.000Z" }));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(world.faults.take_calls().len(), 0);
}
