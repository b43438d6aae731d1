//! An operator: keys, registrations, and dead-letter queues.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use badgesmith_aws::sdk::{AwsError, CallTimeouts};
use badgesmith_aws::sqs::{Queue, ReceivedMessage};
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::registration::Registration;
use embedded_aws::Queues;
use local::stack::{NONCES_TABLE, RESULTS_DEAD_LETTER_QUEUE, RESULTS_QUEUE, SECRETS_TABLE};

use super::invocation::Invocation;
use super::keys::NewKey;
use super::model::Commit;
use super::network::FaultRate;
use super::run::Simulation;
use super::schedule::REPOSITORIES;
use crate::client::KEY;
use crate::world::{VISIBILITY_TIMEOUT, World};

/// The visibility timeout of the messages that a command receives.
const HOLD: Duration = Duration::from_secs(30);
/// How often SQS delivers a message before it moves it to the dead-letter queue.
const RECEIVES_MAX: u32 = 20;
/// How often an operator replays the dead-letter queue after an outage.
const REPLAYS: u32 = 3;
const COMMAND_TIMEOUT: Duration = Duration::from_mins(2);
/// Functions cache secrets and registrations for this long.
const CACHED_FOR: Duration = Duration::from_mins(5);
const DAY: Duration = Duration::from_hours(24);

type Item = HashMap<String, AttributeValue>;

/// The items of the registrations at some time.
#[derive(Debug, Clone, Default)]
pub(super) struct Backup(Vec<Item>);

/// Registers all repositories. The first has its own secret, the others have derived keys.
pub(super) async fn register_all(simulation: &Simulation) {
    let now = simulation.trace.elapsed();
    simulation.keys.lock().unwrap().add(0, KEY.to_owned(), NewKey::OwnSecret, now);
    for (repository, name) in REPOSITORIES.iter().enumerate().skip(1) {
        let key = simulation.world.register(name).await;
        simulation.keys.lock().unwrap().add(repository, key, NewKey::KeyId, now);
    }
}

pub(super) async fn rotate_key(simulation: &Simulation, repository: usize, compromised: bool) {
    let _lock = simulation.operator_lock.lock().await;
    if simulation.keys.lock().unwrap().has_current(repository) {
        rotate(simulation, repository, compromised).await;
    }
}

async fn rotate(simulation: &Simulation, repository: usize, compromised: bool) {
    let key = simulation.world.rotate(REPOSITORIES[repository], compromised).await;
    let now = simulation.trace.elapsed();
    let mut keys = simulation.keys.lock().unwrap();
    keys.rotate(repository, now, if compromised { now } else { now + DAY });
    keys.add(repository, key, NewKey::KeyId, now);
}

pub(super) async fn remove_repository(simulation: &Simulation, repository: usize) {
    let _lock = simulation.operator_lock.lock().await;
    if simulation.keys.lock().unwrap().has_current(repository) {
        let removed = Registration::Removed(simulation.world.now());
        simulation.world.set_registration(REPOSITORIES[repository], removed).await;
        simulation.keys.lock().unwrap().remove(repository, simulation.trace.elapsed());
    }
}

pub(super) async fn add_repository(simulation: &Simulation, repository: usize) {
    let _lock = simulation.operator_lock.lock().await;
    if !simulation.keys.lock().unwrap().has_current(repository) {
        let key = simulation.world.register(REPOSITORIES[repository]).await;
        simulation.keys.lock().unwrap().add(repository, key, NewKey::KeyId, simulation.trace.elapsed());
    }
}

/// Replaces the master key, and gives each client its new key.
pub(super) async fn rotate_master_key(simulation: &Simulation) {
    let _lock = simulation.operator_lock.lock().await;
    simulation.world.rotate_master_key();
    simulation.keys.lock().unwrap().rotate_master(simulation.trace.elapsed());
    hand_out(simulation).await;
}

