//! The request that submits a run.

use badgesmith_domain::ids::Nonce;
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::signature::Digest;
use badgesmith_domain::test_result::TestRun;
use badgesmith_domain::timestamp::Timestamp;
use reqwest::Client;
use uuid::Uuid;

use super::id_token::{IdToken, TokenError};
use super::proof::Proof;

/// A request with its proof. Every retry sends the same bytes.
#[derive(Debug, Clone)]
pub(crate) struct ResultRequest {
    pub(crate) body: String,
    pub(crate) proof: ProofHeader,
    /// `OWNER/REPO`, for the header `X-Repo-Secret`.
    pub(crate) repository: String,
    pub(crate) timestamp: Timestamp,
}

/// The header that proves the repository of a request.
#[derive(Debug, Clone)]
pub(crate) enum ProofHeader {
    /// `X-Signature`
    Signature(String),
    /// `X-Id-Token`
    IdToken(IdToken),
}

impl ResultRequest {
    /// A request for `run` with the timestamp `now` and a new nonce.
    ///
    /// # Errors
    /// [`TokenError`] if the proof is a token that the CI system does not issue.
    pub(crate) async fn new(
        client: &Client,
        service: &ServiceUrl,
        run: &TestRun,
        proof: &Proof,
        now: Timestamp,
    ) -> Result<Self, TokenError> {
        let body = body(run, now);
        let proof = match proof {
            Proof::Key(key) => ProofHeader::Signature(key.sign(body.as_bytes()).to_string()),
            Proof::IdToken(endpoint) => ProofHeader::IdToken(
                endpoint.request(client, &service.audience(&Digest::of(body.as_bytes()))).await?,
            ),
        };
        Ok(Self { body, proof, repository: run.repository.to_string(), timestamp: now })
    }
}

/// The body of the request, with the timestamp `now` and a new nonce.
#[expect(clippy::expect_used, reason = "a UUID is a nonce, and strings and integers are always JSON")]
pub(crate) fn body(run: &TestRun, now: Timestamp) -> String {
    let nonce: Nonce = Uuid::new_v4().to_string().parse().expect("36 visible characters");
    TestRun { timestamp: now, ..run.clone() }.to_body(&nonce).expect("a flat object")
}

#[cfg(test)]
pub(crate) mod testing {
    use badgesmith_domain::test_result::{Counts, Outcome, TestRun};

    pub(crate) fn test_run() -> TestRun {
        TestRun::new(
            "acme/kit".parse().unwrap(),
            "linux".parse().unwrap(),
            "main".parse().unwrap(),
            Outcome::new(Counts::new(190, 2, 1, 193).unwrap(), None).unwrap(),
            "2026-01-15T10:30:00Z".parse().unwrap(),
            "1".parse().unwrap(),
        )
    }
}
