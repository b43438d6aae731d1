//! The role of each function allows exactly the calls that the function makes.

use std::collections::BTreeSet;
use std::time::Duration;

use embedded_aws::template;
use http::Method;
use local::stack::RESULTS_QUEUE;
use serde_json::Value;
use tests::client::{KEY, REPOSITORY};
use tests::faults::{Call, Fault};
use tests::function::Function;
use tests::upstream::{Account, Upstream, Visibility};
use tests::world::World;

use crate::template::{resources, texts};

/// The actions that Lambda itself performs with the role of a function: logs, traces and its queue.
const LAMBDA_OWN_ACTIONS: [&str; 5] =
    ["logs:", "xray:", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// An action and a resource, as the template writes them.
type Permission = (String, String);

/// The permissions of a function's role.
fn allowed(function: &str) -> BTreeSet<Permission> {
    let mut permissions = BTreeSet::new();
    let role = &resources()[format!("{function}Role")];
    for policy in role["Properties"]["Policies"].as_array().unwrap() {
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            for action in one_or_more(&statement["Action"]) {
                let resources = one_or_more(&statement["Resource"]).into_iter();
                permissions.extend(resources.map(|resource| (action.clone(), resource)));
            }
        }
    }
    permissions
}

fn one_or_more(value: &Value) -> BTreeSet<String> {
    value.as_str().map_or_else(|| texts(value), |one| BTreeSet::from([one.to_owned()]))
}

/// The permissions that these calls require.
fn needed(calls: &[Call]) -> BTreeSet<Permission> {
    calls.iter().flat_map(|Call { operation, body }| permissions_for(operation, body)).collect()
}

/// The ARN of the table, queue or event bus with this name, as the template writes it: `{logical id}.Arn`.
fn arn_of(name: &str) -> String {
    let resources = resources();
    let mut resources = resources.as_object().unwrap().iter();
    let (id, _) = resources.find(|(_, resource)| template::name(resource) == Some(name)).unwrap();
    format!("{id}.Arn")
}

/// <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
fn permissions_for(operation: &str, body: &Value) -> Vec<Permission> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let permission = |service: &str, resource: String| vec![(format!("{service}:{operation}"), resource)];
    match operation {
        "SendMessage" => {
            let url = text(&body["QueueUrl"]);
            permission("sqs", arn_of(url.rsplit('/').next().unwrap()))
        }
        "PutEvents" => permission("events", arn_of(&text(&body["Entries"][0]["EventBusName"]))),
        "GetSecretValue" => {
            let name = text(&body["SecretId"]);
            let kind = name.strip_prefix("badge/").and_then(|name| name.split('/').next()).unwrap();
            let arn = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret";
            permission("secretsmanager", format!("{arn}:${{SecretPrefix}}/{kind}/*"))
        }
        "BatchWriteItem" | "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().unwrap().keys();
            tables.flat_map(|table| permission("dynamodb", arn_of(table))).collect()
        }
        // A transaction requires a permission for each of its writes.
        "TransactWriteItems" => {
            let writes = body["TransactItems"].as_array().unwrap().iter();
            let writes = writes.flat_map(|write| write.as_object().unwrap());
            writes
                .map(|(kind, write)| (format!("dynamodb:{kind}Item"), arn_of(&text(&write["TableName"]))))
                .collect()
        }
        _ => {
            let table = arn_of(&text(&body["TableName"]));
            match body["IndexName"].as_str() {
                Some(index) => permission("dynamodb", format!("${{{table}}}/index/{index}")),
                None => permission("dynamodb", table),
            }
        }
    }
}

/// Compares the role of a function with its calls so far.
#[track_caller]
fn check(world: &World, function: Function) {
    let function = function.logical_id();
    let mut calls = world.faults.take_calls();
    calls.retain(|call| !matches!(call.operation.as_str(), "ReceiveMessage" | "DeleteMessageBatch"));
    let mut allowed = allowed(function);
    allowed.retain(|(action, _)| !LAMBDA_OWN_ACTIONS.iter().any(|own| action.starts_with(own)));
    assert_eq!(allowed, needed(&calls), "the permissions of {function}, and those that its calls require");
}

#[tokio::test(start_paused = true)]
async fn the_role_of_ingest_api_allows_exactly_its_calls() {
    let world = World::new();
    world.set_key(REPOSITORY, KEY);
    world.warm_up(Function::IngestApi).await;
    assert_eq!(world.submit(&world.post()).await.status, 202);
    world.faults.plan("SendMessage", Fault::Fails, usize::MAX);
    assert_eq!(world.submit(&world.post()).await.status, 503);
    check(&world, Function::IngestApi);
}

#[tokio::test(start_paused = true)]
async fn the_role_of_processor_allows_exactly_its_calls() {
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
async fn the_role_of_badge_api_allows_exactly_its_calls() {
    let world = World::new();
    world.warm_up(Function::BadgeApi).await;
    for path in [
        "/badges/tests/linux/acme/kit/main",
        "/redirect/test-results/linux/acme/kit/main",
        "/tests/results/acme/kit",
        "/tests/results/acme/kit?branch=main&platform=linux",
        "/badges/packages/nuget/acme.kit",
        "/badges/packages/nuget/acme.kit?feed=nightly",
        "/badges/packages/github/acme/acme.kit?version=1.0",
        "/health",
    ] {
        world.request(Method::GET, path, &[]).await;
    }
    check(&world, Function::BadgeApi);
    let role = resources()["BadgeApiRole"]["Properties"]["Policies"].take();
    let statements = role[0]["PolicyDocument"]["Statement"].as_array().unwrap().iter();
    let mut of_secrets = statements.filter(|statement| statement["Resource"] == "SecretsTable.Arn");
    let condition = &of_secrets.next().unwrap()["Condition"]["ForAllValues:StringLike"];
    assert_eq!(condition["dynamodb:LeadingKeys"], serde_json::json!(["FEED#*"]), "no mapping of a secret");
    assert!(of_secrets.next().is_none());
}

#[tokio::test]
async fn the_role_of_refresher_allows_exactly_its_calls() {
    let upstream = Upstream::start();
    upstream.publish("acme.kit", &["1.0.0"]);
    upstream.github_token("ghp_one", &["acme"]);
    upstream.github_publish(Account::Org("acme"), "closed.kit", Visibility::Private, &["1.0.0"]);
    let world = World::with_upstream(&upstream);
    world.set_github_token("acme/closed.kit", "ghp_one").await;
    world.add_feed("closed", &upstream.nuget_service_index(), Some(("ci", "password"))).await;
    world.allow("closed", "acme.kit").await;
    let of_feed = "nuget/acme.kit?feed=closed";
    for package in ["nuget/acme.kit", "github/acme/closed.kit", "nuget/acme.none", of_feed] {
        world.version(package).await;
    }
    world.faults.take_calls();
    world.drain_requests().await;
    upstream.publish("acme.kit", &["1.0.0", "1.1.0"]);
    // A package without consent is deleted.
    world.delete_github_token("acme/closed.kit").await;
    world.clock.advance(Duration::from_hours(1));
    let report = world.refresh_due().await;
    assert_eq!((report.changed, report.not_found), (2, 1), "{report:?}");
    check(&world, Function::Refresher);
}
