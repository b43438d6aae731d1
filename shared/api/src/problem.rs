//! What a client is told when its request is not granted.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{StatusCode, header};
use serde::Serialize;

use crate::http::Response;
use badgesmith_domain::ids::ParseError;
use badgesmith_domain::test_result::TestResultId;

/// After a failure of ours, a client may try again this soon.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// No answer lists more flaws than this; who sends thousands does not read them.
const FLAWS_MAX: usize = 20;
/// A property's name comes from outside; no answer repeats more characters of it than this.
const PROPERTY_CHARACTERS_MAX: usize = 100;

/// A request that was not granted:
///
/// ```json
/// {"message":"platform: expected linux, windows or macos",
///  "error_details":[{"error_code":"INVALID_PLATFORM","property_name":"platform"}]}
/// ```
#[derive(Debug, Serialize)]
pub struct Problem {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    advice: Option<Advice>,
    message: String,
    error_details: Vec<Detail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_result_id: Option<TestResultId>,
}

/// What a header tells the client to do instead.
#[derive(Debug)]
enum Advice {
    Allow(&'static str),
    RetryAfterSeconds(u64),
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
struct Detail {
    /// A constant for programs.
    error_code: Cow<'static, str>,
    /// The JSON field, header or query parameter, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    property_name: Option<String>,
}

impl Problem {
    /// A problem that concerns the request as a whole.
    pub fn new(status: StatusCode, message: impl Into<String>, error_code: &'static str) -> Self {
        Self {
            status,
            advice: None,
            message: message.into(),
            error_details: vec![Detail { error_code: error_code.into(), property_name: None }],
            test_result_id: None,
        }
    }

    /// The answer where a path addresses nothing.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing at this path", "NOT_FOUND")
    }

    /// The answer where a path does not take the method; `allow` lists what it takes.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let message = format!("this path takes {allow}");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, message, "METHOD_NOT_ALLOWED");
        Self { advice: Some(Advice::Allow(allow)), ..problem }
    }

    /// The answer while a dependency fails: to be tried again, as it is.
    pub fn unavailable() -> Self {
        let message = "this cannot be done just now: send the same request again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message, "UNAVAILABLE").retry_after(RETRY_AFTER)
    }

    /// The same problem, which concerns one property.
    #[must_use]
    pub fn with_property(mut self, name: &str) -> Self {
        for detail in &mut self.error_details {
            detail.property_name = Some(name.to_owned());
        }
        self
    }

    /// The same problem, to be tried again after `wait`, rounded up to seconds.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { advice: Some(Advice::RetryAfterSeconds(seconds.max(1))), ..self }
    }

    /// The same problem, which concerns a result that is already there.
    #[must_use]
    pub fn about(self, id: TestResultId) -> Self {
        Self { test_result_id: Some(id), ..self }
    }

    /// The answer.
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

/// What is wrong with the properties of a request, gathered so that all of it is told at once. Displays as
/// the error codes, for a log.
#[derive(Debug, Default)]
pub struct ValidationErrors {
    messages: Vec<String>,
    details: Vec<Detail>,
}

impl ValidationErrors {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.details.is_empty()
    }

    /// Notes that `property` is not what it should be, under the code `INVALID_{PROPERTY}`.
    pub fn add(&mut self, property: &'static str, expected: impl fmt::Display) {
        let code = format!("INVALID_{}", property.to_uppercase().replace('-', "_"));
        self.add_as(code, Some(property), expected);
    }

    /// Notes a flaw under a code of its own.
    pub fn add_as(
        &mut self,
        code: impl Into<Cow<'static, str>>,
        property: Option<&str>,
        expected: impl fmt::Display,
    ) {
        if self.details.len() == FLAWS_MAX {
            return;
        }
        let property = property.map(|name| name.chars().take(PROPERTY_CHARACTERS_MAX).collect::<String>());
        self.messages.push(match &property {
            Some(name) => format!("{name}: {expected}"),
            None => expected.to_string(),
        });
        self.details.push(Detail { error_code: code.into(), property_name: property });
    }

    /// What was parsed, or `None` and a flaw.
    pub fn note<T>(&mut self, property: &'static str, parsed: Result<T, ParseError>) -> Option<T> {
        parsed.map_err(|invalid| self.add(property, invalid)).ok()
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes: Vec<&str> = self.details.iter().map(|detail| detail.error_code.as_ref()).collect();
        f.write_str(&codes.join(" "))
    }
}

impl From<ValidationErrors> for Problem {
    fn from(flaws: ValidationErrors) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            advice: None,
            message: flaws.messages.join("; "),
            error_details: flaws.details,
            test_result_id: None,
        }
    }
}
