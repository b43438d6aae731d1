//! Repositories that submit results with ID tokens: who may, who registers itself, and what binds a name to an account.

mod branches;
mod issuer_keys;
mod tokens;

use std::time::Duration;

use badgesmith_domain::registration::{AccountIds, ActiveRegistration, Keyless, Registration};
use futures_util::future::join_all;
use serde_json::json;
use tests::client::{Answer, REPOSITORY, result, with};
use tests::faults::Fault;
use tests::world::World;

const MINUTE: Duration = Duration::from_mins(1);
/// The ids in the claims of a token.
const IDS: AccountIds = AccountIds { repository: 1_296_269, owner: 583_231 };

/// The answer to a name that is not registered.
async fn unauthorized(world: &World) -> Answer {
    let answer = world.submit(&world.post_of("nobody/knows")).await;
    assert_eq!(answer.verdict(), "401 UNAUTHORIZED");
    answer
}

async fn submit(world: &World, repository: &str) -> String {
    world.submit(&world.keyless_post_of(repository)).await.verdict()
}

/// Submits a result of a repository with a token of this repository and owner.
async fn submit_as(world: &World, repository: &str, repository_id: u64, owner_id: u64) -> Answer {
    let (owner, repo) = repository.split_once('/').unwrap();
    let body = with(result(world.now()), &json!({ "owner": owner, "repo": repo }));
    let changed = json!({
        "repository": repository,
        "repository_id": repository_id.to_string(),
        "repository_owner_id": owner_id.to_string(),
    });
    world.submit(&world.keyless_post(&body, &changed)).await
}

async fn ids(world: &World, repository: &str) -> Option<AccountIds> {
    world.registration(repository).await.proofs.keyless.and_then(|keyless| keyless.ids)
}

fn operations(world: &World) -> Vec<String> {
    world.faults.take_calls().into_iter().map(|call| call.operation).collect()
}

