//! Packages of NuGet's: what is asked of a feed, what is made of its answers, and what becomes of a badge while
//! the feed fails.

use std::time::{Duration, Instant};

use refresher::{Patience, Report};
use serde_json::json;
use tests::upstream::{RecordedRequest, Upstream, UpstreamFault};
use tests::world::{FRESH_FOR, World};

/// Where the versions of Acme.Kit are.
const INDEX: &str = "/v3/registration5-gz-semver2/acme.kit/index.json";
const ALWAYS: usize = usize::MAX;
const MINUTE: Duration = Duration::from_mins(1);
/// After so long whatever has failed is tried again, however often it has.
const LONGEST_BACKOFF: Duration = Duration::from_mins(61);

/// A world in which Acme.Kit is known with these versions.
async fn knowing(upstream: &Upstream, versions: &[&str]) -> World {
    upstream.publish("Acme.Kit", versions);
    let world = World::with_upstream(upstream);
    assert_eq!(world.version("nuget/acme.kit").await, "pending");
    world.drain_requests().await;
    upstream.take_requests();
    world
}

/// Some time passes, and what is due then is looked up.
async fn refresh(world: &World, after: Duration) -> Report {
    world.clock.advance(after);
    world.refresh_due().await
}

/// The requests so far with `part` in their path; forgets all others too.
fn asked(upstream: &Upstream, part: &str) -> Vec<RecordedRequest> {
    let mut asked = upstream.take_requests();
    asked.retain(|asked| asked.path.contains(part));
    asked
}

fn status(status: u16, headers: &[(&'static str, &str)]) -> UpstreamFault {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    UpstreamFault::Status { status, headers, body: "{}".to_owned() }
}

/// The answer in place of another.
fn document(body: &impl ToString) -> UpstreamFault {
    UpstreamFault::Status { status: 200, headers: Vec::new(), body: body.to_string() }
}

#[tokio::test]
async fn a_package_is_fetched_once_and_then_confirmed() {
    let upstream = Upstream::start();
    upstream.publish("Acme.Kit", &["1.0.0", "1.1.0"]);
    let world = World::with_upstream(&upstream);
    assert_eq!(world.version("nuget/ACME.Kit").await, "pending");
    world.drain_requests().await;
    let first = upstream.take_requests();
    let paths: Vec<_> = first.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(
        paths,
        ["/v3/index.json", INDEX],
        "ids go in lower case; pages in the index are not asked for"
    );
    for asked in &first {
        assert_eq!(asked.header("accept-encoding"), Some("gzip"));
        assert!(asked.header("user-agent").unwrap().starts_with("badgesmith/"));
        for absent in ["authorization", "if-none-match", "if-modified-since"] {
            assert_eq!(asked.header(absent), None, "{absent}");
        }
    }
    assert_eq!(world.version("nuget/acme.kit").await, "1.1.0");

    for (how, answered) in [(None, 304), (Some(UpstreamFault::SameTag), 200), (None, 304)] {
        if let Some(how) = how {
            upstream.plan_fault("/acme.kit/", how, 1);
        }
        world.faults.take_calls();
        assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1, "{answered}");
        assert_eq!(world.faults.take_count("TransactWriteItems"), 0, "{answered}: nothing is stored anew");
        let again = asked(&upstream, "acme.kit");
        assert_eq!(again.len(), 1, "one conditional request is enough");
        assert!(again[0].header("if-none-match").unwrap().starts_with("\"0x8D"));
        assert!(again[0].header("if-modified-since").is_some());
        assert_eq!((again[0].path.as_str(), again[0].status), (INDEX, Some(answered)));
        assert_eq!(world.version("nuget/acme.kit").await, "1.1.0");
    }
    upstream.publish("Acme.Kit", &["1.2.0"]);
    assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1);
    assert_eq!(world.version("nuget/acme.kit").await, "1.2.0");
}

