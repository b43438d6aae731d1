//! The results of `NUnit` 3 and later.
//!
//! The format is that of
//! <https://docs.nunit.org/articles/nunit/technical-notes/usage/Test-Result-XML-Format.html>. The rules here:
//!
//! - Every `<test-case>` counts by its `result`. `Warning` has passed: a warning does not fail the run
//!   (<https://docs.nunit.org/articles/nunit/writing-tests/Warnings.html>). `Inconclusive` is skipped.
//! - A `<test-suite>` that failed at its `TearDown` site counts as one more failure, because its test cases keep
//!   their results. So does one that failed without a failure in it, for example because an assembly could not be
//!   loaded. Failures at `SetUp` show in the test cases.
//! - The attributes of `<test-run>` are used when there is no suite and no test case.

use crate::counts::{Counts, Outcome};
use crate::error::Located;
use crate::xml::{Document, Element};

pub(crate) fn read(document: &mut Document<'_>, run: &Element<'_>) -> Result<Counts, Located> {
    read_suite(document, run)
}

fn read_suite(document: &mut Document<'_>, suite: &Element<'_>) -> Result<Counts, Located> {
    let mut counts = Counts::default();
    let mut any = false;
    while let Some(child) = document.child()? {
        match child.name() {
            "test-suite" => {
                any = true;
                counts += read_suite(document, &child)?;
            }
            "test-case" => {
                any = true;
                counts += outcome(&child)?.into();
                document.skip()?;
            }
            _ => document.skip()?,
        }
    }
    if !any && suite.name() == "test-run" {
        counts = Counts {
            passed: suite.count(&["passed", "warnings"])?,
            failed: suite.count(&["failed"])?,
            skipped: suite.count(&["skipped", "inconclusive"])?,
        };
    }
    let failed = suite.attribute("result")?.as_deref() == Some("Failed");
    let at_tear_down = suite.attribute("site")?.as_deref() == Some("TearDown");
    if failed && (at_tear_down || counts.failed == 0) {
        counts.failed += 1;
    }
    Ok(counts)
}

fn outcome(case: &Element<'_>) -> Result<Outcome, Located> {
    match &*case.required("result")? {
        "Passed" | "Warning" => Ok(Outcome::Passed),
        "Failed" => Ok(Outcome::Failed),
        "Skipped" | "Inconclusive" => Ok(Outcome::Skipped),
        other => Err(case.unexpected("result", other, "Passed, Failed, Warning, Skipped or Inconclusive")),
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_error};

    #[test]
    fn a_failed_suite_is_a_failure_unless_its_tests_show_it() {
        for (suite, counts) in [
            ("<test-suite result='Passed'><test-case result='Passed'/></test-suite>", (1, 0, 0)),
            ("<test-suite result='Failed' site='Child'><test-case result='Failed'/></test-suite>", (0, 1, 0)),
            ("<test-suite result='Failed' site='SetUp'><test-case result='Failed'/></test-suite>", (0, 1, 0)),
            (
                "<test-suite result='Failed' site='TearDown'><test-case result='Failed'/></test-suite>",
                (0, 2, 0),
            ),
            (
                "<test-suite result='Failed' site='TearDown'><test-case result='Passed'/></test-suite>",
                (1, 1, 0),
            ),
            ("<test-suite type='Assembly' result='Failed' label='Invalid'/>", (0, 1, 0)),
        ] {
            check_counts(
                &format!("<test-run result='Failed'>{suite}</test-run>"),
                match counts {
                    (passed, 0, skipped) => (passed, 1, skipped),
                    counts => counts,
                },
            );
        }
    }

    #[test]
    fn the_attributes_of_a_run_without_tests_count() {
        let run =
            "<test-run result='Failed' passed='5' failed='1' warnings='1' inconclusive='1' skipped='2'/>";
        check_counts(run, (6, 1, 3));
    }

    #[test]
    fn unknown_results_are_errors() {
        check_error(
            "<test-run>\n<test-case/></test-run>",
            "<test-case> has no attribute \"result\" at line 2, column 1",
        );
        check_error(
            "<test-run><test-case result='Success'/></test-run>",
            "result=\"Success\" of <test-case> is not Passed, Failed, Warning, Skipped or Inconclusive \
             at line 1, column 11",
        );
    }
}
