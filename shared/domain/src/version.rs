//! Package versions, and requirements on versions.
//!
//! Every rule for NuGet follows the library [NuGet.Versioning][library] 6 and its [documentation][page], with one
//! exception: a floating range contains only the versions of its pattern, which a restore merely prefers.
//!
//! [library]: https://github.com/NuGet/NuGet.Client/tree/dev/src/NuGet.Core/NuGet.Versioning
//! [page]: https://learn.microsoft.com/nuget/concepts/package-versioning

mod filter;
mod floating;
mod nuget;
mod range;
mod requirement;
mod scheme;

pub use filter::Filter;
pub use nuget::NuGetVersion;
pub use range::VersionRange;
pub use requirement::{Comparator, Requirement};
pub use scheme::{Advisory, Scheme, Version};

/// A package's listed versions: distinct, highest first, at most [`Versions::MAX`].
///
/// If there are more, the highest stable versions and the highest prereleases share the places equally. What one of
/// them does not need, the other gets, so that no number of nightly builds displaces the stable version.
///
/// Of equal versions with different spellings, only the one that sorts last by bytes is kept, regardless of the
/// input order: `1.0.0-rc` rather than `1.0.0-RC`. The [package content resource][lower] of NuGet's API writes all
/// versions in lower case. An advisory for any spelling applies.
///
/// [lower]: https://learn.microsoft.com/nuget/api/package-base-address-resource
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions(Box<[Version]>);

impl Versions {
    /// The maximum number of versions.
    pub const MAX: usize = 10_000;

    /// At most `max` of these versions.
    #[must_use]
    pub fn truncated(&self, max: usize) -> Self {
        let mut kept = self.0.to_vec();
        truncate(&mut kept, max);
        Self(kept.into_boxed_slice())
    }

    /// The versions, highest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Version> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The highest stable version that meets `filter`. With `prerelease`, or for a floating range with a label, the
    /// highest of all that meet it. If no stable version does, the highest prerelease, except those of an exclusive
    /// upper bound. `None` if no version meets it.
    ///
    /// ```
    /// use badgesmith_domain::version::{Filter, Scheme, Versions};
    ///
    /// let versions = ["1.2.0", "1.9.1", "2.0.0-rc.1"].into_iter();
    /// let versions: Versions = versions.filter_map(|text| Scheme::NuGet.parse(text)).collect();
    /// let filter = Filter::parse(Scheme::NuGet, ">=1.0.0 <2.0.0", [])?;
    /// let latest = |prerelease| versions.latest(&filter, prerelease).map(ToString::to_string);
    /// assert_eq!(latest(false).as_deref(), Some("1.9.1"));
    /// assert_eq!(latest(true).as_deref(), Some("2.0.0-rc.1"), "a prerelease of 2.0.0 is below 2.0.0");
    /// # Ok::<(), badgesmith_domain::ids::ParseError>(())
    /// ```
    pub fn latest(&self, filter: &Filter, prerelease: bool) -> Option<&Version> {
        let mut matching = self.iter().filter(|version| filter.is_met_by(version));
        if prerelease || filter.includes_prereleases() {
            return matching.next();
        }
        let stable = matching.clone().find(|version| !version.is_prerelease());
        stable.or_else(|| matching.find(|version| !filter.excludes_release_of(version)))
    }
}

/// Keeps at most `max` of the versions, which are highest first.
fn truncate(versions: &mut Vec<Version>, max: usize) {
    if versions.len() <= max {
        return;
    }
    let prereleases = versions.iter().filter(|version| version.is_prerelease()).count();
    let stable = versions.len() - prereleases;
    let mut stable_left = stable.min(max.div_ceil(2).max(max.saturating_sub(prereleases)));
    let mut prereleases_left = max - stable_left;
    versions.retain(|version| {
        let left = if version.is_prerelease() { &mut prereleases_left } else { &mut stable_left };
        let is_kept = *left > 0;
        *left = left.saturating_sub(1);
        is_kept
    });
}

impl FromIterator<Version> for Versions {
    fn from_iter<I: IntoIterator<Item = Version>>(versions: I) -> Self {
        let mut versions: Vec<_> = versions.into_iter().collect();
        versions.sort_unstable_by(|a, b| b.cmp(a).then_with(|| b.to_string().cmp(&a.to_string())));
        versions.dedup_by(|repeated, kept| kept.merge_if_equal(repeated));
        truncate(&mut versions, Self::MAX);
        Self(versions.into_boxed_slice())
    }
}

impl<'a> IntoIterator for &'a Versions {
    type Item = &'a Version;
    type IntoIter = std::slice::Iter<'a, Version>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::nuget::tests::versions as nuget_versions;
    use super::*;

