//! The addresses of a badge: what a README says.

use badgesmith_shared::name::{Branch, Platform, Repository};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

/// Everything but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
    /// The addresses at a service whose base URL is `base`. Names are encoded as one part of the path each.
    pub(crate) fn new(base: &str, repository: &Repository, platform: Platform, branch: &Branch) -> Self {
        let base = base.trim_end_matches('/');
        let place = format!("{platform}/{repository}/{}", utf8_percent_encode(branch.as_str(), ESCAPED));
        let badge_url = format!("{base}/badges/tests/{place}");
        Self {
            image_url: format!(
                "https://img.shields.io/endpoint?url={}",
                utf8_percent_encode(&badge_url, ESCAPED)
            ),
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
            BadgeAddress::new("https://badges.test/", &repository, Platform::Linux, &branch.parse().unwrap())
                .markdown()
        };
        insta::assert_snapshot!([of("main"), of("feature/x#1"), of("100%)](evil")].join("\n"));
    }
}
