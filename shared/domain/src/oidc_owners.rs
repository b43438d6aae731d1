//! The owners whose repositories register themselves with their first ID token.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::ids::{Owner, ParseError};

/// A list of owners: `acme`, `acme:12345` with the id of the account, or `*` for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OidcOwners {
    /// The id, if the list has one, by owner.
    listed: BTreeMap<Owner, Option<u64>>,
    all: bool,
}

/// What the list says about an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerRule {
    /// Its repositories do not register themselves.
    NotListed,
    /// Only because the list has all owners.
    All,
    /// By name.
    Listed,
    /// By name, with the only id that the account may have.
    ListedWithId(u64),
}

impl OidcOwners {
    pub fn rule(&self, owner: &Owner) -> OwnerRule {
        match self.listed.get(owner) {
            Some(Some(id)) => OwnerRule::ListedWithId(*id),
            Some(None) => OwnerRule::Listed,
            None if self.all => OwnerRule::All,
            None => OwnerRule::NotListed,
        }
    }
}

impl FromStr for OidcOwners {
    type Err = ParseError;

    /// Parses a comma-separated list. An empty one has no owners.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let invalid =
            ParseError { expected: "a comma-separated list of OWNER, OWNER:ID or *, with each owner once" };
        let mut owners = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if entry == "*" {
                owners.all = true;
                continue;
            }
            let (owner, id) = match entry.split_once(':') {
                Some((owner, id)) => (owner, Some(id.parse().map_err(|_| invalid)?)),
                None => (entry, None),
            };
            if owners.listed.insert(owner.parse().map_err(|_| invalid)?, id).is_some() {
                return Err(invalid);
            }
        }
        Ok(owners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_an_owner_goes_before_all() {
        let rule =
            |list: &str, owner: &str| list.parse::<OidcOwners>().unwrap().rule(&owner.parse().unwrap());
        assert_eq!(rule("", "acme"), OwnerRule::NotListed);
        assert_eq!(rule("Acme", "acme"), OwnerRule::Listed);
        assert_eq!(rule("acme", "acme2"), OwnerRule::NotListed);
        assert_eq!(rule("*, acme:12345,", "acme"), OwnerRule::ListedWithId(12_345));
        assert_eq!(rule("*, acme:12345,", "other"), OwnerRule::All);
        for bad in ["acme:", "acme:x", "a b", "acme,ACME", "acme*", ":1", "acme/kit"] {
            assert!(bad.parse::<OidcOwners>().is_err(), "{bad}");
        }
    }
}
