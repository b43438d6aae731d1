//! One run of a repository's tests on one platform and branch.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ids::{Branch, Owner, ParseError, Platform, Repo, Repository, string_newtype};
use crate::timestamp::Timestamp;

/// A test result that has been accepted.
///
/// As JSON it is flat and has the field names of the HTTP contract, with `test_result_id` besides;
/// what is absent is left out:
///
/// ```
/// # use badgesmith_domain::test_result::TestResult;
/// let json = r#"{"test_result_id":"6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70","owner":"acme","repo":"kit",
///     "platform":"linux","branch":"main","passed":190,"failed":0,"skipped":2,"total":192,
///     "timestamp":"2025-01-15T10:30:00.000Z","run_id":"16814735762","run_attempt":1}"#;
/// let result: TestResult = serde_json::from_str(json)?;
/// assert_eq!(result.counts.total(), 192);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Flat", into = "Flat")]
pub struct TestResult {
    /// The same for every delivery of the same submission.
    pub id: TestResultId,
    /// Whose tests ran.
    pub repository: Repository,
    /// What they ran on.
    pub platform: Platform,
    /// What they ran of.
    pub branch: Branch,
    /// How they ended.
    pub counts: Counts,
    /// When they ran, by the client's clock.
    pub timestamp: Timestamp,
    /// The CI system's name for the run.
    pub run_id: RunId,
    /// Which attempt of the run, from 1.
    pub run_attempt: RunAttempt,
    /// The commit that was tested.
    pub commit: Option<Commit>,
    /// The report to show to a reader.
    pub url_html: Option<HttpsUrl>,
    /// The run at the CI system.
    pub workflow_run_url: Option<HttpsUrl>,
}

impl TestResult {
    /// Where a click on the badge leads: the report, else the run at the CI system.
    pub fn link(&self) -> Option<&HttpsUrl> {
        self.url_html.as_ref().or(self.workflow_run_url.as_ref())
    }
}

/// The identity of a result: a UUID of version 8 (RFC 9562, 5.8) made from the key of its reservation,
/// so that the same submission always has the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TestResultId(Uuid);

impl TestResultId {
    /// The id of the submission that is reserved under `reservation_key`.
    pub fn derive(reservation_key: &str) -> Self {
        let digest = Sha256::digest(format!("test-result-id:{reservation_key}"));
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
        Self(Uuid::new_v8(bytes))
    }
}

impl fmt::Display for TestResultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// How many tests passed, failed and were skipped; they add up to the total. Displays as
/// `190 passed, 2 failed, 1 skipped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
    total: u32,
}

impl Counts {
    /// What a valid count looks like, as a noun phrase.
    pub const EXPECTED: &str = "an integer from 0 to 4294967295";

    /// # Errors
    /// [`ParseError`] when `passed`, `failed` and `skipped` do not add up to `total`.
    pub fn new(passed: u32, failed: u32, skipped: u32, total: u32) -> Result<Self, ParseError> {
        let sum = u64::from(passed) + u64::from(failed) + u64::from(skipped);
        if sum == u64::from(total) {
            Ok(Self { passed, failed, skipped, total })
        } else {
            Err(ParseError { expected: "the sum of passed, failed and skipped" })
        }
    }

    /// Tests that passed.
    pub fn passed(self) -> u32 {
        self.passed
    }

    /// Tests that failed.
    pub fn failed(self) -> u32 {
        self.failed
    }

    /// Tests that were not run.
    pub fn skipped(self) -> u32 {
        self.skipped
    }

    /// All of them.
    pub fn total(self) -> u32 {
        self.total
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped, .. } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

string_newtype! {
    /// The CI system's name for a run. GitHub's are digits, others use letters too.
    RunId, "1 to 64 characters of A-Z a-z 0-9 _ -", |text| {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        fits.then(|| text.to_owned())
    }
}

string_newtype! {
    /// The hash of a commit, in lower case; it may be abbreviated.
    Commit, "7 to 64 hex digits", |text| {
        let fits = (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| text.to_ascii_lowercase())
    }
}

string_newtype! {
    /// An absolute `https` URL, kept as written. Its host is plain ASCII without user information; the
    /// rest may be any text without white space and control characters.
    HttpsUrl, "an absolute https URL of at most 2048 bytes without white space", |text| {
        let rest = text.get(8..).filter(|_| text.len() <= 2048)?;
        let scheme_fits = text.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host_fits = host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']'));
        let rest_fits = !rest.chars().any(|character| character.is_control() || character.is_whitespace());
        (scheme_fits && host_fits && rest_fits).then(|| text.to_owned())
    }
}

/// What cannot stand in a URL as it is (RFC 3986, appendix A).
const NOT_IN_URLS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl HttpsUrl {
    /// The URL in ASCII, as a `Location` header has it: what cannot stand there is percent-encoded.
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, NOT_IN_URLS).to_string()
    }
}

/// Which attempt of a run this is, 1 to 9999. Clients that do not say are at their first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct RunAttempt(NonZeroU16);

impl RunAttempt {
    /// What a valid value looks like, as a noun phrase.
    pub const EXPECTED: &str = "an integer from 1 to 9999";

