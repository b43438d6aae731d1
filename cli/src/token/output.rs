//! The output of `badgesmith token`.

use std::fmt;

use badgesmith_domain::package::{Organization, PackageName};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct StoredToken {
    pub(super) organization: Organization,
    /// `None` for all public packages.
    pub(super) package: Option<PackageName>,
    pub(super) secret: String,
}

#[derive(Serialize)]
pub(super) struct DeletedToken {
    pub(super) organization: Organization,
    /// `None` for all public packages.
    pub(super) package: Option<PackageName>,
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
        let Self { organization, package, .. } = self;
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
            organization: "acme".parse().unwrap(),
            package: Some("closed.kit".parse().unwrap()),
            secret: "badge/github/acme/closed.kit".to_owned(),
        };
        assert_eq!(token.to_string(), "stored the token in the secret badge/github/acme/closed.kit");
        insta::assert_json_snapshot!(token, @r#"
        {
          "organization": "acme",
          "package": "closed.kit",
          "secret": "badge/github/acme/closed.kit"
        }
        "#);
    }

    #[test]
    fn a_deleted_token_may_leave_its_secret() {
        let token = DeletedToken {
            organization: "acme".parse().unwrap(),
            package: None,
            secret: "badge/github/acme".to_owned(),
            secret_deleted: false,
        };
        assert_eq!(token.to_string(), "deleted the token mapping of acme");
        insta::assert_json_snapshot!(token, @r#"
        {
          "organization": "acme",
          "package": null,
          "secret": "badge/github/acme",
          "secret_deleted": false
        }
        "#);
    }
}
