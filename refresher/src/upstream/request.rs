//! A request to an upstream.

use badgesmith_domain::package_record::Validator;
use http::HeaderValue;
use http::header::{self, HeaderMap, HeaderName};
use url::Url;

use crate::tokens::Token;

const GITHUB_JSON: &str = "application/vnd.github+json";
const GITHUB_API_VERSION: &str = "2022-11-28";

#[derive(Debug, Clone, Copy)]
pub(super) struct Get<'a> {
    pub(super) url: &'a Url,
    /// Makes the request conditional.
    pub(super) validator: Option<&'a Validator>,
    pub(super) credential: Option<Credential<'a>>,
    /// The redirects that are followed.
    pub(super) redirects: Redirects,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Credential<'a> {
    pub(super) token: &'a Token,
    pub(super) api: Api,
}

/// The API that a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    GitHub {
        /// The name may be invented. Half of the token's quota is reserved for packages that exist.
        is_speculative: bool,
    },
    Feed,
}

/// The redirects that are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redirects {
    /// Nothing of GitHub's, or of an issuer's, is on another host.
    SameOrigin,
    /// As NuGet's clients do, but never from `https` to `http`. reqwest sends credentials to the first host only:
    /// <https://docs.rs/reqwest/latest/reqwest/redirect/index.html>
    AnyHost,
}

impl Redirects {
    pub(super) fn allow(self, from: &Url, to: &Url) -> bool {
        match self {
            Self::SameOrigin => from.origin() == to.origin(),
            Self::AnyHost => to.scheme() == "https" || from.scheme() == to.scheme(),
        }
    }
}

impl Get<'_> {
    pub(super) fn is_for_github(&self) -> bool {
        self.credential.is_some_and(|credential| credential.api != Api::Feed)
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(Validator { etag, last_modified, .. }) = self.validator {
            insert(&mut headers, header::IF_NONE_MATCH, etag.as_deref());
            insert(&mut headers, header::IF_MODIFIED_SINCE, last_modified.as_deref());
        }
        if let Some(Credential { token, api }) = self.credential {
            if api != Api::Feed {
                headers.insert(header::ACCEPT, HeaderValue::from_static(GITHUB_JSON));
                headers.insert("x-github-api-version", HeaderValue::from_static(GITHUB_API_VERSION));
            }
            headers.insert(header::AUTHORIZATION, token.authorization.clone());
        }
        headers
    }

    /// The host of the URL, with its port unless it is the default one.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_redirect_leaves_tls_and_none_takes_a_token_elsewhere() {
        let allow = |redirects: Redirects, from: &str, to: &str| {
            redirects.allow(&from.parse().unwrap(), &to.parse().unwrap())
        };
        for (from, to, same_origin, any_host) in [
            ("https://a.test/x", "https://a.test/y", true, true),
            ("https://a.test/x", "https://b.test/x", false, true),
            ("https://a.test/x", "https://a.test:8443/x", false, true),
            ("https://a.test/x", "http://a.test/x", false, false),
            ("https://a.test/x", "http://b.test/x", false, false),
            ("http://a.test/x", "https://b.test/x", false, true),
            ("http://a.test/x", "http://b.test/x", false, true),
        ] {
            assert_eq!(allow(Redirects::SameOrigin, from, to), same_origin, "{from} {to}");
            assert_eq!(allow(Redirects::AnyHost, from, to), any_host, "{from} {to}");
        }
    }
}
