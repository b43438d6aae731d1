//! Suites: a badge adds up all of a branch, or shows those of a platform or of one name.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use serde_json::{Value, json};
use tests::client::with;

use crate::pipeline::{Pipeline, unique};

/// Submits results of a branch, and waits until they are stored, so that no badge is cached before.
async fn report(pipeline: &Pipeline, branch: &str, runs: &[Value]) {
    let mut ids = Vec::new();
    for run in runs {
        ids.push(pipeline.accepted(&pipeline.post(&pipeline.result(branch, run))).await);
    }
    pipeline.history(branch, &ids).await;
}

fn run(platform: &str, suite: &str, passed: u32, failed: u32) -> Value {
    json!({
        "platform": platform, "suite": suite, "passed": passed, "failed": failed, "skipped": 0, "total": passed + failed,
        "url_html": format!("https://ci.test/{platform}"),
    })
}

#[tokio::test]
async fn a_badge_is_green_only_if_every_suite_on_every_platform_is() {
    let pipeline = Pipeline::open();
    let branch = unique("matrix");
    let runs = [
        run("windows", "test (3.12)", 98, 2),
        run("linux", "test (3.11)", 100, 0),
        run("linux", "test (3.12)", 100, 0),
        run("macos", "test (3.12)", 100, 0),
    ];
    report(&pipeline, &branch, &runs).await;
    let all = pipeline.badge_path("all", &branch);
    let red = pipeline.badge(&all, "398 passed, 2 failed").await;
    assert_eq!(red.json()["color"], "red");
    pipeline.badge(&pipeline.badge_path("linux", &branch), "200 passed").await;
    pipeline.badge(&format!("{all}?suite=test%20(3.11)"), "100 passed").await;
    let redirect = pipeline.get(&all.replacen("/badges/tests", "/redirect/test-results", 1)).await;
    assert_eq!(redirect.header("location"), Some("https://ci.test/windows"), "the run that failed");
}

#[tokio::test]
async fn a_badge_adds_up_the_newest_result_of_every_suite() {
    let pipeline = Pipeline::open();
    let broke = json!({ "conclusion": "failure" });
    let seconds_ago = |seconds| {
        let timestamp = Clock::System.now().minus(Duration::from_secs(seconds));
        json!({ "timestamp": timestamp, "run_id": format!("{}", 1000 - seconds) })
    };
    for (scenario, runs, message) in [
        (
            "workflows",
            vec![run("linux", "e2e / test", 5, 3), run("linux", "unit / test", 200, 0)],
            "205 passed, 3 failed",
        ),
        (
            "broke",
            vec![run("linux", "unit", 9, 0), with(run("linux", "build", 0, 0), &broke)],
            "9 passed, run failed",
        ),
        (
            "repaired",
            vec![
                with(run("linux", "build", 0, 0), &broke),
                run("linux", "build", 0, 0),
                run("linux", "unit", 9, 0),
            ],
            "9 passed",
        ),
        (
            "late",
            vec![
                with(run("linux", "unit", 90, 10), &seconds_ago(10)),
                with(run("linux", "unit", 100, 0), &seconds_ago(60)),
            ],
            "90 passed, 10 failed",
        ),
    ] {
        let branch = unique(scenario);
        report(&pipeline, &branch, &runs).await;
        pipeline.badge(&pipeline.badge_path("linux", &branch), message).await;
    }
}

#[tokio::test]
async fn a_rerun_and_a_retirement_repair_the_badge() {
    let pipeline = Pipeline::open();
    let branch = unique("rerun");
    let retired =
        json!({ "suite": "old", "retire": true, "passed": 0, "failed": 0, "skipped": 0, "total": 0 });
    let again = with(run("linux", "unit", 10, 0), &json!({ "run_attempt": 2 }));
    let runs =
        [run("linux", "unit", 9, 1), run("linux", "old", 3, 3), run("linux", "e2e", 5, 0), again, retired];
    report(&pipeline, &branch, &runs).await;
    pipeline.badge(&pipeline.badge_path("all", &branch), "15 passed").await;
    let (owner, repo) = pipeline.names();
    let latest = pipeline.get(&format!("/tests/latest/{owner}/{repo}?branch={branch}")).await.json();
    let states: Vec<_> = latest["slots"].as_array().unwrap().iter().map(|slot| &slot["state"]).collect();
    assert_eq!(states, ["retired", "live", "live"]);
}
