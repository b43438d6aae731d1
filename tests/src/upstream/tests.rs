//! The documented behavior of NuGet and GitHub that the product depends on.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::*;

mod issuer;

const TOKEN: (&str, &str) = ("authorization", "Bearer ghp_reader");
const AGENT: (&str, &str) = ("user-agent", "tests");
const VERSIONS: &str = "/orgs/acme/packages/nuget/acme.kit/versions";
const FLAT_CONTAINER: &str = "/v3-flatcontainer/acme.kit/index.json";
const REGISTRATION: &str = "/v3/registration5-gz-semver2/acme.kit/index.json";

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// The value of a header, or an empty string.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        let mut body = self.body.to_vec();
        if self.header("content-encoding") == "gzip" {
            body.clear();
            GzDecoder::new(&self.body[..]).read_to_end(&mut body).unwrap();
        }
        serde_json::from_slice(&body).unwrap()
    }

    /// The address of another page in `Link`.
    fn link(&self, rel: &str) -> Option<String> {
        let mut links = self.header("link").split(", ").filter_map(|link| link.split_once("; "));
        let (address, _) = links.find(|(_, found)| *found == format!("rel=\"{rel}\""))?;
        Some(address.trim_matches(['<', '>']).to_owned())
    }
}

async fn try_get(address: &str, headers: &[(&str, &str)]) -> reqwest::Result<Answer> {
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let mut request = client.get(address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes().await? })
}

async fn get(address: &str, headers: &[(&str, &str)]) -> Answer {
    try_get(address, headers).await.unwrap()
}

async fn get_nuget(upstream: &Upstream, path: &str) -> Answer {
    get(&format!("{}{path}", upstream.url()), &[]).await
}

async fn get_github(upstream: &Upstream, path: &str, tag: &str) -> Answer {
    get(&format!("{}{path}", upstream.github_api()), &[AGENT, TOKEN, ("if-none-match", tag)]).await
}

/// `1.1.0` to `1.{count}.0`, and the same for [`Account::Org`] `acme` on GitHub, with a token.
fn upstream_with(count: usize) -> Upstream {
    let upstream = Upstream::start();
    let versions: Vec<_> = (1..=count).map(|minor| format!("1.{minor}.0")).collect();
    let versions: Vec<_> = versions.iter().map(String::as_str).collect();
    upstream.publish("Acme.Kit", &versions);
    upstream.github_publish(Account::Org("Acme"), "Acme.Kit", Visibility::Public, &versions);
    upstream.github_token("ghp_reader", &[]);
    upstream
}

/// <https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api>
#[tokio::test]
async fn github_lists_versions_newest_first_in_pages_of_at_most_100() {
    let upstream = upstream_with(230);
    let mut page = get_github(&upstream, &format!("{VERSIONS}?per_page=1000"), "").await;
    assert_eq!(page.link("prev"), None);
    let mut found: Vec<Value> = Vec::new();
    while let Some(next) = page.link("next") {
        assert_eq!(page.json().as_array().unwrap().len(), 100);
        // Further pages are addressed by number instead of by name.
        assert!(next.starts_with(&format!("{}/organizations/", upstream.github_api())), "{next}");
        found.extend(page.json().as_array().unwrap().iter().cloned());
        page = get(&next, &[AGENT, TOKEN]).await;
    }
    found.extend(page.json().as_array().unwrap().iter().cloned());
    assert_eq!(
        (found.len(), &found[0]["name"], &found[229]["name"]),
        (230, &json!("1.230.0"), &json!("1.1.0"))
    );
    assert!(page.link("first").is_some() && page.link("last").is_none());
    assert_eq!(get_github(&upstream, VERSIONS, "").await.json().as_array().unwrap().len(), 30);
    assert_eq!(get_github(&upstream, &format!("{VERSIONS}?page=99"), "").await.json(), json!([]));
}

/// <https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api>
#[tokio::test]
async fn github_rejects_a_request_without_agent_token_scope_or_permission() {
    let upstream = upstream_with(1);
    upstream.github_publish(Account::Org("acme"), "Private", Visibility::Private, &["1.0.0"]);
    upstream.github_token_without_scope("ghp_bare");
    let (kit, private) = (VERSIONS, "/orgs/acme/packages/nuget/private/versions");
    let absent = "/users/acme/packages/nuget/acme.kit/versions";
    let bare = ("authorization", "Bearer ghp_bare");
    let wrong = ("authorization", "Bearer ghp_other");
    let scope = "You need at least read:packages scope to get a package's versions.";
    for (path, headers, status, message) in [
        (kit, &[AGENT][..], 401, "Requires authentication"),
        (kit, &[AGENT, wrong], 401, "Bad credentials"),
        (kit, &[AGENT, bare], 403, scope),
        (
            kit,
            &[AGENT, TOKEN, ("x-github-api-version", "2020-01-01")],
            400,
            "The API version is not supported.",
        ),
        (private, &[AGENT, TOKEN], 404, "Package not found."),
        (absent, &[AGENT, TOKEN], 404, "Package not found."),
    ] {
        let answer = get(&format!("{}{path}", upstream.github_api()), headers).await;
        assert_eq!((answer.status, answer.json()["message"].as_str()), (status, Some(message)));
    }
    assert_eq!(get(&format!("{}{kit}", upstream.github_api()), &[TOKEN]).await.status, 403, "no agent");
}

