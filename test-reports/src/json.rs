//! Reports that are one JSON object. Lines before and after it are output of other programs.
//!
//! - **CTRF** (<https://ctrf.io/docs/specification/overview>): each test counts by its `status`, and is retried if it is
//!   `flaky` or has `retries`. Its summary counts beyond its tests as in [`crate::stated`].
//! - **Mocha** (<https://mochajs.org/#json>): tests are in lists by outcome, and failed hooks are among the failures.
//! - **`RSpec`** (<https://rspec.info/features/3-13/rspec-core/formatters/json-formatter/>): each example counts
//!   by its `status`, and errors outside examples fail the run.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::counts::Outcome;
use crate::error::{Located, ReportErrorKind, excerpt};
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test, hash};
use crate::stated::{Shown, Stated};
use crate::text;
use crate::vocabulary::{CTRF, MOCHA, RSPEC, Vocabulary};

/// The maximum number of objects that are read, so that time is linear.
const OBJECTS_MAX: usize = 16;

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
        tests: IgnoredAny,
        #[expect(dead_code, reason = "only its presence matters")]
        summary: IgnoredAny,
    },
    Other(IgnoredAny),
}

/// Reads the first object of a known format. Returns whether there is one.
pub(crate) fn read(text: &str, recorder: &mut Recorder) -> Result<bool, Located> {
    let starts = text::lines(text).filter(|(_, line)| line.trim_start().starts_with('{'));
    for (offset, _) in starts.take(OBJECTS_MAX) {
        let object = text.get(offset..).unwrap_or_default();
        let malformed = |error: serde_json::Error| Located {
            offset: offset + position(object, &error),
            kind: ReportErrorKind::MalformedJson(excerpt(
                error.to_string().split(" at line ").next().unwrap_or_default(),
            )),
        };
        match first::<Marks>(object) {
            Ok(Marks { results: Some(ResultMarks::Ctrf { .. }), .. }) => {
                first::<Ctrf<'_>>(object).map_err(malformed)?.record(recorder);
            }
            Ok(Marks { stats: Some(_), passes: Some(_), failures: Some(_), .. }) => {
                first::<Mocha<'_>>(object).map_err(malformed)?.record(recorder);
            }
            Ok(Marks { examples: Some(_), summary: Some(_), .. }) => {
                first::<RSpec<'_>>(object).map_err(malformed)?.record(recorder);
            }
            Err(error) if error.is_eof() && has_marks(object) => return Err(malformed(error)),
            Ok(_) | Err(_) => continue,
        }
        return Ok(true);
    }
    Ok(false)
}

/// The first value in a text.
fn first<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    T::deserialize(&mut serde_json::Deserializer::from_str(text))
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

#[derive(Deserialize)]
struct Ctrf<'a> {
    #[serde(borrow)]
    results: CtrfResults<'a>,
}

#[derive(Deserialize)]
struct CtrfResults<'a> {
    #[serde(borrow)]
    tests: Vec<CtrfTest<'a>>,
    #[serde(default)]
    summary: CtrfSummary,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CtrfTest<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    /// A string in early versions, and a list since then.
    suite: Option<serde_json::Value>,
    #[serde(borrow)]
    file_path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    browser: Option<Cow<'a, str>>,
    flaky: Option<bool>,
    retries: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CtrfSummary {
    tests: Option<f64>,
    failed: Option<f64>,
    skipped: Option<f64>,
    pending: Option<f64>,
    other: Option<f64>,
}

