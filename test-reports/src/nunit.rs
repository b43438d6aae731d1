//! The results of `NUnit`, version 2 and version 3 or later.
//!
//! The formats are those of
//! <https://docs.nunit.org/articles/nunit/technical-notes/usage/Test-Result-XML-Format.html> and
//! <https://nunit.org/docs/2.5/files/TestResult.xml>, which Pester and many others write. The rules here:
//!
//! - Every `<test-case>` counts by its `result`. `Warning` has passed: a warning does not fail the run
//!   (<https://docs.nunit.org/articles/nunit/writing-tests/Warnings.html>). `Inconclusive` is skipped.
//! - Cases with different IDs are different tests, and others with the same name are attempts.
//! - A `<test-suite>` with a `<failure>` of its `TearDown` counts as one more failure, because its test cases keep
//!   their results. So does one with a `<failure>` and without a failure in it, for example because an assembly could
//!   not be loaded. Failures at `SetUp` show in the test cases, and those at `Child` and `Parent` elsewhere.
//! - A suite that failed without any of these fails the run.
//! - Totals in the attributes of the root that exceed the cases count as in [`crate::stated`].

use crate::counts::Outcome;
use crate::error::Located;
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test, hash};
use crate::stated::{Shown, Stated};
use crate::vocabulary::{NUNIT, NUNIT2, Vocabulary};
use crate::xml::{Document, Element};

struct Reader<'d, 'a, 'r> {
    document: &'d mut Document<'a>,
    recorder: &'r mut Recorder,
    words: &'static Vocabulary,
}

/// Reads a document whose root is `<test-run>`.
pub(crate) fn read(
    document: &mut Document<'_>,
    run: &Element<'_>,
    recorder: &mut Recorder,
) -> Result<(), Located> {
    recorder.format(Format::NUnit);
    let stated = Stated {
        tests: run.number("total"),
        failures: run.sum(&["failed"]),
        errors: 0,
        skipped: run.sum(&["skipped", "inconclusive"]),
    };
    Reader { document, recorder, words: &NUNIT }.root(run, stated)
}

/// Reads a document whose root is `<test-results>`. Its `total` counts the tests that ran.
pub(crate) fn read_version_2(
    document: &mut Document<'_>,
    results: &Element<'_>,
    recorder: &mut Recorder,
) -> Result<(), Located> {
    recorder.format(Format::NUnit2);
    let not_run = results.sum(&["not-run"]).max(results.sum(&["ignored", "skipped", "invalid"]));
    let inconclusive = results.sum(&["inconclusive"]);
    let stated = Stated {
        tests: results.number("total").map(|total| total + not_run),
        failures: results.sum(&["failures"]),
        errors: results.sum(&["errors"]),
        skipped: not_run + inconclusive,
    };
    Reader { document, recorder, words: &NUNIT2 }.root(results, stated)
}

impl Reader<'_, '_, '_> {
    fn root(&mut self, root: &Element<'_>, stated: Stated) -> Result<(), Located> {
        let since = self.recorder.tests.len();
        let (shown, any) = self.suite(root, Scope::FILE, true)?;
        // A version 2 with `total` of all tests would leave room for those that did not run.
        let skipped = if shown.tests > 0 { 0 } else { stated.skipped };
        let stated = Stated { skipped, ..stated };
        let now = if any {
            stated.count_rest(Some(Stated::default()), shown, since, self.recorder)
        } else if shown.failures > 0 {
            shown
        } else {
            let tests = stated.tests.or_else(|| {
                let passed = root.sum(&["passed", "warnings"]);
                (passed > 0).then_some(passed + stated.failures + stated.skipped)
            });
            Stated { tests, ..stated }.count_alone(self.recorder)
        };
        if root.text("result").starts_with("Failed") && now.failures == 0 {
            self.recorder.fail_run();
        }
        Ok(())
    }

    /// Reads a suite. Returns what it shows, and whether there are tests or suites in it.
    fn suite(
        &mut self,
        suite: &Element<'_>,
        class: Scope<'_>,
        is_root: bool,
    ) -> Result<(Shown, bool), Located> {
        let full_name = suite.text("fullname");
        let is_group = matches!(&*suite.text("type"), "ParameterizedMethod" | "GenericMethod" | "Theory");
        let name = if full_name.is_empty() { suite.text("name") } else { full_name };
        let class = if is_root || is_group { class } else { Scope::class(&name).or(class) };
        let (mut shown, mut any) = (Shown::default(), false);
        let mut has_failure = self.children(class, &mut shown, &mut any)?;
        let result = suite.text("result");
        let failed =
            self.words.outcome(result.split(':').next().unwrap_or_default()) == Some(Outcome::Failed);
        let site = suite.text("site");
        has_failure &= failed && !matches!(&*site, "Child" | "Parent");
        let is_shown = shown.failures > 0;
        if has_failure && (site == "TearDown" || !is_shown) && !is_root {
            self.recorder.failure(&name);
            shown.failures += 1;
        } else if failed && !is_shown && !is_root && !matches!(&*site, "Parent") {
            self.recorder.fail_run();
            shown.failures += 1;
        }
        Ok((shown, any))
    }

    /// Reads what is in a suite. Returns whether it has a `<failure>`.
    fn children(&mut self, class: Scope<'_>, shown: &mut Shown, any: &mut bool) -> Result<bool, Located> {
        let mut has_failure = false;
        while let Some(child) = self.document.child()? {
            match child.name() {
                "test-suite" => {
                    *any = true;
                    let (inner, _) = self.suite(&child, class, false)?;
                    shown.add(inner);
                }
                "test-case" => {
                    *any = true;
                    let outcome = self.case(&child, class)?;
                    shown.test(outcome);
                }
                "results" => has_failure |= self.children(class, shown, any)?,
                name => {
                    has_failure |= name == "failure";
                    self.document.skip()?;
                }
            }
        }
        Ok(has_failure)
    }

    fn case(&mut self, case: &Element<'_>, suite: Scope<'_>) -> Result<Outcome, Located> {
        let mut children = Outcome::Skipped;
        while let Some(child) = self.document.child()? {
            if child.name() == "failure" {
                children = Outcome::Failed;
            }
            self.document.skip()?;
        }
        let outcome = self.outcome(case, children);
        let (class, full_name) = (case.text("classname"), case.text("fullname"));
        let name = if full_name.is_empty() { case.text("name") } else { full_name };
        self.recorder.test(&Test {
            variant: hash(case.text("id")),
            ..Test::new(Scope::class(&class).or(suite), &name, outcome)
        });
        Ok(outcome)
    }

    fn outcome(&mut self, case: &Element<'_>, children: Outcome) -> Outcome {
        if case.text("executed").eq_ignore_ascii_case("false") && case.attribute("result").is_none() {
            return Outcome::Skipped;
        }
        let result = case.attribute("result").unwrap_or_else(|| case.text("success"));
        let word = result.split(':').next().unwrap_or_default();
        self.recorder.outcome(self.words, word, children)
    }
}