/// <https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api>
#[tokio::test]
async fn github_does_not_count_a_304_against_the_limit() {
    let upstream = upstream_with(1);
    upstream.github_limit(1, 1_900_000_000);
    let first = get_github(&upstream, VERSIONS, "").await;
    assert_eq!((first.status, first.header("x-ratelimit-remaining")), (200, "0"));
    let limited = get_github(&upstream, VERSIONS, "").await;
    assert_eq!((limited.status, limited.header("x-ratelimit-reset")), (403, "1900000000"));
    upstream.github_limit(1, 1_900_000_000);
    let unchanged = get_github(&upstream, VERSIONS, first.header("etag")).await;
    assert_eq!((unchanged.status, unchanged.header("x-ratelimit-remaining")), (304, "1"));
    assert_eq!(get_github(&upstream, &format!("{VERSIONS}?page=1"), first.header("etag")).await.status, 200);
}

/// <https://learn.microsoft.com/nuget/api/registration-base-url-resource>
#[tokio::test]
async fn nuget_inlines_registration_pages_below_128_versions() {
    for (count, is_inlined, last) in [(127, true, 63), (128, false, 64)] {
        let upstream = upstream_with(count);
        let index = get_nuget(&upstream, REGISTRATION).await.json();
        let pages = index["items"].as_array().unwrap();
        assert_eq!((pages.len(), pages[1].get("items").is_some()), (2, is_inlined));
        assert_eq!([&pages[0]["lower"], &pages[0]["upper"]], ["1.1.0", "1.64.0"]);
        let fetched = if is_inlined {
            pages[1].clone()
        } else {
            get(pages[1]["@id"].as_str().unwrap(), &[]).await.json()
        };
        assert_eq!(fetched["items"].as_array().unwrap().len(), last);
    }
}

/// <https://learn.microsoft.com/nuget/api/package-base-address-resource>
#[tokio::test]
async fn nuget_documents_are_normalized_compressed_and_conditional() {
    let upstream = Upstream::start();
    upstream.publish("Acme.Kit", &["1.0", "2.0.0-RC.1+build.7", "1.0.1"]);
    upstream.unlist("acme.kit", "1.0.1");
    let flat = get_nuget(&upstream, FLAT_CONTAINER).await.json();
    assert_eq!(flat["versions"], json!(["1.0.0", "2.0.0-rc.1", "1.0.1"]), "as published, unlisted ones too");

    let index = get_nuget(&upstream, REGISTRATION).await;
    assert_eq!(index.header("content-encoding"), "gzip", "whatever the client accepts");
    let leaves = index.json()["items"][0]["items"].as_array().unwrap().clone();
    let listed =
        leaves.iter().map(|leaf| (&leaf["catalogEntry"]["version"], &leaf["catalogEntry"]["listed"]));
    let is_listed: Vec<_> =
        listed.map(|(version, listed)| (version.as_str().unwrap(), *listed != false)).collect();
    assert_eq!(is_listed, [("1.0.0", true), ("1.0.1", false), ("2.0.0-RC.1+build.7", true)]);
    for condition in
        [("if-none-match", index.header("etag")), ("if-modified-since", index.header("last-modified"))]
    {
        let unchanged = get(&format!("{}{REGISTRATION}", upstream.url()), &[condition]).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{condition:?}");
    }
    let sem_ver_1 = get_nuget(&upstream, &REGISTRATION.replace("-semver2", "")).await.json();
    assert_eq!(sem_ver_1["items"][0]["count"], 2, "without the version that needs SemVer 2.0.0");
    let missing = get_nuget(&upstream, &REGISTRATION.replace("acme", "Acme")).await;
    assert_eq!(
        (missing.status, missing.header("content-type")),
        (404, "application/xml"),
        "paths have one case"
    );
}

#[tokio::test]
async fn a_fault_reaches_the_client_the_planned_number_of_times() {
    let upstream = upstream_with(20);
    let address = format!("{}{FLAT_CONTAINER}", upstream.url());
    let whole = get(&address, &[]).await;
    let tag = [("if-none-match", whole.header("etag"))];
    for fault in [UpstreamFault::Dropped, UpstreamFault::BrokenOff] {
        upstream.plan_fault(FLAT_CONTAINER, fault, 1);
        assert!(try_get(&address, &[]).await.is_err());
    }
    upstream.plan_fault(FLAT_CONTAINER, UpstreamFault::TruncatedGzip, 1);
    let cut = get(&address, &[]).await;
    assert!(GzDecoder::new(&cut.body[..]).read_to_end(&mut Vec::new()).is_err());
    upstream.plan_fault(FLAT_CONTAINER, UpstreamFault::Garbage, 1);
    assert!(serde_json::from_slice::<Value>(&get(&address, &[]).await.body).is_err());
    upstream.plan_fault(FLAT_CONTAINER, UpstreamFault::SameTag, 1);
    let same = get(&address, &tag).await;
    assert_eq!((same.status, same.header("etag"), &same.body), (200, tag[0].1, &whole.body));
    assert_eq!(get(&address, &tag).await.status, 304, "no fault is left");
}
