//! What a function does before its first event: one call to each host that its first answer needs, which changes
//! nothing and holds nothing up.

use std::time::Duration;

use badgesmith_aws::dynamodb::{Nonces, Results};
use badgesmith_aws::secrets_manager::SecretsManager;
use tests::faults::Fault;
use tests::function::Function;
use tests::world::World;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn connections_are_opened_by_calls_that_succeed() {
    let world = World::new();
    let config = world.sdk_config();
    let results = Results::new(&config, "TestResultsTable".to_owned());
    results.warm_up_reads().await.unwrap();
    results.warm_up_writes().await.unwrap();
    Nonces::new(&config, "NoncesTable".to_owned()).warm_up().await.unwrap();
    SecretsManager::new(&config).warm_up().await.unwrap();
    assert_eq!(world.items().await, 0, "nothing is written");
}

#[tokio::test(start_paused = true)]
async fn each_function_makes_its_own() {
    let world = World::new();
    for (function, expected) in [
        (Function::IngestApi, &["GetSecretValue", "UpdateItem"][..]),
        (Function::Processor, &["BatchWriteItem"]),
        (Function::Refresher, &[]),
        (Function::BadgeApi, &["Query"]),
    ] {
        world.warm_up(function).await;
        let mut calls: Vec<_> = world.faults.take_calls().into_iter().map(|call| call.operation).collect();
        calls.sort();
        assert_eq!(calls, expected, "{}", function.name());
    }
}

#[tokio::test(start_paused = true)]
async fn an_aws_that_does_not_answer_holds_a_start_up_for_a_moment_only() {
    let world = World::new();
    for fault in [Fault::TimesOut, Fault::Fails, Fault::LosesAnswer] {
        world.faults.plan("Query", fault, usize::MAX);
        let started = Instant::now();
        world.warm_up(Function::BadgeApi).await;
        assert!(started.elapsed() <= Duration::from_millis(301), "{fault:?}: {:?}", started.elapsed());
    }
}
