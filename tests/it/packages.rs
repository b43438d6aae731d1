//! Badges of packages: what readers see, what is kept in memory, and what is told to the refresher.

use std::time::Duration;

use tests::faults::Fault;
use tests::upstream::{Account, Misbehaviour, Upstream, Visibility};
use tests::world::World;

use crate::badges::shown;

const BADGE: &str = "/badges/packages/nuget/acme.kit";

/// A world in which some versions of `nuget/acme.kit` are known.
async fn world_with(upstream: &Upstream, versions: &[&str]) -> World {
    upstream.publish("Acme.Kit", versions);
    let mut world = World::with_upstream(upstream);
    world.look_up("nuget/acme.kit").await;
    world.restart_functions();
    world
}

#[tokio::test]
async fn ask_and_it_is_there() {
    let upstream = Upstream::start();
    upstream.publish("Newtonsoft.Json", &["12.0.3", "13.0.3", "14.0.0-beta.1"]);
    let world = World::with_upstream(&upstream);
    assert_eq!(world.version("nuget/Newtonsoft.Json").await, "pending");
    assert_eq!(upstream.take_requests().len(), 0, "a read asks no upstream");
    assert_eq!(world.requested(), 1);
    world.drain_requests().await;
    assert_eq!(world.version("nuget/Newtonsoft.Json").await, "13.0.3", "pending is not kept in memory");
    assert_eq!(world.requested(), 0);
}

#[tokio::test]
async fn a_package_badge_with_all_its_headers() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, &["1.2.3"]).await;
    let answer = world.get(BADGE).await;
    insta::assert_snapshot!(shown(&answer));
    let tag = answer.header("etag").unwrap();
    let unchanged = world.request(http::Method::GET, BADGE, &[("if-none-match", tag)]).await;
    assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));
}

#[tokio::test]
async fn every_answer_is_a_badge_and_says_how_long_it_may_be_kept() {
    let upstream = Upstream::start();
    let mut world = world_with(&upstream, &["1.0.0", "2.0.0", "3.0.0-rc.1"]).await;
    world.look_up("nuget/acme.none").await;
    world.restart_functions();
    let long = "public, max-age=120, s-maxage=120, stale-while-revalidate=600, stale-if-error=86400";
    let (brief, soon) = ("public, max-age=30, s-maxage=30", "public, max-age=5, s-maxage=5");
    for (package, message, cached) in [
        ("nuget/Acme.Kit", "2.0.0", long),
        ("nuget/acme.kit?version=3.0", "not found", brief),
        ("nuget/acme.kit?version=%5E1.0", "invalid range", brief),
        ("nuget/acme.none", "not found", brief),
        ("nuget/a..b", "not found", brief),
        ("nuget/a/b", "not found", brief),
        ("nuget/a%20b", "not found", brief),
        ("github/acme", "not found", brief),
        ("github/-acme/kit", "not found", brief),
        ("nuget/never.seen", "pending", soon),
        ("github/acme/never.seen", "pending", soon),
    ] {
        let answer = world.get(&format!("/badges/packages/{package}")).await;
        let json = answer.json();
        assert_eq!((answer.status, json["message"].as_str()), (200, Some(message)), "{package}");
        assert_eq!(answer.header("cache-control"), Some(cached), "{package}");
        assert_eq!(json["label"].as_str(), package.split('/').next(), "{package}");
        let is_error = !matches!(message, "2.0.0" | "pending");
        assert_eq!(json["isError"].as_bool().unwrap_or_default(), is_error, "{package}");
    }
    assert_eq!(world.get("/badges/packages/npm/kit").await.status, 404);
    let posted = world.request(http::Method::POST, BADGE, &[]).await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
}

