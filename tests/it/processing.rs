//! From the queue to the table: partial writes, poison messages, calls to AWS and events.

use std::time::Duration;

use local::stack::{EVENT_BUS, RESULTS_QUEUE};
use serde_json::{Value, json};
use tests::client::{Post, result, with};
use tests::faults::Fault;
use tests::world::{VISIBILITY_TIMEOUT, World};

#[tokio::test(start_paused = true)]
async fn only_unwritten_results_are_delivered_again() {
    let world = World::new();
    for run in 0..10 {
        world.submit(&Post::json(&with(result(world.now()), &json!({ "run_id": run })))).await;
    }
    // One write of each batch succeeds, five times; then none.
    world.faults.plan("BatchWriteItem", Fault::LeavesUnprocessed, 5);
    world.faults.then_plan("BatchWriteItem", Fault::Throttles, usize::MAX);
    world.drain().await;
    assert_eq!((world.history().await.len(), world.queued()), (5, 5));
    world.faults.heal();
    world.clock.advance(VISIBILITY_TIMEOUT);
    world.drain().await;
    assert_eq!((world.history().await.len(), world.queued(), world.dead_letters()), (10, 0, 0));
}

/// A redelivery would use up one of the message's receives, and take minutes.
#[tokio::test(start_paused = true)]
async fn throttled_writes_are_retried_in_the_same_invocation() {
    for (fault, times) in [(Fault::LeavesUnprocessed, usize::MAX), (Fault::Throttles, 12)] {
        let world = World::new();
        for run in 0..10 {
            world.submit(&Post::json(&with(result(world.now()), &json!({ "run_id": run })))).await;
        }
        world.faults.plan("BatchWriteItem", fault, times);
        world.drain().await;
        assert_eq!((world.history().await.len(), world.queued()), (10, 0), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_ten_is_one_write_one_put_for_each_slot_and_one_event_call() {
    let world = World::new();
    for run in 0..10 {
        let fields = json!({ "run_id": run, "suite": if run < 5 { "unit" } else { "e2e" } });
        world.submit(&Post::json(&with(result(world.now()), &fields))).await;
    }
    world.faults.take_calls();
    world.drain().await;
    let calls: Vec<_> = world.faults.take_calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(
        calls,
        [
            "ReceiveMessage",
            "BatchWriteItem",
            "PutItem",
            "PutItem",
            "PutEvents",
            "DeleteMessageBatch",
            "ReceiveMessage"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stored_result_is_published_on_the_event_bus() {
    let world = World::new();
    world.submit(&world.post()).await;
    world.drain().await;
    let calls = world.faults.take_calls();
    let put = calls.iter().find(|call| call.operation == "PutEvents").unwrap();
    let entry = &put.body["Entries"][0];
    assert_eq!(
        (&entry["EventBusName"], &entry["Source"], &entry["DetailType"]),
        (&json!(EVENT_BUS), &json!("badgesmith"), &json!("TestResultRecorded"))
    );
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail, world.history().await[0]);
}

#[tokio::test(start_paused = true)]
async fn poison_does_not_delay_the_results_of_its_batch() {
    let world = World::new();
    for number in 0..9 {
        world.send(RESULTS_QUEUE, &format!("poison {number}")).await;
    }
    world.submit(&world.post()).await;
    world.faults.plan("SendMessage", Fault::TimesOut, usize::MAX);
    let started = tokio::time::Instant::now();
    world.drain().await;
    assert!(started.elapsed() < Duration::from_secs(30), "a batch fits into the function's timeout");
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed");
    assert_eq!((world.queued(), world.dead_letters()), (9, 0));
    world.faults.heal();
    world.clock.advance(VISIBILITY_TIMEOUT);
    world.drain().await;
    assert_eq!((world.queued(), world.dead_letters()), (0, 9));
}

/// Takes the trace header of the message that was sent.
fn sent_trace_header(world: &World) -> Value {
    let calls = world.faults.take_calls();
    let send = calls.iter().find(|call| call.operation == "SendMessage").unwrap();
    send.body["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_message_carries_the_trace_header_unless_it_is_invalid() {
    let world = World::new();
    let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
    for (header, expected) in [(root, json!(root)), ("Root=1;evil=\u{e9}", Value::Null)] {
        assert_eq!(world.submit(&world.post().header("x-amzn-trace-id", header)).await.status, 202);
        assert_eq!(sent_trace_header(&world), expected);
    }
    // On Lambda, that of the invocation.
    let trace = format!("{root};Parent=53995c3f42cd8ad8;Sampled=1");
    let post = world.post().header("x-amzn-trace-id", root);
    assert_eq!(world.submit_in_trace(&post, &trace).await, 202);
    assert_eq!(sent_trace_header(&world), trace);
}
