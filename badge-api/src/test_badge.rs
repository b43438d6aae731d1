//! The badge of a branch's test results, and the redirect behind it.

use std::time::Duration;

use badgesmith_api::error_response::ErrorResponse;
use badgesmith_api::http::{Query, Request, Response};
use badgesmith_api::route::RawTarget;
use badgesmith_domain::badge::{Badge, Subject};
use badgesmith_domain::ids::{ParseError, Platform, Repository};
use badgesmith_domain::slots::Selection;
use badgesmith_domain::timestamp::Timestamp;
use http::StatusCode;

use crate::pages::branch_path;
use crate::respond::{self, BadgeAnswer, CachePolicy};
use crate::slot_reader::{SlotReader, Target};

/// Finds the badge of `target`; `None` means that its address is invalid.
pub(crate) async fn find(
    slots: &SlotReader,
    request: Request<'_>,
    target: Option<RawTarget<'_>>,
    now: Timestamp,
) -> BadgeAnswer {
    let brief = |badge| BadgeAnswer::new(badge, CachePolicy::Brief);
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
            return BadgeAnswer::unavailable(Subject::Tests);
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
    BadgeAnswer::new(badge, CachePolicy::TestResults).modified(summary.newest.min(now))
}

/// Redirects to the run behind the badge of `target`, or with `?to=page` to the page of its branch.
pub(crate) async fn redirect(
    slots: &SlotReader,
    request: Request<'_>,
    target: RawTarget<'_>,
    now: Timestamp,
) -> Result<Response, ErrorResponse> {
    let query = request.query();
    let target = parse_target(&target, &query).map_err(|_| ErrorResponse::not_found())?;
    if query.get("to") == Some("page") {
        return Ok(respond::redirect(&branch_path(&target.repository, &target.branch)));
    }
    let found = slots.get(&target, now).await.map_err(respond::unavailable)?;
    let Some(link) = found.link(&target.selection) else {
        let message = "this badge has no run to link to";
        return Err(ErrorResponse::new(StatusCode::NOT_FOUND, message, "NO_RUN"));
    };
    Ok(respond::redirect(&link.encoded()))
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
