//! Keys that are derived from one master key, so that no repository needs a secret of its own.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;

use crate::ids::{ParseError, Repository};
use crate::signature::SecretKeys;

/// The minimum length of a master key, in bytes.
const MASTER_BYTES_MIN: usize = 32;
/// The length of a derived key, that of the hash of HMAC-SHA256.
const KEY_BYTES: usize = 32;

/// The key from which the keys of all repositories are derived. `Debug` output does not reveal it.
#[derive(Clone)]
pub struct MasterKey(Box<[u8]>);

impl MasterKey {
    /// The master key in a secret: its text as it is. `None` if it has fewer than 32 bytes.
    pub fn new(secret: &str) -> Option<Self> {
        (secret.len() >= MASTER_BYTES_MIN).then(|| Self(secret.as_bytes().into()))
    }

    /// The key of `repository` with the id `key_id`, by HKDF-SHA256 (RFC 5869): the master key is the input key
    /// material, there is no salt, and the info is `badgesmith/v1/{owner}/{repo}/{key id}`.
    pub fn derive(&self, repository: &Repository, key_id: KeyId) -> DerivedKey {
        let mut key = [0; KEY_BYTES];
        #[expect(clippy::expect_used, reason = "RFC 5869 allows up to 255 times the 32 bytes of the hash")]
        Hkdf::<Sha256>::new(None, &self.0)
            .expand(format!("badgesmith/v1/{repository}/{key_id}").as_bytes(), &mut key)
            .expect("32 bytes");
        DerivedKey(STANDARD.encode(key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// The key of a repository: 32 bytes in base64, as its client holds it. `Debug` output does not reveal it.
#[derive(Clone)]
pub struct DerivedKey(String);

impl DerivedKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The keys that verify signatures: the text and the bytes that it encodes.
    pub fn secret_keys(&self) -> SecretKeys {
        SecretKeys::of_text(&self.0)
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey(..)")
    }
}

/// Identifies one of the keys that a repository has had: 128 random bits, as 32 hex digits. It is no secret. Since
/// every registration and rotation makes a new one, nothing brings an old key back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// The id with these random bytes.
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for KeyId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| ParseError { expected: "a key id of 32 hex digits" })?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::HmacKey;

    const MASTER: &str = "0123456789abcdef0123456789abcdef";

    fn derive(master: &str, repository: &str, key_id: &str) -> String {
        let (repository, key_id) = (repository.parse().unwrap(), key_id.parse().unwrap());
        MasterKey::new(master).unwrap().derive(&repository, key_id).as_str().to_owned()
    }

    /// RFC 5869, A.3: without salt and info. The key material is shorter than a master key may be.
    #[test]
    fn derivation_is_the_hkdf_of_rfc_5869() {
        let mut okm = [0; 42];
        Hkdf::<Sha256>::new(None, &[0x0b; 22]).expand(b"", &mut okm).unwrap();
        assert_eq!(
            hex::encode(okm),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        );
    }

    /// Clients hold these keys, so they must be the same in every version of this crate:
    /// `openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt key:MASTER -kdfopt info:INFO HKDF`
    #[test]
    fn a_derived_key_never_changes() {
        assert_eq!(
            derive(MASTER, "Acme/Kit", "000102030405060708090a0b0c0d0e0f"),
            "RVNQmrhWyLKAEaNIefLfeGTIxsOT73jboO8nF+r493c="
        );
    }

    #[test]
    fn each_master_key_repository_and_key_id_has_its_own_key() {
        let id = "00".repeat(16);
        let keys = [
            derive(MASTER, "acme/kit", &id),
            derive("another master key of enough bytes", "acme/kit", &id),
            derive(MASTER, "acme/other", &id),
            derive(MASTER, "acme/kit", &"01".repeat(16)),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(STANDARD.decode(key).unwrap().len(), 32);
            assert!(!keys[..index].contains(key), "{index}");
        }
        let key = MasterKey::new(MASTER).unwrap().derive(&"acme/kit".parse().unwrap(), KeyId::new([0; 16]));
        let signature = HmacKey::new(key.as_str().as_bytes()).unwrap().sign(b"body");
        assert!(key.secret_keys().verify(b"body", &signature));
    }

    #[test]
    fn short_master_keys_are_rejected_and_no_key_shows_in_debug_output() {
        assert!(MasterKey::new(&MASTER[1..]).is_none());
        let master = MasterKey::new(MASTER).unwrap();
        let key = master.derive(&"acme/kit".parse().unwrap(), KeyId::new([7; 16]));
        assert_eq!(format!("{master:?} {key:?}"), "MasterKey(..) DerivedKey(..)");
        assert_eq!("7".parse::<KeyId>().unwrap_err().to_string(), "expected a key id of 32 hex digits");
    }
}
