//! Messages that come back, late calls, and other consumers of a dead-letter queue.

use std::thread::sleep;
use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use badgesmith_aws::sqs::Queue;
use embedded_aws::Queues;
use local::stack::RESULTS_DEAD_LETTER_QUEUE;
use serde_json::{Value, json};
use tests::client::REPOSITORY;
use tokio::runtime::Handle;

use super::dead_letters::{NEWER, client, message, queue, send};
use super::proxy::Proxy;
use super::{World, until};

const MINUTE: Duration = Duration::from_mins(1);
/// Longer than the visibility timeout of these tests, two seconds.
const LATE: Duration = Duration::from_millis(2500);

/// A dead-letter queue with valid messages, and as many of a newer version.
async fn world_with(messages: usize) -> (World, Queue) {
    let world = World::start().await;
    for number in 0..messages {
        send(&world, RESULTS_DEAD_LETTER_QUEUE, &message(number)).await;
        send(&world, RESULTS_DEAD_LETTER_QUEUE, &format!("{NEWER}{}", " ".repeat(number))).await;
    }
    let dead = queue(&world, RESULTS_DEAD_LETTER_QUEUE);
    (world, dead)
}

/// The processor rejects the messages while the second receive waits, and its response has them.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_leaves_messages_that_come_back_during_a_long_poll() {
    let (world, dead) = world_with(0).await;
    for poison in ["poison", "more poison"] {
        send(&world, RESULTS_DEAD_LETTER_QUEUE, poison).await;
    }
    let runtime = Handle::current();
    let proxy = Proxy::start(world.aws, move |operation, number| {
        if (operation, number) == ("ReceiveMessage", 2) {
            runtime.block_on(until(async || dead.depth().await.unwrap().visible == 2));
            sleep(Duration::from_secs(1));
        }
        true
    });
    let replayed = proxy.run(&["dlq", "replay", "--rate", "0", "--json"]).await.json();
    assert_eq!((&replayed["moved"], &replayed["returned"]), (&2.into(), &2.into()), "{replayed}");
    assert_eq!(replayed["complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_received_twice_is_moved_once() {
    let (world, dead) = world_with(15).await;
    let proxy = Proxy::start(world.aws, |operation, number| {
        if matches!((operation, number), ("ReceiveMessage", 3) | ("DeleteMessageBatch", 1)) {
            sleep(LATE);
        }
        true
    });
    let replay =
        ["dlq", "replay", "--rate", "0", "--repo", REPOSITORY, "--visibility-timeout", "2", "--json"];
    let replayed = proxy.run(&replay).await.json();
    assert_eq!((&replayed["moved"], &replayed["skipped"]), (&15.into(), &15.into()), "{replayed}");
    assert_eq!(replayed["complete"], true);
    let sends = proxy.take_calls("SendMessageBatch");
    let sent: usize = sends.iter().map(|send| send.body["Entries"].as_array().unwrap().len()).sum();
    assert_eq!(sent, 15);
    let depth = dead.depth().await.unwrap();
    assert_eq!((depth.visible, depth.in_flight), (15, 0));
    until(async || world.api().history(REPOSITORY, "", 100).await.unwrap().len() == 15).await;
}

/// SQS confirms such a deletion. Another consumer has the messages.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_after_the_visibility_timeout_does_not_count() {
    let (world, dead) = world_with(10).await;
    let (other, runtime) = (dead.clone(), Handle::current());
    let proxy = Proxy::start(world.aws, move |operation, number| {
        if (operation, number) == ("DeleteMessageBatch", 1) {
            sleep(LATE);
            for _ in 0..2 {
                let received = runtime.block_on(other.receive(Queue::BATCH, MINUTE, MINUTE / 6));
                assert_eq!(received.unwrap().len(), Queue::BATCH);
            }
        }
        true
    });
    let purge = ["dlq", "purge", "--yes", "--reason", "newer", "--visibility-timeout", "2", "--json"];
    let purged = proxy.run(&purge).await;
    purged.failed(1, "did not examine about 10 more messages: they are in flight");
    purged.failed(1, "failed to delete 5 messages in time; run the command again");
    let json = purged.json();
    assert_eq!((&json["deleted"], &json["complete"]), (&0.into(), &false.into()));
    assert_eq!((&json["examined"], &json["undeleted"]), (&10.into(), &5.into()));
    assert_eq!(dead.depth().await.unwrap().in_flight, 20);
}

