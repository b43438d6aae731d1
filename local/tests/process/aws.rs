//! The embedded services over HTTP, as the SDK of an operator's tool and the pages of a browser meet them.

mod queues;
mod secrets;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::sdk;
use serde_json::json;
use tests::client::{KEY, Post, result};

use super::Local;

const SECRET: &str = "badge/repo/acme/kit";

fn secret(key: &str) -> String {
    json!({ "hmac_key": key, "type": "repo_hmac" }).to_string()
}

/// Starts it with a port for AWS, and makes the configuration of an SDK that uses it.
fn start(arguments: &[&str]) -> (Local, SdkConfig) {
    let mut local = Local::start(&[&["--no-demo", "--aws-port", "0"], arguments].concat());
    let credentials = Credentials::new("any", "any", None, None, "test");
    let http_client = aws_smithy_http_client::Builder::new().build_http();
    let config = sdk::config("us-east-1".to_owned(), credentials, http_client);
    let config = config.into_builder().endpoint_url(local.aws_url()).build();
    (local, config)
}

fn start_in(data: &Path) -> (Local, SdkConfig) {
    start(&["--data-dir", data.to_str().unwrap()])
}

async fn submit(local: &Local, key: &str) -> u16 {
    local.api().send(&Post::json(&result(Clock::System.now())).signed(key)).await.unwrap().status
}

#[tokio::test]
async fn tables_and_event_buses_are_looked_into() {
    let (local, config) = start(&["--ephemeral", "--secret", super::SECRET]);
    let tables = aws_sdk_dynamodb::Client::new(&config);
    let names = tables.list_tables().send().await.unwrap();
    assert_eq!(names.table_names(), ["NoncesTable", "PackagesTable", "SecretsTable", "TestResultsTable"]);
    assert_eq!(submit(&local, KEY).await, 202);
    let scanned = tables.scan().table_name("NoncesTable").send().await.unwrap();
    assert!(scanned.items()[0]["PK"].as_s().unwrap().starts_with("NONCE#acme/kit#"));
    let none = tables.get_item().table_name("NoTable").key("PK", AttributeValue::S("x".to_owned()));
    assert!(none.send().await.unwrap_err().into_service_error().is_resource_not_found_exception());

    let events = aws_sdk_eventbridge::Client::new(&config);
    let buses = events.list_event_buses().send().await.unwrap();
    let names: Vec<_> = buses.event_buses().iter().map(|bus| bus.name().unwrap()).collect();
    assert_eq!(names, ["default", "EventBus"]);
    let bus = events.describe_event_bus().name("EventBus").send().await.unwrap();
    assert_eq!(bus.arn(), Some("arn:aws:events:local:000000000000:event-bus/EventBus"));
    let none = events.describe_event_bus().name("NoBus").send().await;
    assert!(none.unwrap_err().into_service_error().is_resource_not_found_exception());
}

/// Sends a request as it stands, and returns the answer as it came.
fn send_raw(port: &str, head: &[&str], body: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let head = head.join("\r\n");
    let length = body.len();
    write!(stream, "{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn pages_in_a_browser_are_refused() {
    let (_local, config) = start(&["--ephemeral", "--secret", super::SECRET]);
    let port = config.endpoint_url().unwrap().rsplit(':').next().unwrap();
    let body = json!({ "SecretId": SECRET }).to_string();
    let host = format!("Host: localhost:{port}");
    let target = "X-Amz-Target: secretsmanager.GetSecretValue";
    let json = "Content-Type: application/x-amz-json-1.1";
    let good = ["POST / HTTP/1.1", &host, target, json];
    let answer = send_raw(port, &good, &body);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("horse"), "{answer}");
    assert!(answer.contains("content-type: application/x-amz-json-1.1"), "{answer}");
    let evil = format!("Host: evil.test:{port}");
    let absolute = format!("POST http://evil.test:{port}/ HTTP/1.1");
    for (status, head) in [
        // Its name was made to mean this machine.
        (403, &["POST / HTTP/1.1", &evil, target, json][..]),
        (403, &[&absolute, &host, target, json]),
        (403, &["POST / HTTP/1.1", &host, &evil, target, json]),
        (403, &["POST / HTTP/1.1", target, json]),
        // It sends from where it is.
        (403, &["POST / HTTP/1.1", &host, target, json, "Origin: https://evil.test"]),
        (403, &["POST / HTTP/1.1", &host, target, json, "Origin: null"]),
        (
            403,
            &[
                "OPTIONS / HTTP/1.1",
                &host,
                "Origin: https://evil.test",
                "Access-Control-Request-Method: POST",
            ],
        ),
        // It sends what it may without asking, and says nothing of where it is.
        (415, &["POST / HTTP/1.1", &host, target, "Content-Type: text/plain"]),
        (415, &["POST / HTTP/1.1", &host, target, "Content-Type: application/x-www-form-urlencoded"]),
        (415, &["POST / HTTP/1.1", &host, target]),
        (405, &["GET / HTTP/1.1", &host, target, json]),
        (405, &["OPTIONS / HTTP/1.1", &host]),
        // It is no page, and asks for what there is not.
        (400, &["POST / HTTP/1.1", &host, json]),
        (400, &["POST / HTTP/1.1", &host, json, "X-Amz-Target: AmazonS3.GetObject"]),
    ] {
        let answer = send_raw(port, head, &body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {answer}");
        let lower = answer.to_lowercase();
        assert!(!lower.contains("horse") && !lower.contains("access-control"), "{head:?}: {answer}");
    }
    let old_name = send_raw(
        port,
        &[
            "POST / HTTP/1.1",
            &host,
            "X-Amz-Target: AmazonSQS.GetQueueUrl",
            "Content-Type: application/x-amz-json-1.0",
        ],
        r#"{"QueueName":"NoQueue"}"#,
    );
    assert!(
        old_name.contains("x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender"),
        "{old_name}"
    );
}
