//! Why a submission was not accepted, and what the client learns of it.

use std::time::Duration;

use badgesmith_api::problem::{Problem, ValidationErrors};
use badgesmith_aws::metrics::Metric;
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::test_result::TestResultId;
use http::StatusCode;

/// Each way in which a submission can end without a 202.
#[derive(Debug)]
pub(crate) enum SubmitError {
    NotFound,
    /// Holds the methods that the path takes.
    MethodNotAllowed(&'static str),
    /// Holds how many bytes a body may have.
    TooLarge(usize),
    /// Everything that is wrong with the form of the request.
    Shape(ValidationErrors),
    /// Not signed by its repository. The client must not learn why not.
    Unauthorized(Repository, Reason),
    /// Too old or too far ahead; holds the property that says so.
    NotFresh(Repository, &'static str),
    AlreadyAccepted(TestResultId),
    NonceReused,
    /// Another attempt holds the reservation, for at most this long.
    InProgress(Duration),
    /// Secrets are asked for too fast, on behalf of clients that no key has verified.
    LookupsExhausted,
    /// A dependency failed.
    Unavailable(AwsError),
}

/// Why a submission is taken for nobody's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reason {
    /// `X-Repo-Secret` names another repository than the body.
    ForeignKey,
    /// The repository has no usable key.
    NoKey,
    /// None of the repository's keys made the signature.
    WrongSignature,
}

impl SubmitError {
    /// Logs the failure, once and with its reason, and counts it. What a client did wrong is no error of ours.
    pub(crate) fn log(&self) {
        match self {
            Self::Unavailable(error) => tracing::error!(%error, "a submission could not be accepted"),
            Self::Unauthorized(repository, reason) => {
                Metric::AuthenticationFailures.count(1);
                tracing::warn!(%repository, ?reason, "a submission was not authentic");
            }
            Self::NotFresh(repository, property) => {
                Metric::ResultsRefused.count(1);
                tracing::warn!(%repository, property, "a submission was not fresh");
            }
            Self::LookupsExhausted => tracing::warn!("secrets are asked for too fast"),
            Self::Shape(flaws) => {
                Metric::ResultsRefused.count(1);
                tracing::info!(%flaws, "a submission was malformed");
            }
            Self::TooLarge(_) | Self::NonceReused => {
                Metric::ResultsRefused.count(1);
                tracing::info!(reason = ?self, "a submission was refused");
            }
            Self::NotFound | Self::MethodNotAllowed(_) | Self::AlreadyAccepted(_) | Self::InProgress(_) => {
                tracing::info!(reason = ?self, "a submission was refused");
            }
        }
    }

    /// The answer to the client.
    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::MethodNotAllowed(allow) => Problem::method_not_allowed(allow),
            Self::TooLarge(bytes_max) => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body may have at most {bytes_max} bytes"),
                "BODY_TOO_LARGE",
            ),
            Self::Shape(flaws) => flaws.into(),
            Self::Unauthorized(..) => Problem::new(
                StatusCode::UNAUTHORIZED,
                "there is no such repository here, or the signature is not that of its key over the bytes that were sent",
                "UNAUTHORIZED",
            ),
            Self::NotFresh(_, property) => Problem::new(
                StatusCode::UNAUTHORIZED,
                "the timestamp is more than 5 minutes old or 1 minute ahead: sign anew with the present time",
                "TIMESTAMP_NOT_FRESH",
            )
            .with_property(property),
            Self::AlreadyAccepted(id) => Problem::new(
                StatusCode::CONFLICT,
                "this submission was accepted before; there is nothing left to do",
                "ALREADY_ACCEPTED",
            )
            .about(id),
            Self::NonceReused => Problem::new(
                StatusCode::CONFLICT,
                "this nonce, or without one these bytes, were used for something else: sign anew with a fresh nonce",
                "NONCE_REUSED",
            ),
            Self::InProgress(wait) => Problem::new(
                StatusCode::CONFLICT,
                "this submission is being accepted: send it again, as it is",
                "SUBMISSION_IN_PROGRESS",
            )
            .retry_after(wait),
            Self::LookupsExhausted | Self::Unavailable(_) => Problem::unavailable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_answers() {
        let repository: Repository = "acme/kit".parse().unwrap();
        let mut flaws = ValidationErrors::default();
        flaws.add("platform", "expected something else");
        flaws.add_as("DUPLICATE_FIELD", Some("total"), "expected once only");
        let errors = [
            SubmitError::NotFound,
            SubmitError::MethodNotAllowed("POST, OPTIONS"),
            SubmitError::TooLarge(65_536),
            SubmitError::Shape(flaws),
            SubmitError::Unauthorized(repository.clone(), Reason::NoKey),
            SubmitError::NotFresh(repository, "timestamp"),
            SubmitError::AlreadyAccepted(TestResultId::derive("a reservation")),
            SubmitError::NonceReused,
            SubmitError::InProgress(Duration::from_millis(1001)),
            SubmitError::LookupsExhausted,
            SubmitError::Unavailable(AwsError::unexpected("sqs:SendMessage", "secret internals")),
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
