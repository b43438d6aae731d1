//! The HTTP API: turns requests into events of API Gateway, and invokes the function of the route.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use badgesmith_aws::clock::Clock;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The API and the functions behind it.
#[derive(Debug)]
pub struct Gateway {
    pub ingest_api: ingest_api::App,
    pub badge_api: badge_api::App,
    clock: Clock,
}

impl Gateway {
    pub fn new(ingest_api: ingest_api::App, badge_api: badge_api::App, clock: Clock) -> Self {
        Self { ingest_api, badge_api, clock }
    }

    /// Answers a request: `POST /tests/results..` with ingest-api, all others with badge-api.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = raw_path(request.uri().path());
        let posts_results = request.method() == Method::POST
            && path
                .strip_prefix("/tests/results")
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let Ok(event) = event_of(&request, &path, &self.clock) else {
            return plain(StatusCode::BAD_REQUEST, r#"{"message":"Bad Request"}"#);
        };
        let response = if posts_results {
            self.ingest_api.handle(event).await
        } else {
            self.badge_api.handle(event).await
        };
        into_http(response)
    }
}

/// A response of API Gateway itself.
pub fn plain(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// The event of a request.
///
/// # Errors
/// When API Gateway rejects such a request.
pub fn event(request: &Request<Bytes>, clock: &Clock) -> Result<ApiGatewayV2httpRequest, serde_json::Error> {
    event_of(request, &raw_path(request.uri().path()), clock)
}

/// The event of a request, payload format 2.0.
fn event_of(
    request: &Request<Bytes>,
    path: &str,
    clock: &Clock,
) -> Result<ApiGatewayV2httpRequest, serde_json::Error> {
    let headers = joined_headers(request.headers());
    let query = request.uri().query().unwrap_or_default();
    let (body, is_base64_encoded) = encode(request.body(), request.headers());
    let now = clock.now();
    let event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "queryStringParameters": joined_query(query),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": headers.get("host"),
            "http": {
                "method": request.method().as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent"),
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.to_string(),
            "timeEpoch": now.unix_milliseconds(),
        },
        "headers": headers,
        "body": body,
        "isBase64Encoded": is_base64_encoded,
    });
    serde_json::from_value(event)
}

/// Decodes percent-encoding, except for `%25` and sequences that are not UTF-8.
fn raw_path(path: &str) -> String {
    let parts: Vec<_> =
        path.split("%25").map(|part| percent_decode_str(part).decode_utf8().unwrap_or(part.into())).collect();
    parts.join("%25")
}

/// Names in lower case; several values of one name are joined with commas.
fn joined_headers(headers: &HeaderMap) -> Map<String, Value> {
    let joined = headers.keys().map(|name| {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (name.as_str().to_owned(), values.join(",").into())
    });
    joined.collect()
}

fn joined_query(query: &str) -> Map<String, Value> {
    let mut joined: Map<String, Value> = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = match joined.get(name.as_ref()).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.into_owned(),
        };
        joined.insert(name.into_owned(), value.into());
    }
    joined
}

/// The body in an event: text and JSON unchanged, everything else in base64; `true` for base64.
fn encode(body: &Bytes, headers: &HeaderMap) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = content_type.starts_with("text/") || content_type.starts_with("application/json");
    match std::str::from_utf8(body) {
        Ok(body) if text => (Some(body.to_owned()), false),
        _ => (Some(STANDARD.encode(body)), true),
    }
}

fn into_http(response: ApiGatewayV2httpResponse) -> Response<Bytes> {
    let body = match response.body {
        Some(Body::Text(text)) => Bytes::from(text),
        Some(Body::Binary(bytes)) => Bytes::from(bytes),
        _ => Bytes::new(),
    };
    let mut answer = Response::new(body);
    let status =
        u16::try_from(response.status_code).ok().and_then(|status| StatusCode::from_u16(status).ok());
    *answer.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *answer.headers_mut() = response.headers;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_with(request: http::request::Builder, body: &'static [u8]) -> ApiGatewayV2httpRequest {
        event(&request.body(Bytes::from_static(body)).unwrap(), &Clock::System).unwrap()
    }

    #[test]
    fn paths_are_decoded_except_for_percent_25() {
        for (path, expected) in [
            ("/a%2Fb", "/a/b"),
            ("/a%23b", "/a#b"),
            ("/100%25", "/100%25"),
            ("/a%252Fb", "/a%252Fb"),
            ("/%zz", "/%zz"),
            ("/%FF", "/%FF"),
            ("/caf%C3%A9", "/caf\u{e9}"),
        ] {
            assert_eq!(raw_path(path), expected);
        }
    }

    #[test]
    fn headers_and_query_values_are_joined() {
        let event = event_with(
            Request::get("/x?a=1&b=%2B+&a=2").header("X-One", "1").header("x-two", "2").header("X-Two", "3"),
            b"",
        );
        assert_eq!(event.headers["x-one"], "1");
        assert_eq!(event.headers["x-two"], "2,3");
        assert_eq!(event.raw_query_string.as_deref(), Some("a=1&b=%2B+&a=2"));
        assert_eq!(event.query_string_parameters.all("a"), Some(vec!["1", "2"]));
        assert_eq!(event.query_string_parameters.first("b"), Some("+ "));
        assert_eq!((event.body, event.is_base64_encoded), (None, false));
    }

    #[test]
    fn bodies_that_are_not_text_are_base64() {
        let json =
            event_with(Request::post("/").header("content-type", "application/json; charset=utf-8"), b"{}");
        assert_eq!((json.body.as_deref(), json.is_base64_encoded), (Some("{}"), false));
        let form =
            event_with(Request::post("/").header("content-type", "application/x-www-form-urlencoded"), b"{}");
        assert_eq!((form.body.as_deref(), form.is_base64_encoded), (Some("e30="), true));
        let binary = event_with(Request::post("/").header("content-type", "application/json"), b"\xff");
        assert_eq!((binary.body.as_deref(), binary.is_base64_encoded), (Some("/w=="), true));
    }
}
