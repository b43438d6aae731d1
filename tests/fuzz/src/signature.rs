//! The headers of a submission, and the secret of a repository.

use badgesmith_domain::ids::Repository;
use badgesmith_domain::signature::{HmacKey, KEY_BYTES_MIN, SecretKeys, Signature};

use super::round_trip;

const KEY: [u8; KEY_BYTES_MIN] = *b"0123456789abcdef";

pub fn check(bytes: &[u8]) {
    let key = HmacKey::new(KEY).expect("the key is long enough");
    let signature = key.sign(bytes);
    assert!(key.verifies(bytes, &signature));
    assert_eq!(round_trip(&signature.to_string()), Some(signature.clone()));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(claimed) = round_trip::<Signature>(text) {
        assert_eq!(claimed.to_string(), text.to_ascii_lowercase());
        assert!(text.starts_with("sha256="));
        assert_eq!(key.verifies(bytes, &claimed), claimed == signature);
    }
    if let Some(repository) = round_trip::<Repository>(text) {
        assert_eq!(repository.to_string(), text.to_ascii_lowercase());
    }
    check_secret(text);
}

fn check_secret(text: &str) {
    match SecretKeys::parse(text) {
        Ok(keys) => {
            let shown = format!("{keys:?}").replace("HmacKey(..)", "");
            assert!(shown.len() < 20, "keys are not shown: {shown}");
            let signature = HmacKey::new(KEY).map(|key| key.sign(b"{}"));
            let is_valid = signature.is_some_and(|signature| keys.verify(b"{}", &signature));
            // The key as text, in base64, or in JSON with escapes.
            let has_key = ["0123456789abcdef", "MDEyMzQ1Njc4OWFiY2RlZg==", "\\"];
            assert!(!is_valid || has_key.iter().any(|key| text.contains(key)), "{text:?}");
        }
        Err(error) => assert!(error.to_string().len() < 100, "an error shows nothing of the secret"),
    }
}
