//! Why a submission was not accepted, and what the client learns of it.

use std::time::Duration;

use badgesmith_shared::http::{Problem, ProblemDetail};
use badgesmith_shared::sdk::CallError;
use badgesmith_shared::test_result::TestResultId;
use http::StatusCode;

use crate::submission::BODY_BYTES_MAX;

/// After a failure of ours, a client may try again this soon.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Each way in which a submission can end without a 202.
#[derive(Debug)]
pub(crate) enum SubmitError {
    NotFound,
    /// Holds the methods that the path takes.
    MethodNotAllowed(&'static str),
    TooLarge,
    /// Everything that is wrong with the form of the request.
    Shape(Vec<Flaw>),
    /// Unknown repository, foreign `X-Repo-Secret` or wrong signature: the client must not learn which.
    Unauthorized,
    /// Too old or too far ahead; holds the property that says so.
    NotFresh(&'static str),
    AlreadyAccepted(TestResultId),
    NonceReused,
    /// Another attempt holds the reservation, for at most this long.
    InProgress(Duration),
    /// Too many repositories that were never seen before.
    LookupsExhausted,
    /// A dependency failed.
    Unavailable(CallError),
}

/// One thing that is wrong with the form of a request.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) detail: ProblemDetail,
    /// What was expected, as a fragment.
    pub(crate) expected: String,
}

impl SubmitError {
    /// Logs the failure, once and with its reason. What a client did wrong is no error of ours.
    pub(crate) fn log(&self) {
        match self {
            Self::Unavailable(error) => tracing::error!(%error, "a submission could not be accepted"),
            Self::Unauthorized | Self::NotFresh(_) => {
                tracing::warn!(reason = ?self, "a submission was not authentic");
            }
            Self::LookupsExhausted => tracing::warn!("unknown repositories are asked for too fast"),
            Self::NotFound
            | Self::MethodNotAllowed(_)
            | Self::TooLarge
            | Self::Shape(_)
            | Self::AlreadyAccepted(_)
            | Self::NonceReused
            | Self::InProgress(_) => tracing::info!(reason = ?self, "a submission was refused"),
        }
    }

    /// The answer to the client.
    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::MethodNotAllowed(allow) => Problem::method_not_allowed(allow),
            Self::TooLarge => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body may have {BODY_BYTES_MAX} bytes"),
                "BODY_TOO_LARGE",
            ),
            Self::Shape(flaws) => {
                let texts: Vec<_> = flaws.iter().map(Flaw::text).collect();
                let details = flaws.into_iter().map(|flaw| flaw.detail).collect();
                Problem::with_details(StatusCode::BAD_REQUEST, texts.join("; "), details)
            }
            Self::Unauthorized => Problem::new(
                StatusCode::UNAUTHORIZED,
                "the signature is not that of a key of this repository",
                "UNAUTHORIZED",
            ),
            Self::NotFresh(property) => Problem::with_details(
                StatusCode::UNAUTHORIZED,
                "the timestamp is more than 5 minutes old or 1 minute ahead: sign anew with the present time",
                vec![ProblemDetail {
                    error_code: "TIMESTAMP_NOT_FRESH".into(),
                    property_name: Some(property.to_owned()),
                }],
            ),
            Self::AlreadyAccepted(id) => Problem::new(
                StatusCode::CONFLICT,
                "this submission was accepted before; there is nothing left to do",
                "ALREADY_ACCEPTED",
            )
            .about(id),
            Self::NonceReused => Problem::new(
                StatusCode::CONFLICT,
                "another submission was made with this nonce: sign anew with a fresh one",
                "NONCE_REUSED",
            ),
            Self::InProgress(wait) => Problem::new(
                StatusCode::CONFLICT,
                "this submission is being accepted: send it again, as it is",
                "SUBMISSION_IN_PROGRESS",
            )
            .retry_after(wait),
            Self::LookupsExhausted | Self::Unavailable(_) => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the submission could not be accepted just now: send it again, as it is",
                "UNAVAILABLE",
            )
            .retry_after(RETRY_AFTER),
        }
    }
}

impl Flaw {
    fn text(&self) -> String {
        match &self.detail.property_name {
            Some(property) => format!("{property}: {}", self.expected),
            None => self.expected.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_answers() {
        let flaw = |property: &str| Flaw {
            detail: ProblemDetail {
                error_code: format!("INVALID_{}", property.to_uppercase()).into(),
                property_name: Some(property.to_owned()),
            },
            expected: "expected something else".to_owned(),
        };
        let errors = [
            SubmitError::NotFound,
            SubmitError::MethodNotAllowed("POST, OPTIONS"),
            SubmitError::TooLarge,
            SubmitError::Shape(vec![flaw("platform"), flaw("total")]),
            SubmitError::Unauthorized,
            SubmitError::NotFresh("timestamp"),
            SubmitError::AlreadyAccepted(TestResultId::derive("a reservation")),
            SubmitError::NonceReused,
            SubmitError::InProgress(Duration::from_millis(1001)),
            SubmitError::LookupsExhausted,
            SubmitError::Unavailable(CallError::new("sqs:SendMessage", "secret internals")),
        ];
        let lines = errors.map(|error| {
            let response = error.into_problem().into_response().into_event();
            let headers: Vec<_> = ["allow", "retry-after"]
                .iter()
                .filter_map(|name| Some(format!(" {name}: {}", response.headers.get(*name)?.to_str().ok()?)))
                .collect();
            format!("{}{} {:?}", response.status_code, headers.concat(), response.body.unwrap_or_default())
        });
        insta::assert_snapshot!(lines.join("\n"));
    }
}
