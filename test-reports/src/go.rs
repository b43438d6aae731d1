//! The output of `go test -json`, one event per line: <https://pkg.go.dev/cmd/test2json>.
//!
//! The counts are those of gotestsum (`testjson/execution.go` of
//! <https://github.com/gotestyourself/gotestsum>):
//!
//! - Every test counts, subtests as well as the test around them.
//! - A test that ran several times counts once, by its last run, so that the file of
//!   `gotestsum --rerun-fails --jsonfile` is read by how it ended.
//! - A test that started and did not end failed with its package: it panicked or timed out.
//! - A package that failed without a failed test counts as one failed test: it does not build, or its
//!   `TestMain` or `init` failed. A package without an end, because the run was cut short, counts the same.
//! - Lines that do not start with `{` come from elsewhere and are skipped, except
//!   `FAIL example.com/kit [build failed]`: all that Go before 1.20 prints for a package that does not build.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use crate::counts::{Counts, Outcome};
use crate::error::{Located, ReportErrorKind, excerpt};
use crate::text;

/// Whether this line shows that the text is the output of `go test -json`.
pub(crate) fn detects(line: &str) -> bool {
    line.starts_with('{') && line.contains(r#""Action":"#)
}

/// The fields of test2json's `TestEvent` that counts need. Other objects in between have no action.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    #[serde(borrow, default)]
    action: Cow<'a, str>,
    #[serde(borrow, default)]
    package: Cow<'a, str>,
    #[serde(borrow, default)]
    test: Cow<'a, str>,
}

#[derive(Default)]
struct Package {
    outcome: Option<Outcome>,
    /// Tests without an outcome are running.
    tests: HashMap<String, Option<Outcome>>,
}

/// Counts the tests of all packages.
pub(crate) fn read(text: &str) -> Result<Counts, Located> {
    let mut packages: HashMap<String, Package> = HashMap::new();
    for (offset, line) in text::lines(text) {
        if let Some(package) = build_failure(line) {
            packages.entry(package.to_owned()).or_default().outcome = Some(Outcome::Failed);
        }
        if !line.starts_with('{') {
            continue;
        }
        let event: Event<'_> = match serde_json::from_str(line) {
            Ok(event) => event,
            // JSON from something else, whose fields have the same names.
            Err(error) if error.is_data() => continue,
            Err(error) => {
                return Err(Located {
                    offset: offset + line.floor_char_boundary(error.column().saturating_sub(1)),
                    kind: ReportErrorKind::MalformedJson(excerpt(
                        error.to_string().split(" at line ").next().unwrap_or_default(),
                    )),
                });
            }
        };
        let outcome = match &*event.action {
            "run" => None,
            "pass" => Some(Outcome::Passed),
            "fail" => Some(Outcome::Failed),
            "skip" => Some(Outcome::Skipped),
            // "start", "output", "pause", "cont", "bench", "attr", "build-output", "build-fail" and future ones.
            _ => continue,
        };
        if event.package.is_empty() {
            continue;
        }
        let package = packages.entry(event.package.into_owned()).or_default();
        if event.test.is_empty() {
            package.outcome = outcome;
        } else {
            package.tests.insert(event.test.into_owned(), outcome);
            if outcome.is_none() {
                // In another run the package has not ended either.
                package.outcome = None;
            }
        }
    }
    Ok(packages.values().map(Package::counts).sum())
}

/// The package in `FAIL example.com/kit [build failed]`, or `[setup failed]` when an import cannot be found.
fn build_failure(line: &str) -> Option<&str> {
    let package = line.strip_prefix("FAIL\t")?;
    package.strip_suffix(" [build failed]").or_else(|| package.strip_suffix(" [setup failed]"))
}

impl Package {
    fn counts(&self) -> Counts {
        // Benchmarks start and never end, in packages that pass.
        let unfinished = match self.outcome {
            Some(Outcome::Passed | Outcome::Skipped) => Outcome::Passed,
            Some(Outcome::Failed) | None => Outcome::Failed,
        };
        let tests: Counts = self.tests.values().map(|outcome| outcome.unwrap_or(unfinished).into()).sum();
        if tests.failed == 0 && unfinished == Outcome::Failed {
            tests + Outcome::Failed.into()
        } else {
            tests
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_error};

    fn events(events: &[(&str, &str)]) -> String {
        let event = |&(test, action): &(&str, &str)| match test {
            "" => format!(r#"{{"Action":"{action}","Package":"kit"}}"#),
            test => format!(
                r#"{{"Time":"now","Action":"{action}","Package":"kit","Test":"{test}","Elapsed":0.1}}"#
            ),
        };
        events.iter().map(|line| event(line) + "\n").collect()
    }

    #[test]
    fn tests_and_subtests_count() {
        let run =
            [("A", "run"), ("A/b", "run"), ("A/b", "fail"), ("A", "fail"), ("S", "skip"), ("P", "pass")];
        check_counts(&events(&[&run[..], &[("", "fail")]].concat()), (1, 2, 1));
    }

    #[test]
    fn the_last_run_of_a_test_decides() {
        check_counts(
            &events(&[("A", "fail"), ("", "fail"), ("A", "run"), ("A", "pass"), ("", "pass")]),
            (1, 0, 0),
        );
    }

    #[test]
    fn tests_without_an_end_share_the_outcome_of_their_package() {
        check_counts(&events(&[("A", "run"), ("", "fail")]), (0, 1, 0));
        check_counts(&events(&[("BenchmarkA", "run"), ("", "pass")]), (1, 0, 0));
        check_counts(&events(&[("A", "run"), ("A", "pass")]), (1, 1, 0));
        check_counts(&events(&[("A", "fail"), ("B", "pass"), ("", "pass"), ("A", "run")]), (1, 1, 0));
    }

    #[test]
    fn a_failed_package_without_a_failed_test_is_one_failure() {
        check_counts(&events(&[("", "start"), ("", "fail")]), (0, 1, 0));
        check_counts(&events(&[("", "skip")]), (0, 0, 0));
        let old = format!("FAIL\tbroken [build failed]\n{}", events(&[("A", "pass"), ("", "pass")]));
        check_counts(&old, (1, 1, 0));
        let new = r#"{"ImportPath":"kit [kit.test]","Action":"build-fail"}"#.to_owned()
            + "\n{\"Action\":\"fail\",\"Package\":\"kit\",\"Elapsed\":0,\"FailedBuild\":\"kit [kit.test]\"}";
        check_counts(&new, (0, 1, 0));
    }

    #[test]
    fn json_from_other_programs_does_not_count() {
        for other in [
            r#"{"level":"info","msg":"ready"}"#,
            r#"{"Package":"kit","Test":"B"}"#,
            r#"{"Package":{"Name":"kit"},"Test":["B"]}"#,
            r#"{"Action":null,"Package":"kit","Test":"B"}"#,
        ] {
            let mixed = format!("{other}\n{}{other}\n", events(&[("A", "pass"), ("", "pass")]));
            check_counts(&mixed, (1, 0, 0));
        }
    }

    #[test]
    fn errors_name_the_broken_line() {
        let broken = format!("go: downloading\n{}{{\"Action\":\"pass\",\"Pack", events(&[("A", "pass")]));
        check_error(&broken, "malformed JSON: EOF while parsing a string at line 3, column 22");
    }
}
