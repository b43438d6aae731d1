//! The role of each function allows exactly the calls that the function makes.

use std::collections::BTreeSet;
use std::time::Duration;

use badgesmith_domain::registration::{ActiveRegistration, Registration};
use embedded_aws::template;
use http::Method;
use local::stack::{MASTER_KEY, RESULTS_QUEUE};
use serde_json::Value;
use tests::faults::{Call, Fault};
use tests::function::Function;
use tests::upstream::{Account, Upstream, Visibility};
use tests::world::World;

use crate::template::{resources, texts};

/// The actions that Lambda itself performs with the role of a function: logs, traces and its queue.
const LAMBDA_OWN_ACTIONS: [&str; 5] =
    ["logs:", "xray:", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// An action and a resource, as the template writes them, and the pattern of the partition keys that it is limited to.
type Permission = (String, String, Option<String>);

/// A call: an action, a resource, and the partition key of the item.
type Access = (String, String, Option<String>);

/// The permissions of a function's role.
fn allowed(function: &str) -> BTreeSet<Permission> {
    let mut permissions = BTreeSet::new();
    let role = &resources()[format!("{function}Role")];
    for policy in role["Properties"]["Policies"].as_array().unwrap() {
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            let keys = leading_keys(&statement["Condition"]);
            for action in one_or_more(&statement["Action"]) {
                for resource in one_or_more(&statement["Resource"]) {
                    permissions
                        .extend(keys.iter().map(|key| (action.clone(), resource.clone(), key.clone())));
                }
            }
        }
    }
    permissions
}

/// The patterns of a condition on the leading keys; one `None` without a condition. No other condition is understood:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>
fn leading_keys(condition: &Value) -> Vec<Option<String>> {
    let Some(condition) = condition.as_object() else { return vec![None] };
    let operators: Vec<_> = condition.keys().collect();
    assert_eq!(operators, ["ForAllValues:StringLike"]);
    let keys = condition["ForAllValues:StringLike"].as_object().unwrap();
    assert!(keys.keys().eq(["dynamodb:LeadingKeys"]), "{keys:?}");
    texts(&keys["dynamodb:LeadingKeys"]).into_iter().map(Some).collect()
}

/// Whether a permission allows a call. A pattern ends with its only `*`.
fn permits((action, resource, keys): &Permission, access: &Access) -> bool {
    let fits = |pattern: &String| {
        let prefix = pattern.strip_suffix('*').expect("a prefix");
        access.2.as_ref().is_some_and(|key| key.starts_with(prefix))
    };
    *action == access.0 && *resource == access.1 && keys.as_ref().is_none_or(fits)
}

fn one_or_more(value: &Value) -> BTreeSet<String> {
    value.as_str().map_or_else(|| texts(value), |one| BTreeSet::from([one.to_owned()]))
}

/// What these calls access.
fn accessed(calls: &[Call]) -> BTreeSet<Access> {
    calls.iter().flat_map(|Call { operation, body }| accesses_of(operation, body)).collect()
}

/// The ARN of the table, queue or event bus with this name, as the template writes it: `{logical id}.Arn`.
fn arn_of(name: &str) -> String {
    let resources = resources();
    let mut resources = resources.as_object().unwrap().iter();
    let (id, _) = resources.find(|(_, resource)| template::name(resource) == Some(name)).unwrap();
    format!("{id}.Arn")
}

