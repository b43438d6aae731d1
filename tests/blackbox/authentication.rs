//! Signatures, ID tokens, unknown repositories, and submissions that are sent more than once.

use badgesmith_domain::timestamp::Timestamp;
use serde_json::json;
use tests::client::{Post, with};
use tests::id_token::{KEYS, audience, claims};

use crate::pipeline::{HEADERS, Pipeline, assert_rejected, unique};

#[tokio::test]
async fn every_authentication_failure_has_the_same_response() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let body = pipeline.result(&branch, &json!({}));
    let post = pipeline.post(&body);
    let other_key = "the key of another repository";
    let other_repository = format!("acme/{}", unique("unknown"));
    let (owner, repo) = other_repository.split_once('/').unwrap();
    let unknown = pipeline.post(&with(body, &json!({ "owner": owner, "repo": repo })));
    let mut respaced = post.clone();
    respaced.body = respaced.body.replace("\"failed\":0", "\"failed\":0 ");
    let mut tampered = post.clone();
    tampered.body = tampered.body.replace(":190", ":19 ");
    assert!(respaced.body != post.body && tampered.body != post.body);
    let path_form = pipeline.post_to("linux", &branch, &json!({}));
    let attempts = [
        ("another key", post.clone().signed(other_key)),
        ("a signature of zeros", post.clone().header("x-signature", format!("sha256={}", "0".repeat(64)))),
        ("a changed body", tampered),
        ("a body with one more space", respaced),
        ("another X-Repo-Secret", post.clone().header("x-repo-secret", &other_repository)),
        ("another X-Repo-Secret in the path form", path_form.header("x-repo-secret", &other_repository)),
        ("an unknown repository", unknown),
    ];
    let expected = pipeline.submit(&attempts[0].1).await;
    for (context, attempt) in attempts {
        let answer = pipeline.submit(&attempt).await;
        assert_rejected(&answer, "401 UNAUTHORIZED", context);
        assert_eq!(answer.text, expected.text, "{context}");
        for name in HEADERS {
            assert_eq!(answer.header(name), expected.header(name), "{context}: {name}");
        }
    }
    assert_eq!(pipeline.submit(&post).await.status, 202, "the nonce is not used up");
}

#[tokio::test]
async fn a_malformed_signature_is_rejected() {
    let pipeline = Pipeline::open();
    let post = pipeline.post(&pipeline.result(&unique("main"), &json!({})));
    for signature in [
        "",
        "sha256=",
        "sha256=zz",
        "sha256=ab",
        "sha256=abc",
        "sha1=00",
        &"0".repeat(64),
        &format!("sha256={}", "g".repeat(64)),
    ] {
        let answer = pipeline.submit(&post.clone().header("x-signature", signature)).await;
        assert_rejected(&answer, "400 INVALID_X_SIGNATURE", signature);
    }
    let (_, signature) = post.headers.iter().find(|(name, _)| *name == "x-signature").unwrap();
    let upper = format!("sha256={}", signature.replace("sha256=", "").to_uppercase());
    let answer = pipeline.submit(&post.header("x-signature", upper)).await;
    assert_eq!(answer.status, 202, "hex digits may have either case: {}", answer.text);
}