    fn version(text: &str) -> Version {
        Scheme::NuGet.parse(text).unwrap()
    }

    fn versions() -> impl Strategy<Value = Version> {
        nuget_versions().prop_map(|version| Version::NuGet(version, Advisory::default()))
    }

    fn listed(texts: &[&str]) -> Versions {
        texts.iter().map(|text| version(text)).collect()
    }

    fn printed(versions: &Versions) -> Vec<String> {
        versions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn versions_are_distinct_and_highest_first() {
        let given =
            ["1.0", "2.0.0-RC.1", "1.0.0+b", "2.0-rc.1", "0.9", "2.0.0-Rc.1", "1.0.0.0", "1.0.0--0", "1.0-0"];
        assert_eq!(printed(&listed(&given)), ["2.0.0-rc.1", "1.0.0", "1.0.0-0", "0.9.0"]);
        assert!(listed(&[]).is_empty());
        assert_eq!(listed(&["1", "1.0"]).len(), 1);
    }

    #[test]
    fn a_version_with_different_advisories_is_listed_once() {
        let stored = ["1.0.0-rc deprecated", "1.0.0-RC", "1.0.0-Rc vulnerable", "0.9.0 vulnerable", "0.9.0"];
        let versions: Versions = stored.iter().filter_map(|text| Scheme::NuGet.parse_stored(text)).collect();
        let stored: Vec<_> = versions.iter().map(Version::stored).collect();
        assert_eq!(stored, ["1.0.0-rc deprecated vulnerable", "0.9.0 vulnerable"]);
    }

    #[test]
    fn only_the_highest_versions_are_kept() {
        let many: Versions = (0..=Versions::MAX).map(|minor| version(&format!("1.{minor}"))).collect();
        assert_eq!(many.len(), Versions::MAX);
        assert_eq!(many.iter().next(), Some(&version("1.10000")));
        assert_eq!(many.iter().last(), Some(&version("1.1")));
    }

    #[test]
    fn neither_stable_versions_nor_prereleases_displace_the_other() {
        let kept = |stable: usize, prereleases: usize, max: usize| {
            let stable = (0..stable).map(|patch| version(&format!("1.0.{patch}")));
            let nightly = (0..prereleases).map(|number| version(&format!("2.0.0-nightly.{number}")));
            let kept = stable.chain(nightly).collect::<Versions>().truncated(max);
            assert_eq!(kept.iter().next(), Some(&version(&format!("2.0.0-nightly.{}", prereleases - 1))));
            let prereleases = kept.iter().filter(|version| version.is_prerelease()).count();
            (kept.len() - prereleases, prereleases)
        };
        assert_eq!(kept(1, 12_000, Versions::MAX), (1, 9_999));
        assert_eq!(kept(7_000, 12_000, Versions::MAX), (5_000, 5_000));
        assert_eq!(kept(9_990, 1, Versions::MAX), (9_990, 1));
        assert_eq!(kept(12_000, 30, Versions::MAX), (9_970, 30));
        assert_eq!(kept(3, 9, 4), (2, 2));
    }

    #[track_caller]
    fn check_latest(requirement: &str, prerelease: bool, expected: Option<&str>) {
        let versions = listed(&["1.0.0", "1.2.0", "2.0.0-rc.2", "2.0.0-rc.10", "1.3.0-beta", "3.0.0-alpha"]);
        let filter = Filter::parse(Scheme::NuGet, requirement, []).unwrap();
        let latest = versions.latest(&filter, prerelease).map(ToString::to_string);
        assert_eq!(latest.as_deref(), expected, "{requirement:?} {prerelease}");
    }

    #[test]
    fn the_latest_version_is_stable_if_one_exists() {
        check_latest("", false, Some("1.2.0"));
        check_latest("", true, Some("3.0.0-alpha"));
        check_latest("(,1.2)", false, Some("1.0.0"));
        check_latest("(,1.2)", true, Some("1.0.0"));
        check_latest("<2.0", true, Some("2.0.0-rc.10"));
        check_latest(">1.2 <2", false, Some("1.3.0-beta"));
        check_latest("[1.5,2.0)", false, None);
        check_latest("[1.5,2.0)", true, Some("2.0.0-rc.10"));
        check_latest("[1.5,2.0.0-rc.5)", false, Some("2.0.0-rc.2"));
        check_latest("[1.5,2.0]", false, Some("2.0.0-rc.10"));
        check_latest("2.0", false, Some("3.0.0-alpha"));
        check_latest("2.0.0-*", false, Some("2.0.0-rc.10"));
        check_latest("1.*", false, Some("1.2.0"));
        check_latest("1.*", true, Some("1.3.0-beta"));
        check_latest("1.*-*", false, Some("1.3.0-beta"));
        check_latest("1.3.*", false, None);
        check_latest("1.3.*-*", false, Some("1.3.0-beta"));
        check_latest("2.0.0-rc.*", false, Some("2.0.0-rc.10"));
        check_latest("*", false, Some("1.2.0"));
        check_latest("*-*", false, Some("3.0.0-alpha"));
        check_latest("3.0", true, None);
        check_latest(">2 <1", true, None);
        assert_eq!(Versions::default().latest(&Filter::NuGet(Requirement::default()), true), None);
    }

    #[test]
    fn npm_requirements_are_those_of_the_crate_semver() {
        let versions = ["1.0.0", "1.2.7", "1.3.0-beta.1", "2.0.0", "2.1.0-rc.1"];
        let versions: Versions = versions.iter().filter_map(|text| Scheme::SemVer.parse(text)).collect();
        for (range, prerelease, expected) in [
            ("", false, Some("2.0.0")),
            ("", true, Some("2.1.0-rc.1")),
            ("^1.2", false, Some("1.2.7")),
            ("~1", false, Some("1.2.7")),
            (">=1, <2", false, Some("1.2.7")),
            ("1.x", false, Some("1.2.7")),
            ("=1.0.0", false, Some("1.0.0")),
            (">=2.1.0-rc.0", false, Some("2.1.0-rc.1")),
            ("^3", false, None),
        ] {
            let filter = Filter::parse(Scheme::SemVer, range, []).unwrap();
            let latest = versions.latest(&filter, prerelease).map(ToString::to_string);
            assert_eq!(latest.as_deref(), expected, "{range} {prerelease}");
        }
        let between = |lower, upper| [(Comparator::GreaterOrEqual, lower), (Comparator::Less, upper)];
        for (range, comparisons, expected) in [
            ("", between("1.0.0", "1.2.7"), Some("1.0.0")),
            ("*", between("1.0.0", "1.2.7"), Some("1.0.0")),
            ("<1.2", between("1.0.0", "2.0.0"), Some("1.0.0")),
            // The parameters are one requirement: a prerelease that one of them names matches all.
            ("", between("2.1.0-rc.0", "3.0.0"), Some("2.1.0-rc.1")),
            ("<3", between("2.1.0-rc.0", "4.0.0"), Some("2.1.0-rc.1")),
            (">=2.1.0-rc.0", between("2.0.1", "3.0.0"), Some("2.1.0-rc.1")),
            (">=2.1.0-rc.0, <3", between("2.2.0-rc.0", "3.0.0"), None),
        ] {
            let filter = Filter::parse(Scheme::SemVer, range, comparisons).unwrap();
            let latest = versions.latest(&filter, false).map(ToString::to_string);
            assert_eq!(latest.as_deref(), expected, "{range} {comparisons:?}");
        }
        for bad in ["[1.0,2.0)", ">=1 <2", "latest", "1.2.3.4", &">1,".repeat(400)] {
            assert!(Filter::parse(Scheme::SemVer, bad, []).is_err(), "{bad}");
        }
        for bad in [">1", "1,2", "x", ""] {
            assert!(Filter::parse(Scheme::Tags, "", [(Comparator::Equal, bad)]).is_err(), "{bad}");
        }
    }

    fn in_lower_case(one: &Version) -> Version {
        version(&one.to_string().to_lowercase())
    }

    proptest! {
        #[test]
        fn versions_do_not_depend_on_the_input_order(
            (given, shuffled) in prop::collection::vec(versions(), 0..30)
                .prop_map(|some| some.into_iter().flat_map(|one| [in_lower_case(&one), one]).collect::<Vec<_>>())
                .prop_flat_map(|given| (Just(given.clone()), Just(given).prop_shuffle())),
            bound in versions(),
        ) {
            let (a, b): (Versions, Versions) =
                (given.iter().cloned().collect(), shuffled.into_iter().collect());
            prop_assert_eq!(printed(&a), printed(&b));
            prop_assert!(a.0.is_sorted_by(|a, b| a > b));
            prop_assert!(given.iter().all(|version| a.0.contains(version)));

            let filter = Filter::parse(Scheme::NuGet, "", [(Comparator::Less, &*bound.to_string())]).unwrap();
            let met = || given.iter().filter(|version| filter.is_met_by(version));
            let stable = met().filter(|version| !version.is_prerelease()).max();
            prop_assert_eq!(a.latest(&filter, true), met().max());
            let fallback = met().filter(|version| !filter.excludes_release_of(version)).max();
            prop_assert_eq!(a.latest(&filter, false), stable.or(fallback));
        }
    }
}
