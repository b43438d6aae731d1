//! Sends a result until it is accepted. A POST is not idempotent
//! (<https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2>), but the service accepts the same bytes only once.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sdk::causes;
use badgesmith_domain::ids::Branch;
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::test_result::{TestResultId, TestRun};
use badgesmith_domain::timestamp::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::Instant;

use super::id_token::{TokenError, retry_after};
use super::payload::{ProofHeader, ResultRequest};
use super::proof::Proof;
use super::urls::results_url;

/// The service accepts a timestamp for five minutes, and GitHub's tokens expire after five; one minute is left for the
/// request.
const REQUEST_AGE_MAX: Duration = Duration::from_mins(4);
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
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The service does not say what is wrong.
    #[error(
        "the service rejected the result: 401 Unauthorized: it does not accept the OIDC token of this job; check that it \
         registers repositories of {owner} (OidcOwners) or that {repository} was added with `badgesmith repo add \
         {repository} --keyless`, that {service} is one of its own addresses, and that this job runs for branch {branch}"
    )]
    TokenRejected { owner: String, repository: String, service: ServiceUrl, branch: Branch },
    #[error(
        "unexpected response {status} from {service}: check that --url is the URL of a BadgeSmith service"
    )]
    UnexpectedResponse { service: ServiceUrl, status: StatusCode },
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
    pub(crate) proof: &'a Proof,
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
    let client = client(ATTEMPT_TIMEOUT).map_err(SendError::Client)?;
    let retry_for = service.retry_for;
    let started = Instant::now();
    let mut request = None;
    let mut backoff = BACKOFF_FIRST;
    loop {
        let (last, wait) = match attempt(&client, service, test_run, &mut request).await {
            Attempt::Accepted(accepted) => return Ok(accepted),
            Attempt::Failed(error) => return Err(error),
            Attempt::Retry(reason, retry_after) => {
                (reason, retry_after.max(backoff.mul_f64(0.5 + fastrand::f64() / 2.0)))
            }
        };
        if started.elapsed().saturating_add(wait) > retry_for {
            return Err(SendError::TimedOut { retry_for, last });
        }
        retrying(&last, wait);
        tokio::time::sleep(wait).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// Sends `request`, or a new one if there is none or if it is too old.
async fn attempt(
    client: &Client,
    service: &Service<'_>,
    test_run: &TestRun,
    request: &mut Option<ResultRequest>,
) -> Attempt {
    let Service { url, proof, clock, .. } = service;
    let now = clock.now();
    let fresh = request.take().filter(|request| now.since(request.timestamp) <= REQUEST_AGE_MAX);
    let request = request.insert(match fresh {
        Some(request) => request,
        None => match ResultRequest::new(client, url, test_run, proof, now).await {
            Ok(request) => request,
            Err(error @ TokenError::Transient { retry_after, .. }) => {
                return Attempt::Retry(error.to_string(), retry_after);
            }
            Err(error) => return Attempt::Failed(error.into()),
        },
    });
    let url = results_url(url);
    let post = client.post(&url).header(CONTENT_TYPE, "application/json");
    let post = match &request.proof {
        ProofHeader::Signature(signature) => post.header("x-signature", signature),
        ProofHeader::IdToken(token) => post.header("x-id-token", token.0.clone()),
    };
    let response = post.header("x-repo-secret", &request.repository).body(request.body.clone()).send().await;
    match response {
        Ok(response) => classify(response, request.timestamp, service, test_run).await,
        Err(error) => Attempt::Retry(format!("{url}: {}", causes(&error.without_url())), Duration::ZERO),
    }
}

async fn classify(response: Response, sent: Timestamp, service: &Service<'_>, test_run: &TestRun) -> Attempt {
    let status = response.status();
    let unexpected =
        || Attempt::Failed(SendError::UnexpectedResponse { service: service.url.clone(), status });
    let retry_after = retry_after(&response);
    let date = response.headers().get(DATE).and_then(|date| Some(date.to_str().ok()?.to_owned()));
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
            local: sent,
            service: date.unwrap_or_else(|| "another time".to_owned()),
        }),
        (StatusCode::UNAUTHORIZED, _) => Attempt::Failed(unauthorized(service, test_run)),
        // Another path of the service, or another service.
        (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED, _) => {
            unexpected()
        }
        _ if status.is_server_error() => Attempt::Retry(describe(status, &body), retry_after),
        _ if body.error_details.is_empty() => unexpected(),
        _ => Attempt::Failed(SendError::Rejected(describe(status, &body))),
    }
}

fn unauthorized(service: &Service<'_>, test_run: &TestRun) -> SendError {
    let TestRun { repository, branch, .. } = test_run;
    match service.proof {
        Proof::Key(_) => SendError::Unauthorized(repository.to_string()),
        Proof::IdToken(_) => SendError::TokenRejected {
            owner: repository.owner.to_string(),
            repository: repository.to_string(),
            service: service.url.clone(),
            branch: branch.clone(),
        },
    }
}

/// The body, or its beginning if it is larger than any response of the service.
pub(crate) async fn read_body(mut response: Response) -> reqwest::Result<String> {
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
mod tests;