#[tokio::test]
async fn an_id_token_of_another_issuer_is_rejected() {
    let pipeline = Pipeline::open();
    let body = pipeline.result(&unique("main"), &json!({}));
    let expected = pipeline.submit(&pipeline.post(&body).signed("the key of another repository")).await;
    let claims = |audience: &str| claims("https://issuer.invalid", audience, Timestamp::UNIX_EPOCH);
    let right = audience("https://badges.example.com", &body.to_string());
    for (context, token, verdict) in [
        ("no token", "garbage".to_owned(), "400 INVALID_X_ID_TOKEN"),
        ("a fixed audience", KEYS[0].token(&claims("https://badges.example.com")), "400 INVALID_X_ID_TOKEN"),
        ("another issuer", KEYS[0].token(&claims(&right)), "401 UNAUTHORIZED"),
    ] {
        let answer = pipeline.submit(&Post::unsigned(&body).header("x-id-token", token)).await;
        assert_rejected(&answer, verdict, context);
        if verdict.starts_with("401") {
            assert_eq!(answer.text, expected.text, "{context}");
        } else {
            assert!(answer.text.contains("need a key") == (context == "a fixed audience"), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn the_same_bytes_are_accepted_once() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let mut ids = Vec::new();
    for post in
        [pipeline.post(&pipeline.result(&branch, &json!({}))), pipeline.post_to("linux", &branch, &json!({}))]
    {
        let id = pipeline.accepted(&post).await;
        for _ in 0..2 {
            let again = pipeline.submit(&post).await;
            assert_eq!(again.verdict(), "409 ALREADY_ACCEPTED", "{}", post.path);
            assert_eq!(again.json()["test_result_id"], *id, "{}", post.path);
        }
        ids.push(id);
    }
    // Sent last: when it is stored, so are the posts before it.
    ids.push(pipeline.accepted(&pipeline.post(&pipeline.result(&branch, &json!({})))).await);
    assert_eq!(pipeline.history(&branch, &ids).await.len(), ids.len());
}

#[tokio::test]
async fn a_nonce_is_accepted_once() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let body = pipeline.result(&branch, &json!({}));
    let id = pipeline.accepted(&pipeline.post(&body)).await;
    for fields in [json!({ "passed": 189, "total": 189 }), json!({ "branch": unique("other") })] {
        let answer = pipeline.submit(&pipeline.post(&with(body.clone(), &fields))).await;
        assert_eq!(answer.verdict(), "409 NONCE_REUSED", "{fields}");
    }
    assert_eq!(pipeline.history(&branch, &[id]).await.len(), 1);
}

#[tokio::test]
async fn unsigned_parts_of_the_path_form_do_not_make_a_new_submission() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let (owner, repo) = pipeline.names();
    // Without a platform in the body, only the path names it.
    let post = pipeline.post_to("linux", &branch, &json!({ "platform": null }));
    let id = pipeline.accepted(&post).await;
    let at = |names: String| Post { path: format!("/tests/results/{names}"), ..post.clone() };
    let upper = format!("{}/{}", owner.to_uppercase(), repo.to_uppercase());
    for (change, verdict) in [
        (post.clone().header("x-nonce", unique("fresh")), "409 ALREADY_ACCEPTED"),
        (at(format!("linux/{owner}/{repo}/{branch}-other")), "409 NONCE_REUSED"),
        (at(format!("windows/{owner}/{repo}/{branch}")), "409 NONCE_REUSED"),
        (at(format!("LINUX/{upper}/{branch}")), "409 ALREADY_ACCEPTED"),
    ] {
        assert_eq!(pipeline.submit(&change).await.verdict(), verdict, "{}", change.path);
    }
    assert_eq!(pipeline.history(&branch, &[id]).await.len(), 1);
}

#[tokio::test]
async fn a_body_form_submission_cannot_be_repeated_in_the_path_form() {
    let pipeline = Pipeline::open();
    let branch = unique("main");
    let post = pipeline.post(&pipeline.result(&branch, &json!({})));
    let id = pipeline.accepted(&post).await;
    let repository = &pipeline.target.repository;
    for (place, verdict) in [
        (format!("linux/{repository}/{branch}"), "409 ALREADY_ACCEPTED"),
        // The signed spelling of the branch is the valid one.
        (format!("linux/{repository}/{}", branch.to_uppercase()), "409 ALREADY_ACCEPTED"),
        (format!("linux/{repository}/other"), "400 PATH_BODY_MISMATCH"),
    ] {
        let replay = Post { path: format!("/tests/results/{place}"), ..post.clone() };
        assert_eq!(pipeline.submit(&replay).await.verdict(), verdict, "{place}");
    }
    assert_eq!(pipeline.history(&branch, &[id]).await.len(), 1);
}
