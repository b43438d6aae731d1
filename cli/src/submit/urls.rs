//! URLs of the service and of a badge.

use std::net::Ipv4Addr;

use badgesmith_api::route::{branch_suffix, segment};
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::service_url::ServiceUrl;
use reqwest::Url;
use serde::Serialize;

/// A text is not a [`ServiceUrl`]. The text may contain a password, so it is not displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid --url: expected a URL such as https://badges.example.org, without a user, password, query or fragment"
)]
pub(crate) struct InvalidServiceUrl;

/// Parses `--url`. A URL with a password is invalid, because the result is printed.
pub(crate) fn parse_service_url(text: &str) -> Result<ServiceUrl, InvalidServiceUrl> {
    // `Url` checks the port, and encodes what is not ASCII.
    let url = Url::parse(text).map_err(|_| InvalidServiceUrl)?;
    url.as_str().parse().map_err(|_| InvalidServiceUrl)
}

/// Whether requests travel unencrypted over a network.
pub(crate) fn is_plain_http(service: &ServiceUrl) -> bool {
    Url::parse(service.as_str()).is_ok_and(|url| url.scheme() == "http" && !is_this_machine(&url))
}

/// Where results are posted.
pub(crate) fn results_url(service: &ServiceUrl) -> String {
    format!("{service}/tests/results")
}

/// Whether the host of a URL is a loopback address or `localhost`.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// The URLs of the badge of a branch, which adds up all platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the fields of `--json`")]
pub(crate) struct BadgeUrls {
    /// The service's JSON for shields.io.
    pub(crate) badge_url: String,
    /// The image, from the service.
    pub(crate) image_url: String,
    /// The same image from shields.io.
    pub(crate) shields_url: String,
    /// The service's redirect to the run behind the badge.
    pub(crate) link_url: String,
}

impl BadgeUrls {
    pub(crate) fn new(service: &ServiceUrl, repository: &Repository, branch: &Branch) -> Self {
        let target = format!("all/{repository}{}", branch_suffix(branch.as_str()));
        let badge_url = format!("{service}/badges/tests/{target}");
        Self {
            image_url: format!("{service}/svg/tests/{target}"),
            shields_url: format!("https://img.shields.io/endpoint?url={}", segment(&badge_url)),
            link_url: format!("{service}/redirect/test-results/{target}"),
            badge_url,
        }
    }

    /// The linked badge as Markdown. The URLs have no character that Markdown could interpret.
    pub(crate) fn markdown(&self) -> String {
        format!("[![Tests]({})]({})", self.image_url, self.link_url)
    }

    /// The same with the image from shields.io.
    pub(crate) fn shields_markdown(&self) -> String {
        format!("[![Tests]({})]({})", self.shields_url, self.link_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_branches_are_in_the_query_and_urls_are_encoded_once_more_for_shields() {
        let markdown = |branch: &str| {
            let service = "https://badges.test".parse().unwrap();
            let repository = "Acme/Kit".parse().unwrap();
            let urls = BadgeUrls::new(&service, &repository, &branch.parse().unwrap());
            format!("{}\n{}", urls.markdown(), urls.shields_markdown())
        };
        insta::assert_snapshot!(["main", "feature/x", "feature/x#1", "100%)](evil"].map(markdown).join("\n"), @r"
        [![Tests](https://badges.test/svg/tests/all/acme/kit/main)](https://badges.test/redirect/test-results/all/acme/kit/main)
        [![Tests](https://img.shields.io/endpoint?url=https%3A%2F%2Fbadges.test%2Fbadges%2Ftests%2Fall%2Facme%2Fkit%2Fmain)](https://badges.test/redirect/test-results/all/acme/kit/main)
        [![Tests](https://badges.test/svg/tests/all/acme/kit/feature/x)](https://badges.test/redirect/test-results/all/acme/kit/feature/x)
        [![Tests](https://img.shields.io/endpoint?url=https%3A%2F%2Fbadges.test%2Fbadges%2Ftests%2Fall%2Facme%2Fkit%2Ffeature%2Fx)](https://badges.test/redirect/test-results/all/acme/kit/feature/x)
        [![Tests](https://badges.test/svg/tests/all/acme/kit?branch=feature%2Fx%231)](https://badges.test/redirect/test-results/all/acme/kit?branch=feature%2Fx%231)
        [![Tests](https://img.shields.io/endpoint?url=https%3A%2F%2Fbadges.test%2Fbadges%2Ftests%2Fall%2Facme%2Fkit%3Fbranch%3Dfeature%252Fx%25231)](https://badges.test/redirect/test-results/all/acme/kit?branch=feature%2Fx%231)
        [![Tests](https://badges.test/svg/tests/all/acme/kit?branch=100%25%29%5D%28evil)](https://badges.test/redirect/test-results/all/acme/kit?branch=100%25%29%5D%28evil)
        [![Tests](https://img.shields.io/endpoint?url=https%3A%2F%2Fbadges.test%2Fbadges%2Ftests%2Fall%2Facme%2Fkit%3Fbranch%3D100%2525%2529%255D%2528evil)](https://badges.test/redirect/test-results/all/acme/kit?branch=100%25%29%5D%28evil)
        ");
    }

    #[test]
    fn http_is_plain_except_on_this_machine() {
        for (url, is_plain) in [
            ("http://badges.test", true),
            ("http://127.0.0.1.evil.test", true),
            ("http://127.0.0.1:9474", false),
            ("http://localhost:9474", false),
            ("http://[::1]:9474", false),
            ("https://badges.test", false),
        ] {
            assert_eq!(is_plain_http(&parse_service_url(url).unwrap()), is_plain, "{url}");
        }
    }

    #[test]
    fn a_service_url_has_no_credentials_query_or_fragment() {
        for (text, url) in [
            ("https://badges.test", Some("https://badges.test")),
            ("HTTP://127.0.0.1:9474/base//", Some("http://127.0.0.1:9474/base")),
            ("https://me:hunter2@badges.test", None),
            ("https://token@badges.test", None),
            ("https://badges.test/?key=1", None),
            ("https://badges.test/#a", None),
            ("https://badges.test:port", None),
            ("ftp://badges.test", None),
            ("badges.test", None),
            ("", None),
        ] {
            assert_eq!(parse_service_url(text).map(|url| url.to_string()).ok().as_deref(), url, "{text}");
        }
    }
}
