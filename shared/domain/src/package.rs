//! Packages and their registries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{ParseError, string_newtype};
use crate::version::Scheme;

string_newtype! {
    /// A GitHub organization or user, in lower case. Names of managed users contain a `_`:
    /// <https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication>
    Organization, "1 to 39 characters of A-Z a-z 0-9 - _, not starting with -", |text| {
        let fits = (1..=39).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        fits.then(|| text.to_ascii_lowercase())
    }
}

string_newtype! {
    /// The name of a NuGet feed that an operator has registered.
    FeedName, "1 to 50 characters of a-z 0-9 -, not starting with -", |text| {
        let fits = (1..=50).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        fits.then(|| text.to_owned())
    }
}

string_newtype! {
    /// The id of a NuGet package, in lower case. It follows the rule of NuGet's clients (`^\w+([.-]\w+)*$`, at most
    /// 100 characters), restricted to ASCII:
    /// <https://github.com/NuGet/NuGet.Client/blob/dev/src/NuGet.Core/NuGet.Packaging/PackageCreation/Utility/PackageIdValidator.cs>
    ///
    /// [`PackageName::of`] parses the names of other types of packages.
    PackageName, "1 to 100 characters: words of A-Z a-z 0-9 _, separated by single . or -", |text| {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let fits = text.len() <= 100 && text.split(['.', '-']).all(is_word);
        fits.then(|| text.to_ascii_lowercase())
    }
}

impl PackageName {
    /// Parses the name of a package of this type, in lower case. The name of an npm package is without its scope, which
    /// is the owner. That of a container image may have slashes.
    ///
    /// # Errors
    /// [`ParseError`] if no such package can have the name.
    pub fn of(package_type: PackageType, text: &str) -> Result<Self, ParseError> {
        let is_word = |word: &str| {
            let is_allowed =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~');
            !word.is_empty() && !word.starts_with('.') && word.bytes().all(is_allowed)
        };
        let (fits, expected) = match package_type {
            PackageType::NuGet => return text.parse(),
            PackageType::Npm => (
                text.len() <= 214 && is_word(text),
                "1 to 214 characters of A-Z a-z 0-9 . _ - ~, not starting with .",
            ),
            PackageType::Container => (
                text.len() <= 255 && text.split('/').all(is_word),
                "1 to 255 characters: words of A-Z a-z 0-9 . _ - ~, separated by single /",
            ),
        };
        fits.then(|| Self(text.to_ascii_lowercase())).ok_or(ParseError { expected })
    }
}

/// A type of packages in GitHub Packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackageType {
    NuGet,
    Npm,
    Container,
}

impl PackageType {
    pub const ALL: [Self; 3] = [Self::NuGet, Self::Npm, Self::Container];

    /// The name in GitHub's API and in the parameter `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NuGet => "nuget",
            Self::Npm => "npm",
            Self::Container => "container",
        }
    }

    pub fn provider(self) -> Provider {
        match self {
            Self::NuGet => Provider::GitHub,
            Self::Npm => Provider::GitHubNpm,
            Self::Container => Provider::GitHubContainer,
        }
    }
}

impl FromStr for PackageType {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text));
        found.ok_or(ParseError { expected: "nuget, npm or container" })
    }
}

/// A registry, and the type of its packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// A NuGet feed; nuget.org unless configured otherwise.
    NuGet,
    /// NuGet packages in GitHub Packages.
    GitHub,
    GitHubNpm,
    GitHubContainer,
}

impl Provider {
    /// The name in keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NuGet => "nuget",
            Self::GitHub => "github",
            Self::GitHubNpm => "github-npm",
            Self::GitHubContainer => "github-container",
        }
    }

    /// How its packages are versioned.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::NuGet | Self::GitHub => Scheme::NuGet,
            Self::GitHubNpm => Scheme::SemVer,
            Self::GitHubContainer => Scheme::Tags,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A package. Its text form is `nuget/newtonsoft.json`, `nuget/{feed}/acme.kit`, `github/acme/acme.kit`,
