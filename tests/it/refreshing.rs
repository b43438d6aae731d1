//! The schedule: due packages are looked up in order, in time, once, and for as long as they are read.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use badgesmith_domain::package_request::Reason;
use futures_util::stream::{self, StreamExt};
use local::stack::REFRESH_QUEUE;
use tests::faults::Fault;
use tests::upstream::{Account, Upstream, UpstreamFault, Visibility};
use tests::world::{FRESH_FOR, World};

mod unscheduling;

/// Checks of faults that run at the same time.
const CHECKS_AT_ONCE: usize = 6;
const DAY: Duration = Duration::from_hours(24);

/// A world that knows `count` packages: `nuget/kit.0`, `nuget/kit.1`, ...
async fn world_with(upstream: &Upstream, count: usize) -> World {
    let world = World::with_upstream(upstream);
    for number in 0..count {
        upstream.publish(&format!("kit.{number}"), &["1.0.0"]);
        world.publish_request(&format!("nuget/kit.{number}"), Reason::FirstRequested).await;
        // As fast as the lookup limit of unconfirmed names allows.
        world.clock.advance(Duration::from_millis(500));
        world.drain_requests().await;
    }
    upstream.take_requests();
    world
}

/// Takes the requests upstream so far, and returns their packages in order.
fn requested_packages(upstream: &Upstream) -> Vec<String> {
    let requests = upstream.take_requests();
    let names = requests.iter().filter_map(|request| request.path.strip_suffix("/index.json"));
    names.filter_map(|path| path.rsplit('/').next()).filter(|name| *name != "v3").map(str::to_owned).collect()
}

#[tokio::test]
async fn the_longest_overdue_package_is_looked_up_first() {
    let upstream = Upstream::start();
    let world = World::with_upstream(&upstream);
    // Not in the order of names.
    for group in ["m", "z", "a"] {
        for number in 0..40 {
            upstream.publish(&format!("{group}.{number}"), &["1.0.0"]);
            world.publish_request(&format!("nuget/{group}.{number}"), Reason::FirstRequested).await;
            world.clock.advance(Duration::from_millis(500));
            world.drain_requests().await;
        }
        world.clock.advance(FRESH_FOR * 2);
    }
    upstream.take_requests();
    upstream.set_latency(Duration::from_millis(5));
    let report = world.refresh_due().await;
    assert_eq!(report.unchanged, 120);
    assert!(report.lag_seconds >= 5 * FRESH_FOR.as_secs(), "{report:?}");
    // 32 are refreshed at once: when the first of a group starts, all but 31 of the group before have ended.
    let packages = requested_packages(&upstream);
    let first = |group: &str| packages.iter().position(|name| name.starts_with(group)).unwrap();
    assert_eq!(first("m."), 0);
    assert!(first("z.") >= 9 && first("a.") >= 49, "{packages:?}");
    assert_eq!(world.refresh_due().await.unchanged, 0, "no package is due twice");
}

#[tokio::test]
async fn due_times_are_spread_and_never_late() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, 40).await;
    world.clock.advance(FRESH_FOR * 2);
    assert_eq!(world.refresh_due().await.unchanged, 40, "all of them at once");
    world.clock.advance(FRESH_FOR * 79 / 100);
    assert_eq!(world.refresh_due().await.unchanged, 0, "none before four fifths of the period");
    world.clock.advance(FRESH_FOR / 10);
    let half = world.refresh_due().await.unchanged;
    assert!((5..=35).contains(&half), "some a little earlier than others: {half}");
    world.clock.advance(FRESH_FOR * 12 / 100);
    assert_eq!(world.refresh_due().await.unchanged, 40 - half);
}

#[tokio::test]
async fn a_run_ends_before_its_deadline_and_the_next_run_continues() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, 100).await;
    world.clock.advance(FRESH_FOR * 2);
    assert!(world.refresh_due_within(Duration::from_secs(39)).await.unfinished, "too little time to start");
    assert_eq!(requested_packages(&upstream).len(), 0);
    upstream.set_latency(Duration::from_millis(50));
    let run = world.refresh_due_within(Duration::from_mins(5));
    let time_passes = async {
        // The last refresh starts 40 s before the deadline; the run takes some 4 rounds of 50 ms.
        while upstream.request_count() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.clock.advance(Duration::from_secs(261));
    };
    let (first, ()) = tokio::join!(run, time_passes);
    assert!(first.unfinished && first.unchanged > 0 && first.unchanged < 100, "{first:?}");
    let second = world.refresh_due().await;
    assert!(!second.unfinished);
    assert_eq!(first.unchanged + second.unchanged, 100, "the next run refreshes the rest");
    let packages = requested_packages(&upstream);
    assert_eq!(
        (packages.len(), packages.iter().collect::<BTreeSet<_>>().len()),
        (100, 100),
        "each package once"
    );
}

