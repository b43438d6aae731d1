use std::iter::zip;

use serde_json::Value;

use super::super::wire::{self, Raw};
use super::super::{Upstream, UpstreamFault};

/// The address of a resource, as the service index has it, without a slash at its end.
fn resource(upstream: &Upstream, kind: &str) -> Option<String> {
    let index = wire::get(&upstream.nuget_service_index(), &[]).json();
    let resources = index["resources"].as_array().unwrap();
    let found = resources.iter().find(|resource| resource["@type"] == kind)?;
    Some(found["@id"].as_str().unwrap().trim_end_matches('/').to_owned())
}

fn registration(upstream: &Upstream, id: &str, headers: &[(&str, &str)]) -> Raw {
    let base = resource(upstream, "RegistrationsBaseUrl/3.6.0").unwrap();
    wire::get(&format!("{base}/{id}/index.json"), headers)
}

fn flat_container(upstream: &Upstream, id: &str) -> Value {
    let base = resource(upstream, "PackageBaseAddress/3.0.0").unwrap();
    wire::get(&format!("{base}/{id}/index.json"), &[]).json()["versions"].clone()
}

/// `2.0.1` to `2.0.{count}`.
fn publish_many(upstream: &Upstream, count: usize) {
    let versions: Vec<_> = (1..=count).map(|patch| format!("2.0.{patch}")).collect();
    upstream.publish("Acme.Kit", &versions.iter().map(String::as_str).collect::<Vec<_>>());
}

fn entries(page: &Value) -> Vec<&Value> {
    page["items"].as_array().unwrap().iter().map(|leaf| &leaf["catalogEntry"]).collect()
}

fn is_listed(entry: &Value) -> bool {
    entry["listed"] != false && !entry["published"].as_str().unwrap().starts_with("1900")
}

