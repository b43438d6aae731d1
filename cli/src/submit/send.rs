//! Sends a result until it is accepted. A POST is not idempotent
//! (<https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2>), but the service accepts the same bytes only once.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sdk::causes;
use badgesmith_domain::signature::HmacKey;
use badgesmith_domain::test_result::{TestResultId, TestRun};
use badgesmith_domain::timestamp::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::Instant;

use super::payload::SignedRequest;
use super::urls::ServiceUrl;

/// The service accepts a timestamp for five minutes; one minute is left for the request.
const SIGNATURE_AGE_MAX: Duration = Duration::from_mins(4);
/// The timeout of a whole attempt. API Gateway waits for 30 s at most.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(31);
/// The delay before the second attempt. It doubles with each attempt, and half of it is random.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// Larger than any response of the service.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Why a result was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("failed to create an HTTP client: {0}")]
    Client(reqwest::Error),
    /// Retrying would not help.
    #[error("the service rejected the result: {0}")]
    Rejected(String),
    /// The service does not say which of the two is wrong.
    #[error(
        "the service rejected the result: 401 Unauthorized: unknown repository or invalid signature; check the key, \
         and that {0} is registered"
    )]
    Unauthorized(String),
    #[error("unexpected response {0}: check that --url is the URL of a BadgeSmith service")]
    UnexpectedResponse(StatusCode),
    #[error("this machine's clock is wrong: it is {local} here and {service} at the service; synchronize it")]
    ClockSkew { local: Timestamp, service: String },
    #[error("the service did not accept the result within {} s: {last}; submit it again later", .retry_for.as_secs())]
    TimedOut {
        retry_for: Duration,
        /// The outcome of the last attempt.
        last: String,
    },
}

/// A result that the service has stored or will store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) test_result_id: TestResultId,
}

enum Attempt {
    Accepted(Accepted),
    /// The reason, and the minimum delay.
    Retry(String, Duration),
    Failed(SendError),
}

/// The fields of a response's body that matter here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseBody {
    message: String,
    /// `None` also if it is not a UUID. Later steps of a job trust the id, so nothing else is accepted.
    #[serde(deserialize_with = "uuid_or_none")]
    test_result_id: Option<TestResultId>,
    error_details: Vec<ErrorDetail>,
}

fn uuid_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TestResultId>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_str().and_then(|text| text.parse().ok()))
}

#[derive(Debug, Deserialize)]
struct ErrorDetail {
    error_code: String,
    property_name: Option<String>,
}

/// The service, and how results are sent to it.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    pub(crate) url: &'a ServiceUrl,
    pub(crate) key: &'a HmacKey,
    /// The maximum time to keep retrying.
    pub(crate) retry_for: Duration,
    /// The source of timestamps.
    pub(crate) clock: Clock,
}

/// An HTTP client with a timeout for the whole response. It follows no redirects, so that a signed body is sent to no
/// other URL.
///
/// # Errors
/// If the platform's certificates cannot be read, for example.
pub(crate) fn client(timeout: Duration) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("badgesmith/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .redirect(Policy::none())
        .build()
}

