//! Requests to take a package off the schedule.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use badgesmith_domain::package_request::Reason;
use refresher::Report;
use tests::faults::Fault;
use tests::upstream::{Account, Upstream, Visibility};
use tests::world::{FRESH_FOR, World};

use super::world_with;

#[tokio::test]
async fn a_redelivered_unschedule_request_does_not_override_a_later_request() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, 1).await;
    world.faults.plan("UpdateItem", Fault::Fails, usize::MAX);
    world.publish_request("nuget/kit.0", Reason::Unschedule).await;
    world.drain_requests().await;
    world.faults.heal();
    assert_eq!(world.requested(), 1, "the unschedule request failed");
    world.clock.advance(Duration::from_secs(1));
    world.publish_request("nuget/kit.0", Reason::RefreshNow).await;
    world.drain_requests().await;
    world.clock.advance(Duration::from_mins(31));
    world.drain_requests().await;
    assert_eq!((world.requested(), world.refresh_dead_letters()), (0, 0));
    assert_eq!(world.refresh_due().await.unchanged, 1, "the package is still on the schedule");
}

#[tokio::test]
async fn a_package_is_unscheduled_at_once_after_a_run_died_with_its_lease() {
    let upstream = Upstream::start();
    let world = world_with(&upstream, 1).await;
    upstream.publish("kit.0", &["2.0.0"]);
    world.clock.advance(FRESH_FOR);
    world.faults.plan("TransactWriteItems", Fault::Fails, usize::MAX);
    assert_eq!(world.refresh_due().await.failed, 1);
    world.faults.heal();
    // The lease has two minutes left.
    world.publish_request("nuget/kit.0", Reason::Unschedule).await;
    world.drain_requests().await;
    assert_eq!((world.requested(), world.refresh_dead_letters()), (0, 0));
    world.clock.advance(FRESH_FOR * 2);
    assert_eq!(world.refresh_due().await, Report::default(), "nothing is due");
}

#[tokio::test]
async fn a_package_is_unscheduled_at_once_while_it_is_refreshed() {
    for (name, mapped, visibility, kept) in [
        ("open", "acme", Visibility::Public, "1.0.0"),
        ("secret", "acme/secret", Visibility::Private, "pending"),
    ] {
        let package = &*format!("github/acme/{name}");
        let upstream = Upstream::start();
        upstream.github_token("token", &["acme"]);
        upstream.github_publish(Account::Org("acme"), name, visibility, &["1.0.0"]);
        let mut world = World::with_upstream(&upstream);
        world.set_github_token(mapped, "token").await;
        assert_eq!(world.look_up(package).await, "1.0.0");
        upstream.github_publish(Account::Org("acme"), name, visibility, &["2.0.0"]);
        world.clock.advance(FRESH_FOR);
        upstream.take_requests();
        let report = {
            let mut run = pin!(world.refresh_due());
            // From its first request upstream on, the run stands still.
            poll_fn(|context| {
                if !upstream.take_requests().is_empty() {
                    return Poll::Ready(());
                }
                assert!(run.as_mut().poll(context).is_pending(), "the run asks upstream before it ends");
                Poll::Pending
            })
            .await;
            world.publish_request(package, Reason::Unschedule).await;
            world.drain_requests().await;
            assert_eq!((world.requested(), world.refresh_dead_letters()), (0, 0), "{package}");
            run.await
        };
        assert_eq!((report.skipped, report.changed), (1, 0), "{package}: {report:?}");
        world.clock.advance(FRESH_FOR * 2);
        assert_eq!(world.refresh_due().await, Report::default(), "{package}: nothing is due");
        world.restart_functions();
        assert_eq!(world.version(package).await, kept, "{package}: the run has written nothing");
    }
}