/// `github-npm/acme/kit` or `github-container/acme/kit/api`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Package {
    /// A package in a NuGet feed; the default one without a name.
    NuGet(Option<FeedName>, PackageName),
    /// A package in GitHub Packages, with its owner.
    GitHub(Organization, PackageType, PackageName),
}

impl Package {
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "nuget/PACKAGE, nuget/FEED/PACKAGE, github/ORG/PACKAGE, github-npm/ORG/PACKAGE or github-container/ORG/PACKAGE";

    pub fn provider(&self) -> Provider {
        match self {
            Self::NuGet(..) => Provider::NuGet,
            Self::GitHub(_, package_type, _) => package_type.provider(),
        }
    }

    pub fn name(&self) -> &PackageName {
        match self {
            Self::NuGet(_, name) | Self::GitHub(_, _, name) => name,
        }
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NuGet(None, name) => write!(f, "nuget/{name}"),
            Self::NuGet(Some(feed), name) => write!(f, "nuget/{feed}/{name}"),
            Self::GitHub(organization, package_type, name) => {
                write!(f, "{}/{organization}/{name}", package_type.provider())
            }
        }
    }
}

impl FromStr for Package {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let invalid = ParseError { expected: Self::EXPECTED };
        let (provider, names) = text.split_once('/').ok_or(invalid)?;
        if provider == Provider::NuGet.as_str() {
            return match names.split_once('/') {
                None => Ok(Self::NuGet(None, names.parse()?)),
                Some((feed, name)) => Ok(Self::NuGet(Some(feed.parse()?), name.parse()?)),
            };
        }
        let package_type = PackageType::ALL.into_iter().find(|one| one.provider().as_str() == provider);
        let (package_type, (organization, name)) = package_type.zip(names.split_once('/')).ok_or(invalid)?;
        Ok(Self::GitHub(organization.parse()?, package_type, PackageName::of(package_type, name)?))
    }
}

impl TryFrom<String> for Package {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Package> for String {
    fn from(package: Package) -> Self {
        package.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: Option<&str>) {
        assert_eq!(
            input.parse::<Package>().ok().map(|package| package.to_string()).as_deref(),
            expected,
            "{input:?}"
        );
    }

    #[test]
    fn package_names_follow_their_registries() {
        check("nuget/Newtonsoft.Json", Some("nuget/newtonsoft.json"));
        check("nuget/_a-b.C_1", Some("nuget/_a-b.c_1"));
        check(&format!("nuget/{}", "a".repeat(100)), Some(&format!("nuget/{}", "a".repeat(100))));
        check("github/Acme-Corp/Acme.Kit", Some("github/acme-corp/acme.kit"));
        check("github/jane_acme/kit", Some("github/jane_acme/kit"));
        check("nuget/my-feed/Acme.Kit", Some("nuget/my-feed/acme.kit"));
        check("github-npm/Acme/Left-Pad", Some("github-npm/acme/left-pad"));
        check("github-container/Acme/Kit/api_v2/x.y", Some("github-container/acme/kit/api_v2/x.y"));
        for bad in [
            "nuget/",
            "nuget/a b",
            "nuget/a..b",
            "nuget/.a",
            "nuget/a-",
            "nuget/a/b/c",
            "nuget/A/b",
            "nuget/-a/b",
            "github/acme/kit/api",
            "github-npm/acme/kit/api",
            "github-npm/acme/@acme/kit",
            "github-npm/acme/.kit",
            "github-container/acme/kit//api",
            "github-container/acme/kit/../api",
            "github-container/acme/",
            "github-docker/acme/kit",
            "nuget/a#b",
            "nuget/a%2fb",
            "nuget/..",
            "nuget/ä",
            "nuget/*",
            "github/kit",
            "github/-acme/kit",
            "github/ac.me/kit",
            "github//kit",
            "github/acme/",
            "npm/kit",
            "NuGet/kit",
            "",
            &format!("nuget/{}", "a".repeat(101)),
            &format!("github/{}/kit", "a".repeat(40)),
        ] {
            check(bad, None);
        }
    }
}
