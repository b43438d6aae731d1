//! The public address of the service, for snippets and canonical links.

use std::borrow::Cow;
use std::str::FromStr;

use badgesmith_api::http::Request;
use badgesmith_domain::ids::ParseError;

/// The public URL of the service, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl FromStr for PublicUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_url = rest.is_some_and(|rest| {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            is_host(host) && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._~-".contains(&byte))
        });
        let expected = "an http or https URL without a query, a fragment and user information";
        is_url.then(|| Self(text.to_owned())).ok_or(ParseError { expected })
    }
}

/// A host with an optional port.
fn is_host(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// The address of the service in one response.
#[derive(Debug)]
pub(super) struct Site<'a>(Option<Cow<'a, str>>);

impl<'a> Site<'a> {
    /// The configured URL, or else the host that the CDN reports. The `Host` header is that of the function URL.
    pub(super) fn new(public_url: Option<&'a PublicUrl>, request: Request<'_>) -> Self {
        let host = || request.header("x-forwarded-host").filter(|host| is_host(host));
        Self(match public_url {
            Some(PublicUrl(url)) => Some(url.into()),
            None => host().map(|host| format!("https://{host}").into()),
        })
    }

    /// Whether the address is known. If not, URLs are relative.
    pub(super) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whether shields.io may reach the service.
    pub(super) fn is_https(&self) -> bool {
        self.0.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The URL of `path`, which begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_deref().unwrap_or_default())
    }

    /// The URL of `path`; `None` if the address is not known.
    pub(super) fn absolute(&self, path: &str) -> Option<String> {
        self.is_known().then(|| self.url(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_has_no_query_and_no_slash_at_the_end() {
        for (text, expected) in [
            ("https://badges.test", Some("https://badges.test")),
            ("https://badges.test/", Some("https://badges.test")),
            ("http://127.0.0.1:9474", Some("http://127.0.0.1:9474")),
            ("https://badges.test/v1", Some("https://badges.test/v1")),
            ("badges.test", None),
            ("https://", None),
            ("https:///x", None),
            ("https://a@badges.test", None),
            ("https://badges.test?x", None),
            ("https://badges.test/\"", None),
            ("ftp://badges.test", None),
        ] {
            let url = text.parse::<PublicUrl>().ok().map(|PublicUrl(url)| url);
            assert_eq!(url.as_deref(), expected, "{text}");
        }
    }
}
