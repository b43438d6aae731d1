//! GitHub Packages: the requests to the API, which packages are shown, and the badge and the token while GitHub rejects
//! requests.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use refresher::Report;
use serde_json::json;
use tests::upstream::{Account, RecordedRequest, Upstream, UpstreamFault, Visibility};
use tests::world::{FRESH_FOR, World};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

mod limits;
mod names;
mod types;

const ACME: Account<'_> = Account::Org("Acme");
const TOKEN: &str = "ghp_bM3vq0T7wYxkR2dJ";
/// A token without access to private packages.
const BLIND_TOKEN: &str = "ghp_Qw72mXe9LcVt5hRz";
const NEW_TOKEN: &str = "ghp_Zs81LhU6pEoNc4fA";
/// The path of acme.kit.
const KIT: &str = "/github/orgs/acme/packages/nuget/acme.kit";
const ALWAYS: usize = usize::MAX;
const MINUTE: Duration = Duration::from_mins(1);
/// A failed refresh is repeated after this long, however many failed before.
const LONGEST_BACKOFF: Duration = Duration::from_mins(61);

/// A world with a token that is mapped to acme, so for its public packages; it has access to private ones too.
async fn world() -> (Upstream, World) {
    let upstream = Upstream::start();
    upstream.github_token(TOKEN, &["acme"]);
    let world = World::with_upstream(&upstream);
    world.set_github_token("acme", TOKEN).await;
    (upstream, world)
}

/// The same world, which knows acme.kit, a public package with these versions.
async fn world_that_knows(versions: &[&str]) -> (Upstream, World) {
    let (upstream, world) = world().await;
    upstream.github_publish(ACME, "Acme.Kit", Visibility::Public, versions);
    assert_eq!(world.version("github/acme/acme.kit").await, "pending");
    world.drain_requests().await;
    upstream.take_requests();
    (upstream, world)
}

/// Advances the clock and runs the schedule.
async fn refresh(world: &World, after: Duration) -> Report {
    world.clock.advance(after);
    world.refresh_due().await
}

fn paths(requests: &[RecordedRequest]) -> Vec<&str> {
    requests.iter().map(|request| request.path.as_str()).collect()
}

