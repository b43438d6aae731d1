//! Writers at the same time, whose commits share an fsync.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use aws_types::SdkConfig;
use local::stack::{NONCES_TABLE, RESULTS_DEAD_LETTER_QUEUE};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Local, data_directory, sdk_config};

/// In each round, this many writers put the same items.
const RIVALS: usize = 4;
const GROUPS: usize = 8;
const ROUNDS: usize = 4;
/// A process is killed once this many calls have been answered.
const ANSWERS: usize = 600;
/// Longer than the calls can take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What one call was answered with.
enum Answer {
    /// The writer has put the item.
    Put {
        item: String,
        writer: String,
    },
    /// The condition failed, because another writer had put it.
    Exists {
        item: String,
        writer: String,
    },
    Sent(String),
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

struct Writer {
    tables: aws_sdk_dynamodb::Client,
    queues: aws_sdk_sqs::Client,
    queue_url: String,
    /// The prefix of its items, which its rivals have, too.
    group: String,
    name: String,
}

impl Writer {
    /// Puts items and sends messages until a call is not answered, because the process was killed.
    async fn run(self, answers: mpsc::UnboundedSender<Answer>) {
        for number in 0.. {
            let Some(put) = self.put(format!("{}-{number}", self.group)).await else { return };
            answers.send(put).unwrap();
            let body = format!("{}-{number}", self.name);
            let Some(sent) = self.send(body).await else { return };
            answers.send(sent).unwrap();
        }
    }

    /// Puts an item on the condition that it does not exist.
    async fn put(&self, item: String) -> Option<Answer> {
        let put = self.tables.put_item().table_name(NONCES_TABLE);
        let put = put.item("PK", string(&item)).item("SK", string("rivals"));
        let put = put.item("Writer", string(&self.name)).condition_expression("attribute_not_exists(PK)");
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else {
            return Some(Answer::Put { item, writer: self.name.clone() });
        };
        let PutItemError::ConditionalCheckFailedException(failure) = error.as_service_error()? else {
            panic!("{error:?}");
        };
        let writer = failure.item().unwrap()["Writer"].as_s().unwrap().clone();
        Some(Answer::Exists { item, writer })
    }

    /// Sends two messages, of which the first is rejected.
    async fn send(&self, body: String) -> Option<Answer> {
        let message = self.queues.send_message().queue_url(&self.queue_url);
        let invalid = message.clone().message_body(format!("{body}\u{1}")).send().await.unwrap_err();
        invalid.as_service_error()?;
        message.message_body(&body).send().await.ok()?;
        Some(Answer::Sent(body))
    }
}

/// Has writers call until the process is killed, and returns the answers.
async fn write_until_killed(folder: &Path, round: usize) -> Vec<Answer> {
    let (mut local, config) = start(folder);
    let queues = aws_sdk_sqs::Client::new(&config);
    let queue = queues.get_queue_url().queue_name(RESULTS_DEAD_LETTER_QUEUE).send().await.unwrap();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut writers = JoinSet::new();
    for (group, rival) in (0..GROUPS).flat_map(|group| (0..RIVALS).map(move |rival| (group, rival))) {
        let writer = Writer {
            tables: aws_sdk_dynamodb::Client::new(&config),
            queues: queues.clone(),
            queue_url: queue.queue_url().unwrap().to_owned(),
            group: format!("{round}-{group}"),
            name: format!("{round}-{group}-{rival}"),
        };
        writers.spawn(writer.run(sender.clone()));
    }
    drop(sender);
    let mut answers = Vec::new();
    for _ in 0..ANSWERS {
        answers.push(receiver.recv().await.unwrap());
    }
    local.process.kill().unwrap();
    while let Some(answer) = receiver.recv().await {
        answers.push(answer);
    }
    writers.join_all().await;
    answers
}

fn start(folder: &Path) -> (Local, SdkConfig) {
    let mut local = Local::start(&["--data-dir", folder.to_str().unwrap(), "--no-demo", "--aws-port", "0"]);
    // A retry after a lost response would find the item of the first attempt.
    let config = sdk_config(local.aws_url()).into_builder().retry_config(RetryConfig::disabled());
    (local, config.build())
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_get_verdicts_of_their_own_that_survive_kill_9() {
    let folder = data_directory();
    let mut answers = Vec::new();
    for round in 0..ROUNDS {
        let round = write_until_killed(folder.path(), round);
        answers.extend(tokio::time::timeout(TIMEOUT, round).await.unwrap());
    }

    let (_local, config) = start(folder.path());
    let scan = aws_sdk_dynamodb::Client::new(&config).scan().table_name(NONCES_TABLE);
    let pages = scan.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    let text = |item: &HashMap<String, AttributeValue>, name| item[name].as_s().unwrap().clone();
    let writers: HashMap<_, _> = pages.iter().map(|item| (text(item, "PK"), text(item, "Writer"))).collect();
    let services = rusqlite::Connection::open(folder.path().join("services.sqlite3")).unwrap();
    let mut bodies = services.prepare("SELECT body FROM message").unwrap();
    let bodies: HashSet<String> =
        bodies.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();

    let (mut put, mut exists) = (HashSet::new(), 0);
    for answer in answers {
        match answer {
            Answer::Put { item, writer } => {
                assert_eq!(writers.get(&item), Some(&writer), "{item}");
                assert!(put.insert(item), "two writers have put the same item");
            }
            Answer::Exists { item, writer } => {
                assert_eq!(writers.get(&item), Some(&writer), "{item}");
                exists += 1;
            }
            Answer::Sent(body) => assert!(bodies.contains(&body), "{body}"),
        }
    }
    assert!(put.len() > ROUNDS && exists > ROUNDS, "{} put, {exists} existed", put.len());
    assert!(bodies.iter().all(|body| !body.contains('\u{1}')), "a rejected message was stored");
}
