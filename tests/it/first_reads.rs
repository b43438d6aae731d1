//! The first read of a package: its badge shows the version on the first view, or on the second. `tests/blackbox` reads
//! a page with 150 NuGet packages.

use std::time::{Duration, Instant};

use badgesmith_aws::dynamodb::Packages;
use badgesmith_domain::package_request::Reason;
use local::stack::PACKAGES_TABLE;
use tests::upstream::{Account, Upstream, Visibility};
use tests::world::World;

#[tokio::test]
async fn a_page_of_24_new_packages_of_an_organization_shows_them_all_on_the_second_view() {
    let upstream = Upstream::start();
    upstream.github_token("token", &[]);
    let world = World::with_upstream(&upstream);
    world.set_github_token("acme", "token").await;
    let packages: Vec<_> = (0..24).map(|number| format!("part.{number}")).collect();
    for package in &packages {
        upstream.github_publish(Account::Org("acme"), package, Visibility::Public, &["1.0.0"]);
        assert_eq!(world.version(&format!("github/acme/{package}")).await, "pending");
    }
    world.drain_requests().await;
    world.clock.advance(Duration::from_mins(2));
    for package in &packages {
        assert_eq!(world.version(&format!("github/acme/{package}")).await, "1.0.0");
    }
}

#[tokio::test]
async fn a_name_over_the_limit_waits_for_the_schedule() {
    let upstream = Upstream::start();
    let world = World::with_upstream(&upstream);
    let count = 260;
    for number in 0..count {
        upstream.publish(&format!("part.{number}"), &["1.0.0"]);
        world.publish_request(&format!("nuget/part.{number}"), Reason::FirstRequested).await;
    }
    world.drain_requests().await;
    assert_eq!(world.requested(), 0, "no request is delivered again");
    let versions = async || {
        let mut shown = Vec::new();
        for number in 0..count {
            shown.push(world.version(&format!("nuget/part.{number}")).await);
        }
        let count = |message| shown.iter().filter(|version| *version == message).count();
        (count("1.0.0"), count("pending"))
    };
    assert_eq!(versions().await, (200, 60));
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.refresh_due().await.changed, 60);
    assert_eq!(versions().await, (260, 0));
}

#[tokio::test]
async fn new_requests_do_not_starve_names_that_wait() {
    let upstream = Upstream::start();
    let world = World::with_upstream(&upstream);
    for number in 0..260 {
        upstream.publish(&format!("part.{number}"), &["1.0.0"]);
        world.publish_request(&format!("nuget/part.{number}"), Reason::FirstRequested).await;
    }
    world.drain_requests().await;
    // Names whose run has died come first, and new ones have just used up the limit of requests.
    let packages = Packages::new(&world.sdk_config(), PACKAGES_TABLE.to_owned());
    for number in 0..1300 {
        let package = format!("nuget/dead.{number}").parse().unwrap();
        packages.lease_or_create(&package, None, world.now(), world.now()).await.unwrap();
    }
    world.clock.advance(Duration::from_mins(5));
    for number in 0..200 {
        world.publish_request(&format!("nuget/new.{number}"), Reason::FirstRequested).await;
    }
    world.drain_requests().await;
    let report = world.refresh_due().await;
    assert_eq!((report.changed, report.not_found), (60, 200), "{report:?}");
    assert_eq!((report.postponed, report.unfinished), (1000, true), "{report:?}");
    for number in 0..260 {
        assert_eq!(world.version(&format!("nuget/part.{number}")).await, "1.0.0");
    }
}

/// Looks up the names that wait, and counts them.
async fn empty_line(world: &World) -> usize {
    let mut looked_up = 0;
    loop {
        let report = world.refresh_due().await;
        looked_up += report.not_found;
        if report.postponed == 0 {
            return looked_up;
        }
        world.clock.advance(Duration::from_mins(5));
    }
}

#[tokio::test]
async fn the_line_is_bounded_for_all_instances_together_and_for_each_upstream() {
    let upstream = Upstream::start();
    let world = World::with_upstream(&upstream);
    let request = async |names: &str, count: usize| {
        for number in 0..count {
            world.publish_request(&format!("{names}.{number}"), Reason::FirstRequested).await;
        }
    };
    let instances = [world.another_instance(), world.another_instance()];
    let drain = async || {
        let [one, other] = &instances;
        while let (Ok(1..), _) | (_, Ok(1..)) = tokio::join!(one.requests.poll(0), other.requests.poll(0)) {
            world.clock.advance(Duration::from_secs(1));
        }
    };
    request("nuget/invented", 1000).await;
    request("github/acme/invented", 100).await;
    drain().await;
    let waiting = empty_line(&world).await;
    // Each instance looks up 30 names of an organization, and handles at most 10 messages at once.
    let expected = 250 + 100 - 2 * 40..=250 + 2 * 10 + 100;
    assert!(expected.contains(&waiting), "{waiting}");
}

#[tokio::test]
async fn a_name_that_is_requested_again_takes_no_second_place() {
    let upstream = Upstream::start();
    let world = World::with_upstream(&upstream);
    let request = async |numbers: std::ops::Range<usize>| {
        for number in numbers {
            world.publish_request(&format!("nuget/invented.{number}"), Reason::FirstRequested).await;
        }
        world.drain_requests().await;
    };
    request(0..260).await;
    for _ in 0..4 {
        request(200..260).await;
    }
    request(260..600).await;
    assert_eq!(empty_line(&world).await, 250);
}

#[tokio::test]
async fn a_single_new_badge_waits_for_its_version_and_the_next_one_does_not() {
    let upstream = Upstream::start();
    for package in ["first", "second", "third"] {
        upstream.publish(package, &["1.0.0", "1.1.0"]);
    }
    let mut world = World::with_upstream(&upstream);
    world.set_first_lookup_wait(Duration::from_secs(30));
    let look_up = async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.drain_requests().await;
    };
    let (version, ()) = tokio::join!(world.version("nuget/first"), look_up());
    assert_eq!(version, "1.1.0");
    let started = Instant::now();
    assert_eq!(world.version("nuget/second").await, "pending");
    assert!(started.elapsed() < Duration::from_secs(20), "one badge waits in ten seconds");
    world.clock.advance(Duration::from_secs(10));
    let (version, ()) = tokio::join!(world.version("nuget/third?version=[1.0,1.1)"), look_up());
    assert_eq!(version, "1.0.0", "with a range, too");
}

#[tokio::test]
async fn a_badge_waits_for_a_bounded_time() {
    let mut world = World::new();
    world.set_first_lookup_wait(Duration::from_millis(400));
    let started = Instant::now();
    assert_eq!(world.version("nuget/kit").await, "pending");
    let elapsed = started.elapsed();
    assert!((400..5000).contains(&elapsed.as_millis()), "{elapsed:?}");
}
