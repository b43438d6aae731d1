//! Package badges: what is cached in memory, and which requests reach the refresher.

use std::time::Duration;

use tests::faults::Fault;
use tests::upstream::{Account, Upstream, UpstreamFault, Visibility};
use tests::world::World;

/// A world that knows these versions of `nuget/acme.kit`.
async fn world_with(upstream: &Upstream, versions: &[&str]) -> World {
    upstream.publish("Acme.Kit", versions);
    let mut world = World::with_upstream(upstream);
    world.look_up("nuget/acme.kit").await;
    world.restart_functions();
    world
}

#[tokio::test]
async fn a_package_is_read_from_dynamodb_once_in_two_minutes() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, &["1.0.0", "2.0.0"]).await;
    world.faults.take_calls();
    let reads = |operation| world.faults.take_count(operation);
    for _ in 0..3 {
        assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
    }
    assert_eq!(reads("GetItem"), 1);
    for _ in 0..3 {
        assert_eq!(world.version("nuget/acme.kit?version=(,2)").await, "1.0.0");
        assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
    }
    assert_eq!(reads("Query"), 1, "with a range, the versions are read once more");
    world.clock.advance(Duration::from_secs(121));
    assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
    assert_eq!(reads("GetItem"), 1);
}

#[tokio::test]
async fn only_cached_packages_have_a_badge_while_dynamodb_fails() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, &["1.0.0", "2.0.0"]).await;
    // Paused only here: before, it would time out the sockets to the upstream.
    tokio::time::pause();
    assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
    world.clock.advance(Duration::from_hours(1));
    for fault in [Fault::Fails, Fault::TimesOut] {
        world.faults.plan("GetItem", fault, usize::MAX);
        assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
        let answer = world.get("/badges/packages/nuget/other").await;
        assert_eq!((answer.status, answer.header("cache-control")), (503, Some("no-store")), "{fault:?}");
        assert_eq!(answer.json()["message"], "unavailable");
        world.faults.plan("Query", fault, usize::MAX);
        assert_eq!(world.version("nuget/acme.kit?version=(,2)").await, "unavailable", "no range in memory");
    }
    world.faults.heal();
    assert_eq!(world.version("nuget/acme.kit?version=(,2)").await, "1.0.0");
}

#[tokio::test]
async fn the_same_package_is_requested_once_a_minute() {
    let world = World::new();
    let requested = || world.faults.take_count("PutEvents");
    for _ in 0..5 {
        assert_eq!(world.version("nuget/acme.kit").await, "pending");
    }
    assert_eq!(requested(), 1);
    world.clock.advance(Duration::from_mins(1));
    world.version("nuget/acme.kit").await;
    assert_eq!(requested(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_badge_does_not_depend_on_the_event_bus() {
    let world = World::new();
    for fault in [Fault::Fails, Fault::TimesOut] {
        world.faults.plan("PutEvents", fault, usize::MAX);
        assert_eq!(world.version("nuget/acme.kit").await, "pending");
        world.faults.heal();
        world.faults.take_calls();
        world.version("nuget/acme.kit").await;
        assert_eq!(world.faults.take_count("PutEvents"), 1, "the next read requests it");
        world.clock.advance(Duration::from_mins(1));
    }
}

#[tokio::test]
async fn a_flood_of_names_is_limited_and_delays_no_known_package() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, &["1.0.0"]).await;
    // The schedule has not run for an hour.
    world.clock.advance(Duration::from_hours(1));
    world.faults.take_calls();
    for number in 0..500 {
        assert_eq!(world.version(&format!("nuget/invented.{number}")).await, "pending");
        assert_eq!(world.version(&format!("github/org-{number}/invented")).await, "pending");
        if number % 25 == 24 {
            world.clock.advance(Duration::from_secs(1));
        }
    }
    let requested = world.faults.take_count("PutEvents");
    assert!(requested <= 200 + 5 * 20, "a burst of 200, then 5 a second for 20 s: {requested}");
    assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
    assert_eq!(world.faults.take_count("PutEvents"), 1, "a stale known package is still requested");
}

#[tokio::test]
async fn a_token_that_is_mapped_later_shows_the_package_within_five_minutes() {
    let upstream = Upstream::start();
    upstream.github_publish(Account::Org("acme"), "kit", Visibility::Private, &["1.0.0"]);
    upstream.github_token("token", &["acme"]);
    let mut world = World::with_upstream(&upstream);
    for (mapped, token) in [("", ""), ("acme", "bad"), ("acme", "token"), ("acme/kit", "bad")] {
        if !mapped.is_empty() {
            world.set_github_token(mapped, token).await;
        }
        world.clock.advance(Duration::from_mins(5));
        assert_eq!(world.look_up("github/acme/kit").await, "not found", "{mapped} {token}");
    }
    world.set_github_token("acme/kit", "token").await;
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.look_up("github/acme/kit").await, "1.0.0");
}

#[tokio::test]
async fn a_feed_that_requires_credentials_is_unavailable_not_empty() {
    for status in [401, 403] {
        let upstream = Upstream::start();
        upstream.publish("kit", &["1.0.0"]);
        let refused = UpstreamFault::Status { status, headers: Vec::new(), body: String::new() };
        upstream.plan_fault("/v3", refused, usize::MAX);
        let mut world = World::with_upstream(&upstream);
        assert_eq!(world.look_up("nuget/kit").await, "unavailable");
        upstream.heal();
        world.clock.advance(Duration::from_mins(1));
        world.refresh_due().await;
        assert_eq!(world.version("nuget/kit").await, "1.0.0");
    }
}
