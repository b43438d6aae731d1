//! Queues and their messages.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName as System, QueueAttributeName as Queue, SendMessageBatchRequestEntry,
};
use embedded_aws::Storage;
use serde_json::{Value, json};

use super::{Served, serve};

pub(super) async fn url(sqs: &Client, name: &str) -> String {
    sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

/// The numbers of visible, in-flight and delayed messages.
async fn depth(sqs: &Client, url: &str) -> [String; 3] {
    let all = sqs.get_queue_attributes().queue_url(url).attribute_names(Queue::All).send().await.unwrap();
    let attributes = all.attributes.unwrap();
    [
        Queue::ApproximateNumberOfMessages,
        Queue::ApproximateNumberOfMessagesNotVisible,
        Queue::ApproximateNumberOfMessagesDelayed,
    ]
    .map(|name| attributes[&name].clone())
}

pub(super) async fn receive(sqs: &Client, url: &str, visibility_timeout: i32) -> Vec<Message> {
    let received = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .visibility_timeout(visibility_timeout)
        .message_attribute_names("rea.*")
        .message_system_attribute_names(System::All);
    received.send().await.unwrap().messages.unwrap_or_default()
}

fn handle(message: &Message) -> &str {
    message.receipt_handle().unwrap()
}

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

#[tokio::test]
async fn a_received_message_is_invisible_until_its_visibility_timeout_ends() {
    let Served { clock, config, .. } = serve(&Storage::Memory).await;
    let sqs = Client::new(&config);
    let queue = url(&sqs, "badge-results-dlq").await;
    let sent_at = clock.now().unix_milliseconds().to_string();
    let send = sqs.send_message().queue_url(&queue).message_body("a body");
    let send = send.message_attributes("reason", text("poison")).message_attributes("failed_at", text("now"));
    send.send().await.unwrap();
    clock.advance(Duration::from_secs(5));
    let first = receive(&sqs, &queue, 600).await.remove(0);
    assert_eq!(first.body(), Some("a body"));
    let attributes = first.message_attributes().unwrap();
    assert_eq!(attributes.keys().collect::<Vec<_>>(), ["reason"], "the request does not name `failed_at`");
    let system = first.attributes().unwrap();
    assert_eq!(system[&System::SentTimestamp], sent_at);
    assert_eq!(system[&System::ApproximateReceiveCount], "1");
    assert_eq!(depth(&sqs, &queue).await, ["0", "1", "0"]);

    clock.advance(Duration::from_secs(599));
    assert!(receive(&sqs, &queue, 600).await.is_empty());
    clock.advance(Duration::from_secs(1));
    let second = receive(&sqs, &queue, 600).await.remove(0);
    assert_eq!(second.attributes().unwrap()[&System::ApproximateReceiveCount], "2");
    let change = async |handle: &str, seconds| {
        let change = sqs.change_message_visibility().queue_url(&queue).visibility_timeout(seconds);
        change.receipt_handle(handle).send().await
    };
    change(handle(&second), 0).await.unwrap();
    assert_eq!(depth(&sqs, &queue).await, ["1", "0", "0"]);
    let late = change(handle(&second), 5).await.unwrap_err().into_service_error();
    assert!(late.is_message_not_inflight(), "{late:?}");

    let third = receive(&sqs, &queue, 600).await.remove(0);
    let delete = async |message: &Message| {
        sqs.delete_message().queue_url(&queue).receipt_handle(handle(message)).send().await.unwrap();
    };
    delete(&second).await;
    assert_eq!(depth(&sqs, &queue).await, ["0", "1", "0"], "only the latest receipt handle deletes");
    delete(&third).await;
    assert_eq!(depth(&sqs, &queue).await, ["0", "0", "0"]);
}

#[tokio::test]
async fn a_message_that_exceeds_max_receives_moves_to_the_dead_letter_queue() {
    let Served { config, .. } = serve(&Storage::Memory).await;
    let sqs = Client::new(&config);
    let queue = url(&sqs, "badge-results").await;
    let send = sqs.send_message().queue_url(&queue).message_body("a body").message_group_id("acme");
    let sent = send.message_attributes("reason", text("none")).send().await.unwrap();
    for _ in 0..20 {
        let received = receive(&sqs, &queue, 0).await.remove(0);
        assert_eq!(received.attributes().unwrap()[&System::MessageGroupId], "acme");
    }
    assert!(receive(&sqs, &queue, 0).await.is_empty());
    let dead = receive(&sqs, &url(&sqs, "badge-results-dlq").await, 0).await.remove(0);
    assert_eq!((dead.message_id(), dead.body()), (sent.message_id(), Some("a body")));
    assert_eq!(dead.message_attributes().unwrap()["reason"], text("none"));
    let system = dead.attributes().unwrap();
    let source = System::from("DeadLetterQueueSourceArn");
    assert_eq!(system[&source], "arn:aws:sqs:local:000000000000:badge-results");
    assert_eq!(system[&System::MessageGroupId], "acme");
    assert_eq!(system[&System::ApproximateReceiveCount], "1");
}

#[tokio::test]
async fn a_batch_reports_each_entry() {
    let Served { config, .. } = serve(&Storage::Memory).await;
    let sqs = Client::new(&config);
    let queue = url(&sqs, "badge-results-dlq").await;
    let entry = |id: &str, body: &str| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(body).message_group_id(id);
        entry.build().unwrap()
    };
    let send = sqs.send_message_batch().queue_url(&queue);
    let sent = send.entries(entry("a", "one")).entries(entry("b", "\u{1}")).entries(entry("c", "three"));
    let sent = sent.send().await.unwrap();
    assert_eq!(sent.successful().len(), 2);
    assert_eq!(sent.successful()[0].md5_of_message_body(), "f97c5d29941bfb1b2fdab0874906ab82");
    assert_eq!((sent.failed()[0].id(), sent.failed()[0].code()), ("b", "InvalidMessageContents"));

    let received = receive(&sqs, &queue, 600).await;
    assert_eq!(received[1].attributes().unwrap()[&System::MessageGroupId], "c");
    let change = ChangeMessageVisibilityBatchRequestEntry::builder().id("a").visibility_timeout(0);
    let change = change.receipt_handle(handle(&received[0])).build().unwrap();
    let changed =
        sqs.change_message_visibility_batch().queue_url(&queue).entries(change).send().await.unwrap();
    assert_eq!(changed.successful().len(), 1);
    assert_eq!(depth(&sqs, &queue).await, ["1", "1", "0"]);
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let delete = sqs.delete_message_batch().queue_url(&queue).entries(entry("a", handle(&received[0])));
    let deleted = delete.entries(entry("b", "nonsense")).send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed()[0].code()), (1, "ReceiptHandleIsInvalid"));
}

