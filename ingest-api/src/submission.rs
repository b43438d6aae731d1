//! A submission: [`Unverified`] until its signature or ID token is verified, [`Submission`] from then on.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use badgesmith_api::error_response::ValidationErrors;
use badgesmith_api::http::Request;
use badgesmith_api::route::RawTarget;
use badgesmith_domain::id_token::{Purpose, UnverifiedIdToken};
use badgesmith_domain::ids::{ParseError, Repository};
use badgesmith_domain::key::{self, ReservationKey, ResultRange};
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::signature::{Digest, SecretKeys, Signature};
use badgesmith_domain::test_result::{TestResult, TestResultId, TestRun};
use badgesmith_domain::timestamp::Timestamp;

use crate::body::Body;
use crate::error::{Reason, SubmitError};

/// A larger body is rejected before it is parsed.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// A signature is valid for this long after the timestamp that it covers.
const AGE_MAX: Duration = Duration::from_mins(5);
/// A client's clock may be this far ahead of the server's.
const LEAD_MAX: Duration = Duration::from_mins(1);

const SIGNATURE_HEADER: &str = "X-Signature";
const ID_TOKEN_HEADER: &str = "X-Id-Token";
/// Accepted instead of [`ID_TOKEN_HEADER`], but the CDN does not forward it.
const AUTHORIZATION_HEADER: &str = "Authorization";
const REPOSITORY_HEADER: &str = "X-Repo-Secret";
const TIMESTAMP_HEADER: &str = "X-Timestamp";

/// A well-formed request from an unknown sender.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    body: Cow<'a, [u8]>,
    proof: Proof,
    /// The repository whose key the client claims to have used.
    claimed: Option<Repository>,
    /// `X-Timestamp`, if it parses.
    header_timestamp: Option<Timestamp>,
    run: TestRun,
    reservation: ReservationKey,
}

/// How a client proves that it may submit results of the repository.
#[derive(Debug)]
pub(crate) enum Proof {
    Signature(Signature),
    IdToken(Box<UnverifiedIdToken>),
}

/// A result of the repository that it names.
#[derive(Debug)]
pub(crate) struct Submission {
    /// The partition key of its reservation.
    pub(crate) partition: String,
    /// The digest of everything that was submitted: the body, and the names in the path.
    pub(crate) digest: Digest,
    pub(crate) result: TestResult,
    header_timestamp: Option<Timestamp>,
}

impl<'a> Unverified<'a> {
    /// Reads a request whose names are in its path, or else in its body.
    ///
    /// # Errors
    /// [`SubmitError::TooLarge`], or [`SubmitError::Malformed`] with all errors.
    pub(crate) fn read(request: Request<'a>, path: Option<&RawTarget<'_>>) -> Result<Self, SubmitError> {
        let body = request.body(BODY_BYTES_MAX).ok_or(SubmitError::TooLarge(BODY_BYTES_MAX))?;
        let mut errors = ValidationErrors::default();
        let id_token = IdTokenHeader::find(request, path.is_some());
        let needs_repository = path.is_none() && id_token.is_none();
        let proof = match id_token {
            None => header(request, SIGNATURE_HEADER, true, &mut errors).map(Proof::Signature),
            Some(header) => header
                .parse(request, path.is_some(), &mut errors)
                .map(|token| Proof::IdToken(Box::new(token))),
        };
        let claimed = header(request, REPOSITORY_HEADER, needs_repository, &mut errors);
        let header_timestamp = path.and_then(|_| request.header(TIMESTAMP_HEADER)?.parse().ok());
        let mut fields = Body::parse(&body, errors).map_err(SubmitError::Malformed)?;
        let (Some((run, nonce)), Some(proof), true) = (fields.read(path), proof, fields.errors.is_empty())
        else {
            return Err(SubmitError::Malformed(fields.errors));
        };
        let reservation =
            nonce.map_or_else(|| ReservationKey::Body(Digest::of(&body)), ReservationKey::Nonce);
        Ok(Self { body, proof, claimed, header_timestamp, run, reservation })
    }

    pub(crate) fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The repository that the client must belong to.
    pub(crate) fn repository(&self) -> &Repository {
        &self.run.repository
    }

