//! `JUnit` XML: started by Ant, written by every test runner, specified by none.
//!
//! There is no standard; <https://github.com/testmoapp/junitxml> collects what tools write and
//! <https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd> is the nearest to
//! a schema. The rules here:
//!
//! - **Test cases count, not attributes.** `tests="13"` may count attempts (Surefire), nested suites (Node)
//!   or assertions (Catch2). Totals that exceed the test cases count as in [`crate::stated`].
//! - A case fails once, however many `<failure>` and `<error>` it has; in a suite, each is a failure.
//! - `<flakyFailure>`, `<flakyError>`, `<rerunFailure>` and `<rerunError>` are attempts
//!   (<https://maven.apache.org/surefire/maven-surefire-plugin/examples/rerun-failing-tests.html>,
//!   <https://nexte.st/docs/machine-readable/junit/>): they do not count.
//! - `<skipped>` is skipped; with a failure as well, the test has failed, as when pytest's teardown fails
//!   after a skip. Node's failing `todo` has both, with `type="todo"`, and is skipped
//!   (<https://nodejs.org/api/test.html#todo-tests>). So is a test of Catch2 that may fail.
//! - Without such children, `status` or `result` decide. `GoogleTest`
//!   (<https://google.github.io/googletest/advanced.html#generating-an-xml-report>), `CTest`
//!   (<https://cmake.org/cmake/help/latest/manual/ctest.1.html#cmdoption-ctest-output-junit>) and Qt use them.
//! - Cases of one suite with the same class and name are attempts. Suites of one file are different suites, even with
//!   the same name: several browsers run the same tests, and several files have the same `describe`.

use crate::counts::Outcome;
use crate::error::{Located, ReportErrorKind, excerpt};
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test, hash};
use crate::stated::{Shown, Stated};
use crate::vocabulary::{JUNIT_ELEMENTS, JUNIT_NOT_RUN, JUNIT_STATUS, JUNIT_TYPES};
use crate::xml::{Document, Element};

struct Reader<'d, 'a, 'r> {
    document: &'d mut Document<'a>,
    recorder: &'r mut Recorder,
}

/// The contents of a suite.
#[derive(Default)]
struct Contents {
    shown: Shown,
    /// What the suites in it state; `None` if there are none.
    inner: Option<Stated>,
}

pub(crate) fn read(
    document: &mut Document<'_>,
    root: &Element<'_>,
    recorder: &mut Recorder,
) -> Result<(), Located> {
    Reader { document, recorder }.suite(root, Scope::FILE)?;
    // An error shows that the format is another one.
    recorder.format(Format::JUnit);
    Ok(())
}

