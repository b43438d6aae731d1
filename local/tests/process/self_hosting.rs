//! What docs/self-hosting.md shows.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::{Arc, RwLock};

use badgesmith_aws::clock::Clock;
use serde_json::json;
use tests::client::{KEY, Post, result, with};
use tests::http::Api;

use super::{Local, command, data_directory, history, submit_until_accepted};

const PAGE: &str = include_str!("../../../docs/self-hosting.md");

#[tokio::test]
async fn the_options_of_the_unit_start_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let start = PAGE.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/badgesmith-local "));
    let options = start.unwrap().replace("%S/badgesmith", data.to_str().unwrap());
    let mut command = command(&options.split(' ').collect::<Vec<_>>());
    command.env("BADGESMITH_KEY", KEY).stderr(Stdio::null());
    let local = Local::run(command);
    let post = Post::json(&result(Clock::System.now()));
    assert_eq!(local.api().send(&post).await.unwrap().status, 202);
    assert_eq!(local.stop("-TERM").0, Some(0));
}

#[tokio::test]
async fn listening_beyond_this_machine_logs_a_warning_and_other_hosts_are_refused() {
    for (address, warnings) in [("127.0.0.1", 0), ("0.0.0.0", 1)] {
        let options = ["--ephemeral", "--no-demo", "--quiet", "--listen", address];
        let (local, log) = Local::start_with_log(&options);
        assert!(local.url.starts_with(&format!("http://{address}:")), "{}", local.url);
        let port = local.url.rsplit(':').next().unwrap();
        let api = Api::new(&format!("http://127.0.0.1:{port}"));
        assert_eq!(api.get("/health").await.unwrap().status, 200, "{address}");
        let mut page = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        page.write_all(b"GET /health HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        page.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("--public-url"), "{answer}");
        assert_eq!(local.stop("-TERM").0, Some(0));
        let lines = log.read();
        assert_eq!(lines.matches("connections have no TLS").count(), warnings, "{lines}");
    }
}

/// The databases that the page copies, and the statement for each, in this order.
fn statements() -> Vec<(&'static str, &'static str)> {
    let commands = PAGE.lines().filter_map(|line| line.trim().strip_prefix("sqlite3 "));
    let statements = commands.map(|command| {
        let (database, statement) = command.split_once(' ').unwrap();
        (database, statement.trim_matches('"'))
    });
    statements.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_during_posts_starts_with_everything_accepted_before_it() {
    let (data, copy) = (data_directory(), data_directory());
    let local = Local::start_in(data.path());
    let api = Arc::new(RwLock::new(local.api()));
    let post = |run: usize| {
        let (api, fields) = (Arc::clone(&api), json!({ "run_id": run }));
        let post = Post::json(&with(result(Clock::System.now()), &fields));
        tokio::spawn(async move { submit_until_accepted(&api, &post).await })
    };
    let mut before = HashSet::new();
    for accepted in (0..40).map(post).collect::<Vec<_>>() {
        before.insert(accepted.await.unwrap());
    }
    let meanwhile: Vec<_> = (40..120).map(post).collect();
    let statements = statements();
    assert_eq!(statements.len(), 2, "{statements:?}");
    for (database, statement) in statements {
        let source = rusqlite::Connection::open(data.path().join(database)).unwrap();
        let target = format!("{}/", copy.path().to_str().unwrap());
        source.execute_batch(&statement.replace("/var/backups/badgesmith/", &target)).unwrap();
    }
    for accepted in meanwhile {
        accepted.await.unwrap();
    }
    drop(local);

    // The options of the page do not register anything either: keys and registrations are in the copy.
    let local = Local::start(&["--data-dir", copy.path().to_str().unwrap(), "--no-demo"]);
    let post = Post::json(&result(Clock::System.now()));
    assert_eq!(local.api().send(&post).await.unwrap().status, 202);
    // A stop processes what was in the queue.
    assert_eq!(local.stop("-TERM").0, Some(0));
    let local = Local::start(&["--data-dir", copy.path().to_str().unwrap(), "--no-demo"]);
    let stored: HashSet<_> = history(&local.api()).await.into_iter().collect();
    assert!(before.is_subset(&stored), "{before:?} {stored:?}");
}
