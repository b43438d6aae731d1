//! Versions of all types of packages.

use std::fmt;

use serde::Serialize;

use crate::version::NuGetVersion;

const DEPRECATED: &str = "deprecated";
const VULNERABLE: &str = "vulnerable";

/// How packages are versioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    NuGet,
    /// Semantic Versioning 2.0.0, as for npm: <https://semver.org>
    SemVer,
    /// Tags of container images. Semantic versions, with or without a leading `v`, are higher than other tags.
    Tags,
}

/// A version of a package. The versions of one package have one scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// A tag that is no version.
    Tag(Box<str>),
    /// Without build metadata, which has no effect.
    SemVer(semver::Version),
    NuGet(NuGetVersion, Advisory),
}

/// What the owner or a security advisory says against a version of a NuGet package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Advisory {
    pub deprecated: bool,
    /// It has a known vulnerability.
    pub vulnerable: bool,
}

impl Scheme {
    /// The maximum length of a version, in bytes; that of npm, and twice that of a tag.
    const TEXT_BYTES_MAX: usize = 256;

    /// Parses a version; `None` if it is invalid.
    pub fn parse(self, text: &str) -> Option<Version> {
        match self {
            Self::NuGet => text.parse().ok().map(|version| Version::NuGet(version, Advisory::default())),
            Self::SemVer => sem_ver(text).map(Version::SemVer),
            Self::Tags => sem_ver(text.strip_prefix('v').unwrap_or(text))
                .map(Version::SemVer)
                .or_else(|| is_tag(text).then(|| Version::Tag(text.into()))),
        }
    }

    /// Parses the text of [`Version::stored`].
    pub fn parse_stored(self, text: &str) -> Option<Version> {
        let mut words = text.split(' ');
        let version = self.parse(words.next()?)?;
        let mut advisory = Advisory::default();
        for word in words {
            match word {
                DEPRECATED => advisory.deprecated = true,
                VULNERABLE => advisory.vulnerable = true,
                _ => return None,
            }
        }
        Some(version.with(advisory))
    }
}

fn sem_ver(text: &str) -> Option<semver::Version> {
    let version = semver::Version::parse(text).ok().filter(|_| text.len() <= Scheme::TEXT_BYTES_MAX)?;
    Some(semver::Version { build: semver::BuildMetadata::EMPTY, ..version })
}

/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>
fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_allowed = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'-');
    text.len() <= 128 && text.bytes().next().is_some_and(is_word) && text.bytes().all(is_allowed)
}

impl Version {
    /// The version with what is known against it, for storage: `1.0.0 deprecated vulnerable`.
    pub fn stored(&self) -> String {
        let Advisory { deprecated, vulnerable } = self.advisory();
        let words = [(deprecated, DEPRECATED), (vulnerable, VULNERABLE)];
        let words = words.into_iter().filter(|(applies, _)| *applies);
        words.fold(self.to_string(), |text, (_, word)| format!("{text} {word}"))
    }

    pub fn advisory(&self) -> Advisory {
        match self {
            Self::NuGet(_, advisory) => *advisory,
            Self::SemVer(_) | Self::Tag(_) => Advisory::default(),
        }
    }

    /// The same version with another advisory, which only those of NuGet have.
    #[must_use]
    pub fn with(self, advisory: Advisory) -> Self {
        match self {
            Self::NuGet(version, _) => Self::NuGet(version, advisory),
            other @ (Self::SemVer(_) | Self::Tag(_)) => other,
        }
    }

    /// Merges `other` into this version if both are the same version, and returns whether they are. The result has the
    /// advisories of both, and the spelling that sorts last by bytes.
    pub(super) fn merge_if_equal(&mut self, other: &mut Self) -> bool {
        match (self, other) {
            (Self::NuGet(version, advisory), Self::NuGet(other, of_other)) => {
                if version != other {
                    return false;
                }
                advisory.deprecated |= of_other.deprecated;
                advisory.vulnerable |= of_other.vulnerable;
                if version.to_string() < other.to_string() {
                    std::mem::swap(version, other);
                }
                true
            }
            (version, other) => version == other,
        }
    }

    pub fn is_prerelease(&self) -> bool {
        match self {
            Self::NuGet(version, _) => version.is_prerelease(),
            Self::SemVer(version) => !version.pre.is_empty(),
            Self::Tag(_) => false,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NuGet(version, _) => version.fmt(f),
            Self::SemVer(version) => version.fmt(f),
            Self::Tag(tag) => f.write_str(tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_are_versions_are_higher_than_others() {
        let texts =
            ["latest", "v1.10.0", "1.9.0", "2", "v2.0.0-rc.1", "V3.0.0", "sha-3f2a", "1.2", "vv1.0.0"];
        let mut tags: Vec<_> = texts.iter().map(|text| Scheme::Tags.parse(text).unwrap()).collect();
        tags.sort();
        let highest: Vec<_> = tags.iter().rev().take(3).map(ToString::to_string).collect();
        assert_eq!(highest, ["2.0.0-rc.1", "1.10.0", "1.9.0"]);
        for tag in &tags {
            assert_eq!(Scheme::Tags.parse(&tag.to_string()).as_ref(), Some(tag), "it parses back");
        }
        for bad in ["", ".a", "-a", "a b", "ä", "a/b", "1.0.0+b c"] {
            assert_eq!(Scheme::Tags.parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn advisories_are_stored_with_the_version() {
        for stored in ["1.0.0", "1.0.0-rc.1 deprecated", "2.0.0 vulnerable", "2.0.0 deprecated vulnerable"] {
            let version = Scheme::NuGet.parse_stored(stored).unwrap();
            assert_eq!(version.stored(), stored);
            assert_eq!(version.to_string(), stored.split(' ').next().unwrap());
        }
        for bad in ["1.0.0 other", "1.0.0 ", " 1.0.0", ""] {
            assert_eq!(Scheme::NuGet.parse_stored(bad), None, "{bad}");
        }
    }

    #[test]
    fn npm_versions_are_semantic_versions() {
        let version = |text: &str| Scheme::SemVer.parse(text).map(|version| version.to_string());
        assert_eq!(version("1.2.3-RC.1+build.5").as_deref(), Some("1.2.3-RC.1"));
        for bad in ["1.2", "v1.2.3", "1.2.3.4", "01.2.3", "", "latest"] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }
}
