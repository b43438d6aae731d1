//! A flood of invented names: its cost is bounded, and known packages do not wait for it.

use std::collections::BTreeSet;
use std::time::Duration;

use badgesmith_domain::package_request::Reason;
use tests::upstream::{Account, Upstream, Visibility};
use tests::world::{FRESH_FOR, World};

/// Five packages of each upstream exist.
const KNOWN: usize = 10;
/// The flood ends with a run of the schedule.
const SECONDS: usize = 60;
const STEP: usize = 10;
/// Names of each kind that are read in a step, and that other instances of badge-api report.
const NAMES: usize = 30;

fn known(number: usize) -> String {
    format!("{}/kit.{number}", if number.is_multiple_of(2) { "nuget" } else { "github/acme" })
}

async fn world_with_known_packages(upstream: &Upstream) -> World {
    let world = World::with_upstream(upstream);
    upstream.github_token("token", &[]);
    world.set_github_token("acme", "token").await;
    for number in 0..KNOWN {
        let name = format!("kit.{number}");
        upstream.publish(&name, &["1.0.0"]);
        upstream.github_publish(Account::Org("acme"), &name, Visibility::Public, &["1.0.0"]);
        world.publish_request(&known(number), Reason::FirstRequested).await;
    }
    world.drain_requests().await;
    world.clock.advance(FRESH_FOR);
    assert_eq!(world.refresh_due().await.unchanged, KNOWN);
    // All of them are due again during the flood.
    world.clock.advance(FRESH_FOR.saturating_sub(Duration::from_secs(SECONDS as u64)));
    upstream.take_requests();
    world.faults.take_calls();
    world
}

#[tokio::test]
async fn a_flood_of_invented_names_stays_within_its_budgets_and_delays_no_known_package() {
    let upstream = Upstream::start();
    let world = world_with_known_packages(&upstream).await;
    for step in 0..SECONDS / STEP {
        for number in 0..NAMES {
            let invented = format!("invented.{step}.{number}");
            for place in ["nuget".to_owned(), "github/acme".to_owned(), format!("github/org-{step}-{number}")]
            {
                assert_eq!(world.version(&format!("{place}/read.{invented}")).await, "pending");
                world.publish_request(&format!("{place}/{invented}"), Reason::FirstRequested).await;
            }
        }
        world.drain_requests().await;
        world.clock.advance(Duration::from_secs(STEP as u64));
    }
    assert_eq!(world.requested(), 0, "requests over the budgets are dropped");
    let calls = world.faults.take_calls();
    let count = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
    let events = count("PutEvents");
    assert!(events <= 200 + 5 * SECONDS, "badge-api reports 200 names at once and 5 a second: {events}");
    let items = count("PutItem");
    // The line has 250 places for each upstream.
    let line = 2 * 250;
    let budget = 200 + 2 * SECONDS + 60 + SECONDS + 30 + SECONDS / 6 + line;
    assert!(items <= budget, "the table grows with the budgets: {items}");

    let requests = upstream.take_requests();
    let (github, nuget): (Vec<_>, Vec<_>) =
        requests.iter().partition(|request| request.path.starts_with("/github"));
    let names: BTreeSet<_> = nuget.iter().map(|request| &request.path).collect();
    let budget = 200 + 2 * SECONDS;
    assert!(
        (budget / 2..=budget + 1).contains(&names.len()),
        "NuGet: 200 at once, 2 a second: {}",
        names.len()
    );
    // And a list of the packages of the organization, or of the user.
    let budget = 2 * (30 + SECONDS / 6) + 2;
    assert!(github.len() <= budget, "one organization, two requests each: {}", github.len());
    assert!(github.iter().all(|request| request.header("authorization").is_some()));

    let report = world.refresh_due().await;
    assert_eq!((report.unchanged, report.failed), (KNOWN, 0));
    assert!(report.not_found + report.postponed <= line, "names that wait: {report:?}");
    let first = upstream.take_requests();
    let mut first = first.iter().take(KNOWN).filter(|request| !request.path.ends_with("v3/index.json"));
    assert!(first.all(|request| request.path.contains("kit.")), "known packages come first");
    for number in 0..KNOWN {
        assert_eq!(world.version(&known(number)).await, "1.0.0");
    }
    let mut postponed = report.postponed;
    while postponed > 0 {
        world.clock.advance(Duration::from_mins(5));
        let report = world.refresh_due().await;
        assert!(report.postponed < postponed, "each run shortens the line: {report:?}");
        postponed = report.postponed;
    }
}
