use super::super::Upstream;
use super::super::wire::{self, Raw};
use super::*;

const TOKEN: &str = "ghp_reader";

/// With one token that sees nothing private.
fn upstream() -> Upstream {
    let upstream = Upstream::start();
    upstream.github_token(TOKEN, &[]);
    upstream
}

fn ask(address: &str, token: &str, tag: &str) -> Raw {
    let authorization = format!("Bearer {token}");
    let headers =
        [("authorization", authorization.as_str()), ("user-agent", "tests"), ("if-none-match", tag)];
    wire::get(address, &headers)
}

fn get(upstream: &Upstream, path: &str) -> Raw {
    ask(&format!("{}{path}", upstream.github_api()), TOKEN, "none")
}

fn names(page: &Raw) -> Vec<String> {
    let page = page.json();
    page.as_array().unwrap().iter().map(|version| version["name"].as_str().unwrap().to_owned()).collect()
}

fn link<'a>(answer: &'a Raw, rel: &str) -> Option<&'a str> {
    let mut links = answer.header("link").split(", ").filter_map(|link| link.split_once("; "));
    let (address, _) = links.find(|(_, found)| *found == format!("rel=\"{rel}\""))?;
    Some(address.trim_matches(['<', '>']))
}

fn publish_many(upstream: &Upstream, account: Account<'_>, count: usize) {
    let versions: Vec<_> = (1..=count).map(|minor| format!("1.{minor}.0")).collect();
    let versions: Vec<_> = versions.iter().map(String::as_str).collect();
    upstream.github_publish(account, "Acme.Kit", Visibility::Public, &versions);
}

#[test]
fn pages_are_followed_to_the_end() {
    for (account, path, numbered) in [
        (Account::Org("Acme"), "/orgs/acme/packages/nuget/acme.kit/versions", "/github/organizations/"),
        (Account::User("Jane"), "/users/JANE/packages/nuget/ACME.KIT/versions", "/github/user/"),
    ] {
        let upstream = upstream();
        publish_many(&upstream, account, 230);
        upstream.github_publish(account, "acme.kit", Visibility::Public, &["nightly/2", "0.9.1"]);
        let mut page = get(&upstream, &format!("{path}?per_page=100"));
        assert_eq!(link(&page, "prev"), None);
        let mut found = Vec::new();
        loop {
            found.extend(names(&page));
            let Some(next) = link(&page, "next") else { break };
            assert!(next.starts_with(&upstream.url()) && next.contains(numbered), "{next}");
            page = ask(next, TOKEN, "none");
        }
        assert_eq!(found.len(), 232);
        assert_eq!(found[..3], ["0.9.1", "nightly/2", "1.230.0"]);
        assert_eq!(found[231], "1.1.0");
        assert!(link(&page, "first").is_some() && link(&page, "last").is_none());
    }
}

#[test]
fn pages_have_their_sizes() {
    let upstream = upstream();
    publish_many(&upstream, Account::Org("acme"), 150);
    let path = "/orgs/acme/packages/nuget/Acme.Kit/versions";
    for (query, expected) in
        [("", 30), ("?per_page=1000", 100), ("?per_page=100&page=2", 50), ("?per_page=x&page=0", 30)]
    {
        assert_eq!(names(&get(&upstream, &format!("{path}{query}"))).len(), expected, "{query}");
    }
    let past = get(&upstream, &format!("{path}?page=99"));
    assert_eq!((past.status, past.body.as_slice()), (200, &b"[]"[..]));
    let description = get(&upstream, "/orgs/acme/packages/nuget/acme.kit").json();
    assert_eq!(description["name"], "Acme.Kit");
    assert_eq!(description["visibility"], "public");
    assert_eq!(description["version_count"], 150);
}

#[test]
fn what_is_not_there_and_what_is_hidden_look_alike() {
    let upstream = upstream();
    upstream.github_publish(Account::Org("acme"), "Secret", Visibility::Private, &["1.0.0"]);
    upstream.github_publish(Account::Org("acme"), "Open", Visibility::Public, &["1.0.0"]);
    upstream.github_token("ghp_member", &["Acme"]);
    let hidden = get(&upstream, "/orgs/acme/packages/nuget/secret/versions");
    assert_eq!((hidden.status, &hidden.json()["message"]), (404, &"Package not found.".into()));
    for path in [
        "/orgs/acme/packages/nuget/absent/versions",
        "/users/acme/packages/nuget/open/versions",
        "/orgs/acme/packages/npm/open/versions",
    ] {
        assert_eq!(get(&upstream, path).body, hidden.body, "{path}");
    }
    for path in ["/orgs/acme/packages/nuget/open/versions/", "/orgs/acme/packages/nuget/open/", "/rate_limit"]
    {
        assert_eq!(get(&upstream, path).status, 404, "{path}");
    }
    assert_eq!(get(&upstream, "/orgs/acme/packages/nuget/open/versions").status, 200);
    let secret = format!("{}/orgs/acme/packages/nuget/secret/versions", upstream.github_api());
    assert_eq!(ask(&secret, "ghp_member", "none").status, 200);
    upstream.github_set_visibility(Account::Org("ACME"), "SECRET", Visibility::Public);
    assert_eq!(ask(&secret, TOKEN, "none").status, 200);
    upstream.github_delete(Account::Org("acme"), "secret");
    assert_eq!(ask(&secret, "ghp_member", "none").status, 404);
}

