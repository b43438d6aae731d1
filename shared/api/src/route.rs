//! The paths of the HTTP API, and the methods that each path accepts.
//!
//! A function URL passes a path as sent, and this module decodes each name in it, so that every name arrives exactly as
//! the client meant it: `feature/x`, `a#b`, even `100%` and a branch named `a%2Fb`. An HTTP API has decoded the path
//! twice, and cut it at a `?`: names with `%` or `?` do not survive that. The query parameter `branch` arrives as sent
//! in both cases.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};

/// Everything except the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The route of a path. Names are decoded but not yet validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route<'a> {
    /// `POST /tests/results` with the names in the body, or
    /// `POST /tests/results/{platform}/{owner}/{repo}/{branch}`.
    Submit(Option<RawTarget<'a>>),
    Read(ReadRoute<'a>),
}

/// The routes that only read. Every path below `/badges/tests` and below `/badges/packages/{provider}` is a badge,
/// even if its subject does not exist, because shields.io shows nothing but badges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadRoute<'a> {
    /// `/tests/results/{owner}/{repo}`: the history of a repository.
    History {
        owner: Cow<'a, str>,
        repo: Cow<'a, str>,
    },
    /// `/tests/latest/{owner}/{repo}`: the slots of a repository.
    Latest {
        owner: Cow<'a, str>,
        repo: Cow<'a, str>,
    },
    /// `/badges/tests/{platform or all}/{owner}/{repo}/{branch}`
    TestBadge(BadgeFormat, Option<RawTarget<'a>>),
    /// `/badges/packages/nuget/{package}` or `/badges/packages/github/{org}/{package}`: the registry, and the rest of
    /// the path.
    PackageBadge(BadgeFormat, Registry, Cow<'a, str>),
    /// `/redirect/test-results/{platform or all}/{owner}/{repo}/{branch}`: redirects to the run behind a badge.
    Redirect(RawTarget<'a>),
    Page(PageRoute<'a>),
    /// `/health`
    Health,
}

/// A page for people, or a file that pages need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageRoute<'a> {
    /// `/`
    Home,
    /// `/repos/{owner}/{repo}`
    Repository { owner: Cow<'a, str>, repo: Cow<'a, str> },
    /// `/packages/nuget/{package}` or `/packages/github/{org}/{package}`: the registry, and the rest of the path.
    Package(Registry, Cow<'a, str>),
    /// `/assets/{name}`
    Asset(&'a str),
}

/// A representation of a badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadgeFormat {
    /// `/badges/...`: for shields.io.
    Json,
    /// `/svg/...`: an image.
    Svg,
}

/// A package registry in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    NuGet,
    GitHub,
}

/// A platform and branch of a repository in a path: decoded, but not parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTarget<'a> {
    pub platform: Cow<'a, str>,
    pub owner: Cow<'a, str>,
    pub repo: Cow<'a, str>,
    /// The rest of the path, or the query parameter `branch`.
    pub branch: Cow<'a, str>,
}

impl<'a> Route<'a> {
    /// Parses `path`; `None` if it is unknown. `branch` is the decoded query parameter, which overrides the branch
    /// in the path.
    pub fn parse(path: &'a str, branch: Option<String>) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if let Some(route) = ReadRoute::parse(path, branch.clone()) {
            return Some(Self::Read(route));
        }
        match path.strip_prefix("tests/results")? {
            "" => Some(Self::Submit(None)),
            rest => RawTarget::parse(rest.strip_prefix('/')?, branch).map(Some).map(Self::Submit),
        }
    }

    /// The methods that the path accepts, as the value of an `Allow` header.
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Submit(_) => "POST, OPTIONS",
            Self::Read(_) => "GET, HEAD, OPTIONS",
        }
    }
}

impl<'a> ReadRoute<'a> {
    fn parse(path: &'a str, branch: Option<String>) -> Option<Self> {
        if path == "health" {
            return Some(Self::Health);
        }
        if let Some(page) = PageRoute::parse(path) {
            return Some(Self::Page(page));
        }
        for (prefix, format) in [("badges/", BadgeFormat::Json), ("svg/", BadgeFormat::Svg)] {
            if let Some(badge) = path.strip_prefix(prefix) {
                return Self::badge(format, badge, branch);
            }
        }
        if let Some(target) = path.strip_prefix("redirect/test-results/") {
            return RawTarget::parse(target, branch).map(Self::Redirect);
        }
        if let Some(names) = path.strip_prefix("tests/latest/") {
            let (owner, repo) = repository(names)?;
            return Some(Self::Latest { owner, repo });
        }
        let (owner, repo) = repository(path.strip_prefix("tests/results/")?)?;
        Some(Self::History { owner, repo })
    }