#[tokio::test]
async fn a_long_poll_ends_when_a_message_arrives() {
    let Served { config, .. } = serve(&Storage::Memory).await;
    let sqs = Client::new(&config);
    let queue = url(&sqs, "badge-results-dlq").await;
    let poll = sqs.receive_message().queue_url(&queue).wait_time_seconds(20).send();
    let send = sqs.send_message().queue_url(&queue).message_body("a body").send();
    let both = Box::pin(async { tokio::join!(poll, send) });
    let (received, sent) = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
    sent.unwrap();
    assert_eq!(received.unwrap().messages().len(), 1);
}

#[tokio::test]
async fn a_queue_has_a_url_attributes_and_a_retention_period() {
    let Served { aws, clock, config, .. } = serve(&Storage::Memory).await;
    let sqs = Client::new(&config);
    let listed = sqs.list_queues().queue_name_prefix("badge-results").send().await.unwrap();
    let (results, dead) = (url(&sqs, "badge-results").await, url(&sqs, "badge-results-dlq").await);
    assert_eq!(listed.queue_urls(), [results.clone(), dead.clone()]);
    assert!(dead.starts_with(config.endpoint_url().unwrap()), "{dead}");
    for (queue, receives) in [("badge-results", 20), ("badge-refresh", 5)] {
        let policy = sqs.get_queue_attributes().queue_url(url(&sqs, queue).await);
        let policy = policy.attribute_names(Queue::RedrivePolicy).attribute_names(Queue::QueueArn);
        let policy = policy.send().await.unwrap().attributes.unwrap();
        assert_eq!(policy.len(), 2);
        let expected = json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:local:000000000000:{queue}-dlq"),
            "maxReceiveCount": receives,
        });
        assert_eq!(serde_json::from_str::<Value>(&policy[&Queue::RedrivePolicy]).unwrap(), expected);
    }
    let unknown = sqs.get_queue_url().queue_name("NoQueue").send().await;
    let unknown = unknown.unwrap_err().into_service_error();
    assert!(unknown.is_queue_does_not_exist(), "{unknown:?}");
    assert_eq!(
        unknown.meta().code(),
        Some("AWS.SimpleQueueService.NonExistentQueue"),
        "the query protocol's"
    );

    let send = async |delay| {
        sqs.send_message().queue_url(&dead).message_body("x").delay_seconds(delay).send().await.unwrap();
    };
    send(900).await;
    assert_eq!(depth(&sqs, &dead).await, ["0", "0", "1"]);
    let purge = || sqs.purge_queue().queue_url(&dead).send();
    purge().await.unwrap();
    assert_eq!(depth(&sqs, &dead).await, ["0", "0", "0"]);
    assert!(purge().await.unwrap_err().into_service_error().is_purge_queue_in_progress());
    clock.advance(Duration::from_mins(1));
    purge().await.unwrap();

    send(0).await;
    clock.advance(Duration::from_hours(14 * 24 - 1));
    aws.sweep().await.unwrap();
    assert_eq!(depth(&sqs, &dead).await, ["1", "0", "0"]);
    clock.advance(Duration::from_hours(1));
    aws.sweep().await.unwrap();
    assert_eq!(depth(&sqs, &dead).await, ["0", "0", "0"]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_loses_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(folder.path().to_owned());
    let Served { aws, clock, config, stop, server } = serve(&storage).await;
    let sqs = Client::new(&config);
    let queue = url(&sqs, "badge-results").await;
    clock.advance(Duration::from_mins(10));
    for body in ["first", "second"] {
        sqs.send_message().queue_url(&queue).message_body(body).send().await.unwrap();
    }
    assert_eq!(receive(&sqs, &queue, 600).await.len(), 2);
    sqs.send_message().queue_url(&queue).message_body("third").send().await.unwrap();
    stop.cancel();
    server.await.unwrap();
    drop(aws);

    // Ten minutes earlier.
    let Served { config, .. } = serve(&storage).await;
    let received = receive(&Client::new(&config), &queue, 600).await;
    let bodies: Vec<_> = received.iter().filter_map(Message::body).collect();
    assert_eq!(bodies, ["first", "second", "third"]);
}
