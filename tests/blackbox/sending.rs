//! What a CI job sends, in both forms, and what comes of it.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_domain::timestamp::Timestamp;
use http::Method;
use serde_json::{Value, json};
use tests::client::{Post, with};

use crate::pipeline::{Pipeline, invented};

const SHORT_CACHE: &str = "public, max-age=30, s-maxage=30";
const RESULT_CACHE: &str = "public, max-age=30, s-maxage=30, stale-while-revalidate=30, stale-if-error=86400";

#[tokio::test]
async fn a_signed_result_shows_everywhere() {
    let pipeline = Pipeline::open();
    let branch = invented("main");
    // In the past for every clock, since nothing is said to be modified in the future.
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
            "nonce": null, "test_result_id": id,
        }),
    );
    assert_eq!(pipeline.history_with(&branch, &[id]).await, [stored]);

    let badge = pipeline.badge_path("linux", &branch);
    let shown = pipeline.badge_that_says(&badge, "188 passed, 2 failed").await;
    let expected = json!({
        "schemaVersion": 1, "label": "tests", "message": "188 passed, 2 failed", "color": "yellow",
    });
    assert_eq!(shown.json(), expected);

    let redirect = badge.replace("/badges/tests/", "/redirect/test-results/");
    let redirected = pipeline.get(&redirect).await;
    assert_eq!(redirected.status, 302, "{}", redirected.text);
    assert_eq!(redirected.header("location"), sent["url_html"].as_str());
    assert_eq!(redirected.header("cache-control"), Some(SHORT_CACHE));

    let history = format!("/tests/results/{repository}?branch={branch}");
    for path in [badge, history] {
        may_be_kept(&pipeline, &path, timestamp).await;
    }
}

/// What caches and browsers are told of an answer, and that its entity tag saves its body.
async fn may_be_kept(pipeline: &Pipeline, path: &str, modified: Timestamp) {
    let origin = ("origin", "https://example.test");
    let whole = pipeline.request(Method::GET, path, &[origin]).await;
    let tag = whole.header("etag").expect("an entity tag");
    assert!(tag.starts_with('"'), "{path}: {tag} is a strong one");
    assert_eq!(whole.header("cache-control"), Some(RESULT_CACHE), "{path}");
    assert_eq!(whole.header("last-modified"), Some(modified.http_date().as_str()), "{path}");
    assert_eq!(whole.header("access-control-allow-origin"), Some("*"), "{path}");
    assert!(whole.header("content-type").unwrap().starts_with("application/json"), "{path}");
    for (tags, status) in
        [(tag.to_owned(), 304), (format!("\"other\", W/{tag}"), 304), ("\"other\"".into(), 200)]
    {
        let again = pipeline.request(Method::GET, path, &[origin, ("if-none-match", &tags)]).await;
        assert_eq!(again.status, status, "{path} with {tags}");
        assert_eq!(again.text, if status == 304 { "" } else { &whole.text }, "{path} with {tags}");
        for name in ["etag", "cache-control", "last-modified", "access-control-allow-origin"] {
            assert_eq!(again.header(name), whole.header(name), "{path} with {tags}: {name}");
        }
    }
}

/// What deployed clients send differently: the platform as the runner calls it, and a URL that they have not.
fn deployed(passed: u32) -> Value {
    json!({ "passed": passed, "total": passed, "platform": "Linux", "url_html": "" })
}

#[tokio::test]
async fn deployed_clients_work_unchanged() {
    let pipeline = Pipeline::open();
    let branch = invented("release/1.0");
    let changes: [fn(Post) -> Post; 3] = [
        |post| post,
        |post| post.without("x-timestamp").without("x-nonce"),
        |post| post.header("x-timestamp", "Thu Jan 15 10:30:00 UTC 2026"),
    ];
    let mut ids = Vec::new();
    for change in changes {
        let post = pipeline.post_to("linux", &branch, &deployed(41));
        ids.push(pipeline.accepted(&change(post)).await);
    }
    let results = pipeline.history_with(&branch, &ids).await;
    assert_eq!(results.len(), ids.len());
    for result in results {
        let place = [&result["platform"], &result["branch"], &result["passed"]];
        assert_eq!(place, [&json!("linux"), &json!(branch), &json!(41)]);
    }
    let badge = pipeline.badge_path("linux", &branch);
    pipeline.badge_that_says(&badge, "41 passed").await;
    let redirected = pipeline.get(&badge.replace("/badges/tests/", "/redirect/test-results/")).await;
    let workflow = "https://github.com/acme/kit/actions/runs/456";
    assert_eq!((redirected.status, redirected.header("location")), (302, Some(workflow)));
}

