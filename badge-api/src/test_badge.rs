//! The badge of a branch's test results, and the redirect behind it.

use std::time::Duration;

use badgesmith_api::error_response::ErrorResponse;
use badgesmith_api::http::{Query, Request, Response};
use badgesmith_api::route::RawTarget;
use badgesmith_domain::badge::{Badge, Subject};
use badgesmith_domain::ids::{ParseError, Platform, Repository};
use badgesmith_domain::slots::Selection;
use badgesmith_domain::timestamp::Timestamp;
use http::{StatusCode, header};

use crate::respond::{self, CachePolicy};
use crate::slot_reader::{SlotReader, Target};

/// Responds with the badge of `target`; `None` means that its address is invalid.
pub(crate) async fn answer(
    slots: &SlotReader,
    request: Request<'_>,
    target: Option<RawTarget<'_>>,
    now: Timestamp,
) -> Response {
    let brief = |badge| respond::cached(request, &badge, CachePolicy::Brief, None);
    let query = request.query();
    let parsed = target.as_ref().map(|target| Ok((parse_target(target, &query)?, max_age(&query)?)));
    let Some(Ok::<_, ParseError>((target, max_age))) = parsed else {
        return brief(Badge::not_found(Subject::Tests));
    };
    let found = match slots.get(&target, now).await {
        Ok(found) => found,
        Err(error) => {
            let Target { repository, branch, .. } = &target;
            tracing::error!(%repository, %branch, %error, "failed to read slots");
            return respond::unavailable_badge(Subject::Tests);
        }
    };
    let Some(summary) = found.summary(&target.selection) else {
        return brief(if found.is_complete() { Badge::no_results() } else { Badge::too_many_suites() });
    };
    if max_age.is_some_and(|max_age| now.since(summary.newest) > max_age) {
        return brief(Badge::no_recent_results());
    }
    let badge = Badge::tests(&summary);
    if badge == Badge::too_many_suites() {
        return brief(badge);
    }
    respond::cached(request, &badge, CachePolicy::TestResults, Some(summary.newest.min(now)))
}

/// Redirects to the run behind the badge of `target`.
pub(crate) async fn redirect(
    slots: &SlotReader,
    request: Request<'_>,
    target: RawTarget<'_>,
    now: Timestamp,
) -> Result<Response, ErrorResponse> {
    let target = parse_target(&target, &request.query()).map_err(|_| ErrorResponse::not_found())?;
    let found = slots.get(&target, now).await.map_err(respond::unavailable)?;
    let Some(link) = found.link(&target.selection) else {
        let message = "this badge has no run to link to";
        return Err(ErrorResponse::new(StatusCode::NOT_FOUND, message, "NO_RUN"));
    };
    Ok(Response::new(StatusCode::FOUND)
        .header(header::LOCATION, &link.encoded())
        .header(header::CACHE_CONTROL, CachePolicy::Brief.as_str()))
}

/// The platform `all` stands for every platform.
fn parse_target(raw: &RawTarget<'_>, query: &Query<'_>) -> Result<Target, ParseError> {
    let platform = match &*raw.platform {
        all if all.eq_ignore_ascii_case("all") => None,
        platform => Some(platform.parse::<Platform>()?),
    };
    let suite = query.get("suite").map(str::parse).transpose()?;
    Ok(Target {
        repository: Repository { owner: raw.owner.parse()?, repo: raw.repo.parse()? },
        branch: raw.branch.parse()?,
        selection: Selection { platform, suite },
    })
}

/// Parses `max_age`, a number of days such as `30d`.
fn max_age(query: &Query<'_>) -> Result<Option<Duration>, ParseError> {
    let Some(text) = query.get("max_age") else { return Ok(None) };
    let digits = text.strip_suffix('d').filter(|days| days.bytes().all(|byte| byte.is_ascii_digit()));
    let days = digits.and_then(|days| days.parse::<u32>().ok()).filter(|days| *days > 0);
    let days = days.ok_or(ParseError { expected: "a number of days, such as 30d" })?;
    Ok(Some(days * Duration::from_hours(24)))
}
