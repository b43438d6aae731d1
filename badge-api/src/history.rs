//! The history of a repository, page by page.

use badgesmith_api::error_response::{ErrorResponse, ValidationErrors};
use badgesmith_api::http::{Query, Request, Response};
use badgesmith_aws::dynamodb::{BranchHistory, HistoryQuery, Results};
use badgesmith_domain::ids::{Branch, ParseError, Platform, Repository};
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use crate::paging::{parameter, parse_cursor, parse_limit, to_cursor, wrong_cursor};
use crate::respond::{self, CachePolicy};

const LIMIT_DEFAULT: usize = 50;

/// The JSON of one page.
#[derive(Serialize)]
struct Page {
    results: Vec<TestResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One page of the history of `owner`/`repo`.
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
    let query = parse(&request.query(), owner, repo)?;
    let page = results.history(&query).await.map_err(respond::unavailable)?;
    let page = page.ok_or_else(wrong_cursor)?;
    let newest = page.results.iter().map(|result| result.run.timestamp.min(now)).max();
    let body = Page { results: page.results, next_cursor: page.next.as_ref().map(to_cursor) };
    Ok(respond::json(request, &body, CachePolicy::TestResults, newest))
}

/// Parses the parameters, all of which are optional, and reports all errors at once.
fn parse(query: &Query<'_>, owner: &str, repo: &str) -> Result<HistoryQuery, ValidationErrors> {
    let mut errors = ValidationErrors::default();
    let owner = errors.check("owner", owner.parse());
    let repo = errors.check("repo", repo.parse());
    let platform: Option<Platform> = parameter(query, "platform", str::parse, &mut errors);
    let branch: Option<Branch> = parameter(query, "branch", str::parse, &mut errors);
    let time: fn(&str) -> Result<Timestamp, ParseError> = match query.get("branch") {
        Some(_) => str::parse,
        None => |_| Err(ParseError { expected: "the branch parameter as well" }),
    };
    let from = parameter(query, "from", time, &mut errors);
    let to = parameter(query, "to", time, &mut errors);
    let limit = parameter(query, "limit", parse_limit, &mut errors).unwrap_or(LIMIT_DEFAULT);
    let after = parameter(query, "cursor", parse_cursor, &mut errors);
    match (owner, repo) {
        (Some(owner), Some(repo)) if errors.is_empty() => Ok(HistoryQuery {
            repository: Repository { owner, repo },
            platform,
            branch: branch.map(|branch| BranchHistory { branch, from, to }),
            limit,
            after,
        }),
        _ => Err(errors),
    }
}