    fn badge(format: BadgeFormat, path: &'a str, branch: Option<String>) -> Option<Self> {
        match path.split_once('/')? {
            ("tests", target) => Some(Self::TestBadge(format, RawTarget::parse(target, branch))),
            ("packages", names) => {
                let (registry, names) = package(names)?;
                Some(Self::PackageBadge(format, registry, names))
            }
            _ => None,
        }
    }
}

impl<'a> PageRoute<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        if path.is_empty() {
            return Some(Self::Home);
        }
        match path.split_once('/')? {
            ("repos", names) => {
                let (owner, repo) = repository(names)?;
                Some(Self::Repository { owner, repo })
            }
            ("packages", names) => package(names).map(|(registry, names)| Self::Package(registry, names)),
            ("assets", name) => Some(Self::Asset(name)),
            _ => None,
        }
    }
}

fn repository(names: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let (owner, repo) = names.split_once('/').filter(|(_, repo)| !repo.contains('/'))?;
    Some((decode(owner), decode(repo)))
}

fn package(names: &str) -> Option<(Registry, Cow<'_, str>)> {
    let (registry, names) = names.split_once('/')?;
    let registry = match &*decode(registry).to_ascii_lowercase() {
        "nuget" => Registry::NuGet,
        "github" => Registry::GitHub,
        _ => return None,
    };
    Some((registry, decode(names)))
}

impl<'a> RawTarget<'a> {
    fn parse(names: &'a str, branch: Option<String>) -> Option<Self> {
        let mut names = names.splitn(4, '/');
        let (platform, owner, repo) = (names.next()?, names.next()?, names.next()?);
        let branch = match branch {
            Some(branch) => Cow::Owned(branch),
            None => decode(names.next()?),
        };
        Some(Self { platform: decode(platform), owner: decode(owner), repo: decode(repo), branch })
    }
}

/// The end of a URL below `.../{owner}/{repo}`: `/{branch}`, or `?branch=` if the branch has a character that a client
/// or origin might change in a path.
pub fn branch_suffix(branch: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if branch.chars().all(is_plain) && !branch.split('/').any(|part| matches!(part, "." | "..")) {
        format!("/{branch}")
    } else {
        format!("?branch={}", segment(branch))
    }
}

/// Encodes `name` as one path segment or one query value.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, ESCAPED).to_string()
}

/// Decodes `name` once. A sequence that is not valid UTF-8 stays encoded.
fn decode(name: &str) -> Cow<'_, str> {
    let decoded = percent_decode_str(name);
    if let Ok(text) = decoded.clone().decode_utf8() {
        return text;
    }
    let bytes: Vec<u8> = decoded.collect();
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(percent_encode(chunk.invalid(), NON_ALPHANUMERIC));
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch_of(path: &str, query: Option<&str>) -> String {
        match Route::parse(path, query.map(str::to_owned)) {
            Some(Route::Read(ReadRoute::TestBadge(_, Some(target)))) => target.branch.into_owned(),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn every_branch_is_decoded_exactly() {
        for (path, branch) in [
            ("main", "main"),
            ("feature/x", "feature/x"),
            ("a#b", "a#b"),
            ("100%25", "100%"),
            ("a%252Fb", "a%2Fb"),
            ("50%off", "50%off"),
            ("a%25zzb", "a%zzb"),
            ("caf\u{e9}", "caf\u{e9}"),
            ("%FF", "%FF"),
            ("a%2Fb%FF%C3%A9", "a/b%FF\u{e9}"),
            ("main/", "main/"),
        ] {
            assert_eq!(branch_of(&format!("/badges/tests/linux/acme/kit/{path}"), None), branch);
        }
        assert_eq!(branch_of("/badges/tests/linux/acme/kit/main", Some("100%25")), "100%25");
        assert_eq!(branch_of("/badges/tests/linux/acme/kit", Some("feature/x")), "feature/x");
    }

    #[test]
    fn branches_with_unusual_characters_are_in_the_query() {
        for (branch, suffix) in [
            ("main", "/main"),
            ("feature/x_1.0-a", "/feature/x_1.0-a"),
            ("a..b", "/a..b"),
            ("a/../b", "?branch=a%2F..%2Fb"),
            ("a#b", "?branch=a%23b"),
            ("a b+c", "?branch=a%20b%2Bc"),
            ("100%", "?branch=100%25"),
            ("what?", "?branch=what%3F"),
            ("caf\u{e9}", "?branch=caf%C3%A9"),
        ] {
            assert_eq!(branch_suffix(branch), suffix);
        }
    }
}
