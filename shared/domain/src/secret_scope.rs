//! What a secret in the table of mappings gives access to.

use std::fmt;
use std::str::FromStr;

use crate::ids::ParseError;
use crate::package::{Organization, Package, PackageName, PackageType};

/// The packages that are read with a secret. Its text form for GitHub is `acme`, `acme/kit`, `npm:acme` or
/// `container:acme/kit/api`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretScope {
    /// All public packages of this type of an organization.
    Organization(Organization, PackageType),
    /// One package, even if it is not public.
    Package(Package),
}

impl SecretScope {
    /// A description of a valid text, as a noun phrase.
    pub const EXPECTED: &str = "ORG, ORG/PACKAGE, or the same after npm: or container:";

    /// One package of an organization, or all public ones.
    pub fn new(organization: Organization, package_type: PackageType, package: Option<PackageName>) -> Self {
        match package {
            Some(package) => Self::Package(Package::GitHub(organization, package_type, package)),
            None => Self::Organization(organization, package_type),
        }
    }
}

impl FromStr for SecretScope {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (package_type, names) = match text.split_once(':') {
            Some((package_type, names)) => (package_type.parse()?, names),
            None => (PackageType::NuGet, text),
        };
        let (organization, package) = match names.split_once('/') {
            Some((organization, package)) => (organization, Some(PackageName::of(package_type, package)?)),
            None => (names, None),
        };
        Ok(Self::new(organization.parse()?, package_type, package))
    }
}

/// As a part of a sentence.
impl fmt::Display for SecretScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(organization, PackageType::NuGet) => {
                write!(f, "public packages of {organization}")
            }
            Self::Organization(organization, package_type) => {
                write!(f, "public {} packages of {organization}", package_type.as_str())
            }
            Self::Package(package) => package.fmt(f),
        }
    }
}
