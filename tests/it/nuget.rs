//! Packages of a NuGet feed: the requests to the feed, the versions in its responses, and the badge while the feed
//! fails.

mod circuit_breaker;
mod documents;

use std::time::{Duration, Instant};

use refresher::{Report, UpstreamTimeouts};
use serde_json::json;
use tests::upstream::{RecordedRequest, Upstream, UpstreamFault};
use tests::world::{FRESH_FOR, World};

/// The path of the registration of Acme.Kit.
const INDEX: &str = "/v3/registration5-gz-semver2/acme.kit/index.json";
const ALWAYS: usize = usize::MAX;
const MINUTE: Duration = Duration::from_mins(1);
/// A failed refresh is repeated after this long, however many failed before.
const LONGEST_BACKOFF: Duration = Duration::from_mins(61);

/// A world that knows Acme.Kit with these versions.
async fn world_that_knows(upstream: &Upstream, versions: &[&str]) -> World {
    upstream.publish("Acme.Kit", versions);
    let world = World::with_upstream(upstream);
    assert_eq!(world.version("nuget/acme.kit").await, "pending");
    world.drain_requests().await;
    upstream.take_requests();
    world
}

/// Advances the clock and runs the schedule.
async fn refresh(world: &World, after: Duration) -> Report {
    world.clock.advance(after);
    world.refresh_due().await
}

/// Takes the requests so far, and returns those with `part` in their path.
fn requests_to(upstream: &Upstream, part: &str) -> Vec<RecordedRequest> {
    let mut requests = upstream.take_requests();
    requests.retain(|request| request.path.contains(part));
    requests
}

