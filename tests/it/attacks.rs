//! What someone without the key, or with another repository's, can do.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tests::client::{KEY, Post, result, segment, with};
use tests::world::World;

#[tokio::test(start_paused = true)]
async fn a_replay_is_refused() {
    let world = World::new();
    let post = world.post();
    let first = world.submit(&post).await;
    assert_eq!(first.status, 202);
    let again = world.submit(&post).await;
    assert_eq!(again.verdict(), "409 ALREADY_ACCEPTED");
    assert_eq!(again.json()["test_result_id"], first.json()["test_result_id"]);

    world.drain().await;
    assert_eq!(world.history().await.len(), 1);
    // The nonce is forgotten after 45 minutes; long before that the signature is too old.
    world.clock.advance(Duration::from_mins(46));
    assert_eq!(world.submit(&post).await.verdict(), "401 TIMESTAMP_NOT_FRESH");
    assert_eq!(world.history().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_fifty_equal_posts_at_once_one_is_accepted() {
    let world = Arc::new(World::new());
    let post = world.post();
    let posts: Vec<_> = (0..50)
        .map(|_| {
            let (world, post) = (Arc::clone(&world), post.clone());
            tokio::spawn(async move { world.submit(&post).await.verdict() })
        })
        .collect();
    let mut accepted = 0;
    for post in posts {
        match post.await.unwrap().as_str() {
            "202" => accepted += 1,
            "409 ALREADY_ACCEPTED" | "409 SUBMISSION_IN_PROGRESS" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(accepted, 1);
    assert_eq!(world.queued(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_counts_once_within_its_repository() {
    let world = World::new();
    world.set_key("other/kit", KEY);
    let body = result(world.now());
    assert_eq!(world.submit(&Post::json(&body)).await.status, 202);
    let changed = Post::json(&with(body.clone(), &json!({ "passed": 189, "total": 189 })));
    assert_eq!(world.submit(&changed).await.verdict(), "409 NONCE_REUSED");
    let elsewhere = Post::json(&with(body.clone(), &json!({ "owner": "other" })));
    assert_eq!(world.submit(&elsewhere).await.status, 202, "another repository is not blocked");

    world.clock.advance(Duration::from_mins(46));
    let later = Post::json(&with(body, &json!({ "timestamp": world.now().to_string() })));
    assert_eq!(world.submit(&later).await.status, 202, "in the end a nonce is free again");
}

#[tokio::test(start_paused = true)]
async fn what_the_path_form_does_not_sign_gains_nothing() {
    let world = World::new();
    let body = json!({ "passed": 1, "failed": 0, "skipped": 0, "total": 1, "timestamp": world.now().to_string(), "run_id": "1" });
    let post = Post::to_path("linux/acme/kit/main", &body);
    assert_eq!(world.submit(&post).await.status, 202);
    for (change, verdict) in [
        (post.clone().header("x-nonce", "a-fresh-nonce-for-it"), "409 ALREADY_ACCEPTED"),
        (Post { path: "/tests/results/linux/acme/kit/other".to_owned(), ..post.clone() }, "409 NONCE_REUSED"),
        (
            Post { path: "/tests/results/windows/acme/kit/main".to_owned(), ..post.clone() },
            "409 NONCE_REUSED",
        ),
        (
            Post { path: "/tests/results/LINUX/Acme/KIT/main".to_owned(), ..post.clone() },
            "409 ALREADY_ACCEPTED",
        ),
    ] {
        assert_eq!(world.submit(&change).await.verdict(), verdict, "{}", change.path);
    }
    world.clock.advance(Duration::from_mins(6));
    let fresh_headers =
        post.header("x-nonce", "another-fresh-nonce").header("x-timestamp", world.now().to_string());
    assert_eq!(world.submit(&fresh_headers).await.verdict(), "401 TIMESTAMP_NOT_FRESH");
    assert_eq!(world.queued(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_submission_cannot_be_made_once_in_each_form() {
    let world = World::new();
    let post = world.post();
    assert_eq!(world.submit(&post).await.status, 202);
    for (place, verdict) in [
        ("linux/acme/kit/main", "409 ALREADY_ACCEPTED"),
        // The spelling that is signed is the one that counts.
        ("linux/acme/kit/MAIN", "409 ALREADY_ACCEPTED"),
        ("linux/acme/kit/other", "400 PATH_BODY_MISMATCH"),
    ] {
        let replay = Post { path: format!("/tests/results/{place}"), ..post.clone() };
        assert_eq!(world.submit(&replay).await.verdict(), verdict, "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn path_and_body_must_name_the_same() {
    let world = World::new();
    for fields in [
        json!({ "owner": "evil" }),
        json!({ "repo": "other" }),
        json!({ "platform": "windows" }),
        json!({ "branch": "other" }),
        json!({ "branch": 1 }),
    ] {
        let post = Post::to_path("linux/acme/kit/main", &with(result(world.now()), &fields));
        assert_eq!(world.submit(&post).await.verdict(), "400 PATH_BODY_MISMATCH", "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_the_repository_gets_one_and_the_same_answer() {
    let world = World::new();
    world.set_key("evil/kit", "another key that is long");
    let post = world.post();
    let mut tampered = post.clone();
    tampered.body = tampered.body.replace("\"passed\":190", "\"passed\":19 ");
    tampered.body = tampered.body.replace("\"total\":190", "\"total\":19 ");
    let unknown = Post::json(&with(result(world.now()), &json!({ "repo": "unknown" })));
    let attempts = [
        ("a foreign key", post.clone().signed("another key that is long")),
        (
            "a foreign X-Repo-Secret",
            post.clone().header("x-repo-secret", "evil/kit").signed("another key that is long"),
        ),
        ("a tampered body", tampered),
        ("a signature of zeros", post.clone().header("x-signature", format!("sha256={}", "0".repeat(64)))),
        ("an unknown repository", unknown),
    ];
    let expected = world.submit(&attempts[0].1).await;
    assert_eq!(expected.verdict(), "401 UNAUTHORIZED");
    for (name, attempt) in attempts {
        assert_eq!(world.submit(&attempt).await, expected, "{name}");
    }
    assert_eq!(world.queued(), 0);
    assert_eq!(world.faults.take_count("PutItem"), 0, "nothing is written before a request is verified");
    assert_eq!(world.submit(&post).await.status, 202, "the nonce was not burnt");
}

#[tokio::test(start_paused = true)]
async fn signatures_of_the_wrong_form() {
    let world = World::new();
    for signature in [
        "",
        "sha256=",
        "sha256=zz",
        "sha256=abc",
        "sha1=00",
        &"0".repeat(64),
        &format!("sha256={}", "g".repeat(64)),
    ] {
        let post = world.post().header("x-signature", signature);
        assert_eq!(world.submit(&post).await.verdict(), "400 INVALID_X_SIGNATURE", "{signature}");
    }
    assert_eq!(world.submit(&world.post().without("x-signature")).await.verdict(), "400 INVALID_X_SIGNATURE");
    assert_eq!(
        world.submit(&world.post().without("x-repo-secret")).await.verdict(),
        "400 INVALID_X_REPO_SECRET"
    );
    let upper = world.post();
    let signature =
        upper.headers.iter().find(|(name, _)| *name == "x-signature").unwrap().1.replace("sha256=", "");
    let upper = upper.header("x-signature", format!("sha256={}", signature.to_uppercase()));
    assert_eq!(world.submit(&upper).await.status, 202, "hex digits may be of either case");
}

#[tokio::test(start_paused = true)]
async fn empty_short_and_broken_keys_let_nobody_in() {
    let world = World::new();
    for secret in [
        json!({ "hmac_key": "", "type": "repo_hmac" }).to_string(),
        json!({ "hmac_key": "short", "type": "repo_hmac" }).to_string(),
        json!({ "hmac_key": "long enough but of another type", "type": "github_pat" }).to_string(),
        "not json".to_owned(),
    ] {
        world.set_secret("acme/kit", &secret);
        world.clock.advance(Duration::from_hours(25));
        assert_eq!(world.submit(&world.post()).await.verdict(), "401 UNAUTHORIZED", "{secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn timestamps_must_be_fresh() {
    let world = World::new();
    let now = world.now();
    for (offset_seconds, accepted) in [(-301, false), (-300, true), (0, true), (60, true), (61, false)] {
        let at = badgesmith_domain::timestamp::Timestamp::from_unix_milliseconds(
            now.unix_milliseconds() + offset_seconds * 1000,
        );
        let answer = world.submit(&Post::json(&result(at))).await;
        let expected = if accepted { "202" } else { "401 TIMESTAMP_NOT_FRESH" };
        assert_eq!(answer.verdict(), expected, "{offset_seconds} s");
    }
    let stale_header =
        Post::to_path("linux/acme/kit/main", &result(now)).header("x-timestamp", "2026-01-15T10:20:00Z");
    assert_eq!(world.submit(&stale_header).await.json()["error_details"][0]["property_name"], "X-Timestamp");
}

#[tokio::test(start_paused = true)]
async fn no_name_forges_another_key() {
    let world = World::new();
    let forged = [
        "main#2026-01-15T10:30:00.000Z#00000000000000000001.0001#x",
        "main%23",
        "main#",
        "%",
        "#",
        "x#RESULT#linux#main",
    ];
    for branch in forged {
        let answer = world
            .submit(&Post::json(&with(
                result(world.now()),
                &json!({ "branch": branch, "failed": 1, "passed": 189 }),
            )))
            .await;
        assert_eq!(answer.status, 202, "{branch}: {}", answer.text);
    }
    assert_eq!(world.submit(&world.post()).await.status, 202);
    world.drain().await;
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed");
    let of_main = world.get("/tests/results/acme/kit?branch=main").await.json();
    assert_eq!(of_main["results"].as_array().unwrap().len(), 1);
    for branch in forged {
        assert_eq!(
            world.badge(&format!("linux/acme/kit/{}", segment(branch))).await,
            "189 passed, 1 failed",
            "{branch}"
        );
    }
    let newline = Post::to_path("linux/acme/kit/a%0Ab", &result(world.now()));
    assert_eq!(world.submit(&newline).await.verdict(), "400 PATH_BODY_MISMATCH");
}

#[tokio::test(start_paused = true)]
async fn inventing_repositories_is_bounded_and_hurts_no_known_one() {
    let world = World::new();
    assert_eq!(world.submit(&world.post()).await.status, 202);
    let mut refused = 0;
    for number in 0..2000 {
        let invented =
            Post::json(&with(result(world.now()), &json!({ "repo": format!("invented-{number}") })));
        match world.submit(&invented).await.verdict().as_str() {
            "401 UNAUTHORIZED" => {}
            "503 UNAVAILABLE" => refused += 1,
            other => panic!("{other}"),
        }
    }
    let reads = world.faults.take_count("GetSecretValue");
    assert!(reads <= 30, "{reads} look-ups for 2000 invented names");
    assert!(refused >= 1970);
    assert_eq!(world.submit(&world.post()).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_flaws_makes_no_flood_of_an_answer() {
    let world = World::new();
    let twice = r#""":1,"#.repeat(12_000);
    let names = (0..3000).map(|number| format!(r#""{number}":1,"{number}":1,"#)).collect::<Vec<_>>().concat();
    for fields in [twice, names] {
        let body = format!("{{{fields}\"x\":1}}");
        let answer = world.submit(&Post { body, ..world.post() }).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text.len() < 4000, "{} bytes", answer.text.len());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_for_the_redirect_is_encoded_in_it() {
    let world = World::new();
    let url = "https://ci.test/caf\u{e9}|{x}\"<\\";
    let post = Post::json(&with(result(world.now()), &json!({ "url_html": url })));
    assert_eq!(world.submit(&post).await.status, 202);
    world.drain().await;
    let answer = world.get("/redirect/test-results/linux/acme/kit/main").await;
    assert_eq!(answer.header("location"), Some("https://ci.test/caf%C3%A9%7C%7Bx%7D%22%3C%5C"));
    assert_eq!(world.history().await[0]["url_html"], url, "kept as written");
}
