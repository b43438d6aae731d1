//! The origins of the CDN: an HTTP API for `/tests/results`, and the function URL of badge-api for all other paths. Each
//! turns a request into an event, and invokes a function.
//!
//! Both events have payload format 2.0. They differ in `rawPath`:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

use std::borrow::Cow;
use std::collections::HashMap;

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

/// The beginning of the paths that the CDN sends to the HTTP API.
const HTTP_API_PATHS: &str = "/tests/results";

/// The origins and the functions behind them.
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

    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let Some(event) = event(&request, &self.clock) else {
            return plain(StatusCode::BAD_REQUEST, r#"{"message":"Bad Request"}"#);
        };
        let path = event.raw_path.as_deref().unwrap_or_default();
        let response = match function(request.method(), path) {
            Some(Function::IngestApi) => Box::pin(self.ingest_api.handle(event)).await,
            Some(Function::BadgeApi) => self.badge_api.handle(event).await,
            None => return plain(StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#),
        };
        into_http(response)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    IngestApi,
    BadgeApi,
}

/// The function of a request; `None` if the HTTP API has no route for it.
fn function(method: &Method, path: &str) -> Option<Function> {
    let Some(rest) = path.strip_prefix(HTTP_API_PATHS) else { return Some(Function::BadgeApi) };
    let has_names = rest.strip_prefix('/').is_some_and(|names| !names.is_empty());
    match *method {
        Method::POST if has_names || rest.is_empty() => Some(Function::IngestApi),
        Method::GET | Method::HEAD | Method::OPTIONS if has_names => Some(Function::BadgeApi),
        _ => None,
    }
}

/// A response of API Gateway itself.
pub fn plain(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// The event of a request, payload format 2.0; `None` if its origin rejects it.
pub fn event(request: &Request<Bytes>, clock: &Clock) -> Option<ApiGatewayV2httpRequest> {
    let path = raw_path(request.uri().path())?;
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
    serde_json::from_value(event).ok()
}

/// The path that a function gets. A function URL passes it as sent. An HTTP API decodes it, cuts it at a `?`, and decodes
/// it again. It rejects what it cannot decode.
fn raw_path(sent: &str) -> Option<Cow<'_, str>> {
    if !sent.starts_with(HTTP_API_PATHS) {
        return Some(sent.into());
    }
    let decoded = decode(sent)?;
    let path = decoded.split('?').next()?;
    Some(decode(path)?.into_owned().into())
}

/// Decodes percent-encoding; `None` if a `%` has no two digits after it, or the result is not UTF-8.
fn decode(path: &str) -> Option<Cow<'_, str>> {
    let is_digit = |digit: Option<&u8>| digit.is_some_and(u8::is_ascii_hexdigit);
    let mut escapes = path.split('%').skip(1).map(str::as_bytes);
    let is_valid = escapes.all(|escape| is_digit(escape.first()) && is_digit(escape.get(1)));
    is_valid.then(|| percent_decode_str(path).decode_utf8().ok()).flatten()
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
    let mut values: HashMap<_, Vec<_>> = HashMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        values.entry(name).or_default().push(value);
    }
    values.into_iter().map(|(name, values)| (name.into_owned(), values.join(",").into())).collect()
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
    use badgesmith_api::route::{ReadRoute, Route, branch_suffix};

    use super::*;

    fn event_with(request: http::request::Builder, body: &'static [u8]) -> ApiGatewayV2httpRequest {
        event(&request.body(Bytes::from_static(body)).unwrap(), &Clock::System).unwrap()
    }

    /// Paths and headers that reached the origins on AWS. The field `about` of the file describes them.
    fn captures() -> Vec<Value> {
        let recorded: Value = serde_json::from_str(include_str!("gateway/origins.json")).unwrap();
        recorded["captures"].as_array().unwrap().clone()
    }

    /// The branch that the functions read from the path of a result or of a redirect.
    fn branch_in(raw_path: &str) -> Option<String> {
        match Route::parse(raw_path, None)? {
            Route::Submit(target) => target.map(|target| target.branch.into_owned()),
            Route::Read(ReadRoute::Redirect(target)) => Some(target.branch.into_owned()),
            Route::Read(_) => None,
        }
    }

    #[test]
    fn paths_arrive_as_captured_on_aws() {
        let captures = captures();
        let mut paths = captures.iter().flat_map(|capture| capture["paths"].as_array().unwrap()).peekable();
        assert!(paths.peek().is_some());
        for path in paths {
            let prefix = match path["origin"].as_str() {
                Some("http_api") => "/tests/results/linux/acme/kit",
                Some("function_url") => "/redirect/test-results/linux/acme/kit",
                _ => panic!("unknown origin: {path}"),
            };
            let sent = format!("{prefix}{}", path["sent"].as_str().unwrap());
            let arrived = raw_path(&sent);
            match (path["raw_path"].as_str(), path["branch"].as_str(), path["status"].as_u64()) {
                (Some(expected), None, None) => {
                    assert_eq!(arrived.as_deref(), Some(&*format!("{prefix}{expected}")), "{path}");
                }
                (None, Some(expected), None) => {
                    assert_eq!(arrived.as_deref().and_then(branch_in).as_deref(), Some(expected), "{path}");
                }
                (None, None, Some(400)) => assert_eq!(arrived, None, "{path}"),
                _ => panic!("expected raw_path, branch or the status 400: {path}"),
            }
        }
    }

    #[test]
    fn headers_arrive_as_captured_on_aws() {
        let headers = captures().into_iter().filter_map(|capture| capture["headers"].as_array().cloned());
        // `local` has no CDN, which drops some headers.
        for header in headers.flatten().filter(|header| header["arrives"] == true) {
            let name = header["header"].as_str().unwrap();
            let event = event_with(Request::post("/tests/results").header(name, "x"), b"{}");
            assert_eq!(event.headers[name], "x", "{header}");
        }
    }

    #[test]
    fn a_branch_in_a_url_means_the_same_at_both_origins() {
        for branch in ["main", "feature/x", "a%23b", "100%", "what?", "a b+c~d", "λ", "..", "a/../b"] {
            let suffix = branch_suffix(branch);
            let (path, _) = suffix.split_once('?').unwrap_or((&suffix, ""));
            let sent = format!("/tests/results/linux/acme/kit{path}");
            assert_eq!(raw_path(&sent).as_deref(), Some(&*sent), "{branch}");
        }
    }

    #[test]
    fn the_http_api_has_a_route_for_posts_and_for_the_history() {
        let (ingest_api, badge_api) = (Some(Function::IngestApi), Some(Function::BadgeApi));
        for (path, post, get, put) in [
            ("/tests/results", ingest_api, None, None),
            ("/tests/results/", None, None, None),
            ("/tests/results/acme/kit", ingest_api, badge_api, None),
            ("/tests/resultsx", None, None, None),
            ("/tests/latest/acme/kit", badge_api, badge_api, badge_api),
            ("/health", badge_api, badge_api, badge_api),
        ] {
            let functions = [Method::POST, Method::GET, Method::PUT].map(|method| function(&method, path));
            assert_eq!(functions, [post, get, put], "{path}");
            assert_eq!(function(&Method::HEAD, path), get, "{path}");
            assert_eq!(function(&Method::OPTIONS, path), get, "{path}");
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
