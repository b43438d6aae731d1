//! The ID token of a CI job, which says which repository the job belongs to and what started it: a JSON Web Token
//! (RFC 7519) in the compact form of a JSON Web Signature (RFC 7515), with the claims of GitHub Actions:
//! <https://docs.github.com/en/actions/reference/security/oidc>

mod job;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, de};
use serde_json::Value;

pub use self::job::Job;

use crate::ids::{Branch, ParseError, Repository};
use crate::registration::AccountIds;
use crate::service_url::{DIGEST_MARK, ServiceUrl};
use crate::signature::Digest;
use crate::timestamp::Timestamp;

/// The longest token, in bytes. GitHub's have about 2,000, and an HTTP API accepts 10,240 of all headers together.
pub const ID_TOKEN_BYTES_MAX: usize = 8192;
/// By how much the clocks of an issuer and of this service may differ.
const LEEWAY: Duration = Duration::from_mins(1);

/// A well-formed token of an unknown sender. Of its claims, only the issuer can be read before [`Self::verified`].
#[derive(Clone)]
pub struct UnverifiedIdToken {
    /// The header and the claims, as they are signed.
    signed: String,
    signature: Vec<u8>,
    key_id: String,
    claims: Claims,
}

/// The claims of a token. They are verified once [`UnverifiedIdToken::verified`] returns them.
#[derive(Debug, Clone)]
pub struct Claims {
    issuer: String,
    audience: String,
    expires: Timestamp,
    not_before: Option<Timestamp>,
    issued: Timestamp,
    pub repository: Repository,
    pub ids: AccountIds,
    pub job: Job,
}

/// What a token must be for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// The addresses of this service.
    pub services: &'a [ServiceUrl],
    /// The digest of the request's body.
    pub body: Digest,
    pub repository: &'a Repository,
    pub branch: &'a Branch,
}

/// Why a verified token does not prove what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Another service or another body.
    Audience,
    Expired,
    NotYetValid,
    /// Issued in the future.
    IssuedAhead,
    Repository,
    /// The job may not report for this branch.
    Branch,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    /// Extensions that a recipient must understand.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

#[derive(Deserialize)]
struct RawAudience {
    aud: String,
}

/// Unknown claims are ignored, since issuers add new ones. A claim that occurs twice is an error.
#[derive(Deserialize)]
struct RawClaims {
    iss: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    iat: i64,
    repository: String,
    #[serde(deserialize_with = "id")]
    repository_id: u64,
    #[serde(deserialize_with = "id")]
    repository_owner_id: u64,
    event_name: String,
    #[serde(rename = "ref")]
    reference: String,
}

/// An error depends on nothing but the token, so it reveals nothing about repositories.
impl FromStr for UnverifiedIdToken {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts: Vec<_> = text.split('.').collect();
        let [header, payload, signature] = *parts else { return Err(Self::FORM) };
        if text.len() > ID_TOKEN_BYTES_MAX {
            return Err(Self::FORM);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Self::FORM);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let Header { alg, kid, crit } = serde_json::from_slice(&header).map_err(|_| Self::HEADER)?;
        if alg != "RS256" || kid.is_empty() || crit {
            return Err(Self::HEADER);
        }
        let RawAudience { aud } = serde_json::from_slice(&payload).map_err(|_| Self::AUDIENCE)?;
        if !has_digest(&aud) {
            return Err(Self::AUDIENCE);
        }
        let claims = serde_json::from_slice(&payload).map_err(|_| Self::CLAIMS)?;
        let claims = Claims::new(claims, aud).ok_or(Self::CLAIMS)?;
        let signed = text.rsplit_once('.').map(|(signed, _)| signed.to_owned()).unwrap_or_default();
        Ok(Self { signed, signature, key_id: kid, claims })
    }
}

impl UnverifiedIdToken {
    const FORM: ParseError =
        ParseError { expected: "a JSON Web Signature in compact form with at most 8192 bytes" };
    const HEADER: ParseError =
        ParseError { expected: "a header with the algorithm RS256, a kid and no crit" };
    const AUDIENCE: ParseError = ParseError {
        expected: "one audience, SERVICE/sha256/ and the hex SHA-256 of the body; CI systems whose jobs cannot choose \
                   the audience, such as GitLab, need a key",
    };
    const CLAIMS: ParseError = ParseError {
        expected: "the claims iss, exp, iat, repository, repository_id, repository_owner_id, event_name and ref, each \
                   once",
    };

    /// The issuer that the unverified token claims.
    pub fn issuer(&self) -> &str {
        &self.claims.issuer
    }

    /// The id of the key that the unverified token claims to be signed with.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The claims, if `verify` accepts the signature, its second parameter, over the bytes of its first one.
    pub fn verified(&self, verify: impl FnOnce(&[u8], &[u8]) -> bool) -> Option<&Claims> {
        verify(self.signed.as_bytes(), &self.signature).then_some(&self.claims)
    }
}

/// A token is a secret until it has expired.
impl fmt::Debug for UnverifiedIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedIdToken(..)")
    }
}

impl Claims {
    fn new(raw: RawClaims, audience: String) -> Option<Self> {
        let time = |seconds: i64| Some(Timestamp::from_unix_milliseconds(seconds.checked_mul(1000)?));
        Some(Self {
            issuer: raw.iss,
            audience,
            expires: time(raw.exp)?,
            not_before: match raw.nbf {
                Some(seconds) => Some(time(seconds)?),
                None => None,
            },
            issued: time(raw.iat)?,
            repository: raw.repository.parse().ok()?,
            ids: AccountIds { repository: raw.repository_id, owner: raw.repository_owner_id },
            job: Job { event: raw.event_name, reference: raw.reference },
        })
    }

    /// # Errors
    /// The first rule that the claims break.
    pub fn check(&self, purpose: Purpose<'_>, now: Timestamp) -> Result<(), Rejection> {
        let Purpose { services, body, repository, branch } = purpose;
        if !services.iter().any(|service| service.audience(&body) == self.audience) {
            Err(Rejection::Audience)
        } else if self.expires.plus(LEEWAY) <= now {
            Err(Rejection::Expired)
        } else if self.not_before.is_some_and(|time| time > now.plus(LEEWAY)) {
            Err(Rejection::NotYetValid)
        } else if self.issued > now.plus(LEEWAY) {
            Err(Rejection::IssuedAhead)
        } else if self.repository != *repository {
            Err(Rejection::Repository)
        } else if !self.job.may_report_for(branch) {
            Err(Rejection::Branch)
        } else {
            Ok(())
        }
    }
}

/// Whether an audience ends with a digest, whatever its service.
fn has_digest(audience: &str) -> bool {
    let digest = audience.rsplit_once(DIGEST_MARK).map(|(_, digest)| digest);
    digest.is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a member occurs at all, even as `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// A number, in a string as GitHub writes it or not.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = value.as_u64().or_else(|| {
        let text = value.as_str()?;
        text.parse().ok().filter(|number: &u64| number.to_string() == text)
    });
    number.ok_or_else(|| de::Error::custom("expected a number"))
}
