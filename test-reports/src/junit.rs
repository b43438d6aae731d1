//! `JUnit` XML: started by Ant, written by every test runner, specified by none.
//!
//! There is no standard; <https://github.com/testmoapp/junitxml> collects what tools write and
//! <https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd> is the nearest to
//! a schema. The rules here:
//!
//! - **Test cases count, not attributes.** `tests="13"` may count attempts (Surefire), nested suites (Node)
//!   or assertions (Catch2). A suite's attributes are used only when it has neither test cases nor
//!   suites in it: `tests` minus the failed and skipped ones have passed.
//! - **A report that states failures is not green.** When a suite states failures or errors in its
//!   attributes and nothing in it failed, what it states counts as failed. gotestsum reports packages that
//!   do not build like that. A suite with an earlier attempt that failed explains its attributes by
//!   that.
//! - `<failure>` and `<error>` fail a test once, however many there are; in a suite they count as one.
//! - `<flakyFailure>`, `<flakyError>`, `<rerunFailure>` and `<rerunError>` are attempts
//!   (<https://maven.apache.org/surefire/maven-surefire-plugin/examples/rerun-failing-tests.html>,
//!   <https://nexte.st/docs/machine-readable/junit/>): they do not count.
//! - `<skipped>` is skipped; with a failure as well, the test has failed, as when pytest's teardown fails
//!   after a skip. Node's failing `todo` has both, with `type="todo"`, and is skipped
//!   (<https://nodejs.org/api/test.html#todo-tests>).
//! - Without such children, `status` or `result` decide: `notrun`, `disabled`, `suppressed`, `skipped` and
//!   `ignored` are skipped, `fail` and `failed` are failed, everything else is passed. `GoogleTest`
//!   (<https://google.github.io/googletest/advanced.html#generating-an-xml-report>) and `CTest`
//!   (<https://cmake.org/cmake/help/latest/manual/ctest.1.html#cmdoption-ctest-output-junit>) use them.
//! - Other children do not count: `PHPUnit`'s `<warning>` fails no run.
//! - Test cases with one name are several tests, as parametrized tests often are, except for two tools that
//!   write attempts like that: see [`Repeats`].

use std::collections::HashMap;

use crate::counts::{Counts, Outcome};
use crate::error::Located;
use crate::xml::{Document, Element};

/// The meaning of several test cases with one name in one suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Tests,
    /// pytest: a test case that passed, followed by another, is an attempt that pytest-rerunfailures ran
    /// again. A failure followed by an error is a test that failed and whose teardown failed too: pytest's
    /// own summary counts both.
    Pytest,
    /// gotestsum: attempts of `--rerun-fails`. It writes those that failed before those that passed, so
    /// the last one decides.
    Gotestsum,
}

/// The sum of everything in a suite.
#[derive(Debug, Default, Clone, Copy)]
struct Contents {
    counts: Counts,
    /// Whether there are test cases, suites or failures.
    any: bool,
    /// Whether any attempt failed, even if its test passed in the end.
    failed_attempt: bool,
}

impl Contents {
    fn add(&mut self, counts: Counts) {
        self.counts += counts;
        self.any = true;
        self.failed_attempt |= counts.failed > 0;
    }
}

pub(crate) fn read(document: &mut Document<'_>, root: &Element<'_>) -> Result<Counts, Located> {
    read_suite(document, root).map(|contents| contents.counts)
}

fn read_suite(document: &mut Document<'_>, suite: &Element<'_>) -> Result<Contents, Located> {
    let mut contents = Contents::default();
    let mut repeats = match suite.attribute("name")?.as_deref() {
        Some("pytest") => Repeats::Pytest,
        _ => Repeats::Tests,
    };
    let mut outcomes = HashMap::new();
    while let Some(child) = document.child()? {
        match child.name() {
            "testsuite" | "testsuites" => {
                let inner = read_suite(document, &child)?;
                contents.add(inner.counts);
                contents.failed_attempt |= inner.failed_attempt;
            }
            "testcase" => {
                let case = read_case(document, &child)?;
                contents.add(case.outcome.into());
                contents.failed_attempt |= case.failed_attempt;
                if repeats != Repeats::Tests {
                    let earlier = outcomes.insert(name(&child)?, case.outcome);
                    forget_attempt(&mut contents.counts, repeats, earlier);
                }
            }
            "failure" | "error" => {
                contents.add(Outcome::Failed.into());
                document.skip()?;
            }
            "properties" => {
                if has_property(document, "go.version")? {
                    repeats = Repeats::Gotestsum;
                }
            }
            _ => document.skip()?,
        }
    }
    if !contents.any {
        contents.add(stated(suite)?);
    } else if !contents.failed_attempt {
        // Wrong attributes are common beside test cases, and no error.
        contents.add(Counts::failed(suite.count(&["failures", "errors"]).unwrap_or_default()));
    }
    Ok(contents)
}

/// The counts in the attributes of a suite without contents.
fn stated(suite: &Element<'_>) -> Result<Counts, Located> {
    let tests = suite.count(&["tests"])?;
    let failed = suite.count(&["failures", "errors"])?;
    let skipped = suite.count(&["skipped", "skip", "skips", "disabled"])?;
    Ok(Counts { passed: tests.saturating_sub(failed + skipped), failed, skipped })
}

/// Subtracts an earlier attempt of the same test.
fn forget_attempt(counts: &mut Counts, repeats: Repeats, earlier: Option<Outcome>) {
    match (repeats, earlier) {
        (Repeats::Pytest | Repeats::Gotestsum, Some(Outcome::Passed)) => counts.passed -= 1,
        (Repeats::Gotestsum, Some(Outcome::Failed)) => counts.failed -= 1,
        (Repeats::Gotestsum, Some(Outcome::Skipped)) => counts.skipped -= 1,
        (Repeats::Pytest, Some(Outcome::Failed | Outcome::Skipped)) | (Repeats::Tests, _) | (_, None) => {}
    }
}

