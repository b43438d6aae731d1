//! Submissions to a service that responds as each test says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use badgesmith_domain::signature::{Digest, HmacKey};

use super::super::id_token::TokenEndpoint;
use super::super::payload::testing::test_run;
use super::*;

const ACCEPTED: &str = r#"202 Accepted|{"test_result_id":"6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70"}"#;
const ID: &str = "6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70";
const KEY: &[u8] = b"correct horse battery staple";

/// Serves one response after the other, each `STATUS|BODY` or `STATUS|BODY|HEADER: VALUE`; an empty one closes
/// the connection. The thread returns the requests.
fn serve<const N: usize>(responses: [&'static str; N]) -> (ServiceUrl, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = std::thread::spawn(move || {
        let serve_one = |response: &str| {
            let (mut stream, _) = listener.accept().unwrap();
            let posted = read(&mut stream);
            if let Some((status, rest)) = response.split_once('|') {
                let (body, header) = rest.split_once('|').unwrap_or((rest, "X-None: 0"));
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{header}\r\nConnection: close");
                write!(stream, "{head}\r\n\r\n{body}").unwrap();
            }
            posted
        };
        responses.into_iter().map(serve_one).collect()
    });
    (url, server)
}

/// A whole request.
fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if body.len() >= header(head, "content-length").map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.lines().take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

async fn send_to(
    url: &ServiceUrl,
    clock: Clock,
    retrying: impl FnMut(&str, Duration),
) -> Result<Accepted, SendError> {
    send_with(&Proof::Key(HmacKey::new(KEY).unwrap()), url, clock, retrying).await
}

async fn send_with(
    proof: &Proof,
    url: &ServiceUrl,
    clock: Clock,
    retrying: impl FnMut(&str, Duration),
) -> Result<Accepted, SendError> {
    send(&Service { url, proof, retry_for: Duration::from_mins(1), clock }, &test_run(), retrying).await
}

/// The same with tokens that the server issues, too.
async fn send_with_token(
    url: &ServiceUrl,
    clock: Clock,
    retrying: impl FnMut(&str, Duration),
) -> Result<Accepted, SendError> {
    let endpoint = TokenEndpoint::new(&format!("{url}/idtoken?api-version=2.0"), "request-token").unwrap();
    send_with(&Proof::IdToken(endpoint), url, clock, retrying).await
}

#[tokio::test]
async fn the_same_bytes_are_sent_until_they_are_accepted() {
    for retried in [
        ["503 Service Unavailable|{}|Retry-After: 0", ""],
        [
            r#"409 Conflict|{"error_details":[{"error_code":"SUBMISSION_IN_PROGRESS"}]}|Retry-After: 0"#,
            "429 Too Many Requests|{}",
        ],
    ] {
        let (url, server) = serve([retried[0], retried[1], ACCEPTED]);
        let mut retries = 0;
        let accepted = send_to(&url, Clock::System, |_, _| retries += 1).await.unwrap();
        assert_eq!((accepted.test_result_id.to_string().as_str(), retries), (ID, 2));
        let posted = server.join().unwrap();
        assert!(posted.iter().all(|post| *post == posted[0]), "{posted:?}");
        let signature = header(&posted[0], "x-signature").unwrap().parse().unwrap();
        assert!(HmacKey::new(KEY).unwrap().verifies(body(&posted[0]).as_bytes(), &signature));
    }
}

#[tokio::test]
async fn a_stale_request_is_signed_again() {
    let (url, server) = serve(["503 Service Unavailable|{}", ACCEPTED]);
    let clock = Clock::manual("2026-01-15T10:30:00Z".parse().unwrap());
    let same_clock = clock.clone();
    send_to(&url, clock, |_, _| same_clock.advance(REQUEST_AGE_MAX + Duration::from_secs(1))).await.unwrap();
    let posted = server.join().unwrap();
    assert!(posted[0].contains("10:30:00.000Z") && posted[1].contains("10:34:01.000Z"), "{posted:?}");
}

#[tokio::test]
async fn a_result_that_was_accepted_before_is_accepted() {
    let (url, _) = serve([
        r#"409 Conflict|{"error_details":[{"error_code":"ALREADY_ACCEPTED"}],"test_result_id":"6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70"}"#,
    ]);
    let accepted = send_to(&url, Clock::System, |_, _| {}).await.unwrap();
    assert_eq!(accepted.test_result_id.to_string(), ID);
}

