//! Accepted submissions, in both forms, and where they show.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_domain::timestamp::Timestamp;
use http::Method;
use serde_json::{Value, json};
use tests::client::{Post, with};

use crate::pipeline::{Pipeline, assert_rejected, unique};

const BRIEF: &str = "public, max-age=30, s-maxage=30";
const RESULT: &str = "public, max-age=30, s-maxage=30, stale-while-revalidate=30, stale-if-error=86400";

#[tokio::test]
async fn a_signed_result_shows_in_badge_redirect_and_history() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    // Earlier than the service's clock: `Last-Modified` is never in the future.
    let timestamp = Clock::System.now().minus(Duration::from_secs(30));
    let fields = json!({
        "passed": 188, "failed": 2, "skipped": 3, "total": 193, "run_attempt": 3,
        "timestamp": timestamp.to_string(),
        "commit": "4D8474BDA0B16FBBB69887D0D08C3885843BBDC7",
    });
    let sent = pipeline.result(&branch, &fields);
    let answer = pipeline.submit(&pipeline.post(&sent)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let accepted = answer.json();
    let repository = pipeline.target.repository.to_lowercase();
    let id = accepted["test_result_id"].as_str().expect("an id").to_owned();
    let expected = json!({
        "test_result_id": id, "repository": repository, "timestamp": sent["timestamp"], "status": "queued",
    });
    assert_eq!(accepted, expected);

    let (owner, repo) = repository.split_once('/').unwrap();
    let stored = with(
        sent.clone(),
        &json!({
            "owner": owner, "repo": repo, "commit": "4d8474bda0b16fbbb69887d0d08c3885843bbdc7",
            "nonce": null, "test_result_id": id, "conclusion": "failure",
        }),
    );
    assert_eq!(pipeline.history(&branch, &[id]).await, [stored]);

    let badge = pipeline.badge_path("linux", &branch);
    let shown = pipeline.badge(&badge, "188 passed, 2 failed").await;
    let expected = json!({
        "schemaVersion": 1, "label": "tests", "message": "188 passed, 2 failed", "color": "red",
    });
    assert_eq!(shown.json(), expected);
    redirects(&pipeline, &badge, sent["url_html"].as_str().unwrap()).await;

    let history = format!("/tests/results/{repository}?branch={branch}");
    for path in [badge, history] {
        check_caching(&pipeline, &path, timestamp).await;
    }
}

/// Asserts where the redirect that belongs to a badge leads.
async fn redirects(pipeline: &Pipeline, badge: &str, location: &str) {
    let redirect = badge.replace("/badges/tests/", "/redirect/test-results/");
    let redirected = pipeline.get(&redirect).await;
    assert_eq!(redirected.status, 302, "{}", redirected.text);
    assert_eq!(redirected.header("location"), Some(location));
    assert_eq!(redirected.header("cache-control"), Some(BRIEF));
}

/// Checks the headers for caches and browsers, and that the entity tag saves the body.
async fn check_caching(pipeline: &Pipeline, path: &str, modified: Timestamp) {
    let origin = ("origin", "https://example.test");
    let whole = pipeline.request(Method::GET, path, &[origin]).await;
    let tag = whole.header("etag").expect("an entity tag");
    assert!(tag.starts_with('"'), "{path}: {tag} is strong");
    assert_eq!(whole.header("cache-control"), Some(RESULT), "{path}");
    assert_eq!(whole.header("last-modified"), Some(modified.http_date().as_str()), "{path}");
    assert_eq!(whole.header("access-control-allow-origin"), Some("*"), "{path}");
    assert!(whole.header("content-type").unwrap().starts_with("application/json"), "{path}");
    for (tags, status) in [
        (tag.to_owned(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"other\", {tag}"), 304),
        (format!("\"other\", W/{tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
        (tag.trim_matches('"').to_owned(), 200),
    ] {
        let again = pipeline.request(Method::GET, path, &[origin, ("if-none-match", &tags)]).await;
        assert_eq!(again.status, status, "{path} with {tags}");
        assert_eq!(again.text, if status == 304 { "" } else { &whole.text }, "{path} with {tags}");
        for name in ["etag", "cache-control", "last-modified", "access-control-allow-origin"] {
            assert_eq!(again.header(name), whole.header(name), "{path} with {tags}: {name}");
        }
    }
}

/// The fields that deployed clients send differently: the runner's name of the platform, and an empty URL.
fn deployed(passed: u32) -> Value {
    json!({ "passed": passed, "total": passed, "platform": "Linux", "url_html": "" })
}

#[tokio::test]
async fn deployed_clients_work_unchanged() {
    let pipeline = Pipeline::open();
    let branch = unique("release/1.0");
    let repository = pipeline.target.repository.to_uppercase();
    let mut ids = Vec::new();
    for change in [
        &|post| post,
        &|post: Post| post.without("x-timestamp"),
        &|post: Post| post.without("x-nonce"),
        &|post: Post| post.without("x-timestamp").without("x-nonce"),
        &|post: Post| post.header("x-timestamp", "Thu Jan 15 10:30:00 UTC 2026"),
        &|post: Post| post.header("x-repo-secret", &repository),
    ] as [&dyn Fn(Post) -> Post; 6]
    {
        let post = pipeline.post_to("linux", &branch, &deployed(41));
        ids.push(pipeline.accepted(&change(post)).await);
    }
    let results = pipeline.history(&branch, &ids).await;
    assert_eq!(results.len(), ids.len());
    for result in results {
        let stored = [&result["platform"], &result["branch"], &result["passed"]];
        assert_eq!(stored, [&json!("linux"), &json!(branch), &json!(41)]);
    }
    let badge = pipeline.badge_path("linux", &branch);
    pipeline.badge(&badge, "41 passed").await;
    redirects(&pipeline, &badge, "https://github.com/acme/kit/actions/runs/456").await;
}

#[tokio::test]
async fn optional_fields_may_be_absent_and_unknown_fields_are_ignored() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let (owner, _) = pipeline.names();
    let two_hours_ahead = Clock::System.now().plus(Duration::from_hours(2)).to_string();
    let mut ids = Vec::new();
    for fields in [
        json!({ "url_html": null, "workflow_run_url": null, "commit": null }),
        json!({ "url_html": "", "workflow_run_url": "" }),
        json!({ "run_attempt": 2 }),
        json!({ "run_id": 16_814_735_762_u64 }),
        json!({ "new_field": { "deep": [1, 2, { "deeper": "x" }] }, "nothing": "at all" }),
        json!({ "timestamp": two_hours_ahead.replace('Z', "+02:00") }),
        json!({ "platform": "macOS", "owner": owner.to_uppercase() }),
        json!({ "passed": 4_294_967_295_u32, "total": 4_294_967_295_u32 }),
    ] {
        let answer = pipeline.submit(&pipeline.post(&pipeline.result(&branch, &fields))).await;
        assert_eq!(answer.status, 202, "{fields}: {}", answer.text);
        ids.push(answer.json()["test_result_id"].as_str().unwrap().to_owned());
    }
    let body = pipeline.result(&branch, &json!({ "url_html": null, "commit": null })).to_string();
    let explicit = body.replacen('{', r#"{"url_html":null,"commit":null,"#, 1);
    let post = Post { body: explicit, ..pipeline.post(&pipeline.result(&branch, &json!({}))) };
    ids.push(pipeline.accepted(&post.signed(&pipeline.target.key)).await);
    assert_eq!(pipeline.history(&branch, &ids).await.len(), ids.len(), "null counts as absent");
}

#[tokio::test]
async fn a_result_without_a_url_has_no_redirect() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let fields = json!({ "url_html": null, "workflow_run_url": null });
    pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &fields))).await;
    let badge = pipeline.badge_path("linux", &branch);
    pipeline.badge(&badge, "190 passed").await;
    let redirect = badge.replace("/badges/tests/", "/redirect/test-results/");
    assert_rejected(&pipeline.get(&redirect).await, "404 NO_RUN", &redirect);
}

