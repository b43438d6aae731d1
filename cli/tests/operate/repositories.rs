//! Registrations of repositories, and their keys.

use std::fs;
use std::sync::{Arc, OnceLock};

use badgesmith_aws::clock::Clock;
use badgesmith_aws::secrets_manager::SecretsManager;
use serde_json::json;
use tests::client::{Post, result, with};

use super::proxy::Proxy;
use super::{CommandOutput, World, badgesmith, output_of, until};

/// Posts a result of `repository` to a pipeline that remembers nothing, and returns the verdict.
async fn verdict(world: &World, repository: &str, key: &str) -> String {
    let (owner, repo) = repository.split_once('/').unwrap();
    let body = with(result(Clock::System.now()), &json!({ "owner": owner, "repo": repo }));
    let answer = world.restarted().answer(Post::json(&body).signed(key).request()).await;
    tests::client::Answer::from(answer).verdict()
}

async fn key(world: &World, arguments: &[&str]) -> String {
    let output = world.run(arguments).await.ok();
    let key = output.strip_suffix('\n').unwrap();
    assert_eq!(key.len(), 44, "32 bytes in base64, and nothing else");
    key.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_added_rotated_and_removed() {
    let world = World::start().await;
    for command in ["rotate", "show", "remove"] {
        world.run(&["repo", command, "acme/kit"]).await.failed(3, "badgesmith repo add acme/kit");
    }
    let added = world.run(&["repo", "add", "Acme/Kit"]).await;
    assert!(added.stderr.contains("usable within 1 minute"), "{added:?}");
    let first = added.ok().trim().to_owned();
    assert_eq!(verdict(&world, "acme/kit", &first).await, "202");
    world.run(&["repo", "add", "acme/kit"]).await.failed(1, "badgesmith repo rotate acme/kit");
    assert_eq!(key(&world, &["repo", "show", "acme/kit", "--key"]).await, first);

    let rotated = world.run(&["repo", "rotate", "acme/kit"]).await;
    assert!(rotated.stderr.contains("Wait a minute") && rotated.stderr.contains("24 hours"), "{rotated:?}");
    let second = rotated.ok().trim().to_owned();
    for key in [&first, &second] {
        assert_eq!(verdict(&world, "acme/kit", key).await, "202");
    }
    let shown = world.run(&["repo", "show", "acme/kit"]).await.ok();
    assert!(shown.contains("derived key") && shown.contains("rotated"), "{shown}");
    assert!(!shown.contains(&first) && !shown.contains(&second), "{shown}");
    world.run(&["repo", "rotate", "acme/kit"]).await.failed(2, "valid for 23h 59m more");
    assert_eq!(verdict(&world, "acme/kit", &first).await, "202");

    let rotated = world.run(&["repo", "rotate", "acme/kit", "--compromised", "--json"]).await;
    assert!(rotated.stderr.contains("refused within 5 minutes"), "{rotated:?}");
    let rotated = rotated.json();
    assert!(rotated["previous_valid_until"].is_null() && rotated["secret"].is_null(), "{rotated}");
    let third = rotated["key"].as_str().unwrap();
    assert_eq!(verdict(&world, "acme/kit", third).await, "202");
    for key in [&first, &second] {
        assert_eq!(verdict(&world, "acme/kit", key).await, "401 UNAUTHORIZED");
    }

    world.run(&["repo", "remove", "acme/kit"]).await.failed(2, "--yes");
    let removed = world.run(&["repo", "remove", "acme/kit", "--yes"]).await;
    assert!(removed.stderr.contains("Takes effect within 5 minutes"), "{removed:?}");
    assert_eq!(verdict(&world, "acme/kit", third).await, "401 UNAUTHORIZED");
    world.run(&["repo", "rotate", "acme/kit"]).await.failed(3, "was removed");
    assert!(world.run(&["repo", "show", "acme/kit"]).await.ok().contains("removed"));
    let fourth = key(&world, &["repo", "add", "acme/kit"]).await;
    assert_eq!(verdict(&world, "acme/kit", &fourth).await, "202");
    assert_eq!(verdict(&world, "acme/kit", third).await, "401 UNAUTHORIZED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_secret_is_rotated_and_replaced_by_a_derived_key() {
    let world = World::start().await;
    let first = key(&world, &["repo", "add", "acme/kit", "--own-secret"]).await;
    let stored = || world.server.aws().secrets().current("badge/repo/acme/kit").unwrap().unwrap();
    assert!(stored().contains(&first));
    world.run(&["repo", "show", "acme/kit", "--key"]).await.failed(1, "badge/repo/acme/kit");
    let second = key(&world, &["repo", "rotate", "acme/kit"]).await;
    for key in [&first, &second] {
        assert_eq!(verdict(&world, "acme/kit", key).await, "202");
    }
    world.run(&["repo", "rotate", "acme/kit"]).await.failed(2, "valid for 23h 59m more");
    let third = key(&world, &["repo", "rotate", "acme/kit", "--compromised"]).await;
    assert!(stored().contains(&third));
    for key in [&first, &second] {
        assert_eq!(verdict(&world, "acme/kit", key).await, "401 UNAUTHORIZED", "in neither version");
    }
    let derived = key(&world, &["repo", "rotate", "acme/kit", "--derived", "--yes"]).await;
    for key in [&third, &derived] {
        assert_eq!(verdict(&world, "acme/kit", key).await, "202");
    }
    let shown = world.run(&["repo", "show", "acme/kit"]).await.ok();
    assert!(shown.contains("the secret counts for another 23h 59m"), "{shown}");

    // The secret outlives its repository, but its key does not.
    let removed = world.run(&["repo", "remove", "acme/kit", "--yes"]).await;
    assert!(removed.stderr.contains("The secret badge/repo/acme/kit still exists"), "{removed:?}");
    let last = key(&world, &["repo", "add", "acme/kit", "--own-secret"]).await;
    assert_eq!(verdict(&world, "acme/kit", &last).await, "202");
    for key in [&third, &derived] {
        assert_eq!(verdict(&world, "acme/kit", key).await, "401 UNAUTHORIZED");
    }
}

/// The second command runs when the first one makes its first call of each of these operations.
#[tokio::test(flavor = "multi_thread")]
async fn two_rotations_of_an_own_secret_at_once_do_not_revoke_the_old_key() {
    for operation in ["PutItem", "PutSecretValue"] {
        let world = World::start().await;
        let old = key(&world, &["repo", "add", "acme/kit", "--own-secret"]).await;
        let (endpoint, second) = (format!("http://{}", world.aws), Arc::new(OnceLock::new()));
        let stored = Arc::clone(&second);
        let proxy = Proxy::start(world.aws, move |called, number| {
            if (called, number) == (operation, 1) {
                let mut command = badgesmith(&["repo", "rotate", "acme/kit", "--endpoint-url", &endpoint]);
                stored.set(CommandOutput::from(command.output().unwrap())).unwrap();
            }
            true
        });
        let first = proxy.run(&["repo", "rotate", "acme/kit"]).await;
        let outputs = [&first, second.get().unwrap()];
        let printed: Vec<_> = outputs.iter().filter(|output| output.code == Some(0)).collect();
        assert_eq!(printed.len(), 1, "{operation}: {outputs:?}");
        for key in [old.as_str(), printed[0].stdout.trim()] {
            assert_eq!(verdict(&world, "acme/kit", key).await, "202", "{operation}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_own_secret_is_replaced_even_by_a_derived_key() {
    let world = World::start().await;
    let leaked = key(&world, &["repo", "add", "acme/kit", "--own-secret"]).await;
    let rotated = world.run(&["repo", "rotate", "acme/kit", "--derived", "--compromised"]).await;
    assert!(rotated.stderr.contains("The secret badge/repo/acme/kit still exists"), "{rotated:?}");
    // The secret is registered again, as another stack might.
    world.run(&["repo", "remove", "acme/kit", "--yes"]).await.ok();
    let secret = world.server.aws().secrets().current("badge/repo/acme/kit").unwrap().unwrap();
    assert!(!secret.contains(&leaked));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_secret_that_is_deleted_early_does_not_keep_a_key_from_being_replaced() {
    let world = World::start().await;
    key(&world, &["repo", "add", "acme/kit", "--own-secret"]).await;
    key(&world, &["repo", "rotate", "acme/kit", "--derived"]).await;
    let secrets = SecretsManager::new(&world.server.aws().sdk_config());
    assert!(secrets.delete("badge/repo/acme/kit").await.unwrap());
    let rotated = world.run(&["repo", "rotate", "acme/kit", "--compromised"]).await;
    assert!(!rotated.stderr.contains("still exists"), "{rotated:?}");
    assert_eq!(verdict(&world, "acme/kit", rotated.ok().trim()).await, "202");
}

#[tokio::test(flavor = "multi_thread")]
async fn import_registers_every_secret_as_it_is() {
    let world = World::start().await;
    let key_text = "correct horse battery staple";
    for name in
        ["badge/repo/acme/one", "badge/repo/acme/two", "badge/repo/acme/Upper", "other/repo/acme/three"]
    {
        let value = json!({ "hmac_key": key_text, "type": "repo_hmac" }).to_string();
        world.server.aws().secrets().put(name, &value).unwrap();
    }
    world.run(&["repo", "add", "acme/one", "--own-secret"]).await.failed(1, "badgesmith repo import");
    let imported = world.run(&["repo", "import", "--json"]).await.json();
    assert_eq!(
        imported,
        json!({
            "registered": ["acme/one", "acme/two"], "unchanged": [], "removed": [],
            "ignored": ["badge/repo/acme/Upper"],
        })
    );
    assert_eq!(verdict(&world, "acme/one", key_text).await, "202");
    world.run(&["repo", "remove", "acme/two", "--yes"]).await.ok();
    let again = world.run(&["repo", "import"]).await.ok();
    assert_eq!(
        again,
        "registered 0, 1 registered before, 1 stay removed\n\
         ignored names that are not in lower case: badge/repo/acme/Upper\n"
    );
    assert_eq!(verdict(&world, "acme/two", key_text).await, "401 UNAUTHORIZED");
    let list = world.run(&["repo", "list"]).await.ok();
    let lines: Vec<_> = list.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(lines, ["REPOSITORY", "acme/one", "acme/two"], "{list}");
    let list = world.run(&["repo", "list", "--json"]).await.json();
    assert_eq!(list["repositories"][0]["posts_per_minute"], 300, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_repository_keeps_its_badge_and_an_erased_one_loses_it() {
    let world = World::start().await;
    let old = key(&world, &["repo", "add", "acme/kit", "--posts-per-minute", "1000"]).await;
    let badge = async |place: &str| {
        let request = http::Request::get(format!("/badges/tests/linux/{place}")).body(bytes::Bytes::new());
        let answer = world.restarted().answer(request.unwrap()).await;
        tests::client::Answer::from(answer).json()["message"].as_str().unwrap().to_owned()
    };
    for branch in ["main", "feature/x"] {
        let body = with(result(Clock::System.now()), &json!({ "branch": branch }));
        assert_eq!(world.api().send(&Post::json(&body).signed(&old)).await.unwrap().status, 202);
        until(async || badge(&format!("acme/kit/{branch}")).await == "190 passed").await;
    }
    world.run(&["repo", "rename", "acme/kit", "acme/kit", "--yes"]).await.failed(2, "another name");
    let renamed = world.run(&["repo", "rename", "acme/kit", "acme/toolkit", "--yes"]).await;
    assert!(renamed.stderr.contains("Moved 2 latest results"), "{renamed:?}");
    let new = renamed.ok();
    assert_eq!(verdict(&world, "acme/toolkit", new.trim()).await, "202");
    assert_eq!(verdict(&world, "acme/kit", &old).await, "401 UNAUTHORIZED");
    assert_eq!(badge("acme/toolkit/feature/x").await, "190 passed");
    assert_eq!(badge("acme/kit/feature/x").await, "no results");
    let rate = async || {
        world.run(&["repo", "show", "acme/toolkit", "--json"]).await.json()["posts_per_minute"].clone()
    };
    assert_eq!(rate().await, 1000);
    let updated = world.run(&["repo", "update", "acme/toolkit", "--posts-per-minute", "400"]).await;
    assert!(updated.stderr.contains("Takes effect within 5 minutes"), "{updated:?}");
    assert_eq!(updated.ok(), "acme/toolkit may submit 400 results a minute\n");
    assert_eq!(rate().await, 400);
    assert_eq!(key(&world, &["repo", "show", "acme/toolkit", "--key"]).await, new.trim(), "the same key");
    world.run(&["repo", "update", "acme/kit", "--posts-per-minute", "400"]).await.failed(3, "was removed");
    world.run(&["repo", "update", "acme/toolkit", "--posts-per-minute", "0"]).await.failed(2, "0");
    // Moves what arrived in the meantime.
    world.run(&["repo", "rename", "acme/kit", "acme/toolkit"]).await.failed(2, "--yes");
    let again = world.run(&["repo", "rename", "acme/kit", "acme/toolkit", "--yes"]).await;
    assert!(again.stderr.contains("Moved 0 latest results"), "{again:?}");

    world.run(&["repo", "erase", "acme/toolkit"]).await.failed(2, "--yes");
    let erase = ["repo", "erase", "acme/toolkit", "--yes", "--json"];
    let erased = world.run(&[&erase[..], &["--branch", "feature/x"]].concat()).await.json();
    assert_eq!(erased["items"], 1, "the slot; its history has the old name");
    assert_eq!(badge("acme/toolkit/feature/x").await, "no results");
    assert_eq!(badge("acme/toolkit/main").await, "190 passed");
    until(async || {
        let history = world.api().get("/tests/results/acme/toolkit").await.unwrap();
        history.json()["results"].as_array().unwrap().len() == 1
    })
    .await;
    let erased = world.run(&erase).await.json();
    assert_eq!(erased["items"], 2, "a result and the slot of main");
    assert_eq!(badge("acme/toolkit/main").await, "no results");
    let erased = world.run(&["repo", "erase", "acme/kit", "--yes"]).await.ok();
    assert_eq!(erased, "deleted 2 items of acme/kit\n", "the history");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_checks_registration_key_and_round_trip() {
    let world = World::start().await;
    let old = key(&world, &["repo", "add", "acme/kit"]).await;
    let url = world.url();
    let doctor = async |key: &str| {
        let mut command = world.command(&["doctor", "--repo", "acme/kit", "--url", &url, "--json"]);
        command.env("BADGESMITH_KEY", key);
        output_of(command).await
    };
    let detail = |report: &serde_json::Value, name: &str| {
        let check = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == name);
        check.unwrap()["detail"].as_str().unwrap().to_owned()
    };
    let report = doctor(&old).await;
    assert_eq!(report.code, Some(0), "{report:?}");
    for check in ["registration", "key", "round trip", "badges"] {
        assert!(!detail(&report.json(), check).is_empty(), "{report:?}");
    }
    let new = key(&world, &["repo", "rotate", "acme/kit"]).await;
    assert!(detail(&doctor(&old).await.json(), "key").contains("before the last rotation"));
    assert_eq!(detail(&doctor(&new).await.json(), "key"), "the current key");
    let wrong = doctor("neither the old nor the new key").await;
    assert_eq!(wrong.code, Some(1));
    assert!(detail(&wrong.json(), "key").contains("badgesmith repo show acme/kit --key"));
    assert!(detail(&wrong.json(), "round trip").contains("401"));
    world.run(&["repo", "remove", "acme/kit", "--yes"]).await.ok();
    assert!(detail(&doctor(&new).await.json(), "registration").contains("was removed"));
}

/// Anyone who knows the master key can sign results of every repository.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_reads_no_secret_that_it_does_not_need() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let derived = key(&world, &["repo", "add", "acme/derived"]).await;
    let own = key(&world, &["repo", "add", "acme/own", "--own-secret"]).await;
    let proxy = Proxy::start(world.aws, |_, _| true);
    let doctor = async |repository: Option<(&str, &str)>| {
        let (file, url) = (folder.path().join("key"), world.url());
        let mut arguments = vec!["doctor"];
        if let Some((repository, key)) = repository {
            fs::write(&file, key).unwrap();
            let file = file.to_str().unwrap();
            arguments.extend(["--repo", repository, "--key-file", file, "--url", url.as_str()]);
        }
        let report = proxy.run(&arguments).await.stdout;
        assert!(report.contains("ok      master key"), "{report}");
        proxy.take_calls("GetSecretValue").len()
    };
    assert_eq!(doctor(None).await, 0);
    assert_eq!(doctor(Some(("acme/own", &own))).await, 0);
    assert_eq!(doctor(Some(("acme/derived", &derived))).await, 1, "the current version of the master key");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_key_that_cannot_be_printed_is_a_failure() {
    let world = World::start().await;
    for (arguments, remedy) in [
        (&["repo", "add", "acme/kit"][..], "repo show acme/kit --key"),
        (&["repo", "rotate", "acme/kit"], "repo show acme/kit --key"),
        (&["repo", "add", "acme/own", "--own-secret"], "repo rotate acme/own"),
        (&["repo", "rotate", "acme/own"], "update-secret-version-stage"),
    ] {
        let mut command = world.command(arguments);
        command.stdout(fs::File::create("/dev/full").unwrap());
        output_of(command).await.failed(1, remedy);
    }
}
