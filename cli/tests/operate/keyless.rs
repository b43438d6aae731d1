//! Repositories whose CI jobs submit with ID tokens.

use badgesmith_aws::clock::Clock;
use badgesmith_domain::registration::AccountIds;
use serde_json::json;
use tests::client::{Answer, Post, result, with};
use tests::id_token::{KEYS, audience, claims};

use super::{SERVICE, World};

const KIT: AccountIds = AccountIds { repository: 7, owner: 3 };
/// The same name, after the repository was deleted and created again.
const RECREATED: AccountIds = AccountIds { repository: 8, owner: 3 };
/// The same names, after another account took that of the owner.
const OTHER: AccountIds = AccountIds { repository: 9, owner: 4 };

/// Posts a result of a repository of acme with a token that has these ids, to a pipeline that remembers nothing.
async fn verdict(world: &World, repo: &str, ids: AccountIds) -> String {
    let now = Clock::System.now();
    let body = with(result(now), &json!({ "repo": repo }));
    let claims = with(
        claims(&world.upstream.issuer(), &audience(SERVICE, &body.to_string()), now),
        &json!({
            "repository": format!("acme/{repo}"),
            "repository_id": ids.repository.to_string(),
            "repository_owner_id": ids.owner.to_string(),
        }),
    );
    let [signing_key, _] = &*KEYS;
    post(world, &Post::unsigned(&body).header("x-id-token", signing_key.token(&claims))).await
}

async fn verdict_with_key(world: &World, key: &str) -> String {
    post(world, &Post::json(&result(Clock::System.now())).signed(key)).await
}

async fn post(world: &World, post: &Post) -> String {
    Answer::from(world.restarted().answer(post.request()).await).verdict()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyless_repository_keeps_the_ids_of_its_first_token_until_they_are_reset() {
    let world = World::start().await;
    let reset = async |name| world.run(&["repo", "reset-identity", name, "--yes"]).await;
    assert_eq!(verdict(&world, "kit", KIT).await, "401 UNAUTHORIZED");
    reset("acme/kit").await.failed(3, "badgesmith repo add acme/kit");
    reset("acme").await.failed(3, "no repository of acme has used an ID token");
    let added = world.run(&["repo", "add", "acme/kit", "--keyless"]).await;
    assert!(added.stderr.contains("They count within 1 minute"), "{added:?}");
    assert_eq!(added.ok(), "the ID tokens of acme/kit are accepted\n");
    world.run(&["repo", "add", "acme/kit", "--keyless"]).await.failed(1, "are already accepted");
    let shown = world.run(&["repo", "show", "acme/kit"]).await.ok();
    assert!(shown.contains("ID tokens") && shown.contains("those of the next ID token"), "{shown}");

    assert_eq!(verdict(&world, "kit", KIT).await, "202");
    let shown = world.run(&["repo", "show", "acme/kit"]).await.ok();
    assert!(shown.contains("repository 7, owner 3"), "{shown}");
    assert_eq!(verdict(&world, "kit", RECREATED).await, "401 UNAUTHORIZED");
    world.run(&["repo", "reset-identity", "acme/kit"]).await.failed(2, "--yes");
    let done = reset("acme/kit").await;
    assert!(done.stderr.contains("badgesmith repo reset-identity acme"), "{done:?}");
    assert_eq!(done.ok(), "reset acme/kit, which had the id 7\n");
    assert_eq!(verdict(&world, "kit", OTHER).await, "401 UNAUTHORIZED", "of another owner");
    assert_eq!(verdict(&world, "kit", RECREATED).await, "202");
    assert_eq!(verdict(&world, "kit", KIT).await, "401 UNAUTHORIZED");

    assert_eq!(reset("acme").await.ok(), "reset acme, which had the id 3\n");
    assert_eq!(verdict(&world, "kit", OTHER).await, "401 UNAUTHORIZED", "the repository has its own ids");
    reset("acme/kit").await.ok();
    assert_eq!(verdict(&world, "kit", OTHER).await, "202");

    // A name under the same owner is the same repository.
    let renamed = world.run(&["repo", "rename", "acme/kit", "acme/toolkit", "--yes"]).await;
    assert!(!renamed.stderr.contains("key"), "{renamed:?}");
    assert_eq!(renamed.ok().trim(), "", "it has no key");
    assert_eq!(verdict(&world, "toolkit", RECREATED).await, "401 UNAUTHORIZED");
    assert_eq!(verdict(&world, "toolkit", OTHER).await, "202");
    world.run(&["repo", "remove", "acme/toolkit", "--yes"]).await.ok();
    assert_eq!(verdict(&world, "toolkit", OTHER).await, "401 UNAUTHORIZED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_can_have_a_key_and_id_tokens() {
    let world = World::start().await;
    let first = world.run(&["repo", "add", "acme/kit"]).await.ok();
    assert_eq!(verdict(&world, "kit", KIT).await, "401 UNAUTHORIZED");
    world
        .run(&["repo", "reset-identity", "acme/kit", "--yes"])
        .await
        .failed(1, "repo add acme/kit --keyless");
    let added = world.run(&["repo", "add", "acme/kit", "--keyless"]).await;
    assert!(added.stderr.contains("The key stays valid"), "{added:?}");
    assert_eq!(verdict(&world, "kit", KIT).await, "202");
    assert_eq!(verdict_with_key(&world, first.trim()).await, "202");

    world.run(&["repo", "add", "acme/new", "--keyless"]).await.ok();
    world.run(&["repo", "show", "acme/new", "--key"]).await.failed(1, "badgesmith repo rotate acme/new");
    world.run(&["repo", "add", "acme/new"]).await.failed(1, "create its first key");
    let rotated = world.run(&["repo", "rotate", "acme/new"]).await;
    assert!(rotated.stderr.contains("ID tokens are still accepted"), "{rotated:?}");
    let key = rotated.ok();
    assert_eq!(world.run(&["repo", "show", "acme/new", "--key"]).await.ok(), key);
    assert_eq!(verdict(&world, "new", KIT).await, "202");
}