/// Sends `test_run` until it is accepted or rejected, or `retry_for` is over. Retries send the same bytes while
/// their timestamp is fresh; `retrying` is called before each with the reason and the time to wait.
pub(crate) async fn send(
    service: &Service<'_>,
    test_run: &TestRun,
    mut retrying: impl FnMut(&str, Duration),
) -> Result<Accepted, SendError> {
    let Service { url, key, retry_for, clock } = service;
    let client = client(ATTEMPT_TIMEOUT).map_err(SendError::Client)?;
    let url = url.results();
    let started = Instant::now();
    let mut request = SignedRequest::new(test_run, key, clock.now());
    let mut backoff = BACKOFF_FIRST;
    loop {
        if clock.now().since(request.timestamp) > SIGNATURE_AGE_MAX {
            request = SignedRequest::new(test_run, key, clock.now());
        }
        let (last, wait) = match attempt(&client, &url, &request).await {
            Attempt::Accepted(accepted) => return Ok(accepted),
            Attempt::Failed(error) => return Err(error),
            Attempt::Retry(reason, retry_after) => {
                (reason, retry_after.max(backoff.mul_f64(0.5 + fastrand::f64() / 2.0)))
            }
        };
        if started.elapsed().saturating_add(wait) > *retry_for {
            return Err(SendError::TimedOut { retry_for: *retry_for, last });
        }
        retrying(&last, wait);
        tokio::time::sleep(wait).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn attempt(client: &Client, url: &str, request: &SignedRequest) -> Attempt {
    let response = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header("x-repo-secret", &request.repository)
        .header("x-signature", &request.signature)
        .body(request.body.clone())
        .send()
        .await;
    match response {
        Ok(response) => classify(response, request).await,
        Err(error) => Attempt::Retry(format!("{url}: {}", causes(&error.without_url())), Duration::ZERO),
    }
}

async fn classify(response: Response, request: &SignedRequest) -> Attempt {
    let status = response.status();
    let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let retry_after_seconds = header(RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
    let retry_after = Duration::from_secs(retry_after_seconds.unwrap_or_default());
    let date = header(DATE);
    let body = match read_body(response).await {
        Ok(body) => serde_json::from_str::<ResponseBody>(&body).unwrap_or_default(),
        Err(error) => return Attempt::Retry(causes(&error), Duration::ZERO),
    };
    let code = body.error_details.first().map_or("", |detail| detail.error_code.as_str());
    let is_accepted =
        matches!((status, code), (StatusCode::ACCEPTED, _) | (StatusCode::CONFLICT, "ALREADY_ACCEPTED"));
    if let Some(test_result_id) = body.test_result_id.filter(|_| is_accepted) {
        return Attempt::Accepted(Accepted { test_result_id });
    }
    match (status, code) {
        (StatusCode::CONFLICT, "SUBMISSION_IN_PROGRESS") | (StatusCode::TOO_MANY_REQUESTS, _) => {
            Attempt::Retry(describe(status, &body), retry_after)
        }
        (StatusCode::UNAUTHORIZED, "TIMESTAMP_NOT_FRESH") => Attempt::Failed(SendError::ClockSkew {
            local: request.timestamp,
            service: date.unwrap_or_else(|| "another time".to_owned()),
        }),
        (StatusCode::UNAUTHORIZED, _) => Attempt::Failed(SendError::Unauthorized(request.repository.clone())),
        // Another path of the service, or another service.
        (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => {
            Attempt::Failed(SendError::UnexpectedResponse(status))
        }
        _ if status.is_server_error() => Attempt::Retry(describe(status, &body), retry_after),
        _ if body.error_details.is_empty() => Attempt::Failed(SendError::UnexpectedResponse(status)),
        _ => Attempt::Failed(SendError::Rejected(describe(status, &body))),
    }
}

async fn read_body(mut response: Response) -> reqwest::Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > RESPONSE_BYTES_MAX {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Status and message, and the fields that the message is about.
fn describe(status: StatusCode, body: &ResponseBody) -> String {
    let message = if body.message.is_empty() { "no reason given" } else { &body.message };
    let properties: Vec<_> =
        body.error_details.iter().filter_map(|detail| detail.property_name.as_deref()).collect();
    if properties.is_empty() {
        format!("{status}: {message}")
    } else {
        format!("{status}: {message} ({})", properties.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread::JoinHandle;

    use super::super::payload::testing::test_run;
    use super::*;

    const ACCEPTED: &str = r#"202 Accepted|{"test_result_id":"6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70"}"#;
    const ID: &str = "6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70";
    const KEY: &[u8] = b"correct horse battery staple";

    /// Serves one response after the other, each `STATUS|BODY` or `STATUS|BODY|HEADER: VALUE`; an empty one closes
    /// the connection. The thread returns the requests.
    fn serve<const N: usize>(responses: [&'static str; N]) -> (ServiceUrl, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = ServiceUrl::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = std::thread::spawn(move || {
            let serve_one = |response: &str| {
                let (mut stream, _) = listener.accept().unwrap();
                let posted = read(&mut stream);
                if let Some((status, rest)) = response.split_once('|') {
                    let (body, header) = rest.split_once('|').unwrap_or((rest, "X-None: 0"));
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{header}\r\nConnection: close"
                    );
                    write!(stream, "{head}\r\n\r\n{body}").unwrap();
                }
                posted
            };
            responses.into_iter().map(serve_one).collect()
        });
        (url, server)
    }

    /// The signature and the body of a request.
    fn read(stream: &mut TcpStream) -> String {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let header = |name: &str| {
                let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name)).unwrap();
                line.split_once(": ").unwrap().1.to_owned()
            };
            if body.len() >= header("content-length").parse().unwrap() {
                return format!("{} {body}", header("x-signature"));
            }
        }
    }

    async fn send_to(
        url: &ServiceUrl,
        clock: Clock,
        retrying: impl FnMut(&str, Duration),
    ) -> Result<Accepted, SendError> {
        let key = HmacKey::new(KEY).unwrap();
        send(&Service { url, key: &key, retry_for: Duration::from_mins(1), clock }, &test_run(), retrying)
            .await
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
            let (signature, body) = posted[0].split_once(' ').unwrap();
            assert!(HmacKey::new(KEY).unwrap().verifies(body.as_bytes(), &signature.parse().unwrap()));
        }
    }

    #[tokio::test]
    async fn a_stale_request_is_signed_again() {
        let (url, server) = serve(["503 Service Unavailable|{}", ACCEPTED]);
        let clock = Clock::manual("2026-01-15T10:30:00Z".parse().unwrap());
        let same_clock = clock.clone();
        send_to(&url, clock, |_, _| same_clock.advance(SIGNATURE_AGE_MAX + Duration::from_secs(1)))
            .await
            .unwrap();
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
        check(send_to(&url, Clock::System, never).await, "405 Method Not Allowed: check that --url");
        let (url, _) = serve(["302 Found||Location: http://127.0.0.1:9/"]);
        check(send_to(&url, Clock::System, never).await, "unexpected response 302 Found: check that --url");
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
}
