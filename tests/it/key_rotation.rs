//! Secrets and derived keys: how long they are cached, and what a rotation changes. The simulation also rotates derived
//! keys, and restores the registrations.

use std::sync::atomic::Ordering;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_domain::registration::Registration;
use badgesmith_domain::signature::HmacKey;
use local::stack::Stack;
use tests::client::{Answer, KEY, REPOSITORY};
use tests::faults::Fault;
use tests::world::World;

const NEW_KEY: &str = "a new battery and an old horse";
/// How long registrations and secrets are cached.
const LIFETIME: Duration = Duration::from_mins(5);
const MINUTE: Duration = Duration::from_mins(1);

async fn verdict(world: &World, key: &str) -> String {
    world.submit(&world.post().signed(key)).await.verdict()
}

#[track_caller]
fn check(verdict: &str, is_accepted: bool, context: &str) {
    assert_eq!(verdict, if is_accepted { "202" } else { "401 UNAUTHORIZED" }, "{context}");
}

#[tokio::test(start_paused = true)]
async fn a_base64_key_signs_as_text_and_as_bytes() {
    let world = World::new();
    // The base64 of 32 bytes of 7 (RFC 4648).
    let (text, bytes) = ("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", [7; 32]);
    world.set_key(REPOSITORY, text);
    assert_eq!(verdict(&world, text).await, "202");
    let post = world.post();
    let signature = HmacKey::new(bytes).unwrap().sign(post.body.as_bytes());
    assert_eq!(world.submit(&post.header("x-signature", signature.to_string())).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn registration_and_secret_are_read_every_five_minutes() {
    let mut world = World::new();
    let derived = world.register("acme/derived").await;
    for (repository, key) in [(REPOSITORY, KEY), ("acme/derived", &derived)] {
        world.restart_functions();
        world.faults.take_calls();
        for _ in 0..15 {
            let post = world.post_of(repository).signed(key);
            assert_eq!(world.submit(&post).await.status, 202);
            world.clock.advance(MINUTE);
        }
        let calls = world.faults.take_calls();
        let count = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
        assert_eq!(count("GetItem"), 3, "{repository}");
        assert_eq!(count("GetSecretValue"), 1 + 2 + 2, "{repository}: from the second time on both versions");
    }
}

/// The two versions of a secret are read one by one.
#[tokio::test(start_paused = true)]
async fn a_rotation_between_two_reads_of_a_secret_refuses_no_request() {
    for stage in ["AWSCURRENT", "AWSPREVIOUS"] {
        let world = World::new();
        check(&verdict(&world, KEY).await, true, "before the rotation");
        world.clock.advance(LIFETIME);
        world.faults.plan_for("GetSecretValue", stage, Fault::Pauses, 1);
        let rotation = world.faults.interrupt(async { world.set_key(REPOSITORY, NEW_KEY) });
        let (during, ()) = tokio::join!(verdict(&world, KEY), rotation);
        check(&during, true, stage);
        check(&verdict(&world, "neither the old nor the new key").await, false, stage);
        check(&verdict(&world, KEY).await, true, stage);
        world.clock.advance(MINUTE);
        for key in [KEY, NEW_KEY] {
            check(&verdict(&world, key).await, true, stage);
        }
    }
}

/// Three instances and three clients: one that keeps the old key for a day, one that switches after a minute, and one
/// without a key.
#[tokio::test(start_paused = true)]
async fn a_rotation_of_an_own_secret_refuses_no_request() {
    let world = World::new();
    let mut instances: Vec<_> = (0..3).map(|_| world.another_instance()).collect();
    let submit = async |instance: &Stack, key: &str| {
        let post = world.post().signed(key).request();
        Answer::from(instance.gateway.answer(post).await).verdict()
    };
    // One instance has not seen the repository yet.
    for instance in &instances[1..] {
        check(&submit(instance, KEY).await, true, "before the rotation");
    }
    let rotated_at = world.now();
    world.set_key(REPOSITORY, NEW_KEY);
    let steps = [Duration::from_secs(20); 20].into_iter().chain([Duration::from_mins(55); 26]);
    for step in steps {
        let age = world.now().since(rotated_at);
        for (index, instance) in instances.iter().enumerate() {
            let context = format!("{age:?} after the rotation, instance {index}");
            check(&submit(instance, "neither the old nor the new key").await, false, &context);
            check(
                &submit(instance, KEY).await,
                age < Duration::from_hours(24),
                &format!("old key {context}"),
            );
            if age >= MINUTE {
                check(&submit(instance, NEW_KEY).await, true, &format!("new key {context}"));
            }
        }
        world.clock.advance(step);
        // Lambda replaces instances at any time.
        instances.rotate_left(1);
        instances[0] = world.another_instance();
    }
}

#[tokio::test(start_paused = true)]
async fn a_compromised_own_secret_is_refused_within_five_minutes() {
    let mut world = World::new();
    assert_eq!(verdict(&world, KEY).await, "202");
    // What `badgesmith repo rotate --compromised` does: neither version of the secret is the old key.
    world.set_key(REPOSITORY, "a key that nobody ever sees");
    world.set_key(REPOSITORY, NEW_KEY);
    check(&verdict(&world, NEW_KEY).await, true, "a client with the new key makes the function read it");
    world.clock.advance(LIFETIME);
    for context in ["a running function", "a new function"] {
        check(&verdict(&world, KEY).await, false, context);
        check(&verdict(&world, NEW_KEY).await, true, context);
        world.restart_functions();
    }
}

#[tokio::test(start_paused = true)]
async fn both_stages_of_the_master_key_derive_keys_until_the_operator_removes_the_previous_one() {
    let world = World::new();
    let old = world.register(REPOSITORY).await;
    assert_eq!(verdict(&world, &old).await, "202");
    world.rotate_master_key();
    let new = world.rotate(REPOSITORY, false).await;
    world.clock.advance(MINUTE);
    for _ in 0..3 {
        for key in [&new, &old] {
            check(&verdict(&world, key).await, true, "both stages");
        }
        world.clock.advance(LIFETIME);
    }
    world.remove_previous_master_key().await;
    world.clock.advance(LIFETIME);
    check(&verdict(&world, &new).await, true, "derived from the current master key");
    check(&verdict(&world, &old).await, false, "derived from the previous master key");
}

/// The keys of all repositories depend on the master key, so their functions read it for each other.
#[tokio::test(start_paused = true)]
async fn a_rotated_secret_is_read_within_a_minute_whenever_the_registration_was_read() {
    let world = World::new();
    world.register(REPOSITORY).await;
    world.register("acme/other").await;
    let bad = async |repository: &str| {
        let post = world.post_of(repository).signed("the key of no repository");
        check(&world.submit(&post).await.verdict(), false, repository);
    };
    bad("acme/other").await;
    world.clock.advance(Duration::from_secs(10));
    world.rotate_master_key();
    world.clock.advance(Duration::from_secs(20));
    bad(REPOSITORY).await;
    world.clock.advance(Duration::from_secs(40));
    let new = world.key_of(REPOSITORY).await;
    check(&verdict(&world, &new).await, true, "a minute after the rotation of the master key");
}

/// The registration in memory has only the secret of the repository, and the master key in memory is that of another
/// repository.
#[tokio::test(start_paused = true)]
async fn the_first_derived_key_of_a_repository_counts_after_a_rotation_of_the_master_key() {
    let world = World::new();
    let other = world.register("acme/other").await;
    let post = world.post_of("acme/other").signed(&other);
    check(&world.submit(&post).await.verdict(), true, "the function reads the master key");
    check(&verdict(&world, KEY).await, true, "the function reads the secret of the repository");
    world.rotate_master_key();
    let new = world.rotate(REPOSITORY, false).await;
    world.clock.advance(MINUTE);
    check(&verdict(&world, &new).await, true, "the first derived key");
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
    check(&verdict(&world, NEW_KEY).await, true, "a minute after the rotation");
    let calls = world.faults.take_calls();
    let count = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
    assert!(count("GetItem") <= 3, "once, then at most once a minute");
    assert!(count("GetSecretValue") <= 5, "once, then both versions at most once a minute");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_to_an_invalid_key_keeps_the_old_key_for_a_day() {
    let mut world = World::new();
    world.set_secret(REPOSITORY, "oops");
    for _ in 0..2 {
        check(&verdict(&world, KEY).await, true, "the previous version");
        world.clock.advance(Duration::from_hours(1));
        world.restart_functions();
    }
    world.clock.advance(Duration::from_hours(23));
    check(&verdict(&world, KEY).await, false, "a day later");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_used_past_its_time_while_it_cannot_be_read() {
    for operation in ["GetItem", "GetSecretValue"] {
        let world = World::new();
        assert_eq!(verdict(&world, KEY).await, "202");
        world.faults.plan(operation, Fault::Fails, usize::MAX);
        world.clock.advance(LIFETIME.saturating_sub(Duration::from_secs(1)));
        assert_eq!(verdict(&world, KEY).await, "202", "{operation}: still cached");
        world.clock.advance(Duration::from_secs(1));
        let answer = world.submit(&world.post()).await;
        assert_eq!((answer.verdict().as_str(), answer.header("retry-after")), ("503 UNAVAILABLE", Some("1")));
        world.faults.heal();
        assert_eq!(verdict(&world, KEY).await, "202");
    }
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_was_cached_while_the_clock_was_ahead_is_read_again() {
    let world = World::new();
    let start = world.now();
    world.clock.advance(Duration::from_hours(240));
    assert_eq!(verdict(&world, KEY).await, "202");
    world.set_registration(REPOSITORY, Registration::Removed(world.now())).await;
    let Clock::Manual(milliseconds) = &world.clock else { panic!("a manual clock") };
    milliseconds.store(start.unix_milliseconds(), Ordering::SeqCst);
    check(&verdict(&world, KEY).await, false, "removed");
}

#[tokio::test(start_paused = true)]
async fn a_registration_without_a_usable_secret_accepts_nothing() {
    let world = World::new();
    world.delete_secret(REPOSITORY);
    check(&verdict(&world, KEY).await, false, "without a secret");
    world.set_key(REPOSITORY, KEY);
    world.clock.advance(MINUTE);
    check(&verdict(&world, KEY).await, true, "a minute after the secret was created");
}

#[tokio::test(start_paused = true)]
async fn a_missing_master_key_is_our_failure() {
    let world = World::new();
    let key = world.register(REPOSITORY).await;
    world.delete_master_key();
    assert_eq!(verdict(&world, &key).await, "503 UNAVAILABLE");
    assert_eq!(verdict(&world, KEY).await, "503 UNAVAILABLE", "not a wrong signature");
}

#[tokio::test(start_paused = true)]
async fn an_own_secret_needs_no_master_key() {
    let world = World::new();
    world.delete_master_key();
    assert_eq!(world.submit(&world.post()).await.status, 202);
}
