//! URLs that a badge may link to.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::ids::string_newtype;
use crate::service_url::is_host;

string_newtype! {
    /// An absolute `https` URL, exactly as written. The host is ASCII and has no user information. The rest may be any
    /// text without whitespace and control characters.
    HttpsUrl, "an absolute https URL of at most 2048 bytes without whitespace", |text| {
        let rest = text.get(8..).filter(|_| text.len() <= 2048)?;
        let scheme_fits = text.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let rest_fits = !rest.chars().any(|character| character.is_control() || character.is_whitespace());
        (scheme_fits && is_host(host) && rest_fits).then(|| text.to_owned())
    }
}

/// ASCII characters that a URL cannot contain (RFC 3986, appendix A).
const NOT_IN_URLS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl HttpsUrl {
    /// The URL in ASCII, for a `Location` header. Characters that a URL cannot contain are percent-encoded.
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, NOT_IN_URLS).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_are_accepted() {
        for (url, location) in [
            ("https://github.com/owner/repo/runs/123", "https://github.com/owner/repo/runs/123"),
            ("HTTPS://github.com", "HTTPS://github.com"),
            ("https://[::1]:8443?x#f", "https://[::1]:8443?x#f"),
            ("https://ci.test/a%20b?x=[1]&y=\u{e9}|{2}", "https://ci.test/a%20b?x=[1]&y=%C3%A9%7C%7B2%7D"),
            ("https://ci.test/\u{202e}\\", "https://ci.test/%E2%80%AE%5C"),
        ] {
            assert_eq!(url.parse::<HttpsUrl>().map(|url| url.encoded()), Ok(location.to_owned()));
        }
        let long = format!("https://github.com/{}", "a".repeat(2048));
        for bad in [
            "javascript:alert(1)",
            "http://github.com/",
            "//github.com/",
            "https:github.com",
            "https://",
            "https:///path",
            "https://:443/",
            " https://github.com/",
            "https://github.com/ a",
            "https://github.com/\u{a0}",
            "https://github.com/\r\nSet-Cookie: a=b",
            "https://github.com\\@evil.test/",
            "https://github.com@evil.test/",
            "https://b\u{fc}cher.test/",
            "data:text/html,https://",
            &long,
        ] {
            assert!(bad.parse::<HttpsUrl>().is_err(), "{bad}");
        }
    }
}
