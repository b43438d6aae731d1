//! Names on their way: whatever a branch is called, it arrives as it is called, and nothing else does.

use serde_json::json;
use tests::client::segment;

use crate::pipeline::{Pipeline, invented};

/// Branches that begin alike, and how each may be spelled in a path. A `#` cannot be left as it is there.
const BRANCHES: [(&str, &[&str]); 9] = [
    ("feature/x", &["feature/x", "feature%2Fx"]),
    ("feature%2Fx", &["feature%252Fx"]),
    ("a#b", &["a%23b"]),
    ("a%23b", &["a%2523b"]),
    ("100%", &["100%25"]),
    ("\u{fc}/\u{65e5}\u{672c}", &["\u{fc}/\u{65e5}\u{672c}", "%C3%BC%2F%E6%97%A5%E6%9C%AC"]),
    ("a b", &["a%20b"]),
    ("a+b", &["a+b", "a%2Bb"]),
    ("A+b", &["A+b"]),
];

#[tokio::test]
async fn every_name_arrives_exactly() {
    let pipeline = Pipeline::open();
    let prefix = invented("names");
    let mut sent = Vec::new();
    for (passed, (name, spellings)) in (1..).zip(BRANCHES) {
        let branch = format!("{prefix}/{name}");
        let counts = json!({ "passed": passed, "total": passed });
        let mut ids = vec![pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &counts))).await];
        for spelled in spellings {
            let post = pipeline.post_to("linux", &format!("{prefix}/{spelled}"), &counts);
            ids.push(pipeline.accepted(&post).await);
        }
        sent.push((branch, format!("{passed} passed"), spellings, ids));
    }
    for (branch, message, spellings, ids) in sent {
        let results = pipeline.history_with(&branch, &ids).await;
        assert!(results.iter().all(|result| result["branch"] == branch), "{branch}: {results:?}");
        assert_eq!(results.len(), ids.len(), "{branch} has what was sent to it, and nothing else");
        for spelled in spellings {
            let path = format!("/badges/tests/linux/{}/{prefix}/{spelled}", pipeline.target.repository);
            pipeline.badge_that_says(&path, &message).await;
        }
        let named = format!("{}?branch={}", pipeline.badge_path("linux", "ignored"), segment(&branch));
        pipeline.badge_that_says(&named, &message).await;
    }
}

#[tokio::test]
async fn the_query_overrides_the_path() {
    let pipeline = Pipeline::open();
    let (branch, in_path) = (format!("{}/a b+c", invented("names")), invented("ignored"));
    // In a query, and only there, a plus is a space.
    let query = format!("?branch={}", segment(&branch).replace("%20", "+"));
    let post = pipeline.post_to("linux", &format!("{in_path}{query}"), &json!({}));
    let id = pipeline.accepted(&post).await;
    assert_eq!(pipeline.history_with(&branch, &[id]).await[0]["branch"], *branch);
    for place in ["linux", "linux/ignored"] {
        let place = place.replace("linux", &format!("linux/{}", pipeline.target.repository));
        pipeline.badge_that_says(&format!("/badges/tests/{place}{query}"), "190 passed").await;
        let redirected = pipeline.get(&format!("/redirect/test-results/{place}{query}")).await;
        assert_eq!(redirected.status, 302, "{place}: {}", redirected.text);
    }
    pipeline.badge_that_says(&pipeline.badge_path("linux", &in_path), "no results").await;
}

#[tokio::test]
async fn names_but_those_of_branches_match_in_any_case() {
    let pipeline = Pipeline::open();
    let branch = invented("Main");
    let (owner, repo) = pipeline.target.repository.split_once('/').unwrap();
    let (upper, lower) = (owner.to_uppercase(), owner.to_lowercase());
    let fields = json!({ "owner": upper, "platform": "MacOS" });
    let in_body = pipeline.post(&pipeline.result(&branch, &fields));
    let mut in_path = pipeline.post_to("MACOS", &branch, &json!({ "platform": "macOS" }));
    in_path.path = in_path.path.replace(&format!("/{owner}/"), &format!("/{upper}/"));
    let ids = [pipeline.accepted(&in_body).await, pipeline.accepted(&in_path).await];
    for result in pipeline.history_with(&branch, &ids).await {
        let named = [&result["owner"], &result["repo"], &result["platform"]];
        assert_eq!(named, [&json!(lower), &json!(repo.to_lowercase()), &json!("macos")]);
    }
    let shouted = format!("/badges/tests/MacOS/{}/{branch}", pipeline.target.repository.to_uppercase());
    pipeline.badge_that_says(&shouted, "190 passed").await;
    let other = pipeline.badge_path("macos", &branch.to_lowercase());
    pipeline.badge_that_says(&other, "no results").await;
    let of = format!("/tests/results/{upper}/{repo}?branch={branch}&platform=MACOS");
    assert_eq!(pipeline.get(&of).await.json()["results"].as_array().unwrap().len(), 2);
}