#[tokio::test]
async fn concurrent_runs_never_look_up_the_same_package() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, 60).await;
    upstream.set_latency(Duration::from_millis(10));
    world.clock.advance(FRESH_FOR * 2);
    for number in 0..60 {
        world.publish_request(&format!("nuget/kit.{number}"), Reason::Stale).await;
    }
    let (first, second, ()) = tokio::join!(world.refresh_due(), world.refresh_due(), world.drain_requests());
    assert_eq!(requested_packages(&upstream).len(), 60, "{first:?} {second:?}");
}

#[tokio::test]
async fn an_unread_package_leaves_the_schedule_and_comes_back_when_it_is_read() {
    let upstream = Upstream::start();
    let mut world = world_with(&upstream, 1).await;
    world.clock.advance(29 * DAY);
    assert_eq!(world.refresh_due().await.unchanged, 1, "read 29 days ago");
    world.clock.advance(2 * DAY);
    assert_eq!(world.refresh_due().await.unscheduled, 1);
    upstream.publish("kit.0", &["2.0.0"]);
    upstream.take_requests();
    for _ in 0..10 {
        world.clock.advance(DAY);
        world.refresh_due().await;
    }
    assert_eq!(requested_packages(&upstream).len(), 0, "it is no longer looked up");
    assert_eq!(world.version("nuget/kit.0").await, "1.0.0", "the badge shows the last version");
    assert_eq!(world.version("nuget/kit.0?version=[1.0]").await, "1.0.0");
    world.drain_requests().await;
    world.restart_functions();
    assert_eq!(world.version("nuget/kit.0").await, "2.0.0", "the read brings it back");
    world.clock.advance(FRESH_FOR);
    assert_eq!(world.refresh_due().await.unchanged, 1, "on the schedule");
    world.clock.advance(91 * DAY);
    assert_eq!(world.refresh_due().await.unscheduled, 1);
    world.clock.advance(91 * DAY);
    world.restart_functions();
    assert_eq!(world.version("nuget/kit.0").await, "pending", "expired after 90 more days");
    world.drain_requests().await;
    assert_eq!(world.version("nuget/kit.0").await, "2.0.0");
}

#[tokio::test]
async fn a_package_that_is_read_again_while_its_upstream_fails_does_not_expire() {
    let upstream = Upstream::start();
    let mut world = world_with(&upstream, 1).await;
    world.clock.advance(31 * DAY);
    assert_eq!(world.refresh_due().await.unscheduled, 1);
    upstream.plan_fault("kit.0", UpstreamFault::Garbage, usize::MAX);
    // It is read now and then, for longer than an unread package is kept.
    for days in [50, 50, 50] {
        world.clock.advance(days * DAY);
        world.restart_functions();
        for query in ["", "?version=[1.0]"] {
            assert_eq!(world.version(&format!("nuget/kit.0{query}")).await, "1.0.0");
        }
        world.drain_requests().await;
    }
    upstream.heal();
    upstream.publish("kit.0", &["1.0.1"]);
    world.clock.advance(DAY);
    world.restart_functions();
    world.version("nuget/kit.0").await;
    world.drain_requests().await;
    world.restart_functions();
    assert_eq!(world.version("nuget/kit.0?version=[1.0,2.0)").await, "1.0.1");
}

#[tokio::test]
async fn corrupt_content_is_replaced_by_the_next_refreshes() {
    for content in ["VERSIONS", "UPSTREAM"] {
        let upstream = Upstream::start();
        // On several pages, of which a refresh reads only those that changed.
        let versions: Vec<_> = (0..200).map(|minor| format!("1.{minor}.0")).collect();
        upstream.publish("kit", &versions.iter().map(String::as_str).collect::<Vec<_>>());
        let mut world = World::with_upstream(&upstream);
        assert_eq!(world.look_up("nuget/kit").await, "1.199.0");
        world.corrupt_item("PACKAGE#nuget#-#kit", content).await;
        upstream.publish("kit", &["2.0.0"]);
        for _ in 0..3 {
            world.clock.advance(FRESH_FOR);
            world.refresh_due().await;
        }
        world.restart_functions();
        assert_eq!(world.version("nuget/kit").await, "2.0.0", "{content}");
        assert_eq!(world.version("nuget/kit?version=[1.0,1.1]").await, "1.1.0", "{content}");
    }
}

