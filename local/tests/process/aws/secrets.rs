//! Keys and tokens.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use badgesmith_aws::clock::Clock;
use tests::client::KEY;

use super::queues::{receive, url};
use super::{SECRET, secret, start, start_in, submit};

const NEW_KEY: &str = "a new battery and an old horse";

#[tokio::test]
async fn keys_are_made_and_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let (local, config) = start_in(folder.path());
    let secrets = Client::new(&config);
    let create =
        || secrets.create_secret().name(SECRET).description("of acme/kit").secret_string(secret(KEY));
    let created = create().send().await.unwrap();
    assert_eq!(submit(&local, KEY).await, 202);
    let again = create().send().await.unwrap_err().into_service_error();
    assert!(again.is_resource_exists_exception(), "{again:?}");

    let rotated = secrets.put_secret_value().secret_id(SECRET).secret_string(secret(NEW_KEY));
    let rotated = rotated.send().await.unwrap();
    assert_eq!(rotated.version_stages(), ["AWSCURRENT"]);
    let previous = secrets.get_secret_value().secret_id(SECRET).version_stage("AWSPREVIOUS");
    let previous = previous.send().await.unwrap();
    assert_eq!(previous.version_id, created.version_id);
    assert_eq!(previous.secret_string, Some(secret(KEY)));
    let old_version = secrets.get_secret_value().secret_id(SECRET).version_id(created.version_id().unwrap());
    assert_eq!(old_version.send().await.unwrap().version_stages(), ["AWSPREVIOUS"]);
    // A request whose answer was lost is sent again.
    let again =
        || secrets.put_secret_value().secret_id(SECRET).client_request_token(rotated.version_id().unwrap());
    let repeated = again().secret_string(secret(NEW_KEY)).send().await.unwrap();
    assert_eq!(repeated.version_id, rotated.version_id);
    let other = again().secret_string(secret("another key altogether")).send().await;
    assert!(other.unwrap_err().into_service_error().is_resource_exists_exception());

    let described = secrets.describe_secret().secret_id(created.arn().unwrap()).send().await.unwrap();
    assert_eq!(described.name(), Some(SECRET));
    assert_eq!(described.description(), Some("of acme/kit"));
    assert!(described.created_date().unwrap() <= described.last_changed_date().unwrap());
    let stages = described.version_ids_to_stages().unwrap();
    assert_eq!(stages[created.version_id().unwrap()], ["AWSPREVIOUS"]);
    assert_eq!(stages[rotated.version_id().unwrap()], ["AWSCURRENT"]);

    // A function reads a changed secret after a minute, or when it starts.
    assert_eq!(local.stop("-TERM").0, Some(0));
    let (local, _) = start_in(folder.path());
    for key in [NEW_KEY, KEY] {
        assert_eq!(submit(&local, key).await, 202);
    }
}

#[tokio::test]
async fn secrets_are_listed_deleted_and_restored() {
    let (_local, config) = start(&["--ephemeral"]);
    let secrets = Client::new(&config);
    for name in [SECRET, "badge/repo/acme/other", "badge/github/acme", "elsewhere"] {
        secrets.create_secret().name(name).secret_string("{}").send().await.unwrap();
    }
    let list = async |prefix: &str| {
        let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
        let mut pages = secrets.list_secrets().filters(filter).max_results(1).into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            names.extend(page.unwrap().secret_list.unwrap().into_iter().map(|secret| secret.name.unwrap()));
        }
        names.sort();
        names
    };
    assert_eq!(list("badge/repo/").await, [SECRET, "badge/repo/acme/other"]);
    assert_eq!(list("Badge").await, Vec::<String>::new());

    let delete = || secrets.delete_secret().secret_id(SECRET);
    let deleted = delete().recovery_window_in_days(7).send().await.unwrap();
    let window = deleted.deletion_date().unwrap().secs() - Clock::System.now().unix_milliseconds() / 1000;
    assert!((6 * 86_400..=7 * 86_400).contains(&window), "{window}");
    assert_eq!(list("badge/repo/").await, ["badge/repo/acme/other"]);
    let read = || secrets.get_secret_value().secret_id(SECRET).send();
    assert!(read().await.unwrap_err().into_service_error().is_invalid_request_exception());
    let put = secrets.put_secret_value().secret_id(SECRET).secret_string("{}").send().await;
    assert!(put.unwrap_err().into_service_error().is_invalid_request_exception());
    let create = secrets.create_secret().name(SECRET).secret_string("{}").send().await;
    assert!(create.unwrap_err().into_service_error().is_invalid_request_exception());
    assert!(delete().send().await.unwrap_err().into_service_error().is_invalid_request_exception());
    let described = secrets.describe_secret().secret_id(SECRET).send().await.unwrap();
    assert_eq!(described.deleted_date().unwrap(), deleted.deletion_date().unwrap());

    secrets.restore_secret().secret_id(SECRET).send().await.unwrap();
    assert_eq!(read().await.unwrap().secret_string(), Some("{}"));
    let both = delete().recovery_window_in_days(7).force_delete_without_recovery(true).send().await;
    assert!(both.unwrap_err().into_service_error().is_invalid_parameter_exception());
    delete().send().await.unwrap();
    delete().force_delete_without_recovery(true).send().await.unwrap();
    assert!(read().await.unwrap_err().into_service_error().is_resource_not_found_exception());
    let restored = secrets.restore_secret().secret_id(SECRET).send().await;
    assert!(restored.unwrap_err().into_service_error().is_resource_not_found_exception());
    assert!(delete().send().await.unwrap_err().into_service_error().is_resource_not_found_exception());
    secrets.create_secret().name(SECRET).send().await.unwrap();
    let empty = read().await.unwrap_err().into_service_error();
    assert!(empty.is_resource_not_found_exception() && empty.to_string().contains("AWSCURRENT"), "{empty}");
}