    /// The attempt's number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl Default for RunAttempt {
    fn default() -> Self {
        Self(NonZeroU16::MIN)
    }
}

impl FromStr for RunAttempt {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse::<u64>().map_err(|_| ParseError { expected: Self::EXPECTED })?.try_into()
    }
}

impl TryFrom<u64> for RunAttempt {
    type Error = ParseError;

    fn try_from(number: u64) -> Result<Self, ParseError> {
        u16::try_from(number)
            .ok()
            .filter(|number| *number <= 9999)
            .and_then(NonZeroU16::new)
            .map(Self)
            .ok_or(ParseError { expected: Self::EXPECTED })
    }
}

impl From<RunAttempt> for u16 {
    fn from(attempt: RunAttempt) -> Self {
        attempt.get()
    }
}

/// [`TestResult`] as it stands in JSON.
#[derive(Serialize, Deserialize)]
struct Flat {
    test_result_id: TestResultId,
    owner: Owner,
    repo: Repo,
    platform: Platform,
    branch: Branch,
    passed: u32,
    failed: u32,
    skipped: u32,
    total: u32,
    timestamp: Timestamp,
    run_id: RunId,
    #[serde(default)]
    run_attempt: RunAttempt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<Commit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url_html: Option<HttpsUrl>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workflow_run_url: Option<HttpsUrl>,
}

impl TryFrom<Flat> for TestResult {
    type Error = ParseError;

    fn try_from(flat: Flat) -> Result<Self, ParseError> {
        Ok(Self {
            id: flat.test_result_id,
            repository: Repository { owner: flat.owner, repo: flat.repo },
            platform: flat.platform,
            branch: flat.branch,
            counts: Counts::new(flat.passed, flat.failed, flat.skipped, flat.total)?,
            timestamp: flat.timestamp,
            run_id: flat.run_id,
            run_attempt: flat.run_attempt,
            commit: flat.commit,
            url_html: flat.url_html,
            workflow_run_url: flat.workflow_run_url,
        })
    }
}

impl From<TestResult> for Flat {
    fn from(result: TestResult) -> Self {
        Self {
            test_result_id: result.id,
            owner: result.repository.owner,
            repo: result.repository.repo,
            platform: result.platform,
            branch: result.branch,
            passed: result.counts.passed,
            failed: result.counts.failed,
            skipped: result.counts.skipped,
            total: result.counts.total,
            timestamp: result.timestamp,
            run_id: result.run_id,
            run_attempt: result.run_attempt,
            commit: result.commit,
            url_html: result.url_html,
            workflow_run_url: result.workflow_run_url,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_can_be_redirected_to() {
        for (url, location) in [
            ("https://github.com/owner/repo/runs/123", "https://github.com/owner/repo/runs/123"),
            ("HTTPS://github.com", "HTTPS://github.com"),
            ("https://[::1]:8443?x#f", "https://[::1]:8443?x#f"),
            ("https://ci.test/a%20b?x=[1]&y=\u{e9}|{2}", "https://ci.test/a%20b?x=[1]&y=%C3%A9%7C%7B2%7D"),
            ("https://ci.test/\u{202e}\\", "https://ci.test/%E2%80%AE%5C"),
        ] {
            assert_eq!(url.parse::<HttpsUrl>().map(|url| url.encoded()), Ok(location.to_owned()));
        }
        let long = format!("https://github.com/{}", "a".repeat(2048));
        for bad in [
            "javascript:alert(1)",
            "http://github.com/",
            "//github.com/",
            "https:github.com",
            "https://",
            "https:///path",
            "https://:443/",
            " https://github.com/",
            "https://github.com/ a",
            "https://github.com/\u{a0}",
            "https://github.com/\r\nSet-Cookie: a=b",
            "https://github.com\\@evil.test/",
            "https://github.com@evil.test/",
            "https://b\u{fc}cher.test/",
            "data:text/html,https://",
            &long,
        ] {
            assert!(bad.parse::<HttpsUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_add_up() {
        assert_eq!(Counts::new(1, 2, 3, 6).map(Counts::total), Ok(6));
        assert_eq!(Counts::new(1, 2, 3, 6).unwrap().to_string(), "1 passed, 2 failed, 3 skipped");
        assert!(Counts::new(1, 2, 3, 7).is_err());
        assert!(Counts::new(u32::MAX, u32::MAX, 2, 0).is_err(), "the sum must not wrap around");
    }

    #[test]
    fn run_attempts_are_one_to_9999() {
        assert_eq!(RunAttempt::default().get(), 1);
        assert_eq!(RunAttempt::try_from(9999).map(RunAttempt::get), Ok(9999));
        assert_eq!("9999".parse::<RunAttempt>().map(RunAttempt::get), Ok(9999));
        assert!("first".parse::<RunAttempt>().is_err());
        assert!(RunAttempt::try_from(0).is_err());
        assert!(RunAttempt::try_from(10_000).is_err());
    }

    #[test]
    fn the_same_reservation_has_the_same_id() {
        let id = TestResultId::derive("one reservation");
        assert_eq!(id, TestResultId::derive("one reservation"));
        assert_ne!(id, TestResultId::derive("another reservation"));
    }
}
