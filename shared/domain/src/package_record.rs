//! What is kept of a package between two refreshes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;
use crate::version::NuGetVersion;

/// A package as it is known at a time: everything but its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRecord {
    /// What is known of it.
    pub state: PackageState,
    /// Its upstream is not asked again before this.
    pub refresh_after: Timestamp,
    /// When somebody last read it, to within a day.
    pub last_requested_at: Timestamp,
    /// Failed tries in a row.
    pub failures: u32,
}

/// How far the knowledge of a package goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageState {
    /// Its upstream was not heard yet. It may not exist.
    Unconfirmed,
    /// It exists.
    Known(Known),
    /// Its upstream says that it does not exist, or it is not for everybody to see.
    NotFound,
}

/// A package that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The highest stable version.
    pub latest_stable: Option<NuGetVersion>,
    /// The highest prerelease.
    pub latest_prerelease: Option<NuGetVersion>,
    /// When its upstream last confirmed all of it.
    pub fetched_at: Timestamp,
    /// When its versions last changed.
    pub changed_at: Timestamp,
    /// How often in a row its upstream has said that it does not exist.
    pub consecutive_not_found: u32,
    /// Shown by a consent of its own, since it is not public.
    pub private: bool,
    /// Kept up to date. Packages that nobody reads are not.
    pub scheduled: bool,
}

impl PackageRecord {
    /// How long nobody has been heard to read it.
    pub fn unread_for(&self, now: Timestamp) -> Duration {
        now.since(self.last_requested_at)
    }

    /// Whether it exists, and is kept up to date.
    pub fn is_scheduled(&self) -> bool {
        matches!(&self.state, PackageState::Known(known) if known.scheduled)
    }
}

impl Known {
    /// The version to show where nothing is required of it: the highest stable one, the highest of all with
    /// `prerelease`, or where there is no other.
    pub fn latest(&self, prerelease: bool) -> Option<&NuGetVersion> {
        match (&self.latest_stable, &self.latest_prerelease) {
            (Some(stable), Some(other)) if prerelease => Some(stable.max(other)),
            (Some(stable), _) => Some(stable),
            (None, other) => other.as_ref(),
        }
    }
}

/// What upstream has to be asked with, by URL, so that it need not repeat what is known.
pub type Validators = BTreeMap<String, Validator>;

/// The state of one document upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Its entity tag, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its `Last-Modified`, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// For a page of a NuGet registration, the commit that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// For a page of GitHub's, where the next one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Validator {
    /// Whether a request can be made conditional with it.
    pub fn is_conditional(&self) -> bool {
        self.etag.is_some() || self.last_modified.is_some()
    }
}