#[test]
fn a_package_is_in_both_places() {
    let upstream = Upstream::start();
    upstream.publish("Acme.Kit", &["1.0", "2.0.0-RC.1+build.7"]);
    upstream.publish("Acme.Kit", &["1.0.1"]);
    upstream.unlist("acme.kit", "1.0.1");
    assert_eq!(flat_container(&upstream, "acme.kit"), serde_json::json!(["1.0.0", "2.0.0-rc.1", "1.0.1"]));

    let index = registration(&upstream, "acme.kit", &[("accept-encoding", "identity")]);
    assert_eq!(index.header("content-encoding"), "gzip");
    assert_eq!(index.header("cache-control"), "no-store");
    let index = index.json();
    let page = &index["items"][0];
    assert_eq!((&page["lower"], &page["upper"]), (&"1.0.0".into(), &"2.0.0-RC.1".into()));
    let entries = entries(page);
    let versions: Vec<_> = entries.iter().map(|entry| entry["version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["1.0.0", "1.0.1", "2.0.0-RC.1+build.7"]);
    assert_eq!(entries.iter().map(|entry| is_listed(entry)).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(entries[0]["id"], "Acme.Kit");

    upstream.relist("Acme.Kit", "1.0.1");
    let index = registration(&upstream, "acme.kit", &[]).json();
    assert!(self::entries(&index["items"][0]).into_iter().all(is_listed));
}

#[test]
fn what_is_not_there_is_told_in_xml() {
    let upstream = Upstream::start();
    upstream.publish("Acme.Kit", &["1.0.0"]);
    for id in ["Acme.Kit", "acme.other"] {
        let missing = registration(&upstream, id, &[]);
        assert_eq!((missing.status, missing.header("content-type")), (404, "application/xml"));
        assert!(str::from_utf8(&missing.body).unwrap().contains("BlobNotFound"));
    }
    assert_eq!(registration(&upstream, "acme.kit", &[]).status, 200);
    upstream.remove("ACME.kit");
    assert_eq!(registration(&upstream, "acme.kit", &[]).status, 404);
}

#[test]
fn pages_are_inlined_until_there_are_128_versions() {
    let upstream = Upstream::start();
    publish_many(&upstream, 127);
    let index = registration(&upstream, "acme.kit", &[]).json();
    assert_eq!(index["count"], 2);
    assert_eq!(entries(&index["items"][0]).len(), 64);
    assert_eq!(entries(&index["items"][1]).len(), 63);

    publish_many(&upstream, 128);
    let index = registration(&upstream, "acme.kit", &[]).json();
    assert_eq!(index["count"], 2);
    for (page, (lower, upper)) in zip(index["items"].as_array().unwrap(), [(1, 64), (65, 128)]) {
        assert_eq!(page.get("items"), None);
        assert_eq!(page["lower"], format!("2.0.{lower}"));
        let fetched = wire::get(page["@id"].as_str().unwrap(), &[]);
        assert_eq!(fetched.header("content-encoding"), "gzip");
        let fetched = fetched.json();
        assert_eq!(entries(&fetched)[63]["version"], format!("2.0.{upper}"));
        for leaf in fetched["items"].as_array().unwrap() {
            let bytes = leaf.to_string().len();
            assert!((1000..=3000).contains(&bytes), "a leaf has {bytes} bytes");
        }
    }
}

#[test]
fn a_page_changes_only_with_its_content() {
    let upstream = Upstream::start();
    publish_many(&upstream, 140);
    let before = registration(&upstream, "acme.kit", &[]).json();
    let tags = |index: &Value| -> Vec<String> {
        let pages = index["items"].as_array().unwrap().iter();
        pages.map(|page| wire::get(page["@id"].as_str().unwrap(), &[]).header("etag").to_owned()).collect()
    };
    let tags_before = tags(&before);
    upstream.unlist("Acme.Kit", "2.0.130");
    let after = registration(&upstream, "acme.kit", &[]).json();
    assert_ne!(after["commitId"], before["commitId"]);
    for (at, changed) in [(0, false), (1, false), (2, true)] {
        assert_eq!(after["items"][at]["@id"], before["items"][at]["@id"]);
        assert_eq!(after["items"][at] != before["items"][at], changed, "page {at}");
        assert_eq!(tags(&after)[at] != tags_before[at], changed, "page {at}");
    }

    // One in front moves one from each page to the next.
    upstream.publish("Acme.Kit", &["1.0.0"]);
    let moved = registration(&upstream, "acme.kit", &[]).json();
    for at in 0..3 {
        assert_ne!(moved["items"][at]["@id"], after["items"][at]["@id"]);
        assert_ne!(moved["items"][at]["commitTimeStamp"], after["items"][at]["commitTimeStamp"]);
    }
    assert_eq!(wire::get(after["items"][0]["@id"].as_str().unwrap(), &[]).status, 404);
}

#[test]
fn what_is_known_is_not_sent_again() {
    let upstream = Upstream::start();
    upstream.publish("Acme.Kit", &["1.0.0"]);
    let first = registration(&upstream, "acme.kit", &[]);
    let (tag, date) = (first.header("etag"), first.header("last-modified"));
    let unchanged = registration(&upstream, "acme.kit", &[("if-none-match", tag)]);
    assert_eq!((unchanged.status, unchanged.header("etag"), unchanged.body.len()), (304, "", 0));
    assert_eq!(registration(&upstream, "acme.kit", &[("if-modified-since", date)]).status, 304);
    let neither = [("if-none-match", "\"other\""), ("if-modified-since", date)];
    assert_eq!(registration(&upstream, "acme.kit", &neither).status, 200);
    upstream.publish("Acme.Kit", &["1.0.1"]);
    assert_eq!(registration(&upstream, "acme.kit", &[("if-none-match", tag)]).status, 200);
}

#[test]
fn another_hive_loses_versions() {
    let upstream = Upstream::start();
    upstream.publish("Acme.Kit", &["1.0.0", "1.1.0+sha.1", "2.0.0-rc.1", "2.0.0-rc1"]);
    let base = resource(&upstream, "RegistrationsBaseUrl/3.4.0").unwrap();
    let index = wire::get(&format!("{base}/acme.kit/index.json"), &[]).json();
    let versions: Vec<_> = entries(&index["items"][0]).iter().map(|entry| entry["version"].clone()).collect();
    assert_eq!(versions, ["1.0.0", "2.0.0-rc1"]);

    upstream.leave_out_registrations();
    assert_eq!(resource(&upstream, "RegistrationsBaseUrl/3.6.0"), None);
    assert!(resource(&upstream, "PackageBaseAddress/3.0.0").is_some());
}

#[test]
fn the_body_of_a_registration_can_be_cut() {
    let upstream = Upstream::start();
    publish_many(&upstream, 10);
    let whole = registration(&upstream, "acme.kit", &[]);
    upstream.plan_fault("registration5-gz-semver2", UpstreamFault::TruncatedGzip, 1);
    let cut = registration(&upstream, "acme.kit", &[]);
    assert_eq!(cut.body, whole.body[..whole.body.len() / 2]);
}
