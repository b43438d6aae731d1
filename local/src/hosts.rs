//! The hosts that requests may name.

use std::net::IpAddr;

use badgesmith_domain::service_url::ServiceUrl;
use http::request::Parts;
use http::uri::Authority;
use http::{Uri, header};

/// The names of this service besides IP addresses and `localhost`.
///
/// A web page whose own name leads to this machine, by a change of its DNS record, could otherwise read all that this
/// machine answers: <https://en.wikipedia.org/wiki/DNS_rebinding>
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    public: Option<String>,
}

impl Hosts {
    pub(crate) fn new(public_url: Option<&ServiceUrl>) -> Self {
        let uri: Option<Uri> = public_url.and_then(|url| url.as_str().parse().ok());
        Self { public: uri.as_ref().and_then(Uri::host).map(str::to_owned) }
    }

    /// Whether a request names this service. One without a `Host` header is not from a browser.
    pub(crate) fn allow(&self, head: &Parts) -> bool {
        let host = head.headers.get(header::HOST);
        host.is_none_or(|host| host.to_str().is_ok_and(|host| self.has(host)))
            && head.uri.authority().is_none_or(|authority| self.has(authority.as_str()))
    }

    fn has(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let known = ["localhost"].into_iter().chain(self.public.as_deref());
        address.parse::<IpAddr>().is_ok() || known.into_iter().any(|known| name.eq_ignore_ascii_case(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_may_name_an_address_localhost_or_the_public_host() {
        let url = "https://badges.example.com/base".parse().unwrap();
        let (hosts, without) = (Hosts::new(Some(&url)), Hosts::new(None));
        for (host, expected) in [
            ("127.0.0.1:9474", true),
            ("192.168.1.2", true),
            ("[::1]:9474", true),
            ("localhost", true),
            ("LOCALHOST:9474", true),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
            ("evil.example.com:9474", false),
            ("", false),
        ] {
            assert_eq!(hosts.has(host), expected, "{host}");
            assert_eq!(without.has(host), expected, "{host}");
        }
        assert!(hosts.has("Badges.example.com:443") && !without.has("badges.example.com"));
    }
}