#[track_caller]
fn check(result: Result<Accepted, SendError>, expected: &str) {
    let message = result.expect_err("the result is not accepted").to_string();
    assert!(message.contains(expected), "{message}");
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    let never = |reason: &str, _| panic!("retried: {reason}");
    let (url, _) = serve([
        r#"400 Bad Request|{"message":"total: expected the sum","error_details":[{"error_code":"INVALID_TOTAL","property_name":"total"}]}"#,
    ]);
    check(send_to(&url, Clock::System, never).await, "400 Bad Request: total: expected the sum (total)");
    let (url, _) = serve([
        r#"401 Unauthorized|{"error_details":[{"error_code":"TIMESTAMP_NOT_FRESH"}]}|Date: Thu, 15 Jan 2026 10:30:00 GMT"#,
    ]);
    check(send_to(&url, Clock::System, never).await, "Thu, 15 Jan 2026 10:30:00 GMT at the service");
    let (url, _) = serve([r#"401 Unauthorized|{"error_details":[{"error_code":"UNAUTHORIZED"}]}"#]);
    check(send_to(&url, Clock::System, never).await, "check the key, and that acme/kit is registered");
    let (url, _) =
        serve([r#"405 Method Not Allowed|{"error_details":[{"error_code":"METHOD_NOT_ALLOWED"}]}"#]);
    check(send_to(&url, Clock::System, never).await, "405 Method Not Allowed from http://127.0.0.1:");
    let (url, _) = serve(["501 Not Implemented|Unsupported method"]);
    check(send_to(&url, Clock::System, never).await, "unexpected response 501 Not Implemented");
    let (url, _) = serve(["302 Found||Location: http://127.0.0.1:9/"]);
    check(send_to(&url, Clock::System, never).await, "unexpected response 302 Found");
    for body in [
        "{}",
        r#"{"test_result_id":7}"#,
        r#"{"test_result_id":"x\nmarkdown=[forged](https://evil.test)"}"#,
        r#"{"test_result_id":"6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70\nmarkdown=x"}"#,
    ] {
        let (url, _) = serve([Box::leak(format!("202 Accepted|{body}").into_boxed_str())]);
        check(send_to(&url, Clock::System, never).await, "check that --url");
    }
}

#[tokio::test]
async fn retries_end_after_the_time_given() {
    let (url, _) =
        serve(["503 Service Unavailable|{\"message\":\"busy\"}|Retry-After: 18446744073709551615"]);
    check(send_to(&url, Clock::System, |_, _| {}).await, "within 60 s: 503 Service Unavailable: busy");
}

#[tokio::test]
async fn a_token_is_requested_for_the_body_and_sent_with_it_until_both_are_stale() {
    let unavailable = r#"503 Service Unavailable|{"message":"the keys of the issuer are not known yet"}"#;
    let (url, server) = serve([
        "403 Forbidden|not yet",
        r#"200 OK|{"count":1,"value":"first.id.token"}"#,
        unavailable,
        unavailable,
        r#"200 OK|{"value":"second.id.token"}"#,
        ACCEPTED,
    ]);
    let clock = Clock::manual("2026-01-15T10:30:00Z".parse().unwrap());
    let (same_clock, mut reasons) = (clock.clone(), Vec::new());
    send_with_token(&url, clock, |reason, _| {
        reasons.push(reason.to_owned());
        if reasons.len() == 3 {
            same_clock.advance(REQUEST_AGE_MAX + Duration::from_secs(1));
        }
    })
    .await
    .unwrap();
    insta::assert_snapshot!(reasons.join("\n"), @r"
    the CI system did not issue an OIDC token: 127.0.0.1 responded with 403 Forbidden
    503 Service Unavailable: the keys of the issuer are not known yet
    503 Service Unavailable: the keys of the issuer are not known yet
    ");
    let requests = server.join().unwrap();
    let [refused, first, posted, again, second, posted_later] = requests.try_into().unwrap();
    for (request, post) in [(first, &posted), (second, &posted_later)] {
        let audience = url.audience(&Digest::of(body(post).as_bytes()));
        let audience = audience.replace(':', "%3A").replace('/', "%2F");
        let expected = format!("GET /idtoken?api-version=2.0&audience={audience} HTTP/1.1");
        assert_eq!(request.lines().next(), Some(&*expected));
        assert_eq!(header(&request, "authorization"), Some("bearer request-token"));
    }
    assert!(refused.starts_with("GET /idtoken?"), "{refused}");
    assert_eq!(again, posted);
    assert_ne!(body(&posted), body(&posted_later));
    for (post, token) in [(posted, "first.id.token"), (posted_later, "second.id.token")] {
        assert_eq!(header(&post, "x-id-token"), Some(token));
        assert_eq!((header(&post, "x-signature"), header(&post, "authorization")), (None, None));
    }
}

#[tokio::test]
async fn an_endpoint_without_a_token_is_an_error_that_reveals_nothing() {
    let never = |reason: &str, _| panic!("retried: {reason}");
    for (response, expected) in [
        ("401 Unauthorized|secret", "127.0.0.1 responded with 401 Unauthorized"),
        ("302 Found|secret|Location: http://127.0.0.1:9/", "127.0.0.1 responded with 302 Found"),
        ("200 OK|secret", "but without a token"),
        (r#"200 OK|{"value":"secret\r\nx-signature: 1"}"#, "but without a token"),
    ] {
        let (url, _) = serve([response]);
        let error = send_with_token(&url, Clock::System, never).await;
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        check(error, expected);
    }
}

#[tokio::test]
async fn a_rejected_token_says_what_to_check() {
    let (url, _) = serve([
        r#"200 OK|{"value":"a.b.c"}"#,
        r#"401 Unauthorized|{"error_details":[{"error_code":"UNAUTHORIZED"}]}"#,
    ]);
    let error = send_with_token(&url, Clock::System, |_, _| {}).await.unwrap_err().to_string();
    insta::assert_snapshot!(error.replace(&url.to_string(), "URL"), @"the service rejected the result: 401 Unauthorized: it does not accept the OIDC token of this job; check that it registers repositories of acme (OidcOwners) or that acme/kit was added with `badgesmith repo add acme/kit --keyless`, that URL is one of its own addresses, and that this job runs for branch main");
}
