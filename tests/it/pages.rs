//! Pages for people: what they show, what they cost, and that nothing from outside becomes markup.

mod cost;
mod hostile;
mod packages;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tests::client::{Post, result, with};
use tests::faults::Fault;
use tests::page::Page;
use tests::world::World;

use crate::badges::{BADGE_TIME_MAX, header_lines};

const REPOSITORY: &str = "/repos/acme/kit";
const BYTES_MAX: usize = 30_000;
const DAY: Duration = Duration::from_hours(24);

/// Submits and stores a result of acme/kit, main, with these fields.
async fn report(world: &World, fields: Value) {
    let body = with(result(world.now()), &fields);
    assert_eq!(world.submit(&Post::json(&body)).await.verdict(), "202", "{body}");
    world.drain().await;
    world.clock.advance(Duration::from_mins(1));
}

fn counts(suite: &str, run_id: u32, passed: u32, failures: &[&str]) -> Value {
    let failed = u32::try_from(failures.len()).unwrap();
    json!({
        "suite": suite, "run_id": run_id, "passed": passed, "failed": failed, "skipped": 0, "total": passed + failed,
        "failures": failures, "default_branch": "main",
        "url_html": format!("https://ci.test/runs/{run_id}/{suite}"),
    })
}

async fn page(world: &World, path: &str) -> Page {
    let answer = world.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    assert!(answer.text.len() <= BYTES_MAX, "{path} has {} bytes", answer.text.len());
    Page::parse(&answer.text)
}

