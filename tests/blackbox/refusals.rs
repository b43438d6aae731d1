//! What is refused, and what a client is told.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use http::Method;
use serde_json::{Value, json};
use tests::client::{Answer, Post, with};

use crate::pipeline::{Pipeline, invented};

/// Every refusal of a function has this form; what API Gateway refuses by itself has another.
#[track_caller]
fn refused(answer: &Answer, verdict: &str, what: &str) {
    assert_eq!(answer.verdict(), verdict, "{what}: {}", answer.text);
    assert!(!answer.json()["message"].as_str().expect("a message").is_empty(), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert!(answer.header("content-type").unwrap().starts_with("application/json"), "{what}");
}

#[tokio::test]
async fn a_post_that_is_wrong_is_told_what_is() {
    let pipeline = Pipeline::open();
    let branch = invented("main");
    let now = Clock::System.now();
    let stale = now.minus(Duration::from_mins(10)).to_string();
    let ahead = now.plus(Duration::from_mins(10)).to_string();
    let fields = |fields: Value| pipeline.post(&pipeline.result(&branch, &fields));
    let raw = |body: String| Post { body, ..fields(json!({})) }.signed(&pipeline.target.key);
    let twice = fields(json!({})).body.replacen('{', r#"{"branch":"main","#, 1);
    for (what, post, verdict) in [
        ("no JSON", raw("{".to_owned()), "400 MALFORMED_JSON"),
        ("no object", raw("[]".to_owned()), "400 MALFORMED_JSON"),
        ("nothing", raw(String::new()), "400 MALFORMED_JSON"),
        ("a field given twice", raw(twice), "400 DUPLICATE_FIELD"),
        ("a wrong total", fields(json!({ "total": 191 })), "400 INVALID_TOTAL"),
        ("no such platform", fields(json!({ "platform": "beos" })), "400 INVALID_PLATFORM"),
        ("no https", fields(json!({ "url_html": "javascript:alert(1)" })), "400 INVALID_URL_HTML"),
        ("no signature", fields(json!({})).without("x-signature"), "400 INVALID_X_SIGNATURE"),
        ("no repository", fields(json!({})).without("x-repo-secret"), "400 INVALID_X_REPO_SECRET"),
        (
            "another platform in the path",
            pipeline.post_to("linux", &branch, &json!({ "platform": "macos" })),
            "400 PATH_BODY_MISMATCH",
        ),
        ("a stale timestamp", fields(json!({ "timestamp": stale })), "401 TIMESTAMP_NOT_FRESH"),
        ("a timestamp ahead", fields(json!({ "timestamp": ahead })), "401 TIMESTAMP_NOT_FRESH"),
        (
            "a stale X-Timestamp",
            pipeline.post_to("linux", &branch, &json!({})).header("x-timestamp", &stale),
            "401 TIMESTAMP_NOT_FRESH",
        ),
        ("too much", fields(json!({ "padding": "x".repeat(64 * 1024) })), "413 BODY_TOO_LARGE"),
        (
            "too much in another type",
            fields(json!({ "padding": "x".repeat(64 * 1024) }))
                .header("content-type", "application/octet-stream"),
            "413 BODY_TOO_LARGE",
        ),
    ] {
        refused(&pipeline.submit(&post).await, verdict, what);
    }
    let marker = pipeline.accepted(&fields(json!({}))).await;
    assert_eq!(pipeline.history_with(&branch, &[marker]).await.len(), 1, "nothing of it was stored");
}

#[tokio::test]
async fn all_that_is_missing_is_said_at_once() {
    let pipeline = Pipeline::open();
    let post = pipeline.post(&json!({ "platform": "beos" }));
    let answer = pipeline.submit(&post.header("x-repo-secret", &pipeline.target.repository)).await;
    let json = answer.json();
    let details = json["error_details"].as_array().unwrap();
    let mut said: Vec<_> = details
        .iter()
        .map(|detail| (detail["error_code"].as_str().unwrap(), detail["property_name"].as_str().unwrap()))
        .collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            ("INVALID_BRANCH", "branch"),
            ("INVALID_FAILED", "failed"),
            ("INVALID_NONCE", "nonce"),
            ("INVALID_OWNER", "owner"),
            ("INVALID_PASSED", "passed"),
            ("INVALID_PLATFORM", "platform"),
            ("INVALID_REPO", "repo"),
            ("INVALID_RUN_ID", "run_id"),
            ("INVALID_SKIPPED", "skipped"),
            ("INVALID_TIMESTAMP", "timestamp"),
            ("INVALID_TOTAL", "total"),
        ]
    );
}

