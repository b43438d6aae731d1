//! Paths, methods and query parameters that the API rejects.

use http::Method;
use serde_json::{Value, json};

use crate::pipeline::{Pipeline, assert_rejected, unique};

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_rejected() {
    let pipeline = Pipeline::open();
    let (badge, history) =
        (pipeline.badge_path("linux", "main"), format!("/tests/results/{}", pipeline.target.repository));
    let (reads, posts) = ("GET, HEAD, OPTIONS", "POST, OPTIONS");
    for (method, path, verdict, allow) in [
        (Method::GET, "/repos/acme", "404 NOT_FOUND", None),
        (Method::GET, "/repos/acme/kit/main", "404 NOT_FOUND", None),
        (Method::GET, "/packages/npm/kit", "404 NOT_FOUND", None),
        (Method::GET, "/nothing/here", "404 NOT_FOUND", None),
        (Method::GET, "/healthy", "404 NOT_FOUND", None),
        (Method::GET, "/tests/latest/acme", "404 NOT_FOUND", None),
        (Method::GET, "/tests/latest/acme/kit/main", "404 NOT_FOUND", None),
        (Method::GET, "/redirect/test-results/linux/acme/kit", "404 NOT_FOUND", None),
        (Method::GET, "/badges/packages/nuget", "404 NOT_FOUND", None),
        (Method::POST, "/tests/results/linux/acme/kit", "404 NOT_FOUND", None),
        (Method::GET, "/badges/packages/npm/kit", "404 NOT_FOUND", None),
        (Method::GET, "/redirect/test-results/beos/acme/kit/main", "404 NOT_FOUND", None),
        (Method::GET, "/tests/results/linux/acme/kit/main", "405 METHOD_NOT_ALLOWED", Some(posts)),
        (Method::POST, history.as_str(), "405 METHOD_NOT_ALLOWED", Some(reads)),
    ] {
        let context = format!("{method} {path}");
        let answer = pipeline.request(method, path, &[]).await;
        assert_rejected(&answer, verdict, &context);
        assert_eq!(answer.header("allow"), allow, "{context}");
    }
    let redirect =
        badge.replace("/badges/tests/", "/redirect/test-results/").replace("main", &unique("main"));
    assert_rejected(&pipeline.get(&redirect).await, "404 NO_RUN", "a branch without a result");
}

/// The CDN rejects methods other than those of reads, and API Gateway has routes only for accepted requests.
#[tokio::test]
async fn the_edge_rejects_requests_that_no_function_accepts() {
    let pipeline = Pipeline::open();
    let badge = pipeline.badge_path("linux", "main");
    for (method, path) in [
        (Method::PUT, badge.as_str()),
        (Method::POST, "/badges/packages/nuget/Acme.Kit"),
        (Method::DELETE, "/tests/latest/acme/kit"),
        (Method::POST, "/nothing/here"),
    ] {
        let answer = pipeline.request(method.clone(), path, &[]).await;
        let expected = match (answer.header("x-amz-cf-id"), path) {
            (Some(_), _) => "403",
            (None, "/nothing/here") => "404 NOT_FOUND",
            (None, _) => "405 METHOD_NOT_ALLOWED",
        };
        assert_eq!(answer.verdict(), expected, "{method} {path}: {}", answer.text);
    }
    for (method, path) in [
        (Method::GET, "/tests/results"),
        (Method::DELETE, "/tests/results"),
        (Method::GET, "/tests/resultsx"),
        (Method::DELETE, "/tests/results/linux/acme/kit/main"),
    ] {
        let answer = pipeline.request(method.clone(), path, &[]).await;
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({ "message": "Not Found" })),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn invalid_parameters_of_the_history_are_named() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &json!({})))).await);
    }
    pipeline.history(&branch, &ids).await;
    let history = format!("/tests/results/{}", pipeline.target.repository);
    let cursor = |page: &Value| page["next_cursor"].as_str().expect("a second page").to_owned();
    let of_branch = cursor(&pipeline.get(&format!("{history}?branch={branch}&limit=1")).await.json());
    let of_all = cursor(&pipeline.get(&format!("{history}?limit=1")).await.json());
    for (query, verdict) in [
        ("limit=0", "400 INVALID_LIMIT"),
        ("limit=201", "400 INVALID_LIMIT"),
        ("limit=x", "400 INVALID_LIMIT"),
        ("platform=beos&branch=/", "400 INVALID_PLATFORM INVALID_BRANCH"),
        ("platform=beos&branch=%2F", "400 INVALID_PLATFORM INVALID_BRANCH"),
        ("from=2026-01-15T10:30:00Z", "400 INVALID_FROM"),
        ("from=today", "400 INVALID_FROM"),
        ("branch=main&to=now", "400 INVALID_TO"),
        ("branch=main&from=today&to=now", "400 INVALID_FROM INVALID_TO"),
        ("cursor=!", "400 INVALID_CURSOR"),
        ("cursor=%21", "400 INVALID_CURSOR"),
        ("cursor=AAAA", "400 INVALID_CURSOR"),
        (&format!("cursor={of_branch}"), "400 INVALID_CURSOR"),
        (&format!("branch={branch}&cursor={of_all}"), "400 INVALID_CURSOR"),
        (&format!("branch={branch}&to=2026-01-15T10:31:00Z&cursor={of_branch}"), "400 INVALID_CURSOR"),
        (&format!("cursor={}", "UkVTVUxUI".repeat(300)), "400 INVALID_CURSOR"),
        (&format!("branch=main&cursor={}", "MjAy".repeat(700)), "400 INVALID_CURSOR"),
    ] {
        assert_rejected(&pipeline.get(&format!("{history}?{query}")).await, verdict, query);
    }
    let (owner, _) = pipeline.names();
    let invalid = pipeline.get("/tests/results/a%20b/kit").await;
    assert_rejected(&invalid, "400 INVALID_OWNER", "an owner with a space");
    let empty = pipeline.get(&format!("/tests/results/{owner}/{}", unique("unknown"))).await;
    assert_eq!((empty.status, empty.json()), (200, json!({ "results": [] })));
}
