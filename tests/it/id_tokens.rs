//! ID tokens of CI jobs: what is accepted as one, and for what. Every attack gets the same answer as an unknown name.

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{RSA_PKCS1_SHA384, RSA_PSS_SHA256};
use serde_json::{Value, json};
use tests::client::{Answer, Post, REPOSITORY, result, with};
use tests::id_token::{KEYS, LIFETIME, audience, signed};
use tests::world::{ISSUER, KEYLESS, SERVICE, World};

const SECOND: Duration = Duration::from_secs(1);

/// The answer to a name that is not registered.
async fn unauthorized(world: &World) -> Answer {
    let answer = world.submit(&world.post_of("nobody/knows")).await;
    assert_eq!(answer.verdict(), "401 UNAUTHORIZED");
    answer
}

/// Submits a result of main with a token that has these claims instead of those of a push to main.
async fn submit(world: &World, changed: &Value) -> Answer {
    world.submit(&world.keyless_post(&world.keyless_result(), changed)).await
}

#[tokio::test(start_paused = true)]
async fn a_job_submits_results_without_a_key() {
    let world = World::keyless("acme").await;
    for header in ["x-id-token", "authorization"] {
        let post = world.keyless_post(&world.keyless_result(), &json!({}));
        let (_, token) = post.headers.iter().find(|(name, _)| *name == "x-id-token").unwrap().clone();
        let value = if header == "authorization" { format!("bearer {token}") } else { token };
        let post = post.without("x-id-token").header(header, value).header("x-repo-secret", KEYLESS);
        let answer = world.submit(&post).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        world.drain().await;
        assert_eq!(world.badge("linux/acme/keyless/main").await, "190 passed");
        // A replay is a retry.
        assert_eq!(world.submit(&post).await.verdict(), "409 ALREADY_ACCEPTED");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_for_something_else_is_answered_like_an_unknown_name() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    assert_eq!(submit(&world, &json!({})).await.status, 202);
    let digest = audience("", &result(world.now()).to_string());
    for changed in [
        json!({ "repository": "acme/kit" }),
        json!({ "repository": "evil/kit", "repository_owner": "evil" }),
        json!({ "iss": "https://issuer.example.com/" }),
        json!({ "iss": "https://token.actions.githubusercontent.com" }),
        // Of another body.
        json!({ "aud": format!("{SERVICE}{digest}") }),
        json!({ "ref": "refs/heads/other" }),
        json!({ "ref": "refs/tags/main", "ref_type": "tag" }),
        json!({ "exp": world.now().unix_seconds() - 61 }),
        json!({ "nbf": world.now().unix_seconds() + 61 }),
        json!({ "iat": world.now().unix_seconds() + 61 }),
        json!({ "repository_id": "8" }),
        json!({ "repository_owner_id": "4" }),
    ] {
        assert_eq!(submit(&world, &changed).await, expected, "{changed}");
    }
    // Changing a token of its own repository helps nobody either.
    let post = world.keyless_post_of(KEYLESS);
    let other = Post { body: post.body.replace("190", "191"), ..post.clone() };
    assert_eq!(world.submit(&other).await, expected);
    assert_eq!(world.queued(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_audience_must_be_this_service_exactly() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    for service in [
        "https://badges.example.com/",
        "https://Badges.example.com",
        "https://badges.example.com:443",
        "http://badges.example.com",
        "https://badges.example.com.evil.test",
        "https://evil.test/https://badges.example.com",
        "badges.example.com",
        "",
    ] {
        let body = world.keyless_result();
        let post = world.keyless_post(&body, &json!({ "aud": audience(service, &body.to_string()) }));
        // The host that a client sends does not matter.
        let post = post.header("host", "badges.example.com:443");
        assert_eq!(world.submit(&post).await, expected, "{service}");
    }
    let body = world.keyless_result();
    let audience = audience(SERVICE, &body.to_string());
    for (aud, code) in [
        (json!([audience]), "400 INVALID_X_ID_TOKEN"),
        (json!([audience, "https://other.test"]), "400 INVALID_X_ID_TOKEN"),
        (json!(SERVICE), "400 INVALID_X_ID_TOKEN"),
        (json!("https://github.com/acme"), "400 INVALID_X_ID_TOKEN"),
    ] {
        let answer = world.submit(&world.keyless_post(&body, &json!({ "aud": aud }))).await;
        assert_eq!(answer.verdict(), code, "{aud}");
        assert!(answer.text.contains("GitLab") && answer.text.contains("need a key"), "{}", answer.text);
    }
}

#[tokio::test(start_paused = true)]
async fn only_rs256_by_a_key_of_the_issuer_counts() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    let post = Post::unsigned(&world.keyless_result());
    let claims = world.claims(ISSUER, &serde_json::from_str(&post.body).unwrap());
    let key = &KEYS[0];
    let header = |alg: &str| with(key.header(), &json!({ "alg": alg })).to_string();
    let n = key.jwk()["n"].as_str().unwrap().to_owned();
    let payload = claims.to_string();
    let valid = key.token(&claims);
    let (input, signature) = valid.rsplit_once('.').unwrap();
    let hs256 = |secret: &[u8], input: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input).as_ref().to_vec()
    };
    let malformed = [
        signed(&header("none"), &payload, |_| Vec::new()),
        signed(&header("HS256"), &payload, |input| hs256(n.as_bytes(), input)),
        signed(&header("HS256"), &payload, |input| hs256(include_bytes!("../src/id_token/key-1.pem"), input)),
        signed(&header("PS256"), &payload, |input| key.sign(&RSA_PSS_SHA256, input)),
        key.token_with_header(&with(key.header(), &json!({ "crit": ["exp"] })), &claims),
        key.token_with_header(&with(key.header(), &json!({ "kid": null })), &claims),
        input.to_owned(),
        format!("{valid}."),
        format!("{valid}="),
        format!("{valid},{valid}"),
        String::new(),
        "a".repeat(8193),
    ];
    for token in malformed {
        let answer = world.submit(&post.clone().header("x-id-token", &token)).await;
        assert_eq!(answer.verdict(), "400 INVALID_X_ID_TOKEN", "{token}");
        assert!(token.is_empty() || !answer.text.contains(&token), "{}", answer.text);
    }
    let forged = [
        // Another padding or hash, under the header of RS256.
        signed(&header("RS256"), &payload, |input| key.sign(&RSA_PSS_SHA256, input)),
        signed(&header("RS256"), &payload, |input| key.sign(&RSA_PKCS1_SHA384, input)),
        signed(&header("RS256"), &payload, |input| hs256(n.as_bytes(), input)),
        signed(&header("RS256"), &payload, |_| vec![0; 256]),
        signed(&header("RS256"), &payload, |_| Vec::new()),
        // The signature of another token, and a key that is not the issuer's but says so.
        format!("{input}.{}", key.token(&json!({})).rsplit_once('.').unwrap().1),
        KEYS[1].token_with_header(&key.header(), &claims),
        KEYS[1].token_with_header(&with(key.header(), &json!({ "jwk": KEYS[1].jwk() })), &claims),
        format!(
            "{}.{signature}",
            key.token(&with(claims.clone(), &json!({ "ref": "refs/heads/x" }))).rsplit_once('.').unwrap().0
        ),
    ];
    for token in forged {
        assert_eq!(world.submit(&post.clone().header("x-id-token", &token)).await, expected, "{token}");
    }
    assert_eq!(world.submit(&post.header("x-id-token", valid)).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_token_expires_after_its_lifetime_and_a_minute() {
    let world = World::keyless("acme").await;
    let body =
        with(world.keyless_result(), &json!({ "timestamp": world.now().plus(SECOND * 60).to_string() }));
    let post = world.keyless_post(&body, &json!({}));
    world.clock.advance(LIFETIME + SECOND * 59);
    assert_eq!(world.submit(&post).await.status, 202);
    let body =
        with(world.keyless_result(), &json!({ "timestamp": world.now().plus(SECOND * 60).to_string() }));
    let post = world.keyless_post(&body, &json!({}));
    world.clock.advance(LIFETIME + SECOND * 60);
    assert_eq!(world.submit(&post).await.verdict(), "401 UNAUTHORIZED");
    // An hour-long token does not make an old result fresh.
    let body = world.keyless_result();
    let post = world.keyless_post(&body, &json!({ "exp": world.now().unix_seconds() + 3600 }));
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(world.submit(&post).await.verdict(), "401 TIMESTAMP_NOT_FRESH");
}

#[tokio::test(start_paused = true)]
async fn a_job_reports_only_for_the_branch_of_its_event() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    for (event, reference, branch, is_accepted) in [
        ("push", "refs/heads/main", "main", true),
        ("schedule", "refs/heads/main", "main", true),
        ("workflow_dispatch", "refs/heads/feature/x", "feature/x", true),
        ("repository_dispatch", "refs/heads/main", "main", true),
        ("pull_request", "refs/pull/7/merge", "pull/7", true),
        // From main into another branch, and the other way around.
        ("pull_request", "refs/pull/7/merge", "main", false),
        ("pull_request", "refs/pull/7/merge", "pull/8", false),
        ("push", "refs/heads/feature", "main", false),
        ("push", "refs/heads/main", "octocat:main", false),
        ("pull_request_target", "refs/heads/main", "main", false),
        ("pull_request_target", "refs/heads/main", "octocat:main", true),
        ("workflow_run", "refs/heads/main", "main", false),
        ("workflow_run", "refs/heads/main", "octocat:feature/x", true),
        ("issue_comment", "refs/heads/main", "main", false),
        ("merge_group", "refs/heads/gh-readonly-queue/main/pr-7", "main", false),
        ("release", "refs/tags/v1", "main", false),
        ("a_new_event", "refs/heads/main", "main", false),
    ] {
        let body = with(world.keyless_result(), &json!({ "branch": branch }));
        let changed =
            json!({ "event_name": event, "ref": reference, "head_ref": "main", "base_ref": "main" });
        let answer = world.submit(&world.keyless_post(&body, &changed)).await;
        let context = format!("{event} of {reference} for {branch}");
        if is_accepted {
            assert_eq!(answer.status, 202, "{context}: {}", answer.text);
        } else {
            assert_eq!(answer, expected, "{context}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_has_one_proof_and_the_names_in_its_body() {
    let world = World::keyless("acme").await;
    let post = world.keyless_post(&world.keyless_result(), &json!({}));
    let signature = Post::json(&result(world.now())).headers;
    let (_, signature) = signature.iter().find(|(name, _)| *name == "x-signature").unwrap();
    let both = post.clone().header("x-signature", signature);
    assert_eq!(world.submit(&both).await.verdict(), "400 INVALID_X_ID_TOKEN");
    let in_path = Post { path: "/tests/results/linux/acme/keyless/main".to_owned(), ..post.clone() };
    assert_eq!(world.submit(&in_path).await.verdict(), "400 INVALID_X_ID_TOKEN");
    let elsewhere = post.clone().header("x-repo-secret", "acme/other");
    assert_eq!(world.submit(&elsewhere).await.verdict(), "401 UNAUTHORIZED");
    assert_eq!(
        world.submit(&post.clone().without("x-id-token")).await.verdict(),
        "400 INVALID_X_SIGNATURE INVALID_X_REPO_SECRET"
    );
    // A signature counts beside an `Authorization` that a proxy has added.
    let signed = world.post().header("authorization", "Bearer anything");
    assert_eq!(world.submit(&signed).await.status, 202);
    assert_eq!(world.queued(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_an_issuer_no_token_is_accepted_and_nothing_is_read() {
    let world = World::new();
    let expected = unauthorized(&world).await;
    world.faults.take_calls();
    assert_eq!(world.submit(&world.keyless_post_of(REPOSITORY)).await, expected);
    assert_eq!(world.faults.take_calls().len(), 0);
}
