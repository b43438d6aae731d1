//! What a client may send, and what it is told when it errs.

use http::Method;
use serde_json::{Value, json};
use tests::client::{KEY, Post, result, segment, with};
use tests::world::World;

#[tokio::test(start_paused = true)]
async fn a_signed_result_becomes_a_badge() {
    let world = World::new();
    let answer = world.submit(&world.post()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let accepted = answer.json();
    assert_eq!(accepted["repository"], "acme/kit");
    assert_eq!(accepted["timestamp"], "2026-01-15T10:30:00.000Z");
    assert_eq!(accepted["status"], "queued");
    assert_eq!(world.badge("linux/acme/kit/main").await, "no results", "not stored yet");

    world.drain().await;
    assert_eq!(world.badge("linux/acme/kit/main").await, "190 passed");
    assert_eq!(world.history().await[0]["test_result_id"], accepted["test_result_id"]);
    assert_eq!(world.queued(), 0);
}

/// The body that deployed clients send, with the names in the path.
fn deployed(world: &World) -> Value {
    json!({
        "platform": "Linux", "passed": 190, "failed": 0, "skipped": 0, "total": 190, "url_html": "",
        "timestamp": world.now().to_string(), "commit": "4d8474bda0b16fbbb69887d0d08c3885843bbdc7",
        "run_id": "16814735762", "workflow_run_url": "https://github.com/acme/kit/actions/runs/456",
    })
}

#[tokio::test(start_paused = true)]
async fn deployed_clients_work_unchanged() {
    let world = World::new();
    let branches = [
        "main",
        "feature/x",
        "release/1.0",
        "dependabot/npm_and_yarn/a-1",
        "a#b",
        "100%",
        "a%2Fb",
        "caf\u{e9}",
    ];
    for (passed, branch) in branches.into_iter().enumerate() {
        // Some clients encode the whole name, some leave its slashes.
        let plain: Vec<_> = branch.split('/').map(segment).collect();
        for (run, written) in [segment(branch), plain.join("/")].into_iter().enumerate() {
            // No two bodies are the same, since without a nonce in them the same bytes count once.
            let fields = json!({ "run_id": run, "passed": passed, "failed": 0, "total": passed });
            let post = Post::to_path(&format!("linux/Acme/Kit/{written}"), &with(deployed(&world), &fields));
            let answer = world.submit(&post).await;
            assert_eq!(answer.status, 202, "{branch} as {written}: {}", answer.text);
        }
        world.drain().await;
        let expected = if passed == 0 { "no tests".to_owned() } else { format!("{passed} passed") };
        assert_eq!(world.badge(&format!("linux/acme/kit/{}", segment(branch))).await, expected, "{branch}");
        let history = world.get(&format!("/tests/results/acme/kit?branch={}", segment(branch))).await.json();
        assert_eq!(history["results"][1]["branch"], branch);
    }
}

#[tokio::test(start_paused = true)]
async fn deployed_clients_headers_are_optional() {
    let world = World::new();
    let posts = [
        |post: Post| post.without("x-timestamp"),
        |post: Post| post.without("x-nonce"),
        |post: Post| post.header("x-timestamp", "Thu Jan 15 10:30:00 UTC 2026"),
        |post: Post| post.header("x-repo-secret", "ACME/kit"),
    ];
    for (run, change) in posts.into_iter().enumerate() {
        let body = with(deployed(&world), &json!({ "run_id": run }));
        let answer = world.submit(&change(Post::to_path("linux/acme/kit/main", &body))).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
    }
    let foreign =
        Post::to_path("linux/acme/kit/main", &deployed(&world)).header("x-repo-secret", "acme/other");
    assert_eq!(world.submit(&foreign).await.verdict(), "401 UNAUTHORIZED");
}

#[tokio::test(start_paused = true)]
async fn the_branch_may_be_named_in_the_query() {
    let world = World::new();
    let mut post = Post::to_path("linux/acme/kit", &deployed(&world));
    post.path.push_str("?branch=feature%2Fx");
    assert_eq!(world.submit(&post).await.status, 202);
    world.drain().await;
    assert_eq!(world.badge("linux/acme/kit/ignored?branch=feature/x").await, "190 passed");
}

#[tokio::test(start_paused = true)]
async fn what_is_optional_may_be_absent_and_what_is_unknown_is_ignored() {
    let world = World::new();
    for fields in [
        json!({ "url_html": null, "workflow_run_url": null, "commit": null }),
        json!({ "url_html": "", "workflow_run_url": "" }),
        json!({ "run_attempt": 2 }),
        json!({ "run_id": 16_814_735_762_u64 }),
        json!({ "new_field": { "deep": [1, 2, { "deeper": "x" }] }, "nothing": "at all" }),
        json!({ "timestamp": "2026-01-15T12:30:00.5+02:00" }),
        json!({ "platform": "macOS", "owner": "ACME" }),
        json!({ "passed": 4_294_967_295_u32, "total": 4_294_967_295_u32 }),
    ] {
        let answer = world.submit(&Post::json(&with(result(world.now()), &fields))).await;
        assert_eq!(answer.status, 202, "{fields}: {}", answer.text);
    }
    let body = with(result(world.now()), &json!({ "url_html": null }));
    let explicit = body.to_string().replacen('{', r#"{"url_html":null,"commit":null,"#, 1);
    let explicit = explicit.replacen(r#""commit":"4d8474bda0b16fbbb69887d0d08c3885843bbdc7","#, "", 1);
    let post = Post { body: explicit, ..Post::json(&body) }.signed(KEY);
    assert_eq!(world.submit(&post).await.status, 202, "null is as good as absent");
}

#[tokio::test(start_paused = true)]
async fn every_field_has_its_rule() {
    let world = World::new();
    for (fields, verdict) in [
        (json!({ "owner": "a b" }), "400 INVALID_OWNER"),
        (json!({ "repo": "" }), "400 INVALID_REPO"),
        (json!({ "platform": "solaris" }), "400 INVALID_PLATFORM"),
        (json!({ "branch": "a//b" }), "400 INVALID_BRANCH"),
        (json!({ "branch": "a\nb" }), "400 INVALID_BRANCH"),
        (json!({ "branch": 7 }), "400 INVALID_BRANCH"),
        (json!({ "passed": -1 }), "400 INVALID_PASSED"),
        (json!({ "passed": "190" }), "400 INVALID_PASSED"),
        (json!({ "passed": 190.5 }), "400 INVALID_PASSED"),
        (json!({ "skipped": 4_294_967_296_u64 }), "400 INVALID_SKIPPED"),
        (json!({ "total": 191 }), "400 INVALID_TOTAL"),
        (json!({ "timestamp": "yesterday" }), "400 INVALID_TIMESTAMP"),
        (json!({ "nonce": "short" }), "400 INVALID_NONCE"),
        (json!({ "run_id": "a b" }), "400 INVALID_RUN_ID"),
        (json!({ "run_id": 1.5 }), "400 INVALID_RUN_ID"),
        (json!({ "run_attempt": 0 }), "400 INVALID_RUN_ATTEMPT"),
        (json!({ "run_attempt": "2" }), "400 INVALID_RUN_ATTEMPT"),
        (json!({ "commit": "main" }), "400 INVALID_COMMIT"),
        (json!({ "url_html": "javascript:alert(1)" }), "400 INVALID_URL_HTML"),
        (json!({ "workflow_run_url": "http://github.com" }), "400 INVALID_WORKFLOW_RUN_URL"),
    ] {
        let answer = world.submit(&Post::json(&with(result(world.now()), &fields))).await;
        // An owner that is none makes a bad X-Repo-Secret as well.
        assert_eq!(
            answer.verdict().replace(" INVALID_X_REPO_SECRET", ""),
            verdict,
            "{fields}: {}",
            answer.text
        );
    }
    assert_eq!(world.queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_wrong_is_said_at_once() {
    let world = World::new();
    let body = json!({ "platform": "beos", "passed": "1", "failed": 0, "skipped": 0, "branch": "/x" });
    let post = Post::json(&body).header("x-repo-secret", "acme").header("x-signature", "sha256=nothex");
    insta::assert_json_snapshot!(world.submit(&post).await.json());
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_no_json_object() {
    let world = World::new();
    let deep = "[".repeat(60_000);
    for body in
        ["", "{", "[]", "null", "\"text\"", "{\"a\":1}x", "{\"a\":nan}", &deep, &format!("{{\"a\":{deep}")]
    {
        let post = Post { body: body.to_owned(), ..world.post() }.signed(KEY);
        assert_eq!(world.submit(&post).await.verdict(), "400 MALFORMED_JSON", "{body:.20}");
    }
    let twice = world.post();
    let twice = Post { body: twice.body.replacen('{', r#"{"branch":"main","#, 1), ..twice }.signed(KEY);
    assert_eq!(world.submit(&twice).await.verdict(), "400 DUPLICATE_FIELD");
    let huge = with(result(world.now()), &json!({ "padding": "x".repeat(64 * 1024) }));
    assert_eq!(world.submit(&Post::json(&huge)).await.verdict(), "413 BODY_TOO_LARGE");
    let full = with(result(world.now()), &json!({ "padding": "" }));
    let full = with(full.clone(), &json!({ "padding": "x".repeat(64 * 1024 - full.to_string().len()) }));
    assert_eq!(full.to_string().len(), 64 * 1024);
    assert_eq!(world.submit(&Post::json(&full)).await.status, 202, "64 KiB are allowed");
}

#[tokio::test(start_paused = true)]
async fn a_body_may_arrive_as_base64() {
    let world = World::new();
    // The gateway encodes what is neither text nor JSON, as curl's default content type.
    let post = world.post().header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(world.submit(&post).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn paths_and_methods() {
    let world = World::new();
    for (method, path, verdict, allow) in [
        (Method::POST, "/tests/results/linux/acme/kit", "404 NOT_FOUND", None),
        (Method::POST, "/tests/results/acme/kit", "405 METHOD_NOT_ALLOWED", Some("GET, HEAD, OPTIONS")),
        (Method::POST, "/health", "405 METHOD_NOT_ALLOWED", Some("GET, HEAD, OPTIONS")),
        (Method::DELETE, "/tests/results", "405 METHOD_NOT_ALLOWED", Some("POST, OPTIONS")),
        (Method::GET, "/tests/results", "405 METHOD_NOT_ALLOWED", Some("POST, OPTIONS")),
        (Method::GET, "/tests/results/linux/acme/kit/main", "405 METHOD_NOT_ALLOWED", Some("POST, OPTIONS")),
        (
            Method::PUT,
            "/badges/tests/linux/acme/kit/main",
            "405 METHOD_NOT_ALLOWED",
            Some("GET, HEAD, OPTIONS"),
        ),
        (Method::GET, "/", "404 NOT_FOUND", None),
        (Method::POST, "/nothing/here", "404 NOT_FOUND", None),
    ] {
        let answer = world.request(method.clone(), path, &[]).await;
        assert_eq!(answer.verdict(), verdict, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}