    /// # Errors
    /// [`SubmitError::Unauthorized`] if the client claims to have used another repository's key.
    pub(crate) fn check_claimed_repository(&self) -> Result<(), SubmitError> {
        match &self.claimed {
            Some(claimed) if claimed != self.repository() => {
                Err(SubmitError::Unauthorized(self.repository().clone(), Reason::RepositoryMismatch))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What an ID token must be for.
    pub(crate) fn purpose<'b>(&'b self, services: &'b [ServiceUrl]) -> Purpose<'b> {
        let TestRun { repository, branch, .. } = &self.run;
        Purpose { services, body: Digest::of(&self.body), repository, branch }
    }

    /// Whether one of `keys` has made the signature over the body.
    pub(crate) fn is_signed(&self, signature: &Signature, keys: &[SecretKeys]) -> bool {
        keys.iter().any(|keys| keys.verify(&self.body, signature))
    }

    /// The submission, once its proof is verified.
    pub(crate) fn into_submission(self) -> Submission {
        let TestRun { repository, platform, branch, .. } = &self.run;
        let partition = key::reservation_partition(repository, &self.reservation);
        let target = (key::results_partition(repository), ResultRange::Branch(*platform, branch).prefix());
        let digest = Digest::of(&[target.0.as_bytes(), target.1.as_bytes(), b"\n", &self.body].concat());
        Submission {
            result: TestResult { id: TestResultId::derive(&partition, &digest), run: self.run },
            partition,
            digest,
            header_timestamp: self.header_timestamp,
        }
    }
}

impl Submission {
    /// # Errors
    /// [`SubmitError::NotFresh`] if its timestamp, or `X-Timestamp`, is too old or too far ahead.
    pub(crate) fn check_fresh(&self, now: Timestamp) -> Result<(), SubmitError> {
        let is_fresh = |time: Timestamp| now.since(time) <= AGE_MAX && time.since(now) <= LEAD_MAX;
        let TestRun { repository, timestamp, .. } = &self.result.run;
        if !is_fresh(*timestamp) {
            return Err(SubmitError::NotFresh(repository.clone(), "timestamp"));
        }
        if self.header_timestamp.is_some_and(|time| !is_fresh(time)) {
            return Err(SubmitError::NotFresh(repository.clone(), TIMESTAMP_HEADER));
        }
        Ok(())
    }
}

/// The header with an ID token.
struct IdTokenHeader<'a> {
    name: &'static str,
    value: &'a str,
}

impl<'a> IdTokenHeader<'a> {
    /// The header with the request's ID token, if any. `Authorization` is ignored in a signed request and in the older
    /// form, where it may be for a proxy.
    fn find(request: Request<'a>, is_path_form: bool) -> Option<Self> {
        if let Some(value) = request.header(ID_TOKEN_HEADER) {
            return Some(Self { name: ID_TOKEN_HEADER, value: value.trim() });
        }
        if is_path_form || request.header(SIGNATURE_HEADER).is_some() {
            return None;
        }
        let (scheme, value) = request.header(AUTHORIZATION_HEADER)?.trim().split_once(' ')?;
        let is_token = scheme.eq_ignore_ascii_case("bearer");
        is_token.then_some(Self { name: AUTHORIZATION_HEADER, value: value.trim() })
    }

    fn parse(
        self,
        request: Request<'_>,
        is_path_form: bool,
        errors: &mut ValidationErrors,
    ) -> Option<UnverifiedIdToken> {
        if is_path_form {
            // The names in the path are not in the body, which the token is for.
            errors.push(self.name, "expected no ID token on a path with names: post to /tests/results");
            return None;
        }
        if request.header(SIGNATURE_HEADER).is_some() {
            errors.push(self.name, "expected a signature or an ID token, not both");
            return None;
        }
        errors.check(self.name, self.value.parse())
    }
}

fn header<T: FromStr<Err = ParseError>>(
    request: Request<'_>,
    name: &'static str,
    required: bool,
    errors: &mut ValidationErrors,
) -> Option<T> {
    let Some(text) = request.header(name) else {
        if required {
            errors.push(name, "the header is missing");
        }
        return None;
    };
    errors.check(name, text.trim().parse())
}
