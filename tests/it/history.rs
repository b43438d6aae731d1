//! The pages of a repository's history. `tests/blackbox/history.rs` has those of a branch.

use std::time::Duration;

use serde_json::json;
use tests::client::{Post, result, with};
use tests::world::World;

/// Platform, branch and minute of a result.
type Row = (String, String, u64);

/// A world with 24 results on three platforms and two branches, a minute apart.
async fn world_with_history() -> (World, Vec<Row>) {
    let world = World::new();
    let mut stored = Vec::new();
    for minute in 0..24 {
        let platform = ["linux", "windows", "macos"][minute % 3];
        let branch = ["main", "feature/x"][minute % 2];
        let fields = json!({ "platform": platform, "branch": branch, "passed": minute, "total": minute, "run_id": minute });
        assert_eq!(world.submit(&Post::json(&with(result(world.now()), &fields))).await.status, 202);
        stored.push((platform.to_owned(), branch.to_owned(), minute as u64));
        world.clock.advance(Duration::from_mins(1));
    }
    world.drain().await;
    (world, stored)
}

/// All pages of a query, each of at most `limit` results.
async fn pages(world: &World, query: &str, limit: usize) -> Vec<Row> {
    let mut results = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = world.get(&format!("/tests/results/acme/kit?limit={limit}{query}{cursor}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        let found = page["results"].as_array().unwrap();
        assert!(found.len() <= limit);
        results.extend(found.iter().map(|result| {
            let text = |name: &str| result[name].as_str().unwrap().to_owned();
            (text("platform"), text("branch"), result["passed"].as_u64().unwrap())
        }));
        match page["next_cursor"].as_str() {
            Some(next) => {
                assert_eq!(found.len(), limit, "only the last page is short");
                cursor = format!("&cursor={next}");
            }
            None => return results,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pages_join_without_gaps_or_duplicates() {
    let (world, stored) = world_with_history().await;
    for (query, platform) in [("", None), ("&platform=linux", Some("linux"))] {
        let whole = pages(&world, query, 200).await;
        for limit in [1, 2, 3, 5, 7, 24] {
            assert_eq!(pages(&world, query, limit).await, whole, "{query} by {limit}");
        }
        // Grouped, and newest first inside a group.
        let groups: Vec<_> = whole.chunk_by(|a, b| (&a.0, &a.1) == (&b.0, &b.1)).collect();
        assert_eq!(groups.len(), if platform.is_some() { 2 } else { 6 }, "{query}: {whole:?}");
        let newest_first =
            |group: &&[Row]| group.is_sorted_by_key(|(_, _, minute)| std::cmp::Reverse(*minute));
        assert!(groups.iter().all(newest_first), "{query}: {whole:?}");
        let mut found = whole;
        found.sort_by_key(|(_, _, minute)| *minute);
        let expected = stored.iter().filter(|row| platform.is_none_or(|platform| platform == row.0));
        assert!(found.iter().eq(expected), "{query}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_may_hold_more_results_than_one_dynamodb_page_of_1_mb() {
    let world = World::new();
    let url = format!("https://ci.test/{}", "x".repeat(2000));
    let fields = |run: usize| json!({ "url_html": url, "workflow_run_url": url, "branch": "\u{e9}".repeat(127), "run_id": run });
    for run in 0..200 {
        assert_eq!(world.submit(&Post::json(&with(result(world.now()), &fields(run)))).await.status, 202);
    }
    world.drain().await;
    assert_eq!(pages(&world, "", 200).await.len(), 200);
}
