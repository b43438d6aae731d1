//! The body of every error response. It predates RFC 9457 and does not follow it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use badgesmith_domain::ids::ParseError;
use badgesmith_domain::test_result::TestResultId;
use http::{StatusCode, header};
use serde::Serialize;

use crate::http::Response;

/// How soon a client may retry after a server failure.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The maximum number of errors in a response.
const ERRORS_MAX: usize = 20;
/// The maximum length of a property name in a response, since a client can choose it.
const PROPERTY_CHARACTERS_MAX: usize = 100;

/// An error response:
///
/// ```json
/// {"message":"platform: expected linux, windows or macos",
///  "error_details":[{"error_code":"INVALID_PLATFORM","property_name":"platform"}]}
/// ```
#[derive(Debug, Serialize)]
pub struct ErrorResponse {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    advice: Option<Advice>,
    message: String,
    error_details: Vec<Detail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_result_id: Option<TestResultId>,
}

/// Advice to the client, sent as a header.
#[derive(Debug)]
enum Advice {
    Allow(&'static str),
    RetryAfterSeconds(u64),
}

#[derive(Debug, Serialize)]
struct Detail {
    /// A constant that programs can match.
    error_code: Cow<'static, str>,
    /// The JSON field, header or query parameter, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    property_name: Option<String>,
}

impl ErrorResponse {
    /// An error that concerns the request as a whole.
    pub fn new(status: StatusCode, message: impl Into<String>, error_code: &'static str) -> Self {
        Self {
            status,
            advice: None,
            message: message.into(),
            error_details: vec![Detail { error_code: error_code.into(), property_name: None }],
            test_result_id: None,
        }
    }

    /// 404 for an unknown path.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown path", "NOT_FOUND")
    }

    /// 405; `allow` lists the methods that the path accepts.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let message = format!("method not allowed: use {allow}");
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, message, "METHOD_NOT_ALLOWED");
        Self { advice: Some(Advice::Allow(allow)), ..error }
    }

    /// 503 while a dependency fails. The client should send the same request again.
    pub fn unavailable() -> Self {
        let message = "temporarily unavailable: send the same request again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message, "UNAVAILABLE").retry_after(RETRY_AFTER)
    }

    /// Attributes the error to one property.
    #[must_use]
    pub fn with_property(mut self, name: &str) -> Self {
        for detail in &mut self.error_details {
            detail.property_name = Some(name.to_owned());
        }
        self
    }

    /// Asks the client to retry after `wait`, rounded up to seconds and at least 1 s.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { advice: Some(Advice::RetryAfterSeconds(seconds.max(1))), ..self }
    }

    /// Adds the id of the result that already exists.
    #[must_use]
    pub fn with_test_result_id(self, id: TestResultId) -> Self {
        Self { test_result_id: Some(id), ..self }
    }

    pub fn into_response(self) -> Response {
        let response = Response::json(self.status, &self).header(header::CACHE_CONTROL, "no-store");
        match self.advice {
            Some(Advice::Allow(methods)) => response.header(header::ALLOW, methods),
            Some(Advice::RetryAfterSeconds(seconds)) => {
                response.header(header::RETRY_AFTER, &seconds.to_string())
            }
            None => response,
        }
    }
}

/// All errors in the properties of a request, collected so that one response lists them. Displays as the error
/// codes, for logs.
#[derive(Debug, Default)]
pub struct ValidationErrors {
    messages: Vec<String>,
    details: Vec<Detail>,
}

impl ValidationErrors {
    pub fn is_empty(&self) -> bool {
        self.details.is_empty()
    }

    /// Adds an error about `property` with the code `INVALID_{PROPERTY}`.
    pub fn push(&mut self, property: &'static str, expected: impl fmt::Display) {
        let code = format!("INVALID_{}", property.to_uppercase().replace('-', "_"));
        self.push_with_code(code, Some(property), expected);
    }

    /// Adds an error with another code.
    pub fn push_with_code(
        &mut self,
        code: impl Into<Cow<'static, str>>,
        property: Option<&str>,
        expected: impl fmt::Display,
    ) {
        if self.details.len() == ERRORS_MAX {
            return;
        }
        let property = property.map(|name| name.chars().take(PROPERTY_CHARACTERS_MAX).collect::<String>());
        self.messages.push(match &property {
            Some(name) => format!("{name}: {expected}"),
            None => expected.to_string(),
        });
        self.details.push(Detail { error_code: code.into(), property_name: property });
    }

    /// Returns the parsed value, or adds an error and returns `None`.
    pub fn check<T>(&mut self, property: &'static str, parsed: Result<T, ParseError>) -> Option<T> {
        parsed.map_err(|error| self.push(property, error)).ok()
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes: Vec<&str> = self.details.iter().map(|detail| detail.error_code.as_ref()).collect();
        f.write_str(&codes.join(" "))
    }
}

impl From<ValidationErrors> for ErrorResponse {
    fn from(errors: ValidationErrors) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            advice: None,
            message: errors.messages.join("; "),
            error_details: errors.details,
            test_result_id: None,
        }
    }
}
