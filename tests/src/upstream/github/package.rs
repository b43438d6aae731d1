//! Accounts, packages and versions, and their JSON.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::document::{Document, Stamp, hash};
use super::{Kind, Visibility};
use crate::client::segment;

#[derive(Debug)]
pub(super) struct Owner {
    pub(super) kind: Kind,
    pub(super) login: String,
    pub(super) id: u64,
    /// By the type, and the name in lower case.
    pub(super) packages: HashMap<(&'static str, String), Package>,
}

#[derive(Debug)]
pub(super) struct Package {
    pub(super) kind: &'static str,
    pub(super) name: String,
    id: u64,
    created: Stamp,
    updated: Stamp,
    pub(super) visibility: Visibility,
    pub(super) versions: Vec<Version>,
    /// By path with query, and token. Cleared by each change.
    pub(super) documents: RefCell<HashMap<(String, String), Document>>,
}

#[derive(Debug)]
pub(super) struct Version {
    name: String,
    id: u64,
    created: Stamp,
}

impl Owner {
    pub(super) fn new(kind: Kind, login: &str, id: u64) -> Self {
        Self { kind, login: login.to_owned(), id, packages: HashMap::new() }
    }

    fn accounts(&self) -> &'static str {
        match self.kind {
            Kind::Org => "orgs",
            Kind::User => "users",
        }
    }

    /// The web page of the packages.
    fn site(&self, package_type: &str) -> String {
        format!("https://github.com/{}/{}/packages/{package_type}", self.accounts(), self.login)
    }
}

impl Package {
    pub(super) fn new(package_type: &'static str, name: &str, id: u64, now: Stamp) -> Self {
        Self {
            kind: package_type,
            name: name.to_owned(),
            id,
            created: now,
            updated: now,
            visibility: Visibility::Private,
            versions: Vec::new(),
            documents: RefCell::default(),
        }
    }

    pub(super) fn push(&mut self, version: &str, id: u64, now: Stamp) {
        self.versions.push(Version { name: version.to_owned(), id, created: now });
        self.change(now);
    }

    pub(super) fn delete(&mut self, version: &str, now: Stamp) {
        self.versions.retain(|other| other.name != version);
        self.change(now);
    }

    pub(super) fn set_visibility(&mut self, visibility: Visibility) {
        self.visibility = visibility;
        self.documents.get_mut().clear();
    }

    fn change(&mut self, now: Stamp) {
        self.updated = now;
        self.documents.get_mut().clear();
    }

    /// The address of the list with the owner's number in place of its name.
    pub(super) fn numbered(&self, owner: &Owner, base: &str) -> String {
        let accounts = match owner.kind {
            Kind::Org => "organizations",
            Kind::User => "user",
        };
        format!("{base}/{accounts}/{}/packages/{}/{}/versions", owner.id, self.kind, segment(&self.name))
    }

    fn address(&self, owner: &Owner, base: &str) -> String {
        let (accounts, login) = (owner.accounts(), &owner.login);
        format!("{base}/{accounts}/{login}/packages/{}/{}", self.kind, segment(&self.name))
    }

    /// `per_page` versions, newest first, from the one at `first`.
    pub(super) fn page(&self, owner: &Owner, base: &str, first: usize, per_page: usize) -> Value {
        let versions = self.versions.iter().rev().skip(first).take(per_page);
        versions.map(|version| self.version(version, owner, base)).collect()
    }

    fn version(&self, version: &Version, owner: &Owner, base: &str) -> Value {
        let Version { name, id, created } = version;
        let (site, package) = (owner.site(self.kind), segment(&self.name));
        let mut described = json!({
            "id": id, "name": name, "url": format!("{}/versions/{id}", self.address(owner, base)),
            "package_html_url": format!("{site}/package/{package}"),
            "created_at": format!("{}Z", created.iso()), "updated_at": format!("{}Z", created.iso()),
        });
        // Optional fields are absent in some.
        if id % 3 != 0 {
            described["html_url"] = format!("{site}/{package}/{id}").into();
            described["description"] = "Small parts from which services are put together.".into();
        }
        if id % 5 != 0 {
            described["license"] = "MIT".into();
            described["metadata"] = json!({ "package_type": self.kind });
        }
        if self.kind == "container" {
            // An image has a digest, and its tags, here separated by commas.
            let tags: Vec<_> = name.split(',').filter(|tag| !tag.is_empty()).collect();
            described["name"] = format!("sha256:{}", hash(&[&id.to_be_bytes()])).into();
            described["metadata"] = json!({ "package_type": "container", "container": { "tags": tags } });
        }
        described
    }

    pub(super) fn description(&self, owner: &Owner, base: &str) -> Value {
        let address = self.address(owner, base);
        let visibility = match self.visibility {
            Visibility::Public => "public",
            Visibility::Private => "private",
            Visibility::Internal => "internal",
        };
        let kind = match owner.kind {
            Kind::Org => "Organization",
            Kind::User => "User",
        };
        json!({
            "id": self.id, "name": self.name, "package_type": self.kind, "visibility": visibility,
            "owner": {
                "login": owner.login, "id": owner.id, "type": kind, "site_admin": false,
                "url": format!("{base}/users/{}", owner.login),
                "html_url": format!("https://github.com/{}", owner.login),
            },
            "version_count": self.versions.len(), "url": address,
            "created_at": format!("{}Z", self.created.iso()), "updated_at": format!("{}Z", self.updated.iso()),
            "html_url": format!("{}/package/{}", owner.site(self.kind), segment(&self.name)),
        })
    }
}