#[tokio::test]
async fn versions_are_shown_as_nuget_writes_and_orders_them() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    let cases = [
        (&["1.0.0-alpha", "1.0.0-beta.10", "1.0.0-beta.9"][..], "", "1.0.0-beta.10", "orange"),
        (&["1.0.0", "2.0.0-rc.1"], "", "1.0.0", "blue"),
        (&["1.0.0", "2.0.0-rc.1"], "?prerelease=true", "2.0.0-rc.1", "orange"),
        (&["1.10.0", "1.9.0", "1.2.0"], "", "1.10.0", "blue"),
        (&["1.0.0", "1.0.0.1"], "", "1.0.0.1", "blue"),
        (&["1.2.3.0"], "", "1.2.3", "blue"),
        (&["2.0.0+build.7", "1.0.0"], "", "2.0.0", "blue"),
        (&["1.0.0-RC.1", "1.0.0-Beta.2"], "", "1.0.0-RC.1", "orange"),
        (&["1.0.0", "2.0.0"], "?version=[3.0,4.0)", "not found", "red"),
    ];
    for (at, (versions, query, message, color)) in cases.into_iter().enumerate() {
        let package = format!("acme.kit{at}");
        upstream.publish(&package, versions);
        assert_eq!(world.look_up(&format!("nuget/{package}{query}")).await, message, "{versions:?}");
        let badge = world.get(&format!("/badges/packages/nuget/{package}{query}")).await;
        assert_eq!(badge.json()["color"], color, "{versions:?}");
    }
}

#[tokio::test]
async fn either_mark_hides_a_version_and_no_mark_does_not() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    let (today, never) = ("2025-06-02T00:00:00+00:00", "1900-01-01T00:00:00+00:00");
    let cases = [
        (json!({ "version": "2.0.0", "listed": false, "published": today }), "1.0.0"),
        (json!({ "version": "2.0.0", "published": never }), "1.0.0"),
        (json!({ "version": "2.0.0", "listed": true, "published": never }), "1.0.0"),
        (json!({ "version": "2.0.0" }), "2.0.0"),
        (json!({ "version": "of no use" }), "1.0.0"),
    ];
    for (at, (entry, message)) in cases.into_iter().enumerate() {
        let package = format!("acme.kit{at}");
        let leaves = json!([{ "catalogEntry": { "version": "1.0.0" } }, { "catalogEntry": entry }]);
        let page = json!({ "@id": "#page", "lower": "1.0.0", "upper": "2.0.0", "items": leaves });
        upstream.plan_fault(&package, document(&json!({ "items": [page] })), 1);
        assert_eq!(world.look_up(&format!("nuget/{package}")).await, message, "{entry}");
    }
}

#[tokio::test]
async fn what_is_unlisted_goes_and_what_is_relisted_comes_back() {
    let upstream = Upstream::start();
    // One in four is marked as unlisted by its date alone.
    let world = knowing(&upstream, &["1.0.0", "1.0.1", "1.0.2", "1.0.3"]).await;
    let steps = [("1.0.3", "1.0.2"), ("1.0.1", "1.0.2"), ("1.0.2", "1.0.0"), ("1.0.0", "not found")];
    for (gone, message) in steps {
        upstream.unlist("Acme.Kit", gone);
        assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1);
        assert_eq!(world.version("nuget/acme.kit").await, message, "without {gone}");
        let exactly = world.version(&format!("nuget/acme.kit?version=[{gone}]")).await;
        assert_eq!(exactly, "not found", "{gone} is not even shown to who asks for it");
    }
    let unchanged = refresh(&world, FRESH_FOR).await.unchanged;
    assert_eq!(unchanged, 1, "a package without a listed version stays on the schedule");
    upstream.relist("Acme.Kit", "1.0.1");
    refresh(&world, FRESH_FOR).await;
    assert_eq!(world.version("nuget/acme.kit").await, "1.0.1");
}

#[tokio::test]
async fn only_the_pages_that_changed_are_read_again() {
    for (count, pages) in [(127, 0), (128, 2)] {
        check_pages(count, pages).await;
    }
}

#[tokio::test]
async fn a_package_may_have_thousands_of_versions() {
    check_pages(3000, 47).await;
}

