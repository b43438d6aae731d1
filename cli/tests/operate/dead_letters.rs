//! Dead letters: `list`, `show`, `replay` and `purge`.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use badgesmith_aws::clock::Clock;
use badgesmith_aws::sqs::Queue;
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::signature::Digest;
use badgesmith_domain::test_result::{TestResult, TestResultId};
use embedded_aws::Queues;
use local::stack::{REFRESH_DEAD_LETTER_QUEUE, RESULTS_DEAD_LETTER_QUEUE, RESULTS_QUEUE};
use serde_json::{Value, json};
use tests::client::{REPOSITORY, result, with};
use tokio::task::JoinSet;

use super::{World, until};

/// A message that this version cannot read.
pub(super) const NEWER: &str = r#"{"version":3,"results":[]}"#;

pub(super) fn queue(world: &World, name: &str) -> Queue {
    Queue::new(&world.server.aws().sdk_config(), Queues::url(name))
}

pub(super) fn client(world: &World) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&world.server.aws().sdk_config())
}

pub(super) async fn send(world: &World, queue: &str, body: &str) {
    client(world).send_message().queue_url(Queues::url(queue)).message_body(body).send().await.unwrap();
}

/// The message of a valid result.
pub(super) fn message(run: usize) -> String {
    let id = TestResultId::derive(&run.to_string(), &Digest::of(b""));
    let fields =
        json!({ "test_result_id": id, "run_id": run.to_string(), "run_attempt": 1, "nonce": Value::Null });
    let result: TestResult = serde_json::from_value(with(result(Clock::System.now()), &fields)).unwrap();
    serde_json::to_string(&ResultMessage::new(result)).unwrap()
}