impl Reader<'_, '_, '_> {
    fn suite(&mut self, suite: &Element<'_>, parent: Scope<'_>) -> Result<(Shown, Stated), Located> {
        let name = suite.text("name");
        let scope = Scope::suite(&name).or(parent);
        let id = self.recorder.next_suite();
        let since = self.recorder.tests.len();
        let mut contents = Contents::default();
        let mut any = false;
        while let Some(child) = self.document.child()? {
            match child.name() {
                "testsuite" | "testsuites" => {
                    any = true;
                    let (shown, stated) = self.suite(&child, scope)?;
                    contents.shown.add(shown);
                    contents.inner = Some(contents.inner.unwrap_or_default().plus(stated));
                }
                // The specifications of tests that TestLink exports.
                "testcase" if child.attribute("internalid").is_some() => {
                    return Err(
                        child.located(ReportErrorKind::UnknownContent { element: excerpt(child.name()) })
                    );
                }
                "testcase" => {
                    any = true;
                    let shown = self.case(&child, scope, id)?;
                    contents.shown.add(shown);
                }
                "failure" | "error" => {
                    any = true;
                    contents.shown.failures += 1;
                    self.recorder.failure(&name);
                    self.document.skip()?;
                }
                // The root of `DejaGnu`'s reports, which have tests instead of test cases.
                "test" if !any => {
                    return Err(
                        suite.located(ReportErrorKind::UnknownContent { element: excerpt(suite.name()) })
                    );
                }
                "properties" => contents.shown.has_messages = self.is_qt()?,
                _ => self.document.skip()?,
            }
        }
        let stated = Stated {
            tests: suite.number("tests"),
            failures: suite.sum(&["failures"]),
            errors: suite.sum(&["errors"]),
            skipped: suite.sum(&["skipped", "skip", "skips", "disabled"]),
        };
        let shown = if any {
            stated.count_rest(contents.inner, contents.shown, since, self.recorder)
        } else {
            stated.count_alone(self.recorder)
        };
        Ok((shown, stated.max(contents.inner.unwrap_or_default())))
    }

    fn case(&mut self, case: &Element<'_>, scope: Scope<'_>, suite: u64) -> Result<Shown, Located> {
        let children = Children::read(self.document)?;
        let outcome = match children.outcome {
            Some(Outcome::Skipped) if children.could_not_run && is_not_run(case) => Outcome::Failed,
            Some(outcome) => outcome,
            None => self.status(case),
        };
        let (class, name) = (case.text("classname"), case.text("name"));
        let retried = children.failed_attempt || case.text("flaky") == "true";
        self.recorder.test(&Test {
            suite,
            variant: hash((case.text("file"), case.text("line"))),
            retried,
            ..Test::new(Scope::class(&class).or(scope), &name, outcome)
        });
        let failures = children.failures.max(u64::from(retried || outcome == Outcome::Failed));
        Ok(Shown { tests: 1, failures, skipped: outcome == Outcome::Skipped, has_messages: false })
    }

    /// Whether the properties of a suite are those of Qt.
    fn is_qt(&mut self) -> Result<bool, Located> {
        let mut is_qt = false;
        while let Some(property) = self.document.child()? {
            is_qt |= property.text("name") == "QtVersion";
            self.document.skip()?;
        }
        Ok(is_qt)
    }

    /// The outcome in the attributes of a test whose children decide nothing.
    fn status(&mut self, case: &Element<'_>) -> Outcome {
        for attribute in ["status", "result"] {
            let word = case.text(attribute);
            if word.is_empty() {
                continue;
            }
            let outcome = self.recorder.outcome(&JUNIT_STATUS, &word, Outcome::Skipped);
            if outcome != Outcome::Passed {
                return outcome;
            }
        }
        Outcome::Passed
    }
}

/// What the elements in a test case decide.
#[derive(Default)]
struct Children {
    outcome: Option<Outcome>,
    /// The number of failures and failed attempts, even if they do not decide.
    failures: u64,
    failed_attempt: bool,
    could_not_run: bool,
}

impl Children {
    fn read(document: &mut Document<'_>) -> Result<Self, Located> {
        let mut children = Self::default();
        let mut todo = false;
        while let Some(child) = document.child()? {
            let name = child.name();
            if matches!(name, "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError") {
                children.failed_attempt = true;
                children.failures += 1;
            }
            if let Some(outcome) = JUNIT_ELEMENTS.outcome(name) {
                let kind = child.text("type");
                children.failures += u64::from(outcome == Outcome::Failed);
                let message = child.text("message");
                // Node and Catch2 add the failure that they allow.
                let may_fail = kind == "todo" || message.ends_with("!mayfail");
                todo |= outcome == Outcome::Skipped && may_fail;
                children.could_not_run |= JUNIT_NOT_RUN.prefix(&message).is_some();
                match JUNIT_TYPES.suffix(&kind).unwrap_or(outcome) {
                    Outcome::Passed => {}
                    Outcome::Failed => children.outcome = Some(Outcome::Failed),
                    Outcome::Skipped => {
                        children.outcome.get_or_insert(Outcome::Skipped);
                    }
                }
            }
            document.skip()?;
        }
        if todo {
            children.outcome = Some(Outcome::Skipped);
        }
        Ok(children)
    }
}

fn is_not_run(case: &Element<'_>) -> bool {
    case.text("status").eq_ignore_ascii_case("notrun")
}

#[cfg(test)]
mod tests {
    use crate::tests::{check, check_counts};
    use crate::{Counts, Repetitions, Reports};

