//! The addresses of a badge: what a README says.

use std::fmt;

use badgesmith_api::route::segment;
use badgesmith_domain::ids::{Branch, Platform, Repository};
use reqwest::Url;
use serde::Serialize;

/// The base URL of a service, without a slash at the end. It is shown, so that no password is in it.
#[derive(Debug, Clone)]
pub(crate) struct ServiceUrl(String);

/// Why a text is no [`ServiceUrl`]. It is not shown: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("--url: expected the http or https address of a service, without user, password, query and fragment")]
pub(crate) struct NoServiceUrl;

impl ServiceUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`NoServiceUrl`]
    pub(crate) fn parse(text: &str) -> Result<Self, NoServiceUrl> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        let url = url.filter(|url| url.query().is_none() && url.fragment().is_none()).ok_or(NoServiceUrl)?;
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the badge of a branch is read, and where a click on it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the fields of `--json`")]
pub(crate) struct BadgeAddress {
    /// The badge of the service, JSON for shields.io.
    pub(crate) badge_url: String,
    /// The image.
    pub(crate) image_url: String,
    /// The run behind the badge.
    pub(crate) link_url: String,
}

impl BadgeAddress {
    /// The addresses at a service. Names are encoded as one part of the path each.
    pub(crate) fn new(
        base: &ServiceUrl,
        repository: &Repository,
        platform: Platform,
        branch: &Branch,
    ) -> Self {
        let place = format!("{platform}/{repository}/{}", segment(branch.as_str()));
        let badge_url = format!("{base}/badges/tests/{place}");
        Self {
            image_url: format!("https://img.shields.io/endpoint?url={}", segment(&badge_url)),
            link_url: format!("{base}/redirect/test-results/{place}"),
            badge_url,
        }
    }

    /// The badge, linked, as Markdown. What Markdown could take for its own is encoded in an address.
    pub(crate) fn markdown(&self) -> String {
        format!("[![Tests]({})]({})", self.image_url, self.link_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_for_the_path_and_once_more_for_shields() {
        let of = |branch: &str| {
            let repository = "Acme/Kit".parse().unwrap();
            BadgeAddress::new(
                &ServiceUrl::parse("https://badges.test/").unwrap(),
                &repository,
                Platform::Linux,
                &branch.parse().unwrap(),
            )
            .markdown()
        };
        insta::assert_snapshot!([of("main"), of("feature/x#1"), of("100%)](evil")].join("\n"));
    }

    #[test]
    fn an_address_of_a_service_holds_nothing_that_is_not_to_be_shown() {
        for (text, url) in [
            ("https://badges.test", Some("https://badges.test")),
            ("HTTP://127.0.0.1:9474/base//", Some("http://127.0.0.1:9474/base")),
            ("https://me:hunter2@badges.test", None),
            ("https://token@badges.test", None),
            ("https://badges.test/?key=1", None),
            ("https://badges.test/#a", None),
            ("ftp://badges.test", None),
            ("badges.test", None),
            ("", None),
        ] {
            assert_eq!(ServiceUrl::parse(text).map(|url| url.to_string()).ok().as_deref(), url, "{text}");
        }
    }
}
