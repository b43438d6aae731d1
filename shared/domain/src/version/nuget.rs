//! The version of a NuGet package.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::ids::ParseError;

/// A version as NuGet parses, orders and displays it: 1 to 4 numbers, then optionally `-` with a prerelease label
/// and `+` with metadata.
///
/// Parses what [`NuGetVersion.TryParse`][factory] accepts. Whitespace is allowed around the version and around each
/// number. A number is 0 to 2,147,483,647, with or without leading zeros. A missing number is 0. A label is one or
/// more identifiers of `0-9 A-Z a-z -`, separated by dots. A numeric identifier has no leading zero, except in the
/// metadata. BadgeSmith adds a limit of 256 bytes, for the text and for its normalized form.
///
/// Displays in the [normalized][page] form, such as `1.0.0-RC.1`: three numbers, the fourth if it is not zero, and
/// the label in its original case. The metadata has no effect and is dropped.
///
/// Orders like [`VersionComparer.Default`][comparer]: by the numbers, and a prerelease before its release. Labels
/// compare identifier by identifier: 32-bit integers before text, integers by value, text as case-insensitive
/// ASCII. If all of these are equal, the label with more identifiers is higher. A hyphen counts as the sign of an
/// integer: `1.0.0--5` is the lowest of `1.0.0--5`, `1.0.0-0` and `1.0.0-a`. Two versions are equal if they compare
/// as equal. NuGet contradicts itself about `1.0.0--0` and `1.0.0-0`: they compare as equal, but its equality check
/// says that they are not.
///
/// ```
/// use badgesmith_domain::version::NuGetVersion;
///
/// let version = |text: &str| text.parse::<NuGetVersion>();
/// assert_eq!(version("1.0-RC.1+build.7")?.to_string(), "1.0.0-RC.1");
/// assert!(version("1.0.0-rc.2")? < version("1.0.0-rc.10")?);
/// assert!(version("1.0.0-rc.10")? < version("1.0")?);
/// # Ok::<(), badgesmith_domain::ids::ParseError>(())
/// ```
///
/// [factory]: https://github.com/NuGet/NuGet.Client/blob/dev/src/NuGet.Core/NuGet.Versioning/NuGetVersionFactory.cs
/// [comparer]: https://github.com/NuGet/NuGet.Client/blob/dev/src/NuGet.Core/NuGet.Versioning/VersionComparer.cs
/// [page]: https://learn.microsoft.com/nuget/concepts/package-versioning#normalized-version-numbers
#[derive(Debug, Clone)]
pub struct NuGetVersion {
    /// Major, minor, patch and revision, none negative.
    numbers: [i32; 4],
    /// The identifiers, separated by dots.
    label: Option<Box<str>>,
}

impl NuGetVersion {
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "a NuGet version such as 1.2.3 or 1.2.3-beta.1, up to 256 bytes";
    /// The maximum length of the text, in bytes; nuget.org allows 64.
    const TEXT_BYTES_MAX: usize = 256;

    /// Whether the version has a label.
    pub fn is_prerelease(&self) -> bool {
        self.label.is_some()
    }

    /// Whether only Semantic Versioning 2.0.0 allows the version, because its label has several identifiers:
    /// <https://learn.microsoft.com/nuget/concepts/package-versioning#semantic-versioning-200>
    pub fn is_sem_ver_2(&self) -> bool {
        self.label.as_deref().is_some_and(|label| label.contains('.'))
    }

    pub(super) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// Major, minor, patch and revision.
    pub(super) fn numbers(&self) -> [i32; 4] {
        self.numbers
    }
}

impl FromStr for NuGetVersion {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or(ParseError { expected: Self::EXPECTED })
    }
}

fn parse(text: &str) -> Option<NuGetVersion> {
    if text.len() > NuGetVersion::TEXT_BYTES_MAX {
        return None;
    }
    let (text, metadata) = split_at_mark(text.trim(), '+');
    let (numbers, label) = split_at_mark(text, '-');
    let fits = metadata.is_none_or(|metadata| metadata.split('.').all(is_identifier))
        && label.is_none_or(|label| label.split('.').all(|part| is_identifier(part) && !is_padded(part)));
    let version = NuGetVersion { numbers: parse_numbers(numbers)?, label: label.map(Box::from) };
    // `1-a` displays as `1.0.0-a`, which must parse, too.
    (fits && version.to_string().len() <= NuGetVersion::TEXT_BYTES_MAX).then_some(version)
}

