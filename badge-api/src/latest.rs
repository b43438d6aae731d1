//! `/tests/latest`: the slots of a repository, and whether badges count them.

use std::cmp::Reverse;

use badgesmith_api::error_response::{ErrorResponse, ValidationErrors};
use badgesmith_api::http::{Request, Response};
use badgesmith_aws::dynamodb::{Results, SlotPage};
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::key::ResultOrder;
use badgesmith_domain::slots::SlotState;
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use crate::paging::{LIMIT_MAX, parameter, parse_cursor, parse_limit, to_cursor, wrong_cursor};
use crate::respond::{self, CachePolicy};

/// The default limit of the slots of a branch, so that one page usually has all of them.
const BRANCH_SLOTS_MAX: usize = 1000;

/// The JSON of one page.
#[derive(Serialize)]
struct Page {
    slots: Vec<SlotJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct SlotJson {
    #[serde(flatten)]
    result: TestResult,
    /// `live`, `retired`, `silent` or `unknown`.
    state: &'static str,
}

/// A page of slots: those of one branch, newest first, or those of all branches, sorted by branch, platform and suite.
///
/// # Errors
/// 400 for invalid parameters, 503 when DynamoDB fails.
pub(crate) async fn page(
    results: &Results,
    request: Request<'_>,
    owner: &str,
    repo: &str,
    now: Timestamp,
) -> Result<Response, ErrorResponse> {
    let query = request.query();
    let mut errors = ValidationErrors::default();
    let owner = errors.check("owner", owner.parse());
    let repo = errors.check("repo", repo.parse());
    let branch: Option<Branch> = parameter(&query, "branch", str::parse, &mut errors);
    let limit = parameter(&query, "limit", parse_limit, &mut errors);
    let after = parameter(&query, "cursor", parse_cursor, &mut errors);
    let (Some(owner), Some(repo), true) = (owner, repo, errors.is_empty()) else { return Err(errors.into()) };
    let repository = Repository { owner, repo };
    let limit = limit.unwrap_or(if branch.is_some() { BRANCH_SLOTS_MAX } else { LIMIT_MAX });
    let found = results.slots(&repository, branch.as_ref(), limit, after.as_ref()).await;
    let found = found.map_err(respond::unavailable)?.ok_or_else(wrong_cursor)?;
    let newest = found.slots.iter().map(|slot| slot.run.timestamp.min(now)).max();
    let mut slots = with_states(&found, after.is_none());
    if branch.is_some() {
        slots.sort_by_cached_key(|slot| Reverse(ResultOrder::of(&slot.result)));
    }
    let next_cursor = found.next.as_ref().map(to_cursor);
    Ok(respond::json(request, &Page { slots, next_cursor }, CachePolicy::TestResults, newest))
}

/// The slots of a page with their states. The state is unknown for a branch that continues on another page, unless the
/// suite is retired.
fn with_states(page: &SlotPage, is_first: bool) -> Vec<SlotJson> {
    let branch_of = |slot: Option<&TestResult>| slot.map(|slot| slot.run.branch.clone());
    let (first, last) = (branch_of(page.slots.first()), branch_of(page.slots.last()));
    let mut slots = Vec::new();
    for group in page.slots.chunk_by(|a, b| a.run.branch == b.run.branch) {
        let branch = branch_of(group.first());
        let is_split = !is_first && branch == first || page.next.is_some() && branch == last;
        let states = SlotState::of_branch(group).into_iter().map(|state| match state {
            SlotState::Retired => "retired",
            _ if is_split => "unknown",
            SlotState::Live => "live",
            SlotState::Silent => "silent",
        });
        slots.extend(group.iter().cloned().zip(states).map(|(result, state)| SlotJson { result, state }));
    }
    slots
}