#[tokio::test]
async fn the_same_bytes_count_once() {
    let pipeline = Pipeline::open();
    let branch = invented("main");
    let mut ids = Vec::new();
    for post in [
        pipeline.post(&pipeline.result(&branch, &json!({}))),
        pipeline.post_to("linux", &branch, &deployed(190)),
    ] {
        let id = pipeline.accepted(&post).await;
        for _ in 0..2 {
            let again = pipeline.submit(&post).await;
            assert_eq!(again.verdict(), "409 ALREADY_ACCEPTED", "{}", post.path);
            assert_eq!(again.json()["test_result_id"], *id, "{}", post.path);
        }
        ids.push(id);
    }
    // Sent last, so that what was sent before shows as well.
    ids.push(pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &json!({})))).await);
    assert_eq!(pipeline.history_with(&branch, &ids).await.len(), ids.len());
}

#[tokio::test]
async fn a_nonce_counts_once() {
    let pipeline = Pipeline::open();
    let branch = invented("main");
    let first = pipeline.result(&branch, &json!({}));
    let id = pipeline.accepted(&pipeline.post(&first)).await;
    for fields in [json!({ "passed": 189, "total": 189 }), json!({ "branch": invented("other") })] {
        let answer = pipeline.submit(&pipeline.post(&with(first.clone(), &fields))).await;
        assert_eq!(answer.verdict(), "409 NONCE_REUSED", "{fields}");
    }
    // In the older form, where nothing signs the place, the body counts once.
    let post = pipeline.post_to("linux", &branch, &deployed(190));
    let second = pipeline.accepted(&post).await;
    let elsewhere = Post { path: format!("{}-other", post.path), ..post };
    assert_eq!(pipeline.submit(&elsewhere).await.verdict(), "409 NONCE_REUSED");
    assert_eq!(pipeline.history_with(&branch, &[id, second]).await.len(), 2);
}

#[tokio::test]
async fn a_body_is_the_same_in_whatever_type_it_is_sent() {
    let pipeline = Pipeline::open();
    let branch = invented("caf\u{e9}");
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
    // As large as a body may be, and larger than that on its way.
    let full = pipeline.result(&branch, &json!({ "padding": "" }));
    let padding = "x".repeat(64 * 1024 - full.to_string().len());
    let full = with(full, &json!({ "padding": padding }));
    let post = pipeline.post(&full).header("content-type", "application/octet-stream");
    ids.push(pipeline.accepted(&post).await);
    assert_eq!(pipeline.history_with(&branch, &ids).await.len(), ids.len());
}

#[tokio::test]
async fn a_rerun_is_the_badge_of_its_branch_in_whatever_order_it_comes() {
    let pipeline = Pipeline::open();
    let now = Clock::System.now();
    let earlier = now.minus(Duration::from_secs(30));
    for order in [[1, 2], [2, 1]] {
        let branch = invented("main");
        let mut ids = Vec::new();
        for attempt in order {
            let fields = match attempt {
                1 => json!({ "passed": 150, "failed": 40, "timestamp": earlier.to_string() }),
                _ => json!({ "run_attempt": attempt, "timestamp": now.to_string() }),
            };
            ids.push(pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &fields))).await);
        }
        let results = pipeline.history_with(&branch, &ids).await;
        let attempts: Vec<_> = results.iter().map(|result| result["run_attempt"].as_u64()).collect();
        assert_eq!(attempts, [Some(2), Some(1)], "newest first, sent as {order:?}");
        pipeline.badge_that_says(&pipeline.badge_path("linux", &branch), "190 passed").await;
    }
}
