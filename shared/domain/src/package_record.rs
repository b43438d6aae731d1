//! The record of a package: what is known of it from one refresh to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;
use crate::version::Version;

/// A package without its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRecord {
    pub state: PackageState,
    /// The package is due from this time on.
    pub refresh_after: Timestamp,
    /// When the package was last read, to within a day.
    pub last_requested_at: Timestamp,
    /// Failed refreshes in a row.
    pub failures: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageState {
    /// No upstream has answered yet. The package may not exist.
    Unconfirmed,
    Known(Known),
    /// The package does not exist, or must not be shown.
    NotFound,
}

/// A package that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The highest stable version.
    pub latest_stable: Option<Version>,
    /// The highest prerelease.
    pub latest_prerelease: Option<Version>,
    /// When the upstream last confirmed the versions.
    pub fetched_at: Timestamp,
    /// When the versions last changed.
    pub changed_at: Timestamp,
    /// How often in a row the upstream has answered that the package does not exist.
    pub consecutive_not_found: u32,
    /// Shown because a token is mapped to this one package, not because it is public.
    pub private: bool,
    /// On the schedule. Packages that are no longer read leave it.
    pub is_scheduled: bool,
}

impl PackageRecord {
    /// The time since the package was last read.
    pub fn unread_for(&self, now: Timestamp) -> Duration {
        now.since(self.last_requested_at)
    }

    /// Whether the package exists and is on the schedule.
    pub fn is_scheduled(&self) -> bool {
        matches!(&self.state, PackageState::Known(known) if known.is_scheduled)
    }
}

impl Known {
    /// The version of a badge without a version range: the highest stable one; the highest of all with `prerelease`,
    /// or when there is no stable one.
    pub fn latest(&self, prerelease: bool) -> Option<&Version> {
        match (&self.latest_stable, &self.latest_prerelease) {
            (Some(stable), Some(other)) if prerelease => Some(stable.max(other)),
            (Some(stable), _) => Some(stable),
            (None, other) => other.as_ref(),
        }
    }
}

/// Validators of upstream documents, by URL. They make requests conditional, so that unchanged documents are not sent
/// again.
pub type Validators = BTreeMap<String, Validator>;

/// The validator of one upstream document (RFC 9110, 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// The `ETag` header, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The `Last-Modified` header, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// The versions in a document that is one of several, so that one that changed does not require the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<String>>,
    /// The URL of the page after a page of GitHub's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Validator {
    /// Whether it can make a request conditional.
    pub fn is_conditional(&self) -> bool {
        self.etag.is_some() || self.last_modified.is_some()
    }
}
