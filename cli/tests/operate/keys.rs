//! Keys of repositories, and tokens for GitHub.

use std::fs;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::SecretMappings;
use local::stack::SECRETS_TABLE;
use tests::client::{Post, result};
use tests::upstream::{Account, Visibility};

use super::{CommandOutput, World, badgesmith, output_of};

async fn verdict(world: &World, key: &str) -> String {
    let post = Post::json(&result(Clock::System.now())).signed(key);
    world.api().send(&post).await.unwrap().verdict()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_created_rotated_and_deleted() {
    let world = World::start().await;
    world.run(&["secret", "rotate", "acme/kit"]).await.failed(3, "badgesmith secret create acme/kit");
    world.run(&["secret", "show", "acme/kit"]).await.failed(3, "has no key");

    let created = world.run(&["secret", "create", "Acme/Kit"]).await;
    assert!(created.stderr.contains("It is not shown again"), "{created:?}");
    let first = created.ok();
    let first = first.strip_suffix('\n').unwrap();
    assert_eq!(first.len(), 44, "32 bytes in base64, and nothing else");
    assert_eq!(verdict(&world, first).await, "202");
    world.run(&["secret", "create", "acme/kit"]).await.failed(1, "badgesmith secret rotate acme/kit");

    let rotated = world.run(&["secret", "rotate", "acme/kit"]).await;
    assert!(rotated.stderr.contains("Wait a minute") && rotated.stderr.contains("24 hours"), "{rotated:?}");
    let second = rotated.ok();
    let second = second.trim();
    assert_ne!(first, second);
    for key in [first, second] {
        assert_eq!(verdict(&world, key).await, "202");
    }
    let shown = world.run(&["secret", "show", "acme/kit"]).await.ok();
    assert!(shown.contains("rotated") && !shown.contains(first) && !shown.contains(second), "{shown}");
    let shown = world.run(&["secret", "show", "acme/kit", "--json"]).await.json();
    assert!(shown["rotated_at"].is_string() && shown["deletes_at"].is_null(), "{shown}");

    world.run(&["secret", "rotate", "acme/kit"]).await.failed(2, "valid for 23h 59m more");
    assert_eq!(verdict(&world, first).await, "202");

    let renewed = world.run(&["secret", "rotate", "acme/kit", "--compromised", "--json"]).await.json();
    let stored = world.server.aws().secrets().current("badge/repo/acme/kit").unwrap().unwrap();
    assert!(stored.contains(renewed["key"].as_str().unwrap()), "{stored}");
    assert!(renewed["previous_valid_until"].is_null());

    world.run(&["secret", "delete", "acme/kit"]).await.failed(2, "--yes");
    let deleted = world.run(&["secret", "delete", "acme/kit", "--yes"]).await;
    assert!(deleted.stderr.contains("restore-secret"), "{deleted:?}");
    for again in ["create", "rotate", "delete"] {
        world.run(&["secret", again, "acme/kit"]).await.failed(1, "rotate acme/kit --compromised");
    }
    let error = world.run(&["secret", "create", "acme/kit", "--json"]).await;
    insta::assert_snapshot!(error.stdout, @r#"{"error":"the key of acme/kit is deleted; restore it with `aws secretsmanager restore-secret --secret-id badge/repo/acme/kit`, then replace it with `badgesmith secret rotate acme/kit --compromised`"}"#);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_key_that_cannot_be_printed_is_a_failure() {
    let world = World::start().await;
    for (command, remedy) in [("create", "rotate acme/kit"), ("rotate", "update-secret-version-stage")] {
        let mut command = world.command(&["secret", command, "acme/kit"]);
        command.stdout(fs::File::create("/dev/full").unwrap());
        output_of(command).await.failed(1, remedy);
    }
}

/// A function that starts after the rotation reads the keys from the secret.
#[tokio::test(flavor = "multi_thread")]
async fn no_version_of_the_secret_contains_a_compromised_key() {
    let world = World::start().await;
    let first = world.run(&["secret", "create", "acme/kit"]).await.ok();
    let second = world.run(&["secret", "rotate", "acme/kit", "--compromised"]).await;
    assert!(second.stderr.contains("restart `local`"), "{second:?}");
    let second = second.ok();
    assert_eq!(verdict(&world, first.trim()).await, "401 UNAUTHORIZED");
    assert_eq!(verdict(&world, second.trim()).await, "202");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_shows_packages_until_it_is_deleted() {
    let world = World::start().await;
    world.upstream.github_token("ghp_private", &["acme"]);
    world.upstream.github_publish(Account::Org("acme"), "Closed", Visibility::Private, &["3.0.0"]);
    let set = ["token", "set", "acme", "--package", "Closed"];
    world.run(&set).await.failed(2, "expected a token");
    let long: &str = Box::leak("x".repeat(5000).into_boxed_str());
    world.run_with(&set, long).await.failed(2, "expected a token");
    world.run_with(&set, "ghp_private\n").await.ok();
    let stored = world.server.aws().secrets().current("badge/github/acme/closed").unwrap();
    assert_eq!(stored.as_deref(), Some(r#"{"token":"ghp_private","type":"github_pat"}"#));
    let added = world.run(&["package", "add", "github/acme/closed"]).await.ok();
    assert!(added.contains("3.0.0"), "{added}");

    // The other two ways to pass a token, which also replace one.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "ghp_file\n").unwrap();
    let shared = ["token", "set", "acme", "--json"];
    world.run(&[&shared[..], &["--token-file", file.to_str().unwrap()]].concat()).await.ok();
    let current = || world.server.aws().secrets().current("badge/github/acme").unwrap().unwrap();
    assert!(current().contains("ghp_file"));
    let mut command = world.command(&shared);
    command.env("BADGESMITH_GITHUB_TOKEN", "ghp_environment");
    output_of(command).await.ok();
    assert!(current().contains("ghp_environment"));

    // An operator mapped the package to a secret that other packages use.
    let mappings = SecretMappings::new(&world.server.aws().sdk_config(), SECRETS_TABLE.to_owned());
    let open = "acme/open".parse().unwrap();
    mappings.put(&open, "badge/github/acme", Clock::System.now()).await.unwrap();
    let shared = ["token", "delete", "acme", "--package", "open", "--secret", "--yes"];
    world.run(&shared).await.failed(2, "is mapped to badge/github/acme, not to badge/github/acme/open");
    assert!(current().contains("ghp_environment"));

    world.run(&["token", "delete", "acme", "--package", "closed", "--yes"]).await.ok();
    world.run(&["token", "delete", "acme", "--package", "closed", "--yes"]).await.failed(3, "no token");
    let deleted = world.run(&["token", "delete", "acme", "--secret", "--yes", "--json"]).await.json();
    assert_eq!(deleted["secret_deleted"], true);
    assert_eq!(world.server.aws().secrets().current("badge/github/acme").unwrap(), None);
    world.run_with(&["token", "set", "acme"], "ghp_x").await.failed(1, "restore-secret");
}

#[test]
fn errors_name_the_missing_or_invalid_argument() {
    let check = |arguments: &[&str], why: &str| {
        let output = CommandOutput::from(badgesmith(arguments).output().unwrap());
        output.failed(2, why);
        assert_eq!(output.stdout, "");
    };
    check(&["token", "delete", "acme"], "--stack NAME");
    check(&["dlq", "list", "--endpoint-url", "ftp://x"], "--endpoint-url: expected");
    check(&["dlq", "list", "--queue", "refresh", "--repo", "a/b"], "--repo");
    check(&["dlq", "list", "--older-than", "1w"], "for example 90m");
    check(&["secret", "create", "acme"], "OWNER/REPO");
    check(&["secret", "create", "acme/kit"], "--stack NAME");
    check(&["secret", "create", "acme/kit", "--stack", "badgesmith"], "--region");
}