/// Changes the messages of a response to a receive.
fn alter_messages(body: &mut Vec<u8>, alter: impl FnOnce(&mut Vec<Value>)) {
    let mut response: Value = serde_json::from_slice(body).unwrap();
    alter(response.get_mut("Messages").unwrap().as_array_mut().unwrap());
    *body = serde_json::to_vec(&response).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_message_that_a_receive_returns_twice_stays_in_the_queue() {
    let (world, dead) = world_with(0).await;
    send(&world, RESULTS_DEAD_LETTER_QUEUE, &message(1)).await;
    let proxy = Proxy::altering(
        world.aws,
        |_, _| true,
        |operation, number, body| match (operation, number) {
            ("ReceiveMessage", 1) => alter_messages(body, |messages| messages.push(messages[0].clone())),
            ("SendMessageBatch", 1) => {
                let sent: Value = serde_json::from_slice(body).unwrap();
                let failed =
                    json!({ "Id": sent["Successful"][0]["Id"], "Code": "Busy", "SenderFault": false });
                *body = serde_json::to_vec(&json!({ "Successful": [], "Failed": [failed] })).unwrap();
            }
            _ => {}
        },
    );
    let replayed = proxy.run(&["dlq", "replay", "--rate", "0", "--json"]).await;
    replayed.failed(1, "left 1 message that the queue rejected: Busy");
    let json = replayed.json();
    assert_eq!((&json["examined"], &json["moved"], &json["refused"]), (&1.into(), &0.into(), &1.into()));
    assert_eq!(dead.depth().await.unwrap().visible, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_deletion_fails_is_examined_and_not_deleted() {
    let (world, _) = world_with(1).await;
    let proxy = Proxy::altering(
        world.aws,
        |_, _| true,
        |operation, number, body| {
            if (operation, number) == ("ReceiveMessage", 1) {
                alter_messages(body, |messages| {
                    for message in messages {
                        message["ReceiptHandle"] = "unknown".into();
                    }
                });
            }
        },
    );
    let purged = proxy.run(&["dlq", "purge", "--yes", "--reason", "newer", "--json"]).await;
    purged.failed(1, "failed to delete 1 message in time: ReceiptHandleIsInvalid");
    assert!(!purged.stderr.contains("did not examine"), "{purged:?}");
    let json = purged.json();
    assert_eq!((&json["examined"], &json["missing"], &json["undeleted"]), (&2.into(), &0.into(), &1.into()));
    assert_eq!((&json["deleted"], &json["complete"]), (&0.into(), &false.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_call_leaves_only_its_messages_in_flight() {
    let (world, dead) = world_with(8).await;
    let proxy = Proxy::start(world.aws, |operation, number| {
        operation != "ChangeMessageVisibilityBatch" || number > 1
    });
    let listed = proxy.run(&["dlq", "list"]).await;
    assert!(listed.stderr.contains("10 messages may be in flight"), "{listed:?}");
    listed.ok();
    let depth = dead.depth().await.unwrap();
    assert_eq!((depth.visible, depth.in_flight), (6, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_messages_with_the_same_body_is_moved() {
    let (world, dead) = world_with(0).await;
    let body = message(1);
    for _ in 0..2 {
        send(&world, RESULTS_DEAD_LETTER_QUEUE, &body).await;
    }
    let replayed = world.run(&["dlq", "replay", "--rate", "0", "--json"]).await;
    assert!(
        replayed.stderr.contains("left 1 message with the same body as a moved message: it failed again")
    );
    let json = replayed.json();
    assert_eq!((&json["moved"], &json["returned"]), (&1.into(), &1.into()), "{json}");
    assert_eq!(dead.depth().await.unwrap().visible, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_flight_elsewhere_are_reported_as_missing() {
    let (world, dead) = world_with(3).await;
    assert_eq!(dead.receive(4, MINUTE, Duration::ZERO).await.unwrap().len(), 4);
    let listed = world.run(&["dlq", "list", "--json"]).await;
    listed.failed(1, "did not examine about 4 more messages: they are in flight");
    let json = listed.json();
    assert_eq!(
        (&json["examined"], &json["missing"], &json["complete"]),
        (&2.into(), &4.into(), &false.into())
    );
    assert_eq!(dead.depth().await.unwrap().visible, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_outlasts_the_visibility_timeout_is_reported_as_incomplete() {
    let (world, dead) = world_with(5).await;
    assert_eq!(dead.receive(2, MINUTE, Duration::ZERO).await.unwrap().len(), 2);
    let proxy = Proxy::start(world.aws, |operation, number| {
        if (operation, number) == ("ReceiveMessage", 2) {
            sleep(LATE);
        }
        true
    });
    let listed = proxy.run(&["dlq", "list", "--visibility-timeout", "2"]).await;
    listed.failed(1, "did not examine about 2 more messages: examined messages became visible again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_keeps_to_its_rate() {
    let (world, _) = world_with(15).await;
    let proxy = Proxy::start(world.aws, |_, _| true);
    proxy.run(&["dlq", "replay", "--rate", "40", "--repo", REPOSITORY]).await.ok();
    let sends = proxy.take_calls("SendMessageBatch");
    assert_eq!(sends.len(), 3);
    let elapsed = sends[2].at - sends[0].at;
    assert!(elapsed >= 10 * Duration::from_millis(25), "{elapsed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_keeps_the_message_group_and_the_trace_header() {
    let world = World::start().await;
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793";
    let header = MessageSystemAttributeValue::builder().data_type("String").string_value(trace).build();
    client(&world)
        .send_message()
        .queue_url(Queues::url(RESULTS_DEAD_LETTER_QUEUE))
        .message_body(message(1))
        .message_group_id("acme")
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, header.unwrap())
        .send()
        .await
        .unwrap();
    let proxy = Proxy::start(world.aws, |_, _| true);
    proxy.run(&["dlq", "replay"]).await.ok();
    let entry = &proxy.take_calls("SendMessageBatch")[0].body["Entries"][0];
    assert_eq!(entry["MessageGroupId"], "acme");
    assert_eq!(entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"], trace);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_cannot_inject_commands_into_terminals_and_ci_systems() {
    let world = World::start().await;
    send(&world, RESULTS_DEAD_LETTER_QUEUE, "\n::warning::mine\n##vso[task.complete]").await;
    let shown = world.run(&["dlq", "show"]).await.ok();
    assert!(shown.contains("  | ::warning::mine") && !shown.contains("##"), "{shown}");
    assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_the_oldest_dead_letter_is_a_sample_or_unknown() {
    let (world, _) = world_with(10).await;
    let status = world.run(&["status", "--json"]).await.json();
    assert_eq!(
        (&status["queues"][2]["visible"], &status["queues"][2]["oldest_is_sample"]),
        (&20.into(), &true.into())
    );
    let denied = Proxy::start(world.aws, |operation, _| operation != "ReceiveMessage").run(&["status"]).await;
    assert!(denied.stderr.contains("in badge-results-dlq is unknown"), "{denied:?}");
    assert!(denied.ok().contains('?'));
}
