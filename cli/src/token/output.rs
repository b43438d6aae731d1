//! The output of `badgesmith token`.

use std::fmt;

use badgesmith_domain::package::Package;
use badgesmith_domain::secret_scope::SecretScope;
use serde::Serialize;

/// The packages that a token reads.
#[derive(Serialize)]
pub(super) struct Packages {
    organization: String,
    /// `None` for all public packages.
    package: Option<String>,
    #[serde(rename = "type")]
    package_type: &'static str,
}

impl Packages {
    pub(super) fn of(scope: &SecretScope) -> Self {
        let (organization, package_type, package) = match scope {
            SecretScope::Organization(organization, package_type) => {
                (organization.as_str(), package_type.as_str(), None)
            }
            SecretScope::Package(Package::GitHub(organization, package_type, name)) => {
                (organization.as_str(), package_type.as_str(), Some(name.to_string()))
            }
            SecretScope::Package(Package::NuGet(_, name)) => ("", "nuget", Some(name.to_string())),
        };
        Self { organization: organization.to_owned(), package, package_type }
    }
}

#[derive(Serialize)]
pub(super) struct StoredToken {
    #[serde(flatten)]
    pub(super) packages: Packages,
    pub(super) secret: String,
}

#[derive(Serialize)]
pub(super) struct DeletedToken {
    #[serde(flatten)]
    pub(super) packages: Packages,
    pub(super) secret: String,
    pub(super) secret_deleted: bool,
}

impl fmt::Display for StoredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored the token in the secret {}", self.secret)
    }
}

impl fmt::Display for DeletedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Packages { organization, package, .. } = &self.packages;
        match package {
            Some(package) => write!(f, "deleted the token mapping of {organization}/{package}"),
            None => write!(f, "deleted the token mapping of {organization}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_token_has_the_name_of_its_secret() {
        let token = StoredToken {
            packages: Packages::of(&"acme/closed.kit".parse().unwrap()),
            secret: "badge/github/acme/closed.kit".to_owned(),
        };
        assert_eq!(token.to_string(), "stored the token in the secret badge/github/acme/closed.kit");
        insta::assert_json_snapshot!(token, @r#"
        {
          "organization": "acme",
          "package": "closed.kit",
          "type": "nuget",
          "secret": "badge/github/acme/closed.kit"
        }
        "#);
    }

    #[test]
    fn a_deleted_token_may_leave_its_secret() {
        let token = DeletedToken {
            packages: Packages::of(&"acme".parse().unwrap()),
            secret: "badge/github/acme".to_owned(),
            secret_deleted: false,
        };
        assert_eq!(token.to_string(), "deleted the token mapping of acme");
        insta::assert_json_snapshot!(token, @r#"
        {
          "organization": "acme",
          "package": null,
          "type": "nuget",
          "secret": "badge/github/acme",
          "secret_deleted": false
        }
        "#);
    }
}
