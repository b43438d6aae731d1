//! Sending a result until it is accepted: <https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2> does not make a
//! POST safe to repeat, but the service does, for the same bytes.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sdk::causes;
use badgesmith_domain::signature::HmacKey;
use badgesmith_domain::timestamp::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::address::ServiceUrl;
use super::result::{RunResult, Signed};

/// The service takes a timestamp for five minutes; a minute is left for the way.
const FRESH: Duration = Duration::from_mins(4);
/// A whole attempt. API Gateway waits for 30 s at most.
const ATTEMPT: Duration = Duration::from_secs(31);
/// Before the second attempt, doubled before each further one, half of it by chance.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// No answer has more to say.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why a result was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No client could be made.
    #[error("cannot send anything: {0}")]
    Client(reqwest::Error),
    /// Sending it again would not help.
    #[error("the service refused the result: {0}")]
    Refused(String),
    /// Not an answer of BadgeSmith.
    #[error("{0} is no answer of BadgeSmith: check --url")]
    Stranger(StatusCode),
    /// This machine's clock is wrong.
    #[error("the clock of this machine is wrong: it is {ours} here and {theirs} at the service")]
    Clock {
        /// Here.
        ours: Timestamp,
        /// As the service's answer says.
        theirs: String,
    },
    /// The time was up.
    #[error("the service did not accept the result within {} s: {last}", .within.as_secs())]
    GaveUp {
        /// How long was tried.
        within: Duration,
        /// What the last attempt came to.
        last: String,
    },
}

/// A result that is safe with the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) test_result_id: String,
}

/// What an attempt came to.
enum Attempt {
    Accepted(Accepted),
    /// Worth another try, not before so long.
    Again(String, Duration),
    Failed(SendError),
}

/// An answer of the service, as far as it matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    message: String,
    test_result_id: String,
    error_details: Vec<ErrorDetail>,
}

#[derive(Debug, Deserialize)]
struct ErrorDetail {
    error_code: String,
    property_name: Option<String>,
}

/// Where results are sent, and for how long.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    /// Where it is.
    pub(crate) base: &'a ServiceUrl,
    /// What results are signed with.
    pub(crate) key: &'a HmacKey,
    /// For how long is tried.
    pub(crate) patience: Duration,
    /// What results are dated by.
    pub(crate) clock: Clock,
}

/// A client of the service that waits for `patience` for a whole answer. It follows no redirect: a signed body goes where
/// it was sent, and nowhere else.
///
/// # Errors
/// When the platform's certificates cannot be read, for example.
pub(crate) fn client(patience: Duration) -> reqwest::Result<Client> {
    let client = Client::builder().user_agent(concat!("badgesmith/", env!("CARGO_PKG_VERSION")));
    client.timeout(patience).redirect(Policy::none()).build()
}

