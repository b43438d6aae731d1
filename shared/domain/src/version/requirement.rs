//! Requirements on a version: ranges and comparators.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::ids::ParseError;
use crate::version::floating::FloatingPattern;
use crate::version::{NuGetVersion, VersionRange};

/// How a version must compare to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// `gt`, `>`
    Greater,
    /// `gte`, `>=`
    GreaterOrEqual,
    /// `lt`, `<`
    Less,
    /// `lte`, `<=`
    LessOrEqual,
    /// `eq`, `=`
    Equal,
}

impl Comparator {
    /// Every comparator with the name of its query parameter.
    pub const ALL: [(&'static str, Self); 5] = [
        ("gt", Self::Greater),
        ("gte", Self::GreaterOrEqual),
        ("lt", Self::Less),
        ("lte", Self::LessOrEqual),
        ("eq", Self::Equal),
    ];

    /// The operators. `>=` and `<=` come before their prefixes `>` and `<`.
    const OPERATORS: [(&'static str, Self); 5] = [
        (">=", Self::GreaterOrEqual),
        ("<=", Self::LessOrEqual),
        (">", Self::Greater),
        ("<", Self::Less),
        ("=", Self::Equal),
    ];

    pub(super) fn operator(self) -> &'static str {
        Self::OPERATORS.into_iter().find(|(_, one)| *one == self).map_or("", |(operator, _)| operator)
    }

    /// Splits the operator off the start of `text`.
    fn split_from(text: &str) -> Option<(Self, &str)> {
        Self::OPERATORS
            .into_iter()
            .find_map(|(operator, comparator)| Some((comparator, text.strip_prefix(operator)?)))
    }

    fn range(self, version: NuGetVersion) -> VersionRange {
        let (lower, upper) = match self {
            Self::Greater => (Bound::Excluded(version), Bound::Unbounded),
            Self::GreaterOrEqual => (Bound::Included(version), Bound::Unbounded),
            Self::Less => (Bound::Unbounded, Bound::Excluded(version)),
            Self::LessOrEqual => (Bound::Unbounded, Bound::Included(version)),
            Self::Equal => (Bound::Included(version.clone()), Bound::Included(version)),
        };
        VersionRange { lower, upper, floating: None }
    }
}

/// A requirement on a version. All of its ranges and comparators must hold.
///
/// It stores only their intersection: one interval, and the patterns of floating ranges. An empty interval is a valid
/// requirement that no version meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    bounds: VersionRange,
    patterns: Vec<FloatingPattern>,
}

impl Requirement {
    /// A description of a valid text, as a noun phrase.
    const EXPECTED: &str =
        "a NuGet version range such as [1.0,2.0), or comparators such as >=1.0.0 <2.0.0, up to 1,024 bytes";

    /// Adds a requirement: a NuGet range ([`VersionRange`]), or comparators separated by whitespace, such as
    /// `>=1.0.0 <2.0.0`. Blank text adds nothing.
    ///
    /// A comparator is `>`, `>=`, `<`, `<=` or `=`, optional whitespace, and a version without whitespace
    /// ([`NuGetVersion`]). It follows the version order exactly, so `<2.0.0` includes 2.0.0-beta. Not supported are
    /// `==`, `!=`, `^`, `~`, `||`, commas, and `*`, which only the lower bound of a range may contain.
    ///
    /// # Errors
    /// [`ParseError`] if `text` is neither, or is longer than 1,024 bytes.
    pub(super) fn and_range(self, text: &str) -> Result<Self, ParseError> {
        let invalid = ParseError { expected: Self::EXPECTED };
        if text.len() > VersionRange::TEXT_BYTES_MAX {
            return Err(invalid);
        }
        let text = text.trim();
        if text.is_empty() {
            Ok(self)
        } else if Comparator::split_from(text).is_some() {
            self.and_comparators(text).ok_or(invalid)
        } else {
            Ok(self.and_within(text.parse().map_err(|_| invalid)?))
        }
    }

