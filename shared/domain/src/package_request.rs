//! The `PackageRequested` event: badge-api or an operator asks the refresher to look up a package.

use serde::{Deserialize, Serialize};

use crate::package::Package;
use crate::timestamp::Timestamp;

/// The version that this crate writes.
const VERSION: u32 = 1;

/// The detail of a `PackageRequested` event:
/// `{"version":1,"package":"nuget/newtonsoft.json","reason":"new","requested_at":"2025-01-15T10:30:00.000Z"}`.
///
/// It evolves like a [`ResultMessage`](crate::message::ResultMessage): fields may be added, and a change that an
/// old reader would misread needs a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRequest {
    version: u32,
    pub package: Package,
    pub reason: Reason,
    pub requested_at: Timestamp,
    /// The name as the reader wrote it, if that is not in lower case. It may be the only one that the registry knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Why a package is requested. When two requests are merged, the variant that is declared first wins, with the
/// exception that [`PackageRequest::merge`] describes.
///
/// Some variants have another name on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// An operator requests a lookup now, even if the package is not due.
    #[serde(rename = "wanted")]
    RefreshNow,
    /// The package is unknown, or was not found an hour ago. Such names may be made up.
    #[serde(rename = "new")]
    FirstRequested,
    /// The package is known and overdue: it is no longer scheduled, or the schedule lags behind.
    Stale,
    /// The package is known and fresh, but its reads have not been reported for a day.
    #[serde(rename = "seen")]
    StillRead,
    /// An operator removes the package from the schedule.
    #[serde(rename = "unwanted")]
    Unschedule,
}

/// Why this version can never read a request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Not an event with a [`PackageRequest`] as its detail.
    #[error("malformed request: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer version of BadgeSmith.
    #[error("request version {0} is newer than the supported version {VERSION}")]
    Newer(u32),
}

impl PackageRequest {
    pub fn new(package: Package, reason: Reason, requested_at: Timestamp) -> Self {
        Self { version: VERSION, package, reason, requested_at, name: None }
    }

    /// Adds the name as the reader wrote it.
    #[must_use]
    pub fn written_as(self, name: &str) -> Self {
        let is_other = self.package.name().as_str() != name;
        Self { name: is_other.then(|| name.to_owned()), ..self }
    }

    /// The name as the reader wrote it, if it is another spelling of the package's name.
    pub fn spelling(&self) -> Option<&str> {
        let name = self.package.name().as_str();
        self.name.as_deref().filter(|written| *written != name && written.eq_ignore_ascii_case(name))
    }

    /// Merges another request for the same package into this one. Between a lookup and a [`Reason::Unschedule`],
    /// the later request wins.
    pub fn merge(&mut self, other: &Self) {
        let is_lookup = |request: &Self| request.reason != Reason::Unschedule;
        if is_lookup(self) == is_lookup(other) {
            self.reason = self.reason.min(other.reason);
        } else if other.requested_at > self.requested_at {
            self.reason = other.reason;
        }
        self.requested_at = self.requested_at.max(other.requested_at);
        self.name = self.name.take().or_else(|| other.name.clone());
    }

    /// Parses `body`, a complete event as EventBridge sends it to a queue, with the request as its detail.
    ///
    /// # Errors
    /// [`RequestError`] if this version can never read `body`.
    pub fn parse_event(body: &str) -> Result<Self, RequestError> {
        #[derive(Deserialize)]
        struct Event<T> {
            detail: T,
        }
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = match serde_json::from_str(body) {
            Ok(Event { detail: request @ Self { version: ..=VERSION, .. } }) => return Ok(request),
            Ok(Event { detail: Self { version, .. } }) => return Err(RequestError::Newer(version)),
            Err(error) => error,
        };
        // A newer request may have a different structure.
        match serde_json::from_str(body) {
            Ok(Event { detail: Versioned { version } }) if version > VERSION => {
                Err(RequestError::Newer(version))
            }
            Ok(_) | Err(_) => Err(RequestError::Malformed(malformed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_stable_and_parses_back() {
        let request = PackageRequest::new(
            "github/acme/acme.kit".parse().unwrap(),
            Reason::FirstRequested,
            "2025-01-15T10:30:00Z".parse().unwrap(),
        );
        let detail = serde_json::to_string(&request).unwrap();
        assert_eq!(
            detail,
            r#"{"version":1,"package":"github/acme/acme.kit","reason":"new","requested_at":"2025-01-15T10:30:00.000Z"}"#
        );
        let event = |detail: &str| format!(r#"{{"id":"1","source":"badgesmith","detail":{detail}}}"#);
        assert_eq!(PackageRequest::parse_event(&event(&detail)).unwrap(), request);
        let newer = event(r#"{"version":2,"packages":[]}"#);
        assert!(matches!(PackageRequest::parse_event(&newer), Err(RequestError::Newer(2))));
        for malformed in [&detail, "", "{}", &event("{}"), &event(r#"{"version":1,"package":"npm/x/y"}"#)] {
            assert!(matches!(PackageRequest::parse_event(malformed), Err(RequestError::Malformed(_))));
        }
    }
}
