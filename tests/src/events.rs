//! The events that AWS invokes the functions with.

use badgesmith_aws::clock::Clock;
use badgesmith_aws::event_bridge::{PACKAGE_REQUESTED, SOURCE};
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::package_request::{PackageRequest, Reason};
use badgesmith_domain::test_result::TestResult;
use bytes::Bytes;
use http::{HeaderValue, Request};
use local::gateway;
use local::stack::{REFRESH_QUEUE, RESULTS_QUEUE};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Post, result, with};
use crate::endpoint::derived_key;

/// The headers that API Gateway and the CDN add to a request.
const HEADERS: [(&str, &str); 9] = [
    ("accept", "*/*"),
    ("accept-encoding", "gzip, br"),
    ("host", "abcdefghij.execute-api.us-east-1.amazonaws.com"),
    ("user-agent", "shields.io/server-2026-01-15"),
    ("via", "2.0 0123456789abcdef0123456789abcdef.cloudfront.net (CloudFront)"),
    ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
    ("x-forwarded-for", "203.0.113.7, 203.0.113.8"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-proto", "https"),
];

/// The template's `BatchSize`.
const BATCH: usize = 10;

pub fn request(mut request: Request<Bytes>) -> Value {
    for (name, value) in HEADERS {
        request.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    let event = gateway::event(&request, &Clock::System).expect("an event");
    serde_json::to_value(event).expect("JSON")
}

/// A conditional request for the badge of a branch, with this entity tag.
pub fn badge(branch: &str, tag: &str) -> Value {
    let request = Request::get(format!("/badges/tests/linux/acme/kit/{branch}")).header("if-none-match", tag);
    self::request(request.body(Bytes::new()).expect("a request"))
}

/// A signed post of a result with the current time.
pub fn post() -> Value {
    request(Post::json(&result(Clock::System.now())).signed(&derived_key()).request())
}

/// A stored result with the current time.
pub fn test_result(branch: &str) -> TestResult {
    let fields = json!({ "branch": branch, "test_result_id": Uuid::new_v4().to_string(), "nonce": null });
    serde_json::from_value(with(result(Clock::System.now()), &fields)).expect("a result")
}

/// A full batch of the queue of results, spread over this many branches.
pub fn full_batch(branches: usize) -> Value {
    let result = |number| ResultMessage::new(test_result(&format!("batch-{}", number % branches)));
    messages(RESULTS_QUEUE, (0..BATCH).map(|number| serde_json::to_string(&result(number)).expect("JSON")))
}

/// A `PackageRequested` event for a package that is still read, from the queue of requests.
pub fn package_read() -> Value {
    let package = "nuget/acme.kit".parse().expect("a package");
    let request = PackageRequest::new(package, Reason::StillRead, Clock::System.now());
    let event = json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": PACKAGE_REQUESTED,
        "source": SOURCE,
        "account": "000000000000",
        "time": Clock::System.now().to_string(),
        "region": "us-east-1",
        "resources": [],
        "detail": request,
    });
    messages(REFRESH_QUEUE, [event.to_string()])
}

fn messages(queue: &str, bodies: impl IntoIterator<Item = String>) -> Value {
    let sent_at = Clock::System.now().unix_milliseconds().to_string();
    let records = bodies.into_iter().map(|body| {
        json!({
            "messageId": Uuid::new_v4().to_string(),
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": sent_at,
                "SenderId": "AROAEXAMPLE:badgesmith-ingest-api",
                "ApproximateFirstReceiveTimestamp": sent_at,
                "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793",
            },
            "messageAttributes": {},
            "md5OfBody": "098f6bcd4621d373cade4e832627b4f6",
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
            "awsRegion": "us-east-1",
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

/// The event of the refresh schedule.
pub fn schedule() -> Value {
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": Clock::System.now().to_string(),
        "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:000000000000:rule/badgesmith-RefresherDue"],
        "detail": {},
    })
}