    #[test]
    fn test_cases_count_instead_of_attributes() {
        check_counts(r#"<testsuite tests="9"><testcase/><testcase/></testsuite>"#, (2, 0, 0));
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
        check_counts(suites, (5, 4, 2));
        check_counts("<testsuites/>", (0, 0, 0));
    }

    #[test]
    fn failures_that_no_test_shows_count_up_to_the_number_of_tests() {
        for (suite, (passed, failed, skipped), run_failed) in [
            // A failure outside of the tests.
            ("<testsuites errors='1'><testsuite><testcase/></testsuite></testsuites>", (1, 0, 0), true),
            ("<testsuite tests='0' errors='1'/>", (0, 0, 0), true),
            ("<testsuite failures='1'><testcase/></testsuite>", (1, 0, 0), true),
            // Shown, or passed in the end.
            (
                "<testsuite tests='2' failures='2'><testcase/><testcase><error/></testcase></testsuite>",
                (1, 1, 0),
                false,
            ),
            (
                "<testsuite tests='1' failures='1'><testcase><flakyFailure/></testcase></testsuite>",
                (1, 0, 0),
                false,
            ),
            // Test cases that are not listed.
            ("<testsuite tests='4' failures='2' skipped='1'><testcase/></testsuite>", (1, 2, 1), false),
            ("<testsuite tests='2' errors='9'><testcase/></testsuite>", (1, 1, 0), false),
            // More failures than tests: subtests.
            (
                "<testsuite tests='2' failures='7'><testcase name='a'/><testcase name='b'/></testsuite>",
                (1, 1, 0),
                false,
            ),
            (
                "<testsuite tests='2' failures='2'><testcase name='a'/><testcase name='b'/></testsuite>",
                (0, 2, 0),
                false,
            ),
            // An error outside of the tests, and messages of Qt.
            ("<testsuite tests='1' errors='1'><testcase/></testsuite>", (1, 0, 0), true),
            (
                "<testsuite tests='1' errors='5'><properties><property name='QtVersion'/></properties><testcase/></testsuite>",
                (1, 0, 0),
                false,
            ),
            // More failures than the retried tests show.
            (
                "<testsuite tests='3' failures='2'><testcase><flakyFailure/></testcase></testsuite>",
                (1, 1, 0),
                false,
            ),
            ("<testsuite tests='2' failures='1.0'><testcase/></testsuite>", (1, 1, 0), false),
            // Skipped tests, with and without room for them.
            (
                "<testsuite tests='2' skipped='1'><testcase name='a'/><testcase name='b'/></testsuite>",
                (1, 0, 1),
                false,
            ),
            (
                "<testsuites tests='3' skipped='1'><testsuite tests='2'><testcase/><testcase/></testsuite></testsuites>",
                (2, 0, 1),
                false,
            ),
        ] {
            check(suite, Counts { passed, failed, skipped }, run_failed);
        }
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
            ("<skipped message='TEST_CASE tagged with !mayfail'/><failure/>", (0, 0, 1)),
            ("<timeout/>", (0, 1, 0)),
            ("<blocked/>", (0, 0, 1)),
            ("<failure type='PHPUnit\\Framework\\SyntheticSkippedError'/>", (0, 0, 1)),
            ("<error type='PHPUnit\\Framework\\OutputError'/>", (1, 0, 0)),
            ("<system-out><failure/></system-out><warning/>", (1, 0, 0)),
            ("<error type='Kit\\RiskyTestError'/>", (1, 0, 0)),
            ("<error type='PHPUnit_Framework_IncompleteTestError'/>", (0, 0, 1)),
            ("<failure type='org.junit.AssumptionViolatedException'/>", (0, 0, 1)),
        ] {
            check_counts(&format!("<testsuite><testcase>{children}</testcase></testsuite>"), counts);
        }
        check_counts("<testsuite><error/><testcase/></testsuite>", (1, 1, 0));
    }

