//! A request on its way from untrusted bytes to a result: [`Unverified`] until a key has verified it,
//! [`Submission`] from then on.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use badgesmith_api::http::Request;
use badgesmith_api::problem::ValidationErrors;
use badgesmith_api::route::{RawTarget, Route};
use badgesmith_domain::ids::{Branch, Nonce, Owner, ParseError, Platform, Repo, Repository};
use badgesmith_domain::key::{self, ReservationKey};
use badgesmith_domain::signature::{Digest, SecretKeys, Signature};
use badgesmith_domain::test_result::{Commit, Counts, HttpsUrl, RunAttempt, RunId, TestResult, TestResultId};
use badgesmith_domain::timestamp::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{Reason, SubmitError};

/// A larger body is refused unread.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// A signature counts for this long after the time that it covers.
const AGE_MAX: Duration = Duration::from_mins(5);
/// The client's clock may be this far ahead of ours.
const LEAD_MAX: Duration = Duration::from_mins(1);

const SIGNATURE_HEADER: &str = "X-Signature";
const REPOSITORY_HEADER: &str = "X-Repo-Secret";
const TIMESTAMP_HEADER: &str = "X-Timestamp";

/// A request of the right form, from nobody knows whom.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    body: Cow<'a, [u8]>,
    signature: Signature,
    /// Whose key the client says it has used.
    claimed: Option<Repository>,
    /// `X-Timestamp`, where it is a time.
    header_timestamp: Option<Timestamp>,
    read: Read,
}

/// A result that its repository's key has signed, and what it is reserved under.
#[derive(Debug)]
pub(crate) struct Submission {
    /// The partition key of the reservation.
    pub(crate) partition: String,
    /// Of everything that was submitted: the body, and what the path adds to it.
    pub(crate) digest: Digest,
    /// What is to be stored.
    pub(crate) result: TestResult,
    /// `X-Timestamp`, where it is a time.
    header_timestamp: Option<Timestamp>,
}

impl<'a> Unverified<'a> {
    /// Reads a request whose path takes posts.
    ///
    /// # Errors
    /// [`SubmitError::TooLarge`], or [`SubmitError::Shape`] with everything that is wrong.
    pub(crate) fn read(request: Request<'a>, route: &Route<'_>) -> Result<Self, SubmitError> {
        let body = request.body(BODY_BYTES_MAX).ok_or(SubmitError::TooLarge(BODY_BYTES_MAX))?;
        let place = if let Route::SubmitTo(place) = route { Some(place) } else { None };
        let mut flaws = ValidationErrors::default();
        let signature = header(request, SIGNATURE_HEADER, true, &mut flaws);
        let claimed = header(request, REPOSITORY_HEADER, place.is_none(), &mut flaws);
        let header_timestamp = place.and_then(|_| request.header(TIMESTAMP_HEADER)?.parse().ok());
        let mut fields = Fields::parse(&body, flaws).map_err(SubmitError::Shape)?;
        let read = match place {
            Some(place) => fields.read_with_place(place),
            None => fields.read(),
        };
        let (Some(read), Some(signature), true) = (read, signature, fields.flaws.is_empty()) else {
            return Err(SubmitError::Shape(fields.flaws));
        };
        Ok(Self { body, signature, claimed, header_timestamp, read })
    }

    /// Whose key must have signed this.
    pub(crate) fn repository(&self) -> &Repository {
        &self.read.repository
    }

