//! Why a submission is rejected: the log line, and the response to the client.

use std::time::Duration;

use badgesmith_api::error_response::{ErrorResponse, ValidationErrors};
use badgesmith_aws::dynamodb::StoreError;
use badgesmith_aws::metrics::Metric;
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::id_token::Rejection;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::test_result::TestResultId;
use http::StatusCode;

/// Every way a submission can end without a 202.
#[derive(Debug)]
pub(crate) enum SubmitError {
    NotFound,
    /// Holds the methods that the path accepts.
    MethodNotAllowed(&'static str),
    /// Holds the maximum size of a body, in bytes.
    TooLarge(usize),
    /// Holds all errors in the request.
    Malformed(ValidationErrors),
    /// Neither signed by its repository nor with a valid ID token. The client must not learn the reason.
    Unauthorized(Repository, Reason),
    /// Too old or too far ahead; holds the property with the timestamp.
    NotFresh(Repository, &'static str),
    AlreadyAccepted(TestResultId),
    NonceReused,
    /// Another attempt holds the reservation, for at most this long.
    InProgress(Duration),
    /// The repository has submitted too many results; the next one is allowed after this long.
    RateLimited(Repository, Duration),
    /// The owner has registered as many repositories today as it may; a new day begins after this long.
    OwnerLimit(Repository, Duration),
    /// The key that signed the ID token is not known yet; keys are read again after this long.
    UnknownSigningKey(Duration),
    /// A dependency failed.
    Unavailable(StoreError),
}

/// Why a submission is unauthorized.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reason {
    /// `X-Repo-Secret` names another repository than the body.
    RepositoryMismatch,
    NotRegistered,
    /// An operator removed the repository.
    Removed,
    /// The repository is registered, but has no usable key.
    NoKey,
    /// None of the repository's keys made the signature.
    WrongSignature,
    /// No ID token is accepted.
    KeylessDisabled,
    /// None of the issuer's keys has signed the ID token.
    NotOfIssuer,
    /// The ID token is valid, but for another service, body, repository, branch or time.
    Token(Rejection),
    /// The repository is registered for keys only.
    KeysOnly,
    /// The repository of this name had another id before.
    OtherRepositoryId,
    /// The owner of this name had another id before.
    OtherOwnerId,
}

impl From<StoreError> for SubmitError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

impl From<AwsError> for SubmitError {
    fn from(error: AwsError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl SubmitError {
    /// Logs the failure once, with its reason, and counts it. Only our own failures are logged as errors.
    pub(crate) fn log(&self) {
        match self {
            Self::Unavailable(error) => tracing::error!(%error, "failed to accept a submission"),
            Self::Unauthorized(repository, Reason::Token(rejection)) => {
                Metric::AuthenticationFailures.count(1);
                tracing::warn!(%repository, reason = ?rejection, "rejected an ID token");
            }
            Self::Unauthorized(repository, reason) => {
                Metric::AuthenticationFailures.count(1);
                tracing::warn!(%repository, ?reason, "rejected an unauthorized submission");
            }
            Self::NotFresh(repository, property) => {
                Metric::ResultsRefused.count(1);
                tracing::warn!(%repository, property, "rejected a submission that is not fresh");
            }
            Self::RateLimited(repository, _) => {
                Metric::ResultsRefused.count(1);
                tracing::warn!(%repository, "rejected a submission over the repository's rate limit");
            }
            Self::OwnerLimit(repository, _) => {
                Metric::ResultsRefused.count(1);
                tracing::warn!(%repository, "rejected a new repository: its owner has registered too many today");
            }
            Self::UnknownSigningKey(_) => {
                tracing::warn!("rejected an ID token for now: the key that signed it is not known");
            }
            Self::Malformed(errors) => {
                Metric::ResultsRefused.count(1);
                tracing::info!(%errors, "rejected a malformed submission");
            }
            Self::TooLarge(_) | Self::NonceReused => {
                Metric::ResultsRefused.count(1);
                tracing::info!(reason = ?self, "rejected a submission");
            }
            Self::NotFound | Self::MethodNotAllowed(_) | Self::AlreadyAccepted(_) | Self::InProgress(_) => {
                tracing::info!(reason = ?self, "rejected a submission");
            }
        }
    }

    /// The response to the client.
    pub(crate) fn into_error_response(self) -> ErrorResponse {
        match self {
            Self::NotFound => ErrorResponse::not_found(),
            Self::MethodNotAllowed(allow) => ErrorResponse::method_not_allowed(allow),
            Self::TooLarge(bytes_max) => ErrorResponse::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("body is larger than {bytes_max} bytes"),
                "BODY_TOO_LARGE",
            ),
            Self::Malformed(errors) => errors.into(),
            Self::Unauthorized(..) => ErrorResponse::new(
                StatusCode::UNAUTHORIZED,
                "unknown repository, or invalid signature or ID token",
                "UNAUTHORIZED",
            ),
            Self::NotFresh(_, property) => ErrorResponse::new(
                StatusCode::UNAUTHORIZED,
                "timestamp is more than 5 minutes old or 1 minute ahead: sign again with the current time",
                "TIMESTAMP_NOT_FRESH",
            )
            .with_property(property),
            Self::AlreadyAccepted(id) => ErrorResponse::new(
                StatusCode::CONFLICT,
                "this submission was already accepted: there is nothing left to do",
                "ALREADY_ACCEPTED",
            )
            .with_test_result_id(id),
            Self::NonceReused => ErrorResponse::new(
                StatusCode::CONFLICT,
                "this nonce (without a nonce: this body) was used for another submission: sign again with a new nonce",
                "NONCE_REUSED",
            ),
            Self::InProgress(wait) => ErrorResponse::new(
                StatusCode::CONFLICT,
                "another attempt at this submission is in progress: send the same request again",
                "SUBMISSION_IN_PROGRESS",
            )
            .retry_after(wait),
            Self::RateLimited(_, wait) => ErrorResponse::new(
                StatusCode::TOO_MANY_REQUESTS,
                "the repository submits too many results: send the same request again",
                "RATE_LIMITED",
            )
            .retry_after(wait),
            Self::OwnerLimit(_, wait) => ErrorResponse::new(
                StatusCode::TOO_MANY_REQUESTS,
                "the owner has registered too many repositories today: ask the operator to register this one",
                "TOO_MANY_REPOSITORIES",
            )
            .retry_after(wait),
            Self::UnknownSigningKey(wait) => ErrorResponse::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the key that signed the ID token is not known yet: send the same request again",
                "UNAVAILABLE",
            )
            .retry_after(wait),
            Self::Unavailable(_) => ErrorResponse::unavailable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::successors;

    use aws_lambda_events::encodings::Body;
    use badgesmith_domain::signature::Digest;

    use super::*;

    /// An example of the variant after `previous`. The match is exhaustive, so a new variant must have an example.
    fn next(previous: Option<&SubmitError>) -> Option<SubmitError> {
        use SubmitError::*;
        let repository = "acme/kit".parse().unwrap();
        let mut errors = ValidationErrors::default();
        errors.push("platform", "expected something else");
        errors.push_with_code("DUPLICATE_FIELD", Some("total"), "expected only once");
        Some(match previous {
            None => NotFound,
            Some(NotFound) => MethodNotAllowed("POST, OPTIONS"),
            Some(MethodNotAllowed(_)) => TooLarge(65_536),
            Some(TooLarge(_)) => Malformed(errors),
            Some(Malformed(_)) => Unauthorized(repository, Reason::NoKey),
            Some(Unauthorized(..)) => NotFresh(repository, "timestamp"),
            Some(NotFresh(..)) => AlreadyAccepted(TestResultId::derive("a reservation", &Digest::of(b""))),
            Some(AlreadyAccepted(_)) => NonceReused,
            Some(NonceReused) => InProgress(Duration::from_millis(1001)),
            Some(InProgress(_)) => RateLimited(repository, Duration::from_millis(200)),
            Some(RateLimited(..)) => OwnerLimit(repository, Duration::from_hours(5)),
            Some(OwnerLimit(..)) => UnknownSigningKey(Duration::from_secs(42)),
            Some(UnknownSigningKey(_)) => {
                Unavailable(AwsError::unexpected("sqs:SendMessage", "a secret").into())
            }
            Some(Unavailable(_)) => return None,
        })
    }

    #[test]
    fn every_error_has_a_fixed_response() {
        let errors = successors(next(None), |error| next(Some(error)));
        let lines = errors.map(|error| {
            let variant = format!("{error:?}");
            let variant = variant.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
            let response = error.into_error_response().into_response().into_event();
            let headers: Vec<_> = ["allow", "retry-after"]
                .iter()
                .filter_map(|name| Some(format!(" {name}: {}", response.headers.get(*name)?.to_str().ok()?)))
                .collect();
            let Some(Body::Text(body)) = response.body else { panic!("{variant} has no body") };
            format!("{variant} -> {}{}\n    {body}", response.status_code, headers.concat())
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
        NotFound -> 404
            {"message":"unknown path","error_details":[{"error_code":"NOT_FOUND"}]}
        MethodNotAllowed -> 405 allow: POST, OPTIONS
            {"message":"method not allowed: use POST, OPTIONS","error_details":[{"error_code":"METHOD_NOT_ALLOWED"}]}
        TooLarge -> 413
            {"message":"body is larger than 65536 bytes","error_details":[{"error_code":"BODY_TOO_LARGE"}]}
        Malformed -> 400
            {"message":"platform: expected something else; total: expected only once","error_details":[{"error_code":"INVALID_PLATFORM","property_name":"platform"},{"error_code":"DUPLICATE_FIELD","property_name":"total"}]}
        Unauthorized -> 401
            {"message":"unknown repository, or invalid signature or ID token","error_details":[{"error_code":"UNAUTHORIZED"}]}
        NotFresh -> 401
            {"message":"timestamp is more than 5 minutes old or 1 minute ahead: sign again with the current time","error_details":[{"error_code":"TIMESTAMP_NOT_FRESH","property_name":"timestamp"}]}
        AlreadyAccepted -> 409
            {"message":"this submission was already accepted: there is nothing left to do","error_details":[{"error_code":"ALREADY_ACCEPTED"}],"test_result_id":"e0ddcabe-0b2e-85ac-b7ad-769126892f41"}
        NonceReused -> 409
            {"message":"this nonce (without a nonce: this body) was used for another submission: sign again with a new nonce","error_details":[{"error_code":"NONCE_REUSED"}]}
        InProgress -> 409 retry-after: 2
            {"message":"another attempt at this submission is in progress: send the same request again","error_details":[{"error_code":"SUBMISSION_IN_PROGRESS"}]}
        RateLimited -> 429 retry-after: 1
            {"message":"the repository submits too many results: send the same request again","error_details":[{"error_code":"RATE_LIMITED"}]}
        OwnerLimit -> 429 retry-after: 18000
            {"message":"the owner has registered too many repositories today: ask the operator to register this one","error_details":[{"error_code":"TOO_MANY_REPOSITORIES"}]}
        UnknownSigningKey -> 503 retry-after: 42
            {"message":"the key that signed the ID token is not known yet: send the same request again","error_details":[{"error_code":"UNAVAILABLE"}]}
        Unavailable -> 503 retry-after: 1
            {"message":"temporarily unavailable: send the same request again","error_details":[{"error_code":"UNAVAILABLE"}]}
        "#);
    }
}