impl Ctrf<'_> {
    fn record(&self, recorder: &mut Recorder) {
        recorder.format(Format::Ctrf);
        let since = recorder.tests.len();
        let mut shown = Shown::default();
        for test in &self.results.tests {
            let outcome = outcome(&CTRF, &test.status, recorder);
            let suite = test.suite.as_ref().map(ToString::to_string).unwrap_or_default();
            let file = test.file_path.as_deref().unwrap_or_default();
            let retried = test.flaky == Some(true) || test.retries.is_some_and(|retries| retries >= 1.0);
            let has_scope = !suite.is_empty() || !file.is_empty();
            let scope = if has_scope { Scope::hashed(hash((file, suite))) } else { Scope::FILE };
            recorder.test(&Test {
                variant: hash((&test.id, &test.browser)),
                retried,
                ..Test::new(scope, &test.name, outcome)
            });
            shown.tests += 1;
            shown.failure |= outcome == Outcome::Failed || retried;
            shown.skipped |= outcome == Outcome::Skipped;
        }
        let summary = &self.results.summary;
        let stated = Stated {
            tests: summary.tests.map(whole),
            failures: whole(summary.failed.unwrap_or_default()),
            errors: 0,
            skipped: [summary.skipped, summary.pending, summary.other]
                .into_iter()
                .map(|number| whole(number.unwrap_or_default()))
                .sum(),
        };
        if shown.tests == 0 {
            stated.count_alone(recorder);
        } else {
            stated.count_rest(Some(Stated::default()), shown, since, recorder);
        }
    }
}

/// A number that counts tests; at most that of 32 bits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the limits")]
fn whole(number: f64) -> u64 {
    number.clamp(0.0, f64::from(u32::MAX)) as u64
}

#[derive(Deserialize)]
struct Mocha<'a> {
    #[serde(borrow)]
    passes: Vec<MochaTest<'a>>,
    #[serde(borrow)]
    failures: Vec<MochaTest<'a>>,
    #[serde(borrow, default)]
    pending: Vec<MochaTest<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MochaTest<'a> {
    #[serde(borrow, default)]
    full_title: Cow<'a, str>,
    #[serde(borrow)]
    file: Option<Cow<'a, str>>,
    current_retry: Option<f64>,
}

impl Mocha<'_> {
    fn record(&self, recorder: &mut Recorder) {
        recorder.format(Format::Mocha);
        let lists = [("failures", &self.failures), ("pending", &self.pending), ("passes", &self.passes)];
        for (list, tests) in lists {
            let outcome = MOCHA.outcome(list).unwrap_or(Outcome::Failed);
            for test in tests {
                let file = test.file.as_deref().unwrap_or_default();
                // Different tests may have the same title.
                let variant = recorder.next_suite();
                recorder.test(&Test {
                    variant,
                    retried: test.current_retry.is_some_and(|retry| retry >= 1.0),
                    ..Test::new(Scope::suite(file), &test.full_title, outcome)
                });
            }
        }
    }
}

#[derive(Deserialize)]
struct RSpec<'a> {
    #[serde(borrow)]
    examples: Vec<Example<'a>>,
    summary: RSpecSummary,
}

#[derive(Deserialize)]
struct Example<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    full_description: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    file_path: Option<Cow<'a, str>>,
    line_number: Option<f64>,
}

#[derive(Deserialize)]
struct RSpecSummary {
    #[serde(default)]
    errors_outside_of_examples_count: f64,
}

impl RSpec<'_> {
    fn record(&self, recorder: &mut Recorder) {
        recorder.format(Format::RSpec);
        for example in &self.examples {
            let outcome = outcome(&RSPEC, &example.status, recorder);
            let file = example.file_path.as_deref().unwrap_or_default();
            let test = Test::new(Scope::suite(file), &example.full_description, outcome);
            let variant = hash((&example.id, example.line_number.map(f64::to_bits)));
            recorder.test(&Test { variant, ..test });
        }
        if self.summary.errors_outside_of_examples_count >= 1.0 {
            recorder.fail_run();
        }
    }
}

fn outcome(words: &Vocabulary, word: &str, recorder: &mut Recorder) -> Outcome {
    words.outcome(word).unwrap_or_else(|| {
        recorder.unknown_word(words, word, Outcome::Skipped);
        Outcome::Skipped
    })
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