    #[test]
    fn attributes_decide_if_no_element_does() {
        for (attributes, counts) in [
            ("status='notrun'", (0, 0, 1)),
            ("status='run' result='suppressed'", (0, 0, 1)),
            ("status='run' result='completed'", (1, 0, 0)),
            ("status='Not Run'", (0, 0, 1)),
            ("status='ERROR'", (0, 1, 0)),
            ("result='timed_out'", (0, 1, 0)),
            ("result='bfail'", (0, 0, 1)),
            ("status='splendid'", (0, 0, 1)),
            ("status='not ok'", (0, 1, 0)),
            ("result='allowed to fail'", (0, 0, 1)),
        ] {
            check_counts(&format!("<testsuite><testcase {attributes}/></testsuite>"), counts);
        }
    }

    #[test]
    fn a_test_that_could_not_run_has_failed() {
        let not_run = |status: &str, message: &str| {
            format!(
                "<testsuite><testcase status='{status}'><skipped message='{message}'/></testcase></testsuite>"
            )
        };
        check_counts(&not_run("notrun", "Unable to find executable: kit"), (0, 1, 0));
        check_counts(&not_run("notrun", "SKIP_RETURN_CODE=77"), (0, 0, 1));
        check_counts(&not_run("disabled", "Unable to find executable"), (0, 0, 1));
    }

    #[test]
    fn cases_with_the_same_name_in_one_suite_are_attempts() {
        const PASS: &str = "";
        const FAIL: &str = "<failure/>";
        const ERROR: &str = "<error/>";
        const SKIP: &str = "<skipped/>";
        for (attempts, counts) in [
            (&[PASS, PASS][..], (1, 0, 0)),
            (&[FAIL, PASS], (1, 0, 0)),
            (&[FAIL, ERROR, PASS], (1, 0, 0)),
            (&[SKIP, SKIP, PASS], (1, 0, 0)),
            (&[PASS, FAIL], (0, 1, 0)),
            (&[FAIL, ERROR], (0, 1, 0)),
            (&[FAIL, SKIP], (0, 1, 0)),
            (&[SKIP, SKIP], (0, 0, 1)),
            // Not attempts: a test that passed is not retried.
            (&[FAIL, PASS, PASS], (0, 1, 0)),
            (&[PASS, FAIL, PASS], (0, 1, 0)),
        ] {
            let case = |children: &&str| format!("<testcase classname='K' name='a'>{children}</testcase>");
            let cases = attempts.iter().map(case).collect::<Vec<_>>().concat();
            check_counts(&format!("<testsuite name='s'>{cases}</testsuite>"), counts);
        }
    }

    #[test]
    fn a_suite_in_which_a_test_passed_twice_has_no_attempts() {
        let suite = |tests: &str| {
            let case = |test: char| {
                let failure = if test.is_uppercase() { "" } else { "<failure/>" };
                format!("<testcase classname='K' name='{}'>{failure}</testcase>", test.to_ascii_lowercase())
            };
            format!("<testsuite name='s'>{}</testsuite>", tests.chars().map(case).collect::<String>())
        };
        check_counts(&suite("aBAB"), (1, 1, 0));
        check_counts(&suite("aASSS"), (1, 1, 0));
        check_counts(&suite("aAS"), (2, 0, 0));
        check_counts(&format!("<testsuites>{}{}</testsuites>", suite("BB"), suite("aA")), (2, 0, 0));
        for (tests, retried) in [("AA", 0), ("aA", 1), ("aa", 0)] {
            let mut reports = Reports::new(Repetitions::Merge);
            reports.add("r.xml", suite(tests).as_bytes()).unwrap();
            assert_eq!(reports.summary(0).retried, retried, "{tests}");
        }
    }

    #[test]
    fn tests_of_different_suites_or_lines_are_different() {
        let suites = "<testsuites><testsuite name='s'><testcase classname='K' name='a'/></testsuite>\
            <testsuite name='s'><testcase classname='K' name='a'><failure/></testcase></testsuite></testsuites>";
        check_counts(suites, (1, 1, 0));
        let lines = "<testsuite><testcase name='a' file='a.js'><failure/></testcase>\
            <testcase name='a' file='b.js'/></testsuite>";
        check_counts(lines, (1, 1, 0));
    }
}
