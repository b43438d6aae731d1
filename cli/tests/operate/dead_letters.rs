//! What could not be processed, and back.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sqs::Queue;
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::test_result::{TestResult, TestResultId};
use embedded_aws::Queues;
use local::stack::{RESULTS_DEAD_LETTER_QUEUE, RESULTS_QUEUE};
use serde_json::{Value, json};
use tests::client::{REPOSITORY, result, with};
use tokio::task::JoinSet;

use super::{World, until};

fn queue(world: &World, name: &str) -> Queue {
    Queue::new(&world.server.aws().sdk_config(), Queues::url(name))
}

/// A result of run `run`, as the queue has it.
fn message(run: usize) -> ResultMessage {
    let id = TestResultId::derive(&run.to_string());
    let fields =
        json!({ "test_result_id": id, "run_id": run.to_string(), "run_attempt": 1, "nonce": Value::Null });
    let result: TestResult = serde_json::from_value(with(result(Clock::System.now()), &fields)).unwrap();
    ResultMessage::new(result)
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_told_apart_and_what_can_succeed_is_replayed() {
    let world = World::start().await;
    let (results, dead) = (queue(&world, RESULTS_QUEUE), queue(&world, RESULTS_DEAD_LETTER_QUEUE));
    let empty = world.run(&["dlq", "list"]).await.ok();
    assert_eq!(empty, "no dead letters of results\n");
    // One that the processor gives up, one that was tried too often, and one that nobody has looked at.
    let poison = r#"{"version":1,"result":{"owner":"Acme","repo":"Poison","bell":"\u0007"}}"#;
    results.send_dead_letter(poison, "unused", Clock::System.now()).await.unwrap();
    until(async || dead.depth().await.unwrap().waiting == 1).await;
    dead.send_result(&message(1), None).await.unwrap();
    let newer = r#"{"version":2,"results":[]}"#;
    let pages = world.server.aws().sdk_config();
    aws_sdk_sqs::Client::new(&pages)
        .send_message()
        .queue_url(Queues::url(RESULTS_DEAD_LETTER_QUEUE))
        .message_body(newer)
        .send()
        .await
        .unwrap();

    let listed = world.run(&["dlq", "list", "--json"]).await.json();
    assert_eq!(listed["waiting"], 3);
    let letters = listed["letters"].as_array().unwrap();
    let of = |subject: Value| letters.iter().find(|letter| letter["subject"] == subject).unwrap();
    assert!(of(json!("acme/poison"))["reason"].as_str().unwrap().starts_with("malformed message"));
    assert!(of(json!("acme/poison"))["failed_at"].is_string());
    assert_eq!(of(json!(REPOSITORY))["reason"], "gave up");
    assert_eq!(of(Value::Null)["reason"], "message version 2 is newer than this reader's 1");
    assert_eq!(listed["reasons"]["gave up"], 1);
    let listed = world.run(&["dlq", "list"]).await.ok();
    assert!(listed.contains("acme/poison") && listed.contains("gave up"), "{listed}");
    let shown = world.run(&["dlq", "show", of(json!("acme/poison"))["id"].as_str().unwrap()]).await.ok();
    assert!(shown.contains("\"repo\": \"Poison\"") && !shown.contains('\u{7}'), "{shown}");
    world.run(&["dlq", "show", "no-such-id"]).await.failed(3, "dlq list");
    let older = world.run(&["dlq", "list", "--older-than", "1h"]).await.ok();
    assert_eq!(older, "no such dead letters of results\n");

    let replay = ["dlq", "replay", "--repo", REPOSITORY, "--json"];
    let dry = world.run(&[&replay[..], &["--dry-run"]].concat()).await.json();
    assert_eq!((&dry["moved"], &dry["skipped"]), (&json!(1), &json!(2)), "{dry}");
    assert_eq!(dead.depth().await.unwrap().waiting, 3);
    let replayed = world.run(&replay).await.json();
    assert_eq!(
        (&replayed["moved"], &replayed["skipped"], &replayed["complete"]),
        (&json!(1), &json!(2), &json!(true))
    );
    until(async || world.api().history(REPOSITORY, "", 10).await.unwrap().len() == 1).await;

    // What can never succeed comes back, and a replay does not go round in circles with it.
    let replayed = world.run(&["dlq", "replay", "--rate", "0"]).await;
    assert!(replayed.stdout.starts_with("2 moved"), "{replayed:?}");
    until(async || dead.depth().await.unwrap().waiting == 2).await;

    world
        .run(&["dlq", "purge"])
        .await
        .failed(2, "Delete all dead letters of results, about 2, for good? stdin is not a terminal");
    assert_eq!(dead.depth().await.unwrap().waiting, 2);
    let one = world.run(&["dlq", "purge", "--yes", "--reason", "NEWER", "--json"]).await.json();
    assert_eq!(one["deleted"], 1);
    assert_eq!(dead.depth().await.unwrap().waiting, 1);
    world.run(&["dlq", "purge", "--yes"]).await.ok();
    assert_eq!(dead.depth().await.unwrap().total(), 0);
    world.run(&["dlq", "purge", "--yes"]).await.failed(1, "wait a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_requests_for_packages_is_told() {
    let world = World::start().await;
    let client = aws_sdk_sqs::Client::new(&world.server.aws().sdk_config());
    let detail =
        r#"{"version":1,"package":"nuget/acme.kit","reason":"new","requested_at":"2026-01-15T10:30:00Z"}"#;
    for body in [&format!(r#"{{"detail":{detail}}}"#), "{}"] {
        client
            .send_message()
            .queue_url(Queues::url("RefreshDeadLetterQueue"))
            .message_body(body)
            .send()
            .await
            .unwrap();
    }
    let listed = world.run(&["dlq", "list", "--queue", "refresh"]).await.ok();
    assert!(listed.contains("nuget/acme.kit") && listed.contains("malformed request"), "{listed}");
    world.upstream.publish("Acme.Kit", &["1.0.0"]);
    let replay = ["dlq", "replay", "--queue", "refresh", "--reason", "gave up", "--json"];
    assert_eq!(world.run(&replay).await.json()["moved"], 1);
    until(async || world.run(&["package", "list"]).await.ok().contains("1.0.0")).await;

    // What the rule could not put on the queue is the same event, with EventBridge's own reason.
    let events = Queues::url("RefreshEventsDeadLetterQueue");
    let text = |value: &str| {
        let value = aws_sdk_sqs::types::MessageAttributeValue::builder().string_value(value);
        value.data_type("String").build().unwrap()
    };
    let send = client
        .send_message()
        .queue_url(&events)
        .message_body(format!(r#"{{"detail":{}}}"#, detail.replace("nuget/acme.kit", "nuget/acme.other")));
    let send = send.message_attributes("ERROR_MESSAGE", text("access to the queue is denied"));
    send.message_attributes("RULE_ARN", text("arn")).send().await.unwrap();
    let listed = world.run(&["dlq", "list", "--queue", "refresh-events"]).await.ok();
    assert!(listed.contains("nuget/acme.other") && listed.contains("access to the queue"), "{listed}");
    world.upstream.publish("Acme.Other", &["2.0.0"]);
    world.run(&["dlq", "replay", "--queue", "refresh-events"]).await.ok();
    until(async || world.run(&["package", "list"]).await.ok().contains("2.0.0")).await;
}

/// Ten thousand dead letters, and a replay that is killed whenever it pleases.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_again_and_again_loses_nothing() {
    const LETTERS: usize = 10_000;
    const KILLS: usize = 10;
    let world = World::start().await;
    let dead = queue(&world, RESULTS_DEAD_LETTER_QUEUE);
    let client = aws_sdk_sqs::Client::new(&world.server.aws().sdk_config());
    let mut sending = JoinSet::new();
    for batch in 0..LETTERS / 10 {
        let send = client.send_message_batch().queue_url(Queues::url(RESULTS_DEAD_LETTER_QUEUE));
        sending.spawn(async move {
            let entries = (0..10).map(|at| {
                let body = serde_json::to_string(&message(batch * 10 + at)).unwrap();
                let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder();
                entry.id(at.to_string()).message_body(body).build().unwrap()
            });
            send.set_entries(Some(entries.collect())).send().await.unwrap().successful().len()
        });
    }
    assert!(sending.join_all().await.into_iter().all(|sent| sent == 10));
    assert_eq!(dead.depth().await.unwrap().waiting, 10_000);

    let mut kills = 0;
    while dead.depth().await.unwrap().total() > 0 {
        let mut command = world.command(&["dlq", "replay", "--rate", "0", "--hide", "2"]);
        // In the end it may finish.
        let patience = Duration::from_millis(if kills < KILLS { fastrand::u64(50..600) } else { 60_000 });
        let mut process = command.spawn().unwrap();
        let ended = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if let Some(status) = process.try_wait().unwrap() {
                    assert!(status.success());
                    return true;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            // SIGKILL: it has no time to put anything in order.
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
    assert_eq!((history.len(), ids.len()), (LETTERS, LETTERS), "each once");
    assert_eq!(dead.depth().await.unwrap().total(), 0);
}
