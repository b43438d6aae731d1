//! The history of a repository, page by page.

use badgesmith_api::http::{Request, Response};
use badgesmith_api::problem::{Problem, ValidationErrors};
use badgesmith_aws::dynamodb::{BranchHistory, HistoryPosition, HistoryQuery, Results};
use badgesmith_domain::ids::{Branch, ParseError, Platform, Repository};
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::respond::{self, CachePolicy};

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;
const FOREIGN_CURSOR: ParseError = ParseError { expected: "the next_cursor of the same query" };

/// One page, as clients get it.
#[derive(Serialize)]
struct Page {
    results: Vec<TestResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Answers a request for a page of the history of `owner`/`repo`.
///
/// # Errors
/// 400 for parameters that mean nothing, 503 when DynamoDB cannot be read.
pub(crate) async fn page(
    results: &Results,
    request: Request<'_>,
    (owner, repo): (&str, &str),
    now: Timestamp,
) -> Result<Response, Problem> {
    let query = read(request, owner, repo)?;
    let page = results.history(&query).await.map_err(|error| respond::unavailable(&error))?;
    let page = page.ok_or_else(|| {
        let mut flaws = ValidationErrors::default();
        flaws.add("cursor", FOREIGN_CURSOR);
        flaws
    })?;
    let newest = page.results.iter().map(|result| result.timestamp.min(now)).max();
    let body = Page {
        results: page.results,
        next_cursor: page.next.map(|position| URL_SAFE_NO_PAD.encode(position.as_str())),
    };
    Ok(respond::cached(request, &body, CachePolicy::TestResults, newest))
}

/// Reads the parameters, all of which are optional, and reports everything that is wrong with them at once.
fn read(request: Request<'_>, owner: &str, repo: &str) -> Result<HistoryQuery, ValidationErrors> {
    let mut flaws = ValidationErrors::default();
    let owner = flaws.note("owner", owner.parse());
    let repo = flaws.note("repo", repo.parse());
    let platform: Option<Platform> = parameter(request, "platform", str::parse, &mut flaws);
    let branch: Option<Branch> = parameter(request, "branch", str::parse, &mut flaws);
    let time: fn(&str) -> Result<Timestamp, ParseError> = match request.query("branch") {
        Some(_) => str::parse,
        None => |_| Err(ParseError { expected: "a branch beside it" }),
    };
    let from = parameter(request, "from", time, &mut flaws);
    let to = parameter(request, "to", time, &mut flaws);
    let limit = parameter(request, "limit", parse_limit, &mut flaws).unwrap_or(LIMIT_DEFAULT);
    let after = parameter(request, "cursor", parse_cursor, &mut flaws);
    match (owner, repo) {
        (Some(owner), Some(repo)) if flaws.is_empty() => Ok(HistoryQuery {
            repository: Repository { owner, repo },
            platform,
            branch: branch.map(|branch| BranchHistory { branch, from, to }),
            limit,
            after,
        }),
        _ => Err(flaws),
    }
}

fn parameter<T>(
    request: Request<'_>,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, ParseError>,
    flaws: &mut ValidationErrors,
) -> Option<T> {
    let text = request.query(name)?;
    flaws.note(name, parse(&text))
}

fn parse_limit(text: &str) -> Result<usize, ParseError> {
    text.parse()
        .ok()
        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
        .ok_or(ParseError { expected: "an integer from 1 to 200" })
}

fn parse_cursor(text: &str) -> Result<HistoryPosition, ParseError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let position = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    position.map(HistoryPosition::new).ok_or(FOREIGN_CURSOR)
}
