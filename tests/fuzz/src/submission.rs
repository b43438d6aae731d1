//! The body of a submission, in both forms of the post.

use std::fmt::Write;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use badgesmith_api::error_response::ErrorResponse;
use badgesmith_api::route::{branch_suffix, segment};
use badgesmith_domain::test_result::{TestResult, TestRun};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use ingest_api::read_unverified;
use serde_json::Value;

use super::messages::check_result;

/// The fields have at most about 10 KB, and JSON escapes some characters with a backslash.
const BODY_BYTES_MAX: usize = 20_000;

pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let in_body = post("/tests/results", &text);
    let in_path = post("/tests/results/linux/acme/kit/main", &text);
    if let Ok(result) = &in_body {
        check_result(result);
        check_body(result);
        check_path_form(&text, &result.run);
    }
    if let Ok(result) = &in_path {
        check_result(result);
        assert_eq!(result.run.repository.to_string(), "acme/kit");
        assert_eq!(result.run.branch.as_str(), "main");
    }
}

/// Reads a post with this body, and checks that base64 changes nothing.
fn post(target: &str, body: &str) -> Result<TestResult, Value> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut event = ApiGatewayV2httpRequest::default();
    event.request_context.http.method = Method::POST;
    event.raw_path = Some(path.to_owned());
    event.raw_query_string = Some(query.to_owned());
    let signature = format!("sha256={:064}", 0);
    event.headers.insert("x-signature", HeaderValue::try_from(signature).expect("a header"));
    event.headers.insert("x-repo-secret", HeaderValue::from_static("acme/kit"));
    event.body = Some(body.to_owned());
    let plain = read_unverified(&event).map_err(error);
    event.body = Some(STANDARD.encode(body));
    event.is_base64_encoded = true;
    assert_eq!(read_unverified(&event).map_err(error), plain, "base64 changes nothing: {body:?}");
    plain
}

/// The body of an error response, which has the documented shape and a bounded length.
fn error(error: ErrorResponse) -> Value {
    let response = error.into_response().into_event();
    assert!([400, 413].contains(&response.status_code), "{response:?}");
    let text = std::str::from_utf8(response.body.as_deref().expect("a body")).expect("UTF-8");
    assert!(text.len() <= 40_000, "{} bytes: {text}", text.len());
    let body: Value = serde_json::from_str(text).expect("JSON");
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    let details = body["error_details"].as_array().expect("details");
    assert!((1..=20).contains(&details.len()), "{body}");
    for detail in details {
        let code = detail["error_code"].as_str().expect("a code");
        assert!(code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{body}");
    }
    body
}

/// Checks that the body that a client would send for an accepted result leads to the same result.
fn check_body(result: &TestResult) {
    let nonce = "550e8400-e29b-41d4-a716-446655440000".parse().expect("a nonce");
    let body = result.run.to_body(&nonce).expect("a run serializes");
    assert!(body.len() <= BODY_BYTES_MAX, "{} bytes", body.len());
    let again = post("/tests/results", &body);
    assert_eq!(again.as_ref().map(|result| &result.run), Ok(&result.run), "{body}");
}

/// Checks that the same body, with its names in the path, leads to the same result.
fn check_path_form(body: &str, run: &TestRun) {
    let mut path = String::from("/tests/results");
    let TestRun { repository, platform, branch, .. } = run;
    for name in [platform.as_str(), repository.owner.as_str(), repository.repo.as_str()] {
        write!(path, "/{}", segment(name)).expect("a string");
    }
    let in_path = post(&format!("{path}{}", branch_suffix(branch.as_str())), body);
    assert_eq!(in_path.as_ref().map(|result| &result.run), Ok(run), "{body}");
}