#[tokio::test]
async fn a_package_that_is_read_every_day_never_leaves_the_schedule() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, 1).await;
    world.faults.take_calls();
    for day in 1..=60 {
        world.clock.advance(DAY + Duration::from_mins(1));
        world.refresh_due().await;
        for _ in 0..3 {
            assert_eq!(world.version("nuget/kit.0").await, "1.0.0", "day {day}");
        }
        world.drain_requests().await;
    }
    let calls = world.faults.take_calls();
    let events = calls.iter().filter(|call| call.operation == "PutEvents").count();
    assert_eq!(events, 60, "one event a day");
    assert!(
        calls.iter().filter(|call| call.operation == "PutEvents").all(|call| {
            call.body["Entries"][0]["Detail"].as_str().unwrap().contains("\"reason\":\"seen\"")
        })
    );
    world.clock.advance(FRESH_FOR);
    assert_eq!(world.refresh_due().await.unchanged, 1);
}

#[tokio::test]
async fn a_private_package_is_deleted_when_it_leaves_the_schedule() {
    let upstream = Upstream::start();
    upstream.github_publish(Account::Org("acme"), "secret", Visibility::Private, &["1.0.0"]);
    upstream.github_token("token", &["acme"]);
    let mut world = World::with_upstream(&upstream);
    world.set_github_token("acme/secret", "token").await;
    assert_eq!(world.look_up("github/acme/secret").await, "1.0.0");
    world.delete_github_token("acme/secret").await;
    // The schedule did not run for a month.
    world.clock.advance(31 * DAY);
    assert_eq!(world.refresh_due().await.unscheduled, 1);
    world.restart_functions();
    assert_eq!(world.version("github/acme/secret").await, "pending", "as an unknown package");
}

#[tokio::test]
async fn known_packages_come_before_invented_names_while_an_upstream_is_down() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, 5).await;
    upstream.plan_fault("invented", UpstreamFault::Garbage, usize::MAX);
    for number in 0..300 {
        world.publish_request(&format!("nuget/invented.{number}"), Reason::FirstRequested).await;
    }
    world.drain_requests().await;
    world.clock.advance(FRESH_FOR);
    upstream.take_requests();
    for (failed, postponed) in [(300, 0), (200, 100)] {
        let report = world.refresh_due().await;
        assert_eq!((report.unchanged, report.failed, report.postponed), (5, failed, postponed), "{report:?}");
        let packages = requested_packages(&upstream);
        assert!(packages.iter().take(5).all(|name| name.starts_with("kit.")), "{packages:?}");
        world.clock.advance(FRESH_FOR);
    }
}

/// A package is requested, and later has a new version. Each time, `fault` happens to `times` calls of `operation`.
async fn check_with_fault(operation: &str, fault: Fault, times: usize) {
    let upstream = Upstream::start();
    upstream.github_token("token", &["acme"]);
    let publish = |version| {
        upstream.publish("kit", &[version]);
        upstream.github_publish(Account::Org("acme"), "kit", Visibility::Public, &[version]);
    };
    publish("1.0.0");
    let mut world = World::with_upstream(&upstream);
    world.set_github_token("acme", "token").await;
    let packages = ["nuget/kit", "github/acme/kit"];
    for package in packages {
        world.publish_request(package, Reason::FirstRequested).await;
    }
    world.faults.plan(operation, fault, times);
    world.drain_requests().await;
    world.faults.heal();
    for _ in 0..3 {
        // The lease ends, SQS delivers the message again, and the schedule runs.
        world.clock.advance(Duration::from_mins(31));
        world.drain_requests().await;
        world.refresh_due().await;
    }
    world.restart_functions();
    for package in packages {
        assert_eq!(world.version(package).await, "1.0.0", "{operation} {fault:?} {times}");
    }
    assert_eq!((world.requested(), world.refresh_dead_letters()), (0, 0), "{operation} {fault:?} {times}");
    publish("1.1.0");
    world.clock.advance(FRESH_FOR);
    world.faults.plan(operation, fault, times);
    world.refresh_due().await;
    world.faults.heal();
    world.clock.advance(Duration::from_hours(2));
    world.refresh_due().await;
    world.restart_functions();
    for package in packages {
        assert_eq!(world.version(package).await, "1.1.0", "{operation} {fault:?} {times}");
    }
}

