//! The versions of a package, page by page:
//! <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>

use badgesmith_domain::package_record::{Validator, Validators};
use badgesmith_domain::version::{NuGetVersion, Versions};
use serde::Deserialize;
use url::Url;

use crate::upstream::fetch::FetchError;
use crate::upstream::http_client::HttpClient;
use crate::upstream::request::{Credential, Get};
use crate::upstream::response::Response;

/// The largest page of GitHub's API.
pub(super) const PER_PAGE: usize = 100;
/// Enough pages for all versions that are stored.
const PAGES_MAX: usize = Versions::MAX / PER_PAGE;

/// The result of reading all pages.
pub(super) enum PageWalk {
    Unchanged,
    NotFound,
    Found(Vec<NuGetVersion>),
    /// A later page changed, so the unchanged ones before it have to be read without validators.
    Stale,
}

#[derive(Deserialize)]
struct Version {
    name: Option<String>,
}

/// Reads the pages of a package's versions, and adds their validators to `validators`. Every page has its own entity tag,
/// and a deletion may change only a later page, so all are requested.
pub(super) async fn walk(
    http: &HttpClient,
    first: &Url,
    known: &Validators,
    credential: Credential<'_>,
    validators: &mut Validators,
) -> Result<PageWalk, FetchError> {
    let mut url = first.clone();
    let mut versions: Option<Vec<NuGetVersion>> = None;
    for page in 0..PAGES_MAX {
        // After one changed page, the others have to be complete.
        let validator = known.get(url.as_str()).filter(|_| versions.is_none());
        let response = http.get(Get { url: &url, validator, credential: Some(credential) }).await?;
        let validator = match response {
            Response::NotFound => return Ok(PageWalk::NotFound),
            Response::NotModified => validator.cloned().unwrap_or_default(),
            Response::Found(_) if page > 0 && versions.is_none() => return Ok(PageWalk::Stale),
            Response::Found(document) => {
                let named: Vec<Version> = document.json(&url)?;
                if page == 0 && named.is_empty() {
                    // A package without versions counts as not found.
                    return Ok(PageWalk::NotFound);
                }
                // A name that is not a NuGet version is skipped.
                let parsed = named.iter().filter_map(|version| version.name.as_deref()?.parse().ok());
                versions.get_or_insert_default().extend(parsed);
                let next = document.link.as_deref().and_then(next_page);
                Validator { next, ..document.validator }
            }
        };
        let next = validator.next.clone();
        validators.insert(url.to_string(), validator);
        let Some(next) = next else { break };
        url = same_origin(first, &next)?;
    }
    Ok(versions.map_or(PageWalk::Unchanged, PageWalk::Found))
}

/// Parses the URL of a next page. Any path is allowed, but the token is sent to no other host.
fn same_origin(first: &Url, next: &str) -> Result<Url, FetchError> {
    let url = Url::parse(next).ok().filter(|url| url.origin() == first.origin());
    url.ok_or_else(|| FetchError::Failed("the URL of the next page is on another host".to_owned()))
}

/// The URL with `rel="next"` in a `Link` header (RFC 8288): `<URL>; rel="next", <URL>; rel="last"`.
fn next_page(link: &str) -> Option<String> {
    link.split('<').find_map(|entry| {
        let (url, parameters) = entry.split_once('>')?;
        let mut parameters = parameters.split([';', ',']).map(str::trim);
        let is_next = parameters.any(|parameter| matches!(parameter, "rel=\"next\"" | "rel=next"));
        is_next.then(|| url.to_owned())
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
        for none in [last, "", "<https://x>", "rel=\"next\"", "<https://x>; rel=\"prev\", <https://y>"] {
            assert_eq!(next_page(none), None, "{none}");
        }
    }
}
