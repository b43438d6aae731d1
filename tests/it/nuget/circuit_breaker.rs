//! The circuit breaker of a host: it opens after three failures, and closes after a successful probe.

use super::*;

/// A world in which `nuget/acme.new` is requested for the first time after three known packages have failed. The
/// host of all of them keeps failing.
async fn world_with_failing_host(upstream: &Upstream, breaker_open: Duration) -> World {
    let mut world = World::with_upstream(upstream);
    let first_backoff = Duration::from_millis(1);
    world.set_upstream_timeouts(UpstreamTimeouts {
        first_backoff,
        breaker_open,
        ..UpstreamTimeouts::default()
    });
    upstream.publish("acme.new", &["1.0.0"]);
    for package in ["acme.kit", "acme.tools", "acme.clock"] {
        upstream.publish(package, &["1.0.0"]);
        world.version(&format!("nuget/{package}")).await;
    }
    world.drain_requests().await;
    upstream.take_requests();
    upstream.plan_fault("/acme.", status(500, &[]), ALWAYS);
    assert_eq!(refresh(&world, FRESH_FOR).await.failed, 3);
    let requests = requests_to(upstream, "/acme.").len();
    assert_eq!(requests, 3 * 4, "three failures, each with its retries");
    world.version("nuget/acme.new").await;
    world.drain_requests().await;
    assert_eq!(world.version("nuget/acme.new").await, "unavailable");
    world
}

#[tokio::test]
async fn three_failures_of_a_host_stop_all_requests_to_it() {
    let upstream = Upstream::start();
    let world = world_with_failing_host(&upstream, MINUTE * 2).await;
    assert_eq!(refresh(&world, MINUTE * 5).await.failed, 4);
    assert_eq!(requests_to(&upstream, "/acme.").len(), 0, "no requests for these or other packages");
    assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
}

/// The circuit breaker uses the real clock, so this test waits.
#[tokio::test]
async fn a_successful_probe_closes_the_circuit_breaker() {
    let breaker_open = Duration::from_millis(600);
    let upstream = Upstream::start();
    let world = world_with_failing_host(&upstream, breaker_open).await;
    tokio::time::sleep(breaker_open * 11 / 10).await;
    upstream.take_requests();
    assert_eq!(refresh(&world, MINUTE * 5).await.failed, 4);
    let probes = requests_to(&upstream, "/acme.");
    assert!(probes.iter().all(|probe| probe.path == probes[0].path), "one package is requested: {probes:?}");
    assert_eq!(probes.len(), 4, "with all its retries");

    upstream.heal();
    tokio::time::sleep(breaker_open * 11 / 10).await;
    // While the probe is in flight, other requests may still fail.
    refresh(&world, MINUTE * 5).await;
    assert_eq!(refresh(&world, MINUTE).await.failed, 0, "the probe closes the circuit breaker");
    assert_eq!(world.version("nuget/acme.new").await, "1.0.0");
}