#[tokio::test]
async fn a_package_is_eventually_shown_whichever_call_fails() {
    let operations =
        ["PutItem", "UpdateItem", "GetItem", "TransactWriteItems", "BatchGetItem", "GetSecretValue"];
    let checks = operations.into_iter().flat_map(|operation| {
        Fault::LOST_CALLS.map(|(fault, times)| Box::pin(check_with_fault(operation, fault, times)))
    });
    // Some run at once, because most of their time is backoff. If all ran at once, calls would time out on a busy
    // machine.
    stream::iter(checks).buffer_unordered(CHECKS_AT_ONCE).collect::<()>().await;
}

#[tokio::test]
async fn a_malformed_request_goes_to_the_dead_letter_queue() {
    let world = World::new();
    world.send(REFRESH_QUEUE, "{\"detail\":{\"version\":2}}").await;
    for _ in 0..6 {
        world.drain_requests().await;
        world.clock.advance(Duration::from_mins(30));
    }
    assert_eq!((world.requested(), world.refresh_dead_letters()), (0, 1));
}

/// The calls to AWS, sorted by name, and the number of requests upstream since the last time.
fn cost(world: &World, upstream: &Upstream) -> String {
    let mut calls: Vec<_> = world.faults.take_calls().into_iter().map(|call| call.operation).collect();
    calls.retain(|call| !matches!(call.as_str(), "ReceiveMessage" | "DeleteMessageBatch"));
    calls.sort();
    format!("{}; upstream {}", calls.join(" "), upstream.take_requests().len())
}

#[tokio::test]
async fn every_operation_makes_the_expected_calls() {
    let upstream = Upstream::start();
    upstream.github_token("token", &["acme"]);
    let mut text = String::new();
    for package in ["nuget/kit", "github/acme/kit"] {
        let publish = |version| {
            upstream.publish("kit", &[version]);
            upstream.github_publish(Account::Org("acme"), "kit", Visibility::Public, &[version]);
        };
        publish("1.0.0");
        let world = World::with_upstream(&upstream);
        world.set_github_token("acme", "token").await;
        cost(&world, &upstream);
        let mut note = |what| writeln!(text, "{package}, {what}: {}", cost(&world, &upstream)).unwrap();
        world.version(package).await;
        note("badge, first read");
        world.drain_requests().await;
        note("first refresh");
        world.version(package).await;
        note("badge");
        world.version(package).await;
        note("badge, again");
        let with_range = format!("{package}?version=1.0");
        world.version(&with_range).await;
        note("badge with a range");
        world.version(&with_range).await;
        note("badge with a range, again");
        world.refresh_due().await;
        note("schedule with nothing due");
        world.clock.advance(FRESH_FOR);
        world.refresh_due().await;
        note("schedule, one unchanged");
        world.clock.advance(FRESH_FOR);
        publish("1.1.0");
        world.refresh_due().await;
        note("schedule, one changed");
    }
    insta::assert_snapshot!(text, @r"
    nuget/kit, badge, first read: GetItem PutEvents; upstream 0
    nuget/kit, first refresh: PutItem TransactWriteItems; upstream 2
    nuget/kit, badge: GetItem; upstream 0
    nuget/kit, badge, again: ; upstream 0
    nuget/kit, badge with a range: Query; upstream 0
    nuget/kit, badge with a range, again: ; upstream 0
    nuget/kit, schedule with nothing due: Query Query Query Query Query Query Query Query Query Query; upstream 0
    nuget/kit, schedule, one unchanged: GetItem Query Query Query Query Query Query Query Query Query Query UpdateItem UpdateItem; upstream 1
    nuget/kit, schedule, one changed: GetItem GetItem Query Query Query Query Query Query Query Query Query Query TransactWriteItems UpdateItem; upstream 2
    github/acme/kit, badge, first read: GetItem PutEvents; upstream 0
    github/acme/kit, first refresh: BatchGetItem GetSecretValue PutItem TransactWriteItems; upstream 2
    github/acme/kit, badge: GetItem; upstream 0
    github/acme/kit, badge, again: ; upstream 0
    github/acme/kit, badge with a range: Query; upstream 0
    github/acme/kit, badge with a range, again: ; upstream 0
    github/acme/kit, schedule with nothing due: Query Query Query Query Query Query Query Query Query Query; upstream 0
    github/acme/kit, schedule, one unchanged: BatchGetItem GetItem Query Query Query Query Query Query Query Query Query Query UpdateItem UpdateItem; upstream 2
    github/acme/kit, schedule, one changed: BatchGetItem GetItem GetItem Query Query Query Query Query Query Query Query Query Query TransactWriteItems UpdateItem; upstream 2
    ");
}