    fn and_comparators(mut self, text: &str) -> Option<Self> {
        let mut rest = text;
        while !rest.is_empty() {
            let (comparator, operand) = Comparator::split_from(rest)?;
            let operand = operand.trim_start();
            let (version, following) = operand.split_once(char::is_whitespace).unwrap_or((operand, ""));
            self = self.and(comparator, version.parse().ok()?);
            rest = following.trim_start();
        }
        Some(self)
    }

    /// Adds a comparison to `version`.
    #[must_use]
    pub(super) fn and(self, comparator: Comparator, version: NuGetVersion) -> Self {
        self.and_within(comparator.range(version))
    }

    fn and_within(mut self, range: VersionRange) -> Self {
        self.patterns.extend(range.floating);
        let bounds = VersionRange {
            lower: tighter(self.bounds.lower, range.lower, Ordering::Greater),
            upper: tighter(self.bounds.upper, range.upper, Ordering::Less),
            floating: None,
        };
        Self { bounds, ..self }
    }

    pub(super) fn is_met_by(&self, version: &NuGetVersion) -> bool {
        self.bounds.is_within_bounds(version) && self.patterns.iter().all(|pattern| pattern.matches(version))
    }

    /// Whether a floating range such as `1.*-*` asks for prereleases.
    pub(super) fn includes_prereleases(&self) -> bool {
        self.patterns.iter().any(FloatingPattern::includes_prereleases)
    }

    /// Whether `version` is a prerelease of the exclusive upper bound: `[1.0,2.0)` is about versions below 2.0, and
    /// 2.0.0-rc.1 is only below it by the order of versions.
    pub(super) fn excludes_release_of(&self, version: &NuGetVersion) -> bool {
        match &self.bounds.upper {
            Bound::Excluded(upper) => !upper.is_prerelease() && upper.numbers() == version.numbers(),
            Bound::Included(_) | Bound::Unbounded => false,
        }
    }

    /// Whether every version meets the requirement, because nothing was added to it.
    pub(super) fn is_empty(&self) -> bool {
        self.bounds == VersionRange::ALL && self.patterns.is_empty()
    }
}

impl Default for Requirement {
    fn default() -> Self {
        Self { bounds: VersionRange::ALL, patterns: Vec::new() }
    }
}

