//! Version ranges in NuGet's notation.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::str::FromStr;

use crate::ids::ParseError;
use crate::version::NuGetVersion;
use crate::version::floating::{FloatingPattern, parse_lowest};

/// A range of versions with an optional bound on either side.
///
/// Parses what NuGet's [`VersionRange.Parse`][factory] accepts (see [the table][page]): `1.0` is 1.0 and above,
/// `[1.0]` is exactly 1.0, and `[1.0,2.0)` is an interval. Whitespace is allowed around the range and around each
/// version. Either bound may be omitted. Both may be omitted only with whitespace: `(,)` is rejected, `(, )` is
/// every version. Also rejected are a lower bound above the upper bound, `[1.0,1.0)` and `(1.0)`. BadgeSmith adds a
/// limit of 1,024 bytes.
///
/// The lower bound may be a floating version. It then also limits the range to the versions of its
/// pattern, which are those that a restore prefers: `1.*` is 1.0.0 and above, but not 2.0.0. A star
/// may also end a number, where it stands for `0`: `1.1*` is 1.10.0 and above.
///
/// Displays in NuGet's normalized form, `[1.0.0, 2.0.0)`, with nothing in place of an omitted bound and without
/// metadata. A floating version is displayed without its star, as [`ToLegacyString`][formatter] does.
///
/// ```
/// use badgesmith_domain::version::VersionRange;
///
/// let normalized = |text: &str| Ok(text.parse::<VersionRange>()?.to_string());
/// assert_eq!(normalized("1.0")?, "[1.0.0, )");
/// assert_eq!(normalized("[1.0,2.0)")?, "[1.0.0, 2.0.0)");
/// assert_eq!(normalized("1.0.0-rc*")?, "[1.0.0-rc, )");
/// # Ok::<(), badgesmith_domain::ids::ParseError>(())
/// ```
///
/// [factory]: https://github.com/NuGet/NuGet.Client/blob/dev/src/NuGet.Core/NuGet.Versioning/VersionRangeFactory.cs
/// [formatter]: https://github.com/NuGet/NuGet.Client/blob/dev/src/NuGet.Core/NuGet.Versioning/VersionRangeFormatter.cs
/// [page]: https://learn.microsoft.com/nuget/concepts/package-versioning#version-ranges
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    pub(super) lower: Bound<NuGetVersion>,
    pub(super) upper: Bound<NuGetVersion>,
    pub(super) floating: Option<FloatingPattern>,
}

impl VersionRange {
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "a NuGet version range such as 1.0, [1.0,2.0) or (,1.0], up to 1,024 bytes";
    /// Every version, prereleases included.
    pub const ALL: Self = Self { lower: Bound::Unbounded, upper: Bound::Unbounded, floating: None };
    /// The maximum length of the text, in bytes.
    pub(super) const TEXT_BYTES_MAX: usize = 1024;

    /// Whether `version` is within the bounds and of the pattern. A prerelease is ordered like any other version, so
    /// `[1.0,2.0)` includes 2.0.0-beta.
    #[cfg(test)]
    pub(crate) fn satisfies(&self, version: &NuGetVersion) -> bool {
        self.is_within_bounds(version)
            && self.floating.as_ref().is_none_or(|pattern| pattern.matches(version))
    }

    pub(super) fn is_within_bounds(&self, version: &NuGetVersion) -> bool {
        (self.lower.as_ref(), self.upper.as_ref()).contains(version)
    }
}

impl FromStr for VersionRange {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or(ParseError { expected: Self::EXPECTED })
    }
}

fn parse(text: &str) -> Option<VersionRange> {
    if text.len() > VersionRange::TEXT_BYTES_MAX {
        return None;
    }
    let text = text.trim();
    if !text.starts_with(['[', '(']) {
        let lower = Bound::Included(parse_lowest(text)?);
        return Some(VersionRange { lower, upper: Bound::Unbounded, floating: FloatingPattern::parse(text) });
    }
    let bound = |inclusive| if inclusive { Bound::Included } else { Bound::Excluded };
    let (lower, upper) = (bound(text.starts_with('[')), bound(text.ends_with(']')));
    let inner = text.strip_prefix(['[', '('])?.strip_suffix([']', ')'])?;
    let pieces = match inner.split_once(',') {
        Some(pieces) => pieces,
        None if text.starts_with('[') && text.ends_with(']') => (inner, inner),
        None => return None,
    };
    // With whitespace on either side, NuGet accepts both bounds as omitted.
    if pieces == ("", "") {
        return None;
    }
    let range = VersionRange {
        lower: parse_bound(pieces.0, lower, parse_lowest)?,
        upper: parse_bound(pieces.1, upper, |piece| piece.parse().ok())?,
        floating: FloatingPattern::parse(pieces.0),
    };
    is_in_order(&range).then_some(range)
}

