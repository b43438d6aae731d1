//! Every call on the path of a result, with every fault.
//!
//! A result that was answered with 202 shows exactly once after recovery. After any other response, or none, the client
//! can send the same bytes again until the response is 202 or `ALREADY_ACCEPTED`.

use std::time::Duration;

use serde_json::Value;
use tests::client::{Answer, Post, REPOSITORY};
use tests::faults::Fault;
use tests::world::{VISIBILITY_TIMEOUT, World};

const FAULTS: [Fault; 4] = [Fault::Fails, Fault::TimesOut, Fault::LosesAnswer, Fault::AnswerTimesOut];
/// Once; for all attempts of the SDK at one call; at two calls; until it is healed.
const TIMES: [usize; 4] = [1, 3, 6, usize::MAX];

/// The time for which a client repeats the same bytes. Their timestamp is fresh for 5 minutes.
const RETRY_MAX: Duration = Duration::from_mins(4);

/// Sends the same bytes until they are accepted or about to be too old, with the delays of `Retry-After`, and drains
/// the queue in between.
async fn submit_until_accepted(world: &World, post: &Post) -> Vec<Answer> {
    let started = world.now();
    let mut answers = Vec::new();
    loop {
        let answer = world.submit(post).await;
        world.drain().await;
        answers.push(answer.clone());
        if answer.is_accepted() || world.now().since(started) > RETRY_MAX {
            return answers;
        }
        let wait = answer.header("retry-after").expect("a retryable error has Retry-After");
        world.clock.advance(Duration::from_secs(wait.parse().unwrap()));
    }
}

/// Advances the clock until every message that was received and not deleted is delivered again.
async fn recover(world: &World) {
    world.faults.heal();
    for _ in 0..3 {
        world.clock.advance(VISIBILITY_TIMEOUT);
        world.drain().await;
    }
}

/// How the repository proves who it is.
#[derive(Debug, Clone, Copy)]
enum Proof {
    DerivedKey,
    OwnSecret,
}

async fn check(operation: &str, proof: Proof, fault: Fault, times: usize) {
    let context = format!("{operation} {proof:?} {fault:?} {times} times");
    let world = World::new();
    let post = match proof {
        Proof::DerivedKey => world.post().signed(&world.register(REPOSITORY).await),
        Proof::OwnSecret => world.post(),
    };
    world.faults.plan(operation, fault, times);
    let mut answers = submit_until_accepted(&world, &post).await;
    if !answers.last().unwrap().is_accepted() {
        assert_eq!(times, usize::MAX, "{context}: accepted after a temporary fault: {answers:?}");
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
    assert_eq!((world.queued(), world.dead_letters()), (0, 0), "{context}: the queues are empty");
}

/// One test for each call between a client and its badge.
macro_rules! every_fault_of {
    ($($name:ident: $operation:literal $proof:ident;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            for fault in FAULTS {
                for times in TIMES {
                    check($operation, Proof::$proof, fault, times).await;
                }
            }
        }
    )*};
}

every_fault_of! {
    a_result_survives_faults_of_the_registration_read: "GetItem" DerivedKey;
    a_result_survives_faults_of_the_master_key_read: "GetSecretValue" DerivedKey;
    a_result_survives_faults_of_the_own_secret_read: "GetSecretValue" OwnSecret;
    a_result_survives_faults_of_the_reservation: "PutItem" DerivedKey;
    a_result_survives_faults_of_the_enqueue: "SendMessage" DerivedKey;
    a_result_survives_faults_of_the_reservation_update: "UpdateItem" DerivedKey;
    a_result_survives_faults_of_the_receive: "ReceiveMessage" DerivedKey;
    a_result_survives_faults_of_the_batch_write: "BatchWriteItem" DerivedKey;
    a_result_survives_faults_of_the_event: "PutEvents" DerivedKey;
    a_result_survives_faults_of_the_delete: "DeleteMessageBatch" DerivedKey;
}

#[tokio::test(start_paused = true)]
async fn a_reservation_of_a_killed_function_expires() {
    let mut world = World::new();
    let post = world.post();
    // The sandbox is killed after the reservation: without an enqueue, an update and a response.
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
async fn an_outage_uses_up_no_retries_of_other_sandboxes() {
    let outage = World::new();
    outage.faults.plan("SendMessage", Fault::TimesOut, usize::MAX);
    // Each lost call takes 10 of the 500 tokens of the SDK's retry quota.
    for _ in 0..60 {
        assert_eq!(outage.submit(&outage.post()).await.status, 503);
        outage.clock.advance(Duration::from_secs(1));
    }
    let other = World::new();
    other.faults.plan("SendMessage", Fault::TimesOut, 1);
    assert_eq!(other.submit(&other.post()).await.status, 202);
}
