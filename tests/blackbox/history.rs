//! Concurrent submissions, each in the history exactly once.

use std::collections::HashSet;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use serde_json::json;
use tests::client::segment;
use tests::http::send_again_after;
use tokio::task::JoinSet;

use crate::pipeline::{Pipeline, unique};

const RESULTS: u64 = 40;
/// One of this many results is sent twice at the same time.
const TWICE_EVERY: u64 = 4;
const PLATFORMS: [&str; 3] = ["linux", "windows", "macos"];

#[tokio::test(flavor = "multi_thread")]
async fn each_concurrent_submission_shows_once() {
    let pipeline = Pipeline::open();
    let branch = unique("busy/branch");
    let start = Clock::System.now().minus(Duration::from_mins(1));
    // One second apart, so that the numbers are in the order of time.
    let at = |number: u64| start.plus(Duration::from_secs(number)).to_string();
    let mut posts = Vec::new();
    let mut sending = JoinSet::new();
    for (number, platform) in (1..=RESULTS).zip(PLATFORMS.into_iter().cycle()) {
        let fields = json!({
            "platform": platform, "passed": number, "total": number, "run_id": number, "timestamp": at(number),
        });
        let post = pipeline.post(&pipeline.result(&branch, &fields));
        for _ in 0..if number % TWICE_EVERY == 0 { 2 } else { 1 } {
            let (api, post) = (pipeline.api.clone(), post.clone());
            sending.spawn(async move { (number, api.send(&post).await.unwrap()) });
        }
        posts.push((number, post));
    }
    let answers = sending.join_all().await;
    // Newest first. A post whose response asked for a retry is sent again here.
    let mut ids = Vec::new();
    for (number, post) in posts.iter().rev() {
        let id = pipeline.accepted(post).await;
        for (_, answer) in answers.iter().filter(|(sent, _)| sent == number) {
            let same = answer.is_accepted() && answer.json()["test_result_id"] == *id;
            assert!(same || send_again_after(answer).is_some(), "{id}: {} {}", answer.status, answer.text);
        }
        ids.push(id);
    }
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), posts.len(), "each result has a unique id");

    let whole = pipeline.history(&branch, &ids).await;
    let stored: Vec<_> = whole.iter().map(|result| result["test_result_id"].as_str().unwrap()).collect();
    assert_eq!(stored, ids, "each once, newest first, platforms merged");
    let pages = async |query: &str| {
        let query = format!("&branch={}{query}", segment(&branch));
        pipeline.api.history(&pipeline.target.repository, &query, 7).await.unwrap()
    };
    assert_eq!(pages("").await, whole, "in pages of seven");
    let linux: Vec<_> = whole.iter().filter(|result| result["platform"] == "linux").cloned().collect();
    assert_eq!(pages("&platform=linux").await, linux);
    let some = pages(&format!("&from={}&to={}", at(10), at(20))).await;
    let numbers: Vec<_> = some.iter().map(|result| result["passed"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (10..20).rev().collect::<Vec<_>>(), "from is inclusive, to is not");

    for platform in PLATFORMS {
        let newest = whole.iter().find(|result| result["platform"] == platform).unwrap();
        let message = format!("{} passed", newest["passed"]);
        pipeline.badge(&pipeline.badge_path(platform, &branch), &message).await;
    }
}
