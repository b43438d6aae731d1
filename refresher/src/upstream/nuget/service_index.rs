//! The service index, which names the resources of a feed:
//! <https://learn.microsoft.com/en-us/nuget/api/service-index>

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::upstream::fetch::FetchError;
use crate::upstream::response::Document;

/// Registrations with all versions.
const REGISTRATIONS: [&str; 2] = ["RegistrationsBaseUrl/3.6.0", "RegistrationsBaseUrl/Versioned"];
/// Registrations that may leave out versions by Semantic Versioning 2.0.0, the latest first:
/// <https://learn.microsoft.com/en-us/nuget/api/registration-base-url-resource>
const OLD_REGISTRATIONS: [&str; 4] = [
    "RegistrationsBaseUrl/3.4.0",
    "RegistrationsBaseUrl/3.0.0-rc",
    "RegistrationsBaseUrl/3.0.0-beta",
    "RegistrationsBaseUrl",
];
/// All versions, but not whether they are listed:
/// <https://learn.microsoft.com/en-us/nuget/api/package-base-address-resource>
const FLAT_CONTAINER: &str = "PackageBaseAddress/3.0.0";

/// The resources with the versions of packages. Each is a list of alternative base URLs, which end with a slash.
#[derive(Debug, Clone)]
pub(super) enum Resources {
    /// They show which versions are listed.
    Registrations(Vec<Url>),
    /// Versions that they leave out are in the flat container, if the feed has one.
    OldRegistrations {
        registrations: Vec<Url>,
        flat_container: Vec<Url>,
    },
    FlatContainer(Vec<Url>),
}

#[derive(Deserialize)]
struct ServiceIndex {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "@id", default)]
    id: Value,
    /// A string, or an array of strings.
    #[serde(rename = "@type", default)]
    kind: Value,
}

impl Resources {
    pub(super) fn parse(service_index: &Url, document: &Document) -> Result<Self, FetchError> {
        let ServiceIndex { resources } = document.json(service_index)?;
        let bases = |name: &&str| -> Vec<Url> {
            let of_kind = resources.iter().filter(|resource| resource.is(name));
            of_kind.filter_map(|resource| resource.base(service_index)).collect()
        };
        let first = |names: &[&str]| names.iter().map(bases).find(|bases| !bases.is_empty());
        let flat_container = bases(&FLAT_CONTAINER);
        if let Some(registrations) = first(&REGISTRATIONS) {
            Ok(Self::Registrations(registrations))
        } else if let Some(registrations) = first(&OLD_REGISTRATIONS) {
            Ok(Self::OldRegistrations { registrations, flat_container })
        } else if flat_container.is_empty() {
            let error = "neither RegistrationsBaseUrl nor PackageBaseAddress/3.0.0";
            Err(FetchError::Failed(format!("the service index {service_index} has {error}")))
        } else {
            Ok(Self::FlatContainer(flat_container))
        }
    }
}

impl Resource {
    fn is(&self, name: &str) -> bool {
        let is_name = |value: &Value| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(name));
        is_name(&self.kind) || self.kind.as_array().is_some_and(|kinds| kinds.iter().any(is_name))
    }

    fn base(&self, service_index: &Url) -> Option<Url> {
        feed_url(service_index, &format!("{}/", self.id.as_str()?.trim_end_matches('/')))
    }
}

/// Parses a URL from a document of the feed. It may be on any host, but must use TLS if the service index does.
pub(super) fn feed_url(service_index: &Url, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (url.scheme() == "https" || url.scheme() == service_index.scheme()).then_some(url)
}
