//! One version of a package, and its leaf in a registration page.

use serde_json::{Value, json};

use super::super::document::Stamp;
use super::super::version::Version;
use super::{FLAT_CONTAINER, commit_id, time};

/// The date of publication that nuget.org gives an unlisted version.
const NEVER: &str = "1900-01-01T00:00:00+00:00";
const DESCRIPTION: &str = "Acme.Kit is a set of small parts from which services are put together: settings \
    that are read once, clocks that can be set, clients that give up in time, and logs that say what was \
    decided and why. It has no dependencies on a framework, starts within milliseconds, can be trimmed, and \
    is tested on Linux, macOS and Windows. See the site of the project for a tour, for the changes of each \
    release, and for what to do when a major version has to be passed.";
const FRAMEWORKS: [&str; 2] = [".NETStandard2.0", "net8.0"];
const DEPENDENCY: (&str, &str) = ("Acme.Diagnostics", "[6.0.1, 9.0.0)");

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    /// In the case of the publication.
    id: String,
    pub(super) version: Version,
    listed: bool,
    pub(super) published: Stamp,
    changed: Stamp,
}

impl Release {
    pub(super) fn new(id: &str, version: Version, now: Stamp) -> Self {
        Self { id: id.to_owned(), version, listed: true, published: now, changed: now }
    }

    pub(super) fn list(&mut self, listed: bool, now: Stamp) {
        if self.listed != listed {
            (self.listed, self.changed) = (listed, now);
        }
    }

    /// The leaf in a registration at this address, as large as those of nuget.org. About every fourth version
    /// has no `listed`, which is optional: only the date shows that such a version is unlisted.
    pub(super) fn leaf(&self, registration: &str) -> Value {
        let base = registration.split("/v3/").next().unwrap_or_default();
        let (id, version) = (self.id.to_lowercase(), self.version.key());
        let variant = version.bytes().fold(0, u8::wrapping_add) % 4;
        let content = format!("{base}/{FLAT_CONTAINER}/{id}/{version}/{id}.{version}.nupkg");
        let mut entry = self.details(base, variant);
        entry["packageContent"] = content.as_str().into();
        entry["published"] = if self.listed { time(self.published) } else { NEVER.to_owned() }.into();
        if variant != 0 {
            entry["listed"] = self.listed.into();
        }
        json!({
            "@id": format!("{registration}/{version}.json"), "@type": "Package",
            "commitId": commit_id(self.changed), "commitTimeStamp": time(self.changed),
            "catalogEntry": entry, "packageContent": content,
            "registration": format!("{registration}/index.json"),
        })
    }

    /// The catalog entry. Clients of versions use its `version` only.
    fn details(&self, base: &str, variant: u8) -> Value {
        let (id, version) = (self.id.to_lowercase(), self.version.key());
        let catalog = format!("{base}/v3/catalog0/data/{}/{id}.{version}.json", self.published.iso());
        let mut details = json!({
            "@id": catalog, "@type": "PackageDetails",
            "authors": "Acme Corporation, Jane Doe", "tags": ["kit", "services", "clock", "settings"],
            "dependencyGroups": dependency_groups(&catalog, base),
            "description": DESCRIPTION, "id": self.id, "language": "", "minClientVersion": "2.12",
            "iconUrl": format!("{base}/{FLAT_CONTAINER}/{id}/{version}/icon"),
            "licenseExpression": "MIT", "licenseUrl": "https://licenses.example.test/MIT",
            "projectUrl": "https://acme.example.test/kit",
            "readmeUrl": format!("https://packages.example.test/{id}/{version}#show-readme-container"),
            "requireLicenseAcceptance": false, "summary": "", "title": self.id,
            "version": self.version.full(),
        });
        if variant == 1 {
            details["authors"] = json!(["Acme Corporation", "Jane Doe"]);
            details["tags"] = "kit services clock settings".into();
        }
        if variant == 2 {
            details["deprecation"] = json!({
                "@id": format!("{catalog}#deprecation"), "reasons": ["Legacy", "Other"],
                "message": "Use a newer one.", "alternatePackage": { "id": "Acme.Kit.Core", "range": "*" },
            });
            details["vulnerabilities"] = json!([{
                "@id": format!("{catalog}#vulnerability/GitHub/0001"), "@type": "Vulnerability",
                "advisoryUrl": "https://advisories.example.test/0001", "severity": "2",
            }]);
        }
        details
    }
}

/// One group with a dependency, and one without the optional key.
fn dependency_groups(catalog: &str, base: &str) -> Value {
    let [mut older, newer] = FRAMEWORKS.map(|framework| {
        json!({
            "@id": format!("{catalog}#dependencygroup/{}", framework.to_lowercase()),
            "@type": "PackageDependencyGroup", "targetFramework": framework,
        })
    });
    let (name, range) = DEPENDENCY;
    let id = name.to_lowercase();
    older["dependencies"] = json!([{
        "@id": format!("{}/{id}", older["@id"].as_str().unwrap_or_default()), "@type": "PackageDependency",
        "id": name, "range": range,
        "registration": format!("{base}/v3/registration5-gz-semver2/{id}/index.json"),
    }]);
    json!([older, newer])
}
