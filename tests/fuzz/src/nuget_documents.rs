//! The JSON documents of a NuGet feed.

use badgesmith_domain::version::{Scheme, Version};
use refresher::documents::{self, RegistrationIndex};
use url::Url;

/// Errors are logged, and must not quote a whole document of up to 32 MB.
const ERROR_BYTES_MAX: usize = 1000;

pub fn check(bytes: &[u8]) {
    for (scheme, address) in
        [("https", "https://feed.test/v3/index.json"), ("http", "http://[::1]/index.json")]
    {
        let url = Url::parse(address).expect("a URL");
        match documents::service_index(&url, bytes) {
            Ok(bases) => check_bases(scheme, &bases),
            Err(error) => assert!(error.len() <= ERROR_BYTES_MAX, "{error}"),
        }
        match documents::registration(&url, bytes) {
            Ok(Some(index)) => check_registration(scheme, &index),
            Ok(None) => {}
            Err(error) => assert!(error.len() <= ERROR_BYTES_MAX, "{error}"),
        }
        for version in documents::flat_container(&url, bytes).into_iter().flatten() {
            check_version(&version);
        }
    }
}

fn check_bases(scheme: &str, bases: &[Url]) {
    assert!(!bases.is_empty());
    for base in bases {
        check_url(scheme, base);
        let index = base.join("acme.kit/index.json").expect("a base URL");
        assert_eq!(index.origin(), base.origin(), "a package is on the host of its base: {index}");
    }
}

fn check_url(scheme: &str, url: &Url) {
    assert!(url.scheme() == "https" || url.scheme() == scheme, "{url}");
}

fn check_registration(scheme: &str, index: &RegistrationIndex) {
    let RegistrationIndex { listed, unlisted, stored, pages } = index;
    assert!(pages.len() <= 512);
    pages.iter().flatten().for_each(|page| check_url(scheme, page));
    listed.iter().for_each(check_version);
    assert_eq!(stored.is_some(), !pages.is_empty());
    if let Some(stored) = stored {
        let again = stored.iter().map(|text| Scheme::NuGet.parse_stored(text));
        assert!(again.eq(listed.iter().cloned().map(Some)), "{stored:?}");
    }
    for version in unlisted {
        assert!(version.to_string().len() <= 256);
    }
}

fn check_version(version: &Version) {
    assert_eq!(Scheme::NuGet.parse_stored(&version.stored()).as_ref(), Some(version));
}
