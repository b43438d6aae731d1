//! Reports that are one JSON object. Lines before and after it are output of other programs.
//!
//! - **CTRF** (<https://ctrf.io/docs/specification/overview>): each test counts by its `status`, and is retried if it is
//!   `flaky` or has `retries`. Its summary counts beyond its tests as in [`crate::stated`].
//! - **Mocha** (<https://mochajs.org/#json>): tests are in lists by outcome, and failed hooks are among the failures.
//! - **`RSpec`** (<https://rspec.info/features/3-13/rspec-core/formatters/json-formatter/>): each example counts
//!   by its `status`, and errors outside examples fail the run.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::counts::Outcome;
use crate::error::{Located, ReportErrorKind, excerpt};
use crate::format::Format;
use crate::log::InLog;
use crate::recorder::{Recorder, Scope, Test, hash};
use crate::stated::{Shown, Stated};
use crate::vocabulary::{CTRF, MOCHA, RSPEC};

/// The fields that identify a format.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marks {
    results: Option<ResultMarks>,
    stats: Option<IgnoredAny>,
    passes: Option<IgnoredAny>,
    failures: Option<IgnoredAny>,
    examples: Option<IgnoredAny>,
    summary: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ResultMarks {
    Ctrf {
        #[expect(dead_code, reason = "only its presence matters")]
        tests: Vec<IgnoredAny>,
    },
    Other(IgnoredAny),
}

/// Whether an object may begin with this line of a log.
pub(crate) fn detects(line: &str) -> bool {
    line.trim_start().starts_with('{')
}

/// Reads the object at the start of a text, if it is a report.
pub(crate) fn read_in_log(text: &str, recorder: &mut Recorder) -> InLog {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Marks>();
    let marks = match values.next() {
        Some(Ok(marks)) => marks,
        Some(Err(error)) if error.is_eof() && has_marks(text) => {
            return InLog::Invalid { length: text.len(), error: malformed(text, &error) };
        }
        // Another object may begin within the text that was read, but not if all of it was.
        Some(Err(error)) => return InLog::Other { length: position(text, &error).max(1) },
        None => return InLog::Other { length: text.len() },
    };
    let length = values.byte_offset();
    let object = text.get(..length).unwrap_or(text);
    let read = match marks {
        Marks { results: Some(ResultMarks::Ctrf { .. }), .. } => {
            serde_json::from_str::<Ctrf>(object).map(|report| report.record(recorder))
        }
        Marks { stats: Some(_), passes: Some(_), failures: Some(_), .. } => {
            serde_json::from_str::<Mocha>(object).map(|report| report.record(recorder))
        }
        Marks { examples: Some(_), summary: Some(_), .. } => {
            serde_json::from_str::<RSpec>(object).map(|report| report.record(recorder))
        }
        Marks { .. } => return InLog::Other { length },
    };
    match read {
        Ok(()) => InLog::Report { length },
        Err(error) => InLog::Invalid { length, error: malformed(object, &error) },
    }
}

fn malformed(object: &str, error: &serde_json::Error) -> Located {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    Located { offset: position(object, error), kind: ReportErrorKind::MalformedJson(excerpt(message)) }
}

/// Whether a truncated object looks like a report.
fn has_marks(object: &str) -> bool {
    ["\"reportFormat\"", "\"passes\"", "\"examples\""].iter().any(|mark| object.contains(mark))
}

fn position(object: &str, error: &serde_json::Error) -> usize {
    let before =
        object.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    object.floor_char_boundary(before + error.column().saturating_sub(1))
}

/// Writers disagree about types: a number may be a string, and anything may be null.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => value.to_string(),
    })
}

/// A number that counts tests; at most that of 32 bits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the limits")]
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = text(deserializer)?.trim().parse::<f64>().unwrap_or_default();
    Ok(number.clamp(0.0, f64::from(u32::MAX)) as u64)
}

#[derive(Deserialize)]
struct Ctrf {
    results: CtrfResults,
}

