//! What is accepted as an ID token, and for what. Every attack gets the same answer as an unknown name.

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{RSA_PKCS1_SHA384, RSA_PSS_SHA256};
use serde_json::{Value, json};
use tests::client::{Answer, Post, REPOSITORY, result, with};
use tests::faults::Fault;
use tests::id_token::{KEYS, LIFETIME, audience, signed};
use tests::world::{ISSUER, KEYLESS, SERVICE, World};

use super::unauthorized;

const SECOND: Duration = Duration::from_secs(1);

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
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_counts_again_for_the_same_body_only() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    let post = world.keyless_post_of(KEYLESS);
    // The client does not learn that the first attempt succeeds.
    world.faults.plan("SendMessage", Fault::LosesAnswer, usize::MAX);
    assert_eq!(world.submit(&post).await.status, 503);
    world.faults.heal();
    let accepted = world.submit(&post).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    world.clock.advance(LIFETIME);
    let replayed = world.submit(&post).await;
    assert_eq!(replayed.verdict(), "409 ALREADY_ACCEPTED");
    assert_eq!(replayed.json()["test_result_id"], accepted.json()["test_result_id"]);
    for other in [
        post.body.replace("190", "191"),
        post.body.replace("main", "next"),
        format!("{} ", post.body),
        post.body.to_uppercase(),
    ] {
        let answer = world.submit(&Post { body: other.clone(), ..post.clone() }).await;
        assert!(answer == expected || answer.status == 400, "{other}: {}", answer.text);
    }
    world.drain().await;
    let history = world.get("/tests/results/acme/keyless").await.json();
    assert_eq!(history["results"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_for_something_else_is_answered_like_an_unknown_name() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    assert_eq!(submit(&world, &json!({})).await.status, 202);
    let digest = audience("", &result(world.now()).to_string());
    for changed in [
        json!({ "repository": "acme/kit" }),
        json!({ "repository": "acme/keyless2" }),
        json!({ "repository": "evil/keyless", "repository_owner": "evil" }),
        // Only the claim `repository` names it.
        json!({ "repository": "evil/kit", "repository_owner": "acme", "sub": "repo:acme/keyless:ref:refs/heads/main" }),
        json!({ "iss": format!("{ISSUER}/") }),
        json!({ "iss": "https://Issuer.example.com" }),
        json!({ "iss": "https://token.actions.githubusercontent.com" }),
        json!({ "iss": "" }),
        // Of another body.
        json!({ "aud": format!("{SERVICE}{digest}") }),
        json!({ "ref": "refs/heads/other" }),
        json!({ "ref": "refs/tags/main", "ref_type": "tag" }),
        json!({ "repository_id": "8" }),
        json!({ "repository_owner_id": "4" }),
    ] {
        assert_eq!(submit(&world, &changed).await, expected, "{changed}");
    }
    assert_eq!(world.queued(), 1);
    // Claims that are not known do not matter, and names match in any case.
    let changed = json!({ "repository": "Acme/KEYLESS", "repository_id": 1_296_269, "new": { "aud": [1] }, "sub": null });
    assert_eq!(submit(&world, &changed).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_missing_or_of_another_type() {
    let world = World::keyless("acme").await;
    for changed in [
        json!({ "iss": null }),
        json!({ "exp": null }),
        json!({ "exp": "9999999999" }),
        json!({ "exp": 9_999_999_999.5 }),
        json!({ "exp": i64::MAX }),
        json!({ "exp": 1e300 }),
        json!({ "nbf": "1" }),
        json!({ "iat": null }),
        json!({ "iat": i64::MIN }),
        json!({ "iat": true }),
        json!({ "repository": null }),
        json!({ "repository": "acme" }),
        json!({ "repository": "acme/keyless/more" }),
        json!({ "repository": ["acme/keyless"] }),
        json!({ "repository_id": null }),
        json!({ "repository_id": "0x8" }),
        json!({ "repository_id": "08" }),
        json!({ "repository_id": " 8" }),
        json!({ "repository_id": -8 }),
        json!({ "repository_owner_id": "" }),
        json!({ "repository_owner_id": 3.5 }),
        json!({ "event_name": null }),
        json!({ "ref": null }),
        json!({ "ref": ["refs/heads/main"] }),
    ] {
        let answer = submit(&world, &changed).await;
        assert_eq!(answer.verdict(), "400 INVALID_X_ID_TOKEN", "{changed}");
        assert!(answer.text.contains("expected the claims iss, exp, iat"), "{changed}: {}", answer.text);
    }
    // A claim that occurs twice.
    let post = Post::unsigned(&world.keyless_result());
    let claims = world.claims(ISSUER, &serde_json::from_str(&post.body).unwrap()).to_string();
    for name in ["aud", "iss", "repository", "ref"] {
        let payload = claims.replacen('{', &format!("{{\"{name}\":\"acme/keyless\","), 1);
        let token = signed(&KEYS[0].header().to_string(), &payload, |input| KEYS[0].sign_rs256(input));
        let answer = world.submit(&post.clone().header("x-id-token", token)).await;
        assert_eq!(answer.verdict(), "400 INVALID_X_ID_TOKEN", "{name}");
    }
    assert_eq!(world.queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_audience_must_be_this_service_exactly() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    let body = world.keyless_result();
    let right = audience(SERVICE, &body.to_string());
    let digest = audience("", &body.to_string());
    for aud in [
        format!("https://badges.example.com/{digest}"),
        format!("https://Badges.example.com{digest}"),
        format!("HTTPS://badges.example.com{digest}"),
        format!("https://badges.example.com:443{digest}"),
        format!("https://badges.example.com:8443{digest}"),
        format!("http://badges.example.com{digest}"),
        format!("https://badges.example.com.{digest}"),
        format!("https://badges.example.com.evil.test{digest}"),
        format!("https://evil.test/https://badges.example.com{digest}"),
        format!("https://badges.example.com/path{digest}"),
        format!("https://badges.example.com{digest}{digest}"),
        format!("https://user@badges.example.com{digest}"),
        format!("badges.example.com{digest}"),
        format!(" {right}"),
        digest.clone(),
        // The same digest in capitals.
        format!("{SERVICE}/sha256/{}", digest.trim_start_matches("/sha256/").to_ascii_uppercase()),
        // Of an empty body.
        audience(SERVICE, ""),
    ] {
        // The host that a client sends does not matter.
        let post = world.keyless_post(&body, &json!({ "aud": aud })).header("host", "badges.example.com:443");
        assert_eq!(world.submit(&post).await, expected, "{aud}");
    }
    assert_eq!(submit(&world, &json!({})).await.status, 202);
}

/// GitLab, Bitbucket and Azure Pipelines fix the audience of a job's tokens in the configuration.
#[tokio::test(start_paused = true)]
async fn a_token_whose_audience_cannot_carry_a_digest_is_refused_with_the_advice_to_use_a_key() {
    let world = World::keyless("acme").await;
    let body = world.keyless_result();
    let right = audience(SERVICE, &body.to_string());
    let gitlab = json!({
        "aud": SERVICE, "sub": "project_path:acme/keyless:ref_type:branch:ref:main",
        "project_path": "acme/keyless", "project_id": "22", "namespace_id": "72", "pipeline_source": "push",
        "repository": null, "repository_id": null, "repository_owner_id": null, "event_name": null,
        "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
    });
    for changed in [
        gitlab,
        json!({ "aud": [right] }),
        json!({ "aud": [right, right] }),
        json!({ "aud": [right, "https://other.test"] }),
        json!({ "aud": [] }),
        json!({ "aud": null }),
        json!({ "aud": "" }),
        json!({ "aud": SERVICE }),
        json!({ "aud": "https://github.com/acme" }),
        json!({ "aud": format!("{right}0") }),
        json!({ "aud": format!("{right}/") }),
        json!({ "aud": right.replace("/sha256/", "/SHA256/") }),
        json!({ "aud": right.replace("/sha256/", "/sha512/") }),
        json!({ "aud": right.replace("/sha256/", "#sha256=") }),
    ] {
        let answer = world.submit(&world.keyless_post(&body, &changed)).await;
        assert_eq!(answer.verdict(), "400 INVALID_X_ID_TOKEN", "{changed}");
        assert!(answer.text.contains("such as GitLab, need a key"), "{changed}: {}", answer.text);
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
    let payload = claims.to_string();
    let valid = key.token(&claims);
    let (input, signature) = valid.rsplit_once('.').unwrap();
    let hs256 = |secret: &[u8], input: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input).as_ref().to_vec()
    };
    let modulus = key.jwk()["n"].as_str().unwrap().to_owned();
    let malformed = [
        signed(&header("none"), &payload, |_| Vec::new()),
        signed(&header("None"), &payload, |_| Vec::new()),
        // The public key as the secret, in each of its forms.
        signed(&header("HS256"), &payload, |input| hs256(modulus.as_bytes(), input)),
        signed(&header("HS256"), &payload, |input| hs256(key.public_der(), input)),
        signed(&header("HS256"), &payload, |input| hs256(key.jwk().to_string().as_bytes(), input)),
        signed(&header("PS256"), &payload, |input| key.sign(&RSA_PSS_SHA256, input)),
        signed(&header("RS384"), &payload, |input| key.sign(&RSA_PKCS1_SHA384, input)),
        signed(&header("rs256"), &payload, |input| key.sign_rs256(input)),
        key.token_with_header(&with(key.header(), &json!({ "alg": null })), &claims),
        key.token_with_header(&with(key.header(), &json!({ "alg": ["RS256"] })), &claims),
        key.token_with_header(&with(key.header(), &json!({ "crit": ["exp"] })), &claims),
        key.token_with_header(&with(key.header(), &json!({ "kid": null })), &claims),
        key.token_with_header(&with(key.header(), &json!({ "kid": "" })), &claims),
        signed(&header("none").replacen('{', "{\"alg\":\"RS256\",", 1), &payload, |_| Vec::new()),
        signed(&header("RS256").replacen('{', "{\"crit\":null,", 1), &payload, |input| key.sign_rs256(input)),
        signed(&header("RS256").replacen('{', "{\"kid\":\"x\",", 1), &payload, |input| key.sign_rs256(input)),
        signed(&format!("{} \"x\"", header("RS256")), &payload, |input| key.sign_rs256(input)),
        signed("[]", &payload, |input| key.sign_rs256(input)),
        input.to_owned(),
        format!("{valid}."),
        format!("{valid}="),
        valid.replacen('.', "+.", 1),
        format!("{valid},{valid}"),
        format!("{valid}.{signature}"),
        String::new(),
        "..".to_owned(),
        key.token(&with(claims.clone(), &json!({ "workflow": "w".repeat(8192) }))),
    ];
    for token in malformed {
        let answer = world.submit(&post.clone().header("x-id-token", &token)).await;
        assert_eq!(answer.verdict(), "400 INVALID_X_ID_TOKEN", "{token}");
        assert!(token.len() < 3 || !answer.text.contains(&token), "{}", answer.text);
    }
    let changed = key.token(&with(claims.clone(), &json!({ "ref": "refs/heads/x" })));
    let forged = [
        // Another padding, hash or algorithm, under the header of RS256.
        signed(&header("RS256"), &payload, |input| key.sign(&RSA_PSS_SHA256, input)),
        signed(&header("RS256"), &payload, |input| key.sign(&RSA_PKCS1_SHA384, input)),
        signed(&header("RS256"), &payload, |input| hs256(modulus.as_bytes(), input)),
        signed(&header("RS256"), &payload, |_| vec![0; 256]),
        signed(&header("RS256"), &payload, |_| vec![1]),
        signed(&header("RS256"), &payload, |_| vec![0xff; 256]),
        signed(&header("RS256"), &payload, |_| Vec::new()),
        signed(&header("RS256"), &payload, |input| [&[0][..], &key.sign_rs256(input)].concat()),
        // The signature of another token, and keys that are not the issuer's but say so.
        format!("{input}.{}", key.token(&json!({})).rsplit_once('.').unwrap().1),
        format!("{}.{signature}", changed.rsplit_once('.').unwrap().0),
        KEYS[1].token_with_header(&key.header(), &claims),
        KEYS[1].token_with_header(&with(key.header(), &json!({ "jwk": KEYS[1].jwk() })), &claims),
        KEYS[1].token_with_header(&with(key.header(), &json!({ "jku": "https://evil.test/jwks" })), &claims),
    ];
    for token in forged {
        assert_eq!(world.submit(&post.clone().header("x-id-token", &token)).await, expected, "{token}");
    }
    assert_eq!(world.queued(), 0);
    assert_eq!(world.submit(&post.header("x-id-token", valid)).await.status, 202);
}

/// The clocks of an issuer and of the service may differ by a minute.
#[tokio::test(start_paused = true)]
async fn a_token_counts_within_its_times() {
    let world = World::keyless("acme").await;
    let expected = unauthorized(&world).await;
    for (claim, seconds, counts) in [
        ("exp", 0, true),
        ("exp", -59, true),
        ("exp", -60, false),
        ("exp", -3600, false),
        ("exp", -10_000_000_000, false),
        ("nbf", 60, true),
        ("nbf", 61, false),
        ("nbf", 10_000_000_000, false),
        ("iat", 60, true),
        ("iat", 61, false),
        ("iat", 10_000_000_000, false),
    ] {
        let time = world.now().unix_seconds() + seconds;
        let answer = submit(&world, &json!({ claim: time })).await;
        if counts {
            assert_eq!(answer.status, 202, "{claim} {seconds}: {}", answer.text);
        } else {
            assert_eq!(answer, expected, "{claim} {seconds}");
        }
    }
    assert_eq!(submit(&world, &json!({ "nbf": null })).await.status, 202, "it is optional");
    // A token that is valid for long does not make an old result fresh.
    let long = json!({ "exp": world.now().unix_seconds() + 3600 });
    let post = world.keyless_post(&world.keyless_result(), &long);
    world.clock.advance(SECOND * 301);
    assert_eq!(world.submit(&post).await.verdict(), "401 TIMESTAMP_NOT_FRESH");
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
