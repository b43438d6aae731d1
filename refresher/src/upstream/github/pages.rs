//! The versions of a package, page by page:
//! <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>

use badgesmith_domain::package::PackageType;
use badgesmith_domain::package_record::{Validator, Validators};
use badgesmith_domain::version::Versions;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::Lookup;
use crate::upstream::fetch::FetchError;
use crate::upstream::http_client::HttpClient;
use crate::upstream::request::{Get, Redirects};
use crate::upstream::response::Response;

/// The largest page of GitHub's API.
pub(super) const PER_PAGE: usize = 100;
/// Enough pages for all versions that are stored.
const PAGES_MAX: usize = Versions::MAX / PER_PAGE;
/// Enough pages for a badge, if GitHub takes too long for all of them. If fewer were read, the lookup fails, and the
/// known versions stay.
const PAGES_MIN: usize = 30;

#[derive(Deserialize)]
struct Version {
    /// The version; for a container image, its digest.
    name: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    container: Option<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    tags: Vec<String>,
}

impl Version {
    fn names(self, package_type: PackageType) -> Vec<String> {
        match package_type {
            PackageType::NuGet | PackageType::Npm => self.name.into_iter().collect(),
            PackageType::Container => {
                self.metadata.and_then(|metadata| metadata.container).map_or_else(Vec::new, |one| one.tags)
            }
        }
    }
}

/// Reads the pages of a package's versions, and returns their names or tags, the newest first; `None` when it does not
/// exist, or has no versions. Adds the validators of the pages to `validators`. Every page has its own entity tag, and
/// a deletion may change only a later page, so all are requested, up to the limits.
pub(super) async fn walk(
    http: &HttpClient,
    first: &Url,
    lookup: Lookup<'_>,
    validators: &mut Validators,
) -> Result<Option<Vec<String>>, FetchError> {
    let Lookup { package_type, known, credential, pages_until, .. } = lookup;
    let (mut url, mut names) = (first.clone(), Vec::new());
    for page in 1.. {
        let validator = known.get(url.as_str()).filter(|validator| validator.versions.is_some());
        let response = http
            .get(Get { url: &url, validator, credential: Some(credential), redirects: Redirects::SameOrigin })
            .await?;
        let validator = match response {
            Response::NotFound => return Ok(None),
            Response::NotModified => validator.cloned().unwrap_or_default(),
            Response::Found(document) => {
                let named: Vec<Version> = document.json(&url)?;
                if page == 1 && named.is_empty() {
                    return Ok(None);
                }
                let names = named.into_iter().flat_map(|version| version.names(package_type));
                let versions = Some(names.collect());
                Validator { next: next_page(&document.link), versions, ..document.validator }
            }
        };
        names.extend(validator.versions.iter().flatten().cloned());
        let next = validator.next.clone();
        validators.insert(url.to_string(), validator);
        let Some(next) = next else { break };
        if page == PAGES_MAX || page >= PAGES_MIN && Instant::now() >= pages_until {
            tracing::warn!(%first, pages = page, "read only the newest versions of a package");
            break;
        }
        url = same_origin(&url, &next)?;
    }
    Ok(Some(names))
}

/// Parses the URL of the page after `page`. Any path is allowed, but the token is sent to no other host.
pub(super) fn same_origin(page: &Url, next: &str) -> Result<Url, FetchError> {
    let url = page.join(next).ok().filter(|url| url.origin() == page.origin());
    url.ok_or_else(|| FetchError::Failed("the URL of the next page is on another host".to_owned()))
}

/// The URL with the relation `next` in a list of links (RFC 8288): `<URL>; rel="next", <URL>; rel="last"`. A link may
/// have several relations, which match in any case.
pub(super) fn next_page(links: &str) -> Option<String> {
    links.split('<').find_map(|entry| {
        let (url, parameters) = entry.split_once('>')?;
        let relations = parameters.split([';', ',']).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"'))
        })?;
        relations
            .split_whitespace()
            .any(|one| one.eq_ignore_ascii_case("next"))
            .then(|| url.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_at_any_position() {
        let last = "<https://api.example.test/x?page=3>; rel=\"last\"";
        let next = "<https://api.example.test/x?a=1,2;b&page=2>; rel=\"next\"";
        let url = Some("https://api.example.test/x?a=1,2;b&page=2".to_owned());
        assert_eq!(next_page(&format!("{next}, {last}")), url);
        assert_eq!(next_page(&format!("{last}, {next}")), url);
        assert_eq!(next_page(&next.replace('"', "")), url);
        for spelling in
            ["Rel=NEXT", "rel = \"next\"", "rel=\"last next\"", "title=\"a\"; rel=\"prefetch  next\""]
        {
            assert_eq!(next_page(&next.replace("rel=\"next\"", spelling)), url, "{spelling}");
        }
        for none in [
            last,
            "",
            "<https://x>",
            "rel=\"next\"",
            "<https://x>; rel=\"prev\", <https://y>",
            "<https://x>; rel=\"nextish\"",
            "<https://x>; rev=\"next\"",
        ] {
            assert_eq!(next_page(none), None, "{none}");
        }
    }
}