#[tokio::test(start_paused = true)]
async fn repositories_of_a_listed_owner_register_themselves() {
    let world = World::keyless("acme").await;
    assert_eq!(submit(&world, "Acme/New").await, "202");
    assert_eq!(
        operations(&world),
        // The issuer's keys and the registration, then the owner, then the registration, and the submission.
        [
            "GetItem",
            "GetItem",
            "UpdateItem",
            "UpdateItem",
            "PutItem",
            "GetItem",
            "PutItem",
            "SendMessage",
            "UpdateItem"
        ]
    );
    assert_eq!(ids(&world, "acme/new").await, Some(IDS));
    assert_eq!(submit(&world, "acme/new").await, "202");
    assert_eq!(operations(&world), ["PutItem", "SendMessage", "UpdateItem"], "as with a key");
    // It has no key.
    assert_eq!(world.submit(&world.post_of("acme/new")).await.verdict(), "401 UNAUTHORIZED");
    world.faults.take_calls();
    for repository in ["evil/new", "acme2/new"] {
        assert_eq!(submit(&world, repository).await, "401 UNAUTHORIZED", "{repository}");
        assert_eq!(operations(&world), ["GetItem"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_costs_what_it_costs_without_an_issuer() {
    for mut world in [World::new(), World::keyless("*").await] {
        world.restart_functions();
        let key = world.register("acme/derived").await;
        world.faults.take_calls();
        for expected in [
            &["GetItem", "GetSecretValue", "PutItem", "SendMessage", "UpdateItem"][..],
            &["PutItem", "SendMessage", "UpdateItem"],
        ] {
            assert_eq!(world.submit(&world.post_of("acme/derived").signed(&key)).await.status, 202);
            assert_eq!(operations(&world), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_registration_for_keys_or_a_removed_one_never_takes_tokens() {
    let mut world = World::keyless("*").await;
    let expected = unauthorized(&world).await;
    world.register("acme/derived").await;
    world.set_registration("acme/removed", Registration::Removed(world.now())).await;
    world.faults.take_calls();
    for repository in [REPOSITORY, "acme/derived", "acme/removed"] {
        let before = world.registrations().latest(&repository.parse().unwrap()).await.unwrap();
        for _ in 0..3 {
            let answer = world.submit(&world.keyless_post_of(repository)).await;
            assert_eq!(answer, expected, "{repository}");
        }
        assert_eq!(world.registrations().latest(&repository.parse().unwrap()).await.unwrap(), before);
        let reads = world.faults.take_count("GetItem");
        assert!(reads <= 3, "the registration, the issuer's keys, and the registration again: {reads}");
        world.restart_functions();
    }
    assert_eq!(submit(&world, "acme/kept").await, "202");
    world.set_registration("acme/kept", Registration::Removed(world.now())).await;
    world.clock.advance(MINUTE * 5);
    for _ in 0..2 {
        assert_eq!(submit(&world, "acme/kept").await, "401 UNAUTHORIZED");
        world.clock.advance(MINUTE * 6);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_registers_a_repository_whose_first_token_brings_its_ids() {
    let world = World::keyless("").await;
    assert_eq!(submit(&world, "acme/new").await, "401 UNAUTHORIZED");
    let registration = ActiveRegistration::keyless(None, world.now());
    world.set_registration("acme/new", Registration::Active(registration)).await;
    world.clock.advance(MINUTE);
    assert_eq!(submit(&world, "acme/new").await, "202");
    assert_eq!(ids(&world, "acme/new").await, Some(IDS));
    assert_eq!(world.owners().id(&"acme".parse().unwrap()).await.unwrap(), Some(IDS.owner));
    // A key can count, too.
    let key = world.rotate("acme/new", false).await;
    world.clock.advance(MINUTE);
    assert_eq!(world.submit(&world.post_of("acme/new").signed(&key)).await.status, 202);
    assert_eq!(submit(&world, "acme/new").await, "202");
    assert_eq!(ids(&world, "acme/new").await, Some(IDS));
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_was_made_again_is_another_one_until_it_is_reset() {
    let world = World::keyless("acme").await;
    assert_eq!(submit(&world, "acme/new").await, "202");
    for _ in 0..3 {
        let answer = submit_as(&world, "acme/new", 8, IDS.owner).await;
        assert_eq!(answer.verdict(), "401 UNAUTHORIZED");
    }
    let mut reset = world.registration("acme/new").await;
    reset.proofs.keyless = Some(Keyless { ids: None });
    world.set_registration("acme/new", Registration::Active(reset)).await;
    world.clock.advance(MINUTE);
    assert_eq!(submit_as(&world, "acme/new", 8, IDS.owner).await.status, 202);
    assert_eq!(submit(&world, "acme/new").await, "401 UNAUTHORIZED", "the one before");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_takes_the_name_of_an_owner_gets_nothing_until_it_is_reset() {
    let world = World::keyless("acme").await;
    assert_eq!(submit(&world, "acme/new").await, "202");
    let registration = ActiveRegistration::keyless(None, world.now());
    world.set_registration("acme/by-operator", Registration::Active(registration)).await;
    // The repositories of the account before, one that an operator has registered, and new ones.
    for repository in ["acme/new", "acme/by-operator", "acme/newer"] {
        for repository_id in [IDS.repository, 8] {
            let answer = submit_as(&world, repository, repository_id, 666).await;
            assert_eq!(answer.verdict(), "401 UNAUTHORIZED", "{repository}");
        }
    }
    assert_eq!(ids(&world, "acme/by-operator").await, None);
    let newer = world.registrations().latest(&"acme/newer".parse().unwrap()).await.unwrap();
    assert_eq!(newer, None);

    world.owners().reset(&"acme".parse().unwrap()).await.unwrap();
    world.clock.advance(MINUTE);
    assert_eq!(submit_as(&world, "acme/newer", 9, 666).await.status, 202);
    assert_eq!(
        submit_as(&world, "acme/new", 8, 666).await.verdict(),
        "401 UNAUTHORIZED",
        "it has its own ids"
    );
}

#[tokio::test(start_paused = true)]
async fn the_list_can_name_the_only_id_of_an_owner() {
    let mut world = World::keyless("*,acme:4").await;
    assert_eq!(submit(&world, "acme/new").await, "401 UNAUTHORIZED");
    assert_eq!(submit_as(&world, "acme/new", 8, 4).await.status, 202);
    // It also applies to a repository that was registered before.
    world.set_oidc_owners("acme:5");
    assert_eq!(submit_as(&world, "acme/new", 8, 4).await.verdict(), "401 UNAUTHORIZED");
}

#[tokio::test(start_paused = true)]
async fn with_all_owners_each_registers_100_repositories_a_day() {
    let mut world = World::keyless("*").await;
    let register = async |world: &World, owner: &str, number: u64, owner_id: u64| {
        submit_as(world, &format!("{owner}/kit-{number}"), 1000 + number, owner_id).await
    };
    for number in 0..100 {
        assert_eq!(register(&world, "acme", number, 3).await.status, 202, "{number}");
    }
    let over = register(&world, "acme", 100, 3).await;
    assert_eq!(over.verdict(), "429 TOO_MANY_REPOSITORIES");
    // 10:30, so the next day begins in 13.5 hours.
    assert_eq!(over.header("retry-after"), Some("48600"));
    // What the answer advises helps at once.
    let registration = ActiveRegistration::keyless(None, world.now());
    world.set_registration("acme/kit-100", Registration::Active(registration)).await;
    assert_eq!(register(&world, "acme", 100, 3).await.status, 202);
    assert_eq!(register(&world, "acme", 101, 3).await.verdict(), "429 TOO_MANY_REPOSITORIES");
    assert_eq!(register(&world, "acme", 99, 3).await.status, 202, "it is registered");
    assert_eq!(register(&world, "other", 1, 5).await.status, 202, "another owner");
    world.clock.advance(MINUTE * 810);
    assert_eq!(register(&world, "acme", 101, 3).await.status, 202);
    world.set_oidc_owners("acme");
    for number in 102..210 {
        assert_eq!(register(&world, "acme", number, 3).await.status, 202, "{number}");
    }
}

/// Of the same name, half of the tokens are of another repository.
#[tokio::test(start_paused = true)]
async fn first_tokens_at_once_give_a_repository_one_identity() {
    for by_operator in [false, true] {
        let world = World::keyless(if by_operator { "" } else { "acme" }).await;
        if by_operator {
            let registration = ActiveRegistration::keyless(None, world.now());
            world.set_registration("acme/new", Registration::Active(registration)).await;
        }
        let instances: Vec<_> = (0..8).map(|_| world.another_instance()).collect();
        let posts = instances.into_iter().enumerate().map(|(number, instance)| {
            let repository_id = if number % 2 == 0 { "7" } else { "8" };
            let body = with(result(world.now()), &json!({ "repo": "new" }));
            let changed = json!({ "repository": "acme/new", "repository_id": repository_id });
            let post = world.keyless_post(&body, &changed);
            async move {
                let answer: Answer = instance.gateway.answer(post.request()).await.into();
                (repository_id, answer.verdict())
            }
        });
        let verdicts = join_all(posts).await;
        let registered = ids(&world, "acme/new").await.unwrap().repository.to_string();
        for (repository_id, verdict) in verdicts {
            let expected = if repository_id == registered { "202" } else { "401 UNAUTHORIZED" };
            assert_eq!(verdict, expected, "{repository_id} of {registered}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_registration_is_repeated() {
    let world = World::keyless("acme").await;
    for operation in ["GetItem", "UpdateItem", "PutItem", "SendMessage"] {
        for fault in [Fault::Fails, Fault::LosesAnswer, Fault::TimesOut] {
            let repository = format!("acme/{operation}-{fault:?}").to_lowercase();
            let post = world.keyless_post_of(&repository);
            world.faults.plan(operation, fault, usize::MAX);
            let failed = world.submit(&post).await;
            assert!([202, 503].contains(&failed.status), "{repository}: {}", failed.text);
            world.faults.heal();
            world.clock.advance(Duration::from_secs(16));
            let answer = world.submit(&post).await;
            assert!(answer.is_accepted(), "{repository}: {}", answer.text);
            assert_eq!(ids(&world, &repository).await, Some(IDS));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_does_not_overwrite_the_ids_of_a_first_token() {
    let world = World::keyless("").await;
    let (registrations, repository) = (world.registrations(), "acme/new".parse().unwrap());
    let by_operator = Registration::Active(ActiveRegistration::keyless(None, world.now()));
    world.set_registration("acme/new", by_operator.clone()).await;
    let read_before = registrations.find(&repository).await.unwrap();
    assert_eq!(submit(&world, "acme/new").await, "202");
    assert!(!registrations.put(&repository, &by_operator, read_before.as_ref()).await.unwrap());
    assert_eq!(ids(&world, "acme/new").await, Some(IDS));
}
