//! The pages of a repository's history.

use std::time::Duration;

use serde_json::json;
use tests::client::{Post, result, segment, with};
use tests::world::World;

/// A world with 24 results on three platforms and two branches, a minute apart, as `(platform, branch, minute)`.
async fn world_with_history() -> (World, Vec<(&'static str, &'static str, usize)>) {
    let world = World::new();
    let mut stored = Vec::new();
    for minute in 0..24 {
        let platform = ["linux", "windows", "macos"][minute % 3];
        let branch = ["main", "feature/x"][minute % 2];
        let fields = json!({ "platform": platform, "branch": branch, "passed": minute, "total": minute, "run_id": minute });
        assert_eq!(world.submit(&Post::json(&with(result(world.now()), &fields))).await.status, 202);
        stored.push((platform, branch, minute));
        world.clock.advance(Duration::from_mins(1));
    }
    world.drain().await;
    (world, stored)
}

/// All pages of a query, each of at most `limit` results, as `(platform, branch, minute)`.
async fn pages(world: &World, query: &str, limit: usize) -> Vec<(String, String, usize)> {
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
            (text("platform"), text("branch"), usize::try_from(result["passed"].as_u64().unwrap()).unwrap())
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
    for (query, platform, branch) in [
        ("", None, None),
        ("&platform=linux", Some("linux"), None),
        ("&branch=main", None, Some("main")),
        ("&branch=feature/x&platform=macOS", Some("macos"), Some("feature/x")),
        ("&branch=none", None, Some("none")),
    ] {
        let mut expected: Vec<_> = stored
            .iter()
            .filter(|(p, b, _)| {
                platform.is_none_or(|platform| platform == *p) && branch.is_none_or(|branch| branch == *b)
            })
            .map(|(p, b, minute)| ((*p).to_owned(), (*b).to_owned(), *minute))
            .collect();
        let whole = pages(&world, query, 200).await;
        for limit in [1, 2, 3, 5, 7, 24] {
            assert_eq!(pages(&world, query, limit).await, whole, "{query} by {limit}");
        }
        if branch.is_some() {
            expected.sort_by_key(|(_, _, minute)| std::cmp::Reverse(*minute));
            assert_eq!(whole, expected, "{query}: newest first, platforms merged");
        } else {
            // Grouped, and newest first inside a group.
            let groups: Vec<_> = whole.chunk_by(|a, b| (&a.0, &a.1) == (&b.0, &b.1)).collect();
            assert!(
                groups
                    .iter()
                    .all(|group| group.is_sorted_by_key(|(_, _, minute)| std::cmp::Reverse(*minute)))
            );
            let mut names: Vec<_> = groups.iter().map(|group| (&group[0].0, &group[0].1)).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), groups.len(), "{query}: each group is in one piece");
            let mut whole = whole.clone();
            whole.sort();
            expected.sort();
            assert_eq!(whole, expected, "{query}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn from_is_inclusive_and_to_is_exclusive() {
    let (world, _) = world_with_history().await;
    let at = |minute: usize| segment(&format!("2026-01-15T10:{:02}:00Z", 30 + minute));
    for (from, to, expected) in [
        (Some(4), Some(10), vec![8, 6, 4]),
        (Some(4), Some(9), vec![8, 6, 4]),
        (Some(20), None, vec![22, 20]),
        (None, Some(3), vec![2, 0]),
        (Some(4), Some(4), vec![]),
        (Some(9), Some(4), vec![]),
    ] {
        let from = from.map(|minute| format!("&from={}", at(minute))).unwrap_or_default();
        let to = to.map(|minute| format!("&to={}", at(minute))).unwrap_or_default();
        for limit in [1, 2, 50] {
            let found = pages(&world, &format!("&branch=main{from}{to}"), limit).await;
            let minutes: Vec<_> = found.into_iter().map(|(_, _, minute)| minute).collect();
            assert_eq!(minutes, expected, "{from} {to} by {limit}");
        }
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
