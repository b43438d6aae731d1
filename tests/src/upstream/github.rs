//! The part of GitHub's REST API that lists packages and their versions.
//! <https://docs.github.com/rest/packages/packages>

mod access;
mod package;

use std::collections::HashMap;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, ETAG, LINK, VARY};
use http::{HeaderMap, Response};
use percent_encoding::percent_decode_str;
use serde_json::json;

use self::access::Access;
use self::package::{Owner, Package};
use super::document::{Document, JSON, Stamp, response, set};

const PER_PAGE_DEFAULT: usize = 30;
const PER_PAGE_MAX: usize = 100;

/// The owner of a package. An organization and a user may have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account<'a> {
    Org(&'a str),
    User(&'a str),
}

/// The tokens that may read a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Every token.
    Public,
    /// The tokens of the account.
    Private,
    /// The tokens of the account here; the members of the enterprise on GitHub.
    Internal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Org,
    User,
}

impl<'a> Account<'a> {
    fn parts(self) -> (Kind, &'a str) {
        match self {
            Self::Org(login) => (Kind::Org, login),
            Self::User(login) => (Kind::User, login),
        }
    }
}

/// All accounts, with their packages.
#[derive(Debug)]
pub(super) struct GitHub {
    base: String,
    access: Access,
    changes: u64,
    last_id: u64,
    names_are_exact: bool,
    /// By the login in lower case.
    owners: HashMap<(Kind, String), Owner>,
}

/// The package that a path names.
struct Requested<'a> {
    owner: &'a Owner,
    package: &'a Package,
    is_list: bool,
}

