//! The addresses of a service, which the audiences of ID tokens begin with.

use std::fmt;
use std::str::FromStr;

use crate::ids::ParseError;
use crate::signature::Digest;

/// What is between the address of a service and the digest of a body.
pub(crate) const DIGEST_MARK: &str = "/sha256/";

/// The address of a service in the form in which addresses are compared: scheme and host in lower case, without a
/// default port and without a slash at the end.
///
/// ```
/// use badgesmith_domain::service_url::ServiceUrl;
///
/// let service: ServiceUrl = "HTTPS://Badges.Example.com:443/".parse()?;
/// assert_eq!(service.to_string(), "https://badges.example.com");
/// # Ok::<(), badgesmith_domain::ids::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl(String);

impl ServiceUrl {
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "an absolute http or https URL without a user, a query or a fragment";

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The audience of a token for this service and the body with this digest.
    pub fn audience(&self, body: &Digest) -> String {
        format!("{}{DIGEST_MARK}{body}", self.0)
    }

    /// The addresses in a comma-separated list, without duplicates. Empty entries are skipped.
    ///
    /// # Errors
    /// [`ParseError`] for the first entry that is not such a URL.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ParseError> {
        let mut list = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let service = entry.parse()?;
            if !list.contains(&service) {
                list.push(service);
            }
        }
        Ok(list)
    }
}

impl FromStr for ServiceUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        normalize(text).map(Self).ok_or(ParseError { expected: Self::EXPECTED })
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn normalize(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
    let fits = is_host(authority)
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b','));
    fits.then(|| format!("{scheme}://{authority}{}", path.trim_end_matches('/')))
}

/// Whether `text` can be a host with an optional port, such as `[::1]:8443`.
pub fn is_host(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_in_one_form() {
        for (text, expected) in [
            ("https://badges.example.com", "https://badges.example.com"),
            ("HTTPS://Badges.Example.com:443//", "https://badges.example.com"),
            ("https://badges.example.com:8443", "https://badges.example.com:8443"),
            ("http://127.0.0.1:9474/", "http://127.0.0.1:9474"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://example.com/Badges/", "https://example.com/Badges"),
            ("http://badge_smith:9474", "http://badge_smith:9474"),
        ] {
            assert_eq!(text.parse::<ServiceUrl>().unwrap().to_string(), expected);
        }
        for bad in [
            "",
            "badges.example.com",
            "ftp://example.com",
            "https://",
            "https:///path",
            "https://user@example.com",
            "https://example.com?a",
            "https://example.com/#a",
            "https://example.com/a b",
        ] {
            assert!(bad.parse::<ServiceUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_skips_empty_entries_and_duplicates() {
        let list = ServiceUrl::parse_list(",https://a.test, https://A.test/,,https://b.test").unwrap();
        assert_eq!(
            list.iter().map(ServiceUrl::to_string).collect::<Vec<_>>(),
            ["https://a.test", "https://b.test"]
        );
        assert!(ServiceUrl::parse_list("https://a.test,b.test").is_err());
    }
}
