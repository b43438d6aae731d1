//! Secrets and their versions.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use embedded_aws::Storage;

use super::queues::{receive, url};
use super::{Served, serve};

const SECRET: &str = "badge/repo/acme/kit";

#[tokio::test]
async fn a_new_value_makes_the_current_version_the_previous_one() {
    let Served { clock, config, .. } = serve(&Storage::Memory).await;
    let secrets = Client::new(&config);
    let created = secrets.create_secret().name(SECRET).secret_string("first").send().await.unwrap();
    let put = || secrets.put_secret_value().secret_id(SECRET);
    clock.advance(Duration::from_mins(1));
    put().secret_string("second").send().await.unwrap();
    clock.advance(Duration::from_mins(1));
    let third = put().secret_string("third").send().await.unwrap();
    assert_eq!(third.version_stages(), ["AWSCURRENT"]);
    // A retry of a request whose response was lost.
    let again = || put().client_request_token(third.version_id().unwrap());
    assert_eq!(again().secret_string("third").send().await.unwrap().version_id, third.version_id);
    let other = again().secret_string("fourth").send().await.unwrap_err().into_service_error();
    assert!(other.is_resource_exists_exception(), "{other:?}");

    let get = async |stage| {
        let request = secrets.get_secret_value().secret_id(created.arn().unwrap());
        request.set_version_stage(stage).send().await.unwrap()
    };
    let current = get(None).await;
    assert_eq!((current.secret_string(), current.version_id()), (Some("third"), third.version_id()));
    assert_eq!(current.created_date().unwrap().secs(), clock.now().unix_milliseconds() / 1000);
    let previous = get(Some("AWSPREVIOUS".to_owned())).await;
    assert_eq!(
        (previous.secret_string(), previous.version_stages()),
        (Some("second"), &["AWSPREVIOUS".to_owned()][..])
    );

    let described = secrets.describe_secret().secret_id(SECRET).send().await.unwrap();
    assert_eq!((described.name(), described.deleted_date()), (Some(SECRET), None));
    let changed = described.last_changed_date().unwrap().secs() - described.created_date().unwrap().secs();
    assert_eq!(changed, 120);
    let stages = described.version_ids_to_stages().unwrap();
    assert_eq!(stages.len(), 2, "{stages:?}");
    assert_eq!(stages[previous.version_id().unwrap()], ["AWSPREVIOUS"]);
    assert_eq!(stages[third.version_id().unwrap()], ["AWSCURRENT"]);
}

#[tokio::test]
async fn a_deleted_secret_can_be_restored_until_its_recovery_window_ends() {
    let Served { aws, clock, config, .. } = serve(&Storage::Memory).await;
    let secrets = Client::new(&config);
    let create = async |name: &str| secrets.create_secret().name(name).secret_string("{}").send().await;
    let list = async || {
        let listed = secrets.list_secrets().send().await.unwrap().secret_list.unwrap();
        let mut names: Vec<_> = listed.into_iter().map(|secret| secret.name.unwrap()).collect();
        names.retain(|name| name != "MasterKey");
        names.sort();
        names
    };
    for name in [SECRET, "badge/github/acme"] {
        create(name).await.unwrap();
    }
    let delete = || secrets.delete_secret().secret_id(SECRET);
    let deleted = delete().recovery_window_in_days(7).send().await.unwrap();
    let window = deleted.deletion_date().unwrap().secs() - clock.now().unix_milliseconds() / 1000;
    assert_eq!(window, 7 * 86_400);
    assert_eq!(list().await, ["badge/github/acme"]);
    let read = || secrets.get_secret_value().secret_id(SECRET).send();
    assert!(read().await.unwrap_err().into_service_error().is_invalid_request_exception());
    let put = secrets.put_secret_value().secret_id(SECRET).secret_string("{}").send().await;
    assert!(put.unwrap_err().into_service_error().is_invalid_request_exception());
    assert!(create(SECRET).await.unwrap_err().into_service_error().is_invalid_request_exception());
    assert!(delete().send().await.unwrap_err().into_service_error().is_invalid_request_exception());
    let described = secrets.describe_secret().secret_id(SECRET).send().await.unwrap();
    assert_eq!(described.deleted_date(), deleted.deletion_date());

    clock.advance(Duration::from_hours(7 * 24 - 1));
    aws.sweep().await.unwrap();
    secrets.restore_secret().secret_id(SECRET).send().await.unwrap();
    assert_eq!(read().await.unwrap().secret_string(), Some("{}"));
    delete().send().await.unwrap();
    clock.advance(Duration::from_hours(30 * 24));
    aws.sweep().await.unwrap();
    assert!(read().await.unwrap_err().into_service_error().is_resource_not_found_exception());

    create(SECRET).await.unwrap();
    delete().force_delete_without_recovery(true).send().await.unwrap();
    let restored = secrets.restore_secret().secret_id(SECRET).send().await;
    assert!(restored.unwrap_err().into_service_error().is_resource_not_found_exception());
    create(SECRET).await.unwrap();
    assert_eq!(list().await, ["badge/github/acme", SECRET]);
}

