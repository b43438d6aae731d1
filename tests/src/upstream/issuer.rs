//! GitHub's issuer of ID tokens: discovery, key set, and the endpoint where a job requests its token.

use badgesmith_aws::clock::Clock;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::document::{Document, JSON, Stamp, response};
use crate::client::with;
use crate::id_token::{KEYS, claims};

#[derive(Debug)]
pub(super) struct Issuer {
    url: String,
    discovery: Document,
    key_set: Document,
    changes: u64,
}

impl Issuer {
    /// An issuer with the first of [`KEYS`].
    pub(super) fn new(url: String) -> Self {
        let discovery = json!({
            "issuer": url, "jwks_uri": format!("{url}/.well-known/jwks"),
            "subject_types_supported": ["public", "pairwise"], "response_types_supported": ["id_token"],
            "claims_supported": ["sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref", "repository"],
            "id_token_signing_alg_values_supported": ["RS256"], "scopes_supported": ["openid"],
        });
        let key_set = json!({ "keys": [KEYS[0].jwk()] });
        let document = |json: &Value| Document::strong(json.to_string(), Stamp(0));
        Self { discovery: document(&discovery), key_set: document(&key_set), url, changes: 0 }
    }

    pub(super) fn set_key_set(&mut self, key_set: &Value) {
        self.key_set = self.changed(key_set);
    }

    pub(super) fn set_discovery(&mut self, discovery: &Value) {
        self.discovery = self.changed(discovery);
    }

    fn changed(&mut self, json: &Value) -> Document {
        self.changes += 1;
        Document::strong(json.to_string(), Stamp(self.changes))
    }

    pub(super) fn answer(&self, path: &str, query: &str, headers: &HeaderMap) -> Response<Bytes> {
        match path {
            "/.well-known/openid-configuration" => self.discovery.answer(headers, false),
            "/.well-known/jwks" => self.key_set.answer(headers, false),
            "/idtoken" => self.issue(query, headers),
            _ => response(404, "text/plain", "not found"),
        }
    }

    /// `GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=...`, with the job's token.
    fn issue(&self, query: &str, headers: &HeaderMap) -> Response<Bytes> {
        let Some(changed) = requested_claims(headers) else {
            return response(401, JSON, json!({ "message": "invalid request token" }).to_string());
        };
        let audience = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "audience");
        let audience = audience.map_or_else(|| "https://github.com/acme".into(), |(_, audience)| audience);
        let claims = with(claims(&self.url, &audience, Clock::System.now()), &changed);
        response(200, JSON, json!({ "count": 1, "value": KEYS[0].token(&claims) }).to_string())
    }
}

/// The claims in a job's request token, which [`crate::id_token::request_token`] makes.
fn requested_claims(headers: &HeaderMap) -> Option<Value> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let claims = URL_SAFE_NO_PAD.decode(token).ok().filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
    serde_json::from_slice(&claims).ok().filter(Value::is_object)
}
