//! ID tokens of GitHub Actions: their claims, and the keys that sign them.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use badgesmith_domain::timestamp::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use uuid::Uuid;

/// The lifetime of GitHub's tokens.
pub const LIFETIME: Duration = Duration::from_mins(5);
/// How long before its `iat` a token of GitHub is valid.
const VALID_BEFORE: Duration = Duration::from_mins(10);

/// Two RSA keys of 2048 bits that sign nothing but the tokens of tests. The issuer begins with the first.
pub static KEYS: LazyLock<[SigningKey; 2]> = LazyLock::new(|| {
    [
        SigningKey::new("test-key-1", include_bytes!("id_token/key-1.pem")),
        SigningKey::new("test-key-2", include_bytes!("id_token/key-2.pem")),
    ]
});

/// A key of an issuer.
#[derive(Debug)]
pub struct SigningKey {
    pub id: &'static str,
    pair: RsaKeyPair,
}

impl SigningKey {
    fn new(id: &'static str, pem: &[u8]) -> Self {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap();
        Self { id, pair: RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap() }
    }

    /// The public key as a JSON Web Key (RFC 7517), with the members that GitHub's have.
    pub fn jwk(&self) -> Value {
        // The DER of a key of 2048 bits: 9 bytes, the modulus, and 5 bytes with 65537.
        let modulus = &self.public_der()[9..265];
        json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.id, "x5t": "ykNaY4qM_ta4k2TgZOCEYLkcYlA",
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB",
        })
    }

    /// A token with these claims, signed with RS256.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with_header(&self.header(), claims)
    }

    /// The header of GitHub's tokens.
    pub fn header(&self) -> Value {
        json!({ "typ": "JWT", "alg": "RS256", "x5t": "ykNaY4qM_ta4k2TgZOCEYLkcYlA", "kid": self.id })
    }

    /// A token with any header, signed with RS256.
    pub fn token_with_header(&self, header: &Value, claims: &Value) -> String {
        signed(&header.to_string(), &claims.to_string(), |input| self.sign_rs256(input))
    }

    pub fn sign_rs256(&self, input: &[u8]) -> Vec<u8> {
        self.sign(&RSA_PKCS1_SHA256, input)
    }

    /// The public key as the DER of an `RSAPublicKey` (RFC 8017, A.1.1).
    pub fn public_der(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub fn sign(&self, padding: &'static dyn RsaEncoding, input: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(padding, &SystemRandom::new(), input, &mut signature).unwrap();
        signature
    }
}

/// A JSON Web Signature in its compact form (RFC 7515), of any header and payload.
pub fn signed(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The claims of a job of `acme/kit` after a push to `main`, as GitHub issues them:
/// <https://docs.github.com/en/actions/reference/security/oidc>
pub fn claims(issuer: &str, audience: &str, now: Timestamp) -> Value {
    let issued = now.unix_seconds();
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap();
    json!({
        "jti": Uuid::new_v4().to_string(), "iss": issuer, "aud": audience,
        "sub": "repo:acme/kit:ref:refs/heads/main",
        "iat": issued, "nbf": issued - seconds(VALID_BEFORE), "exp": issued + seconds(LIFETIME),
        "repository": "acme/kit", "repository_id": "1296269", "repository_visibility": "public",
        "repository_owner": "acme", "repository_owner_id": "583231",
        "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
        "sha": "4d8474bda0b16fbbb69887d0d08c3885843bbdc7", "head_ref": "", "base_ref": "",
        "event_name": "push", "run_id": "16814735762", "run_number": "42", "run_attempt": "1",
        "check_run_id": "47612345678", "workflow": "ci",
        "workflow_ref": "acme/kit/.github/workflows/ci.yml@refs/heads/main",
        "workflow_sha": "4d8474bda0b16fbbb69887d0d08c3885843bbdc7",
        "job_workflow_ref": "acme/kit/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_sha": "4d8474bda0b16fbbb69887d0d08c3885843bbdc7",
        "actor": "octocat", "actor_id": "583231", "runner_environment": "github-hosted",
    })
}

/// The audience of a token for a body at the service with this URL.
pub fn audience(service: &str, body: &str) -> String {
    format!("{service}/sha256/{}", hex::encode(Sha256::digest(body)))
}

/// The value of `ACTIONS_ID_TOKEN_REQUEST_TOKEN` in a job whose tokens have these claims instead of those of
/// [`claims`]: base64url of the claims.
pub fn request_token(changed: &Value) -> String {
    URL_SAFE_NO_PAD.encode(changed.to_string())
}
