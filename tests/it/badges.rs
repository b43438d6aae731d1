//! Test badges: their headers, what is cached in memory, and responses while DynamoDB fails.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde_json::json;
use tests::client::{Answer, Post, result, with};
use tests::faults::Fault;
use tests::world::World;

const BADGE: &str = "/badges/tests/linux/acme/kit/main";
/// The maximum response time of badge-api, without its cold start.
pub(crate) const BADGE_TIME_MAX: Duration = Duration::from_millis(1500);

async fn world_with_result() -> World {
    let world = World::new();
    let answer = world.submit(&world.post()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    world.drain().await;
    world
}

/// The headers, sorted, one in a line.
pub(crate) fn header_lines(answer: &Answer) -> String {
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<_> = answer.headers.iter().map(line).collect();
    lines.sort();
    lines.join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_badge_has_the_expected_headers() {
    let world = world_with_result().await;
    let badge = world.get(BADGE).await;
    insta::assert_snapshot!(header_lines(&badge), @r#"
    access-control-allow-origin: *
    cache-control: public, max-age=30, s-maxage=30, stale-while-revalidate=30, stale-if-error=86400
    content-type: application/json; charset=utf-8
    etag: "68bce1ca6aae40e790121bc28426f1c8"
    last-modified: Thu, 15 Jan 2026 10:30:00 GMT
    x-content-type-options: nosniff
    "#);
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_badge_api_have_fixed_responses() {
    let world = World::new();
    let row = async |method: Method, path| {
        let answer = world.request(method.clone(), path, &[]).await;
        let headers = ["allow", "cache-control", "retry-after"].into_iter();
        let headers = headers.filter_map(|name| Some(format!(", {name}: {}", answer.header(name)?)));
        format!("{method} {path} -> {}{}\n    {}\n", answer.status, headers.collect::<String>(), answer.text)
    };
    let mut table = [
        row(Method::GET, "/unknown").await,
        row(Method::PUT, BADGE).await,
        row(Method::GET, "/redirect/test-results/linux/acme/kit/main").await,
        row(Method::GET, "/tests/results/acme/kit?limit=0&platform=beos").await,
    ]
    .concat();
    world.faults.plan("Query", Fault::Fails, usize::MAX);
    table += &row(Method::GET, "/tests/results/acme/kit").await;
    insta::assert_snapshot!(table, @r#"
    GET /unknown -> 404, cache-control: no-store
        {"message":"unknown path","error_details":[{"error_code":"NOT_FOUND"}]}
    PUT /badges/tests/linux/acme/kit/main -> 405, allow: GET, HEAD, OPTIONS, cache-control: no-store
        {"message":"method not allowed: use GET, HEAD, OPTIONS","error_details":[{"error_code":"METHOD_NOT_ALLOWED"}]}
    GET /redirect/test-results/linux/acme/kit/main -> 404, cache-control: no-store
        {"message":"this badge has no run to link to","error_details":[{"error_code":"NO_RUN"}]}
    GET /tests/results/acme/kit?limit=0&platform=beos -> 400, cache-control: no-store
        {"message":"platform: expected linux, windows or macos; limit: expected an integer from 1 to 200","error_details":[{"error_code":"INVALID_PLATFORM","property_name":"platform"},{"error_code":"INVALID_LIMIT","property_name":"limit"}]}
    GET /tests/results/acme/kit -> 503, cache-control: no-store, retry-after: 1
        {"message":"temporarily unavailable: send the same request again","error_details":[{"error_code":"UNAVAILABLE"}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_read_from_dynamodb_once_in_thirty_seconds() {
    let world = world_with_result().await;
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
async fn a_stale_badge_is_served_while_dynamodb_fails() {
    let world = world_with_result().await;
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed");
    world.clock.advance(Duration::from_hours(20));
    for fault in [Fault::Fails, Fault::TimesOut] {
        world.faults.plan("Query", fault, usize::MAX);
        assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed", "{fault:?}");
        let answer = world.get("/badges/tests/linux/acme/kit/not-cached").await;
        let headers = ["cache-control", "retry-after", "etag"].map(|name| answer.header(name));
        assert_eq!((answer.status, headers), (503, [Some("no-store"), Some("1"), None]), "{fault:?}");
        assert_eq!(answer.json()["message"], "unavailable");
        assert_eq!(
            world.get("/redirect/test-results/linux/acme/kit/not-cached").await.verdict(),
            "503 UNAVAILABLE"
        );
        let history = world.get("/tests/results/acme/kit").await;
        assert_eq!(
            (history.verdict().as_str(), history.header("retry-after")),
            ("503 UNAVAILABLE", Some("1"))
        );
    }
    world.faults.heal();
    assert_eq!(world.badge("linux/acme/kit/not-cached").await, "no results");
}

#[tokio::test(start_paused = true)]
async fn a_badge_answers_within_1500_milliseconds_while_dynamodb_hangs() {
    let world = World::new();
    world.faults.plan("Query", Fault::TimesOut, usize::MAX);
    let started = tokio::time::Instant::now();
    assert_eq!(world.badge("linux/acme/kit/main").await, "unavailable");
    let waited = started.elapsed();
    assert!(waited <= BADGE_TIME_MAX, "{waited:?} of virtual time");

    let started = tokio::time::Instant::now();
    let history = world.get("/tests/results/acme/kit?branch=main").await;
    assert_eq!(history.verdict(), "503 UNAVAILABLE");
    assert!(started.elapsed() <= BADGE_TIME_MAX + Duration::from_millis(1), "three reads, one bound");
}

#[tokio::test(start_paused = true)]
async fn last_modified_is_never_in_the_future() {
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
async fn an_error_is_not_cached_in_memory() {
    let world = World::new();
    assert_eq!(world.badge("linux/acme/kit/main").await, "no results");
    world.submit(&world.post()).await;
    assert_eq!(world.badge("linux/acme/kit/main").await, "no results", "queued, not yet stored");
    world.drain().await;
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed");
    assert_eq!(world.queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_preflight_lists_the_methods() {
    let world = World::new();
    let headers = [("origin", "https://a.test"), ("access-control-request-method", "GET")];
    let preflight = world.request(Method::OPTIONS, BADGE, &headers).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(preflight.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[tokio::test(start_paused = true)]
async fn health_makes_no_call_to_aws() {
    let world = World::new();
    assert_eq!(world.get("/health").await.json()["time_stamp"], "2026-01-15T10:30:00.000Z");
    assert_eq!(world.faults.take_calls().len(), 0);
}
