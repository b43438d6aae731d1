//! Parsers for single documents of a feed. Only fuzz targets use this module; the refresher reads each document where
//! it requests it.

use badgesmith_domain::version::{NuGetVersion, Version};
use url::Url;

use super::registration::read_index;
use super::service_index::{Resources, feed_url};
use super::{FlatContainerDocument, parsed};
use crate::upstream::response::Document;

/// The index of a registration.
#[derive(Debug)]
pub struct RegistrationIndex {
    /// The listed versions in the index.
    pub listed: Vec<Version>,
    /// The unlisted versions in the index.
    pub unlisted: Vec<NuGetVersion>,
    /// The versions of `listed` in their stored form. `None` if no page is left out.
    pub stored: Option<Vec<String>>,
    /// The pages that are left out; `None` for an invalid URL.
    pub pages: Vec<Option<Url>>,
}

/// The base URLs in the service index at `url`.
///
/// # Errors
/// The message that the refresher logs.
pub fn service_index(url: &Url, body: &[u8]) -> Result<Vec<Url>, String> {
    match Resources::parse(url, &Document::new(body.to_vec())).map_err(|error| error.to_string())? {
        Resources::Registrations(bases) | Resources::FlatContainer(bases) => Ok(bases),
        Resources::OldRegistrations { registrations, flat_container } => {
            Ok([registrations, flat_container].concat())
        }
    }
}

/// The index of a registration at `url`; `None` if it has no pages.
///
/// # Errors
/// The message that the refresher logs.
pub fn registration(url: &Url, body: &[u8]) -> Result<Option<RegistrationIndex>, String> {
    let read = read_index(url, Document::new(body.to_vec())).map_err(|error| error.to_string())?;
    Ok(read.map(|(part, pages)| {
        let leaves = part.leaves.unwrap_or_default();
        RegistrationIndex {
            listed: leaves.listed,
            unlisted: leaves.unlisted,
            stored: part.validator.versions,
            pages: pages.iter().map(|page| feed_url(url, page)).collect(),
        }
    }))
}

/// The versions in the flat container's index at `url`.
///
/// # Errors
/// The message that the refresher logs.
pub fn flat_container(url: &Url, body: &[u8]) -> Result<Vec<Version>, String> {
    let FlatContainerDocument { versions } =
        Document::new(body.to_vec()).json(url).map_err(|error| error.to_string())?;
    Ok(parsed(&versions))
}
