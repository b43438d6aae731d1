//! `badgesmith import` with exports of the .NET service's table.

use std::io::Write;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_domain::timestamp::Timestamp;
use local::stack::RESULTS_QUEUE;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tests::client::{REPOSITORY, with};

use super::dead_letters::{message, queue, send};
use super::proxy::Proxy;
use super::{World, until};

const DAY: Duration = Duration::from_hours(24);

/// A time in .NET's round-trip format, with seven fractional digits and an offset.
fn round_trip(timestamp: Timestamp) -> String {
    timestamp.to_string().replace('Z', "0000+00:00")
}

fn days_ago(days: u32) -> Timestamp {
    Clock::System.now().minus(DAY * days)
}

/// An item of the .NET service, with some attributes replaced; `null` removes one.
fn item(branch: &str, timestamp: Timestamp, attributes: &Value) -> Value {
    let text = |text: &str| json!({ "S": text });
    let item = json!({
        "PK": text("TEST#acme#kit"), "SK": text(&format!("RESULT#linux#{branch}#{timestamp}")),
        "GSI1PK": text(&format!("LATEST#acme#kit#linux#{branch}")), "GSI1SK": text(&timestamp.to_string()),
        "Owner": text("acme"), "Repo": text("kit"), "Platform": text("linux"), "Branch": text(branch),
        "Passed": {"N": "188"}, "Failed": {"N": "2"}, "Skipped": {"N": "0"}, "Total": {"N": "190"},
        "Commit": text("4d8474bda0b16fbbb69887d0d08c3885843bbdc7"), "RunId": text("16814735762"),
        "UrlHtml": text("https://github.com/acme/kit/runs/123"),
        "WorkflowRunUrl": text("https://github.com/acme/kit/actions/runs/456"),
        "Timestamp": text(&round_trip(timestamp)), "CreatedAt": text(&round_trip(timestamp)),
        "TTL": {"N": timestamp.plus(DAY * 90).unix_seconds().to_string()},
    });
    with(item, attributes)
}

