//! What operators ask of the refresher: to look a package up now, and to let go of one.

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
    ask(&world, Reason::RefreshNow).await;
    upstream.take_requests();
    world
}

async fn ask(world: &World, reason: Reason) {
    world.publish_request(KIT, reason).await;
    world.drain_requests().await;
}

/// Whether the schedule still looks after the package.
async fn is_scheduled(world: &World, upstream: &Upstream) -> bool {
    world.clock.advance(FRESH_FOR);
    upstream.take_requests();
    world.refresh_due().await;
    !upstream.take_requests().is_empty()
}

#[tokio::test]
async fn what_is_wanted_is_looked_up_though_it_is_fresh() {
    let upstream = Upstream::start();
    let mut world = world_with_kit(&upstream).await;
    upstream.publish("kit", &["1.1.0"]);
    ask(&world, Reason::RefreshNow).await;
    world.restart_functions();
    assert_eq!(world.version(KIT).await, "1.1.0");
}

#[tokio::test]
async fn what_is_unwanted_leaves_the_schedule_and_comes_back_when_it_is_wanted() {
    let upstream = Upstream::start();
    let mut world = world_with_kit(&upstream).await;
    world.clock.advance(Duration::from_secs(1));
    ask(&world, Reason::Unschedule).await;
    assert!(!is_scheduled(&world, &upstream).await);
    world.restart_functions();
    assert_eq!(world.version(KIT).await, "1.0.0", "what is public is kept for a while");
    upstream.publish("kit", &["1.1.0"]);
    ask(&world, Reason::RefreshNow).await;
    world.restart_functions();
    assert_eq!(world.version(KIT).await, "1.1.0");
    assert!(is_scheduled(&world, &upstream).await);
}

/// Requests are delivered again, late, and replayed.
#[tokio::test]
async fn a_read_is_later_than_the_wish_before_it() {
    let upstream = Upstream::start();
    let world = world_with_kit(&upstream).await;
    world.clock.advance(Duration::from_secs(1));
    for reasons in [[Reason::Unschedule, Reason::StillRead], [Reason::Unschedule, Reason::RefreshNow]] {
        for reason in reasons {
            world.publish_request(KIT, reason).await;
            world.clock.advance(Duration::from_secs(1));
        }
        // In one batch.
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

async fn in_spite_of(operation: &str, fault: Fault, times: usize) {
    let upstream = Upstream::start();
    let world = world_with_kit(&upstream).await;
    world.clock.advance(Duration::from_secs(1));
    world.faults.plan(operation, fault, times);
    ask(&world, Reason::Unschedule).await;
    world.faults.heal();
    world.clock.advance(Duration::from_mins(31));
    world.drain_requests().await;
    assert!(!is_scheduled(&world, &upstream).await, "{operation} {fault:?} {times}");
    assert_eq!((world.requested(), world.refresh_dead_letters()), (0, 0), "{operation} {fault:?} {times}");
}

#[tokio::test]
async fn whatever_call_fails_it_is_let_go_of_in_the_end() {
    let stories = ["UpdateItem", "GetItem", "TransactWriteItems"].into_iter().flat_map(|operation| {
        Fault::LOST_CALLS.map(|(fault, times)| Box::pin(in_spite_of(operation, fault, times)))
    });
    futures_util::future::join_all(stories).await;
}

/// The key that nobody was told of is the current one, so that it may be told.
#[tokio::test]
async fn a_rotation_whose_answer_is_lost_is_recognised() {
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
