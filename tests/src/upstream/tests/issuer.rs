//! The documented behavior of GitHub's issuer of ID tokens.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::id_token::request_token;

#[tokio::test]
async fn a_job_requests_a_token_that_the_published_key_verifies() {
    let upstream = Upstream::start();
    let request_token = request_token(&json!({ "repository": "acme/other" }));
    let bearer = format!("bearer {request_token}");
    let audience = "&audience=https%3A%2F%2Fbadges.example.com%2Fsha256%2F00";
    let url = format!("{}{audience}", upstream.id_token_request_url());
    let token = get(&url, &[("authorization", &bearer)]).await.json();
    let token = token["value"].as_str().unwrap();

    let (input, signature) = token.rsplit_once('.').unwrap();
    let (_, claims) = input.split_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    assert_eq!(claims["aud"], "https://badges.example.com/sha256/00");
    assert_eq!(claims["repository"], "acme/other");
    assert_eq!(claims["iss"], upstream.issuer());

    let discovery = get(&format!("{}/.well-known/openid-configuration", upstream.issuer()), &[]).await.json();
    let key_set = get(discovery["jwks_uri"].as_str().unwrap(), &[]).await;
    assert!(key_set.header("etag").starts_with('"'));
    let key = &key_set.json()["keys"][0];
    let member = |name: &str| decode(key[name].as_str().unwrap());
    let key = RsaPublicKeyComponents { n: member("n"), e: member("e") };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, input.as_bytes(), &decode(signature)).unwrap();

    assert_eq!(get(&url, &[]).await.status, 401);
}
