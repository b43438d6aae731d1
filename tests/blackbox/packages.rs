//! Package badges, with upstreams that the suite serves itself.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use http::Method;
use serde_json::json;
use tests::client::Answer;
use tests::upstream::{Account, Visibility};

use crate::pipeline::{Pipeline, unique};
use crate::target::ORGANIZATION;

/// A version usually shows within seconds. The upstream runs only during the suite, so the refresher may
/// still wait out a minute after its last failure, and a repeated request waits one minute more.
const VERSION_TIME_MAX: Duration = Duration::from_mins(3);
const SOON: &str = "public, max-age=5, s-maxage=5";
const BRIEF: &str = "public, max-age=30, s-maxage=30";
const LONG: &str = "public, max-age=120, s-maxage=120, stale-while-revalidate=600, stale-if-error=86400";

/// The message, the color and the `Cache-Control` of a badge.
type Shown = (&'static str, &'static str, &'static str);

const NOT_FOUND: Shown = ("not found", "red", BRIEF);
const INVALID_RANGE: Shown = ("invalid range", "red", BRIEF);

/// Requests packages for the first time, all before it waits for the first one.
async fn look_up(pipeline: &Pipeline, packages: &[(String, Shown)]) {
    for (package, (message, ..)) in packages {
        let answer = pipeline.get(&format!("/badges/packages/{package}")).await;
        let badge = answer.json();
        if badge["message"] == *message {
            // One badge at a time waits for its version.
            continue;
        }
        let shown = [&badge["message"], &badge["color"]];
        assert_eq!((answer.status, shown), (200, [&json!("pending"), &json!("lightgrey")]), "{package}");
        assert_eq!(badge.get("isError"), None, "{package}");
        assert_eq!(badge["label"].as_str(), package.split('/').next(), "{package}");
        assert_eq!(answer.header("cache-control"), Some(SOON), "{package}");
    }
    for (package, shown) in packages {
        check(pipeline, package, *shown).await;
    }
}

/// Polls a badge until it has its message, and checks everything else of it.
async fn check(pipeline: &Pipeline, package: &str, (message, color, cached): Shown) {
    let path = format!("/badges/packages/{package}");
    let provider = package.split('/').next().unwrap();
    let has_message = |answer: &Answer| answer.json()["message"] == message;
    let answer = pipeline.get_until(&path, VERSION_TIME_MAX, has_message).await;
    let mut expected = json!({
        "schemaVersion": 1, "label": provider, "message": message, "color": color, "namedLogo": provider,
    });
    if color == "red" {
        expected["isError"] = true.into();
    }
    assert_eq!((answer.status, answer.json()), (200, expected), "{package}");
    assert_eq!(answer.header("cache-control"), Some(cached), "{package}");
    assert!(cached != LONG || answer.header("last-modified").is_some(), "{package}");
    let tag = answer.header("etag").expect("an entity tag");
    let again = pipeline.request(Method::GET, &path, &[("if-none-match", tag)]).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""), "{package}");
}

