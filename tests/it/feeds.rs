//! The NuGet feeds that operators register: which are shown, and where their credentials go.

use std::time::Duration;

use serde_json::json;
use tests::faults::Fault;
use tests::upstream::{RecordedRequest, Upstream, UpstreamFault};
use tests::world::{FRESH_FOR, World};
use tokio::time::Instant;

/// `ci:hunter2hunter2`
const BASIC: &str = "Basic Y2k6aHVudGVyMmh1bnRlcjI=";
const PASSWORD: &str = "hunter2hunter2";

/// A default feed, another one, and a world that knows only the first.
fn two_feeds() -> (Upstream, Upstream, World) {
    let (default, other) = (Upstream::start(), Upstream::start());
    default.publish("kit", &["1.0.0"]);
    other.publish("kit", &["5.0.0", "6.0.0-beta"]);
    let world = World::with_upstream(&default);
    (default, other, world)
}

fn credentials(requests: &[RecordedRequest]) -> Vec<Option<&str>> {
    requests.iter().map(|request| request.header("authorization")).collect()
}

#[tokio::test]
async fn a_feed_has_its_packages() {
    let (default, other, mut world) = two_feeds();
    world.add_feed("nightly", &other.nuget_service_index(), None).await;
    assert_eq!(world.look_up("nuget/Kit?feed=nightly").await, "5.0.0");
    assert_eq!(world.version("nuget/kit?feed=Nightly&prerelease").await, "6.0.0-beta");
    assert!(default.take_requests().is_empty(), "the default feed is not asked");
    assert_eq!(world.look_up("nuget/kit").await, "1.0.0");
    assert!(credentials(&other.take_requests()).iter().all(Option::is_none));
    other.publish("kit", &["5.1.0"]);
    world.clock.advance(FRESH_FOR);
    assert_eq!(world.refresh_due().await.changed, 1);
    assert_eq!(world.version("nuget/kit?feed=nightly").await, "5.1.0");

    world.remove_feed("nightly").await;
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(world.version("nuget/kit?feed=nightly").await, "not found", "within a minute");
    world.clock.advance(FRESH_FOR);
    assert_eq!(world.refresh_due().await.not_found, 1, "its versions are deleted");
    assert_eq!(world.version("nuget/kit").await, "1.0.0");
}

#[tokio::test]
async fn an_unknown_feed_is_not_found_without_an_event() {
    let (_, other, world) = two_feeds();
    world.faults.take_calls();
    for name in ["unknown", "no_feed", "-x", &"a".repeat(51)] {
        for _ in 0..3 {
            let badge = world.get(&format!("/badges/packages/nuget/kit?feed={name}")).await.json();
            assert_eq!((&badge["message"], &badge["isError"]), (&json!("not found"), &json!(true)), "{name}");
        }
    }
    assert_eq!(world.faults.take_count("GetItem"), 1, "the absence of a feed is remembered");
    assert_eq!(world.requested(), 0);
    world.add_feed("unknown", &other.nuget_service_index(), None).await;
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(world.version("nuget/kit?feed=unknown").await, "pending", "for a minute");
}

#[tokio::test]
async fn a_package_of_a_feed_with_credentials_is_shown_only_if_it_is_allowed() {
    let (_, other, mut world) = two_feeds();
    world.add_feed("closed", &other.nuget_service_index(), Some(("ci", PASSWORD))).await;
    assert_eq!(world.look_up("nuget/kit?feed=closed").await, "not found");
    assert!(other.take_requests().is_empty(), "a package that is not allowed is not looked up");
    world.allow("closed", "kit").await;
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.look_up("nuget/kit?feed=closed").await, "5.0.0");
    assert!(credentials(&other.take_requests()).iter().all(|sent| *sent == Some(BASIC)));

    world.deny("closed", "kit").await;
    other.plan_fault("/v3", UpstreamFault::Dropped, usize::MAX);
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(world.refresh_due().await.not_found, 1, "even if the feed fails");
    for query in ["", "&version=[1.0,9.0)"] {
        assert_eq!(world.version(&format!("nuget/kit?feed=closed{query}")).await, "not found");
    }
}

#[tokio::test]
async fn packages_of_a_feed_that_gets_credentials_later_are_not_found_until_they_are_allowed() {
    let (_, other, mut world) = two_feeds();
    world.add_feed("later", &other.nuget_service_index(), None).await;
    other.publish("denied", &["7.0.0"]);
    for (package, version) in [("kit", "5.0.0"), ("denied", "7.0.0")] {
        assert_eq!(world.look_up(&format!("nuget/{package}?feed=later")).await, version);
    }
    world.add_feed("later", &other.nuget_service_index(), Some(("ci", PASSWORD))).await;
    world.allow("later", "kit").await;
    world.clock.advance(Duration::from_mins(1));
    for package in ["kit", "denied"] {
        assert_eq!(world.version(&format!("nuget/{package}?feed=later")).await, "not found", "at once");
    }
    world.clock.advance(FRESH_FOR);
    let report = world.refresh_due().await;
    assert_eq!((report.unchanged, report.not_found), (1, 1), "{report:?}");
    world.restart_functions();
    assert_eq!(world.version("nuget/kit?feed=later").await, "5.0.0", "allowed");
    assert_eq!(world.version("nuget/denied?feed=later").await, "not found");
    world.clock.advance(FRESH_FOR);
    other.take_requests();
    assert_eq!(world.refresh_due().await.unchanged, 1);
    let requests = other.take_requests();
    let mut documents = requests.iter().filter(|request| request.path.contains("kit"));
    assert!(documents.all(|request| request.status == Some(304)), "conditional again: {requests:?}");
}