fn status(status: u16, headers: &[(&'static str, String)], body: &str) -> UpstreamFault {
    UpstreamFault::Status { status, headers: headers.to_vec(), body: body.to_owned() }
}

#[tokio::test]
async fn a_package_is_looked_up_as_an_organizations_and_then_as_a_users() {
    let (upstream, mut world) = world().await;
    upstream.github_publish(ACME, "Acme.Kit", Visibility::Public, &["1.0.0", "1.1.0"]);
    assert_eq!(world.look_up("github/ACME/Acme.Kit").await, "1.1.0");
    let badge = world.get("/badges/packages/github/acme/acme.kit").await.json();
    assert_eq!((&badge["label"], &badge["color"]), (&json!("github"), &json!("green")));
    let mut all = upstream.take_requests();
    let kit = KIT.replace("acme.kit", "Acme.Kit");
    assert_eq!(paths(&all), [&kit, &format!("{kit}/versions?per_page=100")], "as the reader wrote it");

    upstream.github_publish(Account::User("jane"), "Kit", Visibility::Public, &["2.0.0-rc.1", "latest"]);
    world.set_github_token("jane", TOKEN).await;
    assert_eq!(world.look_up("github/jane/kit").await, "2.0.0-rc.1");
    let [org, user] = ["orgs", "users"].map(|owner| format!("/github/{owner}/jane/packages/nuget/kit"));
    let versions = format!("{user}/versions?per_page=100");
    let requests = upstream.take_requests();
    assert_eq!(paths(&requests), [&org, &user, &versions], "first as an organization's, then as a user's");
    all.extend(requests);

    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 2);
    let mut again = upstream.take_requests();
    all.extend(again.clone());
    assert!(
        again.iter().all(|request| request.status == Some(304) && request.header("if-none-match").is_some())
    );
    again.retain(|request| request.path.contains("jane"));
    assert_eq!(paths(&again), [&user, &versions], "the kind of owner is found out once");
    for request in all {
        assert_eq!(request.method, Method::GET);
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
        assert_eq!(request.header("accept"), Some("application/vnd.github+json"));
        assert_eq!(request.header("x-github-api-version"), Some("2022-11-28"));
        assert_eq!(request.header("accept-encoding"), Some("gzip"));
        assert!(request.header("user-agent").unwrap().starts_with("badgesmith/"));
    }
}

#[tokio::test]
async fn every_refresh_requests_all_pages() {
    let versions: Vec<_> = (1..250).map(|patch| format!("1.0.{patch}")).collect();
    let versions: Vec<_> = ["2.0.0"].into_iter().chain(versions.iter().map(String::as_str)).collect();
    let (upstream, world) = world_that_knows(&versions).await;
    assert_eq!(world.version("github/acme/acme.kit").await, "2.0.0", "the newest is not the highest");
    assert_eq!(world.version("github/acme/acme.kit?version=[1.0.100,1.0.200)").await, "1.0.199");
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1);
    let again = upstream.take_requests();
    assert_eq!(again.len(), 1 + 3, "the package and its pages: {:?}", paths(&again));
    assert!(again.iter().all(|request| request.status == Some(304)), "{again:?}");
    assert!(again[2].path.contains("/organizations/"), "further pages are at the URLs that GitHub gives");

    for how in [status(500, &[], ""), UpstreamFault::TruncatedGzip, UpstreamFault::BrokenOff] {
        upstream.github_publish(ACME, "Acme.Kit", Visibility::Public, &["0.0.1"]);
        upstream.plan_fault("page=2", how.clone(), ALWAYS);
        assert_eq!(refresh(&world, LONGEST_BACKOFF).await.failed, 1, "{how:?}");
        assert_eq!(world.version("github/acme/acme.kit").await, "2.0.0", "{how:?}");
        assert_eq!(
            world.version("github/acme/acme.kit?version=[0.0.1]").await,
            "not found",
            "all or nothing"
        );
        upstream.heal();
        upstream.github_delete_version(ACME, "Acme.Kit", "0.0.1");
    }
    // Alone on what was the third page, while the pages before stay unchanged.
    for patch in 1..50 {
        upstream.github_delete_version(ACME, "Acme.Kit", &format!("1.0.{patch}"));
    }
    refresh(&world, LONGEST_BACKOFF).await;
    assert_eq!(world.version("github/acme/acme.kit").await, "2.0.0");
    upstream.github_delete_version(ACME, "Acme.Kit", "2.0.0");
    assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1, "a deletion on the last page is detected");
    assert_eq!(world.version("github/acme/acme.kit").await, "1.0.249");
}

#[tokio::test]
async fn a_withheld_package_looks_like_one_that_does_not_exist() {
    use Visibility::{Internal, Private, Public};
    for (visibility, mapped, shown, requests) in [
        (Public, Some("acme"), true, 2),
        (Private, Some("acme"), false, 1),
        (Internal, Some("acme"), false, 1),
        (Public, Some("acme/kit"), true, 1),
        (Private, Some("acme/kit"), true, 1),
        (Internal, Some("acme/kit"), true, 1),
        (Private, Some("acme/other"), false, 0),
        (Public, Some("other"), false, 0),
        (Public, None, false, 0),
    ] {
        let context = format!("{visibility:?} {mapped:?}");
        let upstream = Upstream::start();
        upstream.github_token(TOKEN, &["acme"]);
        upstream.github_publish(ACME, "kit", visibility, &["1.0.0"]);
        let mut world = World::with_upstream(&upstream);
        if let Some(of) = mapped {
            world.set_github_token(of, TOKEN).await;
        }
        let expected = if shown { "1.0.0" } else { "not found" };
        assert_eq!(world.look_up("github/acme/kit").await, expected, "{context}");
        assert_eq!(upstream.take_requests().len(), requests, "{context}");
        assert_eq!(world.look_up("github/acme/nothing").await, "not found", "{context}");
        for query in ["", "?version=[1.0,2.0)", "?prerelease=true"] {
            let answer = |name| format!("/badges/packages/github/acme/{name}{query}");
            let [kit, nothing] = [world.get(&answer("kit")).await, world.get(&answer("nothing")).await];
            assert_eq!(kit == nothing, !shown, "{context}: {kit:?} {nothing:?}");
        }
    }
}

