//! The init phase of a function: one call to each host that its first response needs. The calls change nothing and
//! delay nothing.

use std::time::Duration;

use badgesmith_aws::dynamodb::{Nonces, Results};
use local::stack::{NONCES_TABLE, TEST_RESULTS_TABLE};
use tests::faults::Fault;
use tests::function::Function;
use tests::world::World;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn warm_up_calls_succeed_and_write_nothing() {
    let world = World::new();
    let config = world.sdk_config();
    let results = Results::new(&config, TEST_RESULTS_TABLE.to_owned());
    results.warm_up_reads().await.unwrap();
    results.warm_up_writes().await.unwrap();
    Nonces::new(&config, NONCES_TABLE.to_owned()).warm_up().await.unwrap();
    assert_eq!(world.items().await, 1, "only the registration of the test");
}

#[tokio::test(start_paused = true)]
async fn each_function_opens_the_connections_that_it_needs() {
    let world = World::new();
    for function in Function::ALL {
        world.warm_up(function).await;
        let mut calls: Vec<_> = world.faults.take_calls().into_iter().map(|call| call.operation).collect();
        calls.sort();
        assert_eq!(calls, function.warm_up_calls(), "{}", function.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_warm_up_delays_the_start_by_300_milliseconds_at_most() {
    let world = World::new();
    for fault in [Fault::TimesOut, Fault::Fails, Fault::LosesAnswer] {
        world.faults.plan("Query", fault, usize::MAX);
        let started = Instant::now();
        world.warm_up(Function::BadgeApi).await;
        assert!(started.elapsed() <= Duration::from_millis(301), "{fault:?}: {:?}", started.elapsed());
    }
}