impl GitHub {
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            access: Access::default(),
            changes: 0,
            // Ids on GitHub have more than 32 bits.
            last_id: 3_102_445_876,
            names_are_exact: false,
            owners: HashMap::new(),
        }
    }

    pub(super) fn publish(
        &mut self,
        account: Account<'_>,
        package_type: &'static str,
        package: &str,
        visibility: Visibility,
        versions: &[&str],
    ) {
        let (kind, login) = account.parts();
        self.last_id += 1;
        let owner = self
            .owners
            .entry((kind, login.to_lowercase()))
            .or_insert_with(|| Owner::new(kind, login, self.last_id % 1_000_000));
        self.last_id += 1;
        let new = || Package::new(package_type, package, self.last_id, Stamp(self.changes));
        let package = owner.packages.entry((package_type, package.to_lowercase())).or_insert_with(new);
        package.set_visibility(visibility);
        for version in versions {
            self.last_id += 1;
            self.changes += 1;
            package.push(version, self.last_id, Stamp(self.changes));
        }
    }

    pub(super) fn delete_version(&mut self, account: Account<'_>, package: &str, version: &str) {
        self.changes += 1;
        let now = Stamp(self.changes);
        self.package_mut(account, package).delete(version, now);
    }

    pub(super) fn set_visibility(&mut self, account: Account<'_>, package: &str, visibility: Visibility) {
        self.package_mut(account, package).set_visibility(visibility);
    }

    fn package_mut(&mut self, account: Account<'_>, package: &str) -> &mut Package {
        let (kind, login) = account.parts();
        let owner = self.owners.get_mut(&(kind, login.to_lowercase()));
        let package = owner.and_then(|owner| owner.packages.get_mut(&("nuget", package.to_lowercase())));
        package.expect("a package that was published")
    }

    /// Names match only in the case in which they were pushed.
    pub(super) fn match_names_exactly(&mut self) {
        self.names_are_exact = true;
    }

    pub(super) fn set_token(&mut self, token: &str, reads_packages: bool, sees_private_of: &[&str]) {
        self.access.set_token(token, reads_packages, sees_private_of);
    }

    pub(super) fn revoke_token(&mut self, token: &str) {
        self.access.revoke_token(token);
    }

    pub(super) fn set_limit(&mut self, remaining: u64, reset_epoch_seconds: i64) {
        self.access.set_limit(remaining, reset_epoch_seconds);
    }

    /// The response to a GET of a path below the base. The path begins with a slash.
    pub(super) fn answer(&mut self, path: &str, query: &str, headers: &HeaderMap) -> Response<Bytes> {
        let refusal = self.access.refusal(headers);
        let is_granted = refusal.is_none();
        let mut answer = refusal.unwrap_or_else(|| self.granted(path, query, headers));
        if is_granted && answer.status() != 304 {
            self.access.count();
        }
        self.access.set_limit_headers(&mut answer);
        answer
    }

    fn granted(&self, path: &str, query: &str, headers: &HeaderMap) -> Response<Bytes> {
        let (name, token) = self.access.token(headers).expect("checked by refusal");
        let segments: Vec<_> = path
            .split('/')
            .skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        if let [accounts, login, "packages"] = &segments[..] {
            let Some(owner) = self.owner(accounts, login) else { return error(404, "Not Found") };
            let is_visible =
                |package: &&Package| package.visibility == Visibility::Public || token.sees(&owner.login);
            let visible = owner.packages.values().filter(is_visible);
            let of_type = visible.filter(|one| query.contains(&format!("package_type={}&", one.kind)));
            let list: Vec<_> = of_type.map(|package| package.description(owner, &self.base)).collect();
            return response(200, JSON, json!(list).to_string());
        }
        let [accounts, login, "packages", package_type, package, rest @ ..] = &segments[..] else {
            return error(404, "Not Found");
        };
        let is_list = match rest {
            [] => false,
            ["versions"] => true,
            _ => return error(404, "Not Found"),
        };
        if !token.reads_packages {
            let what = if is_list { "a package's versions" } else { "a package" };
            return error(403, &format!("You need at least read:packages scope to get {what}."));
        }
        let requested = self
            .owner(accounts, login)
            .and_then(|owner| {
                let package_type =
                    ["nuget", "npm", "container"].into_iter().find(|one| one == package_type)?;
                let found = owner.packages.get(&(package_type, package.to_lowercase()))?;
                let matches = !self.names_are_exact || found.name == *package;
                matches.then_some(Requested { owner, package: found, is_list })
            })
            // GitHub responds with 404 to a token without access.
            .filter(|Requested { owner, package, .. }| {
                package.visibility == Visibility::Public || token.sees(&owner.login)
            });
        match requested {
            Some(requested) => self.found(&requested, &format!("{path}?{query}"), name, headers),
            None => error(404, "Package not found."),
        }
    }

    /// By name, or by the number in the addresses of further pages.
    fn owner(&self, accounts: &str, login: &str) -> Option<&Owner> {
        let by_name = |kind| self.owners.get(&(kind, login.to_lowercase()));
        let by_number =
            |kind| self.owners.values().find(|owner| owner.kind == kind && owner.id.to_string() == login);
        match accounts {
            "orgs" => by_name(Kind::Org),
            "users" => by_name(Kind::User),
            "organizations" => by_number(Kind::Org),
            "user" => by_number(Kind::User),
            _ => None,
        }
    }

    /// The entity tag depends on the address and the token.
    fn found(
        &self,
        requested: &Requested<'_>,
        target: &str,
        token: &str,
        headers: &HeaderMap,
    ) -> Response<Bytes> {
        let Requested { owner, package, is_list } = requested;
        let list = is_list.then(|| List::new(target, package.versions.len()));
        let mut documents = package.documents.borrow_mut();
        let document = documents.entry((target.to_owned(), token.to_owned())).or_insert_with(|| {
            let body = match &list {
                Some(list) => package.page(owner, &self.base, list.first(), list.per_page),
                None => package.description(owner, &self.base),
            };
            Document::weak(body.to_string(), &[target, token])
        });
        let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut answer = document.answer(headers, accepted.contains("gzip"));
        set(&mut answer, ETAG, document.tag());
        set(&mut answer, CACHE_CONTROL, "private, max-age=60, s-maxage=60");
        set(&mut answer, VARY, "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding");
        if answer.status() == 200
            && let Some(links) = list.and_then(|list| list.links(&package.numbered(owner, &self.base)))
        {
            set(&mut answer, LINK, &links);
        }
        answer
    }
}

/// The requested page of the list.
struct List {
    per_page: usize,
    /// From 1.
    page: usize,
    pages: usize,
}

impl List {
    fn new(target: &str, versions: usize) -> Self {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let number = |name| -> Option<usize> {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            fields.find(|(field, _)| *field == name)?.1.parse().ok().filter(|number| *number > 0)
        };
        let per_page = number("per_page").unwrap_or(PER_PAGE_DEFAULT).min(PER_PAGE_MAX);
        Self { per_page, page: number("page").unwrap_or(1), pages: versions.div_ceil(per_page) }
    }

    fn first(&self) -> usize {
        (self.page - 1).saturating_mul(self.per_page)
    }

    /// The value of `Link`; `None` if there is one page only.
    fn links(&self, address: &str) -> Option<String> {
        let (page, pages) = (self.page, self.pages);
        if pages <= 1 && page == 1 {
            return None;
        }
        let link = |rel, to| format!("<{address}?per_page={}&page={to}>; rel=\"{rel}\"", self.per_page);
        let mut links = Vec::new();
        if page > 1 {
            links.push(link("prev", (page - 1).min(pages.max(1))));
        }
        if page < pages {
            links.push(link("next", page + 1));
            links.push(link("last", pages));
        }
        if page > 1 {
            links.push(link("first", 1));
        }
        Some(links.join(", "))
    }
}

fn error(status: u16, message: &str) -> Response<Bytes> {
    let body = json!({
        "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string(),
    });
    response(status, JSON, body.to_string())
}
