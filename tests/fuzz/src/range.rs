//! A version range in the first line, and versions in the others.

use badgesmith_domain::version::{Comparator, Filter, Scheme, Version, VersionRange, Versions};

use super::version::parse;

/// More lines are ignored, to bound the number of comparisons.
const VERSIONS_MAX: usize = 8;

pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let range = lines.next().unwrap_or_default();
    let lines: Vec<_> = lines.take(VERSIONS_MAX).collect();
    for scheme in [Scheme::NuGet, Scheme::SemVer, Scheme::Tags] {
        let versions: Vec<_> = lines.iter().filter_map(|line| parse(scheme, line)).collect();
        let Ok(filter) = Filter::parse(scheme, range, []) else { continue };
        assert_eq!(filter.is_empty(), range.trim().is_empty() || is_all(range), "{range:?}");
        check_latest(&filter, &versions);
        check_comparisons(scheme, range, &versions);
    }
    check_nuget(range, &lines);
}

/// Whether this is `(, )`, which every NuGet version meets.
fn is_all(range: &str) -> bool {
    range.parse() == Ok(VersionRange::ALL)
}

fn is_met(filter: &Filter, version: &Version) -> bool {
    Versions::from_iter([version.clone()]).latest(filter, true).is_some()
}

fn check_latest(filter: &Filter, versions: &[Version]) {
    let listed: Versions = versions.iter().cloned().collect();
    let met = || listed.iter().filter(|version| is_met(filter, version));
    assert_eq!(listed.latest(filter, true), met().max());
    let latest = listed.latest(filter, false);
    assert!(latest.is_none_or(|latest| is_met(filter, latest)));
    let stable = met().filter(|version| !version.is_prerelease()).max();
    if let (Some(stable), Some(latest)) = (stable, latest) {
        assert!(latest == stable || latest > stable && latest.is_prerelease(), "{latest} {stable}");
    }
    assert!(stable.is_none() || latest.is_some());
}

/// Checks that each comparison restricts a range by its bound.
fn check_comparisons(scheme: Scheme, range: &str, versions: &[Version]) {
    let alone = Filter::parse(scheme, range, []);
    for bound in versions.iter().take(2) {
        for (name, comparator) in Comparator::ALL {
            let Ok(both) = Filter::parse(scheme, range, [(comparator, &*bound.to_string())]) else {
                assert!(scheme != Scheme::NuGet, "{range:?} {name} {bound}");
                continue;
            };
            assert!(!both.is_empty());
            if scheme != Scheme::NuGet {
                continue;
            }
            for version in versions {
                let holds = match comparator {
                    Comparator::Greater => version > bound,
                    Comparator::GreaterOrEqual => version >= bound,
                    Comparator::Less => version < bound,
                    Comparator::LessOrEqual => version <= bound,
                    Comparator::Equal => version == bound,
                };
                let expected = holds && alone.as_ref().is_ok_and(|alone| is_met(alone, version));
                assert_eq!(is_met(&both, version), expected, "{version}: {range:?} {name} {bound}");
            }
        }
    }
}

fn check_nuget(text: &str, lines: &[&str]) {
    let Ok(range) = text.parse::<VersionRange>() else { return };
    let normalized = range.to_string();
    let again = normalized.parse().map(|again: VersionRange| again.to_string());
    assert_eq!(again.as_ref(), Ok(&normalized), "{text:?}");
    let filter = |text: &str| Filter::parse(Scheme::NuGet, text, []).expect("a range is a requirement");
    let (filter, normalized) = (filter(text), filter(&normalized));
    let mut versions: Vec<_> = lines.iter().filter_map(|line| Scheme::NuGet.parse(line)).collect();
    versions.sort();
    let met: Vec<_> = versions.iter().map(|version| is_met(&filter, version)).collect();
    let within: Vec<_> = versions.iter().map(|version| is_met(&normalized, version)).collect();
    let is_floating = text.contains('*');
    for (met, within) in met.iter().zip(&within) {
        assert!(met == within || is_floating && *within, "{text:?} {versions:?}");
    }
    let first = within.iter().position(|met| *met).unwrap_or_default();
    let last = within.iter().rposition(|met| *met).unwrap_or_default();
    assert!(
        within.iter().skip(first).take(last.saturating_sub(first)).all(|met| *met),
        "an interval has no holes"
    );
}
