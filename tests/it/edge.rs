//! The CDN and its origins match the code: permissions, forwarded query parameters, and timeouts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use badgesmith_domain::svg::Style;
use badgesmith_domain::version::Comparator;
use serde_json::{Value, json};

use crate::badges::BADGE_TIME_MAX;
use crate::template::{resources, source, texts, words_after};
use crate::tidy::{root, sources};

/// The number of headers, and of query parameters, that a CloudFront policy may name:
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html>
const NAMES_MAX: usize = 10;
/// GitHub's image proxy waits 4 s for shields.io, which needs part of that time itself.
const CDN_TIME_MAX: Duration = Duration::from_secs(3);

fn distribution() -> Value {
    resources()["Cdn"]["Properties"]["DistributionConfig"].take()
}

fn origin(id: &str) -> Value {
    let config = distribution();
    let origin = config["Origins"].as_array().unwrap().iter().find(|origin| origin["Id"] == id);
    origin.unwrap().clone()
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs(value.as_u64().unwrap())
}

/// The resources of a type.
fn all(kind: &str) -> Vec<Value> {
    let resources = resources();
    let resources = resources.as_object().unwrap().values();
    resources
        .filter(|resource| resource["Type"] == kind)
        .map(|resource| resource["Properties"].clone())
        .collect()
}