/// The tighter of two bounds on the same side. `inward` is how a tighter bound compares to a looser one.
fn tighter(a: Bound<NuGetVersion>, b: Bound<NuGetVersion>, inward: Ordering) -> Bound<NuGetVersion> {
    let order = match (&a, &b) {
        (Bound::Unbounded, _) => return b,
        (_, Bound::Unbounded) => return a,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a.cmp(b),
    };
    let is_a = order == inward || order.is_eq() && matches!(a, Bound::Excluded(_));
    if is_a { a } else { b }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::nuget::tests::{version, versions};
    use crate::version::range::tests::ranges;

    fn requirement(text: &str) -> Option<Requirement> {
        Requirement::default().and_range(text).ok()
    }

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(
            requirement(text).map(|requirement| requirement.bounds.to_string()).as_deref(),
            expected,
            "{text:?}"
        );
    }

    #[test]
    fn ranges_and_comparators_parse() {
        for (text, expected) in [
            ("", "(, )"),
            (" \t\n", "(, )"),
            ("(, )", "(, )"),
            ("1.0", "[1.0.0, )"),
            (" [1.0,2.0) ", "[1.0.0, 2.0.0)"),
            ("1.*", "[1.0.0, )"),
            (">1.0", "(1.0.0, )"),
            (">=1.0", "[1.0.0, )"),
            ("<1.0", "(, 1.0.0)"),
            ("<=1.0", "(, 1.0.0]"),
            ("=1.0", "[1.0.0, 1.0.0]"),
            (">=1.0.0 <2.0.0", "[1.0.0, 2.0.0)"),
            ("  <2.0.0\t >  1.0-rc.1+x ", "(1.0.0-rc.1, 2.0.0)"),
            (">1 >=1 >=0.9 <3 <=3", "(1.0.0, 3.0.0)"),
            (">2 <1", "(2.0.0, 1.0.0)"),
            ("=1 =2", "[2.0.0, 1.0.0]"),
        ] {
            check(text, Some(expected));
        }
    }

    #[test]
    fn invalid_requirements_are_rejected() {
        for bad in [
            ["^1.0", "~1.0", ">=1.0 || <0.5", ">=1.*", "<*"],
            ["==1.0", "!=1.0", "=>1.0", ">", ">=1.0 <"],
            [">=1.0<2.0", ">=1.0,<2.0", ">=1.0, <2.0", ">=1.0 2.0", "1.0 <2.0"],
            ["> = 1.0", ">=1 . 0", ">=[1.0]", "[1.0] <2.0", ">=v1.0"],
            ["1.0 - 2.0", "latest", "[1.0,2.0) || [3.0]", "1.x", "≥1.0"],
        ]
        .as_flattened()
        {
            check(bad, None);
        }
        check(&">1 ".repeat(341), Some("(1.0.0, )"));
        check(&">1 ".repeat(342), None);
        check(&" ".repeat(1025), None);
    }

    #[test]
    fn a_requirement_without_parameters_is_empty() {
        assert!(Requirement::default().is_empty());
        assert!(requirement("  ").unwrap().is_empty());
        assert!(!requirement("0").unwrap().is_empty());
        assert!(!Requirement::default().and(Comparator::GreaterOrEqual, version("0")).is_empty());
    }

    #[test]
    fn equal_bounds_are_exclusive_if_either_is() {
        let both = requirement(">=1.0.0 <=1.0.0").unwrap();
        assert!(both.is_met_by(&version("1.0+x")));
        for (comparator, operand) in [(Comparator::Greater, "1.0.0"), (Comparator::Less, "1.0.0+y")] {
            assert!(!both.clone().and(comparator, version(operand)).is_met_by(&version("1.0")));
        }
    }

    fn comparisons() -> impl Strategy<Value = Vec<(usize, NuGetVersion)>> {
        prop::collection::vec((0..Comparator::ALL.len(), versions()), 0..4)
    }

    fn holds(comparator: Comparator, tried: &NuGetVersion, version: &NuGetVersion) -> bool {
        match comparator {
            Comparator::Greater => tried > version,
            Comparator::GreaterOrEqual => tried >= version,
            Comparator::Less => tried < version,
            Comparator::LessOrEqual => tried <= version,
            Comparator::Equal => tried == version,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn every_range_and_comparator_must_hold(
            a in ranges(), b in ranges(), given in comparisons(), tried in versions(),
        ) {
            let mut combined = Requirement::default().and_range(&a.to_string()).unwrap();
            combined = combined.and_range(&b.to_string()).unwrap();
            let mut expected = a.satisfies(&tried) && b.satisfies(&tried);
            for (index, version) in given {
                let (_, comparator) = Comparator::ALL[index];
                expected &= holds(comparator, &tried, &version);
                combined = combined.and(comparator, version);
            }
            prop_assert_eq!(combined.is_met_by(&tried), expected);
        }

        #[test]
        fn operators_match_the_comparators(given in comparisons(), space in "[ \\t]{0,2}") {
            let mut text = String::new();
            let mut expected = Requirement::default();
            for (index, version) in given {
                let (operator, comparator) = Comparator::OPERATORS[index];
                text = format!("{text} {operator}{space}{version}");
                expected = expected.and(comparator, version);
            }
            prop_assert_eq!(requirement(&text), Some(expected));
        }

        #[test]
        fn parsing_any_text_does_not_panic(text in "\\PC*", near in "([<>=]{0,2} ?[0-9.*a-]{0,3} ?){0,3}") {
            let _ = (requirement(&text), requirement(&near));
        }
    }
}
