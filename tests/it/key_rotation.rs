//! Keys of repositories: cached, rotated, created and deleted.

use std::time::Duration;

use badgesmith_domain::signature::HmacKey;
use tests::client::{KEY, REPOSITORY};
use tests::faults::Fault;
use tests::world::World;

const NEW_KEY: &str = "a new battery and an old horse";

#[tokio::test(start_paused = true)]
async fn a_base64_key_signs_as_text_and_as_bytes() {
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
    assert_eq!(reads(), 1, "the previous version of an unchanged secret is not read");
}

#[tokio::test(start_paused = true)]
async fn both_keys_are_valid_for_a_day_after_a_rotation() {
    let world = World::new();
    assert_eq!(world.submit(&world.post()).await.status, 202, "the old key is cached now");
    world.set_key(REPOSITORY, NEW_KEY);
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(
        world.submit(&world.post().signed(NEW_KEY)).await.status,
        202,
        "the new key is valid after a minute"
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
async fn a_function_that_starts_after_a_rotation_accepts_both_keys() {
    let mut world = World::new();
    world.set_key(REPOSITORY, NEW_KEY);
    for key in [KEY, NEW_KEY] {
        world.restart_functions();
        assert_eq!(world.submit(&world.post().signed(key)).await.status, 202, "{key}");
        // The secret is read again after an hour; both keys stay valid.
        world.clock.advance(Duration::from_hours(1));
        for key in [KEY, NEW_KEY, KEY] {
            assert_eq!(world.submit(&world.post().signed(key)).await.status, 202, "{key}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_signatures_do_not_delay_a_rotation() {
    let world = World::new();
    let bad = || world.post().signed("neither the old nor the new key");
    assert_eq!(world.submit(&bad()).await.status, 401);
    world.clock.advance(Duration::from_secs(59));
    // The last invalid signature before the rotation that makes the function read both versions.
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
async fn a_new_secret_is_valid_within_a_minute_and_a_deleted_one_invalid_within_an_hour() {
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
async fn a_rotation_to_an_invalid_key_keeps_the_old_key_for_a_day() {
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
async fn failing_reads_of_secrets_are_limited() {
    let world = World::new();
    assert_eq!(world.submit(&world.post()).await.status, 202);
    world.faults.take_calls();
    world.faults.plan("GetSecretValue", Fault::Fails, usize::MAX);
    for _ in 0..500 {
        let bad = world.post().signed("neither the old nor the new key");
        assert_eq!(world.submit(&bad).await.verdict(), "503 UNAVAILABLE");
    }
    let reads = world.faults.take_calls().len();
    assert!(reads <= 20 * 3, "{reads} reads, the SDK's retries included");
    assert_eq!(world.submit(&world.post()).await.status, 202, "a client with the cached key is not affected");
}
