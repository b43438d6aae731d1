//! Queues and dead letters.

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName as System, QueueAttributeName as Queue, SendMessageBatchRequestEntry,
};
use badgesmith_aws::clock::Clock;
use badgesmith_domain::message::ResultMessage;
use serde_json::{Value, json};
use tests::client::{REPOSITORY, result, with};

use super::start;
use crate::badge_after;

const BADGE: &str = "/badges/tests/linux/acme/kit/main";

/// The URL of a queue, as an operator learns it.
pub(super) async fn url(sqs: &Client, name: &str) -> String {
    sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

/// How many messages of a queue can be received, and how many were.
async fn depth(sqs: &Client, url: &str) -> (String, String) {
    let told = sqs.get_queue_attributes().queue_url(url).attribute_names(Queue::All).send().await.unwrap();
    let told = told.attributes.unwrap();
    let count = |name| told[&name].clone();
    (count(Queue::ApproximateNumberOfMessages), count(Queue::ApproximateNumberOfMessagesNotVisible))
}

fn depths(visible: &str, in_flight: &str) -> (String, String) {
    (visible.to_owned(), in_flight.to_owned())
}

pub(super) async fn receive(sqs: &Client, url: &str, visibility_timeout: i32) -> Vec<Message> {
    let received = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .visibility_timeout(visibility_timeout)
        .wait_time_seconds(20)
        .message_attribute_names("rea.*")
        .message_system_attribute_names(System::SentTimestamp)
        .message_system_attribute_names(System::ApproximateReceiveCount)
        .send();
    received.await.unwrap().messages.unwrap_or_default()
}

#[tokio::test]
async fn dead_letters_are_received_moved_and_deleted() {
    let (local, config) = start(&["--ephemeral", "--secret", crate::SECRET]);
    let sqs = Client::new(&config);
    let (results, dead) = (url(&sqs, "ResultsQueue").await, url(&sqs, "ResultsDeadLetterQueue").await);
    sqs.send_message().queue_url(&results).message_body("not json").send().await.unwrap();
    let poison = receive(&sqs, &dead, 600).await;
    assert_eq!(poison.len(), 1);
    assert_eq!(poison[0].body(), Some("not json"));
    let attributes = poison[0].message_attributes().unwrap();
    assert_eq!(attributes.keys().collect::<Vec<_>>(), ["reason"], "and not `failed_at`");
    let system = poison[0].attributes().unwrap();
    assert_eq!(system.len(), 2, "{system:?}");
    assert_eq!(system[&System::ApproximateReceiveCount], "1");
    let sent: i64 = system[&System::SentTimestamp].parse().unwrap();
    assert!((0..60_000).contains(&(Clock::System.now().unix_milliseconds() - sent)));
    assert_eq!(depth(&sqs, &dead).await, depths("0", "1"));

    // Nobody else sees it until it is given back.
    let handle = poison[0].receipt_handle().unwrap();
    let hide = |seconds| {
        sqs.change_message_visibility()
            .queue_url(&dead)
            .receipt_handle(handle)
            .visibility_timeout(seconds)
            .send()
    };
    hide(0).await.unwrap();
    assert_eq!(depth(&sqs, &dead).await, depths("1", "0"));
    assert!(hide(5).await.unwrap_err().into_service_error().is_message_not_inflight());
    let again = receive(&sqs, &dead, 600).await;
    assert_eq!(again[0].attributes().unwrap()[&System::ApproximateReceiveCount], "2");
    let delete = |handle: &str| sqs.delete_message().queue_url(&dead).receipt_handle(handle).send();
    delete(handle).await.unwrap();
    assert_eq!(depth(&sqs, &dead).await, depths("0", "1"), "that handle is no longer the last");
    delete(again[0].receipt_handle().unwrap()).await.unwrap();
    assert_eq!(depth(&sqs, &dead).await, depths("0", "0"));
    assert!(delete("hunter2").await.unwrap_err().into_service_error().is_receipt_handle_is_invalid());

    // One by one, as a tool does.
    let dead_result = async |passed: u32| {
        let fields = json!({
            "test_result_id": uuid::Uuid::new_v4(), "passed": passed, "total": passed, "run_attempt": passed,
            "nonce": Value::Null,
        });
        let result = serde_json::from_value(with(result(Clock::System.now()), &fields)).unwrap();
        let body = serde_json::to_string(&ResultMessage::new(result)).unwrap();
        sqs.send_message().queue_url(&dead).message_body(body).send().await.unwrap();
    };
    dead_result(17).await;
    let letter = receive(&sqs, &dead, 600).await.remove(0);
    sqs.send_message().queue_url(&results).message_body(letter.body().unwrap()).send().await.unwrap();
    delete(letter.receipt_handle().unwrap()).await.unwrap();
    assert_eq!(badge_after(&local.api(), BADGE, &["no results"]).await, "17 passed");

    // All at once, as AWS does.
    dead_result(18).await;
    let arn = |url: &str| format!("arn:aws:sqs:local:000000000000:{}", url.rsplit('/').next().unwrap());
    let replay = sqs.start_message_move_task().source_arn(arn(&dead)).destination_arn(arn(&results));
    replay.send().await.unwrap();
    let moves = sqs.list_message_move_tasks().source_arn(arn(&dead)).send().await.unwrap();
    assert_eq!(moves.results()[0].approximate_number_of_messages_moved(), 1);
    assert_eq!(moves.results()[0].status(), Some("COMPLETED"));
    let history = async || local.api().history(REPOSITORY, "", 10).await.unwrap().len();
    while history().await < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let wrong_way = sqs.start_message_move_task().source_arn(arn(&results)).send().await;
    let wrong_way = wrong_way.unwrap_err().into_service_error();
    assert_eq!(wrong_way.meta().code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn queues_are_told_of_and_emptied() {
    let (_local, config) = start(&["--ephemeral"]);
    let sqs = Client::new(&config);
    let listed = sqs.list_queues().queue_name_prefix("Results").send().await.unwrap();
    let dead = url(&sqs, "ResultsDeadLetterQueue").await;
    assert_eq!(listed.queue_urls(), [dead.clone(), url(&sqs, "ResultsQueue").await]);
    assert!(dead.starts_with(config.endpoint_url().unwrap()), "{dead}");
    let sources = sqs.list_dead_letter_source_queues().queue_url(&dead).send().await.unwrap();
    assert_eq!(sources.queue_urls(), [url(&sqs, "ResultsQueue").await]);
    let policy = sqs.get_queue_attributes().queue_url(url(&sqs, "ResultsQueue").await);
    let policy = policy.attribute_names(Queue::RedrivePolicy).attribute_names(Queue::QueueArn);
    let policy = policy.send().await.unwrap().attributes.unwrap();
    assert_eq!(policy.len(), 2);
    assert_eq!(
        serde_json::from_str::<Value>(&policy[&Queue::RedrivePolicy]).unwrap(),
        json!({
            "deadLetterTargetArn": "arn:aws:sqs:local:000000000000:ResultsDeadLetterQueue",
            "maxReceiveCount": 20,
        })
    );
    let unknown = sqs.get_queue_attributes().queue_url(&dead).attribute_names("Colour".into()).send().await;
    assert!(unknown.unwrap_err().into_service_error().is_invalid_attribute_name());
    let unknown = sqs.get_queue_url().queue_name("NoQueue").send().await;
    assert!(unknown.unwrap_err().into_service_error().is_queue_does_not_exist());

    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
    };
    let batch = || sqs.send_message_batch().queue_url(&dead);
    let sent = batch().entries(entry("a", "one")).entries(entry("b", "\u{1}")).entries(entry("c", "three"));
    let sent = sent.send().await.unwrap();
    assert_eq!(sent.successful().len(), 2);
    assert_eq!(sent.successful()[0].md5_of_message_body(), "f97c5d29941bfb1b2fdab0874906ab82");
    assert_eq!((sent.failed()[0].id(), sent.failed()[0].code()), ("b", "InvalidMessageContents"));
    let twice = batch().entries(entry("a", "one")).entries(entry("a", "two")).send().await;
    assert!(twice.unwrap_err().into_service_error().is_batch_entry_ids_not_distinct());
    let none = batch().set_entries(Some(Vec::new())).send().await;
    assert!(none.unwrap_err().into_service_error().is_empty_batch_request());

    let received = receive(&sqs, &dead, 600).await;
    let handle = |message: &Message| message.receipt_handle().unwrap().to_owned();
    let entry = |message: &Message| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id("a").visibility_timeout(0);
        entry.receipt_handle(handle(message)).build().unwrap()
    };
    let shown = sqs.change_message_visibility_batch().queue_url(&dead).entries(entry(&received[0]));
    assert_eq!(shown.send().await.unwrap().successful().len(), 1);
    assert_eq!(depth(&sqs, &dead).await, depths("1", "1"));
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let deleted = sqs.delete_message_batch().queue_url(&dead).entries(entry("a", &handle(&received[0])));
    let deleted = deleted.entries(entry("b", "nonsense")).send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed()[0].code()), (1, "ReceiptHandleIsInvalid"));

    let delayed = sqs.send_message().queue_url(&dead).message_body("later").delay_seconds(900);
    delayed.send().await.unwrap();
    let too_long = sqs.send_message().queue_url(&dead).message_body("later").delay_seconds(901).send().await;
    let too_long = too_long.unwrap_err().into_service_error();
    assert_eq!(too_long.meta().code(), Some("InvalidParameterValue"));
    assert_eq!(depth(&sqs, &dead).await, depths("0", "1"));
    let purge = || sqs.purge_queue().queue_url(&dead).send();
    purge().await.unwrap();
    assert_eq!(depth(&sqs, &dead).await, depths("0", "0"));
    assert!(purge().await.unwrap_err().into_service_error().is_purge_queue_in_progress());
}

#[tokio::test]
async fn who_waits_for_a_message_holds_up_no_stop() {
    let (local, config) = start(&["--ephemeral"]);
    let sqs = Client::new(&config);
    let dead = url(&sqs, "ResultsDeadLetterQueue").await;
    let waiting = tokio::spawn(async move { receive(&sqs, &dead, 600).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    assert_eq!(local.stop("-TERM").0, Some(0));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    waiting.abort();
}