#[tokio::test]
async fn the_master_key_is_made_once_and_its_previous_version_can_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(folder.path().to_owned());
    let mut values = Vec::new();
    for _ in 0..2 {
        let Served { aws, config, stop, server, .. } = serve(&storage).await;
        let secrets = Client::new(&config);
        let read = secrets.get_secret_value().secret_id("MasterKey").send().await.unwrap();
        values.push(read.secret_string().unwrap().to_owned());
        stop.cancel();
        server.await.unwrap();
        drop(aws);
    }
    assert_eq!(values[0].len(), 64);
    assert_eq!(values[0], values[1]);

    let Served { config, .. } = serve(&Storage::Memory).await;
    let secrets = Client::new(&config);
    secrets.put_secret_value().secret_id("MasterKey").secret_string("new").send().await.unwrap();
    let previous = secrets.get_secret_value().secret_id("MasterKey").version_stage("AWSPREVIOUS");
    let version = previous.clone().send().await.unwrap();
    assert_ne!(version.secret_string(), Some(values[0].as_str()), "each has its own");
    let update = || secrets.update_secret_version_stage().secret_id("MasterKey");
    let remove =
        |stage: &str| update().version_stage(stage).remove_from_version_id(version.version_id().unwrap());
    let error = remove("AWSCURRENT").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
    remove("AWSPREVIOUS").send().await.unwrap();
    assert!(previous.send().await.unwrap_err().into_service_error().is_resource_not_found_exception());
    let again = remove("AWSPREVIOUS").send().await.unwrap_err().into_service_error();
    assert!(again.is_invalid_parameter_exception(), "{again:?}");
}

#[tokio::test]
async fn data_of_an_older_version_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let older = rusqlite::Connection::open(folder.path().join("services.sqlite3")).unwrap();
    older
        .execute_batch(
            "CREATE TABLE message (
                 sequence INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message_id TEXT NOT NULL,
                 body TEXT NOT NULL, attributes TEXT NOT NULL, system_attributes TEXT NOT NULL,
                 sent_at INTEGER NOT NULL, visible_at INTEGER NOT NULL, first_received_at INTEGER,
                 receive_count INTEGER NOT NULL DEFAULT 0, receipt_handle TEXT
             ) STRICT;
             INSERT INTO message (queue, message_id, body, attributes, system_attributes, sent_at, visible_at)
                 VALUES ('badge-results-dlq', 'an-id', 'not json',
                     '{\"reason\":{\"DataType\":\"String\",\"StringValue\":\"poison\"}}', '{}', 1000, 1000);
             CREATE TABLE secret (
                 name TEXT NOT NULL, stage TEXT NOT NULL, version_id TEXT NOT NULL, value TEXT NOT NULL,
                 created_at INTEGER NOT NULL, PRIMARY KEY (name, stage)
             ) STRICT;
             INSERT INTO secret VALUES ('badge/repo/acme/kit', 'AWSCURRENT', 'new', 'new value', 3000),
                 ('badge/repo/acme/kit', 'AWSPREVIOUS', 'old', 'old value', 2000);",
        )
        .unwrap();
    drop(older);
    let storage = Storage::Directory(folder.path().to_owned());
    for _ in 0..2 {
        let Served { aws, config, stop, server, .. } = serve(&storage).await;
        let secrets = Client::new(&config);
        for (stage, value) in [("AWSCURRENT", "new value"), ("AWSPREVIOUS", "old value")] {
            let read =
                secrets.get_secret_value().secret_id(SECRET).version_stage(stage).send().await.unwrap();
            assert_eq!(read.secret_string(), Some(value));
        }
        let described = secrets.describe_secret().secret_id(SECRET).send().await.unwrap();
        assert_eq!(described.created_date().unwrap().secs(), 2);
        assert_eq!(described.last_changed_date().unwrap().secs(), 3);
        let sqs = aws_sdk_sqs::Client::new(&config);
        // In flight when the services close: visible after a restart.
        let dead = receive(&sqs, &url(&sqs, "badge-results-dlq").await, 600).await;
        assert_eq!(dead[0].message_attributes().unwrap()["reason"].string_value(), Some("poison"));
        stop.cancel();
        server.await.unwrap();
        drop(aws);
    }
}
