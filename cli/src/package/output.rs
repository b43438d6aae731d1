//! The output of `badgesmith package`.

use std::fmt;

use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{Known, PackageRecord, PackageState};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::{Advisory, Version};
use serde::Serialize;

use crate::duration::{age, format_duration};
use crate::table::Table;

#[derive(Serialize)]
pub(super) struct PackageDescription {
    pub(super) package: Package,
    state: State,
    latest_stable: Option<String>,
    latest_prerelease: Option<String>,
    /// Of the version that a badge without a range shows.
    #[serde(flatten)]
    advisory: Advisory,
    private: bool,
    scheduled: bool,
    fetched_at: Option<Timestamp>,
    changed_at: Option<Timestamp>,
    refresh_after: Timestamp,
    last_requested_at: Timestamp,
    /// Failed lookups in a row.
    failures: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Unconfirmed,
    NotFound,
    Known,
}

impl PackageDescription {
    pub(super) fn new(package: Package, record: &PackageRecord) -> Self {
        let (state, known) = match &record.state {
            PackageState::Unconfirmed => (State::Unconfirmed, None),
            PackageState::NotFound => (State::NotFound, None),
            PackageState::Known(known) => (State::Known, Some(known)),
        };
        let version = |of: fn(&Known) -> Option<&Version>| known.and_then(of).map(ToString::to_string);
        let advisory = known.and_then(|known| known.latest(false)).map(Version::advisory);
        Self {
            package,
            state,
            advisory: advisory.unwrap_or_default(),
            latest_stable: version(|known| known.latest_stable.as_ref()),
            latest_prerelease: version(|known| known.latest_prerelease.as_ref()),
            private: known.is_some_and(|known| known.private),
            scheduled: known.is_some_and(|known| known.is_scheduled),
            fetched_at: known.map(|known| known.fetched_at),
            changed_at: known.map(|known| known.changed_at),
            refresh_after: record.refresh_after,
            last_requested_at: record.last_requested_at,
            failures: record.failures,
        }
    }

    fn row(&self, now: Timestamp) -> [String; 6] {
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
        let warning = match self.advisory {
            Advisory { vulnerable: true, .. } => " (vulnerable)",
            Advisory { deprecated: true, .. } => " (deprecated)",
            Advisory { .. } => "",
        };
        // The stable version is that of the badge, if there is one.
        let [stable, prerelease] = if self.latest_stable.is_some() { [warning, ""] } else { ["", warning] };
        let next = if self.refresh_after > now {
            format!("in {}", format_duration(self.refresh_after.since(now)))
        } else {
            format!("{} overdue", age(self.refresh_after, now))
        };
        [
            self.package.to_string(),
            format!("{}{stable}", version(&self.latest_stable)),
            format!("{}{prerelease}", version(&self.latest_prerelease)),
            self.fetched_at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", age(at, now))),
            match self.failures {
                0 => next,
                1 => format!("{next}, failed once"),
                failures => format!("{next}, failed {failures} times"),
            },
            format!("{} ago", age(self.last_requested_at, now)),
        ]
    }
}

/// One package, and what a command did with it.
#[derive(Serialize)]
pub(super) struct PackageStatus {
    #[serde(flatten)]
    pub(super) package: PackageDescription,
    /// The predicate of the printed sentence.
    #[serde(skip)]
    pub(super) status: &'static str,
}

#[derive(Serialize)]
pub(super) struct RemovedPackage {
    pub(super) package: Package,
    pub(super) last_requested_at: Timestamp,
}

#[derive(Serialize)]
pub(super) struct PackageList {
    pub(super) packages: Vec<PackageDescription>,
    #[serde(skip)]
    pub(super) now: Timestamp,
}

impl fmt::Display for PackageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package: PackageDescription { package, latest_stable, latest_prerelease, .. }, status } =
            self;
        match latest_stable.as_ref().or(latest_prerelease.as_ref()) {
            Some(version) => write!(f, "{package} {version} {status}"),
            None => write!(f, "{package} {status}"),
        }
    }
}

impl fmt::Display for RemovedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no longer kept up to date", self.package)
    }
}

