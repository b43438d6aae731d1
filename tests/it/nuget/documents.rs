//! The documents of feeds other than nuget.org's: what they may leave out, and what is no evidence.

use serde_json::{Value, json};
use tests::upstream::{Upstream, UpstreamFault};
use tests::world::{FRESH_FOR, World};

use super::{ALWAYS, document, refresh, requests_to};

/// A leaf of a registration.
fn leaf(version: &str, listed: bool) -> Value {
    json!({ "catalogEntry": { "version": version, "listed": listed } })
}

/// Replaces the service index by one with these resources, at paths of `upstream`.
fn offer(upstream: &Upstream, resources: &[(&str, &str)]) {
    let resources: Vec<_> = resources
        .iter()
        .map(|(kind, path)| json!({ "@id": format!("{}{path}", upstream.url()), "@type": kind }))
        .collect();
    upstream.plan_fault("/v3/index.json", document(&json!({ "resources": resources })), ALWAYS);
}

/// Serves a document at a path.
fn serve(upstream: &Upstream, path: &str, body: &Value) {
    upstream.plan_fault(path, document(body), ALWAYS);
}

/// A document with a byte order mark and an entity tag.
fn tagged(body: &Value, tag: &str) -> UpstreamFault {
    let headers = vec![("etag", format!("\"{tag}\""))];
    UpstreamFault::Status { status: 200, headers, body: format!("\u{feff}{body}") }
}

#[tokio::test]
async fn every_version_of_the_registrations_shows_what_is_listed() {
    for kind in ["", "/3.0.0-beta", "/3.0.0-rc", "/3.4.0", "/3.6.0", "/Versioned"] {
        let upstream = Upstream::start();
        offer(&upstream, &[(&format!("RegistrationsBaseUrl{kind}"), "/hive/")]);
        let pages = json!([{ "items": [leaf("0.3.0", true), leaf("0.4.0", false)] }]);
        serve(&upstream, "/hive/tool/index.json", &json!({ "items": pages }));
        let mut world = World::with_upstream(&upstream);
        assert_eq!(world.look_up("nuget/tool").await, "0.3.0", "RegistrationsBaseUrl{kind}");
        assert_eq!(world.look_up("nuget/other").await, "not found", "RegistrationsBaseUrl{kind}");
    }
}

#[tokio::test]
async fn versions_that_old_registrations_leave_out_come_from_the_flat_container() {
    let upstream = Upstream::start();
    offer(&upstream, &[("RegistrationsBaseUrl/3.4.0", "/hive"), ("PackageBaseAddress/3.0.0", "/flat")]);
    let index = |listed| {
        let leaves = [leaf("5.0.0", true), leaf("5.1.0-rc1", true), leaf("7.0.0-rc.2", listed)];
        tagged(&json!({ "items": [{ "items": leaves }] }), &format!("listed {listed}"))
    };
    let all = ["5.0.0", "5.1.0-rc1", "6.0.0", "6.0.0-rc.2", "7.0.0-rc.2"];
    upstream.plan_fault("/hive/tool/", index(false), 2);
    upstream.plan_fault("/flat/tool/", tagged(&json!({ "versions": all }), "flat"), ALWAYS);
    let mut world = World::with_upstream(&upstream);
    assert_eq!(
        world.look_up("nuget/tool").await,
        "5.0.0",
        "6.0.0 is unlisted, as NuGet's own client sees it"
    );
    assert_eq!(world.version("nuget/tool?prerelease").await, "6.0.0-rc.2", "7.0.0-rc.2 is unlisted");
    upstream.take_requests();
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1);
    assert_eq!(requests_to(&upstream, "/tool/").len(), 2, "one request for each");
    upstream.plan_fault("/hive/tool/", index(true), ALWAYS);
    assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1);
    world.restart_functions();
    assert_eq!(world.version("nuget/tool?prerelease").await, "7.0.0-rc.2");
    // One half disappears for a moment.
    for part in ["/hive/tool/", "/flat/tool/"] {
        let gone = UpstreamFault::Status { status: 404, headers: Vec::new(), body: String::new() };
        upstream.plan_fault(part, gone, 2);
        refresh(&world, FRESH_FOR).await;
        world.restart_functions();
        assert_eq!(world.version("nuget/tool").await, "5.0.0", "without {part}");
        assert_eq!(world.version("nuget/tool?prerelease").await, "7.0.0-rc.2", "without {part}");
    }
    // Everything needs Semantic Versioning 2.0.0.
    serve(&upstream, "/flat/next/", &json!({ "versions": ["1.0.0-alpha.1"] }));
    assert_eq!(world.look_up("nuget/next").await, "1.0.0-alpha.1");
}

