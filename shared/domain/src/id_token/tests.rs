use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// The claims of a token for the empty body, issued an hour after [`NOW`].
fn claims(changed: &Value) -> Value {
    let audience = format!("https://badges.test/sha256/{}", Digest::of(b""));
    let mut claims = json!({
        "iss": "https://issuer.test", "aud": audience, "sub": "anything", "iat": 3600, "nbf": 3000, "exp": 3900,
        "repository": "Acme/Kit", "repository_id": "7", "repository_owner_id": "3",
        "event_name": "push", "ref": "refs/heads/main", "new": { "claim": [1] },
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn token(header: &str, claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode(header), encode(claims), encode("signature"))
}

fn parse(changed: &Value) -> Result<UnverifiedIdToken, ParseError> {
    token(r#"{"alg":"RS256","kid":"one","typ":"JWT"}"#, &claims(changed).to_string()).parse()
}

#[track_caller]
fn check(changed: &Value, seconds: i64, expected: Result<(), Rejection>) {
    let token = parse(changed).unwrap();
    let services = ServiceUrl::parse_list("https://other.test,https://badges.test").unwrap();
    let purpose = Purpose {
        services: &services,
        body: Digest::of(b""),
        repository: &"acme/kit".parse().unwrap(),
        branch: &"main".parse().unwrap(),
    };
    let now = Timestamp::from_unix_milliseconds(seconds * 1000);
    assert_eq!(token.verified(|_, _| true).unwrap().check(purpose, now), expected, "{changed} at {seconds}");
}

#[test]
fn a_token_is_three_parts_of_unpadded_base64url_and_bounded() {
    let valid = token(r#"{"alg":"RS256","kid":"one"}"#, &claims(&json!({})).to_string());
    let parsed: UnverifiedIdToken = valid.parse().unwrap();
    assert_eq!((parsed.issuer(), parsed.key_id()), ("https://issuer.test", "one"));
    assert_eq!(format!("{parsed:?}"), "UnverifiedIdToken(..)");
    let (signed, _) = valid.rsplit_once('.').unwrap();
    assert!(
        parsed.verified(|input, signature| input == signed.as_bytes() && signature == b"signature").is_some()
    );
    assert!(parsed.verified(|_, _| false).is_none());
    let long = claims(&json!({ "workflow": "w".repeat(ID_TOKEN_BYTES_MAX) })).to_string();
    for bad in [
        String::new(),
        signed.to_owned(),
        format!("{valid}.e30"),
        format!("{valid}="),
        format!("{valid}, {valid}"),
        format!(" {valid}"),
        valid.replace('.', "+."),
        token(r#"{"alg":"RS256","kid":"one"}"#, &long),
    ] {
        assert_eq!(bad.parse::<UnverifiedIdToken>().unwrap_err(), UnverifiedIdToken::FORM, "{bad}");
    }
}

#[test]
fn only_rs256_with_a_key_id_and_without_extensions_is_accepted() {
    let claims = claims(&json!({})).to_string();
    for header in [
        r#"{"alg":"none","kid":"one"}"#,
        r#"{"alg":"HS256","kid":"one"}"#,
        r#"{"alg":"rs256","kid":"one"}"#,
        r#"{"alg":"PS256","kid":"one"}"#,
        r#"{"alg":["RS256"],"kid":"one"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"RS256","kid":""}"#,
        r#"{"alg":"RS256","kid":7}"#,
        r#"{"kid":"one"}"#,
        r#"{"alg":"RS256","kid":"one","crit":["exp"]}"#,
        r#"{"alg":"RS256","kid":"one","crit":null}"#,
        r#"{"alg":"none","alg":"RS256","kid":"one"}"#,
        r#"{"alg":"RS256","kid":"two","kid":"one"}"#,
        r#"{"alg":"RS256","kid":"one"} "x""#,
        "[]",
        "",
    ] {
        assert_eq!(
            token(header, &claims).parse::<UnverifiedIdToken>().unwrap_err(),
            UnverifiedIdToken::HEADER,
            "{header}"
        );
    }
}

#[test]
fn the_audience_is_one_string_with_a_digest() {
    let digest = Digest::of(b"");
    for audience in [
        json!("https://badges.test"),
        json!("https://badges.test/sha256/00"),
        json!(format!("https://badges.test/sha512/{digest}")),
        json!(format!("https://badges.test/sha256/{digest}/")),
        json!([format!("https://badges.test/sha256/{digest}")]),
        json!([format!("https://badges.test/sha256/{digest}"), "https://other.test"]),
        Value::Null,
    ] {
        let error = parse(&json!({ "aud": audience })).unwrap_err();
        assert_eq!(error, UnverifiedIdToken::AUDIENCE, "{audience}");
    }
}

#[test]
fn claims_have_one_type_and_occur_once() {
    for changed in [
        json!({ "iss": 1 }),
        json!({ "exp": "3900" }),
        json!({ "exp": 3900.5 }),
        json!({ "exp": null }),
        json!({ "exp": 1e300 }),
        json!({ "exp": i64::MAX }),
        json!({ "iat": true }),
        json!({ "nbf": "0" }),
        json!({ "repository": "kit" }),
        json!({ "repository": ["Acme/Kit"] }),
        json!({ "repository_id": "07" }),
        json!({ "repository_id": "-7" }),
        json!({ "repository_id": "" }),
        json!({ "repository_owner_id": 3.5 }),
        json!({ "event_name": null }),
        json!({ "ref": 7 }),
    ] {
        assert_eq!(parse(&changed).unwrap_err(), UnverifiedIdToken::CLAIMS, "{changed}");
    }
    let twice = claims(&json!({})).to_string().replacen('{', r#"{"repository":"evil/kit","#, 1);
    let twice = token(r#"{"alg":"RS256","kid":"one"}"#, &twice);
    assert_eq!(twice.parse::<UnverifiedIdToken>().unwrap_err(), UnverifiedIdToken::CLAIMS);
    let numbers = parse(&json!({ "repository_id": 7, "repository_owner_id": 3, "nbf": null })).unwrap();
    assert_eq!(numbers.claims.ids, AccountIds { repository: 7, owner: 3 });
}

#[test]
fn a_token_is_valid_within_its_times_and_a_minute() {
    let ok = Ok(());
    for (seconds, expected) in [
        (3600, ok),
        (3540, ok),
        (3539, Err(Rejection::IssuedAhead)),
        (2939, Err(Rejection::NotYetValid)),
        (3959, ok),
        (3960, Err(Rejection::Expired)),
    ] {
        check(&json!({}), seconds, expected);
    }
    check(&json!({ "nbf": 3660 }), 3600, ok);
    check(&json!({ "nbf": 3661 }), 3600, Err(Rejection::NotYetValid));
    check(&json!({ "exp": -1, "iat": -300, "nbf": -300 }), 3600, Err(Rejection::Expired));
    assert!(NOW < Timestamp::from_unix_milliseconds(1));
}

#[test]
fn a_token_is_for_one_service_body_repository_and_branch() {
    let digest = Digest::of(b"");
    let other = Digest::of(b"another body");
    for audience in [
        format!("https://badges.test/sha256/{other}"),
        format!("https://Badges.test/sha256/{digest}"),
        format!("https://badges.test:443/sha256/{digest}"),
        format!("https://badges.test//sha256/{digest}"),
        format!("http://badges.test/sha256/{digest}"),
        format!("https://badges.test.evil/sha256/{digest}"),
        format!("https://badges.test/sha256/{}", digest.to_string().to_uppercase()),
        format!("/sha256/{digest}"),
    ] {
        check(&json!({ "aud": audience }), 3600, Err(Rejection::Audience));
    }
    check(&json!({ "aud": format!("https://other.test/sha256/{digest}") }), 3600, Ok(()));
    for repository in ["evil/kit", "acme/kit2", "acme/ki"] {
        check(&json!({ "repository": repository }), 3600, Err(Rejection::Repository));
    }
    check(&json!({ "ref": "refs/heads/other" }), 3600, Err(Rejection::Branch));
}