/// Sends `result` until it is accepted, refused, or the patience is over. The same bytes are sent again as long as
/// they are fresh; `retrying` is told of each failed attempt.
///
/// # Errors
/// [`SendError`], which says what to do.
pub(crate) async fn send(
    service: &Service<'_>,
    result: &RunResult,
    mut retrying: impl FnMut(&str, Duration),
) -> Result<Accepted, SendError> {
    let Service { base, key, patience, clock } = service;
    let client = client(ATTEMPT).map_err(SendError::Client)?;
    let url = format!("{base}/tests/results");
    let started = Instant::now();
    let mut signed = result.sign(key, clock.now());
    let mut backoff = BACKOFF_FIRST;
    loop {
        if clock.now().since(signed.at) > FRESH {
            signed = result.sign(key, clock.now());
        }
        let (last, wait) = match attempt(&client, &url, &signed).await {
            Attempt::Accepted(accepted) => return Ok(accepted),
            Attempt::Failed(error) => return Err(error),
            Attempt::Again(last, retry_after) => {
                (last, retry_after.max(backoff.mul_f64(0.5 + fastrand::f64() / 2.0)))
            }
        };
        if started.elapsed().saturating_add(wait) > *patience {
            return Err(SendError::GaveUp { within: *patience, last });
        }
        retrying(&last, wait);
        tokio::time::sleep(wait).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn attempt(client: &Client, url: &str, signed: &Signed) -> Attempt {
    let request = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header("x-repo-secret", &signed.repository)
        .header("x-signature", &signed.signature)
        .body(signed.body.clone());
    match request.send().await {
        Ok(response) => judge(response, signed).await,
        Err(error) => Attempt::Again(format!("{url}: {}", causes(&error.without_url())), Duration::ZERO),
    }
}

/// What an answer means for the result.
async fn judge(response: Response, signed: &Signed) -> Attempt {
    let status = response.status();
    let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let retry_after = header(RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).unwrap_or_default();
    let date = header(DATE);
    let answer = match body(response).await {
        Ok(body) => serde_json::from_str::<Answer>(&body).unwrap_or_default(),
        Err(error) => return Attempt::Again(causes(&error), Duration::ZERO),
    };
    let code = answer.error_details.first().map_or("", |detail| detail.error_code.as_str());
    match (status, code) {
        (StatusCode::ACCEPTED, _) | (StatusCode::CONFLICT, "ALREADY_ACCEPTED")
            if !answer.test_result_id.is_empty() =>
        {
            Attempt::Accepted(Accepted { test_result_id: answer.test_result_id })
        }
        (StatusCode::CONFLICT, "SUBMISSION_IN_PROGRESS") | (StatusCode::TOO_MANY_REQUESTS, _) => {
            Attempt::Again(said(status, &answer), Duration::from_secs(retry_after))
        }
        (StatusCode::UNAUTHORIZED, "TIMESTAMP_NOT_FRESH") => Attempt::Failed(SendError::Clock {
            ours: signed.at,
            theirs: date.unwrap_or_else(|| "another time".to_owned()),
        }),
        _ if status.is_server_error() => {
            Attempt::Again(said(status, &answer), Duration::from_secs(retry_after))
        }
        _ if answer.error_details.is_empty() => Attempt::Failed(SendError::Stranger(status)),
        _ => Attempt::Failed(SendError::Refused(said(status, &answer))),
    }
}

async fn body(mut response: Response) -> reqwest::Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// What the service says, for a person: its sentence, and the fields that it complains of.
fn said(status: StatusCode, answer: &Answer) -> String {
    let message = if answer.message.is_empty() { "no reason given" } else { &answer.message };
    let properties: Vec<_> =
        answer.error_details.iter().filter_map(|detail| detail.property_name.as_deref()).collect();
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

    use badgesmith_domain::test_result::{Counts, RunAttempt};

    use super::*;

    const ACCEPTED: &str = r#"202 Accepted|{"test_result_id":"6f1f0c7e"}"#;
    const KEY: &[u8] = b"correct horse battery staple";

    /// Answers one request after the other, each `STATUS|BODY` or `STATUS|BODY|HEADER: VALUE`; an empty answer
    /// closes the connection. Returns what was posted.
    fn serve(answers: &'static [&'static str]) -> (ServiceUrl, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = ServiceUrl::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = std::thread::spawn(move || {
            let answer_one = |answer: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let posted = read(&mut stream);
                if let Some((status, rest)) = answer.split_once('|') {
                    let (body, header) = rest.split_once('|').unwrap_or((rest, "X-None: 0"));
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{header}\r\nConnection: close"
                    );
                    write!(stream, "{head}\r\n\r\n{body}").unwrap();
                }
                posted
            };
            answers.iter().map(answer_one).collect()
        });
        (base, server)
    }

    /// The body of a request, and its signature.
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

    fn result() -> RunResult {
        RunResult {
            repository: "acme/kit".parse().unwrap(),
            platform: "linux".parse().unwrap(),
            branch: "main".parse().unwrap(),
            counts: Counts::new(190, 0, 0, 190).unwrap(),
            run_id: "1".parse().unwrap(),
            run_attempt: RunAttempt::default(),
            commit: None,
            run_url: None,
        }
    }

    async fn sent(
        base: &ServiceUrl,
        clock: Clock,
        retrying: impl FnMut(&str, Duration),
    ) -> Result<Accepted, SendError> {
        let key = HmacKey::new(KEY).unwrap();
        send(&Service { base, key: &key, patience: Duration::from_secs(10), clock }, &result(), retrying)
            .await
    }

    #[tokio::test]
    async fn the_same_bytes_are_sent_until_they_are_accepted() {
        let (base, server) = serve(&[
            "503 Service Unavailable|{}|Retry-After: 0",
            "",
            r#"409 Conflict|{"error_details":[{"error_code":"SUBMISSION_IN_PROGRESS"}]}|Retry-After: 0"#,
            "429 Too Many Requests|{}",
            ACCEPTED,
        ]);
        let mut retries = 0;
        let accepted = sent(&base, Clock::System, |_, _| retries += 1).await.unwrap();
        assert_eq!((accepted.test_result_id.as_str(), retries), ("6f1f0c7e", 4));
        let posted = server.join().unwrap();
        assert!(posted.iter().all(|post| *post == posted[0]), "{posted:?}");
        let (signature, body) = posted[0].split_once(' ').unwrap();
        assert!(HmacKey::new(KEY).unwrap().verifies(body.as_bytes(), &signature.parse().unwrap()));
    }

    #[tokio::test]
    async fn what_is_no_longer_fresh_is_signed_anew() {
        let (base, server) = serve(&["503 Service Unavailable|{}", ACCEPTED]);
        let clock = Clock::manual("2026-01-15T10:30:00Z".parse().unwrap());
        let hands = clock.clone();
        sent(&base, clock, |_, _| hands.advance(FRESH + Duration::from_secs(1))).await.unwrap();
        let posted = server.join().unwrap();
        assert!(posted[0].contains("10:30:00.000Z") && posted[1].contains("10:34:01.000Z"), "{posted:?}");
    }

    #[tokio::test]
    async fn accepted_before_is_accepted() {
        let (base, _) = serve(&[
            r#"409 Conflict|{"error_details":[{"error_code":"ALREADY_ACCEPTED"}],"test_result_id":"7"}"#,
        ]);
        assert_eq!(sent(&base, Clock::System, |_, _| {}).await.unwrap().test_result_id, "7");
    }

    #[track_caller]
    fn check(result: Result<Accepted, SendError>, expected: &str) {
        let message = result.expect_err("it was not accepted").to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[tokio::test]
    async fn what_cannot_get_better_is_not_tried_again() {
        let never = |reason: &str, _| panic!("tried again: {reason}");
        let (base, _) = serve(&[
            r#"400 Bad Request|{"message":"total: expected the sum","error_details":[{"error_code":"INVALID_TOTAL","property_name":"total"}]}"#,
        ]);
        check(sent(&base, Clock::System, never).await, "400 Bad Request: total: expected the sum (total)");
        let (base, _) = serve(&[
            r#"401 Unauthorized|{"error_details":[{"error_code":"TIMESTAMP_NOT_FRESH"}]}|Date: Thu, 15 Jan 2026 10:30:00 GMT"#,
        ]);
        check(sent(&base, Clock::System, never).await, "Thu, 15 Jan 2026 10:30:00 GMT at the service");
        let (base, _) = serve(&["302 Found||Location: http://127.0.0.1:9/"]);
        check(sent(&base, Clock::System, never).await, "302 Found is no answer of BadgeSmith: check --url");
        let (base, _) = serve(&["202 Accepted|{}"]);
        check(sent(&base, Clock::System, never).await, "check --url");
    }

    #[tokio::test]
    async fn patience_ends() {
        let (base, _) =
            serve(&["503 Service Unavailable|{\"message\":\"busy\"}|Retry-After: 18446744073709551615"]);
        check(sent(&base, Clock::System, |_, _| {}).await, "within 10 s: 503 Service Unavailable: busy");
    }
}
