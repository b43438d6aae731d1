//! Packages and their registries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{ParseError, string_newtype};

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
    /// The id of a NuGet package, in lower case. It follows the rule of NuGet's clients (`^\w+([.-]\w+)*$`, at most
    /// 100 characters), restricted to ASCII:
    /// <https://github.com/NuGet/NuGet.Client/blob/dev/src/NuGet.Core/NuGet.Packaging/PackageCreation/Utility/PackageIdValidator.cs>
    PackageName, "1 to 100 characters: words of A-Z a-z 0-9 _, separated by single . or -", |text| {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let fits = text.len() <= 100 && text.split(['.', '-']).all(is_word);
        fits.then(|| text.to_ascii_lowercase())
    }
}

/// A package registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// A NuGet feed; nuget.org unless configured otherwise.
    NuGet,
    GitHub,
}

impl Provider {
    /// The lower-case name in URLs, in keys and on badges.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NuGet => "nuget",
            Self::GitHub => "github",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A package. Its text form is `nuget/newtonsoft.json` or `github/acme/acme.kit`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Package {
    /// A package in the NuGet feed.
    NuGet(PackageName),
    /// A package in GitHub Packages, with its owner.
    GitHub(Organization, PackageName),
}

impl Package {
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "nuget/PACKAGE or github/ORG/PACKAGE";

    pub fn provider(&self) -> Provider {
        match self {
            Self::NuGet(_) => Provider::NuGet,
            Self::GitHub(..) => Provider::GitHub,
        }
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NuGet(name) => write!(f, "nuget/{name}"),
            Self::GitHub(organization, name) => write!(f, "github/{organization}/{name}"),
        }
    }
}

impl FromStr for Package {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match *text.split('/').collect::<Vec<_>>() {
            ["nuget", name] => Ok(Self::NuGet(name.parse()?)),
            ["github", organization, name] => Ok(Self::GitHub(organization.parse()?, name.parse()?)),
            _ => Err(ParseError { expected: Self::EXPECTED }),
        }
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
        for bad in [
            "nuget/",
            "nuget/a b",
            "nuget/a..b",
            "nuget/.a",
            "nuget/a-",
            "nuget/a/b",
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
