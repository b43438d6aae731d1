//! The template matches the code.

use std::collections::BTreeSet;
use std::fs;
use std::str::FromStr;

use badgesmith_aws::dynamodb::Nonces;
use badgesmith_aws::metrics::{DIMENSION, Metric, NAMESPACE};
use badgesmith_domain::issuer::Issuer;
use badgesmith_domain::oidc_owners::OidcOwners;
use badgesmith_domain::service_url::ServiceUrl;
use embedded_aws::template;
use regex_lite::Regex;
use serde_json::{Value, json};
use tests::function::Function;

use crate::tidy::{root, sources};

pub(crate) fn resources() -> Value {
    template::document().unwrap()["Resources"].take()
}

pub(crate) fn source(folder: &str) -> String {
    sources(&[&format!("{folder}/src")]).into_iter().map(|(_, source)| source).collect()
}

/// The words after `before` in a source.
pub(crate) fn words_after(before: &str, source: &str) -> BTreeSet<String> {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let rests = source.split(before).skip(1);
    rests.filter_map(|rest| rest.split(is_end).next()).map(str::to_owned).collect()
}

pub(crate) fn texts(array: &Value) -> BTreeSet<String> {
    array.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_function_has_exactly_the_variables_that_it_reads() {
    let resources = resources();
    for function in Function::ALL {
        let given = &resources[function.logical_id()]["Properties"]["Environment"]["Variables"];
        let given: BTreeSet<_> = given.as_object().unwrap().keys().cloned().collect();
        let mut read = words_after("env::", &source(function.name()));
        read.retain(|word| word.starts_with(|first: char| first.is_ascii_uppercase()));
        assert_eq!(given, read, "{}", function.name());
    }
}

#[test]
fn every_parameter_is_in_one_group_of_the_console() {
    let template = template::document().unwrap();
    let groups = &template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
    let groups = groups.as_array().unwrap().iter();
    let mut grouped: Vec<_> = groups.flat_map(|group| texts(&group["Parameters"])).collect();
    grouped.sort();
    let mut parameters: Vec<_> = template["Parameters"].as_object().unwrap().keys().cloned().collect();
    parameters.sort();
    assert_eq!(grouped, parameters);
}

#[test]
fn a_name_with_the_longest_prefix_is_within_the_limits_of_aws() {
    let template = template::document().unwrap();
    let prefix = &template["Parameters"]["TablePrefix"];
    let pattern = prefix["AllowedPattern"].as_str().unwrap();
    assert_eq!(pattern, "^[A-Za-z0-9_-]*$", "the characters that all three services allow");
    for (id, resource) in template["Resources"].as_object().unwrap() {
        let max = match resource["Type"].as_str().unwrap() {
            "AWS::DynamoDB::Table" => 255,
            "AWS::SQS::Queue" => 80,
            "AWS::Events::EventBus" => 256,
            _ => continue,
        };
        let name = template::name(resource).unwrap_or_else(|| panic!("{id} has no name after the prefix"));
        assert!(prefix["MaxLength"].as_u64().unwrap() + 1 + name.len() as u64 <= max, "{name}");
    }
}

/// With a value that it cannot parse, ingest-api would not start, and accept no keys either.
#[test]
fn parameters_of_id_tokens_have_patterns_of_what_the_functions_parse() {
    fn check<T: FromStr>(name: &str, valid: &[&str], invalid: &[&str]) {
        let parameter = &template::document().unwrap()["Parameters"][name];
        let pattern = Regex::new(parameter["AllowedPattern"].as_str().unwrap()).unwrap();
        for (values, is_valid) in [(valid, true), (invalid, false)] {
            for value in values {
                assert_eq!(pattern.is_match(value), is_valid, "{name} {value:?}");
                assert_eq!(value.parse::<T>().is_ok(), is_valid, "{name} {value:?}");
            }
        }
        let default = parameter["Default"].as_str().unwrap();
        assert!(pattern.is_match(default) && (default.is_empty() || default.parse::<T>().is_ok()), "{name}");
        assert!(parameter["MaxLength"].as_u64().unwrap() <= 2000, "{name}: all variables have 4 KB");
    }
    check::<Issuer>(
        "OidcIssuer",
        &[
            Issuer::GITHUB,
            "https://git.test:8443/api/actions",
            "https://git.test/_services/token/",
            "http://127.0.0.1:80",
        ],
        &[
            "git.test",
            "http://git.test",
            "https://",
            "https:///x",
            "https://a@b.test",
            "https://b.test?x",
            "https://b.test/#x",
        ],
    );
    check::<OidcOwners>(
        "OidcOwners",
        &["", "acme", "acme, Other:12345", "*", "*,acme:1,", " acme,, other", "a.b_c-d"],
        &[
            "acme:",
            "acme:x",
            ":1",
            "acme:1:2",
            "a b",
            "acme;other",
            "acme/kit",
            "**",
            "acme*",
            "owner:99999999999999999999999",
        ],
    );
    check::<ServiceUrl>(
        "PublicUrl",
        &["https://badges.example.org", "http://proxy.test:8080/", "https://EXAMPLE.org"],
        &[
            "badges.example.org",
            "https://",
            "ftp://a.test",
            "https://a@b.test",
            "https://a.test,https://b.test",
            "https://a.test?b",
        ],
    );
}

#[test]
fn the_visibility_timeout_is_six_timeouts_of_the_function() {
    let resources = resources();
    let timeout = |id: &str| resources[id]["Properties"]["Timeout"].as_u64().unwrap();
    for (id, event) in [("Processor", "Results"), ("Refresher", "Requests")] {
        let source = &resources[id]["Properties"]["Events"][event]["Properties"];
        let queue = source["Queue"].as_str().unwrap().strip_suffix(".Arn").unwrap();
        let visibility_timeout = resources[queue]["Properties"]["VisibilityTimeout"].as_u64().unwrap();
        assert!(visibility_timeout >= 6 * timeout(id), "{queue}");
        assert_eq!(texts(&source["FunctionResponseTypes"]), ["ReportBatchItemFailures".to_owned()].into());
        assert!(source["ScalingConfig"]["MaximumConcurrency"].as_u64() >= Some(2), "{id}");
    }
    assert!(timeout("IngestApi") < Nonces::LEASE.as_secs(), "a reservation outlives its function");
}

#[test]
fn every_metric_is_on_the_dashboard_and_every_alarm_has_an_existing_metric() {
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
fn every_queue_has_its_alarm() {
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
fn every_alarm_is_documented() {
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let resources = resources();
    let alarms = resources.as_object().unwrap().iter();
    let alarms: Vec<_> = alarms.filter(|(_, alarm)| alarm["Type"] == "AWS::CloudWatch::Alarm").collect();
    assert!(!alarms.is_empty());
    for (id, _) in alarms {
        let name = id.strip_suffix("Alarm").unwrap();
        assert!(operations.contains(&format!("`{name}`")), "docs/operations.md does not mention {name}");
    }
}
