//! Errors of calls to AWS.

use std::error::Error;
use std::iter;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;

/// A call to AWS that failed after the SDK's retries. Displays as the operation and the chain of causes:
/// `dynamodb:Query failed: service error: ThrottlingException: Rate exceeded`.
///
/// It holds text rather than the SDK's error, whose `Debug` output shows the whole response.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} failed: {causes}")]
pub struct AwsError {
    operation: &'static str,
    kind: AwsErrorKind,
    causes: String,
}

/// The kind of a failure, by the error code of the service:
/// <https://docs.aws.amazon.com/awssupport/latest/user/api-error-codes.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsErrorKind {
    /// The credentials do not allow the call.
    AccessDenied,
    /// The credentials are expired or invalid.
    InvalidCredentials,
    /// There are no credentials.
    NoCredentials,
    /// The table, queue, bus, secret or stack does not exist.
    NotFound,
    /// The service throttled the call.
    Throttled,
    /// No response arrived: a timeout, or no connection.
    NoAnswer,
    /// Anything else.
    Other,
}

impl AwsError {
    /// The failure of `operation`, named as in IAM: `dynamodb:Query`.
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` passes a value")]
    pub fn new<E, R>(operation: &'static str, error: SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        Self { operation, kind: AwsErrorKind::of(&error), causes: causes(&error) }
    }

    /// The failure of one entry of a batch, with the service's `code`.
    pub(crate) fn of_entry(operation: &'static str, code: &str, message: Option<&str>) -> Self {
        let causes = format!("{code}: {}", message.unwrap_or("no message"));
        Self { operation, kind: AwsErrorKind::from_code(code), causes }
    }

    /// A response that AWS does not document, or that leaves work undone.
    pub fn unexpected(operation: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { operation, kind: AwsErrorKind::Other, causes: causes(&*cause.into()) }
    }

    pub fn kind(&self) -> AwsErrorKind {
        self.kind
    }
}

/// A builder fails only if a required field is missing, which is a bug.
impl From<BuildError> for AwsError {
    fn from(error: BuildError) -> Self {
        Self::unexpected("building a request", error)
    }
}

impl AwsErrorKind {
    fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        if let Some(error) = chain(error).find_map(<dyn Error>::downcast_ref) {
            Self::of_credentials(error)
        } else if matches!(error, SdkError::TimeoutError(_) | SdkError::DispatchFailure(_)) {
            Self::NoAnswer
        } else {
            error.code().map_or(Self::Other, Self::from_code)
        }
    }

    /// The kind of a failure to find credentials.
    pub fn of_credentials(error: &CredentialsError) -> Self {
        if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            Self::NoCredentials
        } else if matches!(error, CredentialsError::ProviderTimedOut(_)) {
            Self::NoAnswer
        } else {
            // For example, an expired session of single sign-on.
            Self::InvalidCredentials
        }
    }

    fn from_code(code: &str) -> Self {
        // SQS prefixes some codes of its older protocol: `AWS.SimpleQueueService.NonExistentQueue`.
        match code.rsplit('.').next().unwrap_or(code) {
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "AuthorizationError" => {
                Self::AccessDenied
            }
            "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch" => Self::InvalidCredentials,
            "NonExistentQueue" | "QueueDoesNotExist" | "ResourceNotFoundException" => Self::NotFound,
            "ThrottlingException"
            | "Throttling"
            | "RequestThrottled"
            | "RequestLimitExceeded"
            | "ProvisionedThroughputExceededException"
            | "PurgeQueueInProgress" => Self::Throttled,
            _ => Self::Other,
        }
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| Error::source(*error))
}

/// An error and its causes in one line. Often only the last cause says what went wrong.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let text = chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[track_caller]
    fn check(error: SdkError<ErrorMetadata, ()>, kind: AwsErrorKind, text: &str) {
        let error = AwsError::new("dynamodb:GetItem", error);
        assert_eq!(error.kind(), kind);
        assert_eq!(error.to_string(), format!("dynamodb:GetItem failed: {text}"));
    }

    #[test]
    fn the_kind_follows_the_error_code_of_the_service() {
        for (code, kind) in [
            ("AccessDeniedException", AwsErrorKind::AccessDenied),
            ("ExpiredTokenException", AwsErrorKind::InvalidCredentials),
            ("AWS.SimpleQueueService.NonExistentQueue", AwsErrorKind::NotFound),
            ("ThrottlingException", AwsErrorKind::Throttled),
            ("ValidationException", AwsErrorKind::Other),
        ] {
            let error = ErrorMetadata::builder().code(code).message("no").build();
            check(
                SdkError::service_error(error, ()),
                kind,
                &format!("service error: Error {{ code: {code:?}, message: \"no\" }}"),
            );
        }
    }

    #[test]
    fn no_answer_and_no_credentials_are_different_kinds() {
        check(SdkError::timeout_error("late"), AwsErrorKind::NoAnswer, "request has timed out: late");
        let refused = ConnectorError::io("connection refused".into());
        check(
            SdkError::dispatch_failure(refused),
            AwsErrorKind::NoAnswer,
            "dispatch failure: io error: connection refused",
        );
        for (error, kind, text) in [
            (
                CredentialsError::not_loaded("no profile:\n  none"),
                AwsErrorKind::NoCredentials,
                "the credential provider was not enabled: no profile: none",
            ),
            (
                CredentialsError::provider_error("the SSO token has expired"),
                AwsErrorKind::InvalidCredentials,
                "an error occurred while loading credentials: the SSO token has expired",
            ),
        ] {
            let error = SdkError::dispatch_failure(ConnectorError::other(error.into(), None));
            check(error, kind, &format!("dispatch failure: other: {text}"));
        }
    }
}
