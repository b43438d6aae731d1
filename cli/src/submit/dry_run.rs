//! The request that `--dry-run` prints instead of sending it.

use std::fmt;

use badgesmith_domain::signature::HmacKey;
use badgesmith_domain::test_result::TestRun;
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use super::payload::body;
use super::urls::ServiceUrl;

/// Serializes to the parts of the request, and displays as an HTTP/1.1 message.
#[derive(Debug, Serialize)]
pub(crate) struct DryRun {
    method: &'static str,
    url: String,
    headers: Headers,
    body: String,
}

#[derive(Debug, Serialize)]
struct Headers {
    #[serde(rename = "Content-Type")]
    content_type: &'static str,
    #[serde(rename = "X-Repo-Secret")]
    repository: String,
    /// None without a key.
    #[serde(rename = "X-Signature")]
    signature: Option<String>,
}

impl DryRun {
    pub(crate) fn new(
        service: &ServiceUrl,
        test_run: &TestRun,
        key: Option<&HmacKey>,
        now: Timestamp,
    ) -> Self {
        let body = body(test_run, now);
        let headers = Headers {
            content_type: "application/json",
            repository: test_run.repository.to_string(),
            signature: key.map(|key| key.sign(body.as_bytes()).to_string()),
        };
        Self { method: "POST", url: service.results(), headers, body }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, headers, body } = self;
        writeln!(f, "{method} {url}")?;
        writeln!(f, "Content-Type: {}", headers.content_type)?;
        writeln!(f, "X-Repo-Secret: {}", headers.repository)?;
        writeln!(f, "X-Signature: {}", headers.signature.as_deref().unwrap_or("(no key)"))?;
        write!(f, "\n{body}")
    }
}