/// <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
fn accesses_of(operation: &str, body: &Value) -> Vec<Access> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let access = |service: &str, resource: String| vec![(format!("{service}:{operation}"), resource, None)];
    match operation {
        "SendMessage" => {
            let url = text(&body["QueueUrl"]);
            access("sqs", arn_of(url.rsplit('/').next().unwrap()))
        }
        "PutEvents" => access("events", arn_of(&text(&body["Entries"][0]["EventBusName"]))),
        "GetSecretValue" => {
            let name = text(&body["SecretId"]);
            if name == MASTER_KEY {
                return access("secretsmanager", name);
            }
            let kind = name.strip_prefix("badge/").and_then(|name| name.split('/').next()).unwrap();
            let arn = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret";
            access("secretsmanager", format!("{arn}:${{SecretPrefix}}/{kind}/*"))
        }
        "BatchWriteItem" | "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().unwrap().keys();
            tables.flat_map(|table| access("dynamodb", arn_of(table))).collect()
        }
        // A transaction requires a permission for each of its writes.
        "TransactWriteItems" => {
            let writes = body["TransactItems"].as_array().unwrap().iter();
            let writes = writes.flat_map(|write| write.as_object().unwrap());
            writes
                .map(|(kind, write)| {
                    (format!("dynamodb:{kind}Item"), arn_of(&text(&write["TableName"])), None)
                })
                .collect()
        }
        _ => {
            let table = arn_of(&text(&body["TableName"]));
            let resource = match body["IndexName"].as_str() {
                Some(index) => format!("${{{table}}}/index/{index}"),
                None => table,
            };
            let key = body["Key"]["PK"]["S"]
                .as_str()
                .or_else(|| body["Item"]["PK"]["S"].as_str())
                .map(str::to_owned);
            vec![(format!("dynamodb:{operation}"), resource, key)]
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
    allowed.retain(|(action, ..)| !LAMBDA_OWN_ACTIONS.iter().any(|own| action.starts_with(own)));
    let accessed = accessed(&calls);
    for access in &accessed {
        assert!(
            allowed.iter().any(|permission| permits(permission, access)),
            "{function} may not {access:?}"
        );
    }
    allowed.retain(|permission| !accessed.iter().any(|access| permits(permission, access)));
    assert_eq!(allowed, BTreeSet::new(), "{function} may do what it never does");
}

#[tokio::test(start_paused = true)]
async fn the_role_of_ingest_api_allows_exactly_its_calls() {
    let world = World::keyless("acme").await;
    world.warm_up(Function::IngestApi).await;
    assert_eq!(world.submit(&world.post()).await.status, 202);
    let key = world.register("acme/derived").await;
    assert_eq!(world.submit(&world.post_of("acme/derived").signed(&key)).await.status, 202);
    // A repository that registers itself, and one that an operator has registered without its ids.
    let by_operator = Registration::Active(ActiveRegistration::keyless(None, world.now()));
    world.set_registration("acme/by-operator", by_operator).await;
    for repository in ["acme/keyless", "acme/by-operator"] {
        assert_eq!(world.submit(&world.keyless_post_of(repository)).await.status, 202);
    }
    world.faults.plan("SendMessage", Fault::Fails, usize::MAX);
    assert_eq!(world.submit(&world.post()).await.status, 503);
    check(&world, Function::IngestApi);
}

#[test]
fn ingest_api_uses_registrations_owners_and_issuers_and_nothing_else_of_their_table() {
    let allowed = allowed("IngestApi");
    let may = |action: &str, key: &str| {
        let access = (format!("dynamodb:{action}"), "SecretsTable.Arn".to_owned(), Some(key.to_owned()));
        allowed.iter().any(|permission| permits(permission, &access))
    };
    for (action, keys) in [
        ("GetItem", &["REPOSITORY#acme#kit", "ISSUER#https://issuer.test"][..]),
        ("PutItem", &["REPOSITORY#acme#kit"]),
        ("UpdateItem", &["REPOSITORY#acme#kit", "OWNER#acme"]),
    ] {
        for key in [
            "REPOSITORY#acme#kit",
            "ISSUER#https://issuer.test",
            "OWNER#acme",
            "SECRET#github#acme#*",
            "FEED#nightly",
            "REPOSITORY",
            "",
        ] {
            assert_eq!(may(action, key), keys.contains(&key), "{action} {key:?}");
        }
    }
    // `ForAllValues` also lets requests without a key pass, which only these can be.
    for action in ["Scan", "PartiQLSelect", "BatchGetItem", "Query", "DeleteItem", "BatchWriteItem"] {
        assert!(!may(action, "REPOSITORY#acme#kit"), "{action}");
    }
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
    let world = World::with_issuer(&upstream, "");
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
    let role = resources()["RefresherRole"]["Properties"]["Policies"].take();
    let statements = role[0]["PolicyDocument"]["Statement"].as_array().unwrap().iter();
    let mut of_secrets = statements.filter(|statement| statement["Resource"] == "SecretsTable.Arn");
    assert_eq!(of_secrets.next().unwrap()["Action"], "dynamodb:BatchGetItem");
    let condition = &of_secrets.next().unwrap()["Condition"]["ForAllValues:StringLike"];
    assert_eq!(condition["dynamodb:LeadingKeys"], serde_json::json!(["ISSUER#*"]), "no registration");
    assert!(of_secrets.next().is_none());
}