async fn check_pages(count: u32, pages: usize) {
    let upstream = Upstream::start();
    let versions: Vec<_> = (0..count).map(|n| format!("{}.{}.{}", n / 100, n / 10 % 10, n % 10)).collect();
    let versions: Vec<_> = versions.iter().map(String::as_str).collect();
    upstream.publish("Acme.Kit", &versions);
    let mut world = World::with_upstream(&upstream);
    let latest = *versions.last().unwrap();
    assert_eq!(world.look_up("nuget/acme.kit").await, latest);
    assert_eq!(asked(&upstream, "acme.kit").len(), 1 + pages, "{count} versions");
    for (range, message) in
        [("(,0.1)", "0.0.9"), ("[0.3,0.4)", "0.3.9"), ("(,0.5.4]", "0.5.4"), ("1", latest)]
    {
        assert_eq!(world.version(&format!("nuget/acme.kit?version={range}")).await, message, "{range}");
    }
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1);
    assert_eq!(asked(&upstream, "acme.kit").len(), 1, "the index alone is confirmed");

    upstream.publish("Acme.Kit", &["100.0.0"]);
    refresh(&world, FRESH_FOR).await;
    assert_eq!(world.version("nuget/acme.kit").await, "100.0.0");
    // With the 128th version, the index lets go of its pages.
    let changed = if count == 127 { 2 } else { 1 };
    assert_eq!(asked(&upstream, "acme.kit").len(), 1 + changed, "{count} versions and one more");

    upstream.unlist("Acme.Kit", "0.3.9");
    refresh(&world, FRESH_FOR).await;
    assert_eq!(asked(&upstream, "acme.kit").len(), 2, "an old page changed: it and the index");
    for (range, message) in [("[0.3,0.4)", "0.3.8"), ("[0.3.9]", "not found"), ("(,0.5.4]", "0.5.4")] {
        assert_eq!(world.version(&format!("nuget/acme.kit?version={range}")).await, message, "{range}");
    }
}

#[tokio::test]
async fn a_page_that_fails_changes_nothing() {
    let upstream = Upstream::start();
    let versions: Vec<_> = (0..200).map(|n| format!("1.{n}.0")).collect();
    let world = knowing(&upstream, &versions.iter().map(String::as_str).collect::<Vec<_>>()).await;
    upstream.publish("Acme.Kit", &["2.0.0"]);
    upstream.unlist("Acme.Kit", "1.7.0");
    for (how, tries) in [(status(404, &[]), 1), (status(500, &[]), 4), (UpstreamFault::Garbage, 1)] {
        upstream.plan_fault("/page/", how.clone(), ALWAYS);
        assert_eq!(refresh(&world, LONGEST_BACKOFF).await.failed, 1, "{how:?}");
        // The two that changed are read at once; the failure of one may come before the other is begun.
        let asked = asked(&upstream, "/page/").len();
        assert!((tries..=2 * tries).contains(&asked), "{how:?}: {asked}");
        assert_eq!(world.version("nuget/acme.kit").await, "1.199.0", "{how:?}");
        assert_eq!(world.version("nuget/acme.kit?version=[1.7,1.8)").await, "1.7.0", "{how:?}");
        upstream.heal();
    }
    refresh(&world, LONGEST_BACKOFF).await;
    assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
    assert_eq!(world.version("nuget/acme.kit?version=[1.7,1.8)").await, "not found");
}

#[tokio::test]
async fn a_simple_feed_has_a_flat_container_only() {
    let upstream = Upstream::start();
    upstream.leave_out_registrations();
    let world = knowing(&upstream, &["1.0.0", "1.10.0-RC.1", "1.9.0"]).await;
    assert_eq!(world.version("nuget/acme.kit").await, "1.9.0");
    assert_eq!(world.version("nuget/acme.kit?prerelease=true").await, "1.10.0-rc.1");
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1);
    assert_eq!(asked(&upstream, "/v3-flatcontainer/acme.kit/index.json")[0].status, Some(304));
    upstream.publish("Acme.Kit", &["1.11.0"]);
    refresh(&world, FRESH_FOR).await;
    assert_eq!(world.version("nuget/acme.kit").await, "1.11.0");
}

#[tokio::test]
async fn the_service_index_is_read_each_half_hour_and_an_old_one_is_better_than_none() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    for package in ["acme.kit", "acme.tools", "acme.clock"] {
        upstream.publish(package, &["1.0.0"]);
        world.version(&format!("nuget/{package}")).await;
    }
    world.drain_requests().await;
    assert_eq!(asked(&upstream, "/v3/index.json").len(), 1, "once for all packages");
    for (after, times) in [(15, 0), (14, 0), (16, 1), (15, 0), (16, 1)] {
        refresh(&world, MINUTE * after).await;
        assert_eq!(asked(&upstream, "/v3/index.json").len(), times, "{after} minutes later");
    }
    for how in [status(500, &[]), UpstreamFault::Garbage, document(&json!({ "resources": [] }))] {
        upstream.plan_fault("/v3/index.json", how.clone(), ALWAYS);
        upstream.publish("Acme.Kit", &[&format!("1.0.{}", world.now().unix_seconds())]);
        assert_eq!(refresh(&world, MINUTE * 31).await.changed, 1, "{how:?}: the last good one is used");
        upstream.heal();
    }
    upstream.plan_fault("/v3/index.json", status(500, &[]), ALWAYS);
    world.restart_functions();
    assert_eq!(world.look_up("nuget/acme.new").await, "unavailable", "there is no last good one");
}