fn status(status: u16, headers: &[(&'static str, &str)]) -> UpstreamFault {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    UpstreamFault::Status { status, headers, body: "{}".to_owned() }
}

/// A response with another document.
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
    let paths: Vec<_> = first.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/v3/index.json", INDEX], "ids are lower-case; pages in the index are not requested");
    for request in &first {
        assert_eq!(request.header("accept-encoding"), Some("gzip"));
        assert!(request.header("user-agent").unwrap().starts_with("badgesmith/"));
        for absent in ["authorization", "if-none-match", "if-modified-since"] {
            assert_eq!(request.header(absent), None, "{absent}");
        }
    }
    assert_eq!(world.version("nuget/acme.kit").await, "1.1.0");

    for (how, answered) in [(None, 304), (Some(UpstreamFault::SameTag), 200), (None, 304)] {
        if let Some(how) = how {
            upstream.plan_fault("/acme.kit/", how, 1);
        }
        world.faults.take_calls();
        assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1, "{answered}");
        assert_eq!(world.faults.take_count("TransactWriteItems"), 0, "{answered}: no content is written");
        let again = requests_to(&upstream, "acme.kit");
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
async fn a_version_is_unlisted_by_its_flag_or_by_its_date() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    let (today, never) = ("2025-06-02T00:00:00+00:00", "1900-01-01T00:00:00+00:00");
    let cases = [
        (json!({ "version": "2.0.0", "listed": false, "published": today }), "1.0.0"),
        (json!({ "version": "2.0.0", "published": never }), "1.0.0"),
        (json!({ "version": "2.0.0", "listed": null, "published": never }), "1.0.0"),
        (json!({ "version": "2.0.0", "listed": true, "published": never }), "2.0.0"),
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
async fn an_unlisted_version_disappears_and_a_relisted_one_returns() {
    let upstream = Upstream::start();
    // One in four is unlisted by its date alone.
    let world = world_that_knows(&upstream, &["1.0.0", "1.0.1", "1.0.2", "1.0.3"]).await;
    let steps = [("1.0.3", "1.0.2"), ("1.0.1", "1.0.2"), ("1.0.2", "1.0.0"), ("1.0.0", "not found")];
    for (gone, message) in steps {
        upstream.unlist("Acme.Kit", gone);
        assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1);
        assert_eq!(world.version("nuget/acme.kit").await, message, "without {gone}");
        let exactly = world.version(&format!("nuget/acme.kit?version=[{gone}]")).await;
        assert_eq!(exactly, "not found", "{gone} is not shown even for its exact range");
    }
    let unchanged = refresh(&world, FRESH_FOR).await.unchanged;
    assert_eq!(unchanged, 1, "a package without listed versions stays on the schedule");
    upstream.relist("Acme.Kit", "1.0.1");
    refresh(&world, FRESH_FOR).await;
    assert_eq!(world.version("nuget/acme.kit").await, "1.0.1");
}

#[tokio::test]
async fn only_changed_pages_are_read_again() {
    for (count, pages) in [(127, 0), (128, 2)] {
        check_pages(count, pages).await;
    }
}

#[tokio::test]
async fn a_package_can_have_thousands_of_versions() {
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
    assert_eq!(requests_to(&upstream, "acme.kit").len(), 1 + pages, "{count} versions");
    for (range, message) in
        [("(,0.1)", "0.0.9"), ("[0.3,0.4)", "0.3.9"), ("(,0.5.4]", "0.5.4"), ("1", latest)]
    {
        assert_eq!(world.version(&format!("nuget/acme.kit?version={range}")).await, message, "{range}");
    }
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1);
    let confirmed = requests_to(&upstream, "acme.kit");
    assert_eq!(confirmed.len(), 1 + pages, "the index and its pages are confirmed");
    assert!(confirmed.iter().all(|request| request.status == Some(304)));

    upstream.publish("Acme.Kit", &["100.0.0"]);
    refresh(&world, FRESH_FOR).await;
    assert_eq!(world.version("nuget/acme.kit").await, "100.0.0");
    // With the 128th version, the items of the pages leave the index.
    let changed = if count == 127 { 2 } else { 1 };
    let is_changed = |request: &RecordedRequest| request.status == Some(200);
    let requests = requests_to(&upstream, "acme.kit");
    let read = requests.iter().filter(|request| is_changed(request)).count();
    assert_eq!(read, 1 + changed, "{count} versions and one more");

    upstream.unlist("Acme.Kit", "0.3.9");
    refresh(&world, FRESH_FOR).await;
    let requests = requests_to(&upstream, "acme.kit");
    let read = requests.iter().filter(|request| is_changed(request)).count();
    assert_eq!(read, 2, "an old page changed: it and the index");
    for (range, message) in [("[0.3,0.4)", "0.3.8"), ("[0.3.9]", "not found"), ("(,0.5.4]", "0.5.4")] {
        assert_eq!(world.version(&format!("nuget/acme.kit?version={range}")).await, message, "{range}");
    }
}

#[tokio::test]
async fn a_failed_page_changes_nothing() {
    let upstream = Upstream::start();
    let versions: Vec<_> = (0..200).map(|n| format!("1.{n}.0")).collect();
    let mut world =
        world_that_knows(&upstream, &versions.iter().map(String::as_str).collect::<Vec<_>>()).await;
    upstream.publish("Acme.Kit", &["2.0.0"]);
    upstream.unlist("Acme.Kit", "1.7.0");
    for (how, tries) in [(status(404, &[]), 1), (UpstreamFault::Garbage, 1), (status(500, &[]), 4)] {
        upstream.plan_fault("/page/", how.clone(), ALWAYS);
        assert_eq!(refresh(&world, LONGEST_BACKOFF).await.failed, 1, "{how:?}");
        // The four pages are requested at once. One may fail before another is requested, and three requests of the
        // previous refresh may arrive after it has failed.
        let requests = requests_to(&upstream, "/page/").len();
        assert!((tries..=4 * tries + 3).contains(&requests), "{how:?}: {requests}");
        assert_eq!(world.version("nuget/acme.kit").await, "1.199.0", "{how:?}");
        assert_eq!(world.version("nuget/acme.kit?version=[1.7,1.8)").await, "1.7.0", "{how:?}");
        upstream.heal();
    }
    // The pages that failed opened the circuit breaker.
    world.restart_functions();
    refresh(&world, LONGEST_BACKOFF).await;
    assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
    assert_eq!(world.version("nuget/acme.kit?version=[1.7,1.8)").await, "not found");
}

#[tokio::test]
async fn a_feed_may_have_only_a_flat_container() {
    let upstream = Upstream::start();
    upstream.leave_out_registrations();
    let world = world_that_knows(&upstream, &["1.0.0", "1.10.0-RC.1", "1.9.0"]).await;
    assert_eq!(world.version("nuget/acme.kit").await, "1.9.0");
    assert_eq!(world.version("nuget/acme.kit?prerelease=true").await, "1.10.0-rc.1");
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1);
    assert_eq!(requests_to(&upstream, "/v3-flatcontainer/acme.kit/index.json")[0].status, Some(304));
    upstream.publish("Acme.Kit", &["1.11.0"]);
    refresh(&world, FRESH_FOR).await;
    assert_eq!(world.version("nuget/acme.kit").await, "1.11.0");
}