    /// # Errors
    /// [`SubmitError::Unauthorized`] when the client says that it has used another repository's key.
    pub(crate) fn check_claimed_repository(&self) -> Result<(), SubmitError> {
        match &self.claimed {
            Some(claimed) if claimed != self.repository() => {
                Err(SubmitError::Unauthorized(self.repository().clone(), Reason::ForeignKey))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The submission, if one of `keys` has signed its bytes; else this again.
    pub(crate) fn verify(self, keys: &[SecretKeys]) -> Result<Submission, Box<Self>> {
        if keys.iter().any(|keys| keys.verify(&self.body, &self.signature)) {
            Ok(Submission::new(self.read, &self.body, self.header_timestamp))
        } else {
            Err(Box::new(self))
        }
    }
}

impl Submission {
    fn new(read: Read, body: &[u8], header_timestamp: Option<Timestamp>) -> Self {
        let Read { repository, platform, branch, nonce, measured } = read;
        let name = nonce.map_or_else(|| ReservationKey::Body(Digest::of(body)), ReservationKey::Nonce);
        let partition = key::reservation_partition(&repository, &name);
        let place = key::latest_partition(&repository, platform, &branch);
        let digest = Digest::of(&[place.as_bytes(), b"\n", body].concat());
        let result = TestResult {
            id: TestResultId::derive(&partition),
            repository,
            platform,
            branch,
            counts: measured.counts,
            timestamp: measured.timestamp,
            run_id: measured.run_id,
            run_attempt: measured.run_attempt,
            commit: measured.commit,
            url_html: measured.url_html,
            workflow_run_url: measured.workflow_run_url,
        };
        Self { partition, digest, result, header_timestamp }
    }

    /// # Errors
    /// [`SubmitError::NotFresh`] when a time that came with it is too old or too far ahead.
    pub(crate) fn check_fresh(&self, now: Timestamp) -> Result<(), SubmitError> {
        let fresh = |time: Timestamp| now.since(time) <= AGE_MAX && time.since(now) <= LEAD_MAX;
        if !fresh(self.result.timestamp) {
            return Err(SubmitError::NotFresh(self.result.repository.clone(), "timestamp"));
        }
        if self.header_timestamp.is_some_and(|time| !fresh(time)) {
            return Err(SubmitError::NotFresh(self.result.repository.clone(), TIMESTAMP_HEADER));
        }
        Ok(())
    }
}

/// Reads one header, noting what is wrong with it.
fn header<T: FromStr<Err = ParseError>>(
    request: Request<'_>,
    name: &'static str,
    required: bool,
    flaws: &mut ValidationErrors,
) -> Option<T> {
    let Some(text) = request.header(name) else {
        if required {
            flaws.add(name, "expected this header");
        }
        return None;
    };
    flaws.note(name, text.trim().parse())
}

/// The fields of a body, and what is wrong with the request so far.
struct Fields {
    values: BTreeMap<String, Value>,
    flaws: ValidationErrors,
}

/// What a well-formed request says.
#[derive(Debug)]
struct Read {
    repository: Repository,
    platform: Platform,
    branch: Branch,
    nonce: Option<Nonce>,
    measured: Measured,
}

/// What a body says besides the names.
#[derive(Debug)]
struct Measured {
    counts: Counts,
    timestamp: Timestamp,
    run_id: RunId,
    run_attempt: RunAttempt,
    commit: Option<Commit>,
    url_html: Option<HttpsUrl>,
    workflow_run_url: Option<HttpsUrl>,
}

impl Fields {
    /// Reads a body, adding to the `flaws` found before.
    ///
    /// # Errors
    /// All flaws, when the body is no JSON object: then there are no fields to look for.
    fn parse(body: &[u8], mut flaws: ValidationErrors) -> Result<Self, ValidationErrors> {
        match serde_json::from_slice::<Object>(body) {
            Ok(object) => {
                for name in &object.duplicates {
                    flaws.add_as("DUPLICATE_FIELD", Some(name), "expected once only");
                }
                Ok(Self { values: object.values, flaws })
            }
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let found = if body.is_empty() {
                    "it is empty".to_owned()
                } else {
                    format!("see line {line} column {column}")
                };
                flaws.add_as(
                    "MALFORMED_JSON",
                    None,
                    format!("expected the body to be one JSON object, {found}"),
                );
                Err(flaws)
            }
        }
    }

    /// The form with all names in the body.
    fn read(&mut self) -> Option<Read> {
        let owner = self.required("owner", Owner::EXPECTED, text);
        let repo = self.required("repo", Repo::EXPECTED, text);
        let platform = self.required("platform", Platform::EXPECTED, text);
        let branch = self.required("branch", Branch::EXPECTED, text);
        let nonce = self.required("nonce", Nonce::EXPECTED, text);
        let measured = self.measured();
        let repository = Repository { owner: owner?, repo: repo? };
        Some(Read {
            repository,
            platform: platform?,
            branch: branch?,
            nonce: Some(nonce?),
            measured: measured?,
        })
    }

    /// The form with the names in the path. The signature does not cover those, so what the body says as
    /// well must agree, and counts. A nonce in the body makes the same reservation as in the other form, so
    /// that no submission can be made once in each.
    fn read_with_place(&mut self, place: &RawTarget<'_>) -> Option<Read> {
        let owner = self.in_path("owner", &place.owner);
        let repo = self.in_path("repo", &place.repo);
        let platform = self.in_path("platform", &place.platform);
        let branch = self.in_path("branch", &place.branch);
        let nonce = self.values.get("nonce").and_then(text);
        let measured = self.measured();
        let repository = Repository { owner: owner?, repo: repo? };
        Some(Read { repository, platform: platform?, branch: branch?, nonce, measured: measured? })
    }

    fn measured(&mut self) -> Option<Measured> {
        let passed = self.required("passed", Counts::EXPECTED, count);
        let failed = self.required("failed", Counts::EXPECTED, count);
        let skipped = self.required("skipped", Counts::EXPECTED, count);
        let total = self.required("total", Counts::EXPECTED, count);
        let timestamp = self.required("timestamp", Timestamp::EXPECTED, text);
        let run_id = self.required("run_id", RunId::EXPECTED, |value| match value.as_number() {
            Some(number) if !number.is_f64() => number.to_string().parse().ok(),
            Some(_) | None => text(value),
        });
        let run_attempt =
            self.optional("run_attempt", RunAttempt::EXPECTED, |value| value.as_u64()?.try_into().ok());
        let commit = self.optional("commit", Commit::EXPECTED, text);
        let url_html = self.url("url_html");
        let workflow_run_url = self.url("workflow_run_url");
        let counts = self.flaws.note("total", Counts::new(passed?, failed?, skipped?, total?))?;
        Some(Measured {
            counts,
            timestamp: timestamp?,
            run_id: run_id?,
            run_attempt: run_attempt.unwrap_or_default(),
            commit,
            url_html,
            workflow_run_url,
        })
    }

    fn required<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.values.get(name);
        let parsed = value.and_then(parse);
        if parsed.is_none() {
            let found = if value.is_none() { ", but the field is missing" } else { "" };
            self.flaws.add(name, format!("expected {expected}{found}"));
        }
        parsed
    }

    /// Absent and `null` are the same.
    fn optional<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        match self.values.get(name) {
            None | Some(Value::Null) => None,
            Some(_) => self.required(name, expected, parse),
        }
    }

