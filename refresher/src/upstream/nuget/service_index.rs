//! The service index, which names the resources of a feed:
//! <https://learn.microsoft.com/en-us/nuget/api/service-index>

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::upstream::fetch::FetchError;
use crate::upstream::response::Document;

/// Registrations with all versions, always compressed. Older types leave out versions by Semantic Versioning 2.0.0:
/// <https://learn.microsoft.com/en-us/nuget/api/registration-base-url-resource>
const REGISTRATIONS: &str = "RegistrationsBaseUrl/3.6.0";
/// All versions, but not whether they are listed:
/// <https://learn.microsoft.com/en-us/nuget/api/package-base-address-resource>
const FLAT_CONTAINER: &str = "PackageBaseAddress/3.0.0";

/// The resource with the versions of packages.
#[derive(Debug, Clone)]
pub(super) struct Resources {
    pub(super) kind: ResourceKind,
    /// Alternative base URLs; each ends with a slash.
    pub(super) bases: Vec<Url>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResourceKind {
    Registrations,
    FlatContainer,
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
    /// The registrations if the feed has any, because they show which versions are listed; otherwise the flat
    /// container.
    pub(super) fn parse(service_index: &Url, document: &Document) -> Result<Self, FetchError> {
        let ServiceIndex { resources } = document.json(service_index)?;
        for (kind, name) in
            [(ResourceKind::Registrations, REGISTRATIONS), (ResourceKind::FlatContainer, FLAT_CONTAINER)]
        {
            let of_kind = resources.iter().filter(|resource| resource.is(name));
            let bases: Vec<_> = of_kind.filter_map(|resource| resource.base(service_index)).collect();
            if !bases.is_empty() {
                return Ok(Self { kind, bases });
            }
        }
        let error =
            format!("the service index {service_index} has neither {REGISTRATIONS} nor {FLAT_CONTAINER}");
        Err(FetchError::Failed(error))
    }
}

impl Resource {
    fn is(&self, name: &str) -> bool {
        let is_name = |value: &Value| value.as_str() == Some(name);
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