/// Parses a version into a `bound`. A blank `piece` is unbounded.
fn parse_bound(
    piece: &str,
    bound: fn(NuGetVersion) -> Bound<NuGetVersion>,
    parse: fn(&str) -> Option<NuGetVersion>,
) -> Option<Bound<NuGetVersion>> {
    if piece.trim().is_empty() { Some(Bound::Unbounded) } else { parse(piece).map(bound) }
}

/// Accepts `(1.0,1.0)`, as NuGet does, although no version satisfies it.
fn is_in_order(range: &VersionRange) -> bool {
    use Bound::{Excluded, Included, Unbounded};
    match (&range.lower, &range.upper) {
        (Unbounded, _) | (_, Unbounded) => true,
        (Included(lower), Included(upper)) | (Excluded(lower), Excluded(upper)) => lower <= upper,
        (Included(lower), Excluded(upper)) | (Excluded(lower), Included(upper)) => lower < upper,
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lower {
            Bound::Included(version) => write!(f, "[{version}, ")?,
            Bound::Excluded(version) => write!(f, "({version}, ")?,
            Bound::Unbounded => f.write_str("(, ")?,
        }
        match &self.upper {
            Bound::Included(version) => write!(f, "{version}]"),
            Bound::Excluded(version) => write!(f, "{version})"),
            Bound::Unbounded => f.write_str(")"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::nuget::tests::{version, versions};

    /// Ranges with bounds that are in order or omitted.
    pub(crate) fn ranges() -> impl Strategy<Value = VersionRange> {
        let bounds = || (0..3, versions());
        (bounds(), bounds()).prop_filter_map("a lower bound above the upper", |bounds| {
            let [lower, upper] = <[_; 2]>::from(bounds).map(|(kind, version)| match kind {
                0 => Bound::Unbounded,
                1 => Bound::Included(version),
                _ => Bound::Excluded(version),
            });
            let range = VersionRange { lower, upper, floating: None };
            is_in_order(&range).then_some(range)
        })
    }

    #[track_caller]
    fn check(input: &str, expected: Option<&str>) {
        let parsed = input.parse::<VersionRange>();
        assert_eq!(parsed.ok().map(|range| range.to_string()).as_deref(), expected, "{input:?}");
    }

    #[test]
    fn ranges_parse_and_normalize_as_in_nuget() {
        for (input, expected) in [
            // The page on package versioning.
            ("1.0", "[1.0.0, )"),
            ("[1.0,)", "[1.0.0, )"),
            ("(1.0,)", "(1.0.0, )"),
            ("[1.0]", "[1.0.0, 1.0.0]"),
            ("(,1.0]", "(, 1.0.0]"),
            ("(,1.0)", "(, 1.0.0)"),
            ("[1.0,2.0]", "[1.0.0, 2.0.0]"),
            ("(1.0,2.0)", "(1.0.0, 2.0.0)"),
            ("[1.0,2.0)", "[1.0.0, 2.0.0)"),
            // NuGet's own tests.
            ("[1.0.0, ]", "[1.0.0, )"),
            ("(1.6, ]", "(1.6.0, )"),
            ("[, 2.0.0]", "(, 2.0.0]"),
            ("[,2021)", "(, 2021.0.0)"),
            ("02", "[2.0.0, )"),
            ("[1,3)", "[1.0.0, 3.0.0)"),
            ("  1  .   2  ", "[1.2.0, )"),
            ("   [  1 .2   , 2  .3   ]  ", "[1.2.0, 2.3.0]"),
            ("(1.2.3.4, 3.2]", "(1.2.3.4, 3.2.0]"),
            ("[1.0.0+A, 2.0.0+A]", "[1.0.0, 2.0.0]"),
            ("1.2.3-beta.2.4.55.X+900", "[1.2.3-beta.2.4.55.X, )"),
            ("(, )", "(, )"),
            // What follows from its code.
            ("[ ]", "(, )"),
            ("[\t,]", "(, )"),
            ("(1.0,1.0.0)", "(1.0.0, 1.0.0)"),
            ("[1.0.0-RC,1.0.0-rc]", "[1.0.0-RC, 1.0.0-rc]"),
        ] {
            check(input, Some(expected));
        }
    }

    #[test]
    fn a_floating_version_starts_at_its_lowest_version() {
        for (input, expected) in [
            // NuGet's own tests.
            ("*", "[0.0.0, )"),
            ("*-*", "[0.0.0-0, )"),
            ("1.*", "[1.0.0, )"),
            ("1.0.*", "[1.0.0, )"),
            ("1.0.0.*", "[1.0.0, )"),
            ("1.0.0-*", "[1.0.0-0, )"),
            ("1.0.0-0*", "[1.0.0-0, )"),
            ("1.0.0--*", "[1.0.0--, )"),
            ("1.0.0-a-*", "[1.0.0-a-, )"),
            ("1.1.0-beta.*", "[1.1.0-beta.0, )"),
            ("1.0.0-5.1.0-*", "[1.0.0-5.1.0-, )"),
            ("1.0.0.0-beta*", "[1.0.0-beta, )"),
            ("1.*-*", "[1.0.0-0, )"),
            ("1.0.*--*", "[1.0.0--, )"),
            ("1.1.*-1*", "[1.1.0-1, )"),
            ("1.1.1.*-*", "[1.1.1-0, )"),
            ("*-rc.*", "[0.0.0-rc.0, )"),
            ("1.*-beta*", "[1.0.0-beta, )"),
            ("1.0.*-preview.1.*", "[1.0.0-preview.1.0, )"),
            ("[1.*, 2.0)", "[1.0.0, 2.0.0)"),
            ("(1.0.*, 2.0.0)", "(1.0.0, 2.0.0)"),
            ("[1.0.*, 2.0.0-beta]", "[1.0.0, 2.0.0-beta]"),
            ("[1.1*, 2.0.0)", "[1.10.0, 2.0.0)"),
            ("[1.1.1.1*-*, 2.0.0)", "[1.1.1.10-0, 2.0.0)"),
            // What follows from its code.
            ("1*", "[10.0.0, )"),
            ("1.0.0*", "[1.0.0, )"),
            (" * ", "[0.0.0, )"),
            ("[ *-*, )", "[0.0.0-0, )"),
            ("[ 1. *,)", "[1.0.0, )"),
            ("1.0.0-a *", "[1.0.0-a, )"),
            ("1.0.*-rc-1.*", "[1.0.0-rc-1.0, )"),
        ] {
            check(input, Some(expected));
        }
    }

    #[test]
    fn ranges_that_nuget_rejects_are_rejected() {
        for bad in [
            // The page on package versioning, and NuGet's own tests.
            ["(1.0)", "[2.0.0)", "(2.0.0]", "", "      "],
            ["-1", "1.", "1,", ",1", ","],
            ["(,)", "[,]", "[,)", "(,]", "[]"],
            ["   [-1, 2]  ", "(,1.3..2]", "(1.2.3.4.5,1.2]", "a", "+"],
            ["[1.1.4, 1.1.2)", "[1.1.4, 1.1.2]", "(1.1.4, 1.1.2)", "(1.1.4, 1.1.2]", "[2.0, 1.0]"],
            ["[1.0.0, 1.0.0)", "(1.0, 1.0.0]", "[1.0.0-beta, 1.0.0-beta+900)", "(*, *]", "[*]"],
            ["[1.0.0, 1.1.*)", "(, 2.*.*)", "<1.0.*", "1.0.0<", "~1.*.*"],
            ["^", ">=*", "1.*.0", "1.*.0-beta-*", "1.*.0-beta"],
            ["1.0.0.0.*", "=1.0.*", "1.0.0+*", "1.0.**", "1.0.*-*bla"],
            ["**", "1.0.0-preview.*+blabla", "1.0.*--", "1.0.*-alpha*+", "1.0.*-"],
            // What follows from its code.
            ["[1.0,2.0,3.0]", "[1.0,2.0,]", "[1.0] x", "[1.0", "1.0]"],
            ["( )", "[", "]", "(", "[1.*]"],
            ["[* ,)", "[1.* , 2.0)", "1 *", "1.0.* -*", "1.0.0- *"],
            ["1.0.0-rc-1.*", "1.0.0-00*", "-*", "1.*-+*", "1.*-**"],
        ]
        .as_flattened()
        {
            check(bad, None);
        }
        check(&format!("[1.0,{})", " ".repeat(1018)), Some("[1.0.0, )"));
        check(&format!("[1.0,{})", " ".repeat(1019)), None);
    }

    #[track_caller]
    fn check_satisfies(range: &str, expected: bool, tried: &[&str]) {
        let parsed: VersionRange = range.parse().unwrap();
        for text in tried {
            assert_eq!(parsed.satisfies(&version(text)), expected, "{range:?} {text:?}");
        }
    }

    #[test]
    fn a_range_contains_the_versions_within_its_bounds() {
        check_satisfies("1.0", true, &["1.0.0", "1.0.0.0+b", "1.0.1-beta", "9"]);
        check_satisfies("1.0", false, &["1.0.0-rc", "0.9"]);
        check_satisfies("(1.0,)", false, &["1.0.0", "1.0.0+b", "1.0.0-rc"]);
        check_satisfies("[1.0]", true, &["1.0.0+b", "1"]);
        check_satisfies("[1.0]", false, &["1.0.0.1", "1.0.0-rc"]);
        check_satisfies("(1.0,1.0)", false, &["1.0.0"]);
        check_satisfies("(, )", true, &["0", "1.0.0-a"]);
        check_satisfies("[1.0,2.0)", true, &["1.0.0", "1.9.9", "2.0.0-beta"]);
        check_satisfies("[1.0,2.0)", false, &["2.0.0", "1.0.0-beta"]);
        check_satisfies("[1.0.0-beta+m, 2.0.0-beta+m]", true, &["1.0.0-BETA", "1.0.0", "2.0.0-beta"]);
        check_satisfies("[1.0.0-beta+m, 2.0.0-beta+m]", false, &["1.0.0-alpha+m", "2.0.0-rc", "2.0.0+m"]);
        check_satisfies("(, 2.0.0-beta+m)", true, &["2.0.0-alpha"]);
        check_satisfies("(, 2.0.0-beta+m)", false, &["2.0.0-beta+m"]);
    }

    /// The page on dependency resolution, and NuGet's `FloatRange`: a prerelease pattern also matches the release.
    #[test]
    fn a_floating_range_contains_the_versions_of_its_pattern() {
        check_satisfies("1.0.0-*", true, &["1.0.0-0", "1.0.0-100", "1.0.0-0.0.0.0", "1.0.0-0+0-0", "1.0.0"]);
        check_satisfies("1.0.0-*", false, &["1.0.0.1", "1.0.1-a", "2.0.0"]);
        check_satisfies("1.0.0-a*", true, &["1.0.0-a.0", "1.0.0-a-0", "1.0.0-A", "1.0.0-alpha", "1.0"]);
        check_satisfies("1.0.0-a*", false, &["1.0.0-b", "1.0.1"]);
        check_satisfies("1.2.0-rc.*", true, &["1.2.0-rc.0", "1.2.0-RC.17", "1.2.0"]);
        check_satisfies("1.2.0-rc.*", false, &["1.2.0-rc1", "1.2.0-beta.1", "1.2.1", "1.3.0-rc.1"]);
        check_satisfies("1.*", true, &["1.0.0", "1.99.3.4", "1.1-beta"]);
        check_satisfies("1.*", false, &["1.0.0-beta", "2.0.0-alpha", "2.0.0", "10.0"]);
        check_satisfies("1.2.*", true, &["1.2.0", "1.2.9.1"]);
        check_satisfies("1.2.*", false, &["1.3.0-a", "1.20.0"]);
        check_satisfies("1.2.3.*", true, &["1.2.3", "1.2.3.7"]);
        check_satisfies("1.2.3.*", false, &["1.2.4"]);
        check_satisfies("*", true, &["0.0.0", "9.1", "2.0.0-a"]);
        check_satisfies("*-*", true, &["0.0.0-0", "9.1"]);
        check_satisfies("*-rc.*", true, &["3.0.0-rc.2", "3.0.0"]);
        check_satisfies("*-rc.*", false, &["3.0.0-beta"]);
        check_satisfies("1.*-beta*", true, &["1.4.0-beta.2", "1.4.0"]);
        check_satisfies("1.*-beta*", false, &["1.4.0-rc", "2.0.0-beta"]);
        check_satisfies("[1.2.*, 3.0)", true, &["1.2.7"]);
        check_satisfies("[1.2.*, 3.0)", false, &["1.3.0", "2.0"]);
        check_satisfies("(1.0.*, 1.0.5]", false, &["1.0.0", "1.0.6"]);
        // A star at the end of a number, which NuGet completes with a zero.
        check_satisfies("1.1*", true, &["1.10.0", "1.12"]);
        check_satisfies("1.1*", false, &["1.1", "2.0"]);
        check_satisfies("1*", true, &["10.0", "11.0"]);
    }

    proptest! {
        #[test]
        fn printed_ranges_parse_back(range in ranges()) {
            prop_assert_eq!(range.to_string().parse::<VersionRange>().unwrap(), range);
        }

        #[test]
        fn bounds_follow_the_order_of_versions(lower in versions(), upper in versions(), tried in versions()) {
            if let Ok(range) = format!("[{lower},{upper})").parse::<VersionRange>() {
                prop_assert_eq!(range.satisfies(&tried), lower <= tried && tried < upper);
            } else {
                prop_assert!(lower >= upper);
            }
        }

        #[test]
        fn parsing_any_text_does_not_panic(
            text in "\\PC*",
            near in "[\\[(]?[0-2a.*+ -]{0,8},?[0-9a. -]{0,5}[\\])]?",
        ) {
            for text in [text, near] {
                if let Ok(range) = text.parse::<VersionRange>() {
                    let bounds = VersionRange { floating: None, ..range };
                    prop_assert_eq!(bounds.to_string().parse::<VersionRange>().unwrap(), bounds);
                }
            }
        }
    }
}
