//! An ID token, as it is sent, or as the JSON of its header and its claims, separated by an empty line; or a key set.

use badgesmith_domain::id_token::{Claims, ID_TOKEN_BYTES_MAX, Purpose, Rejection, UnverifiedIdToken};
use badgesmith_domain::issuer::{Issuer, KeySet};
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::signature::Digest;
use badgesmith_domain::timestamp::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::round_trip;

pub fn check(bytes: &[u8]) {
    if let Ok(keys) = serde_json::from_slice::<KeySet>(bytes) {
        let stored = serde_json::to_string(&keys).expect("keys serialize");
        assert_eq!(serde_json::from_str::<KeySet>(&stored).expect("stored keys are valid"), keys);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    round_trip::<Issuer>(text);
    round_trip::<ServiceUrl>(text);
    check_token(text);
    if let Some((header, claims)) = text.split_once("\n\n") {
        let parts = [header.as_bytes(), claims.as_bytes(), &[7; 256]];
        check_token(&parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join("."));
    }
}

fn check_token(text: &str) {
    let token: UnverifiedIdToken = match text.parse() {
        Ok(token) => token,
        Err(error) => return assert!(error.to_string().len() < 300, "an error shows nothing of the token"),
    };
    assert!(text.len() <= ID_TOKEN_BYTES_MAX);
    assert!(!token.key_id().is_empty());
    assert_eq!(format!("{token:?}"), "UnverifiedIdToken(..)");
    assert!(token.verified(|_, _| false).is_none(), "claims need a signature");
    let mut joined = String::new();
    let claims = token.verified(|signed, signature| {
        let signed = std::str::from_utf8(signed).expect("a token is ASCII");
        joined = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        true
    });
    assert_eq!(joined, text, "every byte is signed, or is the signature");
    check_claims(claims.expect("the signature was accepted"));
}

/// A token is valid for one service, one body, one repository and some branches, and for a limited time.
fn check_claims(claims: &Claims) {
    let services: Vec<ServiceUrl> = ServiceUrl::parse_list("https://badges.test").expect("a URL");
    let branch = "main".parse().expect("a branch");
    let fork = "octocat:main".parse().expect("a branch");
    let other = "other/other".parse().expect("a repository");
    let bodies = [Digest::of(b"{}"), Digest::of(b"{ }")];
    let mut accepted = 0;
    for body in bodies {
        let mut accepts = 0;
        for branch in [&branch, &fork] {
            let purpose = Purpose { services: &services, body, repository: &claims.repository, branch };
            let times = [0, 1_736_936_970_000, i64::MAX].map(Timestamp::from_unix_milliseconds);
            let at = times.map(|now| claims.check(purpose, now).is_ok());
            accepts += usize::from(at.contains(&true));
            assert!(!at[2], "a token expires");
            assert_eq!(
                claims.check(Purpose { services: &[], ..purpose }, times[1]),
                Err(Rejection::Audience)
            );
            if claims.repository != other {
                assert!(claims.check(Purpose { repository: &other, ..purpose }, times[1]).is_err());
            }
        }
        assert!(accepts <= 1, "a token is not valid for a branch and for a fork");
        accepted += accepts;
    }
    assert!(accepted <= 1, "a token is for one body");
}
