//! Keys of repositories: in memory, rotated, given and taken.

use std::time::Duration;

use badgesmith_domain::signature::HmacKey;
use tests::client::{KEY, REPOSITORY};
use tests::faults::Fault;
use tests::world::World;

const NEW_KEY: &str = "a new battery and an old horse";

#[tokio::test(start_paused = true)]
async fn the_string_and_what_it_decodes_to_are_both_the_key() {
    let world = World::new();
    // The base64 of 32 bytes of 7 (RFC 4648).
    let (text, bytes) = ("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", [7; 32]);
    world.set_key(REPOSITORY, text);
    let with_string = world.post().signed(text);
    assert_eq!(world.submit(&with_string).await.status, 202);
    let post = world.post();
    let signature = HmacKey::new(bytes).unwrap().sign(post.body.as_bytes());
    assert_eq!(world.submit(&post.header("x-signature", signature.to_string())).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_read_once_an_hour() {
    let world = World::new();
    let reads = || world.faults.take_count("GetSecretValue");
    for _ in 0..59 {
        assert_eq!(world.submit(&world.post()).await.status, 202);
        world.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(reads(), 1);
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(world.submit(&world.post()).await.status, 202);
    assert_eq!(reads(), 1, "unchanged, so its previous version is not read");
}

#[tokio::test(start_paused = true)]
async fn after_a_rotation_both_keys_count_for_a_day() {
    let world = World::new();
    assert_eq!(world.submit(&world.post()).await.status, 202, "the old key is in memory now");
    world.set_key(REPOSITORY, NEW_KEY);
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(
        world.submit(&world.post().signed(NEW_KEY)).await.status,
        202,
        "a minute after, the new one counts"
    );
    for hours in [1, 11, 11] {
        assert_eq!(world.submit(&world.post().signed(KEY)).await.status, 202);
        assert_eq!(world.submit(&world.post().signed(NEW_KEY)).await.status, 202);
        world.clock.advance(Duration::from_hours(hours));
    }
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(world.submit(&world.post().signed(KEY)).await.verdict(), "401 UNAUTHORIZED");
    assert_eq!(world.submit(&world.post().signed(NEW_KEY)).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_starts_after_a_rotation_takes_both_keys() {
    let mut world = World::new();
    world.set_key(REPOSITORY, NEW_KEY);
    for key in [KEY, NEW_KEY] {
        world.restart_functions();
        assert_eq!(world.submit(&world.post().signed(key)).await.status, 202, "{key}");
        // An hour on, the secret is read again, and nothing is forgotten.
        world.clock.advance(Duration::from_hours(1));
        for key in [KEY, NEW_KEY, KEY] {
            assert_eq!(world.submit(&world.post().signed(key)).await.status, 202, "{key}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bad_signatures_do_not_keep_a_rotation_from_being_seen() {
    let world = World::new();
    let bad = || world.post().signed("neither the one nor the other");
    assert_eq!(world.submit(&bad()).await.status, 401);
    world.clock.advance(Duration::from_secs(59));
    // The last moment before the rotation at which someone else can have both versions read.
    assert_eq!(world.submit(&bad()).await.status, 401);
    world.set_key(REPOSITORY, NEW_KEY);
    for _ in 0..6 {
        world.clock.advance(Duration::from_secs(10));
        assert_eq!(world.submit(&bad()).await.status, 401);
    }
    assert_eq!(world.submit(&world.post().signed(NEW_KEY)).await.status, 202, "a minute after the rotation");
    let reads = world.faults.take_count("GetSecretValue");
    assert!(reads <= 5, "{reads} reads: once, then twice at most once a minute");
}

#[tokio::test(start_paused = true)]
async fn a_new_repository_is_known_within_a_minute_and_a_deleted_one_forgotten_within_an_hour() {
    let world = World::new();
    world.delete_secret(REPOSITORY);
    assert_eq!(world.submit(&world.post()).await.verdict(), "401 UNAUTHORIZED");
    world.set_key(REPOSITORY, KEY);
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(world.submit(&world.post()).await.status, 202);
    world.delete_secret(REPOSITORY);
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(world.submit(&world.post()).await.verdict(), "401 UNAUTHORIZED");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_to_something_unusable_does_not_lock_the_old_key_out() {
    let mut world = World::new();
    world.set_secret(REPOSITORY, "oops");
    for _ in 0..2 {
        assert_eq!(world.submit(&world.post()).await.status, 202);
        world.clock.advance(Duration::from_hours(1));
        world.restart_functions();
    }
    world.clock.advance(Duration::from_hours(23));
    assert_eq!(world.submit(&world.post()).await.verdict(), "401 UNAUTHORIZED");
}

#[tokio::test(start_paused = true)]
async fn while_secrets_cannot_be_read_they_are_not_asked_for_without_end() {
    let world = World::new();
    assert_eq!(world.submit(&world.post()).await.status, 202);
    world.faults.take_calls();
    world.faults.plan("GetSecretValue", Fault::Fails, usize::MAX);
    for _ in 0..500 {
        let bad = world.post().signed("neither the one nor the other");
        assert_eq!(world.submit(&bad).await.verdict(), "503 UNAVAILABLE");
    }
    let reads = world.faults.take_calls().len();
    assert!(reads <= 20 * 3, "{reads} reads, the SDK's retries included");
    assert_eq!(world.submit(&world.post()).await.status, 202, "who has the key is not affected");
}