#[test]
fn only_a_proper_request_is_looked_at() {
    let upstream = upstream();
    upstream.github_token_without_scope("ghp_bare");
    let address = format!("{}/orgs/acme/packages/nuget/kit/versions", upstream.github_api());
    let agent = ("user-agent", "tests");
    let anonymous = wire::get(&address, &[("authorization", "Bearer ghp_reader")]);
    assert_eq!((anonymous.status, anonymous.header("content-type")), (403, "text/plain; charset=utf-8"));
    let tokenless = wire::get(&address, &[agent]);
    assert_eq!((tokenless.status, &tokenless.json()["message"]), (401, &"Requires authentication".into()));
    for wrong in ["Bearer ghp_other", "Basic ghp_reader", "ghp_reader"] {
        let refused = wire::get(&address, &[agent, ("authorization", wrong)]);
        assert_eq!((refused.status, &refused.json()["message"]), (401, &"Bad credentials".into()));
    }
    let bare = ask(&address, "ghp_bare", "none");
    let why = "You need at least read:packages scope to get a package's versions.";
    assert_eq!((bare.status, bare.json()["message"].as_str()), (403, Some(why)));
    let reader = ("authorization", "Bearer ghp_reader");
    let outdated = wire::get(&address, &[agent, reader, ("x-github-api-version", "2020-01-01")]);
    assert_eq!(outdated.status, 400);
    assert_eq!(ask(&address, TOKEN, "none").status, 404);
    upstream.github_revoke_token(TOKEN);
    assert_eq!(ask(&address, TOKEN, "none").status, 401);
}

#[test]
fn unchanged_pages_cost_nothing() {
    let upstream = upstream();
    upstream.github_token("ghp_other", &[]);
    publish_many(&upstream, Account::Org("acme"), 40);
    upstream.github_limit(4, 1_900_000_000);
    let address = format!("{}/orgs/acme/packages/nuget/acme.kit/versions", upstream.github_api());
    let first = ask(&address, TOKEN, "none");
    let tag = first.header("etag");
    assert!(tag.starts_with("W/"));
    assert_eq!(first.header("x-ratelimit-remaining"), "3");
    for _ in 0..5 {
        let unchanged = ask(&address, TOKEN, tag);
        assert_eq!((unchanged.status, unchanged.header("x-ratelimit-remaining")), (304, "3"));
        assert_eq!((unchanged.header("etag"), unchanged.header("link")), (tag, ""));
    }
    assert_eq!(ask(&address, "ghp_other", tag).status, 200, "another token, another tag");
    assert_eq!(ask(&format!("{address}?page=1"), TOKEN, tag).status, 200, "another address, another tag");

    // Of the second page, of which the first does not tell.
    upstream.github_delete_version(Account::Org("acme"), "acme.kit", "1.2.0");
    assert_eq!(ask(&address, TOKEN, tag).status, 304);
    let second = ask(link(&first, "next").unwrap(), TOKEN, "none");
    assert_eq!(names(&second).len(), 9);
    assert_eq!(second.header("x-ratelimit-remaining"), "0");

    let limited = ask(&address, TOKEN, tag);
    assert_eq!((limited.status, limited.header("x-ratelimit-reset")), (403, "1900000000"));
    assert_eq!(limited.header("retry-after"), "");
    upstream.github_limit(1, 1_900_003_600);
    assert_eq!(ask(&address, TOKEN, "none").status, 200);
}

#[test]
fn answers_are_packed_for_those_who_unpack() {
    let upstream = upstream();
    publish_many(&upstream, Account::Org("acme"), 40);
    let address = format!("{}/orgs/acme/packages/nuget/acme.kit/versions", upstream.github_api());
    let plain = get(&upstream, "/orgs/acme/packages/nuget/acme.kit/versions");
    assert_eq!(plain.header("content-encoding"), "");
    let headers =
        [("authorization", "Bearer ghp_reader"), ("user-agent", "tests"), ("accept-encoding", "gzip")];
    let packed = wire::get(&address, &headers);
    assert!(packed.body.len() < plain.body.len() / 4);
    assert_eq!(packed.json(), plain.json());
}
