//! Requests and responses of an API Gateway HTTP API, payload format 2.0:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::borrow::Cow;
use std::time::Duration;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;

use crate::route::Route;
use crate::test_result::TestResultId;

/// Header of every JSON answer.
const JSON: &str = "application/json; charset=utf-8";

/// What a function reads of an event.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a>(&'a ApiGatewayV2httpRequest);

impl<'a> Request<'a> {
    /// The request in `event`.
    pub fn new(event: &'a ApiGatewayV2httpRequest) -> Self {
        Self(event)
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        &self.0.request_context.http.method
    }

    /// The path, decoded except for `%25`.
    pub fn path(&self) -> &'a str {
        self.0.raw_path.as_deref().unwrap_or("/")
    }

    /// What the path addresses.
    pub fn route(&self) -> Option<Route<'a>> {
        Route::parse(self.path(), self.query("branch"))
    }

    /// The first value of a query parameter, decoded. A blank one counts as absent.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.0.raw_query_string.as_deref().unwrap_or_default();
        let (_, value) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name)?;
        Some(value.into_owned()).filter(|value| !value.is_empty())
    }

    /// The value of a header. The HTTP API joins several values of one header with commas.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.0.headers.get(name)?.to_str().ok()
    }

    /// The raw bytes of the body; `None` when there are more than `bytes_max`, or they are said to be
    /// base64 and are not.
    pub fn body(&self, bytes_max: usize) -> Option<Cow<'a, [u8]>> {
        let text = self.0.body.as_deref().unwrap_or_default();
        let body: Cow<'_, [u8]> = if self.0.is_base64_encoded {
            // Four characters for three bytes: what is too long is not even decoded.
            if text.len() / 4 > bytes_max / 3 + 1 {
                return None;
            }
            STANDARD.decode(text).ok()?.into()
        } else {
            text.as_bytes().into()
        };
        (body.len() <= bytes_max).then_some(body)
    }
}

/// A response in the making.
#[derive(Debug)]
pub struct Response(ApiGatewayV2httpResponse);

impl Response {
    /// A response without a body.
    pub fn new(status: StatusCode) -> Self {
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = i64::from(status.as_u16());
        Self(response).header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
    }

    /// A response with `body` as JSON.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        // Only a map with keys that are no strings could fail, and no answer has one.
        Self::json_text(status, serde_json::to_string(body).unwrap_or_default())
    }

    /// A response with a body that is JSON already.
    pub fn json_text(status: StatusCode, text: String) -> Self {
        let mut response = Self::new(status).header(header::CONTENT_TYPE, JSON);
        response.0.body = Some(Body::Text(text));
        response
    }

    /// Adds a header. A value that cannot stand in a header is left out, and logged.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        } else {
            tracing::error!(header = %name, "a header's value is not fit to be sent");
        }
        self
    }

    /// Takes the body away, as for `HEAD` and 304.
    #[must_use]
    pub fn without_body(mut self) -> Self {
        self.0.body = None;
        self
    }

    /// The response as the HTTP API takes it.
    pub fn into_event(self) -> ApiGatewayV2httpResponse {
        self.0
    }
}

/// A request that was not granted, as the client learns of it:
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
    error_details: Vec<ProblemDetail>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemDetail {
    /// A constant for programs.
    pub error_code: Cow<'static, str>,
    /// The JSON field, header or query parameter, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_name: Option<String>,
}

impl Problem {
    /// A problem that concerns the request as a whole.
    pub fn new(status: StatusCode, message: impl Into<String>, error_code: &'static str) -> Self {
        let detail = ProblemDetail { error_code: error_code.into(), property_name: None };
        Self::with_details(status, message, vec![detail])
    }

    /// A problem with some of the request's properties.
    pub fn with_details(
        status: StatusCode,
        message: impl Into<String>,
        error_details: Vec<ProblemDetail>,
    ) -> Self {
        Self { status, advice: None, message: message.into(), error_details, test_result_id: None }
    }

    /// The answer where a path addresses nothing.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing at this path", "NOT_FOUND")
    }

    /// The answer where a path does not take the method; `allow` lists what it takes.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("this path takes {allow}"),
            "METHOD_NOT_ALLOWED",
        );
        Self { advice: Some(Advice::Allow(allow)), ..problem }
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

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
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
