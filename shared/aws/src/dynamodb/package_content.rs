//! The items `VERSIONS` and `UPSTREAM` of a package: its versions and its validators, compressed (zlib, RFC 1950).

use std::io::{Read, Write};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use badgesmith_domain::package_record::Validators;
use badgesmith_domain::version::{Scheme, Version, Versions};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::{Item, StoreError};
use crate::sdk::AwsError;

pub(super) const CONTENT: &str = "Content";

/// The largest compressed content: an item has at most 400 KB.
const COMPRESSED_BYTES_MAX: usize = 350 * 1024;
/// Content that decompresses to more was not written here.
const PLAIN_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// `versions` as an attribute; fewer of them if not all fit into an item.
pub(super) fn from_versions(versions: &Versions) -> Result<AttributeValue, AwsError> {
    let mut kept = versions.len();
    loop {
        let lines: Vec<_> = versions.truncated(kept).iter().map(Version::stored).collect();
        let content = compress(lines.join("\n").as_bytes())?;
        if content.len() <= COMPRESSED_BYTES_MAX || kept == 0 {
            return Ok(AttributeValue::B(Blob::new(content)));
        }
        kept /= 2;
    }
}

pub(super) fn to_versions(scheme: Scheme, item: &Item) -> Result<Versions, StoreError> {
    let text = decompress(item)?;
    let versions = text.lines().map(|line| scheme.parse_stored(line)).collect::<Option<Versions>>();
    versions.ok_or_else(|| StoreError::corrupt(item, "invalid version"))
}

/// `validators` as an attribute; none of them if they do not fit into an item.
pub(super) fn from_validators(validators: &Validators) -> Result<AttributeValue, AwsError> {
    let plain =
        serde_json::to_vec(validators).map_err(|error| AwsError::unexpected("encoding validators", error))?;
    let mut content = compress(&plain)?;
    if content.len() > COMPRESSED_BYTES_MAX {
        content = compress(b"{}")?;
    }
    Ok(AttributeValue::B(Blob::new(content)))
}

pub(super) fn to_validators(item: &Item) -> Result<Validators, StoreError> {
    serde_json::from_str(&decompress(item)?).map_err(|error| StoreError::corrupt(item, error.to_string()))
}

fn compress(plain: &[u8]) -> Result<Vec<u8>, AwsError> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.map_err(|error| AwsError::unexpected("compressing an item", error))
}

fn decompress(item: &Item) -> Result<String, StoreError> {
    let content = item.get(CONTENT).and_then(|value| value.as_b().ok());
    let content = content.ok_or_else(|| StoreError::corrupt(item, "no content"))?;
    let mut text = String::new();
    let mut plain = ZlibDecoder::new(content.as_ref()).take(PLAIN_BYTES_MAX);
    plain.read_to_string(&mut text).map_err(|error| StoreError::corrupt(item, error.to_string()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_versions_are_kept_when_not_all_fit() {
        let item = |content| Item::from([(CONTENT.to_owned(), content)]);
        let few: Versions =
            ["1.0.0", "2.0.0-Beta.1"].iter().filter_map(|text| Scheme::NuGet.parse(text)).collect();
        assert_eq!(to_versions(Scheme::NuGet, &item(from_versions(&few).unwrap())).unwrap(), few);
        assert_eq!(
            to_versions(Scheme::NuGet, &item(from_versions(&Versions::default()).unwrap())).unwrap().len(),
            0
        );
        // Random labels, which no compression makes smaller.
        let mut random = fastrand::Rng::with_seed(7);
        let noise = |random: &mut fastrand::Rng| -> String {
            std::iter::repeat_with(|| random.alphanumeric()).take(200).collect()
        };
        let many: Versions = (0..10_000)
            .filter_map(|major| Scheme::NuGet.parse(&format!("{major}.0.0-{}", noise(&mut random))))
            .collect();
        let content = from_versions(&many).unwrap();
        assert!(content.as_b().unwrap().as_ref().len() <= COMPRESSED_BYTES_MAX);
        let kept = to_versions(Scheme::NuGet, &item(content)).unwrap();
        assert!(kept.len() >= 1000, "{}", kept.len());
        assert_eq!(kept.iter().next(), many.iter().next());
    }
}
