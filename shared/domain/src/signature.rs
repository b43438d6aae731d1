//! HMAC-SHA256 signatures over the raw bytes of a request (RFC 2104).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::ids::ParseError;

/// The minimum length of a key. Shorter keys are rejected because they could be guessed.
pub const KEY_BYTES_MIN: usize = 16;

/// The value of `X-Signature`: `sha256=` followed by 64 hex digits in either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature([u8; 32]);

impl FromStr for Signature {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let invalid =
            ParseError { expected: "sha256= followed by the 64 hex digits of the HMAC-SHA256 of the body" };
        let digits = text.strip_prefix("sha256=").ok_or(invalid)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| invalid)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256={}", hex::encode(self.0))
    }
}

/// An HMAC-SHA256 key. Neither `Debug` output nor any error reveals it.
#[derive(Clone)]
pub struct HmacKey(Box<[u8]>);

impl HmacKey {
    /// A key from `bytes`; `None` if there are fewer than [`KEY_BYTES_MIN`].
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() >= KEY_BYTES_MIN).then_some(Self(bytes))
    }

    pub fn sign(&self, body: &[u8]) -> Signature {
        Signature(self.mac(body).finalize().into_bytes().into())
    }

    /// Checks in constant time whether this key made `signature` over `body`.
    pub fn verifies(&self, body: &[u8], signature: &Signature) -> bool {
        self.mac(body).verify_slice(&signature.0).is_ok()
    }

    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC accepts keys of any length (RFC 2104, section 3)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC accepts keys of any length");
        mac.update(body);
        mac
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(..)")
    }
}

/// The keys that one secret text stands for.
///
/// A secret of a repository is `{"hmac_key":"<base64>","type":"repo_hmac"}`. The key is the decoded base64. Many shell
/// scripts sign with the string itself (`openssl dgst -hmac "$KEY"`), so its bytes are a key, too.
///
/// ```
/// use badgesmith_domain::signature::{SecretKeys, Signature};
///
/// let keys = SecretKeys::parse(r#"{"hmac_key":"MDEyMzQ1Njc4OWFiY2RlZg==","type":"repo_hmac"}"#)?;
/// // printf %s '{}' | openssl dgst -sha256 -hmac 0123456789abcdef
/// let header = "sha256=f91e3e9f05cc2df64ac1c26f8adccdffda8d1e4a7a8c50a1a08eeadac6ddfec5";
/// let signature: Signature = header.parse()?;
/// assert!(keys.verify(b"{}", &signature));
/// assert!(!keys.verify(b"{ }", &signature), "the signature covers every byte");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SecretKeys(Vec<HmacKey>);

impl SecretKeys {
    const MALFORMED: ParseError =
        ParseError { expected: r#"a secret of the form {"hmac_key":"<base64>","type":"repo_hmac"}"# };
    const TOO_SHORT: ParseError = ParseError { expected: "a key of at least 16 bytes" };

    /// # Errors
    /// [`ParseError`] if the secret is malformed or its key is too short. It reveals nothing of the secret.
    pub fn parse(secret: &str) -> Result<Self, ParseError> {
        #[derive(Deserialize)]
        struct Secret {
            hmac_key: String,
            r#type: String,
        }
        let secret: Secret = serde_json::from_str(secret).map_err(|_| Self::MALFORMED)?;
        if secret.r#type != "repo_hmac" {
            return Err(Self::MALFORMED);
        }
        let keys = Self::of_text(&secret.hmac_key);
        if keys.0.is_empty() { Err(Self::TOO_SHORT) } else { Ok(keys) }
    }

    /// The keys in the text that a client holds.
    pub(crate) fn of_text(text: &str) -> Self {
        let decoded = STANDARD.decode(text).ok().and_then(HmacKey::new);
        let as_written = HmacKey::new(text.as_bytes());
        Self(decoded.into_iter().chain(as_written).collect())
    }

    /// Checks whether one of these keys made `signature` over `body`.
    pub fn verify(&self, body: &[u8], signature: &Signature) -> bool {
        self.0.iter().any(|key| key.verifies(body, signature))
    }
}

/// A SHA-256 digest; displays as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first byte, from which to choose a shard.
    pub(crate) fn first_byte(&self) -> u8 {
        let [first, ..] = self.0;
        first
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, section 4: key, data and HMAC-SHA-256 in hex. Case 5 is about truncated output, which
    /// this service never accepts.
    const RFC_4231: [(&str, &str, &str); 6] = [
        (
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "4869205468657265",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            "4a656665",
            "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            "0102030405060708090a0b0c0d0e0f10111213141516171819",
            "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            "AA*131",
            "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            "AA*131",
            "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565647320746f20626520686173686564206265666f7265206265696e6720757365642062792074686520484d414320616c676f726974686d2e",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];

    #[test]
    fn signatures_match_the_vectors_of_rfc_4231() {
        for (key, data, expected) in RFC_4231 {
            let key = if key == "AA*131" { vec![0xaa; 131] } else { hex::decode(key).unwrap() };
            // The key of one vector is too short for `HmacKey::new`.
            let key = HmacKey(key.into());
            let data = hex::decode(data).unwrap();
            let signature: Signature = format!("sha256={}", expected.to_uppercase()).parse().unwrap();
            assert_eq!(key.sign(&data).to_string(), format!("sha256={expected}"));
            assert!(key.verifies(&data, &signature));
            assert!(!key.verifies(&[&data[..], b"!"].concat(), &signature));
        }
    }

    fn parse(hmac_key: &str) -> Result<SecretKeys, ParseError> {
        SecretKeys::parse(&serde_json::json!({ "hmac_key": hmac_key, "type": "repo_hmac" }).to_string())
    }

    #[test]
    fn short_and_malformed_secrets_are_rejected() {
        for short in ["", "c2hvcnQ=", "fifteen-letters"] {
            assert_eq!(parse(short).unwrap_err(), SecretKeys::TOO_SHORT, "{short}");
        }
        // The string decodes to 12 bytes, which are too few for a key. Its own 16 bytes are a key.
        let weak = "abcdefghijklmnop";
        let decoded = HmacKey(STANDARD.decode(weak).unwrap().into());
        assert!(!parse(weak).unwrap().verify(b"body", &decoded.sign(b"body")));
        for malformed in [
            "",
            "[]",
            "{}",
            r#"{"hmac_key":"0123456789abcdef0123"}"#,
            r#"{"hmac_key":1,"type":"repo_hmac"}"#,
            r#"{"hmac_key":"0123456789abcdef0123","type":"github_pat"}"#,
        ] {
            assert_eq!(SecretKeys::parse(malformed).unwrap_err(), SecretKeys::MALFORMED, "{malformed}");
        }
    }

    #[test]
    fn debug_output_contains_no_key() {
        let keys = parse("correct horse battery staple").unwrap();
        assert_eq!(format!("{keys:?}"), "SecretKeys([HmacKey(..)])");
    }
}
