//! An issuer of ID tokens, and its public keys.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::ParseError;

/// The URL of an issuer, exactly as its tokens have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// The issuer of GitHub Actions.
    pub const GITHUB: &str = "https://token.actions.githubusercontent.com";

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of the document that says where the keys are:
    /// <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationRequest>
    pub fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.0.trim_end_matches('/'))
    }
}

impl FromStr for Issuer {
    type Err = ParseError;

    /// Parses an `https` URL, or an `http` URL of this machine.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = "an https URL without a user, a query or a fragment";
        let rest = text.strip_prefix("https://").or_else(|| {
            let rest = text.strip_prefix("http://")?;
            let host = rest.split(['/', ':']).next()?;
            (rest.starts_with("[::1]") || ["127.0.0.1", "localhost"].contains(&host)).then_some(rest)
        });
        let fits = rest.is_some_and(|rest| {
            rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
                && rest.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@'))
        });
        if fits { Ok(Self(text.to_owned())) } else { Err(ParseError { expected }) }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The keys of an issuer that sign with RS256. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawKeySet", into = "RawKeySet")]
pub struct KeySet(Vec<RsaKey>);

/// An RSA key with 2,048 to 8,192 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaKey {
    id: String,
    /// Big-endian, without leading zeros.
    pub modulus: Vec<u8>,
    /// Big-endian, without leading zeros.
    pub exponent: Vec<u8>,
}

/// A JSON Web Key Set (RFC 7517, 5).
#[derive(Serialize, Deserialize)]
struct RawKeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    kid: String,
    n: String,
    e: String,
}

impl KeySet {
    /// An issuer has a few, during a rotation some more.
    const KEYS_MAX: usize = 32;
    const ID_BYTES_MAX: usize = 256;

    /// The keys with this id: one, unless the issuer gave it twice.
    pub fn keys<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a RsaKey> {
        self.0.iter().filter(move |key| key.id == id)
    }
}

impl TryFrom<RawKeySet> for KeySet {
    type Error = ParseError;

    /// Keys of other kinds and for other purposes are left out.
    fn try_from(raw: RawKeySet) -> Result<Self, ParseError> {
        let keys: Vec<_> = raw.keys.into_iter().filter_map(RsaKey::parse).collect();
        let expected = "1 to 32 RSA keys for signatures with RS256";
        if (1..=Self::KEYS_MAX).contains(&keys.len()) { Ok(Self(keys)) } else { Err(ParseError { expected }) }
    }
}

impl From<KeySet> for RawKeySet {
    fn from(set: KeySet) -> Self {
        let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        let key = |RsaKey { id, modulus, exponent }: &RsaKey| serde_json::json!({ "kty": "RSA", "kid": id, "n": encode(modulus), "e": encode(exponent) });
        Self { keys: set.0.iter().map(key).collect() }
    }
}

impl RsaKey {
    fn parse(value: Value) -> Option<Self> {
        let RawKey { kty, purpose, alg, kid, n, e } = serde_json::from_value(value).ok()?;
        let number = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.first() != Some(&0));
        let (modulus, exponent) = (number(&n)?, number(&e)?);
        let fits = kty == "RSA"
            && purpose.is_none_or(|purpose| purpose == "sig")
            && alg.is_none_or(|alg| alg == "RS256")
            && (1..=KeySet::ID_BYTES_MAX).contains(&kid.len())
            && (256..=1024).contains(&modulus.len())
            && (1..=8).contains(&exponent.len());
        fits.then_some(Self { id: kid, modulus, exponent })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(changed: &Value) -> Value {
        let modulus = URL_SAFE_NO_PAD.encode([7; 256]);
        let mut key =
            json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": modulus, "e": "AQAB" });
        for (name, value) in changed.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn parse(keys: &[Value]) -> Option<KeySet> {
        serde_json::from_value(json!({ "keys": keys, "new": [1] })).ok()
    }

    #[test]
    fn keys_that_cannot_verify_are_left_out() {
        let padded = URL_SAFE_NO_PAD.encode([&[0][..], &[7; 256]].concat());
        for changed in [
            json!({ "kty": "EC" }),
            json!({ "use": "enc" }),
            json!({ "alg": "RS512" }),
            json!({ "kid": null }),
            json!({ "kid": "" }),
            json!({ "kid": "k".repeat(257) }),
            json!({ "n": URL_SAFE_NO_PAD.encode([7; 255]) }),
            json!({ "n": URL_SAFE_NO_PAD.encode([7; 1025]) }),
            json!({ "n": padded }),
            json!({ "n": "+/==" }),
            json!({ "e": "" }),
            json!({ "e": URL_SAFE_NO_PAD.encode([7; 9]) }),
        ] {
            assert_eq!(parse(&[key(&changed)]), None, "{changed}");
            let set = parse(&[key(&changed), json!("no key"), key(&json!({}))]).unwrap();
            assert_eq!(set.keys("one").count(), 1, "{changed}");
            assert_eq!(set.keys("two").count(), 0);
        }
        assert!(parse(&[key(&json!({ "use": null, "alg": null, "x5c": ["x"] }))]).is_some());
    }

    #[test]
    fn a_set_has_1_to_32_keys_and_round_trips() {
        assert_eq!(parse(&[]), None);
        let keys: Vec<_> = (0..33).map(|number| key(&json!({ "kid": number.to_string() }))).collect();
        assert_eq!(parse(&keys), None);
        let set = parse(&keys[..32]).unwrap();
        let stored = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<KeySet>(&stored).unwrap(), set);
        assert!(stored.len() < 400_000 / 2, "fits into an item of DynamoDB");
    }

    #[test]
    fn an_issuer_uses_tls_except_on_this_machine() {
        for (text, discovery) in [
            (Issuer::GITHUB, "https://token.actions.githubusercontent.com/.well-known/openid-configuration"),
            (
                "https://git.test/api/actions/",
                "https://git.test/api/actions/.well-known/openid-configuration",
            ),
            ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000/x/.well-known/openid-configuration"),
            ("http://localhost", "http://localhost/.well-known/openid-configuration"),
        ] {
            let issuer: Issuer = text.parse().unwrap();
            assert_eq!((issuer.as_str(), issuer.discovery()), (text, discovery.to_owned()));
        }
        for bad in [
            "",
            "http://git.test",
            "http://127.0.0.1.test",
            "https://",
            "https://a@b.test",
            "https://b.test?x",
            "https://b.test/ x",
        ] {
            assert!(bad.parse::<Issuer>().is_err(), "{bad}");
        }
    }
}
