//! Invalid bodies, fields and headers of a submission.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use serde_json::{Value, json};
use tests::client::Post;

use crate::pipeline::{Pipeline, assert_rejected, unique};

/// The largest body.
const BODY_BYTES_MAX: usize = 64 * 1024;

#[tokio::test]
async fn every_field_is_validated() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let repository = &pipeline.target.repository;
    for (fields, verdict) in [
        (json!({ "owner": "a b" }), "400 INVALID_OWNER"),
        (json!({ "repo": "" }), "400 INVALID_REPO"),
        (json!({ "platform": "solaris" }), "400 INVALID_PLATFORM"),
        (json!({ "branch": "a//b" }), "400 INVALID_BRANCH"),
        (json!({ "branch": "a\nb" }), "400 INVALID_BRANCH"),
        (json!({ "branch": 7 }), "400 INVALID_BRANCH"),
        (json!({ "passed": -1 }), "400 INVALID_PASSED"),
        (json!({ "passed": "190" }), "400 INVALID_PASSED"),
        (json!({ "passed": 190.5 }), "400 INVALID_PASSED"),
        (json!({ "skipped": 4_294_967_296_u64 }), "400 INVALID_SKIPPED"),
        (json!({ "total": 191 }), "400 INVALID_TOTAL"),
        // The sum must not wrap around.
        (json!({ "passed": u32::MAX, "failed": u32::MAX, "skipped": 2, "total": 0 }), "400 INVALID_TOTAL"),
        (json!({ "timestamp": "yesterday" }), "400 INVALID_TIMESTAMP"),
        (json!({ "nonce": "short" }), "400 INVALID_NONCE"),
        (json!({ "run_id": "a b" }), "400 INVALID_RUN_ID"),
        (json!({ "run_id": 1.5 }), "400 INVALID_RUN_ID"),
        (json!({ "run_id": -5 }), "400 INVALID_RUN_ID"),
        (json!({ "run_attempt": 0 }), "400 INVALID_RUN_ATTEMPT"),
        (json!({ "run_attempt": 10_000 }), "400 INVALID_RUN_ATTEMPT"),
        (json!({ "run_attempt": "2" }), "400 INVALID_RUN_ATTEMPT"),
        (json!({ "commit": "main" }), "400 INVALID_COMMIT"),
        (json!({ "url_html": "javascript:alert(1)" }), "400 INVALID_URL_HTML"),
        (json!({ "workflow_run_url": "http://github.com" }), "400 INVALID_WORKFLOW_RUN_URL"),
    ] {
        let post = pipeline.post(&pipeline.result(&branch, &fields)).header("x-repo-secret", repository);
        assert_rejected(&pipeline.submit(&post).await, verdict, &fields.to_string());
    }
    stores_nothing(&pipeline, &branch).await;
}

/// Asserts that no result of a branch is stored: sends a valid one last, and waits until it is the only one.
async fn stores_nothing(pipeline: &Pipeline, branch: &str) {
    let last = pipeline.accepted(&pipeline.post(&pipeline.result(branch, &json!({})))).await;
    assert_eq!(pipeline.history(branch, &[last]).await.len(), 1, "no rejected result is stored");
}

