//! Requests of operators: refresh or unschedule a package, register a repository, erase results, rotate a secret.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;
use badgesmith_aws::dynamodb::{Registrations, Results};
use badgesmith_aws::secrets_manager::SecretsManager;
use badgesmith_domain::derived_key::KeyId;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::package_request::Reason;
use badgesmith_domain::registration::{ActiveRegistration, Registration};
use local::stack::{SECRETS_TABLE, TEST_RESULTS_TABLE};
use serde_json::json;
use tests::client::{Post, result, with};
use tests::faults::Fault;
use tests::upstream::Upstream;
use tests::world::{FRESH_FOR, World};

const KIT: &str = "nuget/kit";

async fn world_with_kit(upstream: &Upstream) -> World {
    upstream.publish("kit", &["1.0.0"]);
    let world = World::with_upstream(upstream);
    request(&world, Reason::RefreshNow).await;
    upstream.take_requests();
    world
}

async fn request(world: &World, reason: Reason) {
    world.publish_request(KIT, reason).await;
    world.drain_requests().await;
}

/// Whether the schedule refreshes the package.
async fn is_scheduled(world: &World, upstream: &Upstream) -> bool {
    world.clock.advance(FRESH_FOR);
    upstream.take_requests();
    world.refresh_due().await;
    !upstream.take_requests().is_empty()
}

#[tokio::test]
async fn an_unscheduled_package_returns_to_the_schedule_on_refresh_now() {
    let upstream = Upstream::start();
    let mut world = world_with_kit(&upstream).await;
    world.clock.advance(Duration::from_secs(1));
    request(&world, Reason::Unschedule).await;
    assert!(!is_scheduled(&world, &upstream).await);
    world.restart_functions();
    assert_eq!(world.version(KIT).await, "1.0.0", "a public package keeps its badge");
    upstream.publish("kit", &["1.1.0"]);
    request(&world, Reason::RefreshNow).await;
    world.restart_functions();
    assert_eq!(world.version(KIT).await, "1.1.0");
    assert!(is_scheduled(&world, &upstream).await);
}

/// SQS may deliver requests late and more than once.
#[tokio::test]
async fn the_latest_request_of_a_batch_wins() {
    let upstream = Upstream::start();
    let world = world_with_kit(&upstream).await;
    world.clock.advance(Duration::from_secs(1));
    for reasons in [[Reason::Unschedule, Reason::StillRead], [Reason::Unschedule, Reason::RefreshNow]] {
        for reason in reasons {
            world.publish_request(KIT, reason).await;
            world.clock.advance(Duration::from_secs(1));
        }
        world.drain_requests().await;
        assert!(is_scheduled(&world, &upstream).await, "{reasons:?}");
    }
    for reason in [Reason::StillRead, Reason::Unschedule] {
        world.publish_request(KIT, reason).await;
        world.clock.advance(Duration::from_secs(1));
    }
    world.drain_requests().await;
    assert!(!is_scheduled(&world, &upstream).await);
}

async fn check_unscheduled_despite(operation: &str, fault: Fault, times: usize) {
    let upstream = Upstream::start();
    let world = world_with_kit(&upstream).await;
    world.clock.advance(Duration::from_secs(1));
    world.faults.plan(operation, fault, times);
    request(&world, Reason::Unschedule).await;
    world.faults.heal();
    world.clock.advance(Duration::from_mins(31));
    world.drain_requests().await;
    assert!(!is_scheduled(&world, &upstream).await, "{operation} {fault:?} {times}");
    assert_eq!((world.requested(), world.refresh_dead_letters()), (0, 0), "{operation} {fault:?} {times}");
}

#[tokio::test]
async fn a_package_is_unscheduled_after_any_failed_call() {
    let checks = ["UpdateItem", "GetItem", "TransactWriteItems"].into_iter().flat_map(|operation| {
        Fault::LOST_CALLS.map(|(fault, times)| Box::pin(check_unscheduled_despite(operation, fault, times)))
    });
    futures_util::future::join_all(checks).await;
}

/// A configuration whose calls get the planned faults.
fn faulty_config(world: &World) -> SdkConfig {
    let config = world.sdk_config().into_builder();
    config.http_client(SharedHttpClient::new(world.faults.clone())).build()
}