/// Splits `text` at the first `mark`.
fn split_at_mark(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn parse_numbers(text: &str) -> Option<[i32; 4]> {
    let mut numbers = [0; 4];
    let mut parts = text.split('.');
    for (number, part) in numbers.iter_mut().zip(parts.by_ref()) {
        // There is no sign to parse: the text was split at its first `-` and `+`.
        *number = part.trim().parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether `text` is a number with a leading zero.
fn is_padded(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for NuGetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, revision] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if revision != 0 {
            write!(f, ".{revision}")?;
        }
        self.label.iter().try_for_each(|label| write!(f, "-{label}"))
    }
}

impl Ord for NuGetVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (&self.label, &other.label) {
            (Some(label), Some(other)) => compare_labels(label, other),
            (label, other) => label.is_none().cmp(&other.is_none()),
        })
    }
}

fn compare_labels(label: &str, other: &str) -> Ordering {
    let mut orders = label.split('.').zip(other.split('.')).map(|(a, b)| compare_identifiers(a, b));
    orders
        .find(|order| order.is_ne())
        .unwrap_or_else(|| label.split('.').count().cmp(&other.split('.').count()))
}

fn compare_identifiers(identifier: &str, other: &str) -> Ordering {
    match (integer(identifier), integer(other)) {
        (Some(integer), Some(other)) => integer.cmp(&other),
        (None, None) => upper_case(identifier).cmp(upper_case(other)),
        (integer, other) => integer.is_none().cmp(&other.is_none()),
    }
}

/// The identifier as `int.TryParse` parses it.
fn integer(identifier: &str) -> Option<i32> {
    identifier.parse().ok()
}

/// The identifier as `StringComparer.OrdinalIgnoreCase` compares it.
fn upper_case(identifier: &str) -> impl Iterator<Item = u8> {
    identifier.bytes().map(|byte| byte.to_ascii_uppercase())
}

impl PartialOrd for NuGetVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NuGetVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for NuGetVersion {}