#[tokio::test]
async fn documents_need_only_what_nugets_client_reads() {
    let upstream = Upstream::start();
    offer(&upstream, &[("registrationsbaseurl/3.6.0", "/hive/")]);
    let at = |path: &str| format!("{}{path}", upstream.url());
    let inlined = json!({ "items": [leaf("1.4.0", true), {}, { "catalogEntry": {} }] });
    let bounds = json!({ "lower": "1.0.0", "upper": "1.4.0", "items": [leaf("1.4.0", true)] });
    let left_out = json!({ "@id": at("/pages/7"), "items": null });
    let cases = [
        (vec![inlined.clone()], "1.4.0"),
        (vec![bounds], "1.4.0"),
        (vec![left_out.clone()], "2.5.0"),
        (vec![inlined, left_out], "2.5.0"),
    ];
    upstream.plan_fault("/pages/7", tagged(&json!({ "items": [leaf("2.5.0", true)] }), "7"), ALWAYS);
    let mut world = World::with_upstream(&upstream);
    for (at, (pages, message)) in cases.into_iter().enumerate() {
        upstream.plan_fault(&format!("/hive/tool{at}/"), tagged(&json!({ "items": pages }), "index"), ALWAYS);
        assert_eq!(world.look_up(&format!("nuget/tool{at}")).await, message, "{pages:?}");
        assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, at + 1, "{pages:?}");
        world.restart_functions();
        assert_eq!(world.version(&format!("nuget/tool{at}")).await, message, "{pages:?}");
    }
    serve(&upstream, "/hive/broken/", &json!({ "items": [{ "lower": "1.0.0", "upper": "2.0.0" }] }));
    assert_eq!(world.look_up("nuget/broken").await, "unavailable", "a page without items and URL");
}

/// The bounds are narrower than the page, and its commit never changes.
#[tokio::test]
async fn neither_bounds_nor_commits_are_evidence_of_a_page() {
    let upstream = Upstream::start();
    offer(&upstream, &[("RegistrationsBaseUrl/3.6.0", "/hive/")]);
    let page = |name: &str, bound: &str| {
        let id = format!("{}/pages/{name}", upstream.url());
        json!({ "@id": id, "commitId": "same", "lower": bound, "upper": bound })
    };
    let index = json!({ "items": [page("low", "0.0.1"), page("high", "2.0.0")] });
    let leaves = |leaves: &[Value], tag| tagged(&json!({ "items": leaves, "commitId": "same" }), tag);
    let high = [leaf("2.0.0", true), leaf("2.0.0.8", true), leaf("2.1.0", true)];
    upstream.plan_fault("/hive/tool/", tagged(&index, "index"), ALWAYS);
    upstream.plan_fault("/pages/high", leaves(&high, "1"), 3);
    upstream.plan_fault("/pages/low", leaves(&[leaf("0.1.0", true)], "1"), 1);
    let mut world = World::with_upstream(&upstream);
    assert_eq!(world.look_up("nuget/tool").await, "2.1.0");
    upstream.plan_fault("/pages/low", leaves(&[leaf("0.1.0", true), leaf("0.2.0", true)], "2"), ALWAYS);
    assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1);
    world.restart_functions();
    for (range, message) in [("", "2.1.0"), ("?version=(,2.1)", "2.0.0.8"), ("?version=(,2)", "0.2.0")] {
        assert_eq!(world.version(&format!("nuget/tool{range}")).await, message, "another page changed");
    }
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1);
    let high = [leaf("2.0.0", true), leaf("2.0.0.8", true), leaf("2.1.0", false)];
    upstream.plan_fault("/pages/high", leaves(&high, "2"), ALWAYS);
    assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1);
    world.restart_functions();
    assert_eq!(world.version("nuget/tool").await, "2.0.0.8", "the index did not change");
}

