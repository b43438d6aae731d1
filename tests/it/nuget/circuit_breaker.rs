//! The circuit breaker of a host. Its unit test has the probe that closes it.

use super::*;

#[tokio::test]
async fn three_failures_of_a_host_stop_all_requests_to_it() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    let first_backoff = Duration::from_millis(1);
    world.set_upstream_timeouts(UpstreamTimeouts { first_backoff, ..UpstreamTimeouts::default() });
    upstream.publish("acme.new", &["1.0.0"]);
    for package in ["acme.kit", "acme.tools", "acme.clock"] {
        upstream.publish(package, &["1.0.0"]);
        world.version(&format!("nuget/{package}")).await;
    }
    world.drain_requests().await;
    upstream.take_requests();
    upstream.plan_fault("/acme.", status(500, &[]), ALWAYS);
    assert_eq!(refresh(&world, FRESH_FOR).await.failed, 3);
    let requests = requests_to(&upstream, "/acme.").len();
    assert_eq!(requests, 3 * 4, "three failures, each with its retries");
    world.version("nuget/acme.new").await;
    world.drain_requests().await;
    assert_eq!(world.version("nuget/acme.new").await, "unavailable");
    assert_eq!(refresh(&world, MINUTE * 5).await.failed, 4);
    assert_eq!(requests_to(&upstream, "/acme.").len(), 0, "no requests for these or other packages");
    assert_eq!(world.version("nuget/acme.kit").await, "1.0.0");
}
