//! What the template says must be what the code needs.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use badgesmith_shared::dynamodb::Nonces;
use badgesmith_shared::metrics::{DIMENSION, Metric, NAMESPACE};
use badgesmith_shared::version::Comparator;
use local::template;
use serde_json::Value;

use crate::tidy::{root, sources};

/// The functions: their logical ids, and the folders of their packages.
const FUNCTIONS: [(&str, &str); 4] = [
    ("IngestApi", "ingest-api"),
    ("Processor", "processor"),
    ("Refresher", "refresher"),
    ("BadgeApi", "badge-api"),
];

fn resources() -> Value {
    template::document().unwrap()["Resources"].take()
}

/// The words that follow `before` in a function's sources.
fn words_after(before: &str, folder: &str) -> BTreeSet<String> {
    let sources = sources(&[&format!("{folder}/src")]);
    let rests = sources.iter().flat_map(|(_, source)| source.split(before).skip(1));
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    rests.filter_map(|rest| rest.split(is_end).next()).map(str::to_owned).collect()
}

fn texts(array: &Value) -> BTreeSet<String> {
    array.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_function_is_given_the_variables_that_it_reads_and_no_others() {
    let resources = resources();
    for (id, folder) in FUNCTIONS {
        let given = &resources[id]["Properties"]["Environment"]["Variables"];
        let given: BTreeSet<_> = given.as_object().unwrap().keys().cloned().collect();
        let mut read = words_after("env::", folder);
        read.retain(|word| word.starts_with(|first: char| first.is_ascii_uppercase()));
        assert_eq!(given, read, "{folder}");
    }
}

/// What the role of a function allows: pairs of an action and the resources.
fn rights(resources: &Value, id: &str) -> Vec<(String, String)> {
    let list = |value: &Value| match value.as_str() {
        Some(one) => BTreeSet::from([one.to_owned()]),
        None => texts(value),
    };
    let policies = resources[format!("{id}Role")]["Properties"]["Policies"].as_array().unwrap();
    let statements =
        policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
    let rights = statements.flat_map(|statement| {
        let resources = list(&statement["Resource"]).into_iter().collect::<Vec<_>>().join(", ");
        list(&statement["Action"]).into_iter().map(move |action| (action, resources.clone()))
    });
    rights.collect()
}

#[test]
fn a_function_may_do_what_it_does_and_nothing_else() {
    let resources = resources();
    let mut all = String::new();
    for (id, folder) in FUNCTIONS {
        assert_eq!(resources[id]["Properties"]["Role"], format!("{id}Role.Arn"));
        all.push_str(folder);
        all.push('\n');
        for (action, resources) in rights(&resources, id) {
            writeln!(all, "  {action} on {resources}").unwrap();
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_badge_api_can_write_nothing_but_events() {
    const READS: [&str; 2] = ["dynamodb:GetItem", "dynamodb:Query"];
    const TELLS: [&str; 5] = [
        "events:PutEvents",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
    ];
    for (action, _) in rights(&resources(), "BadgeApi") {
        assert!(READS.contains(&action.as_str()) || TELLS.contains(&action.as_str()), "{action}");
    }
}

#[test]
fn a_message_stays_hidden_for_six_timeouts_of_its_function() {
    let resources = resources();
    let timeout = |id: &str| resources[id]["Properties"]["Timeout"].as_u64().unwrap();
    for (id, event) in [("Processor", "Results"), ("Refresher", "Requests")] {
        let source = &resources[id]["Properties"]["Events"][event]["Properties"];
        let queue = source["Queue"].as_str().unwrap().strip_suffix(".Arn").unwrap();
        let hidden = resources[queue]["Properties"]["VisibilityTimeout"].as_u64().unwrap();
        assert!(hidden >= 6 * timeout(id), "{queue}");
        assert_eq!(texts(&source["FunctionResponseTypes"]), ["ReportBatchItemFailures".to_owned()].into());
        assert!(source["ScalingConfig"]["MaximumConcurrency"].as_u64() >= Some(2), "{id}");
    }
    assert!(timeout("IngestApi") < Nonces::LEASE.as_secs(), "who holds a reservation is alive");
}

#[test]
fn every_metric_is_shown_and_no_alarm_waits_for_one_that_does_not_exist() {
    let resources = resources();
    let dashboard = resources["Dashboard"]["Properties"]["DashboardBody"].as_str().unwrap();
    let dashboard: Value = serde_json::from_str(dashboard).expect("the dashboard is JSON");
    let metrics = dashboard["widgets"].as_array().unwrap().iter();
    let metrics = metrics.flat_map(|widget| widget["properties"]["metrics"].as_array().unwrap());
    let shown: BTreeSet<_> =
        metrics.filter(|metric| metric[0] == NAMESPACE).map(|metric| metric[1].as_str().unwrap()).collect();
    assert_eq!(shown, Metric::ALL.map(Metric::name).into());

    for (id, resource) in resources.as_object().unwrap() {
        let alarm = &resource["Properties"];
        if resource["Type"] == "AWS::CloudWatch::Alarm" && alarm["Namespace"] == NAMESPACE {
            assert!(shown.contains(alarm["MetricName"].as_str().unwrap()), "{id}");
            assert_eq!(alarm["Dimensions"][0]["Name"], DIMENSION, "{id}");
        }
    }
}

#[test]
fn every_alarm_has_its_remedy() {
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let resources = resources();
    let alarms = resources.as_object().unwrap().iter();
    let alarms: Vec<_> = alarms.filter(|(_, alarm)| alarm["Type"] == "AWS::CloudWatch::Alarm").collect();
    assert!(!alarms.is_empty());
    for (id, _) in alarms {
        let name = id.strip_suffix("Alarm").unwrap();
        assert!(operations.contains(&format!("`{name}`")), "docs/operations.md says nothing of {name}");
    }
}

#[test]
fn what_a_badge_depends_on_is_in_the_cdns_key() {
    let resources = resources();
    let key = &resources["CdnCachePolicy"]["Properties"]["CachePolicyConfig"];
    let key = &key["ParametersInCacheKeyAndForwardedToOrigin"]["QueryStringsConfig"]["QueryStrings"];
    let mut read = words_after("query(\"", "badge-api");
    read.extend(words_after("parameter(request, \"", "badge-api"));
    read.extend(Comparator::ALL.map(|(name, _)| name.to_owned()));
    assert_eq!(texts(key), read);
}

#[test]
fn the_signature_gets_past_the_cdn() {
    let resources = resources();
    let policy = &resources["CdnOriginRequestPolicy"]["Properties"]["OriginRequestPolicyConfig"];
    let forwarded = texts(&policy["HeadersConfig"]["Headers"]);
    let forwarded: BTreeSet<_> = forwarded.iter().map(|name| name.to_ascii_lowercase()).collect();
    for header in ["x-signature", "x-repo-secret", "x-timestamp", "x-nonce"] {
        assert!(forwarded.contains(header), "{header}");
    }
}