#[tokio::test]
async fn the_service_index_is_read_every_half_hour_and_the_last_one_is_used_if_that_fails() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    for package in ["acme.kit", "acme.tools", "acme.clock"] {
        upstream.publish(package, &["1.0.0"]);
        world.version(&format!("nuget/{package}")).await;
    }
    world.drain_requests().await;
    assert_eq!(requests_to(&upstream, "/v3/index.json").len(), 1, "once for all packages");
    for (after, times) in [(15, 0), (14, 0), (16, 1), (15, 0), (16, 1)] {
        refresh(&world, MINUTE * after).await;
        assert_eq!(requests_to(&upstream, "/v3/index.json").len(), times, "{after} minutes later");
    }
    for how in [status(500, &[]), UpstreamFault::Garbage, document(&json!({ "resources": [] }))] {
        upstream.plan_fault("/v3/index.json", how.clone(), ALWAYS);
        upstream.publish("Acme.Kit", &[&format!("1.0.{}", world.now().unix_seconds())]);
        assert_eq!(refresh(&world, MINUTE * 31).await.changed, 1, "{how:?}: the last one is used");
        upstream.heal();
    }
    upstream.plan_fault("/v3/index.json", status(500, &[]), ALWAYS);
    world.restart_functions();
    assert_eq!(world.look_up("nuget/acme.new").await, "unavailable", "there is no last one");
}

#[tokio::test]
async fn a_feed_can_be_on_any_host_and_have_several_base_urls() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    other.publish("Acme.Kit", &["2.0.0"]);
    let mut world = World::with_upstream(&upstream);
    world.set_nuget_service_index(&format!("{}?feed=acme", other.nuget_service_index()));
    let address = |path: &str| json!({ "@id": format!("{}{path}", other.url()), "@type": "RegistrationsBaseUrl/3.6.0" });
    let resources = [address("/down"), address("/v3/registration5-gz-semver2/")];
    other.plan_fault("/down/", UpstreamFault::Dropped, ALWAYS);
    other.plan_fault("/v3/index.json?feed=acme", document(&json!({ "resources": resources })), 1);
    assert_eq!(world.look_up("nuget/acme.kit").await, "2.0.0");
    let requests = requests_to(&other, "");
    assert_eq!(
        (requests.len(), requests[5].path.as_str()),
        (1 + 4 + 1, INDEX),
        "the second base URL after the first failed"
    );
    assert!(upstream.take_requests().is_empty(), "the feed was replaced");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_looked_up_again_when_it_is_read_after_an_hour() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    assert_eq!(world.look_up("nuget/acme.kit").await, "not found");
    assert_eq!(requests_to(&upstream, "acme.kit").len(), 1, "a 404 is not retried");
    upstream.publish("Acme.Kit", &["1.0.0"]);
    for _ in 0..11 {
        refresh(&world, MINUTE * 5).await;
        assert_eq!(world.version("nuget/acme.kit").await, "not found");
        world.drain_requests().await;
    }
    refresh(&world, MINUTE * 6).await;
    assert_eq!(requests_to(&upstream, "acme.kit").len(), 0, "not within the hour, and not by the schedule");
    assert_eq!(world.look_up("nuget/acme.kit").await, "1.0.0");
}

#[tokio::test]
async fn a_known_package_is_not_found_after_three_404s_within_an_hour() {
    let upstream = Upstream::start();
    let world = world_that_knows(&upstream, &["1.0.0"]).await;
    // A success after two 404s resets their count.
    upstream.plan_fault("acme.kit", status(404, &[]), 2);
    for confirmed in [0, 0, 1] {
        assert_eq!(refresh(&world, MINUTE * 20).await.unchanged, confirmed);
        assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
    }
    upstream.remove("Acme.Kit");
    upstream.take_requests();
    let mut answers = Vec::new();
    for minute in (5..=120).step_by(5) {
        refresh(&world, MINUTE * 5).await;
        answers.extend(requests_to(&upstream, "acme.kit").iter().map(|_| minute));
        let expected = if answers.len() < 3 { "1.0.0" } else { "not found" };
        assert_eq!(world.version("nuget/acme.kit").await, expected, "404s after minutes {answers:?}");
    }
    assert_eq!(answers.len(), 3, "then it has left the schedule: {answers:?}");
    assert!(answers.windows(2).all(|pair| (15..=20).contains(&(pair[1] - pair[0]))), "{answers:?}");
}

/// Checks a known package and a new name while `fault` happens to every request for a package, and after it.
async fn check(how: UpstreamFault, requests: usize) {
    let upstream = Upstream::start();
    let mut world = world_that_knows(&upstream, &["1.0.0", "1.1.0"]).await;
    upstream.publish("Acme.Kit", &["2.0.0"]);
    upstream.publish("Acme.New", &["3.0.0"]);
    let is_slow = matches!(how, UpstreamFault::Slow(_));
    if is_slow {
        let [first_backoff, read] = [1, 500].map(Duration::from_millis);
        world.set_upstream_timeouts(UpstreamTimeouts { read, first_backoff, ..UpstreamTimeouts::default() });
    }
    upstream.plan_fault("/acme.", how, ALWAYS);
    let report = refresh(&world, FRESH_FOR).await;
    assert_eq!((report.failed, report.changed, report.not_found), (1, 0, 0));
    assert_eq!(requests_to(&upstream, "acme.kit").len(), requests, "the first attempt and its retries");
    for (query, message) in [("", "1.1.0"), ("?version=[1.0,1.1)", "1.0.0"), ("?version=[1.0,)", "1.1.0")] {
        assert_eq!(world.version(&format!("nuget/acme.kit{query}")).await, message, "known versions stay");
    }
    assert_eq!(world.version("nuget/acme.new").await, "pending");
    world.drain_requests().await;
    assert_eq!(world.version("nuget/acme.new").await, "unavailable", "it is unknown whether it exists");

    upstream.heal();
    if is_slow {
        world.set_upstream_timeouts(UpstreamTimeouts::default());
    }
    assert_eq!(refresh(&world, LONGEST_BACKOFF).await.changed, 2, "both recover by themselves");
    assert_eq!(world.version("nuget/acme.kit").await, "2.0.0");
    assert_eq!(world.version("nuget/acme.kit?version=(,2.0)").await, "1.1.0");
    assert_eq!(world.version("nuget/acme.new").await, "3.0.0");
}