#[tokio::test]
async fn a_feed_may_be_anywhere_and_have_several_addresses() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    other.publish("Acme.Kit", &["2.0.0"]);
    let mut world = World::with_upstream(&upstream);
    world.set_nuget_service_index(&format!("{}?feed=acme", other.nuget_service_index()));
    let address = |path: &str| json!({ "@id": format!("{}{path}", other.url()), "@type": "RegistrationsBaseUrl/3.6.0" });
    let resources = [address("/down"), address("/v3/registration5-gz-semver2/")];
    other.plan_fault("/down/", UpstreamFault::Dropped, ALWAYS);
    other.plan_fault("/v3/index.json?feed=acme", document(&json!({ "resources": resources })), 1);
    assert_eq!(world.look_up("nuget/acme.kit").await, "2.0.0");
    let asked = asked(&other, "");
    assert_eq!(
        (asked.len(), asked[5].path.as_str()),
        (1 + 4 + 1, INDEX),
        "the second, once the first failed"
    );
    assert!(upstream.take_requests().is_empty(), "the feed was replaced");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_asked_for_again_by_a_reader_after_an_hour() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    assert_eq!(world.look_up("nuget/acme.kit").await, "not found");
    assert_eq!(asked(&upstream, "acme.kit").len(), 1, "a 404 is an answer, not a failure");
    upstream.publish("Acme.Kit", &["1.0.0"]);
    for _ in 0..11 {
        refresh(&world, MINUTE * 5).await;
        assert_eq!(world.version("nuget/acme.kit").await, "not found");
        world.drain_requests().await;
    }
    refresh(&world, MINUTE * 6).await;
    assert_eq!(asked(&upstream, "acme.kit").len(), 0, "not before the hour is over, and not by the clock");
    assert_eq!(world.look_up("nuget/acme.kit").await, "1.0.0");
}

#[tokio::test]
async fn a_known_package_is_gone_when_that_was_said_three_times_in_an_hour() {
    let upstream = Upstream::start();
    let world = knowing(&upstream, &["1.0.0"]).await;
    // Said twice, and then not: that counts for nothing.
    upstream.plan_fault("acme.kit", status(404, &[]), 2);
    for confirmed in [0, 0, 1] {
        assert_eq!(refresh(&world, MINUTE * 20).await.unchanged, confirmed);
        assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
    }
    upstream.remove("Acme.Kit");
    upstream.take_requests();
    let mut said = Vec::new();
    for minute in (5..=120).step_by(5) {
        refresh(&world, MINUTE * 5).await;
        said.extend(asked(&upstream, "acme.kit").iter().map(|_| minute));
        let expected = if said.len() < 3 { "1.0.0" } else { "not found" };
        assert_eq!(world.version("nuget/acme.kit").await, expected, "asked after minutes {said:?}");
    }
    assert_eq!(said.len(), 3, "then it has left the schedule: {said:?}");
    assert!(said.windows(2).all(|pair| (15..=20).contains(&(pair[1] - pair[0]))), "{said:?}");
}