#[tokio::test]
async fn a_stored_url_is_percent_encoded_in_the_redirect() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let url = "https://ci.test/caf\u{e9}|{x}\"<\\";
    let id = pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &json!({ "url_html": url })))).await;
    let badge = pipeline.badge_path("linux", &branch);
    pipeline.badge(&badge, "190 passed").await;
    redirects(&pipeline, &badge, "https://ci.test/caf%C3%A9%7C%7Bx%7D%22%3C%5C").await;
    assert_eq!(pipeline.history(&branch, &[id]).await[0]["url_html"], url, "stored as sent");
}

#[tokio::test]
async fn a_body_is_accepted_with_any_content_type() {
    let pipeline = Pipeline::open();
    let branch = unique("caf\u{e9}");
    let mut ids = Vec::new();
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "text/plain",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ] {
        let post = pipeline.post(&pipeline.result(&branch, &json!({}))).header("content-type", content_type);
        let answer = pipeline.submit(&post).await;
        assert_eq!(answer.status, 202, "{content_type}: {}", answer.text);
        ids.push(answer.json()["test_result_id"].as_str().unwrap().to_owned());
    }
    // The largest body, as text and as base64, which is larger in the gateway's event.
    for content_type in ["application/json", "application/octet-stream"] {
        let full = pipeline.result(&branch, &json!({ "padding": "" }));
        let padding = "x".repeat(64 * 1024 - full.to_string().len());
        let full = with(full, &json!({ "padding": padding }));
        assert_eq!(full.to_string().len(), 64 * 1024);
        ids.push(pipeline.accepted(&pipeline.post(&full).header("content-type", content_type)).await);
    }
    assert_eq!(pipeline.history(&branch, &ids).await.len(), ids.len());
}

#[tokio::test]
async fn a_rerun_replaces_the_badge_in_any_order_of_arrival() {
    let pipeline = Pipeline::open();
    let now = Clock::System.now();
    let earlier = now.minus(Duration::from_secs(30)).to_string();
    // Some clients do not send attempts.
    for attempt in [2, 1] {
        let first = json!({ "passed": 0, "failed": 190, "timestamp": earlier });
        let rerun = json!({ "run_attempt": attempt, "timestamp": now.to_string() });
        for order in [[&first, &rerun], [&rerun, &first]] {
            let branch = unique("main");
            let mut ids = Vec::new();
            for fields in order {
                ids.push(pipeline.accepted(&pipeline.post(&pipeline.result(&branch, fields))).await);
            }
            let results = pipeline.history(&branch, &ids).await;
            let attempts: Vec<_> = results.iter().map(|result| result["run_attempt"].as_u64()).collect();
            assert_eq!(attempts, [Some(attempt), Some(1)], "newest first, sent as {order:?}");
            let passed: Vec<_> = results.iter().map(|result| result["passed"].as_u64()).collect();
            assert_eq!(passed, [Some(190), Some(0)], "newest first, sent as {order:?}");
            pipeline.badge(&pipeline.badge_path("linux", &branch), "190 passed").await;
        }
    }
}
