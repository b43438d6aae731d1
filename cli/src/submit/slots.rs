//! The slots of a branch, as the service lists them.

use std::time::Duration;

use badgesmith_api::route::segment;
use badgesmith_aws::sdk::causes;
use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::test_result::Suite;
use serde::Deserialize;

use super::send::client;

/// The maximum number of pages, each of up to 1,000 slots.
const PAGES_MAX: usize = 20;

/// The newest result of a suite on a platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Slot {
    pub(crate) platform: Platform,
    /// `None` for the unnamed suite.
    pub(crate) suite: Option<Suite>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Live,
    Retired,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Page {
    slots: Vec<Slot>,
    next_cursor: Option<String>,
}

impl Slot {
    pub(crate) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.state == State::Retired
    }
}

/// Why the slots of a branch are unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotsError {
    #[error("failed to read the suites of the branch: {}; check --url, or try again later", causes(.0))]
    Http(#[from] reqwest::Error),
    #[error(
        "failed to read the suites of the branch: unexpected response: {0}; check that --url is the URL of a BadgeSmith \
         service"
    )]
    Json(#[from] serde_json::Error),
}

/// All slots of a branch. Each request takes at most `timeout`.
pub(crate) async fn fetch_slots(
    service: &ServiceUrl,
    repository: &Repository,
    branch: &Branch,
    timeout: Duration,
) -> Result<Vec<Slot>, SlotsError> {
    let client = client(timeout)?;
    let url = format!("{service}/tests/latest/{repository}?branch={}", segment(branch.as_str()));
    let mut slots = Vec::new();
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        let response = client.get(format!("{url}{cursor}")).send().await?.error_for_status()?;
        let page: Page = serde_json::from_slice(&response.bytes().await?)?;
        slots.extend(page.slots);
        let Some(next) = page.next_cursor else { break };
        cursor = format!("&cursor={}", segment(&next));
    }
    Ok(slots)
}
