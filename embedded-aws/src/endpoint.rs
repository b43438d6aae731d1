//! The embedded services over HTTP, for the AWS CLI and whatever else operators use that has an SDK:
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>
//!
//! Nobody signs in. What protects the keys is that only programs on this machine reach the port, as they
//! could read the files; and a page in a browser is none of them, though a browser would carry its requests
//! here. So what a page can send is refused: whatever has an `Origin`, or another type than the protocol's,
//! which a page cannot send without asking first; and whatever was sent to a name other than this machine's,
//! which a page's own name may have been made to mean.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error::ServiceError;
use super::{Aws, sqs};
use crate::listener;

/// DynamoDB takes the largest requests, of 16 MB.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What is at work is done by then. Who waits for a message may wait much longer, and is cut off.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);
/// What the type of every request begins with, and the type of an answer to one that has none.
const CONTENT_TYPE_PREFIX: &str = "application/x-amz-json-";
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// A port of this machine where the embedded services are going to be.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    /// Takes a port on 127.0.0.1; 0 takes a free one. Requests wait until they are served.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn bind(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has `aws` answer requests until `stop` is cancelled.
    pub async fn serve(self, aws: Aws, stop: CancellationToken) {
        listener::serve(self.listener, stop, SHUTDOWN_MAX, move |request| {
            let aws = aws.clone();
            async move { answer(&aws, request).await }
        })
        .await;
    }
}

/// A request that is not let through, and why.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

/// Answers one request, and logs it in one line.
async fn answer(aws: &Aws, request: Request<Incoming>) -> Response<Bytes> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let target = head.headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
    let result = match admit(&head) {
        Ok(host) => match listener::read(body, BODY_BYTES_MAX).await {
            Ok(body) => aws.answer(host, target, body.into()).await,
            Err(status) => Err(refuse(&Refusal {
                status,
                code: "RequestEntityTooLargeException",
                message: "a request has at most 16 MiB",
            })),
        },
        Err(refusal) => Err(refuse(&refusal)),
    };
    let response = respond(&head.headers, target, result);
    let milliseconds = started.elapsed().as_millis();
    tracing::info!("AWS {target} {} {milliseconds} ms", response.status().as_u16());
    response
}

/// The host that a request was sent to, if it may go on.
fn admit(head: &Parts) -> Result<&str, Refusal> {
    let forbidden =
        |message| Refusal { status: StatusCode::FORBIDDEN, code: "AccessDeniedException", message };
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().filter(|host| is_this_machine(host)),
        _ => None,
    };
    let Some(host) =
        host.filter(|_| head.uri.authority().is_none_or(|other| is_this_machine(other.as_str())))
    else {
        return Err(forbidden("requests must be sent to 127.0.0.1 or localhost, and to no other name"));
    };
    if head.headers.contains_key(header::ORIGIN) {
        return Err(forbidden("requests of pages in a browser are refused"));
    }
    if head.method != Method::POST {
        return Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "UnknownOperationException",
            message: "this is for AWS SDKs and the AWS CLI, which use POST",
        });
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with(CONTENT_TYPE_PREFIX)) {
        return Err(Refusal {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "UnsupportedMediaTypeException",
            message: "only application/x-amz-json-1.0 and -1.1 are spoken here; an SDK or AWS CLI of before 2024 \
                      may not speak it with SQS",
        });
    }
    Ok(host)
}

/// Whether `host`, with a port or without, is a name of this machine that means nothing else to a browser.
fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    !host.contains('@') && (is_loopback || name.eq_ignore_ascii_case("localhost"))
}

fn refuse(refusal: &Refusal) -> ServiceError {
    let error = ServiceError::client(refusal.code, refusal.message);
    ServiceError { status: refusal.status.as_u16(), ..error }
}

/// Makes a response of the version of the protocol that the request had.
fn respond(headers: &HeaderMap, target: &str, result: Result<String, ServiceError>) -> Response<Bytes> {
    let (status, body, code) = match result {
        Ok(body) => (200, body, None),
        Err(error) => (error.status, error.body.clone(), Some(error.code())),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let spoken = |value: &&HeaderValue| value.as_bytes().starts_with(CONTENT_TYPE_PREFIX.as_bytes());
    let content_type = headers.get(header::CONTENT_TYPE).filter(spoken).unwrap_or(&CONTENT_TYPE).clone();
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    // SQS had another protocol before. Its clients go by the names of errors that they had then.
    if let Some(code) = code.filter(|_| target.starts_with("AmazonSQS.")) {
        let fault = if status < 500 { "Sender" } else { "Receiver" };
        if let Ok(error) = HeaderValue::from_str(&format!("{};{fault}", sqs::query_code(&code))) {
            response.headers_mut().insert(QUERY_ERROR, error);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_let_through() {
        for good in [
            "127.0.0.1",
            "127.0.0.1:4566",
            "127.9.9.9:1",
            "localhost",
            "LocalHost:4566",
            "[::1]:4566",
            "[::1]",
        ] {
            assert!(is_this_machine(good), "{good}");
        }
        for bad in [
            "",
            "evil.test",
            "evil.test:4566",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
            "evil.test@127.0.0.1",
            "0.0.0.0:4566",
            "192.168.1.1",
            "[::]",
            "2130706433",
            "127.0.0.1 evil.test",
        ] {
            assert!(!is_this_machine(bad), "{bad}");
        }
    }
}