#[tokio::test]
async fn a_badge_warns_of_a_deprecated_or_vulnerable_version_only_if_asked() {
    let upstream = Upstream::start();
    offer(&upstream, &[("RegistrationsBaseUrl/3.6.0", "/hive/")]);
    let entry = |version: &str, more: Value| {
        let mut entry = json!({ "version": version });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "catalogEntry": entry })
    };
    let deprecation = json!({ "reasons": ["Legacy"], "message": "Use another one." });
    let advisories = json!([{ "advisoryUrl": "https://advisories.example.test/7", "severity": "3" }]);
    let leaves = json!([
        entry("1.0.0", json!({})),
        entry("2.0.0", json!({ "deprecation": deprecation, "vulnerabilities": [] })),
        entry("3.0.0", json!({ "vulnerabilities": advisories, "deprecation": null })),
        entry("4.0.0-a", json!({ "deprecation": deprecation, "vulnerabilities": advisories })),
    ]);
    serve(&upstream, "/hive/tool/", &json!({ "items": [{ "items": leaves }] }));
    let mut world = World::with_upstream(&upstream);
    assert_eq!(world.look_up("nuget/tool").await, "3.0.0");
    for (query, version, color) in [
        ("warn=true", "3.0.0", "red"),
        ("warn", "3.0.0", "red"),
        ("warn=false", "3.0.0", "blue"),
        ("", "3.0.0", "blue"),
        ("version=[2.0,3.0)&warn=true", "2.0.0", "orange"),
        ("version=[2.0,3.0)", "2.0.0", "blue"),
        ("version=[1.0]&warn=true", "1.0.0", "blue"),
        ("prerelease&warn", "4.0.0-a", "red"),
        ("prerelease", "4.0.0-a", "orange"),
    ] {
        let badge = world.get(&format!("/badges/packages/nuget/tool?{query}")).await.json();
        assert_eq!((&badge["message"], &badge["color"]), (&json!(version), &json!(color)), "{query}");
    }
    let leaves = json!([entry("3.0.0", json!({}))]);
    upstream.heal();
    offer(&upstream, &[("RegistrationsBaseUrl/3.6.0", "/hive/")]);
    serve(&upstream, "/hive/tool/", &json!({ "items": [{ "items": leaves }] }));
    assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1, "an advisory was withdrawn");
    world.restart_functions();
    let badge = world.get("/badges/packages/nuget/tool?warn=true").await.json();
    assert_eq!((&badge["message"], &badge["color"]), (&json!("3.0.0"), &json!("blue")));
}

#[tokio::test]
async fn a_feed_may_move_to_another_host() {
    let (old, new) = (Upstream::start(), Upstream::start());
    new.publish("Acme.Kit", &["1.0.0"]);
    let mut world = World::with_upstream(&old);
    old.plan_fault("/v3/index.json", UpstreamFault::RedirectTo(new.nuget_service_index()), ALWAYS);
    assert_eq!(world.look_up("nuget/acme.kit").await, "1.0.0");
    new.publish("Acme.Kit", &["1.1.0"]);
    assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1);
    assert!(old.take_requests().iter().all(|request| request.path == "/v3/index.json"));
}