fn name(case: &Element<'_>) -> Result<(String, String), Located> {
    let value = |name| Ok(case.attribute(name)?.unwrap_or_default().into_owned());
    Ok((value("classname")?, value("name")?))
}

fn has_property(document: &mut Document<'_>, name: &str) -> Result<bool, Located> {
    let mut has = false;
    while let Some(property) = document.child()? {
        has |= property.attribute("name")?.as_deref() == Some(name);
        document.skip()?;
    }
    Ok(has)
}

struct Case {
    outcome: Outcome,
    failed_attempt: bool,
}

fn read_case(document: &mut Document<'_>, case: &Element<'_>) -> Result<Case, Located> {
    let (mut failed, mut skipped, mut todo, mut failed_attempt) = (false, false, false, false);
    while let Some(child) = document.child()? {
        match child.name() {
            "failure" | "error" => failed = true,
            "skipped" | "disabled" => {
                skipped = true;
                todo |= child.attribute("type")?.as_deref() == Some("todo");
            }
            "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" => failed_attempt = true,
            _ => {}
        }
        document.skip()?;
    }
    let outcome = match (failed, skipped) {
        (_, true) if todo => Outcome::Skipped,
        (true, _) => Outcome::Failed,
        (false, true) => Outcome::Skipped,
        (false, false) => status(case)?,
    };
    Ok(Case { outcome, failed_attempt: failed_attempt || failed })
}

/// The outcome in the attributes of a test whose children decide nothing.
fn status(case: &Element<'_>) -> Result<Outcome, Located> {
    for attribute in ["status", "result"] {
        match case.attribute(attribute)?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "notrun" | "disabled" | "suppressed" | "skipped" | "ignored" => return Ok(Outcome::Skipped),
            "fail" | "failed" => return Ok(Outcome::Failed),
            _ => {}
        }
    }
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use crate::tests::check_counts;

    #[test]
    fn test_cases_count_instead_of_attributes() {
        check_counts(r#"<testsuite tests="9" skipped="9"><testcase/><testcase/></testsuite>"#, (2, 0, 0));
        check_counts(r#"<testsuite tests="oops" failures="-1"><testcase/></testsuite>"#, (1, 0, 0));
        check_counts("<testsuites><testcase/><testsuite><testcase/></testsuite></testsuites>", (2, 0, 0));
    }

    #[test]
    fn the_attributes_of_an_empty_suite_count() {
        let suites = r#"<testsuites tests="100">
            <testsuite tests="9" failures="1" errors="2" skipped="1" disabled="1"/>
            <testsuite tests="1"><testcase/></testsuite>
            <testsuite tests="1" errors="3"/>
        </testsuites>"#;
        check_counts(suites, (5, 6, 2));
        check_counts("<testsuites/>", (0, 0, 0));
    }

    #[test]
    fn failures_in_attributes_count_unless_test_cases_show_them() {
        check_counts(r#"<testsuites errors="1"><testsuite><testcase/></testsuite></testsuites>"#, (1, 1, 0));
        let shown = r#"<testsuites errors="5"><testsuite errors="2"><testcase><error/></testcase></testsuite>
            <testcase/></testsuites>"#;
        check_counts(shown, (1, 1, 0));
        let flaky = r#"<testsuite failures="1"><testcase><flakyFailure/></testcase></testsuite>"#;
        check_counts(flaky, (1, 0, 0));
    }

    #[test]
    fn a_test_counts_once() {
        for (children, counts) in [
            ("", (1, 0, 0)),
            ("<failure/><failure/><error/>", (0, 1, 0)),
            ("<failure/><rerunFailure/><rerunFailure/>", (0, 1, 0)),
            ("<flakyError/><flakyFailure/>", (1, 0, 0)),
            ("<skipped/>", (0, 0, 1)),
            ("<skipped type='pytest.skip'/><error/>", (0, 1, 0)),
            ("<skipped type='todo'/><failure/>", (0, 0, 1)),
            ("<system-out><failure/></system-out><warning/>", (1, 0, 0)),
        ] {
            check_counts(&format!("<testsuite><testcase>{children}</testcase></testsuite>"), counts);
        }
        check_counts("<testsuite><error/><testcase/></testsuite>", (1, 1, 0));
    }

    #[test]
    fn attributes_show_tests_that_did_not_run() {
        let cases = r#"<testsuite><testcase status="notrun"/><testcase status="run" result="suppressed"/>
            <testcase status="Disabled"/><testcase status="run" result="completed"/><testcase status="fail"/>
        </testsuite>"#;
        check_counts(cases, (1, 1, 3));
    }

    #[test]
    fn attempts_are_distinguished_from_tests() {
        let attempts = |suite: &str, first: &str, second: &str| {
            format!(
                "{suite}<testcase name='a'>{first}</testcase><testcase name='a'>{second}</testcase></testsuite>"
            )
        };
        check_counts(&attempts("<testsuite>", "", ""), (2, 0, 0));
        check_counts(&attempts("<testsuite name='pytest'>", "", ""), (1, 0, 0));
        check_counts(&attempts("<testsuite name='pytest'>", "", "<failure/>"), (0, 1, 0));
        check_counts(&attempts("<testsuite name='pytest'>", "<failure/>", "<error/>"), (0, 2, 0));
        let go = "<testsuite failures='1'><properties><property name='go.version'/></properties>";
        check_counts(&attempts(go, "<failure/>", ""), (1, 0, 0));
        check_counts(&attempts(go, "<failure/>", "<failure/>"), (0, 1, 0));
    }
}
