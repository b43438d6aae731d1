//! The addresses of the HTTP API, in one table: which paths there are, and which methods each takes.
//!
//! A path arrives as API Gateway's HTTP API hands it on: decoded except for `%25`. Each name in it is
//! decoded once more here, invalid sequences left alone, so that every name arrives exactly as the
//! client meant it: `feature/x`, `a#b`, even `100%` and a branch that is called `a%2Fb`.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};

use badgesmith_domain::package::{Package, Provider};

/// Everything but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a path addresses. Names are decoded, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/tests/results`: a signed result goes in, its names in the body.
    Submit,
    /// `/tests/results/{platform}/{owner}/{repo}/{branch}`: the same, its names in the path.
    SubmitTo(RawTarget<'a>),
    /// `/tests/results/{owner}/{repo}`: the history of a repository.
    History {
        /// The repository's owner.
        owner: Cow<'a, str>,
        /// Its name.
        repo: Cow<'a, str>,
    },
    /// `/badges/tests/{platform}/{owner}/{repo}/{branch}`. Everything below `/badges/tests` is a badge,
    /// whether or not it can be found.
    TestBadge(Option<RawTarget<'a>>),
    /// `/badges/packages/nuget/{package}` or `/badges/packages/github/{org}/{package}`: everything below
    /// `/badges/packages` of one provider is a badge, and has no package if it names none.
    PackageBadge(Provider, Option<Package>),
    /// `/redirect/test-results/{platform}/{owner}/{repo}/{branch}`: to the run behind a badge.
    Redirect(RawTarget<'a>),
    /// `/health`
    Health,
}

/// The names in a path that point at the results of one branch on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTarget<'a> {
    /// The operating system.
    pub platform: Cow<'a, str>,
    /// The repository's owner.
    pub owner: Cow<'a, str>,
    /// Its name.
    pub repo: Cow<'a, str>,
    /// The rest of the path, or the query's `branch`.
    pub branch: Cow<'a, str>,
}

impl<'a> Route<'a> {
    /// What `path` addresses; `None` when there is nothing. `branch` is the query's, already decoded: it
    /// overrides the path's, for addresses written by hand.
    pub fn parse(path: &'a str, branch: Option<String>) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if path == "health" {
            return Some(Self::Health);
        }
        if let Some(place) = path.strip_prefix("badges/tests/") {
            return Some(Self::TestBadge(RawTarget::parse(place, branch)));
        }
        if let Some(names) = path.strip_prefix("badges/packages/") {
            return Self::package_badge(names);
        }
        if let Some(place) = path.strip_prefix("redirect/test-results/") {
            return RawTarget::parse(place, branch).map(Self::Redirect);
        }
        let rest = path.strip_prefix("tests/results")?;
        let Some(names) = rest.strip_prefix('/') else {
            return rest.is_empty().then_some(Self::Submit);
        };
        match names.split_once('/') {
            Some((owner, repo)) if !repo.contains('/') => {
                Some(Self::History { owner: decode(owner), repo: decode(repo) })
            }
            _ => RawTarget::parse(names, branch).map(Self::SubmitTo),
        }
    }

    fn package_badge(names: &str) -> Option<Self> {
        let (provider, names) = names.split_once('/')?;
        let provider = match &*decode(provider).to_ascii_lowercase() {
            "nuget" => Provider::NuGet,
            "github" => Provider::GitHub,
            _ => return None,
        };
        // A decoded `/` in a name makes it no name, as it should.
        let package = format!("{provider}/{}", decode(names)).parse().ok();
        Some(Self::PackageBadge(provider, package))
    }

    /// The methods that the path takes, as an `Allow` header says it.
    pub fn allow(&self) -> &'static str {
        if self.takes_posts() { "POST, OPTIONS" } else { "GET, HEAD, OPTIONS" }
    }

    /// Whether results are posted here; everything else is read.
    pub fn takes_posts(&self) -> bool {
        matches!(self, Self::Submit | Self::SubmitTo(_))
    }
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

/// `name` as one segment of a path, or as one value of a query.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, ESCAPED).to_string()
}

/// Decodes once. A sequence that does not decode to UTF-8 stays encoded.
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
            Some(Route::TestBadge(Some(place))) => place.branch.into_owned(),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn every_branch_arrives_exactly() {
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
    fn paths_have_one_meaning() {
        let route = |path| Route::parse(path, None);
        assert_eq!(route("/health"), Some(Route::Health));
        assert_eq!(route("/tests/results"), Some(Route::Submit));
        assert!(matches!(route("/tests/results/acme/kit"), Some(Route::History { .. })));
        assert!(matches!(route("/tests/results/linux/acme/kit/main"), Some(Route::SubmitTo(_))));
        assert!(matches!(route("/tests/results/linux/acme/kit/feature/x"), Some(Route::SubmitTo(_))));
        assert!(matches!(route("/redirect/test-results/linux/acme/kit/main"), Some(Route::Redirect(_))));
        assert_eq!(route("/badges/tests/linux/acme/kit"), Some(Route::TestBadge(None)));
        for (path, package) in [
            ("/badges/packages/nuget/Newtonsoft.Json", Some("nuget/newtonsoft.json")),
            ("/badges/packages/NuGet/a%2Eb", Some("nuget/a.b")),
            ("/badges/packages/github/Acme/Acme.Kit", Some("github/acme/acme.kit")),
            ("/badges/packages/nuget/", None),
            ("/badges/packages/nuget/a/b", None),
            ("/badges/packages/nuget/a b", None),
            ("/badges/packages/github/kit", None),
        ] {
            let Some(Route::PackageBadge(_, found)) = route(path) else { panic!("{path} is a badge") };
            assert_eq!(found.map(|package| package.to_string()).as_deref(), package, "{path}");
        }
        for nothing in [
            "",
            "/badges/packages/nuget",
            "/badges/packages/npm/left-pad",
            "/",
            "/tests",
            "/tests/resultsx",
            "/tests/results/acme",
            "/tests/results/linux/acme/kit",
            "/badges/tests",
            "/healthy",
            "/redirect/test-results/linux/acme/kit",
            "health",
        ] {
            assert_eq!(route(nothing), None, "{nothing}");
        }
    }
}