impl Hash for NuGetVersion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.numbers.hash(state);
        for identifier in self.label.iter().flat_map(|label| label.split('.')) {
            match integer(identifier) {
                Some(integer) => integer.hash(state),
                None => upper_case(identifier).for_each(|byte| byte.hash(state)),
            }
            // Separates this identifier from the next.
            b'.'.hash(state);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::hash::BuildHasher;

    use proptest::prelude::*;

    use super::*;

    pub(crate) fn version(text: &str) -> NuGetVersion {
        text.parse().unwrap_or_else(|_| panic!("{text:?} is a version"))
    }

    /// Versions so similar that some are equal and some differ in only one part.
    pub(crate) fn versions() -> impl Strategy<Value = NuGetVersion> {
        let number = prop_oneof![9 => 0..3, 1 => 0..=i32::MAX];
        let identifier = prop_oneof!["0|[1-9][0-9]{0,11}", "-?[0-3]", "[0-1a-cA-C-]{0,2}[a-cA-C-]"];
        let label = prop::collection::vec(identifier, 1..4).prop_map(|parts| Box::from(parts.join(".")));
        (prop::array::uniform4(number), prop::option::of(label))
            .prop_map(|(numbers, label)| NuGetVersion { numbers, label })
    }

    fn semver_texts() -> impl Strategy<Value = String> {
        let identifier = prop_oneof!["0|[1-9][0-9]{0,8}", "[0-9]?[a-c-]{1,3}"];
        let label = prop::collection::vec(identifier, 0..4).prop_map(|parts| parts.join("."));
        ("[0-2]\\.[0-2]\\.[0-2]", label, "(\\+[0-9a-c]{1,3})?").prop_map(|(numbers, label, metadata)| {
            let dash = if label.is_empty() { "" } else { "-" };
            format!("{numbers}{dash}{label}{metadata}")
        })
    }

    #[track_caller]
    fn check(input: &str, expected: Option<&str>) {
        let parsed = input.parse::<NuGetVersion>();
        assert_eq!(parsed.ok().map(|version| version.to_string()).as_deref(), expected, "{input:?}");
    }

    #[test]
    fn versions_parse_and_normalize_as_in_nuget() {
        for (input, expected) in [
            // The page on package versioning.
            ("1.00", "1.0.0"),
            ("1.01.1", "1.1.1"),
            ("1.00.0.1", "1.0.0.1"),
            ("1.0.0.0", "1.0.0"),
            ("1.0.01.0", "1.0.1"),
            ("1.0.7+r3456", "1.0.7"),
            ("6.11.1231", "6.11.1231"),
            ("2.2.44-beta.1", "2.2.44-beta.1"),
            // NuGet's own tests.
            ("2", "2.0.0"),
            ("1.022-Beta", "1.22.0-Beta"),
            ("3.4.0.3-RC-3", "3.4.0.3-RC-3"),
            ("1.3.42.10133-PreRelease", "1.3.42.10133-PreRelease"),
            ("1.0.0009.01-1.1+A", "1.0.9.1-1.1"),
            ("1.2.3-X.yZ.3.234.243.3242342+METADATA", "1.2.3-X.yZ.3.234.243.3242342"),
            ("1.2.3.4-RC+99", "1.2.3.4-RC"),
            ("1.3.2-CTP-2-Refresh-Alpha", "1.3.2-CTP-2-Refresh-Alpha"),
            ("   19   .   19   .   19   .   19   ", "19.19.19.19"),
            ("   19.   19", "19.19.0"),
            ("23.2.3-Alpha  ", "23.2.3-Alpha"),
            ("1.1.1.2147483647", "1.1.1.2147483647"),
            ("2147483647.1.1.1", "2147483647.1.1.1"),
            ("0.1.2--", "0.1.2--"),
            ("0.1.2--B2.-.C.-A0-", "0.1.2--B2.-.C.-A0-"),
            ("0.1.2-2.02B", "0.1.2-2.02B"),
            ("0.1.2----+----", "0.1.2----"),
            ("0.1.2+02.02-02", "0.1.2"),
            ("0.1.2+A.-A-02A", "0.1.2"),
            // Derived from NuGet's code.
            ("1.0 -beta", "1.0.0-beta"),
            ("\u{a0}1\u{3000}.\t2+x\r\n", "1.2.0"),
            ("000000000000000000001", "1.0.0"),
            ("1.0.0-99999999999999999999", "1.0.0-99999999999999999999"),
        ] {
            check(input, Some(expected));
        }
    }

    #[test]
    fn versions_that_nuget_rejects_are_rejected() {
        for bad in [
            // NuGet's own tests.
            ["", "         ", "1beta", "$version$", "1.2Av^c"],
            ["1.2..", "1.2.3.4.5", "1.2.3.Beta", "So.is.this", "1.34.2Release Candidate"],
            ["1.4.7-", "1.4.7-*", "1.4.7+*", "1.4.7-AA.01^", "1.4.7-A^A"],
            ["1.2147483648", "1.1.1.2147483648", "10000000000000000000", "....", "..1"],
            ["-1.1.1.1", "1.-1.1.1", "1.1.1.-1", "1.", "1.1.1.1."],
            ["1     1.1.1.1", "1.1.1.1     1", " .1.1.1", "1.1.1. ", "1.1.1.1 ."],
            ["v1.0.0", "-", "+", "+1", ".1"],
            ["0.1.2-Alpha..2", "0.1.2-.AA", "0.1.2-02", "0.1.2-2.A.02", "0.1.2-02.A"],
            ["0.1.2-a.&.444", "0.1.2-alp┐jj", "0.1.2+ÄÄ", "0.1.2+2+A", "0.1.2+02..A"],
            // Derived from NuGet's code.
            ["1.0- beta", "1.0-beta +x", "1.0-+x", "1. -beta", "1.0-a+"],
            ["١", "1.0.0-é", "1.0.0-a_b", "1,0", "1.0.0\0"],
        ]
        .as_flattened()
        {
            check(bad, None);
        }
    }

    #[test]
    fn long_versions_are_rejected() {
        let label = "a".repeat(250);
        check(&format!("1.0.0-{label}"), Some(&format!("1.0.0-{label}")));
        check(&format!("1.0.0-{label}a"), None);
        check(&format!("1-{label}"), Some(&format!("1.0.0-{label}")));
        check(&format!("1-{label}a"), None);
        check(&format!("1.0+{label}ab"), Some("1.0.0"));
        check(&format!("1.0+{label}abc"), None);
        assert!(size_of::<NuGetVersion>() <= 40);
    }

    #[track_caller]
    fn check_order(ascending: &[&str]) {
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
            assert!(version(pair[1]) > version(pair[0]), "{pair:?}");
        }
    }

    #[test]
    fn versions_are_ordered_as_in_nuget() {
        // The page on package versioning, the other way round.
        check_order(&[
            "1.0.1-aaa",
            "1.0.1-alpha10",
            "1.0.1-alpha2",
            "1.0.1-beta",
            "1.0.1-open",
            "1.0.1-rc.2",
            "1.0.1-rc.10",
            "1.0.1-zzz",
            "1.0.1",
        ]);
        // NuGet's own tests.
        check_order(&["0.0.0", "1.0.0-BETA", "1.0.0-beta.1+AA", "1.0.0-beta2", "1.0.0", "1.0.0.1", "1.0.1"]);
        check_order(&["1.999.9999", "2.1.1", "9.9.9", "10.1.1"]);
        check_order(&["1.0.0-BETA.X.y.5.77.0+AA", "1.0.0-beta.x.y.5.79.0+aa", "1.0.0-BETA.x.y.5.790.0+abc"]);
        check_order(&["1.4.5.6", "1.4.5.60", "1.45.6"]);
        check_order(&["1.01-alpha", "1.01", "1.2-preview", "1.10-beta"]);
        check_order(&["1.2.3-1.9", "1.2.3-1.50", "1.2.3-1.50A", "1.2.3-1.9A", "1.2.3-999999", "1.2.3-Z"]);
        check_order(&["1.2.3-A.999999", "1.2.3-A.56-2"]);
        check_order(&["1.2.3-a", "1.2.3-a.2.3.4", "1.2.3-a.2.3.4.5"]);
        // Derived from NuGet's code: an integer has a sign and 32 bits.
        check_order(&["1.0.0--5", "1.0.0-0", "1.0.0-2147483647", "1.0.0-10000000000", "1.0.0-2147483648"]);
        check_order(&["1.0.0--2147483648", "1.0.0--1", "1.0.0--2147483649", "1.0.0--a", "1.0.0-a"]);
    }

    #[track_caller]
    fn check_equal(a: &NuGetVersion, b: &NuGetVersion) {
        assert_eq!(a, b);
        let hasher = std::hash::RandomState::new();
        assert_eq!(hasher.hash_one(a), hasher.hash_one(b), "{a} {b}");
    }

    #[test]
    fn equality_ignores_form_case_and_metadata() {
        for (a, b) in [
            ("1.0", "1.0.0.0"),
            ("1.23.01", "1.23.1"),
            ("1.6.2-BeTa", "1.6.02-beta"),
            ("22.3.07     ", "22.3.07"),
            ("1.0.0.0+beta.2", "1.0.0.0+beta.1"),
            ("1.0.0.1-1.2.A", "1.0.0.1-1.2.a+A"),
            ("1.2.3-A-b2-C", "1.2.3-a-B2-c"),
            ("1.0.0-a.-05", "1.0.0-A.-5"),
            ("1.0.0--0", "1.0.0-0"),
        ] {
            check_equal(&version(a), &version(b));
        }
        for (a, b) in [("1.0.0.1-1.2.A", "1.0.0.1-1.2.a.A+A"), ("1.0", "1.0.0.1"), ("1.0.0+a", "1.0.0-a")] {
            assert_ne!(version(a), version(b));
        }
        assert!(version("1.0.0-RC.X+MetaAA").is_prerelease());
        assert!(!version("1.0.0+Metadata-1").is_prerelease());
    }

    proptest! {
        #[test]
        fn printed_versions_parse_back(version in versions()) {
            let read: NuGetVersion = version.to_string().parse().unwrap();
            prop_assert_eq!(&read, &version);
            prop_assert_eq!(read.to_string(), version.to_string());
        }

        #[test]
        fn parsing_any_text_does_not_panic(
            text in "\\PC*",
            near in "[ \\t]?[0-9]{0,3}(\\.[ 0-9]{0,11}){0,4}[+-]?[0-9a-cA-C.+-]{0,9}",
        ) {
            for text in [text, near] {
                if let Ok(version) = text.parse::<NuGetVersion>() {
                    prop_assert_eq!(version.to_string().parse::<NuGetVersion>().unwrap(), version);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn the_order_is_total_and_hashes_agree(a in versions(), b in versions(), c in versions()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert!(!(a <= b && b <= c) || a <= c);
            check_equal(&a, &version(&a.to_string().to_lowercase()));
            if a == b {
                check_equal(&a, &b);
            }
        }

        /// NuGet and SemVer agree on versions with three numbers, labels in lower case, no number beyond 32 bits,
        /// and no hyphen before digits, which SemVer treats as text and NuGet as a sign.
        #[test]
        fn the_order_matches_semver(a in semver_texts(), b in semver_texts()) {
            let semver = |text: &str| semver::Version::parse(text).unwrap();
            prop_assert_eq!(version(&a).cmp(&version(&b)), semver(&a).cmp_precedence(&semver(&b)));
        }
    }
}