#[tokio::test]
async fn nuget_packages_show_the_version_that_the_query_selects() {
    let pipeline = Pipeline::open();
    let (package, preview, unknown) = (unique("Acme.Kit"), unique("Acme.Preview"), unique("Acme.None"));
    let upstream = &pipeline.target.upstream;
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
    upstream.publish(&package, &versions);
    upstream.publish(&preview, &["1.0.0-beta.2", "1.0.0-beta.10"]);
    let (stable, prerelease) = (|version| (version, "blue", LONG), |version| (version, "orange", LONG));
    let packages = [
        (format!("nuget/{package}"), stable("2.0.0")),
        (format!("nuget/{preview}"), prerelease("1.0.0-beta.10")),
        (format!("nuget/{unknown}"), NOT_FOUND),
    ];
    look_up(&pipeline, &packages).await;
    for (query, shown) in [
        ("version=", stable("2.0.0")),
        ("prerelease=true", prerelease("3.0.0-a")),
        ("prerelease=TRUE", prerelease("3.0.0-a")),
        ("prerelease", prerelease("3.0.0-a")),
        ("include_prereleases", prerelease("3.0.0-a")),
        ("prerelease=false", stable("2.0.0")),
        ("prerelease=1", stable("2.0.0")),
        ("version=1.0", stable("2.0.0")),
        ("version=[1.0]", stable("1.0.0")),
        ("version=[1.0,2.0)", stable("1.10.0")),
        ("version=%5B1.0%2C2.0)", stable("1.10.0")),
        ("version=%5B1.0%2C2.0%29", stable("1.10.0")),
        ("version=[1.0,2.0)&prerelease=true", prerelease("2.0.0-beta.11")),
        ("version=(,1.0)", stable("0.9.0")),
        ("version=[2.1-a,)", prerelease("3.0.0-a")),
        ("version=1.*", stable("1.10.0")),
        ("version=2.*", stable("2.0.0")),
        ("version=2.*-*", prerelease("2.1.0-rc")),
        ("version=2.0.0-beta*", stable("2.0.0")),
        ("version=*", stable("2.0.0")),
        ("version=[2.0.1,3.0)", prerelease("2.1.0-rc")),
        ("version=[2.2,3.0)", NOT_FOUND),
        ("version=%3E%3D1.0.0+%3C2.0.0-a", stable("1.10.0")),
        ("version=%3E=1.0.0%20%3C1.10", stable("1.2.0")),
        ("version=%3E%3D1.0.0%20%3C1.10", stable("1.2.0")),
        ("version=%3E%3D1.0.0+%3C1.10", stable("1.2.0")),
        ("gte=1.0&lt=1.10", stable("1.2.0")),
        ("gt=0.9&lte=1.0", stable("1.0.0")),
        ("eq=1.2", stable("1.2.0")),
        ("eq=1.3", NOT_FOUND),
        ("version=[1.0,3.0]&lt=1.2", stable("1.0.0")),
        ("gt=2&lt=1", NOT_FOUND),
        ("version=3.0", NOT_FOUND),
        ("version=%5B9.0%2C%29", NOT_FOUND),
        ("gt=x", INVALID_RANGE),
        ("version=[1.0", INVALID_RANGE),
        ("version=%5B1.0", INVALID_RANGE),
        ("version=~1.0", INVALID_RANGE),
        ("version=1.0%7C%7C2.0", INVALID_RANGE),
        ("version=[2.0,1.0]", INVALID_RANGE),
    ] {
        check(&pipeline, &format!("nuget/{}?{query}", package.to_lowercase()), shown).await;
    }
}

/// On the second view, a minute later, all badges of the page have a version.
#[tokio::test]
async fn a_page_of_150_new_badges_has_all_versions_on_its_second_view() {
    let pipeline = Pipeline::open();
    let prefix = unique("Acme.Part");
    let badges: Vec<_> = (0..150).map(|number| format!("{prefix}.{number}")).collect();
    for badge in &badges {
        pipeline.target.upstream.publish(badge, &["1.0.0"]);
    }
    let view = async || {
        let reads = badges.iter().map(async |badge| {
            pipeline.get(&format!("/badges/packages/nuget/{badge}")).await.json()["message"] == "1.0.0"
        });
        let shown: Vec<_> = stream::iter(reads).buffer_unordered(16).collect().await;
        shown.into_iter().filter(|is_shown| *is_shown).count()
    };
    view().await;
    let first_view = Instant::now();
    // shields.io and GitHub's image proxy ask again after some minutes.
    while first_view.elapsed() < Duration::from_secs(55) && view().await < badges.len() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(view().await, badges.len());
}

#[tokio::test]
async fn an_organization_token_shows_public_packages_only() {
    let pipeline = Pipeline::open();
    let (public, private) = (unique("Acme.Open"), unique("Acme.Closed"));
    let (upstream, account) = (&pipeline.target.upstream, Account::Org(ORGANIZATION));
    upstream.github_publish(account, &public, Visibility::Public, &["1.4.0", "2.0.0"]);
    // The token can read it, but no operator has consented to show it.
    upstream.github_publish(account, &private, Visibility::Private, &["1.0.0"]);
    let packages = [
        (format!("github/{ORGANIZATION}/{public}"), ("2.0.0", "green", LONG)),
        (format!("github/{ORGANIZATION}/{private}"), NOT_FOUND),
    ];
    look_up(&pipeline, &packages).await;
    let upper = format!("github/{}/{}", ORGANIZATION.to_uppercase(), public.to_uppercase());
    check(&pipeline, &format!("{upper}?lt=2"), ("1.4.0", "green", LONG)).await;
}
