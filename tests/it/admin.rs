//! Requests of operators: refresh a package now, unschedule a package, rotate a secret.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use badgesmith_aws::secrets_manager::SecretsManager;
use badgesmith_domain::package_request::Reason;
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
async fn refresh_now_refreshes_a_fresh_package() {
    let upstream = Upstream::start();
    let mut world = world_with_kit(&upstream).await;
    upstream.publish("kit", &["1.1.0"]);
    request(&world, Reason::RefreshNow).await;
    world.restart_functions();
    assert_eq!(world.version(KIT).await, "1.1.0");
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

/// The new key is current although the response was lost, so the command may print it.
#[tokio::test]
async fn a_rotation_with_a_lost_response_is_recognized() {
    let world = World::new();
    let config = world.sdk_config().into_builder();
    let config = config.http_client(SharedHttpClient::new(world.faults.clone())).build();
    let secrets = SecretsManager::new(&config);
    let name = "badge/repo/acme/other";
    secrets.create(name, "old").await.unwrap();
    world.faults.plan("PutSecretValue", Fault::LosesAnswer, usize::MAX);
    assert!(secrets.put_value(name, "new").await.unwrap());
    world.faults.heal();
    world.faults.plan("PutSecretValue", Fault::Fails, usize::MAX);
    assert!(secrets.put_value(name, "newer").await.is_err());
}
