//! From the queue to the table: order, duplicates, poison messages, calls to AWS and events.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_sqs::Client;
use badgesmith_aws::dynamodb::Results;
use badgesmith_domain::badge::Badge;
use badgesmith_domain::key::ResultOrder;
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::slots::{LiveSlots, Selection, Slot};
use badgesmith_domain::test_result::TestResult;
use embedded_aws::Queues;
use local::stack::{EVENT_BUS, RESULTS_DEAD_LETTER_QUEUE, RESULTS_QUEUE, TEST_RESULTS_TABLE};
use proptest::prelude::*;
use serde_json::{Value, json};
use tests::client::{Post, result, with};
use tests::faults::Fault;
use tests::world::{VISIBILITY_TIMEOUT, World};

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());

/// A result with few possible times, runs, attempts and suites, so that collisions are common.
fn some_result() -> impl Strategy<Value = TestResult> {
    let order = (0..3_u32, 0..3_u32, 1..3_u32, any::<u128>());
    let slot = (0..2_usize, 0..3_usize);
    let outcome = prop_oneof![
        (0..5_u32, 0..2_u32).prop_map(
            |(passed, failed)| json!({ "passed": passed, "failed": failed, "total": passed + failed })
        ),
        Just(json!({ "passed": 0, "failed": 0, "total": 0, "conclusion": "failure" })),
        Just(json!({ "passed": 0, "failed": 0, "total": 0, "retire": true })),
    ];
    (order, slot, outcome).prop_map(|((second, run, attempt, id), (platform, suite), outcome)| {
        let (platform, suite) = (["linux", "windows"][platform], [None, Some("unit"), Some("e2e")][suite]);
        let fields = json!({
            "test_result_id": uuid::Uuid::from_u128(id), "owner": "acme", "repo": "kit", "branch": "main", "skipped": 0,
            "platform": platform, "suite": suite,
            "timestamp": format!("2026-01-15T10:30:0{second}Z"), "run_id": run.to_string(), "run_attempt": attempt,
        });
        serde_json::from_value(with(fields, &outcome)).unwrap()
    })
}

/// The history and the badges after these messages arrive in this order.
async fn outcome(results: &[TestResult]) -> (Vec<Value>, [String; 3]) {
    let world = World::new();
    for result in results {
        world.send(RESULTS_QUEUE, &serde_json::to_string(&ResultMessage::new(result.clone())).unwrap()).await;
    }
    world.drain().await;
    assert_eq!(world.queued(), 0);
    let badges = [
        world.badge("all/acme/kit/main").await,
        world.badge("linux/acme/kit/main").await,
        world.badge("all/acme/kit/main?suite=unit").await,
    ];
    (world.history().await, badges)
}

/// The message of the badge `all`, from the newest result of each slot.
fn expected_badge(results: &[TestResult]) -> String {
    let mut newest: BTreeMap<_, &TestResult> = BTreeMap::new();
    for result in results {
        let slot = newest.entry((result.run.platform, result.run.suite.clone())).or_insert(result);
        if ResultOrder::of(slot) < ResultOrder::of(result) {
            *slot = result;
        }
    }
    let now = "2026-01-15T10:31:00Z".parse().unwrap();
    let mut slots: Vec<_> = newest.into_values().collect();
    slots.sort_by_key(|result| std::cmp::Reverse(ResultOrder::of(result)));
    let slots = LiveSlots::new(slots.into_iter().filter_map(Slot::from_result).collect(), false, now);
    let badge =
        slots.summary(&Selection::default()).map_or_else(Badge::no_results, |summary| Badge::tests(&summary));
    serde_json::to_value(badge).unwrap()["message"].as_str().unwrap().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_duplicates_change_nothing(
        (once, shuffled) in proptest::collection::vec(some_result(), 1..12).prop_flat_map(|once| {
            let twice = [once.clone(), once.clone()].concat();
            (Just(once), Just(twice).prop_shuffle())
        })
    ) {
        let (expected, actual) = RUNTIME.block_on(async { (outcome(&once).await, outcome(&shuffled).await) });
        prop_assert_eq!(expected.0.len(), once.len());
        prop_assert_eq!(&expected.1[0], &expected_badge(&once));
        prop_assert_eq!(expected, actual);
    }
}

#[tokio::test(start_paused = true)]
async fn the_higher_attempt_wins_at_the_same_time() {
    let world = World::new();
    for (attempt, passed) in [(10, 10), (9, 9), (1, 1)] {
        let fields = json!({ "run_attempt": attempt, "passed": passed, "total": passed });
        assert_eq!(world.submit(&Post::json(&with(result(world.now()), &fields))).await.status, 202);
    }
    world.drain().await;
    assert_eq!(world.badge("linux/acme/kit/main").await, "10 passed");
}

