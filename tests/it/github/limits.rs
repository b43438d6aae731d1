//! GitHub's rate limits: respected, and reserved for packages that exist.

use std::time::Duration;

use refresher::UpstreamTimeouts;
use tests::upstream::{UpstreamFault, Visibility};
use tests::world::{FRESH_FOR, World};

use super::{ACME, MINUTE, paths, refresh, status, world, world_that_knows};

#[tokio::test]
async fn a_rate_limit_is_respected_and_known_versions_stay() {
    let secondary = "{\"message\":\"You have exceeded a secondary rate limit. Please wait a few minutes.\"}";
    let former =
        "{\"message\":\"You have triggered an Abuse Detection mechanism. Please wait a few minutes.\"}";
    let reset_in = |world: &World, minutes: u64| {
        world.now().plus(MINUTE * u32::try_from(minutes).unwrap()).unix_seconds()
    };
    let after = [("retry-after", "1200")];
    // The primary rate limit, for which GitHub may also respond with 429: until 11:15, half an hour after the request.
    let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1768475700")];
    for (answer, minutes) in [
        (None, 30),
        (Some((403, &after[..], "{}")), 20),
        (Some((429, &after, "{}")), 20),
        (Some((429, &spent, "{}")), 30),
        (Some((403, &[], secondary)), 1),
        (Some((403, &[], former)), 1),
        (Some((429, &[], secondary)), 1),
        (Some((429, &[], "")), 1),
    ] {
        let context = format!("{answer:?}");
        let (upstream, world) = world_that_knows(&["1.0.0"]).await;
        upstream.github_publish(ACME, "Acme.Kit", Visibility::Public, &["2.0.0"]);
        upstream.github_publish(ACME, "New", Visibility::Public, &["3.0.0"]);
        world.clock.advance(FRESH_FOR);
        match answer {
            None => upstream.github_limit(0, reset_in(&world, minutes)),
            Some((code, headers, body)) => {
                let headers: Vec<_> =
                    headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
                upstream.plan_fault("/github/", status(code, &headers, body), 1);
            }
        }
        assert_eq!(world.refresh_due().await.failed, 1, "{context}");
        assert_eq!(upstream.take_requests().len(), 1, "{context}: no retry");
        upstream.github_limit(5000, reset_in(&world, 60));
        let step = MINUTE * u32::try_from(minutes).unwrap() / 6;
        for _ in 0..5 {
            world.version("github/acme/new").await;
            world.drain_requests().await;
            refresh(&world, step).await;
            let requests = upstream.take_requests();
            assert!(requests.is_empty(), "{context}: no request, for any package: {:?}", paths(&requests));
            assert_eq!(world.version("github/acme/acme.kit").await, "1.0.0", "{context}");
        }
        refresh(&world, step + Duration::from_secs(31)).await;
        world.clock.advance(MINUTE * 3);
        assert_eq!(world.version("github/acme/acme.kit").await, "2.0.0", "{context}: then requests resume");
        assert_eq!(world.version("github/acme/new").await, "3.0.0", "{context}");
    }
}

#[tokio::test]
async fn the_newest_versions_count_if_there_are_too_many_or_they_take_too_long() {
    for (time, versions, pages) in [
        (UpstreamTimeouts::default().pages, 10_050, 100),
        (Duration::ZERO, 10_050, 30),
        (Duration::ZERO, 2950, 30),
    ] {
        let (upstream, mut world) = world().await;
        world.set_upstream_timeouts(UpstreamTimeouts { pages: time, ..UpstreamTimeouts::default() });
        let all: Vec<_> = (0..versions).map(|patch| format!("1.0.{patch}")).collect();
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        upstream.github_publish(ACME, "Many", Visibility::Public, &all);
        let newest = format!("1.0.{}", versions - 1);
        assert_eq!(world.look_up("github/acme/many").await, newest, "{versions} within {time:?}");
        let oldest = usize::saturating_sub(versions, pages * 100);
        let exactly = async |patch| world.version(&format!("github/acme/many?version=[1.0.{patch}]")).await;
        assert_eq!(exactly(oldest).await, format!("1.0.{oldest}"), "{versions} within {time:?}");
        if oldest > 0 {
            assert_eq!(exactly(oldest - 1).await, "not found", "{versions} within {time:?}");
        }
        upstream.take_requests();
        assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1);
        assert_eq!(upstream.take_requests().len(), 1 + pages);
    }
}

#[tokio::test]
async fn a_response_in_flight_does_not_end_a_rate_limit() {
    let (upstream, world) = world_that_knows(&["1.0.0"]).await;
    for name in ["Slow", "New"] {
        upstream.github_publish(ACME, name, Visibility::Public, &["1.0.0"]);
    }
    world.version("github/acme/slow").await;
    world.drain_requests().await;
    world.clock.advance(FRESH_FOR);
    upstream.plan_fault("/slow", UpstreamFault::Slow(Duration::from_millis(100)), 1);
    upstream.plan_fault("/acme.kit", status(429, &[("retry-after", "1200".to_owned())], "{}"), 1);
    assert_eq!(
        world.refresh_due().await.failed,
        2,
        "one is rate limited, the versions of the other are not requested"
    );
    upstream.take_requests();
    world.version("github/acme/new").await;
    world.drain_requests().await;
    assert_eq!(upstream.take_requests().len(), 0);
}

#[tokio::test]
async fn half_of_the_quota_is_reserved_for_packages_that_exist() {
    let (upstream, world) = world_that_knows(&["1.0.0"]).await;
    upstream.github_publish(ACME, "New", Visibility::Public, &["3.0.0"]);
    upstream.github_limit(2499, world.now().plus(MINUTE * 60).unix_seconds());
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1);
    upstream.take_requests();
    world.version("github/acme/new").await;
    world.drain_requests().await;
    assert_eq!(world.version("github/acme/new").await, "unavailable");
    assert_eq!(upstream.take_requests().len(), 0);
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 1, "known packages are refreshed");
    upstream.github_limit(5000, world.now().plus(MINUTE * 90).unix_seconds());
    refresh(&world, MINUTE * 61).await;
    assert_eq!(
        world.version("github/acme/new").await,
        "3.0.0",
        "new names are looked up after the quota is reset"
    );
}
