//! Owners, repositories, branches, platforms and nonces. Each is parsed once, into a type that holds only valid
//! values.
//!
//! Owners, repositories and platforms are case-insensitive and stored in lower case. Branches are case-sensitive,
//! as in git.
//!
//! ```
//! use badgesmith_domain::ids::{Branch, Repository};
//!
//! let repository: Repository = "Acme/Kit".parse()?;
//! assert_eq!(repository.to_string(), "acme/kit");
//! let branch: Branch = "feature/X".parse()?;
//! assert_eq!(branch.as_str(), "feature/X");
//! let error = "acme".parse::<Repository>().unwrap_err();
//! assert_eq!(error.to_string(), "expected OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -");
//! # Ok::<(), badgesmith_domain::ids::ParseError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A string that does not parse. The message is a fragment that says what was expected, for example
/// `expected 1 to 100 characters of A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct ParseError {
    /// A description of a valid value, as a noun phrase.
    pub expected: &'static str,
}

/// Defines a string newtype with `FromStr` by the given rule, `Display`, `Serialize` and `Deserialize`.
macro_rules! string_newtype {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A description of a valid value, as a noun phrase.
            pub const EXPECTED: &str = $expected;

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::ParseError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let parse: fn(&str) -> Option<String> = $parse;
                parse(text).map(Self).ok_or($crate::ids::ParseError { expected: Self::EXPECTED })
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ids::ParseError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use string_newtype;

string_newtype! {
    /// The owner of a repository: a user or an organization, in lower case.
    Owner, "1 to 100 characters of A-Z a-z 0-9 . _ -", parse_slug
}

string_newtype! {
    /// The name of a repository without its owner, in lower case.
    Repo, "1 to 100 characters of A-Z a-z 0-9 . _ -", parse_slug
}

string_newtype! {
    /// A git branch, exactly as written, without Unicode normalization.
    Branch, "1 to 255 bytes of UTF-8 without control characters, a leading or trailing /, or //", |text| {
        let fits = (1..=255).contains(&text.len())
            && !text.chars().any(char::is_control)
            && text.split('/').all(|part| !part.is_empty());
        fits.then(|| text.to_owned())
    }
}

string_newtype! {
    /// A unique value that a client puts into a submission so that it is accepted only once.
    Nonce, "8 to 128 visible ASCII characters", |text| {
        let fits = (8..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| text.to_owned())
    }
}

fn parse_slug(text: &str) -> Option<String> {
    let fits = (1..=100).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    fits.then(|| text.to_ascii_lowercase())
}

/// A repository with its owner; displays as `owner/repo`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repository {
    pub owner: Owner,
    pub repo: Repo,
}

impl Repository {
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -";
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.repo)
    }
}

impl FromStr for Repository {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let invalid = ParseError { expected: Self::EXPECTED };
        let (owner, repo) = text.split_once('/').ok_or(invalid)?;
        Ok(Self { owner: owner.parse().map_err(|_| invalid)?, repo: repo.parse().map_err(|_| invalid)? })
    }
}

/// The operating system that the tests ran on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Platform {
    Linux,
    MacOs,
    Windows,
}

impl Platform {
    /// Every platform, sorted by name.
    pub const ALL: [Self; 3] = [Self::Linux, Self::MacOs, Self::Windows];
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "linux, windows or macos";

    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::MacOs => "macos",
            Self::Windows => "windows",
        }
    }
}

impl FromStr for Platform {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.as_str().eq_ignore_ascii_case(text))
            .ok_or(ParseError { expected: Self::EXPECTED })
    }
}

impl TryFrom<String> for Platform {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Platform> for &'static str {
    fn from(platform: Platform) -> Self {
        platform.as_str()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr + fmt::Display>(input: &str, expected: Option<&str>) {
        assert_eq!(input.parse::<T>().ok().map(|name| name.to_string()).as_deref(), expected, "{input:?}");
    }

    #[test]
    fn owners_and_repositories_are_lowercase_slugs() {
        check::<Owner>("LocalStack-Dotnet", Some("localstack-dotnet"));
        check::<Repo>("dotnet.aspire_for-localstack", Some("dotnet.aspire_for-localstack"));
        check::<Owner>(&"a".repeat(100), Some(&"a".repeat(100)));
        check::<Owner>(&"a".repeat(101), None);
        for bad in ["", "a b", "a/b", "a#b", "a%b", "ä", "a\n"] {
            check::<Owner>(bad, None);
        }
        check::<Repository>("Acme/Kit", Some("acme/kit"));
        for bad in ["acme", "acme/", "/kit", "acme/kit/x", "acme /kit"] {
            check::<Repository>(bad, None);
        }
    }

    #[test]
    fn branches_keep_their_case_and_reject_what_git_rejects() {
        for good in
            ["main", "feature/X", "release/1.0", "dependabot/npm_and_yarn/a-1", "a#b%2F", "ä b", "\u{2603}"]
        {
            check::<Branch>(good, Some(good));
        }
        check::<Branch>(&"b".repeat(255), Some(&"b".repeat(255)));
        for bad in ["", "/main", "main/", "a//b", "a\nb", "a\u{7f}b", "a\u{85}b", &"b".repeat(256), "/"] {
            check::<Branch>(bad, None);
        }
    }

    #[test]
    fn platforms_are_case_insensitive() {
        check::<Platform>("Linux", Some("linux"));
        check::<Platform>("WINDOWS", Some("windows"));
        check::<Platform>("macOS", Some("macos"));
        check::<Platform>("osx", None);
    }

    #[test]
    fn nonces_are_visible_ascii() {
        check::<Nonce>("550e8400-e29b-41d4-a716-446655440000", Some("550e8400-e29b-41d4-a716-446655440000"));
        for bad in ["short12", "with space", "new\nline1", "ünïcödé12", &"n".repeat(129)] {
            check::<Nonce>(bad, None);
        }
    }
}
