//! A NuGet V3 feed: service index, flat container and registrations, with undocumented behavior of nuget.org.
//! <https://learn.microsoft.com/nuget/api/overview>

mod leaf;

use std::collections::HashMap;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use self::leaf::Release;
use super::document::{Document, Stamp, hash, response, set};
use super::version::Version;

/// The leaves of a registration page.
const PAGE_LEAVES: usize = 64;
/// The number of versions from which the index names its pages instead of containing them.
const BARE_PAGES_MIN: usize = 128;
const FLAT_CONTAINER: &str = "v3-flatcontainer";
/// The hives below `/v3`, both compressed, and whether they contain versions that need `SemVer` 2.0.0. A client must
/// not use the first one.
const HIVES: [(&str, bool); 2] = [("registration5-gz", false), ("registration5-gz-semver2", true)];

#[derive(Debug)]
pub(super) struct Feed {
    base: String,
    changes: u64,
    /// By the id in lower case.
    packages: HashMap<String, Package>,
    service_index: Document,
}

#[derive(Debug)]
struct Package {
    /// In the order of publication, which is that of the flat container.
    releases: Vec<Release>,
    hives: Vec<Hive>,
    /// By path. Cleared by each change.
    documents: HashMap<String, Document>,
}

#[derive(Debug)]
struct Hive {
    address: String,
    takes_sem_ver_2: bool,
    pages: Vec<Page>,
}

#[derive(Debug)]
struct Page {
    releases: Vec<Release>,
    /// The time of the last change of `releases`.
    changed: Stamp,
}

impl Feed {
    pub(super) fn new(base: &str) -> Self {
        let service_index = service_index(base, true, Stamp(0));
        Self { base: base.to_owned(), changes: 0, packages: HashMap::new(), service_index }
    }

    /// Each version has its own time; the pages have the time of the last version.
    pub(super) fn publish(&mut self, id: &str, versions: &[&str]) {
        let before = self.changes;
        self.changes += versions.len() as u64;
        self.change(id, |package, _| {
            for (now, version) in (before + 1..).map(Stamp).zip(versions) {
                let version = Version::parse(version).expect("a version as NuGet takes them");
                match package.releases.iter_mut().find(|release| release.version.key() == version.key()) {
                    Some(release) => release.list(true, now),
                    None => package.releases.push(Release::new(id, version, now)),
                }
            }
        });
    }

    pub(super) fn list(&mut self, id: &str, version: &str, listed: bool) {
        let key = Version::parse(version).expect("a version as NuGet takes them").key();
        self.change(id, |package, now| {
            let release = package.releases.iter_mut().find(|release| release.version.key() == key);
            release.expect("a version that was published").list(listed, now);
        });
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.packages.remove(&id.to_lowercase());
    }

    pub(super) fn leave_out_registrations(&mut self) {
        self.changes += 1;
        self.service_index = service_index(&self.base, false, Stamp(self.changes));
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Package, Stamp)) {
        self.changes += 1;
        let now = Stamp(self.changes);
        let key = id.to_lowercase();
        let package = self.packages.entry(key).or_insert_with_key(|id| Package::new(&self.base, id));
        change(package, now);
        for hive in &mut package.hives {
            hive.arrange(&package.releases, now);
        }
        package.documents.clear();
    }

    /// The response to a GET. Paths are case-sensitive.
    pub(super) fn answer(&mut self, path: &str, conditions: &HeaderMap) -> Response<Bytes> {
        let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
        let segments: Vec<_> = path.split('/').skip(1).collect();
        let (mut answer, caching) = match segments[..] {
            ["v3", "index.json"] => (self.service_index.answer(conditions, false), "public, max-age=120"),
            [FLAT_CONTAINER, id, "index.json"] => {
                let Some(document) = self.document(id, &path, Package::flat_container) else {
                    return not_found();
                };
                (document.answer(conditions, false), "max-age=120")
            }
            ["v3", hive, id, ..] => {
                let address = format!("{}{path}", self.base);
                let Some(document) = self.document(id, &path, |package| package.registration(hive, &address))
                else {
                    return not_found();
                };
                // Compressed even if the client does not accept it.
                (document.answer(conditions, true), "no-store")
            }
            _ => return not_found(),
        };
        if answer.status() == 200 {
            set(&mut answer, CACHE_CONTROL, caching);
        }
        answer
    }

    /// The cached or new document at a path of a package.
    fn document(
        &mut self,
        id: &str,
        path: &str,
        build: impl FnOnce(&Package) -> Option<(Value, Stamp)>,
    ) -> Option<&Document> {
        let package = self.packages.get_mut(id)?;
        if !package.documents.contains_key(path) {
            let (body, changed) = build(package)?;
            package.documents.insert(path.to_owned(), Document::strong(body.to_string(), changed));
        }
        package.documents.get(path)
    }
}

impl Package {
    fn new(base: &str, id: &str) -> Self {
        let hives = HIVES.map(|(name, takes_sem_ver_2)| Hive {
            address: format!("{base}/v3/{name}/{id}"),
            takes_sem_ver_2,
            pages: Vec::new(),
        });
        Self { releases: Vec::new(), hives: hives.into(), documents: HashMap::new() }
    }

    fn flat_container(&self) -> Option<(Value, Stamp)> {
        // Publication changes it, listing does not.
        let changed = self.releases.iter().map(|release| release.published).max()?;
        let versions: Vec<_> = self.releases.iter().map(|release| release.version.key()).collect();
        Some((json!({ "versions": versions }), changed))
    }

