//! Pages for people: the results of a repository, the versions of a package, and a start page.
//!
//! A page shows what badges add up. It works without scripts. Its templates escape all text, so no name from outside
//! becomes markup. A page has at most 30 KB, so a list ends when its share is used up, and the page says so.

mod assets;
mod branches;
mod failed_tests;
mod home;
mod layout;
mod overview;
mod package;
mod path;
mod recent_results;
mod repository;
mod run_chart;
mod runs;
mod site;
mod snippets;
mod suites;

use badgesmith_api::http::{Request, Response};
use badgesmith_api::route::PageRoute;
use badgesmith_aws::dynamodb::Results;
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::timestamp::Timestamp;

use crate::package_reader::PackageReader;
use crate::respond;
use site::Site;

pub(crate) use path::branch_path;

/// What pages read from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readers<'a> {
    pub(crate) results: &'a Results,
    pub(crate) packages: &'a PackageReader,
}

/// The page of `route`.
pub(crate) async fn page(
    readers: Readers<'_>,
    request: Request<'_>,
    route: PageRoute<'_>,
    public_url: Option<&ServiceUrl>,
    now: Timestamp,
) -> Response {
    let site = Site::new(public_url, request);
    let response = match route {
        PageRoute::Home => Ok(home::page(request, &site)),
        PageRoute::Asset(name) => Ok(assets::find(request, name)),
        PageRoute::Repository { owner, repo } => {
            repository::page(readers.results, request, &owner, &repo, &site, now).await
        }
        PageRoute::Package(registry, names) => {
            package::page(readers.packages, request, registry, &names, &site, now).await
        }
    };
    response.unwrap_or_else(|error| {
        tracing::error!(path = request.path(), %error, "failed to read the data of a page");
        unavailable()
    })
}

/// The page while DynamoDB fails.
pub(crate) fn unavailable() -> Response {
    respond::page_unavailable(layout::unavailable())
}
