//! Versions of packages, from upstreams that the suite serves itself.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tests::client::Answer;
use tests::upstream::{Account, Visibility};

use crate::pipeline::{Pipeline, invented};
use crate::target::ORGANIZATION;

/// A version shows within seconds; but not if an upstream, which is there only while the suite runs, failed
/// the refresher so recently that it is given a minute to recover, and the next request for the package
/// waits for a minute more.
const VERSION_TIME_MAX: Duration = Duration::from_mins(3);
const SOON: &str = "public, max-age=5, s-maxage=5";
const BRIEF: &str = "public, max-age=30, s-maxage=30";
const LONG: &str = "public, max-age=120, s-maxage=120, stale-while-revalidate=600, stale-if-error=86400";

/// What a badge says, its color, and how long it may be kept.
type Shown = (&'static str, &'static str, &'static str);

/// Asks for packages that nobody has asked for before, all of them before the first is waited for.
async fn look_up(pipeline: &Pipeline, packages: &[(String, Shown)]) {
    for (package, _) in packages {
        let answer = pipeline.get(&format!("/badges/packages/{package}")).await;
        let badge = answer.json();
        let shown = [&badge["message"], &badge["color"]];
        assert_eq!((answer.status, shown), (200, [&json!("pending"), &json!("lightgrey")]), "{package}");
        assert_eq!(answer.header("cache-control"), Some(SOON), "{package}");
    }
    for (package, shown) in packages {
        shows(pipeline, package, *shown).await;
    }
}

/// Waits for the badge to say so, and looks at the rest of it.
async fn shows(pipeline: &Pipeline, package: &str, (message, color, cached): Shown) {
    let path = format!("/badges/packages/{package}");
    let provider = package.split('/').next().unwrap();
    let says = |answer: &Answer| answer.json()["message"] == message;
    let answer = pipeline.get_until(&path, VERSION_TIME_MAX, says).await;
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
async fn packages_of_nuget_show_their_versions() {
    let pipeline = Pipeline::open();
    let (package, preview, unknown) = (invented("Acme.Kit"), invented("Acme.Preview"), invented("Acme.None"));
    let upstream = &pipeline.target.upstream;
    upstream.publish(&package, &["1.0.0", "1.2.0", "1.10.0", "2.0.0", "3.0.0-rc.1"]);
    upstream.publish(&preview, &["1.0.0-beta.2", "1.0.0-beta.10"]);
    let packages = [
        (format!("nuget/{package}"), ("2.0.0", "blue", LONG)),
        (format!("nuget/{preview}"), ("1.0.0-beta.10", "orange", LONG)),
        (format!("nuget/{unknown}"), ("not found", "red", BRIEF)),
    ];
    look_up(&pipeline, &packages).await;
    for (query, shown) in [
        ("version=[1.0,2.0)", ("1.10.0", "blue", LONG)),
        ("version=%5B1.0%2C2.0%29", ("1.10.0", "blue", LONG)),
        ("version=%3E%3D1.0.0%20%3C1.10", ("1.2.0", "blue", LONG)),
        ("version=%3E%3D1.0.0+%3C1.10", ("1.2.0", "blue", LONG)),
        ("gt=0.9&lte=1.0", ("1.0.0", "blue", LONG)),
        ("prerelease=true", ("3.0.0-rc.1", "orange", LONG)),
        ("version=", ("2.0.0", "blue", LONG)),
        ("version=%5B9.0%2C%29", ("not found", "red", BRIEF)),
        ("version=%5B1.0", ("invalid range", "red", BRIEF)),
    ] {
        shows(&pipeline, &format!("nuget/{}?{query}", package.to_lowercase()), shown).await;
    }
}

#[tokio::test]
async fn of_an_organisation_what_is_public_shows() {
    let pipeline = Pipeline::open();
    let (open, closed) = (invented("Acme.Open"), invented("Acme.Closed"));
    let (upstream, account) = (&pipeline.target.upstream, Account::Org(ORGANIZATION));
    upstream.github_publish(account, &open, Visibility::Public, &["1.4.0", "2.0.0"]);
    // The token sees it, but nobody has agreed to show it.
    upstream.github_publish(account, &closed, Visibility::Private, &["1.0.0"]);
    let packages = [
        (format!("github/{ORGANIZATION}/{open}"), ("2.0.0", "green", LONG)),
        (format!("github/{ORGANIZATION}/{closed}"), ("not found", "red", BRIEF)),
    ];
    look_up(&pipeline, &packages).await;
    let upper = format!("github/{}/{}", ORGANIZATION.to_uppercase(), open.to_uppercase());
    shows(&pipeline, &format!("{upper}?lt=2"), ("1.4.0", "green", LONG)).await;
}