#[tokio::test]
async fn a_public_package_that_turns_private_disappears_at_once() {
    for visibility in [Visibility::Private, Visibility::Internal] {
        let (upstream, mut world) = world_that_knows(&["1.0.0"]).await;
        assert_eq!(world.version("github/acme/acme.kit?version=[1.0,2.0)").await, "1.0.0");
        upstream.github_set_visibility(ACME, "Acme.Kit", visibility);
        assert_eq!(refresh(&world, FRESH_FOR).await.not_found, 1);
        for query in ["", "?version=[1.0,2.0)"] {
            assert_eq!(world.version(&format!("github/acme/acme.kit{query}")).await, "not found", "{query}");
        }
        upstream.github_set_visibility(ACME, "Acme.Kit", Visibility::Public);
        world.clock.advance(LONGEST_BACKOFF);
        assert_eq!(world.look_up("github/acme/acme.kit").await, "1.0.0", "and may come back");
    }
}

/// A private package is shown, and then its token mapping is deleted.
async fn check_withdrawn(token_of_organization: Option<&str>, github: Option<UpstreamFault>) {
    let upstream = Upstream::start();
    upstream.github_token(TOKEN, &["acme"]);
    upstream.github_publish(ACME, "Secret.Kit", Visibility::Private, &["1.0.0"]);
    let mut world = World::with_upstream(&upstream);
    world.set_github_token("acme/secret.kit", TOKEN).await;
    upstream.github_token(BLIND_TOKEN, &[]);
    if let Some(token) = token_of_organization {
        world.set_github_token("acme", token).await;
    }
    assert_eq!(world.look_up("github/acme/secret.kit").await, "1.0.0");
    let context = format!("{token_of_organization:?} {github:?}");
    if let Some(how) = github {
        upstream.plan_fault("/github/", how, ALWAYS);
    }
    world.delete_github_token("acme/secret.kit").await;
    refresh(&world, FRESH_FOR).await;
    for query in ["", "?version=[1.0,2.0)"] {
        assert_eq!(world.version(&format!("github/acme/secret.kit{query}")).await, "not found", "{context}");
    }
}

#[tokio::test]
async fn a_private_package_is_withheld_at_the_next_refresh_after_its_mapping_is_deleted() {
    check_withdrawn(None, None).await;
    check_withdrawn(Some(TOKEN), None).await;
    check_withdrawn(Some(BLIND_TOKEN), None).await;
    check_withdrawn(None, Some(UpstreamFault::Dropped)).await;
}

#[tokio::test]
async fn a_private_package_without_a_mapping_is_withheld_even_if_github_does_not_say_whether_it_is_public_now()
 {
    let later = [("retry-after", "1800".to_owned())];
    for how in [UpstreamFault::Dropped, status(429, &later, ""), status(401, &[], "{}")] {
        check_withdrawn(Some(TOKEN), Some(how)).await;
    }
}

#[tokio::test]
async fn known_packages_stay_and_new_ones_are_not_found_while_the_token_is_rejected() {
    for how in ["revoked", "without scope", "without SSO"] {
        let (upstream, world) = world_that_knows(&["1.0.0"]).await;
        upstream.github_publish(ACME, "New", Visibility::Public, &["3.0.0"]);
        match how {
            "revoked" => upstream.github_revoke_token(TOKEN),
            "without scope" => upstream.github_token_without_scope(TOKEN),
            _ => {
                let sso = [("x-github-sso", "required; url=https://github.com/orgs/acme/sso".to_owned())];
                upstream.plan_fault("/github/", status(403, &sso, "{}"), ALWAYS);
            }
        }
        assert_eq!(refresh(&world, FRESH_FOR).await.failed, 1, "{how}");
        let requests = upstream.take_requests();
        assert_eq!(requests.len(), 1, "{how}: one attempt: {:?}", paths(&requests));
        assert_eq!(world.version("github/acme/acme.kit").await, "1.0.0", "{how}: known versions stay");
        assert_eq!(world.version("github/acme/new").await, "pending");
        world.drain_requests().await;
        assert_eq!(world.version("github/acme/new").await, "not found", "{how}: a new name is not found");
    }
}

