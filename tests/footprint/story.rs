//! What each function is asked, and the calls that it may make for it.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::endpoint::{Endpoint, aws_with};
use tests::events;
use tests::faults::Faults;
use tests::function::Function;
use tests::sandbox::Sandbox;

/// What came of a process that was started and asked.
pub(crate) struct Told {
    /// Until the first answer.
    pub(crate) cpu_time: Duration,
    /// Calls and answers that were not as they should be.
    pub(crate) unexpected: Vec<String>,
}

/// A question, with the status of its answer and the calls that it takes.
struct Step {
    what: &'static str,
    event: Value,
    /// Of what answers HTTP.
    status: Option<u16>,
    calls: &'static [&'static str],
}

/// Starts a process of a function, and asks it what it is for.
pub(crate) async fn tell(function: Function, program: &Path) -> io::Result<Told> {
    let calls = Faults::new(aws_with(&[events::test_result("main")]).await);
    let endpoint = Endpoint::start(calls.clone(), &[]).await;
    let mut environment = function.environment();
    environment.extend(endpoint.environment());
    let mut sandbox = Sandbox::start(program, &environment).await?;
    let mut unexpected = Vec::from_iter(compare("its start", when_started(function), &calls));
    let (mut first, opened) = (None, endpoint.connections());
    for Step { what, event, status, calls: expected } in steps(function) {
        let (answer, cpu_time) = sandbox.invoke(event).await?;
        if first.is_none() {
            first = Some(cpu_time);
            // One that opens none before has to open its own.
            if opened > 0 && endpoint.connections() > opened {
                unexpected.push("its first answer has to wait for a connection".to_owned());
            }
        }
        unexpected.extend(compare(what, expected, &calls));
        let failed = answer["batchItemFailures"].as_array().is_some_and(|failed| !failed.is_empty());
        if failed || status.map(u64::from) != answer["statusCode"].as_u64() {
            unexpected.push(format!("{what} is answered with {answer}"));
        }
    }
    Ok(Told { cpu_time: first.unwrap_or_default(), unexpected })
}

/// The calls that open connections; see `prime` in each function.
fn when_started(function: Function) -> &'static [&'static str] {
    match function {
        Function::IngestApi => &["GetSecretValue", "UpdateItem"],
        Function::Processor => &["BatchWriteItem"],
        Function::Refresher => &[],
        Function::BadgeApi => &["Query"],
    }
}

fn steps(function: Function) -> Vec<Step> {
    let step = |what, event, status, calls| Step { what, event, status, calls };
    match function {
        Function::IngestApi => vec![
            step(
                "a repository's first post",
                events::post(),
                Some(202),
                &["GetSecretValue", "PutItem", "SendMessage", "UpdateItem"],
            ),
            step("another post", events::post(), Some(202), &["PutItem", "SendMessage", "UpdateItem"]),
        ],
        Function::Processor => {
            vec![step("a batch", events::full_batch(), None, &["BatchWriteItem", "PutEvents"])]
        }
        Function::Refresher => vec![
            step("that a package is read", events::package_read(), None, &["UpdateItem"]),
            step("the schedule", events::schedule(), None, &["Query"; 9]),
        ],
        Function::BadgeApi => vec![
            step("a badge", events::badge("main", ""), Some(200), &["Query"]),
            step("the same badge again", events::badge("main", ""), Some(200), &[]),
            step("the same badge, not modified", events::badge("main", "*"), Some(304), &[]),
            step("a badge without a result", events::badge("none", ""), Some(200), &["Query"]),
        ],
    }
}

/// Holds the calls since the last time to what is expected, in any order.
fn compare(what: &str, expected: &[&str], calls: &Faults) -> Option<String> {
    let mut made: Vec<_> = calls.take_calls().into_iter().map(|call| call.operation).collect();
    made.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    (made != expected).then(|| format!("{what} makes the calls {made:?}, and should make {expected:?}"))
}
