//! Versions of packages, one in each line.

use std::collections::HashSet;

use badgesmith_domain::version::{Advisory, NuGetVersion, Scheme, Version, Versions};

use super::round_trip;

const BYTES_MAX: usize = 256;
/// More lines are ignored, because all triples of versions are compared.
const VERSIONS_MAX: usize = 8;

pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text.lines().take(VERSIONS_MAX).collect();
    for scheme in [Scheme::NuGet, Scheme::SemVer, Scheme::Tags] {
        let versions: Vec<_> = lines.iter().filter_map(|line| parse(scheme, line)).collect();
        check_order(&versions);
        check_list(&versions);
        check_list(&lines.iter().filter_map(|line| scheme.parse_stored(line)).collect::<Vec<_>>());
    }
    for line in lines {
        if let Some(version) = round_trip::<NuGetVersion>(line) {
            let printed = version.to_string();
            assert_eq!(printed.parse::<NuGetVersion>().map(|version| version.to_string()), Ok(printed));
            assert_eq!(version.is_prerelease(), version.to_string().contains('-'));
        }
        for scheme in [Scheme::NuGet, Scheme::SemVer, Scheme::Tags] {
            if let Some(stored) = scheme.parse_stored(line) {
                assert_eq!(scheme.parse_stored(&stored.stored()), Some(stored));
            }
        }
    }
}

/// Parses a version, and checks that it displays and stores as text that parses back.
pub(crate) fn parse(scheme: Scheme, line: &str) -> Option<Version> {
    let version = scheme.parse(line)?;
    let printed = version.to_string();
    assert!(line.len() <= BYTES_MAX && printed.len() <= BYTES_MAX, "{line:?}");
    assert_eq!(scheme.parse(&printed).as_ref(), Some(&version), "{line:?}");
    assert_eq!(scheme.parse_stored(&version.stored()).as_ref(), Some(&version), "{line:?}");
    Some(version)
}

fn check_order(versions: &[Version]) {
    for a in versions {
        for b in versions {
            assert_eq!(a.cmp(b), b.cmp(a).reverse(), "{a} {b}");
            assert_eq!(a == b, a.cmp(b).is_eq(), "{a} {b}");
            if let (Version::NuGet(a, _), Version::NuGet(b, _)) = (a, b) {
                assert!(
                    a != b || HashSet::from([a, b]).len() == 1,
                    "equal versions have the same hash: {a} {b}"
                );
            }
            for c in versions {
                assert!(!(a <= b && b <= c) || a <= c, "{a} {b} {c}");
            }
        }
    }
}

fn check_list(versions: &[Version]) {
    let listed: Versions = versions.iter().cloned().collect();
    let reversed: Versions = versions.iter().rev().cloned().collect();
    let printed = |versions: &Versions| versions.iter().map(Version::stored).collect::<Vec<_>>();
    assert_eq!(printed(&listed), printed(&reversed), "the order of the input does not matter");
    let plain = |version: &Version| version.clone().with(Advisory::default());
    assert!(listed.iter().map(plain).is_sorted_by(|a, b| a > b), "distinct, and highest first: {listed:?}");
    assert!(versions.iter().all(|version| listed.iter().any(|kept| plain(kept) == plain(version))));
    assert_eq!(listed.truncated(Versions::MAX), listed);
    let one = listed.truncated(1);
    assert_eq!(one.len(), listed.len().min(1));
}