#[tokio::test]
async fn a_rotated_token_is_used_within_minutes() {
    for revoked_before in [Duration::ZERO, MINUTE * 20] {
        let (upstream, world) = world_that_knows(&["1.0.0"]).await;
        upstream.github_publish(ACME, "Acme.Kit", Visibility::Public, &["2.0.0"]);
        upstream.github_publish(ACME, "New", Visibility::Public, &["3.0.0"]);
        upstream.github_revoke_token(TOKEN);
        if !revoked_before.is_zero() {
            assert_eq!(refresh(&world, revoked_before).await.failed, 1);
        }
        upstream.github_token(NEW_TOKEN, &[]);
        world.set_github_token("acme", NEW_TOKEN).await;
        for _ in 0..4 {
            refresh(&world, MINUTE * 5).await;
        }
        assert_eq!(world.version("github/acme/acme.kit").await, "2.0.0", "after {revoked_before:?}");
        world.version("github/acme/new").await;
        world.drain_requests().await;
        assert_eq!(world.version("github/acme/new").await, "3.0.0", "after {revoked_before:?}");
    }
}

#[tokio::test]
async fn a_new_name_is_looked_up_with_the_rotated_token() {
    let (upstream, mut world) = world_that_knows(&["1.0.0"]).await;
    upstream.github_publish(ACME, "New", Visibility::Public, &["3.0.0"]);
    upstream.github_token(NEW_TOKEN, &[]);
    world.set_github_token("acme", NEW_TOKEN).await;
    upstream.github_revoke_token(TOKEN);
    world.clock.advance(MINUTE * 2);
    world.version("github/acme/new").await;
    world.drain_requests().await;
    world.clock.advance(MINUTE * 2);
    assert_eq!(world.version("github/acme/new").await, "3.0.0", "the old token was in memory");
    // GitHub's entity tags depend on the token, its documents do not.
    assert_eq!(refresh(&world, FRESH_FOR).await.failed, 0);
    assert_eq!(world.look_up("github/acme/acme.kit").await, "1.0.0");
}

#[tokio::test]
async fn a_malformed_document_changes_nothing() {
    let (package, versions) = (KIT.to_owned(), format!("{KIT}/versions"));
    for (path, body) in [
        (&package, "{}"),
        (&package, "{\"message\":\"We are moving.\"}"),
        (&package, "{\"visibility\":null}"),
        (&package, "[]"),
        (&versions, "{}"),
        (&versions, "null"),
        (&versions, "[]"),
    ] {
        let (upstream, mut world) = world_that_knows(&["1.0.0"]).await;
        upstream.plan_fault(path, status(200, &[], body), 1);
        refresh(&world, FRESH_FOR).await;
        world.restart_functions();
        for query in ["", "?version=[1.0,2.0)"] {
            assert_eq!(
                world.version(&format!("github/acme/acme.kit{query}")).await,
                "1.0.0",
                "{path} {body}"
            );
        }
    }
}

#[tokio::test]
async fn a_token_is_sent_to_no_other_host() {
    let other = Upstream::start();
    other.github_token(TOKEN, &["acme"]);
    other.github_publish(ACME, "Acme.Kit", Visibility::Public, &["9.0.0"]);
    let here = |upstream: &Upstream| upstream.url().replace("http://", "");
    let there = format!("{}{KIT}/versions?per_page=100&page=2", other.url());
    let body = "[{\"id\":1,\"name\":\"9.0.0\"}]";
    for how in ["a link", "a link that looks like ours", "a redirect", "a redirect of the list"] {
        let (upstream, mut world) = world_that_knows(&["1.0.0"]).await;
        upstream.github_publish(ACME, "New", Visibility::Public, &["9.0.0"]);
        let disguised = there.replace("http://", &format!("http://{}@", here(&upstream)));
        let link = |to: &str| [("link", format!("<{to}>; rel=\"next\""))];
        let (part, fault) = match how {
            "a link" => ("/versions", status(200, &link(&there), body)),
            "a link that looks like ours" => ("/versions", status(200, &link(&disguised), body)),
            "a redirect" => ("/github/", UpstreamFault::RedirectTo(there.clone())),
            _ => ("/versions", UpstreamFault::RedirectTo(there.clone())),
        };
        upstream.plan_fault(part, fault, ALWAYS);
        assert_eq!(refresh(&world, FRESH_FOR).await.failed, 1, "{how}");
        assert_eq!(world.version("github/acme/acme.kit").await, "1.0.0", "{how}");
        assert_eq!(world.look_up("github/acme/new").await, "unavailable", "{how}");
        let leaked = other.take_requests();
        assert!(leaked.is_empty(), "{how}: {:?}", paths(&leaked));
    }
    let (upstream, world) = world_that_knows(&["1.0.0"]).await;
    upstream.github_publish(ACME, "Acme.Kit", Visibility::Public, &["2.0.0"]);
    upstream.plan_fault(KIT, UpstreamFault::RedirectTo(format!("{KIT}?moved")), 1);
    assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1, "redirects on the same host are followed");
    let requests = upstream.take_requests();
    assert!(
        requests.iter().all(|request| request.header("authorization").is_some()),
        "{:?}",
        paths(&requests)
    );
}