#[test]
fn only_the_cdn_and_the_http_api_may_call_badge_api() {
    let resources = resources();
    let function = &resources["BadgeApi"]["Properties"];
    assert_eq!(function["FunctionUrlConfig"], json!({ "AuthType": "AWS_IAM" }));
    assert_eq!(function["Events"], Value::Null);
    let cdn = "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Cdn}";
    let api = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${HttpApi}/*";
    let permissions = all("AWS::Lambda::Permission");
    let allowed = permissions.iter().filter(|permission| permission["FunctionName"] == "BadgeApi");
    let allowed: Vec<_> = allowed
        .map(|permission| {
            let names = ["Action", "Principal", "SourceArn"];
            (
                names.map(|name| permission[name].as_str().unwrap_or_default()),
                &permission["InvokedViaFunctionUrl"],
            )
        })
        .collect();
    let expected = [
        (["lambda:InvokeFunctionUrl", "cloudfront.amazonaws.com", cdn], &Value::Null),
        (["lambda:InvokeFunction", "cloudfront.amazonaws.com", cdn], &json!(true)),
        (["lambda:InvokeFunction", "apigateway.amazonaws.com", api], &Value::Null),
    ];
    assert_eq!(allowed.len(), expected.len());
    assert!(expected.iter().all(|permission| allowed.contains(permission)), "{allowed:?}");

    let origin = origin("BadgeApi");
    assert_eq!(origin["DomainName"], json!([2, ["/", "BadgeApiUrl.FunctionUrl"]]), "!Select [2, !Split ..]");
    assert_eq!(origin["OriginAccessControlId"], "CdnOriginAccessControl.Id");
    let control = &resources["CdnOriginAccessControl"]["Properties"]["OriginAccessControlConfig"];
    assert_eq!(control["OriginAccessControlOriginType"], "lambda");
    assert_eq!(control["SigningBehavior"], "always");
}

#[test]
fn the_http_api_has_routes_for_results_only_and_a_throttle_for_each() {
    let routes = all("AWS::ApiGatewayV2::Route");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let routes: BTreeMap<_, _> =
        routes.iter().map(|route| (text(&route["RouteKey"]), text(&route["Target"]))).collect();
    let (posts, reads) = ("integrations/${IngestApiIntegration}", "integrations/${BadgeApiIntegration}");
    let expected = [
        ("POST /tests/results", posts),
        ("POST /tests/results/{proxy+}", posts),
        ("GET /tests/results/{proxy+}", reads),
        ("HEAD /tests/results/{proxy+}", reads),
        ("OPTIONS /tests/results/{proxy+}", reads),
    ];
    assert_eq!(routes, expected.map(|(key, target)| (key.to_owned(), target.to_owned())).into());

    let stage = &resources()["HttpApiStage"]["Properties"];
    let posts = json!({ "ThrottlingRateLimit": "PostsPerSecond", "ThrottlingBurstLimit": "PostsPerSecond" });
    assert_eq!(stage["DefaultRouteSettings"], posts);
    let throttled: BTreeSet<_> = stage["RouteSettings"].as_object().unwrap().keys().cloned().collect();
    let reads: BTreeSet<_> =
        routes.into_iter().filter(|(_, target)| target == reads).map(|(key, _)| key).collect();
    assert_eq!(throttled, reads);
    for settings in stage["RouteSettings"].as_object().unwrap().values() {
        assert_eq!(*settings, json!({ "ThrottlingRateLimit": 10, "ThrottlingBurstLimit": 10 }), "numbers");
    }
}

/// The cache policy of AWS without query parameters:
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html>
const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";

/// How badge-api reads a parameter of a query.
const READS: [&str; 4] = ["query.get(\"", "query.flag(\"", "parameter(query, \"", "parameter(&query, \""];

#[test]
fn the_cdn_has_the_firewall_and_the_log_bucket_of_the_parameters() {
    let config = distribution();
    assert_eq!(config["WebACLId"], json!(["HasWebAcl", "WebAclArn", "AWS::NoValue"]));
    assert_eq!(config["Logging"][1]["Bucket"], "${CdnLogBucket}.s3.amazonaws.com");
    let companion = fs::read_to_string(root().join("us-east-1.yaml")).unwrap();
    for parameter in ["WebAclArn", "CdnLogBucket"] {
        assert!(
            companion.contains(&format!("\n  {parameter}:\n")),
            "us-east-1.yaml has no output {parameter}"
        );
    }
}

#[test]
fn a_cache_key_has_exactly_the_parameters_that_the_response_depends_on() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let parameters = |file: &str| {
        let source = read(&format!("badge-api/src/{file}.rs"));
        READS.into_iter().flat_map(|before| words_after(before, &source)).collect::<BTreeSet<_>>()
    };
    let http = read("shared/api/src/http.rs");
    let branch = words_after("query().get(\"", http.split("#[cfg(test)]").next().unwrap());
    assert_eq!(branch, ["branch".to_owned()].into(), "it overrides the branch in a path");
    let tests: BTreeSet<_> = parameters("test_badge").union(&branch).cloned().collect();
    let with_style = |names: &BTreeSet<String>| {
        names.iter().cloned().chain(Style::PARAMETERS.map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    let mut packages = parameters("package_badge");
    packages.extend(Comparator::ALL.map(|(name, _)| name.to_owned()));
    let without = |names: &[&str]| -> BTreeSet<_> {
        packages.iter().filter(|name| !names.contains(&name.as_str())).cloned().collect()
    };
    let (nuget, github) = (without(&["type"]), without(&["feed", "warn"]));
    let comparators = Comparator::ALL.map(|(name, _)| name);
    let of_image = |names: &BTreeSet<String>| {
        let is_read =
            |name: &&String| **name != "include_prereleases" && !comparators.contains(&name.as_str());
        with_style(&names.iter().filter(is_read).cloned().collect())
    };
    let of_badge = tests.iter().filter(|name| *name != "to").cloned().collect();
    let (svg_tests, svg_nuget, svg_github) = (with_style(&of_badge), of_image(&nuget), of_image(&github));
    let (latest, history) = (parameters("latest"), parameters("history"));
    let mut pages: BTreeSet<_> = sources(&["badge-api/src/pages"])
        .iter()
        .flat_map(|(_, source)| READS.map(|before| words_after(before, source)))
        .flatten()
        .collect();
    pages.extend(["feed", "type"].map(str::to_owned));

    let config = distribution();
    let behaviors = config["CacheBehaviors"].as_array().unwrap();
    let resources = resources();
    let mut forwarded = BTreeSet::new();
    for (behavior, (pattern, origin, parameters)) in behaviors.iter().zip([
        ("/badges/tests/*", "BadgeApi", &tests),
        ("/redirect/*", "BadgeApi", &tests),
        ("/badges/packages/nuget/*", "BadgeApi", &nuget),
        ("/badges/packages/github/*", "BadgeApi", &github),
        ("/svg/tests/*", "BadgeApi", &svg_tests),
        ("/svg/packages/nuget/*", "BadgeApi", &svg_nuget),
        ("/svg/packages/github/*", "BadgeApi", &svg_github),
        ("/tests/latest/*", "BadgeApi", &latest),
        ("/", "BadgeApi", &pages),
        ("/repos/*", "BadgeApi", &pages),
        ("/packages/*", "BadgeApi", &pages),
        ("/assets/*", "BadgeApi", &BTreeSet::new()),
        ("/tests/results*", "HttpApi", &history),
    ]) {
        assert_eq!(
            (&behavior["PathPattern"], &behavior["TargetOriginId"]),
            (&json!(pattern), &json!(origin))
        );
        if pattern == "/assets/*" {
            assert_eq!(behavior["CachePolicyId"], CACHING_OPTIMIZED);
            continue;
        }
        let policy =
            &resources[behavior["CachePolicyId"].as_str().unwrap()]["Properties"]["CachePolicyConfig"];
        let key = &policy["ParametersInCacheKeyAndForwardedToOrigin"];
        let names = texts(&key["QueryStringsConfig"]["QueryStrings"]);
        assert_eq!(names, *parameters, "{pattern}");
        assert!(names.len() <= NAMES_MAX, "{pattern}");
        // CloudFront compresses from 1,000 bytes on, which the JSON of a badge does not have. An image has about 1,300,
        // and one copy for all encodings is more likely to be there while the origin fails.
        let is_badge = ["/badges/", "/svg/", "/redirect/"].iter().any(|prefix| pattern.starts_with(prefix));
        for encoding in ["EnableAcceptEncodingBrotli", "EnableAcceptEncodingGzip"] {
            assert_eq!(key[encoding], !is_badge, "{pattern}");
        }
        assert_eq!(behavior["Compress"], !is_badge, "{pattern}");
        forwarded.extend(names);
    }
    assert_eq!(behaviors.len(), 13);
    // CloudFront rejects a second policy of the same name.
    let policies = all("AWS::CloudFront::CachePolicy");
    let names: BTreeSet<_> =
        policies.iter().map(|policy| &policy["CachePolicyConfig"]["Name"]).map(Value::to_string).collect();
    assert_eq!(names.len(), policies.len(), "{names:?}");
    assert_eq!(config["DefaultCacheBehavior"]["TargetOriginId"], "BadgeApi");
    let everywhere = source("badge-api");
    for word in READS.into_iter().flat_map(|before| words_after(before, &everywhere)) {
        assert!(forwarded.contains(&word), "{word} is read, but not forwarded");
    }
}

#[test]
fn pages_depend_on_the_public_host_and_a_reader_cannot_choose_it() {
    let (config, resources) = (distribution(), resources());
    for behavior in config["CacheBehaviors"].as_array().unwrap() {
        let policy =
            resources[behavior["CachePolicyId"].as_str().unwrap()]["Properties"]["CachePolicyConfig"].clone();
        let headers = &policy["ParametersInCacheKeyAndForwardedToOrigin"]["HeadersConfig"];
        let depends_on_host = headers["Headers"] == json!(["X-Forwarded-Host"]);
        assert!(depends_on_host || headers["Headers"] == Value::Null, "{behavior}");
        let functions = json!([
            { "EventType": "viewer-request", "FunctionARN": "CdnPublicHostFunction.FunctionARN" }
        ]);
        let expected = if depends_on_host { functions } else { Value::Null };
        assert_eq!(behavior["FunctionAssociations"], expected, "{behavior}");
        let is_page = ["/", "/repos/*", "/packages/*"].map(Value::from).contains(&behavior["PathPattern"]);
        assert_eq!(depends_on_host, is_page, "{behavior}");
    }
    let code = resources["CdnPublicHostFunction"]["Properties"]["FunctionCode"].as_str().unwrap();
    assert!(code.contains("request.headers['x-forwarded-host'] = { value: request.headers.host.value };"));
}

#[test]
fn the_cdn_accepts_posts_only_for_results() {
    let config = distribution();
    let behaviors = config["CacheBehaviors"].as_array().unwrap().iter();
    for behavior in behaviors.chain([&config["DefaultCacheBehavior"]]) {
        let takes_posts = behavior["TargetOriginId"] == "HttpApi";
        assert_eq!(texts(&behavior["AllowedMethods"]).contains("POST"), takes_posts, "{behavior}");
        assert_eq!(texts(&behavior["AllowedMethods"]).len(), if takes_posts { 7 } else { 3 }, "{behavior}");
        assert_eq!(behavior["OriginRequestPolicyId"].is_string(), takes_posts, "{behavior}");
    }
    let resources = resources();
    let policy = &resources["CdnResultsOriginRequestPolicy"]["Properties"]["OriginRequestPolicyConfig"];
    let forwarded = texts(&policy["HeadersConfig"]["Headers"]);
    assert!(forwarded.len() <= NAMES_MAX);
    let forwarded: BTreeSet<_> = forwarded.iter().map(|name| name.to_ascii_lowercase()).collect();
    let headers = ["content-type", "x-signature", "x-id-token", "x-repo-secret", "x-timestamp", "x-nonce"];
    assert_eq!(forwarded, headers.map(str::to_owned).into());
}

#[test]
fn the_cdn_responds_in_time_while_an_origin_hangs() {
    let badge_api = origin("BadgeApi");
    let read = seconds(&badge_api["CustomOriginConfig"]["OriginReadTimeout"]);
    let attempts = u32::try_from(badge_api["ConnectionAttempts"].as_u64().unwrap()).unwrap();
    assert!(attempts * (seconds(&badge_api["ConnectionTimeout"]) + read) <= CDN_TIME_MAX);
    // The rest is for the network and a cold start. Behind a slower one, readers get the copy of the CDN, or its 504.
    assert!(read > BADGE_TIME_MAX);
    let http_api = seconds(&origin("HttpApi")["CustomOriginConfig"]["OriginReadTimeout"]);
    assert!(http_api > seconds(&resources()["IngestApi"]["Properties"]["Timeout"]));
    for error in distribution()["CustomErrorResponses"].as_array().unwrap() {
        assert!(error["ErrorCachingMinTTL"].as_u64() <= Some(1), "{error}");
    }
}

#[test]
fn alarms_and_the_dashboard_watch_both_origins() {
    let resources = resources();
    let reads = ["UrlRequestCount", "Url4xxCount", "Url5xxCount", "UrlRequestLatency"];
    let requests = ["Count", "4xx", "5xx", "Latency"];
    let dashboard = resources["Dashboard"]["Properties"]["DashboardBody"].as_str().unwrap();
    for (metrics, of) in [
        (reads, ["AWS/Lambda", "FunctionName", "BadgeApi"]),
        (requests, ["AWS/ApiGateway", "ApiId", "HttpApi"]),
    ] {
        let [namespace, dimension, id] = of;
        for metric in metrics {
            let shown = format!(r#"["{namespace}","{metric}","{dimension}","${{{id}}}""#);
            assert!(dashboard.contains(&shown), "{shown}");
        }
    }
    for (alarm, metrics, dimension) in [
        (
            "ReadErrorsAlarm",
            ["Url5xxCount", "UrlRequestCount"],
            json!({ "Name": "FunctionName", "Value": "BadgeApi" }),
        ),
        ("ServerErrorsAlarm", ["5xx", "Count"], json!({ "Name": "ApiId", "Value": "HttpApi" })),
    ] {
        let queries = resources[alarm]["Properties"]["Metrics"].as_array().unwrap().iter();
        let watched = queries.map(|query| &query["MetricStat"]["Metric"]).filter(|metric| metric.is_object());
        let watched: Vec<_> = watched
            .map(|metric| (metric["MetricName"].as_str().unwrap(), &metric["Dimensions"][0]))
            .collect();
        assert_eq!(watched, metrics.map(|metric| (metric, &dimension)), "{alarm}");
    }
}

/// API Gateway does not escape values in the format of the access log:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html>
#[test]
fn the_access_log_has_no_values_that_a_client_chooses() {
    let resources = resources();
    let format = resources["HttpApiStage"]["Properties"]["AccessLogSettings"]["Format"].as_str().unwrap();
    let line: BTreeMap<String, String> = serde_json::from_str(format).expect("JSON");
    let values: BTreeSet<_> = line.values().map(|value| value.strip_prefix("$context.").unwrap()).collect();
    let expected = [
        "error.message",
        "identity.sourceIp",
        "integrationErrorMessage",
        "integrationLatency",
        "requestId",
        "requestTime",
        "responseLatency",
        "responseLength",
        "routeKey",
        "status",
    ];
    assert_eq!(values, expected.into());
    let group = resources["HttpApiLog"]["Properties"]["LogGroupName"].as_str().unwrap();
    assert!(group.starts_with("/aws/vendedlogs/"), "other names use up the resource policy of the region");
}