impl fmt::Display for PackageList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.packages.is_empty() {
            return f.write_str("no packages are kept up to date");
        }
        let mut table = Table::new(&["PACKAGE", "LATEST", "PRERELEASE", "FETCHED", "NEXT", "LAST READ"]);
        for package in &self.packages {
            table.row(package.row(self.now));
        }
        table.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use badgesmith_domain::version::Scheme;

    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn known() -> PackageDescription {
        let known = Known {
            latest_stable: Scheme::NuGet.parse("13.0.3"),
            latest_prerelease: Scheme::NuGet.parse("14.0.0-beta"),
            fetched_at: at("2026-05-01T10:00:00Z"),
            changed_at: at("2026-04-01T10:00:00Z"),
            consecutive_not_found: 0,
            private: false,
            is_scheduled: true,
        };
        let record = PackageRecord {
            state: PackageState::Known(known),
            refresh_after: at("2026-05-01T10:15:00Z"),
            last_requested_at: at("2026-04-30T10:00:00Z"),
            failures: 0,
        };
        PackageDescription::new("nuget/newtonsoft.json".parse().unwrap(), &record)
    }

    fn unconfirmed() -> PackageDescription {
        let record = PackageRecord {
            state: PackageState::Unconfirmed,
            refresh_after: at("2026-05-01T09:00:00Z"),
            last_requested_at: at("2026-05-01T08:00:00Z"),
            failures: 3,
        };
        PackageDescription::new("github/acme/kit".parse().unwrap(), &record)
    }

    #[test]
    fn a_package_has_its_latest_version() {
        let package = PackageStatus { package: known(), status: "is already kept up to date" };
        assert_eq!(package.to_string(), "nuget/newtonsoft.json 13.0.3 is already kept up to date");
        insta::assert_json_snapshot!(package, @r#"
        {
          "package": "nuget/newtonsoft.json",
          "state": "known",
          "latest_stable": "13.0.3",
          "latest_prerelease": "14.0.0-beta",
          "deprecated": false,
          "vulnerable": false,
          "private": false,
          "scheduled": true,
          "fetched_at": "2026-05-01T10:00:00.000Z",
          "changed_at": "2026-04-01T10:00:00.000Z",
          "refresh_after": "2026-05-01T10:15:00.000Z",
          "last_requested_at": "2026-04-30T10:00:00.000Z",
          "failures": 0
        }
        "#);
    }

    #[test]
    fn a_list_is_a_table() {
        let now = at("2026-05-01T10:05:00Z");
        let list = PackageList { packages: vec![known(), unconfirmed()], now };
        insta::assert_snapshot!(list, @r"
        PACKAGE                LATEST  PRERELEASE   FETCHED  NEXT                           LAST READ
        nuget/newtonsoft.json  13.0.3  14.0.0-beta  5m ago   in 10m                         1d 0h ago
        github/acme/kit        -       -            never    1h 5m overdue, failed 3 times  2h 5m ago
        ");
        insta::assert_json_snapshot!(PackageList { packages: vec![unconfirmed()], now }, @r#"
        {
          "packages": [
            {
              "package": "github/acme/kit",
              "state": "unconfirmed",
              "latest_stable": null,
              "latest_prerelease": null,
              "deprecated": false,
              "vulnerable": false,
              "private": false,
              "scheduled": false,
              "fetched_at": null,
              "changed_at": null,
              "refresh_after": "2026-05-01T09:00:00.000Z",
              "last_requested_at": "2026-05-01T08:00:00.000Z",
              "failures": 3
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_removed_package_has_its_last_read() {
        let removed = RemovedPackage {
            package: "nuget/newtonsoft.json".parse().unwrap(),
            last_requested_at: at("2026-05-01T10:00:00Z"),
        };
        assert_eq!(removed.to_string(), "nuget/newtonsoft.json is no longer kept up to date");
        insta::assert_json_snapshot!(removed, @r#"
        {
          "package": "nuget/newtonsoft.json",
          "last_requested_at": "2026-05-01T10:00:00.000Z"
        }
        "#);
    }
}
