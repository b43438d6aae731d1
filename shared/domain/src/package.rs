//! Packages as their registries name them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{ParseError, string_newtype};

string_newtype! {
    /// An organisation or user of GitHub, in lower case. Managed users have a `_` in their names:
    /// <https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication>
    Organization, "1 to 39 characters of A-Z a-z 0-9 - _, the first no -", |text| {
        let fits = (1..=39).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        fits.then(|| text.to_ascii_lowercase())
    }
}

string_newtype! {
    /// The id of a NuGet package, in lower case, by the rule of NuGet's clients (`^\w+([.-]\w+)*$`, at most 100
    /// characters), here in ASCII:
    /// <https://github.com/NuGet/NuGet.Client/blob/dev/src/NuGet.Core/NuGet.Packaging/PackageCreation/Utility/PackageIdValidator.cs>
    PackageName, "1 to 100 characters: words of A-Z a-z 0-9 _, a single . or - between them", |text| {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let fits = text.len() <= 100 && text.split(['.', '-']).all(is_word);
        fits.then(|| text.to_ascii_lowercase())
    }
}

/// Where packages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// A NuGet feed; nuget.org unless configured otherwise.
    NuGet,
    /// GitHub Packages.
    GitHub,
}

impl Provider {
    /// The lower-case name, in addresses, keys and on badges.
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

/// A package. Displays, and is read, as `nuget/newtonsoft.json` or `github/acme/acme.kit`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Package {
    /// In the NuGet feed.
    NuGet(PackageName),
    /// In GitHub Packages, with the organisation or user that it belongs to.
    GitHub(Organization, PackageName),
}

impl Package {
    /// What a valid value looks like, as a noun phrase.
    pub const EXPECTED: &str = "nuget/PACKAGE or github/ORG/PACKAGE";

    /// Where it comes from.
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
