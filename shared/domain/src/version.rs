//! Package versions as NuGet parses and orders them, and requirements on versions.
//!
//! Every rule follows the library [NuGet.Versioning][library] 6 and its [documentation][page]. A requirement only
//! checks bounds. It does not find the version that NuGet would restore for a floating range.
//!
//! [library]: https://github.com/NuGet/NuGet.Client/tree/dev/src/NuGet.Core/NuGet.Versioning
//! [page]: https://learn.microsoft.com/nuget/concepts/package-versioning

mod nuget;
mod range;
mod requirement;

pub use nuget::NuGetVersion;
pub use range::VersionRange;
pub use requirement::{Comparator, Requirement};

/// A package's listed versions: distinct, highest first, at most [`Versions::MAX`].
///
/// Of equal versions with different spellings, only the one that sorts last by bytes is kept, regardless of the
/// input order: `1.0.0-rc` rather than `1.0.0-RC`. The [package content resource][lower] of NuGet's API writes all
/// versions in lower case.
///
/// [lower]: https://learn.microsoft.com/nuget/api/package-base-address-resource
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions(Box<[NuGetVersion]>);

impl Versions {
    /// The maximum number of versions. Lower versions are dropped.
    pub const MAX: usize = 10_000;

    /// The versions, highest first.
    pub fn iter(&self) -> std::slice::Iter<'_, NuGetVersion> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The highest stable version that meets `requirement`. If there is none, or with `prerelease`, the highest
    /// version that meets it. `None` if no version does.
    ///
    /// ```
    /// use badgesmith_domain::version::{Requirement, Versions};
    ///
    /// let versions = ["1.2.0", "1.9.1", "2.0.0-rc.1"].into_iter().map(str::parse);
    /// let versions: Versions = versions.collect::<Result<_, _>>()?;
    /// let requirement = Requirement::default().and_range(">=1.0.0 <2.0.0")?;
    /// let latest = |prerelease| versions.latest(&requirement, prerelease).map(ToString::to_string);
    /// assert_eq!(latest(false).as_deref(), Some("1.9.1"));
    /// assert_eq!(latest(true).as_deref(), Some("2.0.0-rc.1"), "a prerelease of 2.0.0 is below 2.0.0");
    /// # Ok::<(), badgesmith_domain::ids::ParseError>(())
    /// ```
    pub fn latest(&self, requirement: &Requirement, prerelease: bool) -> Option<&NuGetVersion> {
        let mut matching = self.iter().filter(|version| requirement.is_met_by(version));
        let highest = matching.next()?;
        if prerelease || !highest.is_prerelease() {
            return Some(highest);
        }
        Some(matching.find(|version| !version.is_prerelease()).unwrap_or(highest))
    }
}

impl FromIterator<NuGetVersion> for Versions {
    fn from_iter<I: IntoIterator<Item = NuGetVersion>>(versions: I) -> Self {
        let mut versions: Vec<_> = versions.into_iter().collect();
        versions.sort_unstable_by(|a, b| b.cmp(a).then_with(|| b.to_string().cmp(&a.to_string())));
        versions.dedup();
        versions.truncate(Self::MAX);
        Self(versions.into_boxed_slice())
    }
}

impl<'a> IntoIterator for &'a Versions {
    type Item = &'a NuGetVersion;
    type IntoIter = std::slice::Iter<'a, NuGetVersion>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::nuget::tests::{version, versions};
    use super::*;

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
    fn only_the_highest_versions_are_kept() {
        let many: Versions = (0..=Versions::MAX).map(|minor| version(&format!("1.{minor}"))).collect();
        assert_eq!(many.len(), Versions::MAX);
        assert_eq!(many.iter().next(), Some(&version("1.10000")));
        assert_eq!(many.iter().last(), Some(&version("1.1")));
    }

    #[track_caller]
    fn check_latest(requirement: &str, prerelease: bool, expected: Option<&str>) {
        let versions = listed(&["1.0.0", "1.2.0", "2.0.0-rc.2", "2.0.0-rc.10", "1.3.0-beta", "3.0.0-alpha"]);
        let requirement = Requirement::default().and_range(requirement).unwrap();
        let latest = versions.latest(&requirement, prerelease).map(ToString::to_string);
        assert_eq!(latest.as_deref(), expected, "{requirement:?} {prerelease}");
    }

    #[test]
    fn the_latest_version_is_stable_if_one_exists() {
        check_latest("", false, Some("1.2.0"));
        check_latest("", true, Some("3.0.0-alpha"));
        check_latest("(,1.2)", false, Some("1.0.0"));
        check_latest("(,1.2)", true, Some("1.0.0"));
        check_latest("<2.0", true, Some("2.0.0-rc.10"));
        check_latest(">1.2 <2", false, Some("2.0.0-rc.10"));
        check_latest("2.0", false, Some("3.0.0-alpha"));
        check_latest("2.0.0-*", false, Some("3.0.0-alpha"));
        check_latest("3.0", true, None);
        check_latest(">2 <1", true, None);
        assert_eq!(Versions::default().latest(&Requirement::default(), true), None);
    }

    fn in_lower_case(one: &NuGetVersion) -> NuGetVersion {
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

            let requirement = Requirement::default().and(Comparator::Less, bound);
            let met = || given.iter().filter(|version| requirement.is_met_by(version));
            let stable = met().filter(|version| !version.is_prerelease()).max();
            prop_assert_eq!(a.latest(&requirement, true), met().max());
            prop_assert_eq!(a.latest(&requirement, false), stable.or(met().max()));
        }
    }
}
