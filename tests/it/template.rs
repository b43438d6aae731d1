//! What the template says must be what the code needs.

use std::collections::BTreeSet;
use std::fs;

use badgesmith_aws::dynamodb::Nonces;
use badgesmith_aws::metrics::{DIMENSION, Metric, NAMESPACE};
use badgesmith_domain::version::Comparator;
use embedded_aws::template;
use serde_json::{Value, json};

use crate::tidy::{root, sources};

/// The functions: their logical ids, and the folders of their packages.
const FUNCTIONS: [(&str, &str); 4] = [
    ("IngestApi", "ingest-api"),
    ("Processor", "processor"),
    ("Refresher", "refresher"),
    ("BadgeApi", "badge-api"),
];

pub(crate) fn resources() -> Value {
    template::document().unwrap()["Resources"].take()
}

/// All sources of a function.
fn source(folder: &str) -> String {
    sources(&[&format!("{folder}/src")]).into_iter().map(|(_, source)| source).collect()
}

/// The words that follow `before` in a source.
fn words_after(before: &str, source: &str) -> BTreeSet<String> {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let rests = source.split(before).skip(1);
    rests.filter_map(|rest| rest.split(is_end).next()).map(str::to_owned).collect()
}

pub(crate) fn texts(array: &Value) -> BTreeSet<String> {
    array.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_function_is_given_the_variables_that_it_reads_and_no_others() {
    let resources = resources();
    for (id, folder) in FUNCTIONS {
        let given = &resources[id]["Properties"]["Environment"]["Variables"];
        let given: BTreeSet<_> = given.as_object().unwrap().keys().cloned().collect();
        let mut read = words_after("env::", &source(folder));
        read.retain(|word| word.starts_with(|first: char| first.is_ascii_uppercase()));
        assert_eq!(given, read, "{folder}");
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
fn alarms_of_queues_watch_them() {
    let resources = resources();
    for (alarm, queue, metric) in [
        ("ResultsDeadLetters", "ResultsDeadLetterQueue", "ApproximateNumberOfMessagesVisible"),
        ("RefreshDeadLetters", "RefreshDeadLetterQueue", "ApproximateNumberOfMessagesVisible"),
        ("RefreshEventsDeadLetters", "RefreshEventsDeadLetterQueue", "ApproximateNumberOfMessagesVisible"),
        ("ResultsAge", "ResultsQueue", "ApproximateAgeOfOldestMessage"),
        ("RefreshAge", "RefreshQueue", "ApproximateAgeOfOldestMessage"),
    ] {
        let properties = &resources[format!("{alarm}Alarm")]["Properties"];
        assert_eq!(
            (&properties["Namespace"], &properties["MetricName"]),
            (&"AWS/SQS".into(), &metric.into())
        );
        let dimensions = json!([{ "Name": "QueueName", "Value": format!("{queue}.QueueName") }]);
        assert_eq!(properties["Dimensions"], dimensions, "{alarm}");
        assert_eq!(properties["AlarmActions"], json!(["AlarmTopic"]), "{alarm}");
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

/// What CloudFront lets a policy name, of headers and of query parameters each:
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html>
const NAMES_MAX: usize = 10;

#[test]
fn what_an_answer_depends_on_is_in_the_cdns_key() {
    let resources = resources();
    let key = |policy: &str| {
        let key = &resources[policy]["Properties"]["CachePolicyConfig"];
        let names =
            texts(&key["ParametersInCacheKeyAndForwardedToOrigin"]["QueryStringsConfig"]["QueryStrings"]);
        assert!(names.len() <= NAMES_MAX, "{policy}");
        names
    };
    let of_packages = key("CdnPackagesCachePolicy");
    let behaviours = &resources["Cdn"]["Properties"]["DistributionConfig"]["CacheBehaviors"];
    assert_eq!(behaviours[0]["PathPattern"], "/badges/packages/*");
    assert_eq!(behaviours[0]["CachePolicyId"], "CdnPackagesCachePolicy");

    let of_badge = fs::read_to_string(root().join("badge-api/src/package_badge.rs")).unwrap();
    let mut of_badge = words_after("query(\"", &of_badge);
    of_badge.extend(Comparator::ALL.map(|(name, _)| name.to_owned()));
    assert_eq!(of_packages, of_badge);

    let all = source("badge-api");
    let mut others = words_after("query(\"", &all);
    others.extend(words_after("parameter(request, \"", &all));
    assert_eq!(key("CdnCachePolicy"), others.difference(&of_badge).cloned().collect());
}

#[test]
fn the_signature_gets_past_the_cdn() {
    let resources = resources();
    let policy = &resources["CdnOriginRequestPolicy"]["Properties"]["OriginRequestPolicyConfig"];
    let forwarded = texts(&policy["HeadersConfig"]["Headers"]);
    assert!(forwarded.len() <= NAMES_MAX);
    let forwarded: BTreeSet<_> = forwarded.iter().map(|name| name.to_ascii_lowercase()).collect();
    for header in ["x-signature", "x-repo-secret", "x-timestamp", "x-nonce"] {
        assert!(forwarded.contains(header), "{header}");
    }
}