#[tokio::test]
async fn one_response_names_every_error() {
    let pipeline = Pipeline::open();
    let body = json!({ "platform": "beos", "passed": "1", "failed": 0, "skipped": 0, "branch": "/x" });
    let post = pipeline.post(&body).header("x-repo-secret", "acme").header("x-signature", "sha256=nothex");
    let answer = pipeline.submit(&post).await.json();
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    let details = answer["error_details"].as_array().unwrap();
    let messages: Vec<_> = answer["message"].as_str().unwrap().split("; ").collect();
    assert_eq!(details.len(), messages.len(), "{answer}");
    let errors: Vec<_> = details
        .iter()
        .zip(messages)
        .map(|(detail, message)| {
            let [code, name] =
                ["error_code", "property_name"].map(|field| detail[field].as_str().unwrap_or_default());
            assert!(message.starts_with(&format!("{name}: ")), "{name}: {message}");
            format!("{code} {message}")
        })
        .collect();
    insta::assert_snapshot!(errors.join("\n"), @r"
    INVALID_X_SIGNATURE X-Signature: expected sha256= followed by the 64 hex digits of the HMAC-SHA256 of the body
    INVALID_X_REPO_SECRET X-Repo-Secret: expected OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
    INVALID_OWNER owner: expected 1 to 100 characters of A-Z a-z 0-9 . _ -, but the field is missing
    INVALID_REPO repo: expected 1 to 100 characters of A-Z a-z 0-9 . _ -, but the field is missing
    INVALID_PLATFORM platform: expected linux, windows or macos
    INVALID_BRANCH branch: expected 1 to 255 bytes of UTF-8 without control characters, a leading or trailing /, or //
    INVALID_NONCE nonce: expected 8 to 128 visible ASCII characters, but the field is missing
    INVALID_PASSED passed: expected an integer from 0 to 4294967295
    INVALID_TOTAL total: expected an integer from 0 to 4294967295, but the field is missing
    INVALID_TIMESTAMP timestamp: expected an RFC 3339 timestamp such as 2025-01-15T10:30:00Z, but the field is missing
    INVALID_RUN_ID run_id: expected 1 to 64 characters of A-Z a-z 0-9 _ -, but the field is missing
    ");

    let nothing = pipeline.post(&json!({})).header("x-repo-secret", &pipeline.target.repository);
    let verdict = pipeline.submit(&nothing).await.verdict();
    let mut codes: Vec<_> = verdict.split(' ').collect();
    codes.sort_unstable();
    insta::assert_snapshot!(codes.join("\n"), @r"
    400
    INVALID_BRANCH
    INVALID_FAILED
    INVALID_NONCE
    INVALID_OWNER
    INVALID_PASSED
    INVALID_PLATFORM
    INVALID_REPO
    INVALID_RUN_ID
    INVALID_SKIPPED
    INVALID_TIMESTAMP
    INVALID_TOTAL
    ");
}

#[tokio::test]
async fn a_body_must_be_one_json_object_of_64_kib_at_most() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let post = pipeline.post(&pipeline.result(&branch, &json!({})));
    let raw = |body: &str| Post { body: body.to_owned(), ..post.clone() }.signed(&pipeline.target.key);
    let deep = "[".repeat(60_000);
    for body in
        ["", "{", "[]", "null", "\"text\"", "{\"a\":1}x", "{\"a\":nan}", &deep, &format!("{{\"a\":{deep}")]
    {
        let context = format!("{body:.20}");
        assert_rejected(&pipeline.submit(&raw(body)).await, "400 MALFORMED_JSON", &context);
    }
    let duplicate = raw(&post.body.replacen('{', r#"{"branch":"main","#, 1));
    assert_rejected(&pipeline.submit(&duplicate).await, "400 DUPLICATE_FIELD", "a field given twice");
    let huge = pipeline.post(&pipeline.result(&branch, &json!({ "padding": "x".repeat(BODY_BYTES_MAX) })));
    for content_type in ["application/json", "application/octet-stream"] {
        let answer = pipeline.submit(&huge.clone().header("content-type", content_type)).await;
        assert_rejected(&answer, "413 BODY_TOO_LARGE", content_type);
    }
    stores_nothing(&pipeline, &branch).await;
}

#[tokio::test]
async fn headers_must_be_present_and_timestamps_fresh() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let now = Clock::System.now();
    let stale = now.minus(Duration::from_mins(10)).to_string();
    let ahead = now.plus(Duration::from_mins(10)).to_string();
    let fields = |fields: Value| pipeline.post(&pipeline.result(&branch, &fields));
    for (context, post, verdict) in [
        ("no signature", fields(json!({})).without("x-signature"), "400 INVALID_X_SIGNATURE"),
        ("no repository", fields(json!({})).without("x-repo-secret"), "400 INVALID_X_REPO_SECRET"),
        ("a stale timestamp", fields(json!({ "timestamp": stale })), "401 TIMESTAMP_NOT_FRESH"),
        ("a timestamp ahead", fields(json!({ "timestamp": ahead })), "401 TIMESTAMP_NOT_FRESH"),
        (
            "a stale X-Timestamp",
            pipeline.post_to("linux", &branch, &json!({})).header("x-timestamp", &stale),
            "401 TIMESTAMP_NOT_FRESH",
        ),
    ] {
        assert_rejected(&pipeline.submit(&post).await, verdict, context);
    }
    stores_nothing(&pipeline, &branch).await;
}

#[tokio::test]
async fn path_and_body_must_name_the_same_target() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    for fields in [
        json!({ "owner": "evil" }),
        json!({ "repo": "other" }),
        json!({ "platform": "windows" }),
        json!({ "branch": "other" }),
        json!({ "branch": 1 }),
    ] {
        let post = pipeline.post_to("linux", &branch, &fields);
        assert_rejected(&pipeline.submit(&post).await, "400 PATH_BODY_MISMATCH", &fields.to_string());
    }
    stores_nothing(&pipeline, &branch).await;
}

#[tokio::test]
async fn the_response_to_many_errors_is_short() {
    let pipeline = Pipeline::open();
    let post = pipeline.post(&pipeline.result(&unique("main"), &json!({})));
    let duplicates = r#""":1,"#.repeat(12_000);
    let names = (0..3000).map(|number| format!(r#""{number}":1,"{number}":1,"#)).collect::<Vec<_>>().concat();
    for fields in [duplicates, names] {
        let body = format!("{{{fields}\"x\":1}}");
        let answer = pipeline.submit(&Post { body, ..post.clone() }).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text.len() < 4000, "{} bytes", answer.text.len());
    }
}