#[derive(Deserialize)]
struct CtrfResults {
    tests: Vec<CtrfTest>,
    summary: Option<CtrfSummary>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct CtrfTest {
    #[serde(deserialize_with = "text")]
    name: String,
    #[serde(deserialize_with = "text")]
    status: String,
    /// A string in early versions, and a list since then.
    #[serde(deserialize_with = "text")]
    suite: String,
    #[serde(deserialize_with = "text")]
    file_path: String,
    #[serde(deserialize_with = "text")]
    id: String,
    #[serde(deserialize_with = "text")]
    browser: String,
    #[serde(deserialize_with = "text")]
    flaky: String,
    #[serde(deserialize_with = "number")]
    retries: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CtrfSummary {
    #[serde(deserialize_with = "number")]
    tests: u64,
    #[serde(deserialize_with = "number")]
    failed: u64,
    #[serde(deserialize_with = "number")]
    skipped: u64,
    #[serde(deserialize_with = "number")]
    pending: u64,
    #[serde(deserialize_with = "number")]
    other: u64,
}

impl Ctrf {
    fn record(&self, recorder: &mut Recorder) {
        recorder.format(Format::Ctrf);
        let since = recorder.tests.len();
        let mut shown = Shown::default();
        for test in &self.results.tests {
            let outcome = recorder.outcome(&CTRF, &test.status, Outcome::Skipped);
            let has_scope = !test.suite.is_empty() || !test.file_path.is_empty();
            let scope =
                if has_scope { Scope::hashed(hash((&test.file_path, &test.suite))) } else { Scope::FILE };
            let retried = test.flaky == "true" || test.retries > 0;
            recorder.test(&Test {
                variant: hash((&test.id, &test.browser)),
                retried,
                ..Test::new(scope, &test.name, outcome)
            });
            shown.test(outcome);
            shown.failures += u64::from(retried && outcome != Outcome::Failed);
        }
        if let Some(summary) = &self.results.summary {
            let stated = Stated {
                tests: Some(summary.tests),
                failures: summary.failed,
                errors: 0,
                skipped: summary.skipped + summary.pending + summary.other,
            };
            stated.count(shown, since, recorder);
        }
    }
}

#[derive(Deserialize)]
struct Mocha {
    stats: MochaStats,
    passes: Vec<MochaTest>,
    failures: Vec<MochaTest>,
    #[serde(default)]
    pending: Vec<MochaTest>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MochaStats {
    #[serde(deserialize_with = "number")]
    tests: u64,
    #[serde(deserialize_with = "number")]
    failures: u64,
    #[serde(deserialize_with = "number")]
    pending: u64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct MochaTest {
    #[serde(deserialize_with = "text")]
    full_title: String,
    #[serde(deserialize_with = "text")]
    file: String,
    #[serde(deserialize_with = "number")]
    current_retry: u64,
}

impl Mocha {
    fn record(&self, recorder: &mut Recorder) {
        recorder.format(Format::Mocha);
        let since = recorder.tests.len();
        let mut shown = Shown::default();
        let lists = [("failures", &self.failures), ("pending", &self.pending), ("passes", &self.passes)];
        for (list, tests) in lists {
            let outcome = MOCHA.outcome(list).unwrap_or(Outcome::Failed);
            for test in tests {
                // Different tests may have the same title.
                let variant = recorder.next_suite();
                recorder.test(&Test {
                    variant,
                    retried: test.current_retry > 0,
                    ..Test::new(Scope::suite(&test.file), &test.full_title, outcome)
                });
                shown.test(outcome);
            }
        }
        let MochaStats { tests, failures, pending } = self.stats;
        Stated { tests: Some(tests), failures, errors: 0, skipped: pending }.count(shown, since, recorder);
    }
}

#[derive(Deserialize)]
struct RSpec {
    examples: Vec<Example>,
    summary: RSpecSummary,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Example {
    #[serde(deserialize_with = "text")]
    id: String,
    #[serde(deserialize_with = "text")]
    full_description: String,
    #[serde(deserialize_with = "text")]
    status: String,
    #[serde(deserialize_with = "text")]
    file_path: String,
    #[serde(deserialize_with = "number")]
    line_number: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RSpecSummary {
    #[serde(rename = "example_count", deserialize_with = "number")]
    examples: u64,
    #[serde(rename = "failure_count", deserialize_with = "number")]
    failures: u64,
    #[serde(rename = "pending_count", deserialize_with = "number")]
    pending: u64,
    #[serde(rename = "errors_outside_of_examples_count", deserialize_with = "number")]
    errors: u64,
}

impl RSpec {
    fn record(&self, recorder: &mut Recorder) {
        recorder.format(Format::RSpec);
        let since = recorder.tests.len();
        let mut shown = Shown::default();
        for example in &self.examples {
            let outcome = recorder.outcome(&RSPEC, &example.status, Outcome::Skipped);
            let test = Test::new(Scope::suite(&example.file_path), &example.full_description, outcome);
            recorder.test(&Test { variant: hash((&example.id, example.line_number)), ..test });
            shown.test(outcome);
        }
        let summary = &self.summary;
        let stated = Stated {
            tests: Some(summary.examples),
            failures: summary.failures,
            errors: 0,
            skipped: summary.pending,
        };
        stated.count(shown, since, recorder);
        if summary.errors > 0 {
            recorder.fail_run();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Counts;
    use crate::tests::{check, check_counts, check_error, check_failed};

    #[test]
    fn ctrf_counts_by_status() {
        let report = |tests: &str, summary: &str| {
            format!(
                r#"{{"results": {{"tool": {{"name": "t"}}, "summary": {{{summary}}}, "tests": [{tests}]}}}}"#
            )
        };
        let tests = r#"{"name": "a", "status": "passed", "flaky": true, "retries": 2},
            {"name": "b", "status": "failed", "suite": ["x", "y"]}, {"name": "c", "status": "pending", "suite": "x"},
            {"name": "b", "status": "other", "suite": ["x", "z"]}"#;
        check_counts(&report(tests, ""), (1, 1, 2));
        check_failed(&report(tests, ""), &["b"]);
        check_counts(
            &report(r#"{"name": "a", "status": "passed"}"#, r#""tests": 3, "failed": 2"#),
            (1, 2, 0),
        );
        check_counts(&report("", r#""tests": 3, "failed": 1, "skipped": 1"#), (1, 1, 1));
        let odd = r#"{"results": {"tests": [{"name": null, "status": "failed", "retries": "1", "id": 7}]}}"#;
        check_counts(odd, (0, 1, 0));
    }

    #[test]
    fn mocha_counts_by_list() {
        let report = r#"> mocha --reporter json

{
  "stats": {"suites": 1, "tests": 3, "passes": 1, "pending": 1, "failures": 2},
  "tests": [{"title": "a", "fullTitle": "kit a"}],
  "pending": [{"title": "c", "fullTitle": "kit c", "err": {}}],
  "failures": [{"title": "b", "fullTitle": "kit b"}, {"title": "\"before each\" hook", "fullTitle": "kit hook"}],
  "passes": [{"title": "a", "fullTitle": "kit a", "currentRetry": 1}]
}
npm error"#;
        check_counts(report, (1, 2, 1));
        check_failed(report, &["kit b", "kit hook"]);
        let same = r#"{"stats": {}, "failures": [{"fullTitle": "a"}], "passes": [{"fullTitle": "a"}]}"#;
        check_counts(same, (1, 1, 0));
        let stated = r#"{"stats": {"tests": 3, "failures": 2}, "failures": [], "passes": []}"#;
        check_counts(stated, (1, 2, 0));
    }

    #[test]
    fn every_object_in_a_log_counts() {
        const CARGO: &str =
            "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n";
        let report =
            "{\n  \"stats\": {},\n  \"passes\": [{}],\n  \"failures\": [{\"fullTitle\": \"b\"}]\n}\n";
        let noise = "{\n{ not JSON\n{\"level\": 1}\n".repeat(20);
        check_counts(&[CARGO, &noise, report, &noise, report, CARGO].concat(), (4, 2, 0));
        check_counts(&[CARGO, "{\"stats\": {}, \"passes\": [\n"].concat(), (1, 0, 0));
    }

    #[test]
    fn rspec_counts_by_status() {
        let report = |errors: u32| {
            format!(
                r#"{{"version":"3.13.0","examples":[{{"id":"./a_spec.rb[1:1]","full_description":"a","status":"passed"}},
                {{"id":"./a_spec.rb[1:2]","full_description":"a","status":"failed"}},{{"full_description":"b","status":"pending"}}],
                "summary":{{"example_count":3,"errors_outside_of_examples_count":{errors}}},"summary_line":""}}"#
            )
        };
        check_counts(&report(0), (1, 1, 1));
        check(&report(1), Counts { passed: 1, failed: 1, skipped: 1 }, true);
        check_counts(r#"{"examples": [], "summary": {"example_count": 3, "failure_count": 1}}"#, (2, 1, 0));
    }

    #[test]
    fn a_truncated_object_is_an_error() {
        check_error(
            "{\"stats\": {}, \"passes\": [",
            "malformed JSON: EOF while parsing a list at line 1, column 25",
        );
        check_error(
            "{\"success\": true}",
            "not a test report: neither XML nor JSON of a known format, nor the output of a known test runner",
        );
    }
}