#[cfg(test)]
mod tests {
    use crate::Counts;
    use crate::tests::{check, check_counts};

    #[test]
    fn a_failed_suite_is_a_failure_unless_its_tests_show_it() {
        const PASSED: &str = "<test-case result='Passed'/>";
        const FAILED: &str = "<test-case result='Failed'/>";
        for (attributes, content, (passed, failed), run_failed) in [
            ("result='Passed'", PASSED, (1, 0), false),
            ("result='Failed' site='Child'", FAILED, (0, 1), false),
            ("result='Failed' site='SetUp'", &format!("<failure/>{FAILED}"), (0, 1), false),
            ("result='Failed' site='TearDown'", &format!("<failure/>{FAILED}"), (0, 2), false),
            ("result='Failed' site='TearDown'", &format!("<failure/>{PASSED}"), (1, 1), false),
            ("result='Failed' label='Invalid'", "<failure/>", (0, 1), false),
            ("result='Failed' site='Parent'", "<failure/>", (0, 0), true),
            ("result='Failed'", PASSED, (1, 0), true),
        ] {
            let result = if failed > 0 || run_failed { "Failed" } else { "Passed" };
            let run = format!(
                "<test-run result='{result}'><test-suite {attributes}>{content}</test-suite></test-run>"
            );
            check(&run, Counts { passed, failed, skipped: 0 }, run_failed);
        }
    }

    #[test]
    fn the_attributes_of_a_run_without_tests_count() {
        let run = "<test-run result='Failed' total='10' passed='5' failed='1' warnings='1' inconclusive='1' skipped='2'/>";
        check_counts(run, (6, 1, 3));
        check_counts("<test-run total='3' failed='1'><test-case result='Passed'/></test-run>", (1, 1, 0));
        check_counts("<test-results total='3' failures='1' not-run='2'/>", (2, 1, 2));
    }

    #[test]
    fn a_fixture_in_version_2_has_results() {
        let results = |cases: &str| {
            format!(
                "<test-results><test-suite name='K' result='Failure'><results>{cases}</results></test-suite></test-results>"
            )
        };
        let cases = "<test-case name='a' executed='True' success='True'/><test-case name='b' executed='False'/>\
             <test-case name='c' result='NotRunnable'/><test-case name='d' result='Ignored'/>\
             <test-case name='e' executed='True' success='False'><failure/></test-case>";
        check_counts(&results(cases), (1, 2, 2));
    }

    #[test]
    fn unknown_results_are_decided_by_their_elements() {
        check_counts(
            "<test-run><test-case result='Odd'><failure/></test-case><test-case result='Odd'/></test-run>",
            (0, 1, 1),
        );
        check_counts("<test-run><test-case result='Skipped:Ignored'/></test-run>", (0, 0, 1));
    }

    #[test]
    fn cases_with_different_ids_are_different() {
        let cases = "<test-run><test-case id='1' name='a' result='Failed'/><test-case id='2' name='a' result='Passed'/>\
             <test-case name='b' result='Failed'/><test-case name='b' result='Passed'/></test-run>";
        check_counts(cases, (2, 1, 0));
    }
}
