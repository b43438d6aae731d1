//! What readers and their browsers get.

use badgesmith_aws::clock::Clock;
use badgesmith_domain::timestamp::Timestamp;
use http::Method;
use serde_json::{Value, json};

use crate::pipeline::{Pipeline, invented};

#[tokio::test]
async fn every_outcome_has_its_badge() {
    let pipeline = Pipeline::open();
    let mut sent = Vec::new();
    for (counts, message, color) in [
        (json!({ "passed": 190, "failed": 0, "skipped": 2, "total": 192 }), "190 passed", "brightgreen"),
        (json!({ "passed": 2, "failed": 2, "total": 4 }), "2 passed, 2 failed", "yellow"),
        (json!({ "passed": 4, "failed": 5, "total": 9 }), "5 failed", "red"),
        (json!({ "passed": 0, "skipped": 7, "total": 7 }), "no tests", "lightgrey"),
    ] {
        let branch = invented("main");
        pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &counts))).await;
        sent.push((pipeline.badge_path("linux", &branch), message, color));
    }
    for (badge, message, color) in sent {
        let shown = pipeline.badge_that_says(&badge, message).await.json();
        let expected = json!({ "schemaVersion": 1, "label": "tests", "message": message, "color": color });
        assert_eq!(shown, expected);
    }
}

#[tokio::test]
async fn what_goes_wrong_is_a_badge_too() {
    let pipeline = Pipeline::open();
    let (repository, branch) = (&pipeline.target.repository, invented("main"));
    for (path, label, message, color) in [
        (format!("tests/linux/{repository}/{branch}"), "tests", "no results", "lightgrey"),
        (format!("tests/linux/acme/{branch}/main"), "tests", "no results", "lightgrey"),
        (format!("tests/beos/{repository}/{branch}"), "tests", "not found", "red"),
        (format!("tests/linux/{repository}/{}", "x".repeat(256)), "tests", "not found", "red"),
        ("tests/linux/a%20b/kit/main".to_owned(), "tests", "not found", "red"),
        (format!("tests/linux/{repository}"), "tests", "not found", "red"),
        ("packages/nuget/a..b".to_owned(), "nuget", "not found", "red"),
        ("packages/nuget/kit?version=%5E1.0".to_owned(), "nuget", "invalid range", "red"),
        ("packages/github/-acme/kit".to_owned(), "github", "not found", "red"),
        ("packages/github/acme/kit?gt=x".to_owned(), "github", "invalid range", "red"),
    ] {
        let answer = pipeline.get(&format!("/badges/{path}")).await;
        let badge = answer.json();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let shown = ["label", "message", "color"].map(|name| badge[name].as_str().unwrap_or_default());
        assert_eq!(shown, [label, message, color], "{path}");
        assert_eq!(badge["isError"], true, "{path}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=30, s-maxage=30"), "{path}");
    }
}

/// Headers that say the same of an answer, whoever carries it and whenever.
const LASTING: [&str; 7] = [
    "access-control-allow-origin",
    "allow",
    "cache-control",
    "content-type",
    "etag",
    "last-modified",
    "location",
];

#[tokio::test]
async fn browsers_may_read_and_head_is_get_without_the_body() {
    let pipeline = Pipeline::open();
    let branch = invented("main");
    pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &json!({})))).await;
    let badge = pipeline.badge_path("linux", &branch);
    pipeline.badge_that_says(&badge, "190 passed").await;
    let redirect = badge.replace("/badges/tests/", "/redirect/test-results/");
    let history = format!("/tests/results/{}?branch={branch}", pipeline.target.repository);
    let origin = ("origin", "https://example.test");
    for (path, status, is_read) in [
        (badge.as_str(), 200, true),
        (redirect.as_str(), 302, true),
        (history.as_str(), 200, true),
        ("/badges/packages/nuget/a..b", 200, true),
        ("/health", 200, true),
        ("/nowhere", 404, false),
    ] {
        let get = pipeline.request(Method::GET, path, &[origin]).await;
        let head = pipeline.request(Method::HEAD, path, &[origin]).await;
        assert_eq!((get.status, head.status), (status, status), "{path}");
        assert_eq!(head.text, "", "{path}");
        for name in LASTING {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        assert_eq!(get.header("access-control-allow-origin"), Some("*"), "{path}");
        if is_read {
            let asked = [origin, ("access-control-request-method", "GET")];
            let preflight = pipeline.request(Method::OPTIONS, path, &asked).await;
            assert!((200..300).contains(&preflight.status), "{path}: {}", preflight.status);
            assert_eq!(preflight.header("access-control-allow-origin"), Some("*"), "{path}");
            let methods = preflight.header("access-control-allow-methods").unwrap_or_default();
            assert!(methods == "*" || methods.contains("GET"), "{path}: {methods}");
        }
    }
}

#[tokio::test]
async fn health_tells_the_time_and_is_not_kept() {
    let pipeline = Pipeline::open();
    let answer = pipeline.get("/health").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let Value::Object(health) = answer.json() else { panic!("{}", answer.text) };
    assert_eq!(health["status"], "healthy");
    let told: Timestamp = health["time_stamp"].as_str().unwrap().parse().unwrap();
    let here = Clock::System.now();
    let apart = here.since(told).max(told.since(here));
    assert!(apart.as_secs() < 60, "a signed timestamp from here is not fresh there: {apart:?} apart");
}