/// A message that the processor rejects, one that was received too often, and one of a newer version.
async fn world_with_dead_letters() -> (World, Queue) {
    let world = World::start().await;
    let (results, dead) = (queue(&world, RESULTS_QUEUE), queue(&world, RESULTS_DEAD_LETTER_QUEUE));
    let poison = r#"{"version":1,"result":{"owner":"Acme","repo":"Poison","bell":"\u0007"}}"#;
    results.send_dead_letter(poison, "unused", Clock::System.now()).await.unwrap();
    until(async || dead.depth().await.unwrap().visible == 1).await;
    send(&world, RESULTS_DEAD_LETTER_QUEUE, &message(1)).await;
    send(&world, RESULTS_DEAD_LETTER_QUEUE, NEWER).await;
    (world, dead)
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_shown_with_their_reasons() {
    let empty = World::start().await.run(&["dlq", "list"]).await.ok();
    assert_eq!(empty, "the results dead-letter queue is empty\n");
    let (world, dead) = world_with_dead_letters().await;
    let mut poison = world.run(&["dlq", "list", "--repo", "acme/poison", "--json"]).await.json();
    for field in ["id", "failed_at", "sent_at"] {
        assert!(poison["messages"][0][field].is_string(), "{poison}");
        poison["messages"][0][field] = format!("[{field}]").into();
    }
    insta::assert_json_snapshot!(poison, @r#"
    {
      "complete": true,
      "delayed": 0,
      "examined": 3,
      "in_flight": 0,
      "messages": [
        {
          "body": "{\"version\":1,\"result\":{\"owner\":\"Acme\",\"repo\":\"Poison\",\"bell\":\"\\u0007\"}}",
          "failed_at": "[failed_at]",
          "id": "[id]",
          "reason": "malformed message: missing field `platform` at line 1 column 70",
          "receives": 1,
          "sent_at": "[sent_at]",
          "subject": "acme/poison"
        }
      ],
      "missing": 0,
      "queue": "results",
      "reasons": {
        "malformed message: missing field `platform` at line 1 column 70": 1
      },
      "skipped": 2,
      "undeleted": 0,
      "visible": 3
    }
    "#);
    let listed = world.run(&["dlq", "list", "--json"]).await.json();
    let messages = listed["messages"].as_array().unwrap();
    let find = |subject: Value| messages.iter().find(|message| message["subject"] == subject).unwrap();
    assert_eq!(find(json!(REPOSITORY))["reason"], "max receives exceeded");
    assert_eq!(find(Value::Null)["reason"], "message version 3 is newer than the supported version 2");
    assert_eq!(listed["reasons"]["max receives exceeded"], 1);

    let listed = world.run(&["dlq", "list"]).await.ok();
    assert!(listed.contains("acme/poison") && listed.contains("max receives exceeded"), "{listed}");
    let older = world.run(&["dlq", "list", "--older-than", "1h"]).await.ok();
    assert_eq!(older, "no matching messages among the 3 examined in the results dead-letter queue\n");
    let id = find(json!("acme/poison"))["id"].as_str().unwrap();
    let shown = world.run(&["dlq", "show", id]).await.ok();
    assert!(shown.contains("\"repo\": \"Poison\"") && !shown.contains('\u{7}'), "{shown}");
    world.run(&["dlq", "show", "no-such-id"]).await.failed(3, "dlq list");

    let cut = world.run(&["dlq", "list", "--max", "2"]).await;
    assert!(cut.stderr.contains("about 1 more"), "{cut:?}");
    cut.ok();
    world.run(&["dlq", "show", "--repo", "acme/none", "--max", "2"]).await.failed(1, "about 1 more");
    assert_eq!(dead.depth().await.unwrap().visible, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_messages_are_replayed_and_poison_returns() {
    let (world, dead) = world_with_dead_letters().await;
    let replay = ["dlq", "replay", "--repo", REPOSITORY, "--json"];
    let dry = world.run(&[&replay[..], &["--dry-run"]].concat()).await.json();
    assert_eq!((&dry["moved"], &dry["skipped"]), (&1.into(), &2.into()), "{dry}");
    assert_eq!(dead.depth().await.unwrap().visible, 3);
    insta::assert_json_snapshot!(world.run(&replay).await.json(), @r#"
    {
      "complete": true,
      "delayed": 0,
      "dry_run": false,
      "examined": 3,
      "in_flight": 0,
      "missing": 0,
      "moved": 1,
      "queue": "results",
      "refused": 0,
      "returned": 0,
      "skipped": 2,
      "undeleted": 0,
      "visible": 3
    }
    "#);
    until(async || world.api().history(REPOSITORY, "", 10).await.unwrap().len() == 1).await;

    let replayed = world.run(&["dlq", "replay", "--rate", "0"]).await.ok();
    assert_eq!(replayed, "moved 2 messages to badge-results\n");
    until(async || dead.depth().await.unwrap().visible == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn selected_messages_or_all_are_purged_after_a_confirmation() {
    let (world, dead) = world_with_dead_letters().await;
    let question = "Permanently delete all messages from the results dead-letter queue (about 3 in total)?";
    world.run(&["dlq", "purge"]).await.failed(2, question);
    let question = "Permanently delete messages older than 5m with \"NEWER\" in the reason from the results \
                    dead-letter queue (about 3 in total)?";
    world.run(&["dlq", "purge", "--reason", "NEWER", "--older-than", "5m"]).await.failed(2, question);
    assert_eq!(dead.depth().await.unwrap().visible, 3);
    let purged = world.run(&["dlq", "purge", "--yes", "--reason", "NEWER", "--json"]).await.json();
    insta::assert_json_snapshot!(purged, @r#"
    {
      "all": false,
      "complete": true,
      "delayed": 0,
      "deleted": 1,
      "examined": 3,
      "in_flight": 0,
      "missing": 0,
      "queue": "results",
      "skipped": 2,
      "undeleted": 0,
      "visible": 3
    }
    "#);
    assert_eq!(dead.depth().await.unwrap().visible, 2);
    world.run(&["dlq", "purge", "--yes"]).await.ok();
    assert_eq!(dead.depth().await.unwrap().total(), 0);
    world.run(&["dlq", "purge", "--yes"]).await.failed(1, "in a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn package_requests_are_listed_with_their_reasons_and_replayed() {
    const REFRESH_EVENTS: &str = "badge-refresh-events-dlq";
    let world = World::start().await;
    let detail =
        r#"{"version":1,"package":"nuget/acme.kit","reason":"new","requested_at":"2026-01-15T10:30:00Z"}"#;
    for body in [&format!(r#"{{"detail":{detail}}}"#), "{}"] {
        send(&world, REFRESH_DEAD_LETTER_QUEUE, body).await;
    }
    let listed = world.run(&["dlq", "list", "--queue", "refresh"]).await.ok();
    assert!(listed.contains("nuget/acme.kit") && listed.contains("malformed request"), "{listed}");
    world.upstream.publish("Acme.Kit", &["1.0.0"]);
    let replay = ["dlq", "replay", "--queue", "refresh", "--reason", "max receives", "--json"];
    assert_eq!(world.run(&replay).await.json()["moved"], 1);
    until(async || world.run(&["package", "list"]).await.ok().contains("1.0.0")).await;
    world.run(&["dlq", "list", "--queue", "refresh", "--repo", REPOSITORY]).await.failed(2, "--repo");

    let text = |value: &str| {
        MessageAttributeValue::builder().string_value(value).data_type("String").build().unwrap()
    };
    client(&world)
        .send_message()
        .queue_url(Queues::url(REFRESH_EVENTS))
        .message_body(format!(r#"{{"detail":{}}}"#, detail.replace("nuget/acme.kit", "nuget/acme.other")))
        .message_attributes("ERROR_MESSAGE", text("access to the queue is denied"))
        .message_attributes("RULE_ARN", text("arn"))
        .send()
        .await
        .unwrap();
    let listed = world.run(&["dlq", "list", "--queue", "refresh-events"]).await.ok();
    assert!(listed.contains("nuget/acme.other") && listed.contains("access to the queue"), "{listed}");
    world.upstream.publish("Acme.Other", &["2.0.0"]);
    world.run(&["dlq", "replay", "--queue", "refresh-events"]).await.ok();
    until(async || world.run(&["package", "list"]).await.ok().contains("2.0.0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_at_random_loses_nothing_and_stores_each_result_once() {
    const MESSAGES: usize = 3000;
    const KILLS: usize = 5;
    let world = World::start().await;
    let dead = queue(&world, RESULTS_DEAD_LETTER_QUEUE);
    let client = client(&world);
    let mut sending = JoinSet::new();
    for batch in 0..MESSAGES / 10 {
        let send = client.send_message_batch().queue_url(Queues::url(RESULTS_DEAD_LETTER_QUEUE));
        sending.spawn(async move {
            let entries = (0..10).map(|at| {
                let entry = SendMessageBatchRequestEntry::builder().id(at.to_string());
                entry.message_body(message(batch * 10 + at)).build().unwrap()
            });
            send.set_entries(Some(entries.collect())).send().await.unwrap().successful().len()
        });
    }
    assert!(sending.join_all().await.into_iter().all(|sent| sent == 10));
    assert_eq!(dead.depth().await.unwrap().visible, MESSAGES as u64);

    let mut kills = 0;
    while dead.depth().await.unwrap().total() > 0 {
        let mut command = world.command(&["dlq", "replay", "--rate", "0", "--visibility-timeout", "2"]);
        let timeout = Duration::from_millis(if kills < KILLS { fastrand::u64(20..150) } else { 60_000 });
        let mut process = command.spawn().unwrap();
        let ended = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + timeout;
            while Instant::now() < deadline {
                if let Some(status) = process.try_wait().unwrap() {
                    assert!(status.success());
                    return true;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            process.kill().unwrap();
            process.wait().unwrap();
            false
        });
        kills += usize::from(!ended.await.unwrap());
    }
    assert!(kills > 2, "{kills}");

    let results = queue(&world, RESULTS_QUEUE);
    until(async || results.depth().await.unwrap().total() == 0).await;
    let history = world.api().history(REPOSITORY, "", 200).await.unwrap();
    let ids: HashSet<_> = history.iter().map(|result| result["test_result_id"].as_str().unwrap()).collect();
    assert_eq!((history.len(), ids.len()), (MESSAGES, MESSAGES));
    assert_eq!(dead.depth().await.unwrap().total(), 0);
}
