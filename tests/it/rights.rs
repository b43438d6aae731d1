//! What a function's role allows is what the function does, seen in its calls: nothing less, and nothing more.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use local::stack::RESULTS_QUEUE;
use serde_json::Value;
use tests::client::{KEY, REPOSITORY};
use tests::faults::{Call, Fault};
use tests::function::Function;
use tests::upstream::{Account, Upstream, Visibility};
use tests::world::World;

use crate::template::{resources, texts};

/// What Lambda does in the name of a function: its logs, its traces, its queue.
const BESIDE: [&str; 5] =
    ["logs:", "xray:", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// An action and a resource, as the template writes them.
type Right = (String, String);

/// What the role of a function allows.
fn allowed(function: &str) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    let role = &resources()[format!("{function}Role")];
    for policy in role["Properties"]["Policies"].as_array().unwrap() {
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            for action in one_or_more(&statement["Action"]) {
                let resources = one_or_more(&statement["Resource"]).into_iter();
                rights.extend(resources.map(|resource| (action.clone(), resource)));
            }
        }
    }
    rights
}

fn one_or_more(value: &Value) -> BTreeSet<String> {
    value.as_str().map_or_else(|| texts(value), |one| BTreeSet::from([one.to_owned()]))
}

/// What it takes to be allowed these calls.
fn needed(calls: &[Call]) -> BTreeSet<Right> {
    calls.iter().flat_map(|Call { operation, body }| rights_of(operation, body)).collect()
}

/// <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
fn rights_of(operation: &str, body: &Value) -> Vec<Right> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let right = |service: &str, resource: String| vec![(format!("{service}:{operation}"), resource)];
    match operation {
        "SendMessage" => {
            let url = text(&body["QueueUrl"]);
            right("sqs", format!("{}.Arn", url.rsplit('/').next().unwrap()))
        }
        "PutEvents" => right("events", format!("{}.Arn", text(&body["Entries"][0]["EventBusName"]))),
        "GetSecretValue" => {
            let name = text(&body["SecretId"]);
            let kind = name.split('/').take(2).collect::<Vec<_>>().join("/");
            let arn = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret";
            right("secretsmanager", format!("{arn}:{kind}/*"))
        }
        "BatchWriteItem" | "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().unwrap().keys();
            tables.flat_map(|table| right("dynamodb", format!("{table}.Arn"))).collect()
        }
        // A transaction needs the right to each of its writes.
        "TransactWriteItems" => {
            let writes = body["TransactItems"].as_array().unwrap().iter();
            let writes = writes.flat_map(|write| write.as_object().unwrap());
            writes
                .map(|(kind, write)| {
                    (format!("dynamodb:{kind}Item"), format!("{}.Arn", text(&write["TableName"])))
                })
                .collect()
        }
        _ => {
            let table = text(&body["TableName"]);
            match body["IndexName"].as_str() {
                Some(index) => right("dynamodb", format!("${{{table}.Arn}}/index/{index}")),
                None => right("dynamodb", format!("{table}.Arn")),
            }
        }
    }
}

/// Holds the role of a function to its calls so far.
#[track_caller]
fn check(world: &World, function: Function) {
    let function = function.logical_id();
    let mut calls = world.faults.take_calls();
    calls.retain(|call| !matches!(call.operation.as_str(), "ReceiveMessage" | "DeleteMessageBatch"));
    let mut allowed = allowed(function);
    allowed.retain(|(action, _)| !BESIDE.iter().any(|beside| action.starts_with(beside)));
    assert_eq!(allowed, needed(&calls), "what {function} is allowed, and what it needs");
}

#[tokio::test(start_paused = true)]
async fn ingest_api() {
    let world = World::new();
    world.set_key(REPOSITORY, KEY);
    world.warm_up(Function::IngestApi).await;
    assert_eq!(world.submit(&world.post()).await.status, 202);
    world.faults.plan("SendMessage", Fault::Fails, usize::MAX);
    assert_eq!(world.submit(&world.post()).await.status, 503);
    check(&world, Function::IngestApi);
}

#[tokio::test(start_paused = true)]
async fn processor() {
    let world = World::new();
    assert_eq!(world.submit(&world.post()).await.status, 202);
    world.send(RESULTS_QUEUE, "no result").await;
    world.faults.take_calls();
    world.warm_up(Function::Processor).await;
    world.drain().await;
    assert_eq!(world.dead_letters(), 1);
    check(&world, Function::Processor);
}

#[tokio::test(start_paused = true)]
async fn badge_api() {
    let world = World::new();
    world.warm_up(Function::BadgeApi).await;
    for path in [
        "/badges/tests/linux/acme/kit/main",
        "/redirect/test-results/linux/acme/kit/main",
        "/tests/results/acme/kit",
        "/tests/results/acme/kit?branch=main&platform=linux",
        "/badges/packages/nuget/acme.kit",
        "/badges/packages/github/acme/acme.kit?version=1.0",
        "/health",
    ] {
        world.request(Method::GET, path, &[]).await;
    }
    check(&world, Function::BadgeApi);
}

#[tokio::test]
async fn refresher() {
    let upstream = Upstream::start();
    upstream.publish("acme.kit", &["1.0.0"]);
    upstream.github_token("ghp_one", &["acme"]);
    upstream.github_publish(Account::Org("acme"), "closed.kit", Visibility::Private, &["1.0.0"]);
    let world = World::with_upstream(&upstream);
    world.set_github_token("acme/closed.kit", "ghp_one").await;
    for package in ["nuget/acme.kit", "github/acme/closed.kit", "nuget/acme.none"] {
        world.version(package).await;
    }
    world.faults.take_calls();
    world.drain_requests().await;
    upstream.publish("acme.kit", &["1.0.0", "1.1.0"]);
    // What is no longer to be shown is deleted.
    world.delete_github_token("acme/closed.kit").await;
    world.clock.advance(Duration::from_hours(1));
    let report = world.refresh_due().await;
    assert_eq!((report.changed, report.not_found), (1, 1), "{report:?}");
    check(&world, Function::Refresher);
}