    /// The index or the page at `address`.
    fn registration(&self, hive: &str, address: &str) -> Option<(Value, Stamp)> {
        let at = HIVES.iter().position(|(name, _)| *name == hive)?;
        let hive = &self.hives[at];
        let changed = hive.pages.iter().map(|page| page.changed).max()?;
        if address == hive.index() {
            return Some((hive.index_document(changed), changed));
        }
        let page = hive.pages.iter().find(|page| hive.is_bare() && address == page.address(hive))?;
        Some((page.document(hive, true), page.changed))
    }
}

impl Hive {
    /// Divides the releases into pages. A page with the same releases as before keeps its time.
    fn arrange(&mut self, releases: &[Release], now: Stamp) {
        let mut taken: Vec<_> = releases
            .iter()
            .filter(|release| self.takes_sem_ver_2 || !release.version.is_sem_ver_2())
            .cloned()
            .collect();
        taken.sort_by(|one, other| one.version.precedence(&other.version));
        let pages = taken.chunks(PAGE_LEAVES).map(|chunk| {
            let known = self.pages.iter().find(|page| page.releases == chunk);
            Page { releases: chunk.to_vec(), changed: known.map_or(now, |page| page.changed) }
        });
        self.pages = pages.collect();
    }

    fn is_bare(&self) -> bool {
        self.pages.iter().map(|page| page.releases.len()).sum::<usize>() >= BARE_PAGES_MIN
    }

    fn index(&self) -> String {
        format!("{}/index.json", self.address)
    }

    fn index_document(&self, changed: Stamp) -> Value {
        let inlined = !self.is_bare();
        let pages: Vec<_> = self.pages.iter().map(|page| page.document(self, inlined)).collect();
        json!({
            "@id": self.index(),
            "@type": ["catalog:CatalogRoot", "PackageRegistration", "catalog:Permalink"],
            "commitId": commit_id(changed), "commitTimeStamp": time(changed),
            "count": pages.len(), "items": pages,
            "@context": {
                "@vocab": "http://schema.nuget.org/schema#", "catalog": "http://schema.nuget.org/catalog#",
                "xsd": "http://www.w3.org/2001/XMLSchema#",
                "items": { "@id": "catalog:item", "@container": "@set" },
                "commitTimeStamp": { "@id": "catalog:commitTimeStamp", "@type": "xsd:dateTime" },
                "commitId": { "@id": "catalog:commitId" }, "count": { "@id": "catalog:count" },
                "parent": { "@id": "catalog:parent", "@type": "@id" },
            },
        })
    }
}

impl Page {
    fn bounds(&self) -> (String, String) {
        let bound = |release: Option<&Release>| release.expect("a page has releases").version.normalized();
        (bound(self.releases.first()), bound(self.releases.last()))
    }

    /// It depends on the bounds, so a client cannot guess it.
    fn address(&self, hive: &Hive) -> String {
        let (lower, upper) = self.bounds();
        if hive.is_bare() {
            let hash = hash(&[hive.address.as_bytes(), lower.as_bytes(), upper.as_bytes()]);
            format!("{}/page/{}.json", hive.address, &hash[..24])
        } else {
            format!("{}#page/{lower}/{upper}", hive.index())
        }
    }

    fn document(&self, hive: &Hive, with_items: bool) -> Value {
        let (lower, upper) = self.bounds();
        let mut page = json!({
            "@id": self.address(hive), "@type": "catalog:CatalogPage",
            "commitId": commit_id(self.changed), "commitTimeStamp": time(self.changed),
            "count": self.releases.len(), "lower": lower, "upper": upper,
        });
        if with_items {
            let leaves: Vec<_> = self.releases.iter().map(|release| release.leaf(&hive.address)).collect();
            page["items"] = leaves.into();
            page["parent"] = hive.index().into();
        }
        page
    }
}

fn commit_id(changed: Stamp) -> String {
    let hash = hash(&[&changed.0.to_be_bytes()]);
    format!("{}-{}-{}-{}-{}", &hash[..8], &hash[8..12], &hash[12..16], &hash[16..20], &hash[20..32])
}

fn time(stamp: Stamp) -> String {
    format!("{}.1234567+00:00", stamp.iso())
}

/// Feeds use addresses with and without a slash at the end.
fn service_index(base: &str, registrations: bool, changed: Stamp) -> Document {
    let mut resources = vec![json!({
        "@id": format!("{base}/{FLAT_CONTAINER}/"), "@type": "PackageBaseAddress/3.0.0",
        "comment": "Base URL of where NuGet packages are stored",
    })];
    if registrations {
        let offered = ["RegistrationsBaseUrl/3.4.0", "RegistrationsBaseUrl/3.6.0"];
        resources.extend(HIVES.iter().zip(offered).map(|((name, _), offered)| {
            json!({
                "@id": format!("{base}/v3/{name}"), "@type": offered,
                "comment": "Base URL of storage where package registration info is stored",
            })
        }));
    }
    let body = json!({
        "version": "3.0.0", "resources": resources,
        "@context": {
            "@vocab": "http://schema.nuget.org/services#",
            "comment": "http://www.w3.org/2000/01/rdf-schema#comment",
        },
    });
    Document::strong(body.to_string(), changed)
}

/// The storage responds in XML.
fn not_found() -> Response<Bytes> {
    let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>BlobNotFound</Code>\
        <Message>The specified blob does not exist.</Message></Error>";
    response(404, "application/xml", body)
}