/// A branch with a suite that is retired, one that is silent, and two that failed now and then.
async fn world_with_history() -> World {
    let world = World::new();
    report(&world, with(counts("nightly", 1, 5, &[]), &json!({ "platform": "macos" }))).await;
    report(&world, with(counts("unit", 1, 5, &[]), &json!({ "branch": "spike" }))).await;
    world.clock.advance(40 * DAY);
    report(
        &world,
        json!({ "suite": "legacy", "passed": 0, "failed": 0, "skipped": 0, "total": 0, "retire": true }),
    )
    .await;
    for run in 2..=6 {
        let unit: &[&str] = if run >= 5 { &["kit::parses", "kit::prints"] } else { &[] };
        let e2e: &[&str] = if run % 3 == 0 { &["kit::uploads"] } else { &[] };
        report(&world, counts("unit", run, 100, unit)).await;
        report(&world, with(counts("e2e", run, 10, e2e), &json!({ "platform": "windows" }))).await;
    }
    report(&world, with(counts("unit", 10, 102, &[]), &json!({ "branch": "feature/x" }))).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_page_shows_the_suites_the_runs_and_the_failed_tests_of_a_branch() {
    let world = world_with_history().await;
    let page = page(&world, REPOSITORY).await;
    let until_snippets = page.lines.iter().take_while(|line| *line != "Badge").cloned().collect::<Vec<_>>();
    insta::assert_snapshot!(until_snippets.join("\n"), @r#"
    acme/kit · main · BadgeSmith Skip to content BadgeSmith
    Test results
    acme / kit
    110 passed, 3 failed on main , last result 2 min ago
    Branches
    main default 110 passed, 3 failed 2 min ago
    feature/x 102 passed 1 min ago
    1 silent branch
    spike 5 passed 40 days ago
    Suites
    Suite Result Passed Failed Skipped Reported
    e2e windows failed 10 1 0 2 min ago
    unit linux failed 100 2 0 3 min ago
    2 suites not counted
    legacy linux retired 12 min ago
    nightly macos last reported 40 days ago , more than 35 days before the newest suite of the branch
    The last 6 runs
    Passed, failed and skipped tests of each run 2026-01-15 2026-02-24
    passed failed skipped 3 of 6 runs succeeded, with 5 to 113 tests each.
    Failures by suite
    Suite Share Failed runs
    e2e windows 2 of 5
    unit linux 2 of 5
    Failed tests
    Now
    e2e windows
    kit::uploads
    unit linux
    kit::parses
    kit::prints
    In the last runs
    Test Failed in When Last failures
    kit::parses unit linux 2 of 6 since 2026-02-24 3 min ago 5 min ago
    kit::prints unit linux 2 of 6 since 2026-02-24 3 min ago 5 min ago
    kit::uploads e2e windows 2 of 6 now and then 2 min ago 8 min ago
    Last results
    Suite Result Tests Commit Reported
    e2e windows failed 10 passed, 1 failed 4d8474b 2 min ago
    unit linux failed 100 passed, 2 failed 4d8474b 3 min ago
    e2e windows passed 10 passed 4d8474b 4 min ago
    unit linux failed 100 passed, 2 failed 4d8474b 5 min ago
    e2e windows passed 10 passed 4d8474b 6 min ago
    unit linux passed 100 passed 4d8474b 7 min ago
    e2e windows failed 10 passed, 1 failed 4d8474b 8 min ago
    unit linux passed 100 passed 4d8474b 9 min ago
    e2e windows passed 10 passed 4d8474b 10 min ago
    unit linux passed 100 passed 4d8474b 11 min ago
    legacy linux retired none 4d8474b 12 min ago
    nightly macos passed 5 passed 4d8474b 40 days ago
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_branch_has_a_page_and_an_address_that_is_encoded() {
    let world = World::new();
    report(&world, counts("unit", 1, 5, &[])).await;
    report(&world, with(counts("unit", 2, 7, &[]), &json!({ "branch": "a#b c" }))).await;
    let main = page(&world, REPOSITORY).await;
    assert!(main.text.contains("5 passed on main"), "{}", main.text);
    assert!(main.values("href").contains(&"/repos/acme/kit?branch=a%23b%20c"));
    let other = page(&world, "/repos/Acme/Kit?branch=a%23b%20c").await;
    assert!(other.text.contains("7 passed on a#b c"), "{}", other.text);
    assert!(other.text.contains("/redirect/test-results/all/acme/kit?branch=a%23b%20c"), "{}", other.text);
    let redirect = world.get("/redirect/test-results/all/acme/kit/main?to=page").await;
    assert_eq!((redirect.status, redirect.header("location")), (302, Some("/repos/acme/kit?branch=main")));
}

#[tokio::test(start_paused = true)]
async fn a_fork_or_a_pull_request_does_not_name_the_default_branch() {
    let world = World::new();
    report(&world, counts("unit", 1, 5, &[])).await;
    for branch in ["stranger:main", "pull/7"] {
        let fields = json!({ "branch": branch, "default_branch": branch });
        report(&world, with(counts("unit", 2, 7, &[]), &fields)).await;
        let main = page(&world, REPOSITORY).await;
        assert!(main.text.contains("5 passed on main"), "{branch}: {}", main.text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_without_results_has_a_page_with_the_status_404() {
    let world = World::new();
    report(&world, counts("unit", 1, 5, &[])).await;
    for (path, text) in [
        ("/repos/acme/other", "No results yet."),
        ("/repos/acme/kit?branch=other", "No results on other yet."),
        ("/repos/acme/k%20t", "Not a repository"),
        ("/repos/acme/kit?branch=%2F", "Not a branch"),
        ("/packages/nuget/a..b", "Not a package"),
        ("/packages/nuget/kit?feed=other", "Unknown feed"),
        ("/packages/github/acme/kit?type=deb", "Not a package"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (404, Some("public, max-age=30, s-maxage=30"))
        );
        assert!(Page::parse(&answer.text).text.contains(text), "{path}: {}", answer.text);
    }
    assert_eq!(world.get("/repos/acme").await.verdict(), "404 NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn snippets_have_the_public_address_and_never_the_host_header() {
    let world = World::new();
    report(&world, counts("unit", 1, 5, &[])).await;
    let shown = async |headers: &[(&str, &str)]| {
        Page::parse(&world.request(Method::GET, REPOSITORY, headers).await.text)
    };
    let page = shown(&[("x-forwarded-host", "badges.test"), ("host", "evil.test")]).await;
    let markdown = "[![Tests](https://badges.test/svg/tests/all/acme/kit/main)](https://badges.test/redirect/test-results/all/acme/kit/main)";
    assert!(page.text.contains(markdown), "{}", page.text);
    let endpoint = "https://img.shields.io/endpoint?url=https%3A%2F%2Fbadges.test%2Fbadges%2Ftests%2Fall%2Facme%2Fkit%2Fmain";
    assert!(page.text.contains(endpoint), "{}", page.text);
    assert!(page.values("href").contains(&"https://badges.test/repos/acme/kit"), "the canonical URL");
    for host in ["", "evil.test\"><script>", "evil.test/path", "a b"] {
        let page = shown(&[("x-forwarded-host", host), ("host", "evil.test")]).await;
        assert!(page.text.contains("[![Tests](/svg/tests/all/acme/kit/main)]"), "{host}: {}", page.text);
        assert!(page.text.contains("The operator can set PublicUrl"), "{host}");
        assert!(!page.text.contains("evil.test") && !page.text.contains("shields.io"), "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_cached_like_a_badge_and_allows_no_script() {
    let world = World::new();
    report(&world, counts("unit", 1, 5, &[])).await;
    let answer = world.get(REPOSITORY).await;
    let tag = answer.header("etag").unwrap();
    insta::assert_snapshot!(header_lines(&answer).replace(tag, "[tag]"), @r#"
    access-control-allow-origin: *
    cache-control: public, max-age=30, s-maxage=30, stale-while-revalidate=30, stale-if-error=86400
    content-security-policy: default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'
    content-type: text/html; charset=utf-8
    etag: [tag]
    last-modified: Thu, 15 Jan 2026 10:30:00 GMT
    x-content-type-options: nosniff
    "#);
    let unchanged = world.request(Method::GET, REPOSITORY, &[("if-none-match", tag)]).await;
    assert_eq!((unchanged.status, &*unchanged.text), (304, ""));
    let head = world.request(Method::HEAD, REPOSITORY, &[]).await;
    assert_eq!((head.status, &*head.text, &head.headers), (200, "", &answer.headers));
    assert_eq!(world.request(Method::POST, REPOSITORY, &[]).await.verdict(), "405 METHOD_NOT_ALLOWED");
    for (name, kind) in [("stylesheet", "text/css; charset=utf-8"), ("icon", "image/svg+xml")] {
        let page = Page::parse(&answer.text);
        let link =
            page.elements.iter().find(|element| element.attributes.get("rel").is_some_and(|rel| rel == name));
        let path = link.unwrap().attributes["href"].clone();
        let file = world.get(&path).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(file.header("cache-control"), Some("public, max-age=31536000, immutable"));
        let (start, end) = (path.rfind('-').unwrap(), path.rfind('.').unwrap());
        let other = world.get(&format!("{}-0{}", &path[..start], &path[end..])).await;
        assert_eq!(
            (&other.text, other.status),
            (&file.text, 200),
            "a page of another version is still styled"
        );
        assert_eq!(other.header("cache-control"), Some("public, max-age=30, s-maxage=30"));
    }
    assert_eq!(world.get("/assets/other.css").await.verdict(), "404 NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn a_page_says_within_1500_milliseconds_that_dynamodb_fails() {
    let world = World::new();
    for (path, operation) in [(REPOSITORY, "Query"), ("/packages/nuget/Acme.Kit", "Query")] {
        for fault in [Fault::Fails, Fault::TimesOut] {
            world.faults.plan(operation, fault, usize::MAX);
            let started = tokio::time::Instant::now();
            let answer = world.get(path).await;
            assert!(started.elapsed() <= BADGE_TIME_MAX + Duration::from_millis(1), "{path} {fault:?}");
            let headers = ["cache-control", "retry-after", "etag"].map(|name| answer.header(name));
            assert_eq!(
                (answer.status, headers),
                (503, [Some("no-store"), Some("1"), None]),
                "{path} {fault:?}"
            );
            assert!(Page::parse(&answer.text).text.contains("Temporarily unavailable"), "{path} {fault:?}");
        }
    }
    assert_eq!(world.get("/").await.status, 200, "the start page reads nothing");
}

#[tokio::test(start_paused = true)]
async fn the_forms_of_the_start_page_lead_to_pages() {
    let world = World::new();
    for (query, location) in [
        ("owner=Acme&repo=Kit&branch=", "/repos/acme/kit"),
        ("owner=acme&repo=+kit+&branch=a%23b", "/repos/acme/kit?branch=a%23b"),
        ("registry=nuget&org=&package=Acme.Kit", "/packages/nuget/Acme.Kit"),
        ("registry=github&org=Acme&package=Acme.Kit", "/packages/github/acme/Acme.Kit"),
        ("registry=npm&org=acme&package=kit", "/packages/github/acme/kit?type=npm"),
        ("registry=container&org=acme&package=kit/api", "/packages/github/acme/kit%2Fapi?type=container"),
    ] {
        let answer = world.get(&format!("/?{query}")).await;
        assert_eq!((answer.status, answer.header("location")), (302, Some(location)), "{query}");
    }
    for (query, message) in [
        ("owner=acme&repo=k%20t", "Repository: expected 1 to 100 characters"),
        ("owner=acme", "Repository: expected"),
        ("owner=acme&repo=kit&branch=a//b", "Branch (optional): expected"),
        ("registry=npm&org=-&package=kit", "Organization or user (GitHub): expected"),
        ("registry=deb&package=kit", "Registry: expected nuget, npm or container"),
        ("registry=nuget&package=a..b", "Package: expected"),
    ] {
        let answer = world.get(&format!("/?{query}")).await;
        let page = Page::parse(&answer.text);
        assert_eq!((answer.status, page.text.contains(message)), (400, true), "{query}: {}", page.text);
    }
    let page = page(&world, "/").await;
    assert!(page.values("action").iter().all(|action| *action == "/"));
    assert!(world.faults.take_calls().is_empty(), "the start page reads nothing");
}