#[tokio::test]
async fn links_may_come_in_several_header_lines() {
    let (upstream, mut world) = world().await;
    upstream.github_publish(ACME, "Kit", Visibility::Public, &["1.0.0"]);
    let page = |number| format!("{}/github/elsewhere/{number}", upstream.url());
    let links = [
        ("link", format!("<{}>; rel=\"first\", <{}>; rel=\"last\"", page(1), page(2))),
        ("link", "<../../../../elsewhere/2>; rel=\"last next\"".to_owned()),
    ];
    upstream.plan_fault("/versions", status(200, &links, "[{\"name\":\"1.0.0\"}]"), ALWAYS);
    upstream.plan_fault("/elsewhere/2", status(200, &[], "[{\"name\":\"1.7.0\"},{}]"), ALWAYS);
    assert_eq!(world.look_up("github/acme/kit").await, "1.7.0");
}

/// The log of one thread.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Forwards the logs of reqwest and rustls, which use the `log` crate.
struct FromLog;

impl log::Log for FromLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        tracing::trace!("{} {}", record.target(), record.args());
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn no_log_and_no_response_contains_a_token() {
    let captured = Captured::default();
    let subscriber = || {
        let writer = captured.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        // The SDK logs whole responses, also of Secrets Manager; releases are built without that.
        let filter = filter_fn(|metadata| !metadata.target().starts_with("aws_"));
        tracing_subscriber::registry().with(layer.with_filter(filter))
    };
    // With only one subscriber, a log statement that another thread reaches first would be disabled for good.
    let _second = tracing::Dispatch::new(subscriber());
    let _guard = tracing::subscriber::set_default(subscriber());
    log::set_logger(&FromLog).unwrap();
    log::set_max_level(log::LevelFilter::Trace);

    let (upstream, mut world) = world_that_knows(&["1.0.0"]).await;
    let mut outputs = vec![format!("{world:?}")];
    for how in [
        UpstreamFault::Dropped,
        UpstreamFault::Garbage,
        UpstreamFault::RedirectTo(format!("https://elsewhere.test{KIT}")),
        status(401, &[], "{}"),
        status(403, &[], "{}"),
        status(500, &[], TOKEN),
        status(200, &[("link", "<https://elsewhere.test/>; rel=\"next\"".to_owned())], "[]"),
        status(429, &[("retry-after", "60".to_owned())], "{}"),
    ] {
        upstream.plan_fault("/github/", how, ALWAYS);
        outputs.push(format!("{:?}", refresh(&world, LONGEST_BACKOFF).await));
        outputs.push(format!("{:?}", world.get("/badges/packages/github/acme/acme.kit").await));
        upstream.heal();
    }
    for value in [json!(TOKEN), json!({ "token": [TOKEN] }), json!({ "token": format!("{TOKEN}\n") })] {
        world.set_github_secret("acme", &value.to_string());
        world.restart_functions();
        outputs.push(format!("{:?}", refresh(&world, LONGEST_BACKOFF).await));
        outputs.push(format!("{world:?}"));
    }
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for expected in ["failed to refresh package", "holds no token", "reqwest"] {
        assert!(log.contains(expected), "{expected} is logged");
    }
    outputs.extend(log.lines().map(str::to_owned));
    let leaks: Vec<_> = outputs.iter().filter(|output| output.contains(TOKEN)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
