//! The history of a repository, page by page.

use badgesmith_shared::dynamodb::{BranchHistory, HistoryPosition, HistoryQuery, Results};
use badgesmith_shared::http::{Problem, ProblemDetail, Request, Response};
use badgesmith_shared::name::{Branch, Invalid, Platform, Repository};
use badgesmith_shared::test_result::TestResult;
use badgesmith_shared::timestamp::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Serialize;

use crate::app::unavailable;
use crate::respond::{self, CachePolicy};

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

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
    owner: &str,
    repo: &str,
) -> Result<Response, Problem> {
    let query = read(request, owner, repo)?;
    let invalid_cursor = || {
        Problem::with_details(
            StatusCode::BAD_REQUEST,
            "cursor: expected the next_cursor of the same query",
            vec![detail("cursor")],
        )
    };
    let page =
        results.history(&query).await.map_err(|error| unavailable(&error))?.ok_or_else(invalid_cursor)?;
    let newest = page.results.iter().map(|result| result.timestamp).max();
    let body = Page {
        results: page.results,
        next_cursor: page.next.map(|position| URL_SAFE_NO_PAD.encode(position.as_str())),
    };
    Ok(respond::cached(request, &body, CachePolicy::TestResults, newest))
}

/// Reads the parameters, all of which are optional, and reports everything that is wrong with them at once.
fn read(request: Request<'_>, owner: &str, repo: &str) -> Result<HistoryQuery, Problem> {
    let mut parameters = Parameters { request, flaws: Vec::new() };
    let owner = parameters.note("owner", owner.parse());
    let repo = parameters.note("repo", repo.parse());
    let platform: Option<Platform> = parameters.read("platform", str::parse);
    let branch: Option<Branch> = parameters.read("branch", str::parse);
    let from: Option<Timestamp> = parameters.read("from", str::parse);
    let to: Option<Timestamp> = parameters.read("to", str::parse);
    let limit = parameters.read("limit", parse_limit).unwrap_or(LIMIT_DEFAULT);
    let after = parameters.read("cursor", parse_cursor);
    let without_branch = Invalid { expected: "a branch beside it" };
    for name in ["from", "to"] {
        if request.query("branch").is_none() && request.query(name).is_some() {
            parameters.note::<()>(name, Err(without_branch));
        }
    }
    match (owner, repo) {
        (Some(owner), Some(repo)) if parameters.flaws.is_empty() => Ok(HistoryQuery {
            repository: Repository { owner, repo },
            platform,
            branch: branch.map(|branch| BranchHistory { branch, from, to }),
            limit,
            after,
        }),
        _ => Err(parameters.into_problem()),
    }
}

struct Parameters<'a> {
    request: Request<'a>,
    flaws: Vec<(&'static str, Invalid)>,
}

impl Parameters<'_> {
    fn read<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        let text = self.request.query(name)?;
        self.note(name, parse(&text))
    }

    fn note<T>(&mut self, name: &'static str, parsed: Result<T, Invalid>) -> Option<T> {
        parsed.map_err(|invalid| self.flaws.push((name, invalid))).ok()
    }

    fn into_problem(self) -> Problem {
        let texts: Vec<_> = self.flaws.iter().map(|(name, invalid)| format!("{name}: {invalid}")).collect();
        let details = self.flaws.iter().map(|(name, _)| detail(name)).collect();
        Problem::with_details(StatusCode::BAD_REQUEST, texts.join("; "), details)
    }
}

fn detail(name: &'static str) -> ProblemDetail {
    ProblemDetail {
        error_code: format!("INVALID_{}", name.to_uppercase()).into(),
        property_name: Some(name.to_owned()),
    }
}

fn parse_limit(text: &str) -> Result<usize, Invalid> {
    text.parse()
        .ok()
        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
        .ok_or(Invalid { expected: "an integer from 1 to 200" })
}

fn parse_cursor(text: &str) -> Result<HistoryPosition, Invalid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let position = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    position.map(HistoryPosition::new).ok_or(Invalid { expected: "the next_cursor of the same query" })
}