    /// An empty URL is no URL.
    fn url(&mut self, name: &'static str) -> Option<HttpsUrl> {
        if self.values.get(name).and_then(Value::as_str) == Some("") {
            return None;
        }
        self.optional(name, HttpsUrl::EXPECTED, text)
    }

    /// A name of the path. The body may repeat it, in any case; its spelling is the one that is signed.
    fn in_path<T: FromStr<Err = ParseError>>(&mut self, name: &'static str, in_path: &str) -> Option<T> {
        let spelling = match self.values.get(name) {
            None | Some(Value::Null) => in_path,
            Some(Value::String(in_body)) if in_body.eq_ignore_ascii_case(in_path) => in_body,
            Some(_) => {
                let expected = "expected the same in the path and in the body";
                self.flaws.add_as("PATH_BODY_MISMATCH", Some(name), expected);
                return None;
            }
        };
        self.flaws.note(name, spelling.parse())
    }
}

fn text<T: FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

fn count(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

/// A JSON object that remembers which keys it had more than once: what a signature covers must have one
/// meaning to every reader.
struct Object {
    values: BTreeMap<String, Value>,
    duplicates: BTreeSet<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut object = Object { values: BTreeMap::new(), duplicates: BTreeSet::new() };
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    match object.values.entry(name) {
                        Entry::Vacant(entry) => {
                            entry.insert(value);
                        }
                        Entry::Occupied(entry) => {
                            object.duplicates.insert(entry.key().clone());
                        }
                    }
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}
