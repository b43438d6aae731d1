//! The fields of a body, each parsed and checked.

use std::collections::BTreeMap;
use std::str::FromStr;

use badgesmith_api::error_response::ValidationErrors;
use badgesmith_api::route::RawTarget;
use badgesmith_domain::ids::{Branch, Nonce, Owner, ParseError, Platform, Repo, Repository};
use badgesmith_domain::test_result::{
    Commit, Conclusion, Counts, FailedTest, HttpsUrl, Outcome, RunAttempt, RunId, Suite, TestRun,
};
use badgesmith_domain::timestamp::Timestamp;
use serde_json::Value;

use crate::json_object::JsonObject;

/// The fields of a body, and the errors in the request so far.
pub(crate) struct Body {
    values: BTreeMap<String, Value>,
    pub(crate) errors: ValidationErrors,
}

impl Body {
    /// Parses a body. `errors` holds the errors found so far.
    ///
    /// # Errors
    /// All errors so far, if the body is not a JSON object and there are no fields to check.
    pub(crate) fn parse(body: &[u8], mut errors: ValidationErrors) -> Result<Self, ValidationErrors> {
        match serde_json::from_slice::<JsonObject>(body) {
            Ok(JsonObject { values, duplicates }) => {
                for name in &duplicates {
                    errors.push_with_code("DUPLICATE_FIELD", Some(name), "expected only once");
                }
                Ok(Self { values, errors })
            }
            Err(error) => {
                let found = if body.is_empty() {
                    "but it is empty".to_owned()
                } else {
                    format!("but parsing failed at line {} column {}", error.line(), error.column())
                };
                let expected = format!("expected the body to be a JSON object, {found}");
                errors.push_with_code("MALFORMED_JSON", None, expected);
                Err(errors)
            }
        }
    }

    /// Reads the run and its nonce. If a field is missing or invalid, adds the error and returns `None`.
    ///
    /// With `path`, the names come from the path. The signature does not cover the path, so a name that the body
    /// repeats must match. A nonce in the body is then optional. It leads to the same reservation as without
    /// `path`, so that a submission is not accepted once in each form.
    pub(crate) fn read(&mut self, path: Option<&RawTarget<'_>>) -> Option<(TestRun, Option<Nonce>)> {
        let (owner, repo, platform, branch, nonce);
        if let Some(path) = path {
            owner = self.in_path("owner", &path.owner);
            repo = self.in_path("repo", &path.repo);
            platform = self.in_path("platform", &path.platform);
            branch = self.in_path("branch", &path.branch);
            nonce = self.values.get("nonce").and_then(text);
        } else {
            owner = self.required("owner", Owner::EXPECTED, text);
            repo = self.required("repo", Repo::EXPECTED, text);
            platform = self.required("platform", Platform::EXPECTED, text);
            branch = self.required("branch", Branch::EXPECTED, text);
            nonce = self.required("nonce", Nonce::EXPECTED, text);
        }
        let suite = self.optional("suite", Suite::EXPECTED, text);
        let outcome = self.outcome();
        let timestamp = self.required("timestamp", Timestamp::EXPECTED, text);
        let run_id = self.required("run_id", RunId::EXPECTED, |value| match value.as_number() {
            Some(number) => number.as_u64()?.to_string().parse().ok(),
            None => text(value),
        });
        let run_attempt =
            self.optional("run_attempt", RunAttempt::EXPECTED, |value| value.as_u64()?.try_into().ok());
        let commit = self.optional("commit", Commit::EXPECTED, text);
        let url_html = self.url("url_html");
        let workflow_run_url = self.url("workflow_run_url");
        let default_branch = self.optional("default_branch", Branch::EXPECTED, text);
        let failures = self.optional("failures", FAILURES_EXPECTED, failed_tests);
        let run = TestRun {
            repository: Repository { owner: owner?, repo: repo? },
            platform: platform?,
            branch: branch?,
            suite,
            outcome: outcome?,
            timestamp: timestamp?,
            run_id: run_id?,
            run_attempt: run_attempt.unwrap_or_default(),
            commit,
            url_html,
            workflow_run_url,
            default_branch,
            failures: failures.unwrap_or_default(),
        };
        Some((run, nonce))
    }

    /// The counts and the conclusion. A suite that is retired has no counts.
    fn outcome(&mut self) -> Option<Outcome> {
        const COUNTS: [&str; 4] = ["passed", "failed", "skipped", "total"];
        if self.optional("retire", "true or false", Value::as_bool) == Some(true) {
            let zero = |value: &Value| value.as_u64().filter(|count| *count == 0);
            for name in COUNTS {
                self.optional(name, "0, because the suite is retired", zero);
            }
            self.optional("conclusion", Conclusion::EXPECTED, text::<Conclusion>);
            return Some(Outcome::retired());
        }
        let [passed, failed, skipped, total] =
            COUNTS.map(|name| self.required(name, Counts::EXPECTED, |value| value.as_u64()?.try_into().ok()));
        let conclusion = self.optional("conclusion", Conclusion::EXPECTED, text);
        let counts = self.errors.check("total", Counts::new(passed?, failed?, skipped?, total?))?;
        self.errors.check("conclusion", Outcome::new(counts, conclusion))
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
            self.errors.push(name, format!("expected {expected}{found}"));
        }
        parsed
    }

    /// `null` counts as absent.
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

    /// An empty URL counts as absent.
    fn url(&mut self, name: &'static str) -> Option<HttpsUrl> {
        if self.values.get(name).and_then(Value::as_str) == Some("") {
            return None;
        }
        self.optional(name, HttpsUrl::EXPECTED, text)
    }

    /// A name from the path. If the body repeats it, in upper or lower case, the body's spelling is used because
    /// it is signed.
    fn in_path<T: FromStr<Err = ParseError>>(&mut self, name: &'static str, in_path: &str) -> Option<T> {
        let spelling = match self.values.get(name) {
            None | Some(Value::Null) => in_path,
            Some(Value::String(in_body)) if in_body.eq_ignore_ascii_case(in_path) => in_body,
            Some(_) => {
                let expected = "expected the same value in the path and in the body";
                self.errors.push_with_code("PATH_BODY_MISMATCH", Some(name), expected);
                return None;
            }
        };
        self.errors.check(name, spelling.parse())
    }
}

const FAILURES_EXPECTED: &str =
    "at most 20 names, each 1 to 200 bytes of UTF-8 without control or format characters";

fn failed_tests(value: &Value) -> Option<Vec<FailedTest>> {
    let names = value.as_array().filter(|names| names.len() <= FailedTest::COUNT_MAX)?;
    names.iter().map(text).collect()
}

fn text<T: FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}
