//! The messages of the queues: a result, and a request for a package.

use aws_lambda_events::event::sqs::SqsMessage;
use badgesmith_domain::key::{self, ResultOrder, SORT_KEY_BYTES_MAX};
use badgesmith_domain::message::{MessageError, ResultMessage};
use badgesmith_domain::package_request::{PackageRequest, RequestError};
use badgesmith_domain::test_result::TestResult;
use refresher::Invocation;
use serde_json::{Value, json};

/// The maximum length of a partition key in DynamoDB, in bytes.
const PARTITION_KEY_BYTES_MAX: usize = 2048;

pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match ResultMessage::parse(&text) {
        Ok(message) => {
            check_result(&message.result);
            check_fields(&text, &message.result);
        }
        Err(MessageError::Newer(version)) => assert!(version > 2),
        Err(error @ MessageError::Malformed(_)) => assert!(!error.to_string().is_empty()),
    }
    match PackageRequest::parse_event(&text) {
        Ok(request) => check_request(&request),
        Err(RequestError::Newer(version)) => assert!(version > 1),
        Err(error @ RequestError::Malformed(_)) => assert!(!error.to_string().is_empty()),
    }
    // The events of the functions must not panic.
    let _ = serde_json::from_str::<Invocation>(&text);
    let _ = serde_json::from_str::<SqsMessage>(&text);
}

/// Checks that these fields are kept as written.
fn check_fields(text: &str, result: &TestResult) {
    let given: Value = serde_json::from_str(text).expect("a message is JSON");
    let read = serde_json::to_value(result).expect("a result serializes");
    for name in ["branch", "suite", "run_id", "url_html", "workflow_run_url", "default_branch", "failures"] {
        let given = &given["result"][name];
        let is_absent = given.is_null() || given.as_array().is_some_and(Vec::is_empty);
        assert!(given == &read[name] || is_absent && read[name].is_null(), "{name}: {text}");
    }
}

/// Checks that a result is the same after its queue, and that its keys have valid lengths.
pub(crate) fn check_result(result: &TestResult) {
    let message = ResultMessage::new(result.clone());
    let body = serde_json::to_string(&message).expect("a message serializes");
    assert_eq!(ResultMessage::parse(&body).expect("the message was just written"), message, "{body}");
    let run = &result.run;
    let order = ResultOrder::of(result);
    assert_eq!(order.to_string().parse().as_ref(), Ok(&order));
    let sort_keys = [
        key::result_sort(run.platform, &run.branch, &order),
        key::slot_sort(&run.branch, run.platform, run.suite.as_ref()),
        order.to_string(),
    ];
    assert!(sort_keys.iter().all(|key| key.len() <= SORT_KEY_BYTES_MAX), "{sort_keys:?}");
    let partition_keys = [
        key::results_partition(&run.repository),
        key::slots_partition(&run.repository),
        key::branch_partition(&run.repository, &run.branch),
    ];
    assert!(partition_keys.iter().all(|key| key.len() <= PARTITION_KEY_BYTES_MAX), "{partition_keys:?}");
}

fn check_request(request: &PackageRequest) {
    let body = json!({ "detail": request }).to_string();
    assert_eq!(PackageRequest::parse_event(&body).expect("the event was just written"), *request, "{body}");
    let partition = key::package_partition(&request.package);
    assert_eq!(key::package_of(&partition).as_ref(), Some(&request.package), "{partition}");
    assert!(partition.len() <= PARTITION_KEY_BYTES_MAX);
    if let Some(spelling) = request.spelling() {
        assert!(spelling.eq_ignore_ascii_case(request.package.name().as_str()));
    }
    let mut merged = request.clone();
    merged.merge(request);
    assert_eq!(merged, *request, "a copy of a request changes nothing");
}