/// A known package and a new name, while everything about packages goes wrong in one way, and after that.
async fn check(how: UpstreamFault, requests: usize) {
    let upstream = Upstream::start();
    let mut world = knowing(&upstream, &["1.0.0", "1.1.0"]).await;
    upstream.publish("Acme.Kit", &["2.0.0"]);
    upstream.publish("Acme.New", &["3.0.0"]);
    let is_slow = matches!(how, UpstreamFault::Slow(_));
    if is_slow {
        let [first_backoff, read] = [1, 150].map(Duration::from_millis);
        world.set_upstream_timeouts(Patience { read, first_backoff, ..Patience::default() });
    }
    upstream.plan_fault("/acme.", how, ALWAYS);
    let report = refresh(&world, FRESH_FOR).await;
    assert_eq!((report.failed, report.changed, report.not_found), (1, 0, 0));
    assert_eq!(asked(&upstream, "acme.kit").len(), requests, "the first try and those after it");
    for (query, message) in [("", "1.1.0"), ("?version=[1.0,1.1)", "1.0.0"), ("?version=[1.0,)", "1.1.0")] {
        assert_eq!(world.version(&format!("nuget/acme.kit{query}")).await, message, "what is known stays");
    }
    assert_eq!(world.version("nuget/acme.new").await, "pending");
    world.drain_requests().await;
    assert_eq!(world.version("nuget/acme.new").await, "unavailable", "nobody knows whether it exists");

    upstream.heal();
    if is_slow {
        world.set_upstream_timeouts(Patience::default());
    }
    assert_eq!(refresh(&world, LONGEST_BACKOFF).await.changed, 2, "it recovers by itself");
    assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
    assert_eq!(world.version("nuget/acme.kit?version=(,2.0)").await, "1.1.0");
    assert_eq!(world.version("nuget/acme.new").await, "3.0.0");
}

/// One test for each way in which an answer goes wrong, with the number of requests that it takes.
macro_rules! a_failure_takes_nothing_away {
    ($($name:ident: $how:expr, $requests:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            check($how, $requests).await;
        }
    )*};
}

a_failure_takes_nothing_away! {
    the_feed_may_fail: status(500, &[]), 4;
    the_feed_may_be_unavailable_for_long: status(503, &[("retry-after", "600")]), 1;
    the_feed_may_limit_us: status(429, &[("retry-after", "600")]), 1;
    the_feed_may_limit_us_without_end: status(429, &[]), 1;
    the_answer_may_be_slow: UpstreamFault::Slow(MINUTE), 4;
    the_answer_may_be_missing: UpstreamFault::Dropped, 4;
    the_answer_may_break_off: UpstreamFault::BrokenOff, 4;
    the_answer_may_be_cut: UpstreamFault::TruncatedGzip, 1;
    the_answer_may_be_garbage: UpstreamFault::Garbage, 1;
    the_answer_may_be_another_document: document(&json!({ "versions": ["9.0.0"] })), 1;
    the_answer_may_be_too_long: document(&(json!({ "items": [] }).to_string() + &" ".repeat(17 << 20))), 1;
    the_answer_may_lead_in_a_circle: UpstreamFault::RedirectTo(INDEX.to_owned()), 6;
}

#[tokio::test]
async fn a_bomb_is_not_unpacked() {
    let upstream = Upstream::start();
    let world = knowing(&upstream, &["1.0.0"]).await;
    upstream.plan_fault("acme.kit", UpstreamFault::GzipBomb, 1);
    assert_eq!(refresh(&world, FRESH_FOR).await.failed, 1);
    assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
}

#[tokio::test]
async fn a_redirect_is_followed_to_the_same_host_only() {
    let other = Upstream::start();
    other.publish("Acme.Kit", &["9.0.0"]);
    check(UpstreamFault::RedirectTo(format!("{}{INDEX}", other.url())), 1).await;
    assert!(other.take_requests().is_empty(), "another host is not asked");

    let upstream = Upstream::start();
    let world = knowing(&upstream, &["1.0.0"]).await;
    upstream.publish("Acme.Kit", &["2.0.0"]);
    upstream.plan_fault("acme.kit", UpstreamFault::RedirectTo(format!("{INDEX}?moved")), 1);
    assert_eq!((refresh(&world, FRESH_FOR).await.changed, asked(&upstream, "?moved").len()), (1, 1));
}

#[tokio::test]
async fn a_host_that_asks_for_a_moment_gets_it() {
    let check = async |answer| {
        let upstream = Upstream::start();
        let world = knowing(&upstream, &["1.0.0"]).await;
        upstream.publish("Acme.Kit", &["2.0.0"]);
        upstream.plan_fault("acme.kit", status(answer, &[("retry-after", "1")]), 1);
        let started = Instant::now();
        assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1, "{answer}: the second try is good");
        assert!(started.elapsed() >= Duration::from_secs(1), "{answer}: and not too early");
        assert_eq!(asked(&upstream, "acme.kit").len(), 2, "{answer}");
    };
    tokio::join!(check(429), check(503));
}

