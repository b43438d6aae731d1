//! The keys of the issuer of ID tokens, cached in memory.

use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use badgesmith_aws::dynamodb::Issuers;
use badgesmith_domain::id_token::{Claims, UnverifiedIdToken};
use badgesmith_domain::issuer::{Issuer, KeySet, RsaKey};
use badgesmith_domain::timestamp::Timestamp;
use tokio::sync::Mutex;

use crate::error::SubmitError;

/// The keys are read again after this long, and never used for longer.
const LIFETIME: Duration = Duration::from_hours(1);
/// For a key that is not among them, they are read again at most this often.
const RELOAD_AFTER: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct IssuerKeys {
    issuers: Issuers,
    issuer: Issuer,
    /// Held during a read, so that requests at the same time share it.
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    /// `None` if the refresher has not fetched any yet.
    keys: Option<KeySet>,
    read_at: Option<Timestamp>,
}

impl IssuerKeys {
    pub(crate) fn new(issuers: Issuers, issuer: Issuer) -> Self {
        Self { issuers, issuer, cache: Mutex::default() }
    }

    /// The claims of a token that one of the issuer's keys has signed; `None` if none has.
    ///
    /// # Errors
    /// [`SubmitError::UnknownSigningKey`] if the issuer's key with that id is not known, perhaps because it is new.
    /// [`SubmitError::Unavailable`] if the keys cannot be read.
    pub(crate) async fn verify<'a>(
        &self,
        token: &'a UnverifiedIdToken,
        now: Timestamp,
    ) -> Result<Option<&'a Claims>, SubmitError> {
        if token.issuer() != self.issuer.as_str() {
            return Ok(None);
        }
        let keys = self.keys(token.key_id(), now).await?;
        Ok(token.verified(|signed, signature| keys.iter().any(|key| verifies(key, signed, signature))))
    }

    async fn keys(&self, id: &str, now: Timestamp) -> Result<Vec<RsaKey>, SubmitError> {
        let mut cache = self.cache.lock().await;
        if cache.read_at.is_some_and(|read_at| read_at.is_recent(now, LIFETIME)) {
            let keys = cache.with_id(id);
            if !keys.is_empty() {
                return Ok(keys);
            }
        }
        if let Some(read_at) = cache.read_at.filter(|read_at| read_at.is_recent(now, RELOAD_AFTER)) {
            return Err(SubmitError::UnknownSigningKey(read_at.plus(RELOAD_AFTER).since(now)));
        }
        cache.keys = self.issuers.keys(&self.issuer).await?;
        cache.read_at = Some(now);
        let keys = cache.with_id(id);
        if keys.is_empty() { Err(SubmitError::UnknownSigningKey(RELOAD_AFTER)) } else { Ok(keys) }
    }
}

impl Cache {
    fn with_id(&self, id: &str) -> Vec<RsaKey> {
        self.keys.iter().flat_map(|keys| keys.keys(id)).cloned().collect()
    }
}

/// RS256 (RFC 7518, 3.3). Aws-lc checks the padding strictly, and rejects weak keys.
fn verifies(key: &RsaKey, signed: &[u8], signature: &[u8]) -> bool {
    let key = RsaPublicKeyComponents { n: &key.modulus, e: &key.exponent };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
}