/// A database as it was made before secrets could be deleted and restored.
#[tokio::test]
async fn what_an_older_version_kept_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let kept = rusqlite::Connection::open(folder.path().join("services.sqlite3")).unwrap();
    kept.execute_batch(
        "PRAGMA journal_mode = wal;
         CREATE TABLE message (
             sequence INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message_id TEXT NOT NULL,
             body TEXT NOT NULL, attributes TEXT NOT NULL, system_attributes TEXT NOT NULL,
             sent_at INTEGER NOT NULL, visible_at INTEGER NOT NULL, first_received_at INTEGER,
             receive_count INTEGER NOT NULL DEFAULT 0, receipt_handle TEXT
         ) STRICT;
         CREATE INDEX message_by_visibility ON message (queue, visible_at);
         CREATE INDEX message_by_receipt ON message (receipt_handle);
         CREATE TABLE secret (
             name TEXT NOT NULL, stage TEXT NOT NULL, version_id TEXT NOT NULL, value TEXT NOT NULL,
             created_at INTEGER NOT NULL, PRIMARY KEY (name, stage)
         ) STRICT;",
    )
    .unwrap();
    // In full seconds: the SDK reads dates as floats, and a millisecond may be cut off.
    let now = Clock::System.now().unix_milliseconds() / 1000 * 1000;
    for (stage, key, age) in [("AWSCURRENT", NEW_KEY, 1000), ("AWSPREVIOUS", KEY, 2000)] {
        kept.execute(
            "INSERT INTO secret VALUES (?1, ?2, ?3, ?4, ?5)",
            (SECRET, stage, stage.to_lowercase(), secret(key), now - age),
        )
        .unwrap();
    }
    kept.execute(
        "INSERT INTO message (queue, message_id, body, attributes, system_attributes, sent_at, visible_at)
         VALUES ('ResultsDeadLetterQueue', 'an-id', 'not json',
             '{\"reason\":{\"DataType\":\"String\",\"StringValue\":\"poison\"}}', '{}', ?1, ?1)",
        [now],
    )
    .unwrap();
    drop(kept);

    for _ in 0..2 {
        let (local, config) = start_in(folder.path());
        for key in [NEW_KEY, KEY] {
            assert_eq!(submit(&local, key).await, 202);
        }
        let secrets = Client::new(&config);
        let described = secrets.describe_secret().secret_id(SECRET).send().await.unwrap();
        assert_eq!(described.created_date().unwrap().to_millis().unwrap(), now - 2000);
        assert_eq!(described.last_changed_date().unwrap().to_millis().unwrap(), now - 1000);
        let sqs = aws_sdk_sqs::Client::new(&config);
        let letters = receive(&sqs, &url(&sqs, "ResultsDeadLetterQueue").await, 600).await;
        assert_eq!(letters[0].message_attributes().unwrap()["reason"].string_value(), Some("poison"));
        assert_eq!(local.stop("-TERM").0, Some(0));
    }
}