#[tokio::test(start_paused = true)]
async fn poison_goes_to_the_dead_letter_queue_with_its_reason() {
    let world = World::new();
    world.send(RESULTS_QUEUE, "not json").await;
    world.send(RESULTS_QUEUE, r#"{"version":7,"from":"the future"}"#).await;
    world.submit(&world.post()).await;
    world.drain().await;
    assert_eq!(
        world.badge("linux/acme/kit/main").await,
        "190 passed",
        "the result in the same batch is stored"
    );
    assert_eq!((world.queued(), world.dead_letters()), (0, 2));

    let client = Client::new(&world.sdk_config());
    let received = client
        .receive_message()
        .queue_url(Queues::url(RESULTS_DEAD_LETTER_QUEUE))
        .max_number_of_messages(10)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    // They are sent concurrently.
    let mut shown: Vec<_> = received
        .messages()
        .iter()
        .map(|message| {
            let attributes = message.message_attributes().unwrap();
            let value = |name: &str| attributes[name].string_value().unwrap();
            format!("{}\n  {}\n  {}", message.body().unwrap(), value("reason"), value("failed_at"))
        })
        .collect();
    shown.sort();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    not json
      malformed message: expected ident at line 1 column 2
      2026-01-15T10:30:00.000Z
    {"version":7,"from":"the future"}
      message version 7 is newer than the supported version 2
      2026-01-15T10:30:00.000Z
    "#);
}

#[tokio::test(start_paused = true)]
async fn poison_stays_in_the_queue_until_the_dead_letter_queue_takes_it() {
    let world = World::new();
    world.send(RESULTS_QUEUE, "not json").await;
    world.faults.plan("SendMessage", Fault::Fails, usize::MAX);
    world.drain().await;
    assert_eq!((world.queued(), world.dead_letters()), (1, 0));
    world.faults.heal();
    world.clock.advance(VISIBILITY_TIMEOUT);
    world.drain().await;
    assert_eq!((world.queued(), world.dead_letters()), (0, 1));
}

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
async fn an_accepted_post_is_two_writes_and_one_enqueue() {
    let world = World::new();
    world.submit(&world.post()).await;
    world.faults.take_calls();
    world.submit(&world.post()).await;
    let calls: Vec<_> = world.faults.take_calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(calls, ["PutItem", "SendMessage", "UpdateItem"], "and a secret an hour");
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
async fn a_message_carries_the_trace_header() {
    let world = World::new();
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    assert_eq!(world.submit(&world.post().header("x-amzn-trace-id", trace)).await.status, 202);
    let calls = world.faults.take_calls();
    let send = calls.iter().find(|call| call.operation == "SendMessage").unwrap();
    assert_eq!(send.body["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"], trace);
}

#[tokio::test(start_paused = true)]
async fn on_lambda_a_message_carries_the_trace_header_of_the_invocation() {
    let world = World::new();
    let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
    let trace = format!("{root};Parent=53995c3f42cd8ad8;Sampled=1");
    let post = world.post().header("x-amzn-trace-id", root);
    assert_eq!(world.submit_in_trace(&post, &trace).await, 202);
    let calls = world.faults.take_calls();
    let send = calls.iter().find(|call| call.operation == "SendMessage").unwrap();
    assert_eq!(send.body["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"], trace);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_fails_for_an_hour_can_be_replayed_from_the_dead_letter_queue() {
    let world = World::new();
    world.submit(&world.post()).await;
    world.faults.plan("BatchWriteItem", Fault::Fails, usize::MAX);
    for delivery in 1..=20 {
        world.drain().await;
        assert_eq!((world.queued(), world.dead_letters()), (1, 0), "delivery {delivery}");
        world.clock.advance(VISIBILITY_TIMEOUT);
    }
    world.drain().await;
    assert_eq!((world.queued(), world.dead_letters()), (0, 1));

    world.faults.heal();
    world.clock.advance(Duration::from_hours(24));
    let client = Client::new(&world.sdk_config());
    let dead =
        client.receive_message().queue_url(Queues::url(RESULTS_DEAD_LETTER_QUEUE)).send().await.unwrap();
    world.send(RESULTS_QUEUE, dead.messages()[0].body().unwrap()).await;
    world.drain().await;
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed", "however old the result is");
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_is_written_in_parts_without_duplicates() {
    let world = World::new();
    let results: Vec<TestResult> = (0..60)
        .map(|run| {
            let fields = json!({ "nonce": null, "run_id": (run % 55).to_string(), "test_result_id": uuid::Uuid::from_u128(run % 55) });
            serde_json::from_value(with(result(world.now()), &fields)).unwrap()
        })
        .collect();
    let table = Results::new(&world.sdk_config(), TEST_RESULTS_TABLE.to_owned());
    assert!(table.put_all(&results).await.is_empty());
    assert_eq!(world.history().await.len(), 55);
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

#[tokio::test(start_paused = true)]
async fn an_invalid_trace_header_is_dropped_and_the_result_accepted() {
    let world = World::new();
    assert_eq!(world.submit(&world.post().header("x-amzn-trace-id", "Root=1;evil=\u{e9}")).await.status, 202);
    let calls = world.faults.take_calls();
    let send = calls.iter().find(|call| call.operation == "SendMessage").unwrap();
    assert_eq!(send.body.get("MessageSystemAttributes"), None);
}