/// A test for each fault of a response, with the number of requests that it causes.
macro_rules! known_versions_stay_after {
    ($($name:ident: $how:expr, $requests:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            check($how, $requests).await;
        }
    )*};
}

known_versions_stay_after! {
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
async fn a_gzip_bomb_is_not_unpacked() {
    let upstream = Upstream::start();
    let world = world_that_knows(&upstream, &["1.0.0"]).await;
    upstream.plan_fault("acme.kit", UpstreamFault::GzipBomb, 1);
    assert_eq!(refresh(&world, FRESH_FOR).await.failed, 1);
    assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for() {
    let check = async |answer| {
        let upstream = Upstream::start();
        let world = world_that_knows(&upstream, &["1.0.0"]).await;
        upstream.publish("Acme.Kit", &["2.0.0"]);
        upstream.plan_fault("acme.kit", status(answer, &[("retry-after", "1")]), 1);
        let started = Instant::now();
        assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1, "{answer}: the second attempt succeeds");
        assert!(started.elapsed() >= Duration::from_secs(1), "{answer}: after the wait");
        assert_eq!(requests_to(&upstream, "acme.kit").len(), 2, "{answer}");
    };
    tokio::join!(check(429), check(503));
}

#[tokio::test]
async fn a_long_retry_after_stops_all_requests_to_the_host() {
    for answer in [429, 503] {
        let upstream = Upstream::start();
        let world = world_that_knows(&upstream, &["1.0.0"]).await;
        upstream.publish("Acme.Kit", &["2.0.0"]);
        upstream.publish("Acme.New", &["3.0.0"]);
        upstream.plan_fault("acme.kit", status(answer, &[("retry-after", "1800")]), 1);
        refresh(&world, FRESH_FOR).await;
        assert_eq!(requests_to(&upstream, "acme.kit").len(), 1, "{answer}");
        for minute in [5, 10, 15, 20, 25, 29] {
            world.version("nuget/acme.new").await;
            world.drain_requests().await;
            refresh(&world, MINUTE * if minute == 29 { 4 } else { 5 }).await;
            let requests = requests_to(&upstream, "acme.").len();
            assert_eq!(requests, 0, "{answer}: no request after {minute} minutes, for any package");
            assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
        }
        refresh(&world, MINUTE * 2).await;
        assert_eq!(world.version("nuget/acme.kit").await, "2.0.0", "{answer}: then requests resume");
        assert_eq!(world.version("nuget/acme.new").await, "3.0.0", "{answer}");
    }
}

#[tokio::test]
async fn a_failing_package_is_retried_with_backoff_of_at_most_an_hour() {
    let upstream = Upstream::start();
    let world = world_that_knows(&upstream, &["1.0.0"]).await;
    upstream.plan_fault("acme.kit", UpstreamFault::Garbage, ALWAYS);
    let (mut minute, mut tries) = (10, Vec::new());
    world.clock.advance(MINUTE * minute);
    while minute < 24 * 60 {
        // The schedule runs every five minutes; here it runs less often once that makes no difference, to save time.
        let step = if tries.len() < 8 { 5 } else { 10 };
        minute += step;
        refresh(&world, MINUTE * step).await;
        tries.extend(requests_to(&upstream, "acme.kit").iter().map(|_| minute));
    }
    let gaps: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // One minute, two, four and so on, less up to a fifth, until the next run of the schedule.
    let doubled = [5..=5, 5..=5, 5..=5, 10..=10, 15..=20, 30..=35];
    assert!(doubled.iter().zip(&gaps).all(|(expected, gap)| expected.contains(gap)), "{gaps:?}");
    assert!(gaps.len() >= doubled.len() + 20, "{gaps:?}");
    assert!(gaps[doubled.len()..].iter().all(|gap| (50..=60).contains(gap)), "{gaps:?}");
}
