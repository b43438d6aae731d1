//! A submission: [`Unverified`] until one of its repository's keys has verified it, [`Submission`] from then on.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use badgesmith_api::error_response::ValidationErrors;
use badgesmith_api::http::Request;
use badgesmith_api::route::RawTarget;
use badgesmith_domain::ids::{ParseError, Repository};
use badgesmith_domain::key::{self, ReservationKey, ResultRange};
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
const REPOSITORY_HEADER: &str = "X-Repo-Secret";
const TIMESTAMP_HEADER: &str = "X-Timestamp";

/// A well-formed request from an unknown sender.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    body: Cow<'a, [u8]>,
    signature: Signature,
    /// The repository whose key the client claims to have used.
    claimed: Option<Repository>,
    /// `X-Timestamp`, if it parses.
    header_timestamp: Option<Timestamp>,
    run: TestRun,
    reservation: ReservationKey,
}

/// A result that its repository's key has signed.
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
        let signature = header(request, SIGNATURE_HEADER, true, &mut errors);
        let claimed = header(request, REPOSITORY_HEADER, path.is_none(), &mut errors);
        let header_timestamp = path.and_then(|_| request.header(TIMESTAMP_HEADER)?.parse().ok());
        let mut fields = Body::parse(&body, errors).map_err(SubmitError::Malformed)?;
        let (Some((run, nonce)), Some(signature), true) =
            (fields.read(path), signature, fields.errors.is_empty())
        else {
            return Err(SubmitError::Malformed(fields.errors));
        };
        let reservation =
            nonce.map_or_else(|| ReservationKey::Body(Digest::of(&body)), ReservationKey::Nonce);
        Ok(Self { body, signature, claimed, header_timestamp, run, reservation })
    }

    /// The repository whose key must have signed the request.
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

    /// The submission, if one of `keys` has signed its bytes.
    pub(crate) fn verify(&self, keys: &[SecretKeys]) -> Option<Submission> {
        if !keys.iter().any(|keys| keys.verify(&self.body, &self.signature)) {
            return None;
        }
        let TestRun { repository, platform, branch, .. } = &self.run;
        let partition = key::reservation_partition(repository, &self.reservation);
        let target = (key::results_partition(repository), ResultRange::Branch(*platform, branch).prefix());
        let digest = Digest::of(&[target.0.as_bytes(), target.1.as_bytes(), b"\n", &self.body].concat());
        Some(Submission {
            result: TestResult { id: TestResultId::derive(&partition, &digest), run: self.run.clone() },
            partition,
            digest,
            header_timestamp: self.header_timestamp,
        })
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
