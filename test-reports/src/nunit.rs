//! The results of `NUnit` 3 and later.
//!
//! The format is that of
//! <https://docs.nunit.org/articles/nunit/technical-notes/usage/Test-Result-XML-Format.html>. The rules here:
//!
//! - Every `<test-case>` counts by its `result`. `Warning` has passed: a warning does not fail the run
//!   (<https://docs.nunit.org/articles/nunit/writing-tests/Warnings.html>). `Inconclusive` is skipped.
//! - A `<test-suite>` that failed at its `TearDown` site counts as a failure of its own, for its test
//!   cases keep their results; so does any that failed with no failure in it, as when an assembly could not
//!   be loaded. Failures at `SetUp` show in the test cases.
//! - The attributes of `<test-run>` are used when there is no suite and no test case.

use super::counts::{Counts, Outcome};
use super::error::Fault;
use super::xml::{Document, Element};

/// Reads what is in `<test-run>`.
pub(super) fn read(document: &mut Document<'_>, run: &Element<'_>) -> Result<Counts, Fault> {
    read_suite(document, run)
}

fn read_suite(document: &mut Document<'_>, suite: &Element<'_>) -> Result<Counts, Fault> {
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

fn outcome(case: &Element<'_>) -> Result<Outcome, Fault> {
    match &*case.required("result")? {
        "Passed" | "Warning" => Ok(Outcome::Passed),
        "Failed" => Ok(Outcome::Failed),
        "Skipped" | "Inconclusive" => Ok(Outcome::Skipped),
        other => Err(case.unexpected("result", other, "Passed, Failed, Warning, Skipped or Inconclusive")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_counts, check_error};

    #[test]
    fn suites_fail_by_themselves() {
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
    fn a_run_alone_is_read_by_its_attributes() {
        let run =
            "<test-run result='Failed' passed='5' failed='1' warnings='1' inconclusive='1' skipped='2'/>";
        check_counts(run, (6, 1, 3));
    }

    #[test]
    fn results_are_a_closed_set() {
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
