//! Restarts with the same options.

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::Registrations;
use badgesmith_aws::secrets_manager::{SecretsManager, repository_secret};
use badgesmith_domain::registration::{ActiveRegistration, Registration};
use local::stack::SECRETS_TABLE;
use serde_json::json;
use tests::client::{KEY, Post, result, with};

use super::{Local, REPOSITORIES, sdk_config};

#[tokio::test]
async fn the_demo_shows_a_badge_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for _ in 0..2 {
        let mut local = Local::start(&["--data-dir", data.to_str().unwrap()]);
        let demo = local.read_until("Stop with Ctrl-C");
        assert!(demo.contains(r#""message":"190 passed""#), "{demo}");
        assert_eq!(demo.find("http"), demo.find(&format!("{}/repos/demo/badgesmith", local.url)), "{demo}");
        assert!(demo.contains("openssl dgst -sha256 -hmac"), "{demo}");
        let badge = "/badges/tests/linux/demo/badgesmith/main";
        assert!(demo.contains(&format!("{}{badge}", local.url)), "{demo}");
        assert_eq!(local.api().get(badge).await.unwrap().json()["message"], "190 passed");
        let history =
            local.api().history("demo/badgesmith", "&branch=main&platform=linux", 200).await.unwrap();
        assert_eq!(history.len(), 168, "stored on the first start only");
        let page = local.api().get("/repos/demo/badgesmith").await.unwrap().text;
        assert!(page.contains("The last 84 runs"), "{page}");
        let markdown = format!("[![Tests]({}/svg/tests/all/demo/badgesmith/main)]", local.url);
        assert!(page.contains(&markdown), "{page}");
        assert_eq!(local.stop("-INT"), (Some(0), String::new()));
    }
}

/// What operators' commands do while the program runs stays in force after a restart with the same options.
#[tokio::test]
async fn a_restart_brings_back_no_removed_repository_and_no_replaced_key() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--data-dir", folder.path().to_str().unwrap(), "--aws-port", "0"];
    let secrets = REPOSITORIES.map(|repository| format!("{repository}={KEY}"));
    let arguments: Vec<_> =
        options.into_iter().chain(secrets.iter().flat_map(|secret| ["--secret", secret])).collect();
    let [removed, replaced, ..] = REPOSITORIES;

    let mut local = Local::start(&arguments);
    let config = sdk_config(local.aws_url());
    let registrations = Registrations::new(&config, SECRETS_TABLE.to_owned());
    local.read_until("Stop with Ctrl-C");
    for repository in [removed, "demo/badgesmith"] {
        let repository = repository.parse().unwrap();
        let record = registrations.find(&repository).await.unwrap();
        let tombstone = Registration::Removed(Clock::System.now());
        assert!(registrations.put(&repository, &tombstone, record.as_ref()).await.unwrap());
    }
    // `badgesmith repo rotate --compromised` does the same.
    let repository = replaced.parse().unwrap();
    let record = registrations.find(&repository).await.unwrap().unwrap();
    let Registration::Active(active) = record.registration.clone() else { panic!("{record:?}") };
    let rotated = ActiveRegistration { rotated: Some(Clock::System.now()), ..active };
    assert!(registrations.put(&repository, &Registration::Active(rotated), Some(&record)).await.unwrap());
    let secrets = SecretsManager::new(&config);
    for key in ["a key that nobody ever sees", "a new battery and an old horse"] {
        let name = format!("badge/repo/{replaced}");
        assert!(secrets.put_value(&name, &repository_secret(key)).await.unwrap());
    }
    assert_eq!(local.stop("-TERM").0, Some(0));

    let (mut local, log) = Local::start_with_log(&arguments);
    let demo = local.read_until("demo/badgesmith");
    assert!(demo.contains("no demo: demo/badgesmith was removed"), "{demo}");
    let verdict = async |repository: &str, key: &str| {
        let (owner, repo) = repository.split_once('/').unwrap();
        let post = Post::json(&with(result(Clock::System.now()), &json!({ "owner": owner, "repo": repo })));
        local.api().send(&post.signed(key)).await.unwrap().verdict()
    };
    assert_eq!(verdict(removed, KEY).await, "401 UNAUTHORIZED");
    assert_eq!(verdict(replaced, KEY).await, "401 UNAUTHORIZED");
    assert_eq!(verdict(replaced, "a new battery and an old horse").await, "202");
    assert_eq!(local.stop("-TERM").0, Some(0));
    let lines = log.read();
    for (repository, reason) in [(removed, "was removed"), (replaced, "has set another key")] {
        let is_warned = |line: &str| {
            line.contains("--secret is ignored") && line.contains(reason) && line.contains(repository)
        };
        assert!(lines.lines().any(is_warned), "{repository}: {lines}");
    }
}
