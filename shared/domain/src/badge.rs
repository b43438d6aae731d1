//! Badges in the JSON format of shields.io: <https://shields.io/badges/endpoint-badge>.

use std::ops::Not;

use serde::Serialize;

use crate::package::Provider;
use crate::slots::Summary;
use crate::version::{Advisory, Version};

/// The colors of badges. The set is closed because shields.io draws an unknown color in bright green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// Tests passed, and no run failed.
    BrightGreen,
    /// A stable version in a NuGet feed.
    Blue,
    /// A stable version in GitHub Packages.
    Green,
    /// A prerelease or a deprecated version.
    Orange,
    /// A test or a run failed, a version has a known vulnerability, the subject of the badge does not exist, or the
    /// query is invalid.
    Red,
    /// There is no result or version to show.
    LightGrey,
}

/// One badge. Its JSON omits absent fields, because shields.io rejects `null` and unknown keys:
///
/// ```
/// use badgesmith_domain::badge::{Badge, Subject};
/// use badgesmith_domain::package::Provider;
/// use badgesmith_domain::version::Scheme;
///
/// let badge = Badge::version(Provider::NuGet, &Scheme::NuGet.parse("13.0.3").ok_or("invalid")?);
/// assert_eq!(
///     serde_json::to_string(&badge)?,
///     r#"{"schemaVersion":1,"label":"nuget","message":"13.0.3","color":"blue","namedLogo":"nuget"}"#
/// );
/// let badge = Badge::unavailable(Subject::Tests);
/// assert_eq!(
///     serde_json::to_string(&badge)?,
///     r#"{"schemaVersion":1,"label":"tests","message":"unavailable","color":"lightgrey","isError":true}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Badge {
    schema_version: u8,
    label: &'static str,
    message: String,
    color: Color,
    #[serde(skip_serializing_if = "Not::not")]
    is_error: bool,
    /// A slug from <https://simpleicons.org>.
    #[serde(skip_serializing_if = "Option::is_none")]
    named_logo: Option<&'static str>,
}

/// The subject of a badge. It determines the label, and the logo if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Tests,
    Package(Provider),
}

impl Badge {
    /// The badge for the slots of a branch. It is red if any run failed, and green only if a test passed, none
    /// failed, and all slots are known.
    pub fn tests(summary: &Summary) -> Self {
        let Summary { passed, failed, has_failure, is_complete, .. } = *summary;
        let (message, color) = match (passed, failed) {
            (0, 1..) => (format!("{failed} failed"), Color::Red),
            (_, 1..) => (format!("{passed} passed, {failed} failed"), Color::Red),
            (0, 0) if has_failure => ("run failed".to_owned(), Color::Red),
            (_, 0) if has_failure => (format!("{passed} passed, run failed"), Color::Red),
            _ if !is_complete => return Self::too_many_suites(),
            (0, 0) => ("no tests".to_owned(), Color::LightGrey),
            (_, 0) => (format!("{passed} passed"), Color::BrightGreen),
        };
        Self::new(Subject::Tests, message, color)
    }

    /// The badge for a version of a package.
    pub fn version(provider: Provider, version: &Version) -> Self {
        let color = match provider {
            _ if version.is_prerelease() => Color::Orange,
            Provider::NuGet => Color::Blue,
            Provider::GitHub | Provider::GitHubNpm | Provider::GitHubContainer => Color::Green,
        };
        Self::new(Subject::Package(provider), version.to_string(), color)
    }

    /// The badge for a version, in the color of a warning if it is deprecated or has a known vulnerability.
    pub fn version_with_warning(provider: Provider, version: &Version) -> Self {
        let badge = Self::version(provider, version);
        match version.advisory() {
            Advisory { vulnerable: true, .. } => Self { color: Color::Red, ..badge },
            Advisory { deprecated: true, .. } => Self { color: Color::Orange, ..badge },
            Advisory { .. } => badge,
        }
    }

    /// The badge for a new package, until its upstream has answered.
    pub fn pending(provider: Provider) -> Self {
        Self::new(Subject::Package(provider), "pending".to_owned(), Color::LightGrey)
    }

    /// The badge for a URL that can never have a result, for a package that does not exist, and for a query that
    /// no version matches.
    pub fn not_found(subject: Subject) -> Self {
        Self::error(subject, "not found", Color::Red)
    }

    /// The badge for a query that is not a valid version range.
    pub fn invalid_range(provider: Provider) -> Self {
        Self::error(Subject::Package(provider), "invalid range", Color::Red)
    }

    /// The badge for a branch, platform or suite without results.
    pub fn no_results() -> Self {
        Self::error(Subject::Tests, "no results", Color::LightGrey)
    }

    /// The badge for a branch with more suites than a badge can add up, if none of those that were read failed.
    pub fn too_many_suites() -> Self {
        Self::error(Subject::Tests, "too many suites", Color::LightGrey)
    }

    /// The badge if the newest result is older than `max_age`.
    pub fn no_recent_results() -> Self {
        Self::error(Subject::Tests, "no recent results", Color::LightGrey)
    }

    /// The badge while DynamoDB fails, or while the upstream of a new package fails.
    pub fn unavailable(subject: Subject) -> Self {
        Self::error(subject, "unavailable", Color::LightGrey)
    }

