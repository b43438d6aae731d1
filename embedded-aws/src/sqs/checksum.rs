//! MD5 digests of messages. Clients of SQS compare them with their own, and some reject a response without them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

pub(super) fn body_md5(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// The digest of message attributes, `None` without any. It covers the attributes sorted by name, each as name, data
/// type and value, with the length before each of these.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation>
pub(super) fn attributes_md5(attributes: &Map<String, Value>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let mut encoded = Vec::new();
    for (name, value) in sorted {
        put(&mut encoded, name.as_bytes());
        put(&mut encoded, value["DataType"].as_str().unwrap_or_default().as_bytes());
        if let Some(text) = value["StringValue"].as_str() {
            encoded.push(1);
            put(&mut encoded, text.as_bytes());
        } else {
            encoded.push(2);
            let bytes = STANDARD.decode(value["BinaryValue"].as_str().unwrap_or_default());
            put(&mut encoded, &bytes.unwrap_or_default());
        }
    }
    Some(format!("{:x}", md5::compute(encoded)))
}

fn put(encoded: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    encoded.extend_from_slice(&length.to_be_bytes());
    encoded.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn digests_equal_those_of_clients() {
        // RFC 1321, and `printf '\0\0\0\1a\0\0\0\6String\1\0\0\0\1b' | md5sum`.
        assert_eq!(body_md5("abc"), "900150983cd24fb0d6963f7d28e17f72");
        let attributes = json!({ "a": { "DataType": "String", "StringValue": "b" } });
        let expected = "bef8bf215374a0a228d67533b1a488be";
        assert_eq!(attributes_md5(attributes.as_object().unwrap()).as_deref(), Some(expected));
        assert_eq!(attributes_md5(&Map::new()), None);
    }
}
