//! The error codes of invalid requests.

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use embedded_aws::{Aws, Storage};
use serde_json::{Value, json};

use super::{Served, serve};

async fn error_code(aws: &Aws, target: &str, request: &Value) -> String {
    let mut http = HttpRequest::new(request.to_string().into());
    http.headers_mut().insert("x-amz-target", target.to_owned());
    let response = aws.call(http).await.unwrap();
    let body: Value = serde_json::from_slice(response.body().bytes().unwrap()).unwrap();
    let code = body["__type"].as_str().unwrap_or_default();
    code.rsplit('#').next().unwrap().to_owned()
}

async fn check<const N: usize>(service: &str, cases: [(&str, Value, &str); N]) {
    let Served { aws, .. } = serve(&Storage::Memory).await;
    aws.secrets().put("kept", "a value").unwrap();
    for (operation, request, expected) in cases {
        let code = error_code(&aws, &format!("{service}.{operation}"), &request).await;
        assert_eq!(code, expected, "{operation} {request}");
    }
}

fn with_queue(mut request: Value) -> Value {
    request["QueueUrl"] = "http://sqs.test/000000000000/badge-results".into();
    request
}

#[tokio::test]
async fn sqs_rejects_invalid_requests_with_its_error_codes() {
    let batch = |entries: Value| with_queue(json!({ "Entries": entries }));
    let entry = |id: &str| json!({ "Id": id, "MessageBody": "x" });
    let many: Vec<_> = (0..11).map(|id| entry(&id.to_string())).collect();
    let large: Vec<_> =
        (0..2).map(|id| json!({ "Id": id.to_string(), "MessageBody": "x".repeat(600_000) })).collect();
    let empty_attribute = json!({ "a": { "DataType": "String", "StringValue": "" } });
    let handle = "11111111-2222-4333-8444-555555555555";
    let value = "InvalidParameterValueException";
    let missing = "MissingRequiredParameterException";
    check(
        "AmazonSQS",
        [
            ("NoSuchOperation", json!({}), "UnknownOperationException"),
            ("SendMessage", json!({}), "SerializationException"),
            ("SendMessage", json!({ "QueueUrl": "http://sqs.test/0/NoQueue" }), "QueueDoesNotExist"),
            ("GetQueueUrl", json!({ "QueueName": "NoQueue" }), "QueueDoesNotExist"),
            (
                "GetQueueAttributes",
                with_queue(json!({ "AttributeNames": ["Color"] })),
                "InvalidAttributeName",
            ),
            ("SendMessage", with_queue(json!({})), missing),
            ("SendMessage", with_queue(json!({ "MessageBody": "\u{1}" })), "InvalidMessageContents"),
            ("SendMessage", with_queue(json!({ "MessageBody": "x".repeat(1024 * 1024 + 1) })), value),
            ("SendMessage", with_queue(json!({ "MessageBody": "x", "DelaySeconds": 901 })), value),
            ("SendMessage", with_queue(json!({ "MessageBody": "x", "MessageGroupId": "a b" })), value),
            (
                "SendMessage",
                with_queue(json!({ "MessageBody": "x", "MessageAttributes": empty_attribute })),
                value,
            ),
            ("SendMessageBatch", batch(json!([])), "EmptyBatchRequest"),
            ("SendMessageBatch", batch(many.into()), "TooManyEntriesInBatchRequest"),
            ("SendMessageBatch", batch(json!([entry("a"), entry("a")])), "BatchEntryIdsNotDistinct"),
            ("SendMessageBatch", batch(json!([entry("a b")])), "InvalidBatchEntryId"),
            ("SendMessageBatch", batch(large.into()), "BatchRequestTooLong"),
            ("ReceiveMessage", with_queue(json!({ "WaitTimeSeconds": 21 })), value),
            ("ReceiveMessage", with_queue(json!({ "MaxNumberOfMessages": 11 })), value),
            ("ReceiveMessage", with_queue(json!({ "VisibilityTimeout": 43_201 })), value),
            ("DeleteMessage", with_queue(json!({ "ReceiptHandle": "hunter2" })), "ReceiptHandleIsInvalid"),
            ("ChangeMessageVisibility", with_queue(json!({ "ReceiptHandle": handle })), missing),
            (
                "ChangeMessageVisibility",
                with_queue(json!({ "ReceiptHandle": handle, "VisibilityTimeout": 1 })),
                value,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn secrets_manager_rejects_invalid_requests_with_its_error_codes() {
    let kept = |mut request: Value| {
        request["SecretId"] = "kept".into();
        request
    };
    let created =
        |name: &str, value: Value| json!({ "Name": name, "ClientRequestToken": "t", "SecretString": value });
    let (not_found, parameter) = ("ResourceNotFoundException", "InvalidParameterException");
    let unknown = json!({ "SecretId": "unknown" });
    check(
        "secretsmanager",
        [
            ("RotateSecret", kept(json!({})), "UnknownOperationException"),
            ("GetSecretValue", unknown.clone(), not_found),
            ("GetSecretValue", kept(json!({ "VersionStage": "AWSPREVIOUS" })), not_found),
            ("GetSecretValue", kept(json!({ "VersionId": "an-id" })), parameter),
            ("DescribeSecret", unknown.clone(), not_found),
            ("DeleteSecret", unknown.clone(), not_found),
            ("RestoreSecret", unknown, not_found),
            ("DeleteSecret", kept(json!({ "RecoveryWindowInDays": 6 })), parameter),
            (
                "DeleteSecret",
                kept(json!({ "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": true })),
                parameter,
            ),
            ("CreateSecret", created("a b", "x".into()), "ValidationException"),
            ("CreateSecret", created("kept", "x".into()), "ResourceExistsException"),
            ("CreateSecret", created("new", Value::Null), parameter),
            ("CreateSecret", created("new", "x".repeat(65_537).into()), parameter),
            (
                "PutSecretValue",
                kept(json!({ "ClientRequestToken": "t", "SecretString": "x", "VersionStages": ["AWSPENDING"] })),
                parameter,
            ),
            ("ListSecrets", json!({ "Filters": [{ "Key": "name", "Values": ["a"] }] }), parameter),
        ],
    )
    .await;
}

#[tokio::test]
async fn tables_and_event_buses_reject_invalid_requests_with_their_error_codes() {
    let key = json!({ "TableName": "NoTable", "Key": { "PK": { "S": "x" } } });
    let unknown = "UnknownOperationException";
    check("DynamoDB_20120810", [("GetItem", key, "ResourceNotFoundException"), ("Get", json!({}), unknown)])
        .await;
    check(
        "AWSEvents",
        [
            ("DescribeEventBus", json!({ "Name": "NoBus" }), "ResourceNotFoundException"),
            ("PutEvents", json!({ "Entries": [] }), "ValidationException"),
            ("ListRules", json!({}), unknown),
        ],
    )
    .await;
}
