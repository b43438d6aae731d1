//! The HTTP endpoint.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use embedded_aws::Storage;
use serde_json::json;

use super::{Served, serve};

const SECRET: &str = "badge/repo/acme/kit";

/// Sends a request without waiting for the response.
fn send_raw(port: &str, head: &[&str], body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let head = head.join("\r\n");
    let length = body.len();
    write!(stream, "{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    stream
}

fn response_to(port: &str, head: &[&str], body: &str) -> String {
    let mut response = String::new();
    send_raw(port, head, body).read_to_string(&mut response).unwrap();
    response
}

#[tokio::test]
async fn tables_and_event_buses_are_those_of_the_template() {
    let Served { config, .. } = serve(&Storage::Memory).await;
    let tables = aws_sdk_dynamodb::Client::new(&config);
    let names = tables.list_tables().send().await.unwrap();
    assert_eq!(names.table_names(), ["badge-packages", "badge-secrets", "badge-test-results", "hmac-nonce"]);
    let item = ["PK", "SK"].map(|name| (name.to_owned(), AttributeValue::S("x".to_owned())));
    tables.put_item().table_name("badge-secrets").set_item(Some(item.clone().into())).send().await.unwrap();
    let scanned = tables.scan().table_name("badge-secrets").send().await.unwrap();
    assert_eq!(scanned.items(), [item.into()]);

    let events = aws_sdk_eventbridge::Client::new(&config);
    let bus = events.describe_event_bus().name("badge-events").send().await.unwrap();
    assert_eq!(bus.arn(), Some("arn:aws:events:local:000000000000:event-bus/badge-events"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_a_web_page_can_send_are_rejected() {
    let Served { aws, config, .. } = serve(&Storage::Memory).await;
    aws.secrets().put(SECRET, "correct horse").unwrap();
    let port = config.endpoint_url().unwrap().rsplit(':').next().unwrap();
    let body = json!({ "SecretId": SECRET }).to_string();
    let post = "POST / HTTP/1.1";
    let host = format!("Host: localhost:{port}");
    let target = "X-Amz-Target: secretsmanager.GetSecretValue";
    let json = "Content-Type: application/x-amz-json-1.1";
    let accepted = response_to(port, &[post, &host, target, json], &body);
    assert!(accepted.starts_with("HTTP/1.1 200 ") && accepted.contains("horse"), "{accepted}");
    assert!(accepted.contains("content-type: application/x-amz-json-1.1"), "{accepted}");
    let evil = format!("Host: evil.test:{port}");
    let absolute = format!("POST http://evil.test:{port}/ HTTP/1.1");
    for (status, head) in [
        // DNS rebinding.
        (403, &[post, &evil, target, json][..]),
        (403, &[&absolute, &host, target, json]),
        (403, &[post, &host, &evil, target, json]),
        (403, &[post, target, json]),
        // Requests with an origin, and preflights.
        (403, &[post, &host, target, json, "Origin: https://evil.test"]),
        (403, &[post, &host, target, json, "Origin: null"]),
        (403, &["OPTIONS / HTTP/1.1", &host, "Origin: https://evil.test"]),
        // Simple requests without an origin.
        (415, &[post, &host, target, "Content-Type: text/plain"]),
        (415, &[post, &host, target, "Content-Type: application/x-www-form-urlencoded"]),
        (415, &[post, &host, target]),
        (405, &["GET / HTTP/1.1", &host, target, json]),
        (405, &["OPTIONS / HTTP/1.1", &host]),
        // Not from a web page, but without a known operation.
        (400, &[post, &host, json]),
        (400, &[post, &host, json, "X-Amz-Target: AmazonS3.GetObject"]),
    ] {
        let response = response_to(port, head, &body);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {response}");
        let lower = response.to_lowercase();
        assert!(!lower.contains("horse") && !lower.contains("access-control"), "{head:?}: {response}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_does_not_delay_shutdown() {
    let Served { config, stop, server, .. } = serve(&Storage::Memory).await;
    let port = config.endpoint_url().unwrap().rsplit(':').next().unwrap();
    let host = format!("Host: localhost:{port}");
    let head = [
        "POST / HTTP/1.1",
        &host,
        "X-Amz-Target: AmazonSQS.ReceiveMessage",
        "Content-Type: application/x-amz-json-1.0",
    ];
    let poll = send_raw(port, &head, r#"{"QueueUrl":"badge-results","WaitTimeSeconds":20}"#);
    // Connections are accepted in order: after this response the server has the poll, too.
    aws_sdk_sqs::Client::new(&config).list_queues().send().await.unwrap();
    let started = Instant::now();
    stop.cancel();
    server.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    drop(poll);
}