#[tokio::test]
async fn the_calls_of_a_badge_take_a_bounded_time_together() {
    let (_, other, mut world) = two_feeds();
    world.add_feed("nightly", &other.nuget_service_index(), None).await;
    assert_eq!(world.look_up("nuget/kit?feed=nightly").await, "5.0.0");
    world.clock.advance(Duration::from_mins(2));
    // Paused only here: before, it would time out the sockets to the upstream.
    tokio::time::pause();
    world.faults.plan("GetItem", Fault::TimesOut, 1);
    let started = Instant::now();
    assert_eq!(world.version("nuget/kit?feed=nightly").await, "5.0.0", "the feed answers the second call");
    assert!(started.elapsed() >= Duration::from_millis(700));
    world.clock.advance(Duration::from_mins(2));
    world.faults.plan_for("GetItem", "FEED#", Fault::TimesOut, 1);
    world.faults.then_plan("GetItem", Fault::TimesOut, usize::MAX);
    let started = Instant::now();
    assert_eq!(world.version("nuget/kit?feed=nightly").await, "5.0.0", "from memory");
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_millis(1510), "{elapsed:?}");
}

#[tokio::test]
async fn a_feed_may_expire() {
    let (_, other, world) = two_feeds();
    world.add_feed("brief", &other.nuget_service_index(), None).await;
    world.expire_feed("brief", Duration::from_mins(10)).await;
    assert_eq!(world.version("nuget/kit?feed=brief").await, "pending");
    world.clock.advance(Duration::from_mins(10));
    assert_eq!(world.version("nuget/kit?feed=brief").await, "not found");
}

#[tokio::test]
async fn credentials_go_to_the_host_of_the_feed_only() {
    let (moved, elsewhere) = (Upstream::start(), Upstream::start());
    elsewhere.publish("kit", &["3.0.0"]);
    for (part, fault) in [
        ("/v3/index.json", UpstreamFault::RedirectTo(elsewhere.nuget_service_index())),
        ("/v3/index.json", {
            let base = format!("{}/v3/registration5-gz-semver2/", elsewhere.url());
            let resources = json!([{ "@id": base, "@type": "RegistrationsBaseUrl/3.6.0" }]);
            let body = json!({ "resources": resources }).to_string();
            UpstreamFault::Status { status: 200, headers: Vec::new(), body }
        }),
    ] {
        let mut world = World::with_upstream(&moved);
        world.add_feed("closed", &moved.nuget_service_index(), Some(("ci", PASSWORD))).await;
        world.allow("closed", "kit").await;
        moved.plan_fault(part, fault, usize::MAX);
        assert_eq!(world.look_up("nuget/kit?feed=closed").await, "3.0.0");
        assert_eq!(credentials(&moved.take_requests()), [Some(BASIC)]);
        let others = elsewhere.take_requests();
        assert!(!others.is_empty() && credentials(&others).iter().all(Option::is_none), "{others:?}");
        moved.heal();
    }
}

#[tokio::test]
async fn cached_credentials_do_not_go_to_another_feed_of_the_same_name() {
    let (before, after) = (Upstream::start(), Upstream::start());
    before.publish("kit", &["1.0.0"]);
    after.publish("kit", &["2.0.0"]);
    let mut world = World::with_upstream(&before);
    world.add_feed("closed", &before.nuget_service_index(), Some(("ci", "an old password"))).await;
    world.allow("closed", "kit").await;
    assert_eq!(world.look_up("nuget/kit?feed=closed").await, "1.0.0");
    world.remove_feed("closed").await;
    world.add_feed("closed", &after.nuget_service_index(), Some(("ci", PASSWORD))).await;
    world.allow("closed", "kit").await;
    world.clock.advance(FRESH_FOR);
    world.refresh_due().await;
    let sent = after.take_requests();
    assert!(!sent.is_empty() && credentials(&sent).iter().all(|sent| *sent == Some(BASIC)), "{sent:?}");
}

#[tokio::test]
async fn known_versions_stay_while_the_credentials_are_rejected() {
    let (_, other, mut world) = two_feeds();
    world.add_feed("closed", &other.nuget_service_index(), Some(("ci", PASSWORD))).await;
    for package in ["kit", "new"] {
        world.allow("closed", package).await;
    }
    assert_eq!(world.look_up("nuget/kit?feed=closed").await, "5.0.0");
    other.publish("new", &["1.0.0"]);
    let rejected = UpstreamFault::Status { status: 401, headers: Vec::new(), body: String::new() };
    other.plan_fault("/v3", rejected, usize::MAX);
    world.clock.advance(FRESH_FOR);
    assert_eq!(world.refresh_due().await.failed, 1);
    assert_eq!(world.version("nuget/kit?feed=closed").await, "5.0.0");
    assert_eq!(world.look_up("nuget/new?feed=closed").await, "not found");
    other.heal();
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.look_up("nuget/new?feed=closed").await, "1.0.0");
}
