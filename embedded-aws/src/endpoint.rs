//! The embedded services over HTTP, for the AWS CLI and other tools with an AWS SDK:
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>
//!
//! Requests are not authenticated: only programs on this machine reach the port, and they could read the files as well.
//! A web page must not reach it through the browser, so every request that a page can send is rejected:
//! - a request with an `Origin` header;
//! - a request whose content type is not that of the protocol: a page cannot set that type without a CORS preflight;
//! - a request to any host but this machine, because of DNS rebinding.

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

use crate::aws::Aws;
use crate::error::ServiceError;
use crate::listener;
use crate::sqs::query_code;

/// The largest requests are DynamoDB's, with 16 MB.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long shutdown waits for requests. A long poll of SQS takes up to 20 s, and must not delay it.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);
/// Every request has a content type with this prefix. An error for one without it has [`CONTENT_TYPE`].
const CONTENT_TYPE_PREFIX: &str = "application/x-amz-json-";
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// A bound port of this machine, not served yet.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    /// Binds a port of 127.0.0.1; 0 picks a free one. Connections wait until [`Self::serve`] is called.
    ///
    /// # Errors
    /// The error of the operating system, for example when the port is in use.
    pub async fn bind(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests with `aws` until `stop` is canceled.
    pub async fn serve(self, aws: Aws, stop: CancellationToken) {
        listener::serve(self.listener, stop, SHUTDOWN_MAX, move |request| {
            let aws = aws.clone();
            async move { answer(&aws, request).await }
        })
        .await;
    }
}

/// Why a request is rejected before it reaches the services.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

/// Answers one request, and logs it on one line.
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
                message: "the request is larger than 16 MiB, or did not arrive within 30 s",
            })),
        },
        Err(refusal) => Err(refuse(&refusal)),
    };
    let response = respond(&head.headers, target, result);
    let milliseconds = started.elapsed().as_millis();
    tracing::info!("AWS {target} {} {milliseconds} ms", response.status().as_u16());
    response
}

/// The host that a request was sent to, unless a web page could have sent it.
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
        return Err(forbidden("requests must be sent to 127.0.0.1 or localhost"));
    };
    if head.headers.contains_key(header::ORIGIN) {
        return Err(forbidden("requests from web pages are rejected"));
    }
    if head.method != Method::POST {
        return Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "UnknownOperationException",
            message: "AWS SDKs and the AWS CLI use POST",
        });
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with(CONTENT_TYPE_PREFIX)) {
        return Err(Refusal {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "UnsupportedMediaTypeException",
            message: "the content type must be application/x-amz-json-1.0 or -1.1; SDKs and the AWS CLI use it for \
                      SQS since 2024",
        });
    }
    Ok(host)
}

/// Whether `host`, with or without a port, is a loopback address or `localhost`, which no web page can rebind.
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

/// A response with the protocol version of the request.
fn respond(headers: &HeaderMap, target: &str, result: Result<String, ServiceError>) -> Response<Bytes> {
    let (status, body, code) = match result {
        Ok(body) => (200, body, None),
        Err(error) => (error.status, error.body.clone(), Some(error.code())),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_json = |value: &&HeaderValue| value.as_bytes().starts_with(CONTENT_TYPE_PREFIX.as_bytes());
    let content_type = headers.get(header::CONTENT_TYPE).filter(is_json).unwrap_or(&CONTENT_TYPE).clone();
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    // Clients of SQS match on the error codes of its former protocol.
    if let Some(code) = code.filter(|_| target.starts_with("AmazonSQS.")) {
        let fault = if status < 500 { "Sender" } else { "Receiver" };
        if let Ok(error) = HeaderValue::from_str(&format!("{};{fault}", query_code(&code))) {
            response.headers_mut().insert(QUERY_ERROR, error);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_accepted() {
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