/// Gives each client the key that the current master key derives.
async fn hand_out(simulation: &Simulation) {
    for (repository, name) in REPOSITORIES.iter().enumerate() {
        if simulation.keys.lock().unwrap().has_current(repository)
            && simulation.world.registration(name).await.proofs.derived.is_some()
        {
            let key = simulation.world.key_of(name).await;
            simulation.keys.lock().unwrap().add(
                repository,
                key,
                NewKey::MasterKey,
                simulation.trace.elapsed(),
            );
        }
    }
}

pub(super) async fn end_previous_master_key(simulation: &Simulation) {
    let _lock = simulation.operator_lock.lock().await;
    if simulation.world.previous_master_key().await.is_some() {
        simulation.world.remove_previous_master_key().await;
        simulation.keys.lock().unwrap().end_previous_master(simulation.trace.elapsed());
    }
}

pub(super) async fn back_up_registrations(simulation: &Simulation) {
    let _lock = simulation.operator_lock.lock().await;
    *simulation.backup.lock().unwrap() = Backup(registrations(simulation).await);
}

/// Loses the table of registrations, and restores it as docs/operations.md describes in "Restore registrations".
pub(super) async fn restore_registrations(simulation: &Simulation) {
    let _lock = simulation.operator_lock.lock().await;
    simulation.set_ingest_open(false);
    simulation.world.rotate_master_key();
    simulation.world.remove_previous_master_key().await;
    let began = simulation.trace.elapsed();
    {
        let mut keys = simulation.keys.lock().unwrap();
        keys.rotate_master(began);
        keys.end_previous_master(began);
    }
    for item in registrations(simulation).await {
        delete(simulation, SECRETS_TABLE, &item).await;
    }
    let Backup(items) = simulation.backup.lock().unwrap().clone();
    for item in items {
        let client = aws_sdk_dynamodb::Client::new(&simulation.world.sdk_config());
        client.put_item().table_name(SECRETS_TABLE).set_item(Some(item)).send().await.unwrap();
    }
    for (repository, name) in REPOSITORIES.iter().enumerate() {
        let has_current = simulation.keys.lock().unwrap().has_current(repository);
        let record = simulation.world.registrations().find(&name.parse().unwrap()).await.unwrap();
        match record.map(|record| record.registration) {
            Some(Registration::Active(_)) if has_current => rotate(simulation, repository, true).await,
            Some(Registration::Active(_)) => {
                let removed = Registration::Removed(simulation.world.now());
                simulation.world.set_registration(name, removed).await;
            }
            Some(Registration::Removed(_)) | None if has_current => {
                let key = simulation.world.register(name).await;
                let mut keys = simulation.keys.lock().unwrap();
                keys.end(repository, began);
                keys.add(repository, key, NewKey::KeyId, began);
            }
            Some(Registration::Removed(_)) | None => {}
        }
    }
    simulation.network.wait(CACHED_FOR).await;
    simulation.set_ingest_open(true);
}

async fn registrations(simulation: &Simulation) -> Vec<Item> {
    let is_registration = |item: &Item| item["PK"].as_s().unwrap().starts_with("REPOSITORY#");
    scan(simulation, SECRETS_TABLE).await.into_iter().filter(is_registration).collect()
}

/// Deletes the nonces that have expired, as DynamoDB does eventually. The embedded one would use the system time.
pub(super) async fn delete_expired_nonces(simulation: &Simulation) {
    let now = simulation.world.now().unix_seconds();
    for item in scan(simulation, NONCES_TABLE).await {
        if item["TTL"].as_n().unwrap().parse::<i64>().unwrap() <= now {
            delete(simulation, NONCES_TABLE, &item).await;
        }
    }
}

async fn scan(simulation: &Simulation, table: &str) -> Vec<Item> {
    let client = aws_sdk_dynamodb::Client::new(&simulation.world.sdk_config());
    client.scan().table_name(table).send().await.unwrap().items.unwrap_or_default()
}

