//! The request that `--dry-run` prints instead of sending it.

use std::fmt;

use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::signature::Digest;
use badgesmith_domain::test_result::TestRun;
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use super::payload::body;
use super::proof::Proof;
use super::urls::results_url;

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
    /// What the token would be. None with a key, and outside of a job that may request tokens.
    #[serde(rename = "X-Id-Token", skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl DryRun {
    pub(crate) fn new(
        service: &ServiceUrl,
        test_run: &TestRun,
        proof: Option<&Proof>,
        now: Timestamp,
    ) -> Self {
        let body = body(test_run, now);
        let (signature, id_token) = match proof {
            Some(Proof::Key(key)) => (Some(key.sign(body.as_bytes()).to_string()), None),
            Some(Proof::IdToken(_)) => {
                let audience = service.audience(&Digest::of(body.as_bytes()));
                (None, Some(format!("(an OIDC token of this job for {audience})")))
            }
            None => (None, None),
        };
        let headers = Headers {
            content_type: "application/json",
            repository: test_run.repository.to_string(),
            signature,
            id_token,
        };
        Self { method: "POST", url: results_url(service), headers, body }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, headers, body } = self;
        writeln!(f, "{method} {url}")?;
        writeln!(f, "Content-Type: {}", headers.content_type)?;
        writeln!(f, "X-Repo-Secret: {}", headers.repository)?;
        match &headers.id_token {
            Some(token) => writeln!(f, "X-Id-Token: {token}")?,
            None => writeln!(f, "X-Signature: {}", headers.signature.as_deref().unwrap_or("(no key)"))?,
        }
        write!(f, "\n{body}")
    }
}

#[cfg(test)]
mod tests {
    use badgesmith_domain::signature::HmacKey;

    use super::super::payload::testing::test_run;
    use super::*;

    #[test]
    fn a_dry_run_has_the_whole_request() {
        let service = "https://badges.test".parse().unwrap();
        let key = HmacKey::new(*b"0123456789abcdef").unwrap();
        let proof = Proof::Key(key.clone());
        let mut request =
            DryRun::new(&service, &test_run(), Some(&proof), "2026-01-15T10:31:00Z".parse().unwrap());
        let signature = request.headers.signature.replace("[signature]".to_owned());
        assert_eq!(signature, Some(key.sign(request.body.as_bytes()).to_string()));
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        request.body = request.body.replace(body["nonce"].as_str().unwrap(), "[nonce]");
        insta::assert_json_snapshot!(request, @r#"
        {
          "method": "POST",
          "url": "https://badges.test/tests/results",
          "headers": {
            "Content-Type": "application/json",
            "X-Repo-Secret": "acme/kit",
            "X-Signature": "[signature]"
          },
          "body": "{\"owner\":\"acme\",\"repo\":\"kit\",\"platform\":\"linux\",\"branch\":\"main\",\"passed\":190,\"failed\":2,\"skipped\":1,\"total\":193,\"conclusion\":\"failure\",\"timestamp\":\"2026-01-15T10:31:00.000Z\",\"nonce\":\"[nonce]\",\"run_id\":\"1\",\"run_attempt\":1}"
        }
        "#);
    }
}
