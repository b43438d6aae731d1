//! Results with ID tokens instead of signatures.

use badgesmith_aws::clock::Clock;
use serde_json::json;
use tests::client::{Post, result, with};
use tests::id_token::{KEYS, audience, claims};
use tests::upstream::Upstream;

use super::{Local, command};

const OPTIONS: [&str; 4] = ["--ephemeral", "--no-demo", "--port", "0"];

#[tokio::test]
async fn tokens_of_listed_owners_count_for_the_public_url_and_for_this_machine() {
    let upstream = Upstream::start();
    let issuer = upstream.issuer();
    let arguments = ["--oidc-issuer", &issuer, "--oidc-owners", "acme,other:4", "--public-url"];
    let arguments =
        [&["--ephemeral", "--no-demo"], &arguments[..], &["https://Badges.example.com/"]].concat();
    let local = Local::start(&arguments);
    let localhost = local.url.replace("127.0.0.1", "localhost");
    for (service, owner, expected) in [
        ("https://badges.example.com", "acme", 202),
        (&local.url, "acme", 202),
        (&localhost, "acme", 202),
        ("https://evil.example.com", "acme", 401),
        ("http://127.0.0.1:9", "acme", 401),
        (&local.url, "evil", 401),
        // Another account than the listed one.
        (&local.url, "other", 401),
    ] {
        let body = with(result(Clock::System.now()), &json!({ "owner": owner }));
        let claims = claims(&issuer, &audience(service, &body.to_string()), Clock::System.now());
        let claims =
            with(claims, &json!({ "repository": format!("{owner}/kit"), "repository_owner": owner }));
        let post = Post::unsigned(&body).header("x-id-token", KEYS[0].token(&claims));
        let answer = local.api().send(&post).await.unwrap();
        assert_eq!(answer.status, expected, "{service} {owner}: {}", answer.text);
    }
}

#[test]
fn invalid_options_for_tokens_say_what_is_expected() {
    let issuer = ["--oidc-issuer", "https://issuer.test"];
    for (options, expected) in [
        (vec!["--oidc-issuer", "http://issuer.test"], "an https URL without a user"),
        (vec!["--oidc-issuer", "issuer.test"], "an https URL without a user"),
        (vec!["--oidc-owners", "acme"], "--oidc-issuer"),
        ([&issuer[..], &["--oidc-owners", "acme/kit"]].concat(), "OWNER, OWNER:ID or *"),
        ([&issuer[..], &["--public-url", "badges.test"]].concat(), "an absolute http or https URL"),
    ] {
        let output = command(&[&OPTIONS[..], &options].concat()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {stderr}");
        assert!(stderr.contains(expected), "{options:?}: {stderr}");
    }
}
