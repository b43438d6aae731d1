//! Requests and responses of an API Gateway HTTP API, payload format 2.0. Those of a function URL have the same shape:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

use std::borrow::Cow;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;

use crate::route::Route;

const JSON: &str = "application/json; charset=utf-8";
const SVG: &str = "image/svg+xml";
/// An image has a logo as data and a style sheet inside, and nothing else.
const SVG_CONTENT: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
const HTML: &str = "text/html; charset=utf-8";
/// A page has no script, no inline style, and nothing from another address. It cannot be framed.
const HTML_CONTENT: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const CSS: &str = "text/css; charset=utf-8";

/// An HTTP request, as a view of the event from API Gateway or a function URL.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a>(&'a ApiGatewayV2httpRequest);

impl<'a> Request<'a> {
    pub fn new(event: &'a ApiGatewayV2httpRequest) -> Self {
        Self(event)
    }

    pub fn method(&self) -> &'a Method {
        &self.0.request_context.http.method
    }

    /// The path: as sent from a function URL, and decoded twice from an HTTP API.
    pub fn path(&self) -> &'a str {
        self.0.raw_path.as_deref().unwrap_or("/")
    }

    /// The route of the path; `None` for an unknown path.
    pub fn route(&self) -> Option<Route<'a>> {
        Route::parse(self.path(), self.query().get("branch").map(str::to_owned))
    }

    pub fn query(&self) -> Query<'a> {
        let text = self.0.raw_query_string.as_deref().unwrap_or_default();
        Query(form_urlencoded::parse(text.as_bytes()).collect())
    }

    /// The value of a header. The HTTP API joins several values of one header with commas.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.0.headers.get(name)?.to_str().ok()
    }

    /// The bytes of the body; `None` if there are more than `bytes_max`. A body that is marked as base64 but does
    /// not decode, which API Gateway never sends, is returned as is.
    pub fn body(&self, bytes_max: usize) -> Option<Cow<'a, [u8]>> {
        let text = self.0.body.as_deref().unwrap_or_default();
        // Four characters encode three bytes, so a body that is too long is rejected before it is decoded.
        if text.len() / 4 > bytes_max / 3 + 1 && self.0.is_base64_encoded {
            return None;
        }
        let decoded = self.0.is_base64_encoded.then(|| STANDARD.decode(text).ok()).flatten();
        let body = decoded.map_or(Cow::Borrowed(text.as_bytes()), Cow::Owned);
        (body.len() <= bytes_max).then_some(body)
    }
}

/// The parameters of a query string, decoded.
#[derive(Debug)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Query<'_> {
    /// The first value of a parameter. An empty value counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_or_empty(name).filter(|value| !value.is_empty())
    }

    /// The first value of a parameter, which may be empty.
    pub fn get_or_empty(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Whether a flag is set: `?name` or `?name=true`.
    pub fn flag(&self, name: &str) -> bool {
        let value = self.get_or_empty(name).map(str::trim);
        value.is_some_and(|value| value.is_empty() || value.eq_ignore_ascii_case("true"))
    }
}

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
        // Serialization fails only for maps with non-string keys, and no response has one.
        Self::json_text(status, serde_json::to_string(body).unwrap_or_default())
    }

    /// A response with a body that is already JSON.
    pub fn json_text(status: StatusCode, text: String) -> Self {
        Self::new(status).header(header::CONTENT_TYPE, JSON).body(text)
    }

    /// A response with an SVG image.
    pub fn svg(status: StatusCode, text: String) -> Self {
        Self::new(status)
            .header(header::CONTENT_TYPE, SVG)
            .header(header::CONTENT_SECURITY_POLICY, SVG_CONTENT)
            .body(text)
    }

    /// A response with a page.
    pub fn html(status: StatusCode, text: String) -> Self {
        Self::new(status)
            .header(header::CONTENT_TYPE, HTML)
            .header(header::CONTENT_SECURITY_POLICY, HTML_CONTENT)
            .body(text)
    }

    /// A response with a stylesheet.
    pub fn css(status: StatusCode, text: String) -> Self {
        Self::new(status).header(header::CONTENT_TYPE, CSS).body(text)
    }

    fn body(mut self, text: String) -> Self {
        self.0.body = Some(Body::Text(text));
        self
    }

    /// Adds a header. An invalid value is omitted and logged.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        } else {
            tracing::error!(header = %name, "omitted a header with an invalid value");
        }
        self
    }

    /// Removes the body, as for `HEAD`.
    #[must_use]
    pub fn without_body(mut self) -> Self {
        self.0.body = None;
        self
    }

    /// Converts the response to the form that API Gateway and function URLs expect.
    pub fn into_event(self) -> ApiGatewayV2httpResponse {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>, shortened, as a request of a
    /// CDN's origin access control.
    const FUNCTION_URL_EVENT: &str = r#"{
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/badges/tests/linux/acme/kit/a%23b",
        "rawQueryString": "suite=unit+tests&max_age=30d",
        "headers": { "x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793", "if-none-match": "*" },
        "queryStringParameters": { "suite": "unit tests", "max_age": "30d" },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "<urlid>",
            "authentication": null,
            "authorizer": {
                "iam": {
                    "accessKey": "AKIA...", "accountId": "111122223333", "callerId": "AIDA...", "cognitoIdentity": null,
                    "principalOrgId": null, "userArn": "arn:aws:iam::111122223333:user/example-user", "userId": "AIDA..."
                }
            },
            "domainName": "<url-id>.lambda-url.us-west-2.on.aws",
            "domainPrefix": "<url-id>",
            "http": {
                "method": "GET", "path": "/badges/tests/linux/acme/kit/a#b", "protocol": "HTTP/1.1",
                "sourceIp": "123.123.123.123", "userAgent": "Amazon CloudFront"
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390
        },
        "body": null,
        "pathParameters": null,
        "isBase64Encoded": false,
        "stageVariables": null
    }"#;

    #[test]
    fn an_event_of_a_function_url_is_read_like_one_of_an_http_api() {
        let event: ApiGatewayV2httpRequest = serde_json::from_str(FUNCTION_URL_EVENT).unwrap();
        let request = Request::new(&event);
        assert_eq!((request.method(), request.path()), (&Method::GET, "/badges/tests/linux/acme/kit/a%23b"));
        let query = request.query();
        assert_eq!(query.get("suite"), Some("unit tests"));
        assert_eq!(request.header("if-none-match"), Some("*"));
        assert_eq!(request.body(10).as_deref(), Some(&b""[..]));
        assert!(matches!(request.route(), Some(Route::Read(_))));
    }
}
