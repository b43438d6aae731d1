//! Tokens for GitHub.

use std::fs;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::SecretMappings;
use local::stack::SECRETS_TABLE;
use tests::upstream::{Account, Visibility};

use super::{CommandOutput, World, badgesmith, output_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_shows_packages_until_it_is_deleted() {
    let world = World::start().await;
    world.upstream.github_token("ghp_private", &["acme"]);
    world.upstream.github_publish(Account::Org("acme"), "Closed", Visibility::Private, &["3.0.0"]);
    let set = ["token", "set", "acme", "--package", "Closed"];
    world.run(&set).await.failed(2, "invalid token from stdin");
    let long: &str = Box::leak("x".repeat(5000).into_boxed_str());
    world.run_with(&set, long).await.failed(2, "invalid token from stdin");
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
    check(&["repo", "add", "acme"], "OWNER/REPO");
    check(&["repo", "add", "acme/kit"], "--stack NAME");
    check(&["repo", "add", "acme/kit", "--stack", "badgesmith"], "--region");
    check(&["repo", "add", "acme/kit", "--posts-per-minute", "0"], "--posts-per-minute");
}