/// The registration is stored although the response was lost, so the command may print the key.
#[tokio::test(start_paused = true)]
async fn a_registration_is_stored_once_and_overwrites_no_other_one() {
    let world = World::new();
    let registrations = Registrations::new(&faulty_config(&world), SECRETS_TABLE.to_owned());
    let repository: Repository = "acme/other".parse().unwrap();
    let registration = |byte| {
        let active = ActiveRegistration::with_derived_key(KeyId::new([byte; 16]), world.now());
        Registration::Active(active)
    };
    world.faults.plan("PutItem", Fault::LosesAnswer, 1);
    assert!(registrations.put(&repository, &registration(1), None).await.unwrap());
    assert!(!registrations.put(&repository, &registration(2), None).await.unwrap(), "it is registered");
    let record = registrations.find(&repository).await.unwrap().unwrap();
    world.faults.plan("PutItem", Fault::LosesAnswer, 1);
    assert!(registrations.put(&repository, &registration(3), Some(&record)).await.unwrap());
    let changed = registrations.put(&repository, &registration(4), Some(&record)).await.unwrap();
    assert!(!changed, "another command has changed it");
    assert_eq!(registrations.get(&repository).await.unwrap(), Some(registration(3)));
}

#[tokio::test(start_paused = true)]
async fn erasing_and_moving_results_continue_after_a_failure() {
    let world = World::new();
    for number in 0..60 {
        let fields =
            json!({ "branch": format!("branch-{}", number % 3), "suite": format!("suite {number}") });
        assert_eq!(world.submit(&Post::json(&with(result(world.now()), &fields))).await.status, 202);
    }
    world.drain().await;
    let results = Results::new(&faulty_config(&world), TEST_RESULTS_TABLE.to_owned());
    let (kit, toolkit): (Repository, Repository) =
        ("acme/kit".parse().unwrap(), "acme/toolkit".parse().unwrap());
    world.faults.plan("BatchWriteItem", Fault::LeavesUnprocessed, 3);
    world.faults.then_plan("BatchWriteItem", Fault::Throttles, 4);
    world.faults.then_plan("BatchWriteItem", Fault::LosesAnswer, 1);
    let mut progress = Vec::new();
    let branch = "branch-1".parse().unwrap();
    let erased = results.erase(&kit, Some(&branch), |items| progress.push(items)).await.unwrap();
    assert_eq!(erased, 40, "20 results and 20 slots");
    assert_eq!(progress.last(), Some(&40));
    assert_eq!(world.history().await.len(), 40, "those of the other branches stay");

    // It stops in the middle, and the next call does the rest.
    world.faults.plan("DeleteItem", Fault::Throttles, 4);
    world.faults.then_plan("DeleteItem", Fault::Fails, usize::MAX);
    results.move_slots(&kit, &toolkit).await.unwrap_err();
    world.faults.heal();
    assert_eq!(results.move_slots(&kit, &toolkit).await.unwrap(), 40);
    assert_eq!(world.badge("all/acme/toolkit/branch-0").await, "3800 passed");
    assert_eq!(world.badge("all/acme/kit/branch-0").await, "no results");
    assert_eq!(results.erase(&kit, None, |_| ()).await.unwrap(), 40, "the history");
    assert_eq!(results.erase(&toolkit, None, |_| ()).await.unwrap(), 40, "the slots");
    assert_eq!(world.history().await.len(), 0);
}

#[tokio::test]
async fn a_result_that_arrives_while_its_slot_moves_is_moved_too() {
    let world = World::new();
    assert_eq!(world.submit(&world.post()).await.status, 202);
    world.drain().await;
    world.clock.advance(Duration::from_secs(1));
    let results = Results::new(&faulty_config(&world), TEST_RESULTS_TABLE.to_owned());
    let (kit, toolkit) = ("acme/kit".parse().unwrap(), "acme/toolkit".parse().unwrap());
    world.faults.plan_for("PutItem", "LATEST#acme#toolkit", Fault::Pauses, 1);
    let arrival = world.faults.interrupt(async {
        let newer = with(result(world.now()), &json!({ "passed": 189, "failed": 1 }));
        assert_eq!(world.submit(&Post::json(&newer)).await.status, 202);
        world.drain().await;
    });
    let (moved, ()) = tokio::join!(results.move_slots(&kit, &toolkit), arrival);
    assert_eq!(moved.unwrap(), 1);
    assert_eq!(world.badge("linux/acme/toolkit/main").await, "189 passed, 1 failed");
    assert_eq!(world.badge("linux/acme/kit/main").await, "no results");
}

/// The new key is current although the response was lost, so the command may print it.
#[tokio::test(start_paused = true)]
async fn a_rotation_with_a_lost_response_is_recognized() {
    let world = World::new();
    let secrets = SecretsManager::new(&faulty_config(&world));
    let name = "badge/repo/acme/other";
    secrets.create(name, "old").await.unwrap();
    world.faults.plan("PutSecretValue", Fault::LosesAnswer, usize::MAX);
    assert!(secrets.put_value(name, "new").await.unwrap());
    world.faults.heal();
    world.faults.plan("PutSecretValue", Fault::Fails, usize::MAX);
    assert!(secrets.put_value(name, "newer").await.is_err());
}
