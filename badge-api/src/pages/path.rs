//! The paths of pages.

use badgesmith_api::route::segment;
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::package::{Package, PackageType};

/// The path of the page of a repository.
pub(super) fn repository_path(repository: &Repository) -> String {
    format!("/repos/{repository}")
}

/// The path of the page of a branch.
pub(crate) fn branch_path(repository: &Repository, branch: &Branch) -> String {
    format!("/repos/{repository}?branch={}", segment(branch.as_str()))
}

/// The path of the page of a package, with the parameter that is part of its name.
pub(super) fn package_path(package: &Package, written: &str) -> String {
    match package {
        Package::NuGet(None, _) => format!("/packages/nuget/{}", segment(written)),
        Package::NuGet(Some(feed), _) => format!("/packages/nuget/{}?feed={feed}", segment(written)),
        Package::GitHub(organization, package_type, _) => {
            let suffix = match package_type {
                PackageType::NuGet => String::new(),
                PackageType::Npm | PackageType::Container => format!("?type={}", package_type.as_str()),
            };
            format!("/packages/github/{organization}/{}{suffix}", segment(written))
        }
    }
}
