//! The message on the results queue.

use serde::{Deserialize, Serialize};

use crate::test_result::{Outcome, TestResult, TestRun};

/// The newest version that this crate reads and writes.
const VERSION: u32 = 2;

/// The body of a message: `{"version":2,"result":{..}}`, with the JSON of a [`TestResult`].
///
/// Messages outlive deployments: they can stay in a queue for days and in a dead-letter queue for two weeks.
/// - New reader, old message: a field that was added later is optional for the reader.
/// - Old reader, new message: the reader ignores unknown fields, so a new field does not need a new version.
/// - A change that an old reader would misread needs a new version. An old reader rejects it, the message goes to
///   the dead-letter queue, and a replay after the deployment succeeds.
///
/// Version 2 is a result with a suite, a retirement, or a failure without failed tests. A reader of version 1 would
/// store it as a plain result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultMessage {
    version: u32,
    pub result: TestResult,
}

/// Why this version can never read a message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not JSON, or not a [`ResultMessage`].
    #[error("malformed message: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer version of BadgeSmith.
    #[error("message version {0} is newer than the supported version {VERSION}")]
    Newer(u32),
}

impl ResultMessage {
    pub fn new(result: TestResult) -> Self {
        let TestRun { suite, outcome, .. } = &result.run;
        let is_plain = suite.is_none() && Outcome::from_counts(outcome.counts()) == *outcome;
        Self { version: if is_plain { 1 } else { VERSION }, result }
    }

    /// # Errors
    /// [`MessageError`] if this version can never read `body`.
    pub fn parse(body: &str) -> Result<Self, MessageError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = match serde_json::from_str(body) {
            Ok(message @ Self { version: ..=VERSION, .. }) => return Ok(message),
            Ok(Self { version, .. }) => return Err(MessageError::Newer(version)),
            Err(error) => error,
        };
        // A newer message may have a different structure.
        match serde_json::from_str(body) {
            Ok(Versioned { version }) if version > VERSION => Err(MessageError::Newer(version)),
            Ok(_) | Err(_) => Err(MessageError::Malformed(malformed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as the first version wrote it, without optional fields. Never change it: such messages exist.
    const FIRST: &str = r#"{"version":1,"result":{"test_result_id":"6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70",
        "owner":"acme","repo":"kit","platform":"linux","branch":"main","passed":1,"failed":0,"skipped":0,
        "total":1,"timestamp":"2025-01-15T10:30:00.000Z","run_id":"7"}}"#;

    #[test]
    fn messages_of_the_first_version_parse() {
        let message = ResultMessage::parse(FIRST).unwrap();
        assert_eq!(message.result.run.run_attempt.get(), 1);
        assert_eq!(ResultMessage::parse(&serde_json::to_string(&message).unwrap()).unwrap(), message);
    }

    #[test]
    fn only_results_that_the_first_version_would_misread_have_a_new_version() {
        let version = |fields: &str| {
            let body = FIRST.replace(r#""run_id":"7""#, &format!(r#""run_id":"7"{fields}"#));
            ResultMessage::new(ResultMessage::parse(&body).unwrap().result).version
        };
        assert_eq!(version(""), 1);
        assert_eq!(version(r#","conclusion":"success","default_branch":"main""#), 1);
        for fields in [r#","suite":"unit""#, r#","conclusion":"failure""#, r#","retire":true"#] {
            assert_eq!(version(fields), 2, "{fields}");
        }
    }

    #[test]
    fn unknown_fields_of_a_message_are_ignored() {
        let later = FIRST.replace(r#""run_id":"7""#, r#""run_id":"7","duration_ms":12"#);
        assert_eq!(ResultMessage::parse(&later).unwrap(), ResultMessage::parse(FIRST).unwrap());
    }

    #[test]
    fn newer_and_malformed_messages_are_rejected() {
        let newer = r#"{"version":3,"results":[]}"#;
        assert!(matches!(ResultMessage::parse(newer), Err(MessageError::Newer(3))));
        for malformed in ["", "null", "{}", r#"{"version":1}"#, &FIRST.replace("\"total\":1", "\"total\":2")]
        {
            assert!(
                matches!(ResultMessage::parse(malformed), Err(MessageError::Malformed(_))),
                "{malformed}"
            );
        }
    }
}
