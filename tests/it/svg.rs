//! Badges as images: each address below `/badges` has one below `/svg`, with headers for browsers and image proxies.
//! `shared/domain/tests/svg.rs` checks what they show.

use http::Method;
use tests::client::Answer;
use tests::faults::Fault;
use tests::upstream::Upstream;
use tests::world::World;

use crate::badges::header_lines;

const TESTS: &str = "tests/linux/acme/kit/main";

async fn world_with_badges(upstream: &Upstream) -> World {
    upstream.publish("Acme.Kit", &["1.2.3", "2.0.0", "3.0.0-rc.1"]);
    let mut world = World::with_upstream(upstream);
    world.look_up("nuget/acme.kit").await;
    world.submit(&world.post()).await;
    world.drain().await;
    world
}

/// The title of an image: `label: message`.
fn title(image: &Answer) -> &str {
    let (_, rest) = image.text.split_once("<title>").unwrap();
    rest.split_once("</title>").unwrap().0
}

#[tokio::test]
async fn each_badge_is_an_image_with_the_same_text_and_caching() {
    let upstream = Upstream::start();
    let world = world_with_badges(&upstream).await;
    for (path, expected) in [
        (TESTS, "tests: 190 passed"),
        ("tests/all/acme/kit?branch=main", "tests: 190 passed"),
        ("tests/all/acme/kit/main?suite=x", "tests: no results"),
        ("tests/all/acme/kit/main?max_age=0d", "tests: not found"),
        ("tests/linux/acme", "tests: not found"),
        ("tests/windows/acme/kit/main", "tests: no results"),
        ("packages/nuget/Acme.Kit", "nuget: 2.0.0"),
        ("packages/nuget/Acme.Kit?prerelease=true", "nuget: 3.0.0-rc.1"),
        ("packages/nuget/Acme.Kit?version=%5B1.0,2.0)", "nuget: 1.2.3"),
        ("packages/nuget/Acme.Kit?version=%5B9.0,)", "nuget: not found"),
        ("packages/nuget/Acme.Kit?version=x", "nuget: invalid range"),
        ("packages/nuget/Acme.New", "nuget: pending"),
        ("packages/nuget/a..b", "nuget: not found"),
        ("packages/github/acme/Acme.New", "github: pending"),
    ] {
        let json = world.get(&format!("/badges/{path}")).await;
        let image = world.get(&format!("/svg/{path}")).await;
        assert_eq!(title(&image), expected, "{path}");
        let badge = json.json();
        assert_eq!(expected, format!("{}: {}", badge["label"], badge["message"]).replace('"', ""), "{path}");
        assert_eq!(image.status, json.status, "{path}");
        for header in ["cache-control", "last-modified", "access-control-allow-origin"] {
            assert_eq!(image.header(header), json.header(header), "{path} {header}");
        }
    }
    for unknown in ["/svg", "/svg/", "/svg/tests", "/svg/packages/npm/kit", "/svg/health"] {
        assert_eq!(world.get(unknown).await.verdict(), "404 NOT_FOUND", "{unknown}");
    }
}

#[tokio::test]
async fn an_image_has_no_comparators_by_name() {
    let upstream = Upstream::start();
    let world = world_with_badges(&upstream).await;
    let image = world.get("/svg/packages/nuget/Acme.Kit?lt=2.0.0&gt=x").await;
    assert_eq!(title(&image), "nuget: 2.0.0", "the CDN does not forward them");
}

#[tokio::test(start_paused = true)]
async fn an_image_has_headers_for_browsers_and_proxies() {
    let world = World::new();
    world.submit(&world.post()).await;
    world.drain().await;
    let path = format!("/svg/{TESTS}");
    let image = world.get(&path).await;
    insta::assert_snapshot!(header_lines(&image), @r#"
    access-control-allow-origin: *
    cache-control: public, max-age=30, s-maxage=30, stale-while-revalidate=30, stale-if-error=86400
    content-security-policy: default-src 'none'; img-src data:; style-src 'unsafe-inline'
    content-type: image/svg+xml
    etag: "b1996f0e4b3a9054d55162f9a1a2cc15"
    last-modified: Thu, 15 Jan 2026 10:30:00 GMT
    x-content-type-options: nosniff
    "#);
    let head = world.request(Method::HEAD, &path, &[]).await;
    assert_eq!((head.status, &*head.text, &head.headers), (200, "", &image.headers));
    assert_eq!(world.request(Method::POST, &path, &[]).await.verdict(), "405 METHOD_NOT_ALLOWED");

    let tag = image.header("etag").unwrap();
    let unchanged = world.request(Method::GET, &path, &[("if-none-match", tag)]).await;
    assert_eq!((unchanged.status, &*unchanged.text, unchanged.header("etag")), (304, "", Some(tag)));
    let styled = world.get(&format!("{path}?style=plastic")).await;
    assert_ne!(styled.header("etag"), Some(tag));
}

#[tokio::test(start_paused = true)]
async fn an_image_is_unavailable_while_dynamodb_fails() {
    let world = World::new();
    world.faults.plan("Query", Fault::Fails, usize::MAX);
    let image = world.get(&format!("/svg/{TESTS}")).await;
    assert_eq!((image.status, title(&image)), (503, "tests: unavailable"));
    let headers = ["content-type", "cache-control", "retry-after", "etag"].map(|name| image.header(name));
    assert_eq!(headers, [Some("image/svg+xml"), Some("no-store"), Some("1"), None]);
}

#[tokio::test(start_paused = true)]
async fn the_query_has_the_parameters_of_shields() {
    let world = World::new();
    world.submit(&world.post()).await;
    world.drain().await;
    for (query, contained) in [
        ("style=for-the-badge", "190 PASSED"),
        ("style=unknown", "190 passed"),
        ("label=unit%20tests", "<title>unit tests: 190 passed</title>"),
        ("label=", "<title>190 passed</title>"),
        ("label=%3Cscript%3E%00", "<title>&lt;script&gt;: 190 passed</title>"),
        ("color=%23ABC", "fill=\"#abc\""),
        ("color=unknown", "fill=\"#4b0\""),
        ("labelColor=navy", "fill=\"navy\""),
        ("logo=junit5", "href=\"data:image/svg+xml;base64,"),
    ] {
        let image = world.get(&format!("/svg/{TESTS}?{query}")).await;
        assert!(image.text.contains(contained), "{query}: {}", image.text);
    }
    let error = world.get("/svg/tests/linux/acme/kit/other?color=green&labelColor=green").await;
    assert_eq!(
        error.text,
        world.get("/svg/tests/linux/acme/kit/other").await.text,
        "an error keeps its colors"
    );
}