async fn delete(simulation: &Simulation, table: &str, item: &Item) {
    let delete =
        aws_sdk_dynamodb::Client::new(&simulation.world.sdk_config()).delete_item().table_name(table);
    delete.key("PK", item["PK"].clone()).key("SK", item["SK"].clone()).send().await.unwrap();
}

/// No result can be stored until the messages are in the dead-letter queue. Then an operator replays them, first while
/// no message can be sent, and then while the network still has faults.
pub(super) async fn outage(simulation: Arc<Simulation>, event: u32, instance: usize) {
    let mut number = 0;
    for _ in 0..RECEIVES_MAX {
        simulation
            .network
            .set_fault_rate(FaultRate { rate: 1.0, service: "DynamoDB_20120810.BatchWriteItem" });
        while simulation.process(event, number, instance, false).await.is_some_and(|messages| messages > 0) {
            number += 1;
        }
        number += 1;
        simulation.network.wait(VISIBILITY_TIMEOUT).await;
    }
    simulation.network.set_fault_rate(FaultRate { rate: 1.0, service: "AmazonSQS.SendMessage" });
    for replay in 0..REPLAYS {
        // SQS moves the messages that reached the maximum of receives to the dead-letter queue at the next receive.
        simulation.process(event, number + replay, instance, false).await;
        empty_dead_letters(&simulation, event, false, false).await;
        simulation.network.set_fault_rate(FaultRate { rate: 0.3, service: "" });
        simulation.network.wait(HOLD).await;
    }
}

/// Replays the dead-letter queue or, with `purge`, deletes its messages. The calls go through the network, with its
/// faults.
pub(super) async fn empty_dead_letters(simulation: &Arc<Simulation>, event: u32, purge: bool, is_last: bool) {
    let config = World::config_behind(SharedHttpClient::new(simulation.network.clone()));
    let config = CallTimeouts::OF_COMMANDS.apply_to(&config);
    let queue = |name| Queue::new(&config, Queues::url(name));
    let (dead_letters, results) = (queue(RESULTS_DEAD_LETTER_QUEUE), queue(RESULTS_QUEUE));
    let command = async {
        loop {
            let messages = dead_letters.receive(Queue::BATCH, HOLD, Duration::ZERO).await?;
            if messages.is_empty() {
                return Ok(());
            }
            let (readable, poison): (Vec<_>, Vec<_>) =
                messages.into_iter().partition(|message| commit_of(message).is_some());
            for message in &poison {
                simulation.model.lock().unwrap().receive_dead_letter(&message.body);
            }
            let deleted: Vec<ReceivedMessage> = if purge {
                for commit in readable.iter().filter_map(commit_of) {
                    simulation.model.lock().unwrap().purge(&commit);
                }
                readable.into_iter().chain(poison).collect()
            } else {
                let outcome = results.redrive(&readable).await?;
                let moved = readable.into_iter().filter(|message| outcome.succeeded.contains(&message.id));
                // At the end, poison messages are deleted so that the queue becomes empty.
                moved.chain(poison.into_iter().filter(|_| is_last)).collect()
            };
            if deleted.is_empty() {
                return Ok(());
            }
            dead_letters.delete(&deleted).await?;
        }
    };
    let invocation = Invocation::new(simulation.seed, event, 0, !is_last);
    let ended: Option<Result<(), AwsError>> = invocation.run(COMMAND_TIMEOUT, Box::pin(command)).await;
    simulation
        .trace
        .add(event, format_args!("emptied the dead-letter queue: {:?}", ended.map(|result| result.is_ok())));
}

/// The commit in a message, if it can be read.
fn commit_of(message: &ReceivedMessage) -> Option<Commit> {
    let run = ResultMessage::parse(&message.body).ok()?.result.run;
    run.commit.map(|commit| commit.as_str().to_owned())
}