#[tokio::test]
async fn who_is_not_the_repository_gets_one_and_the_same_answer() {
    let pipeline = Pipeline::open();
    let body = pipeline.result(&invented("main"), &json!({}));
    let post = pipeline.post(&body);
    let other_key = "the key of another repository";
    let other_repository = format!("acme/{}", invented("unknown"));
    let (owner, repo) = other_repository.split_once('/').unwrap();
    let unknown = pipeline.post(&with(body, &json!({ "owner": owner, "repo": repo })));
    let mut tampered = post.clone();
    tampered.body = tampered.body.replace("\"failed\":0", "\"failed\":0 ");
    assert_ne!(tampered.body, post.body);
    let attempts = [
        ("another key", post.clone().signed(other_key)),
        ("a signature of zeros", post.clone().header("x-signature", format!("sha256={}", "0".repeat(64)))),
        ("a changed body", tampered),
        ("another X-Repo-Secret", post.clone().header("x-repo-secret", &other_repository)),
        ("an unknown repository", unknown),
    ];
    let expected = pipeline.submit(&attempts[0].1).await;
    for (what, attempt) in attempts {
        let answer = pipeline.submit(&attempt).await;
        refused(&answer, "401 UNAUTHORIZED", what);
        assert_eq!(answer.text, expected.text, "{what}");
        assert_eq!(answer.header("content-type"), expected.header("content-type"), "{what}");
    }
    assert_eq!(pipeline.submit(&post).await.status, 202, "the nonce is not used up");
}

#[tokio::test]
async fn paths_methods_and_parameters() {
    let pipeline = Pipeline::open();
    let repository = &pipeline.target.repository;
    let (badge, history) = (pipeline.badge_path("linux", "main"), format!("/tests/results/{repository}"));
    let (reads, posts) = ("GET, HEAD, OPTIONS", "POST, OPTIONS");
    for (method, path, verdict, allow) in [
        (Method::GET, "/", "404 NOT_FOUND", None),
        (Method::GET, "/nothing/here", "404 NOT_FOUND", None),
        (Method::POST, "/nothing/here", "404 NOT_FOUND", None),
        (Method::POST, "/tests/results/linux/acme/kit", "404 NOT_FOUND", None),
        (Method::GET, "/badges/packages/npm/kit", "404 NOT_FOUND", None),
        (Method::GET, "/redirect/test-results/beos/acme/kit/main", "404 NOT_FOUND", None),
        (Method::GET, "/tests/results", "405 METHOD_NOT_ALLOWED", Some(posts)),
        (Method::DELETE, "/tests/results/linux/acme/kit/main", "405 METHOD_NOT_ALLOWED", Some(posts)),
        (Method::POST, history.as_str(), "405 METHOD_NOT_ALLOWED", Some(reads)),
        (Method::PUT, badge.as_str(), "405 METHOD_NOT_ALLOWED", Some(reads)),
        (Method::POST, "/badges/packages/nuget/Acme.Kit", "405 METHOD_NOT_ALLOWED", Some(reads)),
        (Method::POST, "/health", "405 METHOD_NOT_ALLOWED", Some(reads)),
    ] {
        let what = format!("{method} {path}");
        let answer = pipeline.request(method, path, &[]).await;
        refused(&answer, verdict, &what);
        assert_eq!(answer.header("allow"), allow, "{what}");
    }
    let run = pipeline.get(&format!("/redirect/test-results/linux/{repository}/{}", invented("main"))).await;
    refused(&run, "404 NO_RUN", "no result, no run");
    for (query, verdict) in [
        ("limit=0", "400 INVALID_LIMIT"),
        ("limit=201", "400 INVALID_LIMIT"),
        ("platform=beos&branch=%2F", "400 INVALID_PLATFORM INVALID_BRANCH"),
        ("from=2026-01-15T10:30:00Z", "400 INVALID_FROM"),
        ("branch=main&to=now", "400 INVALID_TO"),
        ("cursor=%21", "400 INVALID_CURSOR"),
    ] {
        refused(&pipeline.get(&format!("{history}?{query}")).await, verdict, query);
    }
}