#[tokio::test]
async fn a_host_that_asks_for_half_an_hour_gets_it() {
    for answer in [429, 503] {
        let upstream = Upstream::start();
        let world = knowing(&upstream, &["1.0.0"]).await;
        upstream.publish("Acme.Kit", &["2.0.0"]);
        upstream.publish("Acme.New", &["3.0.0"]);
        upstream.plan_fault("acme.kit", status(answer, &[("retry-after", "1800")]), 1);
        refresh(&world, FRESH_FOR).await;
        assert_eq!(asked(&upstream, "acme.kit").len(), 1, "{answer}");
        for minute in [5, 10, 15, 20, 25, 29] {
            world.version("nuget/acme.new").await;
            world.drain_requests().await;
            refresh(&world, MINUTE * if minute == 29 { 4 } else { 5 }).await;
            let asked = asked(&upstream, "acme.").len();
            assert_eq!(asked, 0, "{answer}: after {minute} minutes, for any package");
            assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
        }
        refresh(&world, MINUTE * 2).await;
        assert_eq!(world.version("nuget/acme.kit").await, "2.0.0", "{answer}: then it is asked again");
        assert_eq!(world.version("nuget/acme.new").await, "3.0.0", "{answer}");
    }
}

#[tokio::test]
async fn a_package_that_fails_is_tried_less_and_less_but_each_hour() {
    let upstream = Upstream::start();
    let world = knowing(&upstream, &["1.0.0"]).await;
    upstream.plan_fault("acme.kit", UpstreamFault::Garbage, ALWAYS);
    let (mut minute, mut tries) = (10, Vec::new());
    world.clock.advance(MINUTE * minute);
    while minute < 24 * 60 {
        // The schedule comes each five minutes; to save time here, less often once that makes no difference.
        let step = if tries.len() < 8 { 5 } else { 10 };
        minute += step;
        refresh(&world, MINUTE * step).await;
        tries.extend(asked(&upstream, "acme.kit").iter().map(|_| minute));
    }
    let gaps: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // One minute, two, four and so on, less up to a fifth, until the schedule comes by.
    let doubled = [5..=5, 5..=5, 5..=5, 10..=10, 15..=20, 30..=35];
    assert!(doubled.iter().zip(&gaps).all(|(expected, gap)| expected.contains(gap)), "{gaps:?}");
    assert!(gaps.len() >= doubled.len() + 20, "{gaps:?}");
    assert!(gaps[doubled.len()..].iter().all(|gap| (50..=60).contains(gap)), "{gaps:?}");
}

#[tokio::test]
async fn a_host_that_fails_three_times_is_left_alone_but_for_a_probe() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    let [first_backoff, breaker_open] = [1, 600].map(Duration::from_millis);
    world.set_upstream_timeouts(Patience { first_backoff, breaker_open, ..Patience::default() });
    upstream.publish("acme.new", &["1.0.0"]);
    for package in ["acme.kit", "acme.tools", "acme.clock"] {
        upstream.publish(package, &["1.0.0"]);
        world.version(&format!("nuget/{package}")).await;
    }
    world.drain_requests().await;
    upstream.take_requests();
    upstream.plan_fault("/acme.", status(500, &[]), ALWAYS);
    assert_eq!(refresh(&world, FRESH_FOR).await.failed, 3);
    assert_eq!(asked(&upstream, "/acme.").len(), 3 * 4, "three failures, each with its retries");
    world.version("nuget/acme.new").await;
    world.drain_requests().await;
    assert_eq!(world.version("nuget/acme.new").await, "unavailable");
    assert_eq!(refresh(&world, MINUTE * 5).await.failed, 4);
    assert_eq!(asked(&upstream, "/acme.").len(), 0, "no other package is asked for, nor these again");
    assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");

    tokio::time::sleep(breaker_open * 11 / 10).await;
    assert_eq!(refresh(&world, MINUTE).await.failed, 4);
    let probes = asked(&upstream, "/acme.");
    assert!(probes.iter().all(|probe| probe.path == probes[0].path), "one package is tried: {probes:?}");
    assert_eq!(probes.len(), 4, "with all its retries");

    upstream.heal();
    tokio::time::sleep(breaker_open * 11 / 10).await;
    // While the probe is on its way, others may still be refused.
    refresh(&world, MINUTE * 5).await;
    assert_eq!(refresh(&world, MINUTE).await.failed, 0, "the probe opens the way");
    assert_eq!(world.version("nuget/acme.new").await, "1.0.0");
}