    pub(crate) fn label(&self) -> &'static str {
        self.label
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn color(&self) -> Color {
        self.color
    }

    pub(crate) fn is_error(&self) -> bool {
        self.is_error
    }

    pub(crate) fn named_logo(&self) -> Option<&'static str> {
        self.named_logo
    }

    fn new(subject: Subject, message: String, color: Color) -> Self {
        let (label, named_logo) = match subject {
            Subject::Tests => ("tests", None),
            Subject::Package(Provider::NuGet) => ("nuget", Some("nuget")),
            Subject::Package(Provider::GitHub) => ("github", Some("github")),
            Subject::Package(Provider::GitHubNpm) => ("github", Some("npm")),
            Subject::Package(Provider::GitHubContainer) => ("github", Some("docker")),
        };
        Self { schema_version: 1, label, message, color, is_error: false, named_logo }
    }

    fn error(subject: Subject, message: &str, color: Color) -> Self {
        Self { is_error: true, ..Self::new(subject, message.to_owned(), color) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn every_outcome_has_its_message_and_color() {
        let newest = Timestamp::from_unix_milliseconds(0);
        let tests = |passed, failed| {
            Badge::tests(&Summary { passed, failed, has_failure: failed > 0, is_complete: true, newest })
        };
        let broken = |passed| {
            Badge::tests(&Summary { passed, failed: 0, has_failure: true, is_complete: true, newest })
        };
        let many = |passed, failed| {
            Badge::tests(&Summary { passed, failed, has_failure: failed > 0, is_complete: false, newest })
        };
        let version =
            |provider, text: &str| Badge::version(provider, &provider.scheme().parse(text).unwrap());
        let badges = [
            tests(190, 0),
            tests(0, 5),
            tests(188, 2),
            tests(0, 0),
            broken(190),
            broken(0),
            many(190, 0),
            many(190, 2),
            Badge::no_recent_results(),
            Badge::not_found(Subject::Tests),
            Badge::no_results(),
            Badge::unavailable(Subject::Tests),
            version(Provider::NuGet, "13.0.3"),
            version(Provider::NuGet, "14.0.0-beta.1"),
            version(Provider::GitHub, "1.0"),
            version(Provider::GitHub, "1.0-rc"),
            version(Provider::GitHubNpm, "1.0.0-rc.1"),
            version(Provider::GitHubContainer, "v1.0.0"),
            version(Provider::GitHubContainer, "latest"),
            Badge::pending(Provider::NuGet),
            Badge::not_found(Subject::Package(Provider::GitHub)),
            Badge::invalid_range(Provider::NuGet),
            Badge::unavailable(Subject::Package(Provider::NuGet)),
        ];
        let lines: Vec<_> = badges.iter().map(|badge| serde_json::to_string(badge).unwrap()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"schemaVersion":1,"label":"tests","message":"190 passed","color":"brightgreen"}
        {"schemaVersion":1,"label":"tests","message":"5 failed","color":"red"}
        {"schemaVersion":1,"label":"tests","message":"188 passed, 2 failed","color":"red"}
        {"schemaVersion":1,"label":"tests","message":"no tests","color":"lightgrey"}
        {"schemaVersion":1,"label":"tests","message":"190 passed, run failed","color":"red"}
        {"schemaVersion":1,"label":"tests","message":"run failed","color":"red"}
        {"schemaVersion":1,"label":"tests","message":"too many suites","color":"lightgrey","isError":true}
        {"schemaVersion":1,"label":"tests","message":"190 passed, 2 failed","color":"red"}
        {"schemaVersion":1,"label":"tests","message":"no recent results","color":"lightgrey","isError":true}
        {"schemaVersion":1,"label":"tests","message":"not found","color":"red","isError":true}
        {"schemaVersion":1,"label":"tests","message":"no results","color":"lightgrey","isError":true}
        {"schemaVersion":1,"label":"tests","message":"unavailable","color":"lightgrey","isError":true}
        {"schemaVersion":1,"label":"nuget","message":"13.0.3","color":"blue","namedLogo":"nuget"}
        {"schemaVersion":1,"label":"nuget","message":"14.0.0-beta.1","color":"orange","namedLogo":"nuget"}
        {"schemaVersion":1,"label":"github","message":"1.0.0","color":"green","namedLogo":"github"}
        {"schemaVersion":1,"label":"github","message":"1.0.0-rc","color":"orange","namedLogo":"github"}
        {"schemaVersion":1,"label":"github","message":"1.0.0-rc.1","color":"orange","namedLogo":"npm"}
        {"schemaVersion":1,"label":"github","message":"1.0.0","color":"green","namedLogo":"docker"}
        {"schemaVersion":1,"label":"github","message":"latest","color":"green","namedLogo":"docker"}
        {"schemaVersion":1,"label":"nuget","message":"pending","color":"lightgrey","namedLogo":"nuget"}
        {"schemaVersion":1,"label":"github","message":"not found","color":"red","isError":true,"namedLogo":"github"}
        {"schemaVersion":1,"label":"nuget","message":"invalid range","color":"red","isError":true,"namedLogo":"nuget"}
        {"schemaVersion":1,"label":"nuget","message":"unavailable","color":"lightgrey","isError":true,"namedLogo":"nuget"}
        "#);
    }
}
