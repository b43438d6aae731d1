//! Badges, redirects and health, as readers and browsers get them.

use badgesmith_aws::clock::Clock;
use badgesmith_domain::timestamp::Timestamp;
use http::Method;
use serde_json::{Value, json};

use crate::pipeline::{HEADERS, Pipeline, unique};

#[tokio::test]
async fn every_outcome_has_its_badge() {
    let pipeline = Pipeline::open();
    let mut sent = Vec::new();
    for (counts, message, color) in [
        (json!({ "passed": 190, "failed": 0, "skipped": 2, "total": 192 }), "190 passed", "brightgreen"),
        (json!({ "passed": 2, "failed": 2, "total": 4 }), "2 passed, 2 failed", "red"),
        (json!({ "passed": 4, "failed": 5, "total": 9 }), "4 passed, 5 failed", "red"),
        (json!({ "passed": 0, "failed": 190 }), "190 failed", "red"),
        (json!({ "passed": 0, "skipped": 7, "total": 7 }), "no tests", "lightgrey"),
    ] {
        let branch = unique("main");
        pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &counts))).await;
        sent.push((branch, message, color));
    }
    for (branch, message, color) in sent {
        let shown = pipeline.badge(&pipeline.badge_path("linux", &branch), message).await.json();
        let expected = json!({ "schemaVersion": 1, "label": "tests", "message": message, "color": color });
        assert_eq!(shown, expected);
        let other_platform = pipeline.get(&pipeline.badge_path("windows", &branch)).await;
        assert_eq!(other_platform.json()["message"], "no results", "another platform of {branch}");
    }
}

#[tokio::test]
async fn every_error_is_a_badge_with_status_200() {
    let pipeline = Pipeline::open();
    let (repository, branch) = (&pipeline.target.repository, unique("main"));
    for (path, label, message, color) in [
        (format!("tests/linux/{repository}/{branch}"), "tests", "no results", "lightgrey"),
        (format!("tests/linux/acme/{branch}/main"), "tests", "no results", "lightgrey"),
        (format!("tests/linux/{branch}/kit/main"), "tests", "no results", "lightgrey"),
        (format!("tests/beos/{repository}/{branch}"), "tests", "not found", "red"),
        (format!("tests/linux/{repository}/{}", "x".repeat(256)), "tests", "not found", "red"),
        (format!("tests/linux/{repository}/a//b"), "tests", "not found", "red"),
        (format!("tests/linux/{repository}/a%0Ab"), "tests", "not found", "red"),
        ("tests/linux/a%20b/kit/main".to_owned(), "tests", "not found", "red"),
        (format!("tests/linux/{repository}"), "tests", "not found", "red"),
        (format!("tests/ALL/{repository}/{branch}"), "tests", "no results", "lightgrey"),
        (format!("tests/all/{repository}/{branch}?suite=a%0Ab"), "tests", "not found", "red"),
        ("packages/nuget/a..b".to_owned(), "nuget", "not found", "red"),
        ("packages/NuGet/a..b".to_owned(), "nuget", "not found", "red"),
        ("packages/nuget/a/b".to_owned(), "nuget", "not found", "red"),
        ("packages/nuget/a%20b".to_owned(), "nuget", "not found", "red"),
        ("packages/nuget/kit?version=%5E1.0".to_owned(), "nuget", "invalid range", "red"),
        ("packages/github/acme".to_owned(), "github", "not found", "red"),
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

#[tokio::test]
async fn each_badge_is_an_image() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &json!({})))).await;
    let badge = pipeline.badge_path("linux", &branch);
    pipeline.badge(&badge, "190 passed").await;
    for (path, title) in [
        (format!("{badge}?style=plastic&label=unit%20tests"), "unit tests: 190 passed"),
        (format!("{badge}?suite=other"), "tests: no results"),
        ("/badges/packages/nuget/a..b?label=".to_owned(), "not found"),
        ("/badges/packages/github/acme/kit?version=x".to_owned(), "github: invalid range"),
    ] {
        let image = pipeline.get(&path.replacen("/badges", "/svg", 1)).await;
        assert_eq!((image.status, image.header("content-type")), (200, Some("image/svg+xml")), "{path}");
        assert!(image.text.contains(&format!("<title>{title}</title>")), "{path}: {}", image.text);
    }
}

#[tokio::test]
async fn browsers_may_read_and_head_is_get_without_the_body() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &json!({})))).await;
    let badge = pipeline.badge_path("linux", &branch);
    pipeline.badge(&badge, "190 passed").await;
    let redirect = badge.replace("/badges/tests/", "/redirect/test-results/");
    let image = badge.replacen("/badges", "/svg", 1);
    let history = format!("/tests/results/{}?branch={branch}", pipeline.target.repository);
    let origin = ("origin", "https://example.test");
    for (path, status, is_read) in [
        (badge.as_str(), 200, true),
        (image.as_str(), 200, true),
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
        for name in HEADERS {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        assert_eq!(get.header("access-control-allow-origin"), Some("*"), "{path}");
        if is_read {
            let preflight_headers = [origin, ("access-control-request-method", "GET")];
            let preflight = pipeline.request(Method::OPTIONS, path, &preflight_headers).await;
            assert!((200..300).contains(&preflight.status), "{path}: {}", preflight.status);
            assert_eq!(preflight.header("access-control-allow-origin"), Some("*"), "{path}");
            let methods = preflight.header("access-control-allow-methods").unwrap_or_default();
            assert!(methods == "*" || methods.contains("GET"), "{path}: {methods}");
        }
    }
}

#[tokio::test]
async fn health_has_the_time_and_is_not_cached() {
    let pipeline = Pipeline::open();
    let answer = pipeline.get("/health").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let Value::Object(health) = answer.json() else { panic!("{}", answer.text) };
    assert_eq!(health.len(), 2, "{}", answer.text);
    assert_eq!(health["status"], "healthy");
    let text = health["time_stamp"].as_str().unwrap();
    let there: Timestamp = text.parse().unwrap();
    assert_eq!(there.to_string(), text, "UTC with milliseconds");
    let here = Clock::System.now();
    let difference = here.since(there).max(there.since(here));
    assert!(difference.as_secs() < 60, "a timestamp signed here is not fresh there: {difference:?}");
}
