//! Events for each function, and the calls to AWS that it makes for each.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::endpoint::{Endpoint, aws_with};
use tests::events;
use tests::faults::Faults;
use tests::function::Function;
use tests::sandbox::Sandbox;

/// What one process did.
pub(crate) struct Outcome {
    /// The CPU time until the first response.
    pub(crate) cpu_time: Duration,
    /// Unexpected calls and responses.
    pub(crate) faults: Vec<String>,
}

/// An event with the status of its response and the calls that it causes.
struct Step {
    name: &'static str,
    event: Value,
    /// `None` if the response is not HTTP.
    status: Option<u16>,
    calls: &'static [&'static str],
}

/// Starts a process of a function, and sends it the events of its scenario.
pub(crate) async fn run(function: Function, program: &Path) -> io::Result<Outcome> {
    let calls = Faults::new(aws_with(&[events::test_result("main")]).await);
    let endpoint = Endpoint::start(calls.clone(), &[]).await;
    let mut environment = function.environment();
    environment.extend(endpoint.environment());
    let mut sandbox = Sandbox::start(program, &environment, None).await?;
    let mut faults = Vec::from_iter(compare("the start", function.warm_up_calls(), &calls));
    let (mut first, opened) = (None, endpoint.connections());
    for Step { name, event, status, calls: expected } in steps(function) {
        let answer = sandbox.invoke(&event).await?.body;
        if first.is_none() {
            first = Some(sandbox.cpu_time().await?);
            // A function that opened no connection before has to open one now.
            if opened > 0 && endpoint.connections() > opened {
                faults.push("the first response has to wait for a connection".to_owned());
            }
        }
        faults.extend(compare(name, expected, &calls));
        let failed = answer["batchItemFailures"].as_array().is_some_and(|failed| !failed.is_empty());
        if failed || status.map(u64::from) != answer["statusCode"].as_u64() {
            faults.push(format!("{name} is answered with {answer}"));
        }
    }
    Ok(Outcome { cpu_time: first.unwrap_or_default(), faults })
}

fn steps(function: Function) -> Vec<Step> {
    let step = |name, event, status, calls| Step { name, event, status, calls };
    match function {
        Function::IngestApi => vec![
            step(
                "a repository's first post",
                events::post(),
                Some(202),
                &["GetItem", "PutItem", "SendMessage", "UpdateItem"],
            ),
            step("another post", events::post(), Some(202), &["PutItem", "SendMessage", "UpdateItem"]),
        ],
        Function::Processor => vec![
            step(
                "a batch of one suite",
                events::full_batch(1),
                None,
                &["BatchWriteItem", "PutEvents", "PutItem"],
            ),
            step(
                "a batch of two suites",
                events::full_batch(2),
                None,
                &["BatchWriteItem", "PutEvents", "PutItem", "PutItem"],
            ),
        ],
        Function::Refresher => vec![
            step("a read package", events::package_read(), None, &["UpdateItem"]),
            step("the schedule", events::schedule(), None, &["Query"; 10]),
        ],
        Function::BadgeApi => vec![
            step("a badge", events::badge("main", ""), Some(200), &["Query"]),
            step("the same badge again", events::badge("main", ""), Some(200), &[]),
            step("the same badge, not modified", events::badge("main", "*"), Some(304), &[]),
            step("a badge without a result", events::badge("none", ""), Some(200), &["Query"]),
        ],
    }
}

/// Compares the calls since the last time with the expected ones, in any order.
fn compare(name: &str, expected: &[&str], calls: &Faults) -> Option<String> {
    let mut made: Vec<_> = calls.take_calls().into_iter().map(|call| call.operation).collect();
    made.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    (made != expected).then(|| format!("{name} makes the calls {made:?}, and should make {expected:?}"))
}