#[tokio::test]
async fn readers_choose_among_versions() {
    let upstream = Upstream::start();
    let versions = [
        "0.9.0",
        "1.0.0",
        "1.2.0",
        "1.10.0",
        "2.0.0-beta.2",
        "2.0.0-beta.11",
        "2.0.0",
        "2.1.0-rc",
        "3.0.0-a",
    ];
    let world = world_with(&upstream, &versions).await;
    for (query, message) in [
        ("", "2.0.0"),
        ("version=", "2.0.0"),
        ("prerelease=true", "3.0.0-a"),
        ("prerelease=TRUE", "3.0.0-a"),
        ("prerelease=1", "2.0.0"),
        ("version=1.0", "2.0.0"),
        ("version=[1.0]", "1.0.0"),
        ("version=[1.0,2.0)", "1.10.0"),
        ("version=%5B1.0%2C2.0)", "1.10.0"),
        ("version=[1.0,2.0)&prerelease=true", "2.0.0-beta.11"),
        ("version=(,1.0)", "0.9.0"),
        ("version=[2.1-a,)", "3.0.0-a"),
        ("version=1.*", "2.0.0"),
        ("version=%3E%3D1.0.0+%3C2.0.0-a", "1.10.0"),
        ("version=%3E=1.0.0%20%3C1.10", "1.2.0"),
        ("gte=1.0&lt=1.10", "1.2.0"),
        ("gt=0.9&lte=1.0", "1.0.0"),
        ("eq=1.2", "1.2.0"),
        ("eq=1.3", "not found"),
        ("version=[1.0,3.0]&lt=1.2", "1.0.0"),
        ("gt=2&lt=1", "not found"),
        ("gt=x", "invalid range"),
        ("version=[1.0", "invalid range"),
        ("version=~1.0", "invalid range"),
        ("version=1.0%7C%7C2.0", "invalid range"),
        ("version=[2.0,1.0]", "invalid range"),
    ] {
        assert_eq!(world.version(&format!("nuget/acme.kit?{query}")).await, message, "{query}");
    }
}

#[tokio::test]
async fn prereleases_show_where_there_is_nothing_else() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, &["1.0.0-beta.2", "1.0.0-beta.10"]).await;
    let badge = world.get(BADGE).await.json();
    assert_eq!((&badge["message"], &badge["color"]), (&"1.0.0-beta.10".into(), &"orange".into()));
}

#[tokio::test]
async fn a_package_is_read_at_most_once_in_two_minutes() {
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
async fn while_dynamodb_fails_memory_is_served_and_else_unavailable() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, &["1.0.0", "2.0.0"]).await;
    // From here on, so that timeouts take no time; a socket would be timed out too.
    tokio::time::pause();
    assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
    world.clock.advance(Duration::from_hours(1));
    for fault in [Fault::Fails, Fault::TimesOut] {
        world.faults.plan("GetItem", fault, usize::MAX);
        assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
        let answer = world.get("/badges/packages/nuget/other").await;
        assert_eq!(answer.json()["message"], "unavailable");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=5, s-maxage=5"));
        world.faults.plan("Query", fault, usize::MAX);
        assert_eq!(world.version("nuget/acme.kit?version=(,2)").await, "unavailable", "no range in memory");
    }
    world.faults.heal();
    assert_eq!(world.version("nuget/acme.kit?version=(,2)").await, "1.0.0");
}

#[tokio::test]
async fn the_same_package_is_asked_for_once_a_minute() {
    let world = World::new();
    let told = || world.faults.take_count("PutEvents");
    for _ in 0..5 {
        assert_eq!(world.version("nuget/acme.kit").await, "pending");
    }
    assert_eq!(told(), 1);
    world.clock.advance(Duration::from_mins(1));
    world.version("nuget/acme.kit").await;
    assert_eq!(told(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_badge_does_not_depend_on_what_is_told() {
    let world = World::new();
    for fault in [Fault::Fails, Fault::TimesOut] {
        world.faults.plan("PutEvents", fault, usize::MAX);
        assert_eq!(world.version("nuget/acme.kit").await, "pending");
        world.faults.heal();
        world.faults.take_calls();
        world.version("nuget/acme.kit").await;
        assert_eq!(world.faults.take_count("PutEvents"), 1, "the next reader tells");
        world.clock.advance(Duration::from_mins(1));
    }
}

#[tokio::test]
async fn a_flood_of_names_tells_of_few_and_silences_nobody() {
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
    let told = world.faults.take_count("PutEvents");
    assert!(told <= 10 + 2 * 20, "a burst of 10, then 2 a second for 20 s: {told}");
    assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
    assert_eq!(world.faults.take_count("PutEvents"), 1, "that a known package is stale is told all the same");
}

#[tokio::test]
async fn a_token_that_is_mapped_later_shows_the_package_within_minutes() {
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
async fn a_feed_that_wants_credentials_does_not_say_that_there_is_no_package() {
    for status in [401, 403] {
        let upstream = Upstream::start();
        upstream.publish("kit", &["1.0.0"]);
        let refused = Misbehaviour::Status { status, headers: Vec::new(), body: String::new() };
        upstream.misbehave("/v3", refused, usize::MAX);
        let mut world = World::with_upstream(&upstream);
        assert_eq!(world.look_up("nuget/kit").await, "unavailable");
        upstream.behave();
        world.clock.advance(Duration::from_mins(1));
        world.refresh_due().await;
        assert_eq!(world.version("nuget/kit").await, "1.0.0");
    }
}
