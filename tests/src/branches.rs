//! A repository with many branches, as stored.

use std::time::Duration;

use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::client::{result, with};

/// The runs of the branch `main`: each has two suites on three platforms.
const RUNS: usize = 100;

/// The results of `acme/{repo}`: 100 runs of the branch `main`, every tenth of which failed, and one of each other branch.
///
/// # Panics
/// Never: the results are valid.
pub fn results(repo: &str, branches: usize, now: Timestamp) -> Vec<TestResult> {
    let result = |branch: &str, platform: &str, suite: &str, run: usize| -> TestResult {
        let name = format!("{repo} {branch} {platform} {suite} {run}");
        let failed = u32::from(branch == "main" && suite == "e2e" && run.is_multiple_of(10));
        let failures: Vec<_> =
            (0..failed).map(|_| format!("kit::{platform}::uploads_{}", run / 30)).collect();
        let fields = json!({
            "test_result_id": Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()), "nonce": null, "repo": repo,
            "branch": branch, "platform": platform, "suite": suite, "run_id": run.to_string(), "failed": failed,
            "total": 190 + failed, "failures": failures, "default_branch": "main",
            "timestamp": now.minus(Duration::from_hours(run as u64)),
        });
        serde_json::from_value(with(result(now), &fields)).unwrap()
    };
    let jobs = ["linux", "macos", "windows"].map(|platform| [(platform, "unit"), (platform, "e2e")]);
    let of_main = jobs
        .into_iter()
        .flatten()
        .flat_map(|(platform, suite)| (0..RUNS).map(move |run| (platform, suite, run)));
    let of_main = of_main.map(|(platform, suite, run)| result("main", platform, suite, run));
    let others = (1..branches).map(|branch| result(&format!("feature/{branch}"), "linux", "unit", branch));
    of_main.chain(others).collect()
}
