//! Versions as NuGet normalizes and orders them: <https://learn.microsoft.com/nuget/concepts/package-versioning>.

use std::cmp::Ordering;

/// `1.2.3.4-rc.1+build`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    numbers: [u64; 4],
    /// The text after the `-`; empty for a stable version.
    labels: String,
    metadata: String,
}

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (text, metadata) = text.split_once('+').unwrap_or((text, ""));
        let (text, labels) = text.split_once('-').unwrap_or((text, ""));
        let mut numbers = [0; 4];
        for (at, number) in text.split('.').enumerate() {
            *numbers.get_mut(at)? = number.parse().ok()?;
        }
        Some(Self { numbers, labels: labels.to_owned(), metadata: metadata.to_owned() })
    }

    /// Three numbers, the fourth if it is not zero, and the labels.
    pub(super) fn normalized(&self) -> String {
        let [major, minor, patch, revision] = self.numbers;
        let revision = if revision == 0 { String::new() } else { format!(".{revision}") };
        let hyphen = if self.labels.is_empty() { "" } else { "-" };
        format!("{major}.{minor}.{patch}{revision}{hyphen}{}", self.labels)
    }

    /// Normalized, with the metadata.
    pub(super) fn full(&self) -> String {
        let plus = if self.metadata.is_empty() { "" } else { "+" };
        format!("{}{plus}{}", self.normalized(), self.metadata)
    }

    /// The same for versions that NuGet considers equal.
    pub(super) fn key(&self) -> String {
        self.normalized().to_lowercase()
    }

    /// Whether clients from before `SemVer` 2.0.0 do not understand it.
    pub(super) fn is_sem_ver_2(&self) -> bool {
        self.labels.contains('.') || !self.metadata.is_empty()
    }

    /// The order of precedence, without metadata.
    pub(super) fn precedence(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| self.labels.is_empty().cmp(&other.labels.is_empty()))
            .then_with(|| self.labels.split('.').map(rank).cmp(other.labels.split('.').map(rank)))
    }
}

/// Numbers by value and before words; words case-insensitively.
fn rank(label: &str) -> (bool, u64, String) {
    label.parse().map_or_else(|_| (true, 0, label.to_lowercase()), |number| (false, number, String::new()))
}