/// The output of `aws dynamodb scan` for these items.
fn export(items: &[Value]) -> NamedTempFile {
    let count = items.len();
    let scan = json!({ "Items": items, "Count": count, "ScannedCount": count, "ConsumedCapacity": null });
    file(&serde_json::to_string_pretty(&scan).unwrap())
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

impl World {
    async fn import(&self, export: &NamedTempFile, options: &[&str]) -> super::CommandOutput {
        self.run(&[&["import", export.path().to_str().unwrap()], options].concat()).await
    }

    /// The history of acme/kit, once the processor has stored all results that were sent.
    async fn stored(&self, query: &str) -> Vec<Value> {
        let results = queue(self, RESULTS_QUEUE);
        until(async || results.depth().await.unwrap().total() == 0).await;
        self.api().history(REPOSITORY, query, 100).await.unwrap()
    }

    async fn badge(&self, branch: &str) -> String {
        let badge = self.api().get(&format!("/badges/tests/linux/{REPOSITORY}/{branch}")).await.unwrap();
        badge.json().get("message").and_then(Value::as_str).unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn badges_and_history_show_imported_results() {
    let world = World::start().await;
    world.run(&["repo", "add", "acme/kit"]).await.ok();
    let other = json!({
        "PK": {"S": "TEST#acme#other"}, "Repo": {"S": "other"}, "Failed": {"N": "0"}, "Passed": {"N": "190"},
    });
    let mut items: Vec<_> = (1..=30).map(|days| item("main", days_ago(days), &json!({}))).collect();
    items.push(item("feature/login", days_ago(3), &json!({})));
    items.push(item("main", days_ago(3), &other));
    let imported = world.import(&export(&items), &[]).await;
    assert_eq!(
        imported.stdout,
        "sent 32 results\n\nREPOSITORY  RESULTS  REGISTERED\nacme/kit    31       yes\nacme/other  1        no\n"
    );
    assert!(imported.stderr.contains("in lower case, as in the export: feature/login; "), "{imported:?}");
    assert!(imported.stderr.contains("badgesmith repo add OWNER/REPO"), "{imported:?}");
    imported.ok();

    let history = world.stored("&branch=main").await;
    assert_eq!(history.len(), 30);
    let mut newest = history[0].clone();
    for field in ["test_result_id", "timestamp"] {
        assert!(newest[field].is_string(), "{newest}");
        newest[field] = format!("[{field}]").into();
    }
    insta::assert_json_snapshot!(newest, @r#"
    {
      "branch": "main",
      "commit": "4d8474bda0b16fbbb69887d0d08c3885843bbdc7",
      "conclusion": "failure",
      "failed": 2,
      "owner": "acme",
      "passed": 188,
      "platform": "linux",
      "repo": "kit",
      "run_attempt": 1,
      "run_id": "16814735762",
      "skipped": 0,
      "test_result_id": "[test_result_id]",
      "timestamp": "[timestamp]",
      "total": 190,
      "url_html": "https://github.com/acme/kit/runs/123",
      "workflow_run_url": "https://github.com/acme/kit/actions/runs/456"
    }
    "#);
    for branch in ["main", "feature/login"] {
        assert_eq!(world.badge(branch).await, "188 passed, 2 failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_import_changes_nothing_and_keeps_newer_results() {
    let world = World::start().await;
    send(&world, RESULTS_QUEUE, &message(1)).await;
    let result = item("main", days_ago(1), &json!({}));
    let results = export(&[result.clone(), result, item("main", days_ago(2), &json!({}))]);
    let mut stored = Vec::new();
    for _ in 0..2 {
        assert!(world.import(&results, &[]).await.ok().starts_with("sent 2 results\n"));
        stored.push(world.stored("").await);
        assert_eq!(world.badge("main").await, "190 passed");
    }
    assert_eq!(stored[0].len(), 3);
    assert_eq!(stored[0], stored[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_sends_nothing() {
    let world = World::start().await;
    let results =
        export(&[item("main", days_ago(1), &json!({})), item("main", days_ago(2), &json!({"Total": null}))]);
    let dry = world.import(&results, &["--dry-run"]).await;
    dry.failed(
        1,
        "skipped 1 item: Total: expected an integer from 0 to 4294967295; the item is TEST#acme#kit RESULT#",
    );
    assert!(dry.stdout.starts_with("would send 1 result, skipped 1 item\n"), "{dry:?}");
    assert_eq!(world.stored("").await, Vec::<Value>::new());
}

/// One item that is imported without its commit and its report, and others that are not.
fn invalid_items() -> Vec<Value> {
    let text = |text: &str| json!({ "S": text });
    let number = |number: &str| json!({ "N": number });
    let at = |second: u64| days_ago(1).plus(Duration::from_secs(second));
    vec![
        item("main", at(0), &json!({ "Platform": text("ubuntu-latest") })),
        item("main", at(1), &json!({ "Platform": text("ubuntu-latest"), "RunId": text("run 7") })),
        item("main", at(2), &json!({ "Commit": text("unknown"), "UrlHtml": text("http://ci.test/7") })),
        item("main", at(3), &json!({ "Total": number("191") })),
        item("main", at(4), &json!({ "Passed": text("188"), "Failed": number("-1") })),
        item("main", Clock::System.now().plus(DAY), &json!({})),
        item("main", days_ago(731), &json!({})),
        json!({ "PK": text("NONCE#1"), "SK": text("META") }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_items_are_listed_and_the_others_are_imported() {
    let world = World::start().await;
    let results = export(&invalid_items());
    let imported = world.import(&results, &["--json"]).await;
    imported.failed(
        1,
        "skipped 2 items: Platform: expected linux, windows or macos; the first item is TEST#acme#kit",
    );
    imported.failed(1, "dropped UrlHtml of 1 result: expected an absolute https URL");
    imported.failed(1, "left out 1 result older than two years");
    let mut json = imported.json();
    for problem in json["problems"].as_array_mut().unwrap() {
        let text = |field: &str| problem[field].as_str().unwrap().to_owned();
        assert!(problem["keys"][0].is_string(), "{problem}");
        *problem = format!("{} {} {}", text("effect"), text("attribute"), problem["items"]).into();
    }
    insta::assert_json_snapshot!(json, @r#"
    {
      "complete": true,
      "dry_run": false,
      "expired": 1,
      "lower_case_branches": [],
      "problems": [
        "skipped Platform 2",
        "skipped RunId 1",
        "dropped Commit 1",
        "dropped UrlHtml 1",
        "skipped Total 1",
        "skipped Passed 1",
        "skipped Failed 1",
        "skipped Timestamp 1",
        "skipped SK 1"
      ],
      "repositories": [
        {
          "registered": false,
          "repository": "acme/kit",
          "results": 1
        }
      ],
      "sent": 1,
      "skipped": 6,
      "unmatched_branches": []
    }
    "#);

    let history = world.stored("").await;
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!((&history[0]["commit"], &history[0]["url_html"]), (&Value::Null, &Value::Null));
    let redirect = world.api().get(&format!("/redirect/test-results/linux/{REPOSITORY}/main")).await.unwrap();
    assert_eq!(redirect.header("location"), Some("https://github.com/acme/kit/actions/runs/456"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_branch_option_restores_the_case_of_a_branch() {
    let world = World::start().await;
    let results = export(&[item("feature/login", days_ago(1), &json!({}))]);
    let options = ["--branch", "Feature/Login", "--branch", "Other"];
    let imported = world.import(&results, &options).await;
    assert_eq!(
        imported.stderr.lines().next(),
        Some("--branch: no results of the branch Other"),
        "{imported:?}"
    );
    imported.ok();
    assert_eq!(world.stored("&branch=Feature/Login").await.len(), 1);
    assert_eq!(world.stored("&branch=feature/login").await.len(), 0);
    let options = ["--branch", "Feature/Login", "--branch", "feature/Login"];
    world
        .import(&results, &options)
        .await
        .failed(2, "--branch: Feature/Login and feature/Login differ only in case");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_results_of_the_given_repository_are_imported() {
    let world = World::start().await;
    let other = json!({ "PK": {"S": "TEST#acme#other"}, "Repo": {"S": "other"} });
    let results = export(&[item("main", days_ago(1), &other), item("main", days_ago(1), &json!({}))]);
    let imported = world.import(&results, &["--repo", "Acme/Other", "--json"]).await.json();
    assert_eq!(
        imported["repositories"],
        json!([{ "repository": "acme/other", "results": 1, "registered": false }])
    );
    let mismatch = export(&[item("main", days_ago(3), &json!({ "Repo": {"S": "other"} }))]);
    let imported = world.import(&mismatch, &["--repo", "acme/kit"]).await;
    assert_eq!(imported.code, Some(1), "{imported:?}");
    assert!(imported.stderr.contains("PK: expected the key of Owner and Repo"), "{imported:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_this_service_is_rejected() {
    let world = World::start().await;
    send(&world, RESULTS_QUEUE, &message(1)).await;
    assert_eq!(world.stored("").await.len(), 1);
    let scan = reqwest::Client::new()
        .post(format!("http://{}", world.aws))
        .header("x-amz-target", "DynamoDB_20120810.Scan")
        .header("content-type", "application/x-amz-json-1.0")
        .body(r#"{"TableName":"badge-test-results"}"#);
    let own = file(&scan.send().await.unwrap().text().await.unwrap());
    let imported = world.import(&own, &[]).await;
    imported.failed(1, "the export comes from a table of this service: it contains the item ");
    assert_eq!(world.stored("").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_export_is_imported_up_to_its_end() {
    let world = World::start().await;
    let whole = json!({ "Items": [item("main", days_ago(1), &json!({}))] }).to_string();
    world.import(&file(whole.trim_end_matches("]}")), &[]).await.failed(1, "sent 1 result before the error");
    let page = json!({ "Items": [item("main", days_ago(2), &json!({}))], "NextToken": "x" }).to_string();
    world.import(&file(&page), &[]).await.failed(1, "the export does not have all items of the table");
    assert_eq!(world.stored("").await.len(), 2);
    world.import(&file(""), &[]).await.failed(1, "expected the output of `aws dynamodb scan --output json`");
    world.run(&["import", "/no/such/file"]).await.failed(2, "failed to read /no/such/file");
    let imported = world.run_with(&["import", "-"], r#"{"Items":[]}"#).await;
    assert_eq!(imported.ok(), "sent 0 results\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_the_queue_rejects_are_sent_again() {
    let world = World::start().await;
    let results = export(&[item("main", days_ago(1), &json!({})), item("main", days_ago(2), &json!({}))]);
    let rejects = |until| {
        Proxy::altering(
            world.aws,
            |_, _| true,
            move |operation, number, body| {
                if operation == "SendMessageBatch" && number <= until {
                    let mut response: Value = serde_json::from_slice(body).unwrap();
                    let sent = response["Successful"].as_array_mut().unwrap().pop().unwrap();
                    response["Failed"] = json!([{ "Id": sent["Id"], "Code": "Busy", "SenderFault": false }]);
                    *body = response.to_string().into_bytes();
                }
            },
        )
    };
    let import = ["import", results.path().to_str().unwrap()];
    let proxy = rejects(1);
    assert!(proxy.run(&import).await.ok().starts_with("sent 2 results\n"));
    let sends = proxy.take_calls("SendMessageBatch");
    let entries: Vec<_> = sends.iter().map(|send| send.body["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(entries, [2, 1]);
    let failed = rejects(9).run(&import).await;
    failed.failed(
        1,
        "the queue rejected 1 result: Busy: ; sent 1 result before the error; run the command again",
    );
    assert_eq!(world.stored("").await.len(), 2);
}
