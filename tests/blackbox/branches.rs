//! Names in paths, queries and bodies: each reaches exactly its own badge and history.

use serde_json::json;
use tests::client::{branch_suffix, segment};

use crate::pipeline::{Pipeline, unique};

/// The rest of a branch name after a common prefix, and its spellings in the path of a badge. A path cannot contain a
/// plain `#`.
/// Some of these branches are parts of keys, or look like them.
const BRANCHES: [(&str, &[&str]); 17] = [
    ("", &[""]),
    ("/feature/x", &["/feature/x", "%2Ffeature%2Fx"]),
    ("/feature%2Fx", &["/feature%252Fx"]),
    ("/dependabot/npm_and_yarn/a-1", &["/dependabot/npm_and_yarn/a-1", "/dependabot%2Fnpm_and_yarn%2Fa-1"]),
    ("/a#b", &["/a%23b"]),
    ("/a%23b", &["/a%2523b"]),
    ("/100%", &["/100%25"]),
    ("/%", &["/%25"]),
    ("/what?", &["/what%3F"]),
    ("/\u{fc}/\u{65e5}\u{672c}", &["/\u{fc}/\u{65e5}\u{672c}", "/%C3%BC%2F%E6%97%A5%E6%9C%AC"]),
    ("/a b", &["/a%20b"]),
    ("/a+b", &["/a+b", "/a%2Bb"]),
    ("/A+b", &["/A+b"]),
    ("#", &["%23"]),
    ("%23", &["%2523"]),
    (
        "#2026-01-15T10:30:00.000Z#00000000000000000001.0001#x",
        &["%232026-01-15T10:30:00.000Z%2300000000000000000001.0001%23x"],
    ),
    ("/x#RESULT#linux#main", &["/x%23RESULT%23linux%23main"]),
];

#[tokio::test]
async fn every_branch_has_its_own_badge_and_history() {
    let pipeline = Pipeline::open();
    let prefix = unique("names");
    let mut sent = Vec::new();
    for (passed, (name, spellings)) in (1..).zip(BRANCHES) {
        let branch = format!("{prefix}{name}");
        let counts = json!({ "passed": passed, "total": passed });
        let mut ids = vec![pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &counts))).await];
        let in_query = format!("ignored?branch={}", segment(&branch));
        // The HTTP API decodes a path twice, and cuts it at a `?`.
        let survives = |spelled: &&&str| !spelled.contains("%25") && !spelled.contains("%3F");
        let in_path = spellings.iter().filter(survives).map(|spelled| format!("{prefix}{spelled}"));
        for spelled in in_path.chain([in_query]) {
            ids.push(pipeline.accepted(&pipeline.post_to("linux", &spelled, &counts)).await);
        }
        sent.push((branch, format!("{passed} passed"), spellings, ids));
    }
    for (branch, message, spellings, ids) in sent {
        let results = pipeline.history(&branch, &ids).await;
        assert!(results.iter().all(|result| result["branch"] == branch), "{branch}: {results:?}");
        assert_eq!(results.len(), ids.len(), "{branch} has its own results only");
        let repository = &pipeline.target.repository;
        for spelled in spellings {
            pipeline.badge(&format!("/badges/tests/linux/{repository}/{prefix}{spelled}"), &message).await;
        }
        let in_query = format!("{}?branch={}", pipeline.badge_path("linux", "ignored"), segment(&branch));
        pipeline.badge(&in_query, &message).await;
        let target = format!("linux/{repository}{}", branch_suffix(&branch));
        pipeline.badge(&format!("/badges/tests/{target}"), &message).await;
        let redirect = pipeline.get(&format!("/redirect/test-results/{target}")).await;
        assert_eq!(redirect.status, 302, "{branch}: {}", redirect.text);
        let latest =
            pipeline.get(&format!("/tests/latest/{repository}?branch={}", segment(&branch))).await.json();
        assert_eq!(latest["slots"][0]["branch"], *branch, "{latest}");
    }
}

#[tokio::test]
async fn the_query_overrides_the_path() {
    let pipeline = Pipeline::open();
    let (branch, in_path) = (format!("{}/a b+c", unique("names")), unique("ignored"));
    // A plus is a space in a query, and only there.
    let query = format!("?branch={}", segment(&branch).replace("%20", "+"));
    let with_branch = pipeline.post_to("linux", &format!("{in_path}{query}"), &json!({}));
    let mut without_branch = pipeline.post_to("linux", "", &json!({}));
    without_branch.path = format!("{}{query}", without_branch.path.trim_end_matches('/'));
    let ids = [pipeline.accepted(&with_branch).await, pipeline.accepted(&without_branch).await];
    for result in pipeline.history(&branch, &ids).await {
        assert_eq!(result["branch"], *branch);
    }
    for place in ["linux", "linux/ignored"] {
        let place = place.replace("linux", &format!("linux/{}", pipeline.target.repository));
        pipeline.badge(&format!("/badges/tests/{place}{query}"), "190 passed").await;
        let redirected = pipeline.get(&format!("/redirect/test-results/{place}{query}")).await;
        assert_eq!(redirected.status, 302, "{place}: {}", redirected.text);
    }
    pipeline.badge(&pipeline.badge_path("linux", &in_path), "no results").await;
}

#[tokio::test]
async fn all_names_except_branches_match_in_any_case() {
    let pipeline = Pipeline::open();
    let branch = unique("Main");
    let (owner, repo) = pipeline.names();
    let (upper, lower) = (owner.to_uppercase(), owner.to_lowercase());
    let fields = json!({ "owner": upper, "platform": "MacOS" });
    let in_body = pipeline.post(&pipeline.result(&branch, &fields));
    let mut in_path = pipeline.post_to("MACOS", &branch, &json!({ "platform": "macOS" }));
    in_path.path = in_path.path.replace(&format!("/{owner}/"), &format!("/{upper}/"));
    let ids = [pipeline.accepted(&in_body).await, pipeline.accepted(&in_path).await];
    for result in pipeline.history(&branch, &ids).await {
        let names = [&result["owner"], &result["repo"], &result["platform"]];
        assert_eq!(names, [&json!(lower), &json!(repo.to_lowercase()), &json!("macos")]);
    }
    let in_upper_case = format!("/badges/tests/MacOS/{}/{branch}", pipeline.target.repository.to_uppercase());
    pipeline.badge(&in_upper_case, "190 passed").await;
    let other_branch = pipeline.badge_path("macos", &branch.to_lowercase());
    pipeline.badge(&other_branch, "no results").await;
    let history = format!("/tests/results/{upper}/{repo}?branch={branch}&platform=MACOS");
    assert_eq!(pipeline.get(&history).await.json()["results"].as_array().unwrap().len(), 2);
}
