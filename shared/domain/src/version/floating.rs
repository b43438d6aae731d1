//! Floating versions: the lower bounds of ranges that end in a star.

use crate::version::NuGetVersion;

/// The versions that a floating version such as `1.*` prefers, like NuGet's [`FloatRange`][float]: those that begin
/// with its numbers. A prerelease matches only if its label begins with what follows the `-` of the pattern.
///
/// [float]: https://github.com/NuGet/NuGet.Client/blob/dev/src/NuGet.Core/NuGet.Versioning/FloatRange.cs
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FloatingPattern {
    lowest: NuGetVersion,
    /// How many numbers of `lowest` a version must begin with.
    fixed: usize,
    /// How the label of a prerelease must begin; `None` for a pattern of stable versions.
    label: Option<Box<str>>,
}

impl FloatingPattern {
    /// The pattern of a lower bound; `None` if it is not floating or not valid.
    pub(super) fn parse(piece: &str) -> Option<Self> {
        let floating = piece.trim_start().strip_suffix('*')?;
        let (numbers, label) =
            floating.split_once('-').map_or((floating, None), |(numbers, label)| (numbers, Some(label)));
        let count = numbers.split('.').count();
        let fixed = match label {
            // NuGet does not let a lone number float: `1*` is 10.0.0 and above.
            None if count == 1 && !numbers.is_empty() => return None,
            None => count - 1,
            Some(_) if numbers.ends_with('*') => count - 1,
            Some(_) => 4,
        };
        Some(Self { lowest: parse_lowest(piece)?, fixed, label: label.map(|label| label.trim_end().into()) })
    }

    pub(super) fn matches(&self, version: &NuGetVersion) -> bool {
        let starts_with = |label: &str, prefix: &str| {
            label.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let label_fits = match (version.label(), &self.label) {
            (Some(label), Some(prefix)) => starts_with(label, prefix),
            (Some(_) | None, _) => true,
        };
        label_fits
            && version.numbers().iter().zip(self.lowest.numbers()).take(self.fixed).all(|(a, b)| *a == b)
    }

    /// Whether prereleases count like stable versions, as in `1.*-*`.
    pub(super) fn includes_prereleases(&self) -> bool {
        self.label.is_some()
    }
}

/// Parses the lowest version that a piece stands for, like `FloatRange.TryParse`.
///
/// A star ends the piece, or the numbers before a label that also ends in a star. Whitespace at the end of a
/// floating piece is not trimmed, unlike that of a version.
pub(super) fn parse_lowest(piece: &str) -> Option<NuGetVersion> {
    let Some(floating) = piece.strip_suffix('*') else {
        // The version parser rejects a star anywhere else.
        return piece.parse().ok();
    };
    if floating.contains('+') {
        return None;
    }
    let Some((numbers, label)) = floating.split_once('-') else {
        return format!("{floating}0").parse().ok();
    };
    let lowest_label = if label.is_empty() || label.ends_with('.') { "0" } else { "" };
    match numbers.strip_suffix('*') {
        Some(numbers) => format!("{numbers}0-{label}{lowest_label}").parse().ok(),
        // NuGet does not change a label with a hyphen inside, and so rejects `1.0-rc-1.*`.
        None if label.contains('-') => floating.parse().ok(),
        None => format!("{floating}{lowest_label}").parse().ok(),
    }
}
