//! Every call on the way of a result, failing in every way.
//!
//! What was answered with 202 is visible exactly once after recovery. After anything else, or no answer, the
//! same bytes can be sent again, and end in 202 or `ALREADY_ACCEPTED`.

use std::time::Duration;

use serde_json::Value;
use tests::client::{Answer, Post};
use tests::faults::Fault;
use tests::world::{VISIBILITY_TIMEOUT, World};

const FAULTS: [Fault; 4] = [Fault::Fails, Fault::TimesOut, Fault::LosesAnswer, Fault::AnswerTimesOut];
/// Once; all tries that the SDK makes of one call; two calls; for as long as it is not healed.
const TIMES: [usize; 4] = [1, 3, 6, usize::MAX];

/// The timestamp is fresh for so long; a client gives up then, and signs anew.
const PATIENCE: Duration = Duration::from_mins(4);

/// Sends the same bytes until they are accepted, as a client does that heeds `Retry-After`; in between, the
/// queue is worked on. Gives up when they are about to be too old.
async fn submit_until_accepted(world: &World, post: &Post) -> Vec<Answer> {
    let started = world.now();
    let mut answers = Vec::new();
    loop {
        let answer = world.submit(post).await;
        world.drain().await;
        answers.push(answer.clone());
        if answer.is_accepted() || world.now().since(started) > PATIENCE {
            return answers;
        }
        let wait = answer.header("retry-after").expect("a refusal that is ours says when to come again");
        world.clock.advance(Duration::from_secs(wait.parse().unwrap()));
    }
}

/// Lets time pass until everything that was received and not deleted has come again.
async fn recover(world: &World) {
    world.faults.heal();
    for _ in 0..3 {
        world.clock.advance(VISIBILITY_TIMEOUT);
        world.drain().await;
    }
}

async fn check(operation: &str, fault: Fault, times: usize) {
    let context = format!("{operation} {fault:?} {times} times");
    let world = World::new();
    let post = world.post();
    world.faults.plan(operation, fault, times);
    let mut answers = submit_until_accepted(&world, &post).await;
    if !answers.last().unwrap().is_accepted() {
        assert_eq!(times, usize::MAX, "{context}: a passing fault is survived: {answers:?}");
        world.faults.heal();
        answers.extend(submit_until_accepted(&world, &post).await);
    }
    assert!(answers.last().unwrap().is_accepted(), "{context}: {answers:?}");
    for answer in &answers {
        let verdict = answer.verdict();
        assert!(
            matches!(
                verdict.as_str(),
                "202" | "503 UNAVAILABLE" | "409 SUBMISSION_IN_PROGRESS" | "409 ALREADY_ACCEPTED"
            ),
            "{context}: {verdict}"
        );
    }
    recover(&world).await;
    let history = world.history().await;
    let ids: Vec<&Value> = history.iter().map(|result| &result["test_result_id"]).collect();
    assert_eq!(ids, [&answers.last().unwrap().json()["test_result_id"]], "{context}: visible exactly once");
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed", "{context}");
    assert_eq!((world.queued(), world.dead_letters()), (0, 0), "{context}: nothing is left behind");
}

/// One test for each call to a dependency between a client and its badge.
macro_rules! every_fault_of {
    ($($name:ident: $operation:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            for fault in FAULTS {
                for times in TIMES {
                    check($operation, fault, times).await;
                }
            }
        }
    )*};
}

every_fault_of! {
    the_secret_read_may_fail: "GetSecretValue";
    the_reservation_may_fail: "PutItem";
    the_enqueue_may_fail: "SendMessage";
    the_mark_may_fail: "UpdateItem";
    the_receive_may_fail: "ReceiveMessage";
    the_batch_write_may_fail: "BatchWriteItem";
    the_event_may_fail: "PutEvents";
    the_delete_may_fail: "DeleteMessageBatch";
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_died_is_taken_over() {
    let mut world = World::new();
    let post = world.post();
    // The sandbox dies after the reservation: nothing is enqueued, nothing marked, no answer sent.
    world.faults.plan("SendMessage", Fault::TimesOut, usize::MAX);
    let attempt = tokio::time::timeout(Duration::from_millis(100), world.submit(&post)).await;
    assert!(attempt.is_err());
    world.faults.heal();
    world.restart_functions();

    let early = world.submit(&post).await;
    assert_eq!(early.verdict(), "409 SUBMISSION_IN_PROGRESS");
    assert_eq!(early.header("retry-after"), Some("15"));
    world.clock.advance(Duration::from_secs(15));
    assert_eq!(world.submit(&post).await.status, 202);
    assert_eq!(world.submit(&post).await.verdict(), "409 ALREADY_ACCEPTED");
    assert_eq!(world.queued(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_wakes_up_after_it_was_taken_over_does_no_harm() {
    let world = World::new();
    let post = world.post();
    world.faults.plan("SendMessage", Fault::TimesOut, 1);
    // The first attempt hangs at the queue while the second one, its lease being over, goes through.
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.clock.advance(Duration::from_secs(15));
        world.submit(&post).await
    };
    let (first, second) = tokio::join!(world.submit(&post), second);
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(first.json(), second.json(), "one submission, one id");
    recover(&world).await;
    assert_eq!(world.history().await.len(), 1);
}
