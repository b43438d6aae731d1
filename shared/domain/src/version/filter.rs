//! Which versions a badge may show.

use semver::VersionReq;

use crate::ids::ParseError;
use crate::version::{Comparator, Requirement, Scheme, Version};

/// A requirement in the notation of a package's scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    NuGet(Requirement),
    /// All comparators together, as the crate `semver` reads them: a prerelease matches only if one of them names a
    /// prerelease of the same version. A tag that is no version does not match. `None` if nothing is required, which is
    /// not the same as `*`.
    SemVer(Option<VersionReq>),
}

impl Filter {
    const INVALID: ParseError = ParseError { expected: "a version requirement such as ^1.2 or >=1, <2" };
    /// The maximum length of a requirement, in bytes.
    const TEXT_BYTES_MAX: usize = 1024;

    /// Parses a range, which may be blank, and comparisons. All must hold.
    ///
    /// # Errors
    /// [`ParseError`] if one of them is invalid.
    pub fn parse<'a>(
        scheme: Scheme,
        range: &str,
        comparisons: impl IntoIterator<Item = (Comparator, &'a str)>,
    ) -> Result<Self, ParseError> {
        if scheme == Scheme::NuGet {
            let mut requirement = Requirement::default().and_range(range)?;
            for (comparator, version) in comparisons {
                requirement = requirement.and(comparator, version.parse()?);
            }
            return Ok(Self::NuGet(requirement));
        }
        let mut all = (!range.trim().is_empty()).then(|| Self::requirement(range)).transpose()?;
        for (comparator, version) in comparisons {
            // One version, without another operator.
            if !version.trim_start().starts_with(|first: char| first.is_ascii_digit())
                || version.contains(',')
            {
                return Err(Self::INVALID);
            }
            let one = Self::requirement(&format!("{}{version}", comparator.operator()))?;
            all.get_or_insert(VersionReq::STAR).comparators.extend(one.comparators);
        }
        Ok(Self::SemVer(all))
    }

    fn requirement(text: &str) -> Result<VersionReq, ParseError> {
        if text.len() > Self::TEXT_BYTES_MAX {
            return Err(Self::INVALID);
        }
        VersionReq::parse(text).map_err(|_| Self::INVALID)
    }

    /// Whether every version meets the requirement, because nothing is required.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::NuGet(requirement) => requirement.is_empty(),
            Self::SemVer(requirement) => requirement.is_none(),
        }
    }

    pub(super) fn is_met_by(&self, version: &Version) -> bool {
        match (self, version) {
            (Self::NuGet(requirement), Version::NuGet(version, _)) => requirement.is_met_by(version),
            (Self::SemVer(Some(requirement)), Version::SemVer(version)) => requirement.matches(version),
            (Self::NuGet(_) | Self::SemVer(_), _) => self.is_empty(),
        }
    }

    /// Whether a floating range such as `1.*-*` asks for prereleases.
    pub(super) fn includes_prereleases(&self) -> bool {
        matches!(self, Self::NuGet(requirement) if requirement.includes_prereleases())
    }

    /// Whether `version` is a prerelease of an exclusive upper bound.
    pub(super) fn excludes_release_of(&self, version: &Version) -> bool {
        match (self, version) {
            (Self::NuGet(requirement), Version::NuGet(version, _)) => {
                requirement.excludes_release_of(version)
            }
            (Self::NuGet(_) | Self::SemVer(_), _) => false,
        }
    }
}
