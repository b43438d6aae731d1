//! TRX, the results of Visual Studio and `dotnet test --logger trx`.
//!
//! The schema is `vstst.xsd` of Visual Studio; what is written today is
//! <https://github.com/microsoft/vstest/tree/main/src/Microsoft.TestPlatform.Extensions.TrxLogger>, and the
//! outcomes are those of its `ObjectModel/TestOutcome.cs`. The rules here:
//!
//! - Every result in `<Results>` counts. One with `<InnerResults>` is the frame of a data-driven or an ordered
//!   test: the inner ones count instead, as the console does
//!   (<https://github.com/microsoft/vstest/pull/15766>), unless it failed and none of them did.
//! - A result without `outcome` is an error: the writer leaves out the enumeration's first value.
//! - Attempts of `MSTest`'s `[Retry]` do not show, and those of `--retry-failed-tests` are separate files
//!   (<https://learn.microsoft.com/dotnet/core/testing/microsoft-testing-platform-retry>): pass the last.
//!   Several results of one test are therefore rows of data, and all count.
//! - A run whose `<ResultSummary>` failed counts as one failure when no result did: the test host crashed
//!   or an assembly could not be loaded.
//! - `<Counters>` are used when there are no results at all.

use crate::counts::{Counts, Outcome};
use crate::error::Located;
use crate::xml::{Document, Element};

pub(crate) fn read(document: &mut Document<'_>) -> Result<Counts, Located> {
    let mut counts = Counts::default();
    let mut summary = Summary::default();
    while let Some(child) = document.child()? {
        match child.name() {
            "Results" => counts += read_results(document)?.unwrap_or_default(),
            "ResultSummary" => summary = read_summary(document, &child)?,
            _ => document.skip()?,
        }
    }
    if counts.total() == 0 {
        counts = summary.counters;
    }
    if summary.failed && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}

/// The results in `<Results>` or `<InnerResults>`; None if there are none.
fn read_results(document: &mut Document<'_>) -> Result<Option<Counts>, Located> {
    let mut counts = None;
    while let Some(result) = document.child()? {
        let own = outcome(&result)?;
        let mut inner = None;
        while let Some(child) = document.child()? {
            match child.name() {
                "InnerResults" => inner = read_results(document)?,
                _ => document.skip()?,
            }
        }
        let counted = match inner {
            Some(inner) if inner.failed == 0 && own == Outcome::Failed => inner + own.into(),
            Some(inner) => inner,
            None => own.into(),
        };
        *counts.get_or_insert_default() += counted;
    }
    Ok(counts)
}

fn outcome(result: &Element<'_>) -> Result<Outcome, Located> {
    let Some(outcome) = result.attribute("outcome")? else {
        return Ok(Outcome::Failed);
    };
    match &*outcome {
        "Passed" | "PassedButRunAborted" | "Completed" | "Warning" => Ok(Outcome::Passed),
        // `MSTest` itself reports `NotRunnable`, a mistake in the test, as failed by default.
        "Failed" | "Error" | "Timeout" | "Aborted" | "Disconnected" | "InProgress" | "NotRunnable" => {
            Ok(Outcome::Failed)
        }
        "NotExecuted" | "Inconclusive" | "Pending" => Ok(Outcome::Skipped),
        other => Err(result.unexpected("outcome", other, "an outcome that TRX defines")),
    }
}

#[derive(Debug, Default)]
struct Summary {
    failed: bool,
    counters: Counts,
}

fn read_summary(document: &mut Document<'_>, summary: &Element<'_>) -> Result<Summary, Located> {
    let failed = matches!(
        summary.attribute("outcome")?.as_deref(),
        Some("Failed" | "Error" | "Timeout" | "Aborted" | "Disconnected" | "PassedButRunAborted")
    );
    let mut counters = Counts::default();
    while let Some(child) = document.child()? {
        if child.name() == "Counters" {
            let total = child.count(&["total"])?;
            let failed =
                child.count(&["failed", "error", "timeout", "aborted", "disconnected", "notRunnable"])?;
            let passed = child.count(&["passed", "passedButRunAborted", "completed", "warning"])?;
            counters = Counts { passed, failed, skipped: total.saturating_sub(passed + failed) };
        }
        document.skip()?;
    }
    Ok(Summary { failed, counters })
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_error};

    fn run(results: &str, rest: &str) -> String {
        format!("<TestRun><Results>{results}</Results>{rest}</TestRun>")
    }

    #[test]
    fn every_outcome_counts() {
        for (outcome, counts) in [
            ("Passed", (1, 0, 0)),
            ("Warning", (1, 0, 0)),
            ("Failed", (0, 1, 0)),
            ("Timeout", (0, 1, 0)),
            ("NotRunnable", (0, 1, 0)),
            ("NotExecuted", (0, 0, 1)),
            ("Inconclusive", (0, 0, 1)),
        ] {
            check_counts(&run(&format!("<UnitTestResult outcome='{outcome}'/>"), ""), counts);
        }
        check_counts(&run("<UnitTestResult/>", ""), (0, 1, 0));
        check_error(
            &run("<UnitTestResult outcome='Fine'/>", ""),
            "outcome=\"Fine\" of <UnitTestResult> is not an outcome that TRX defines at line 1, column 19",
        );
    }

    #[test]
    fn rows_of_data_count_instead_of_their_test() {
        let rows = |own: &str, first: &str| {
            format!(
                "<UnitTestResult outcome='{own}'><Output/><InnerResults><UnitTestResult outcome='{first}'/>\
                 <UnitTestResult outcome='Passed'/></InnerResults></UnitTestResult>"
            )
        };
        check_counts(&run(&rows("Passed", "Passed"), ""), (2, 0, 0));
        check_counts(&run(&rows("Failed", "Failed"), ""), (1, 1, 0));
        check_counts(&run(&rows("Failed", "Passed"), ""), (2, 1, 0));
    }

    #[test]
    fn a_run_that_failed_without_a_failed_test_is_a_failure() {
        let crashed = "<ResultSummary outcome='Failed'><Counters total='1' passed='1'/></ResultSummary>";
        check_counts(&run("<UnitTestResult outcome='Passed'/>", crashed), (1, 1, 0));
        let counted =
            "<ResultSummary outcome='Failed'><Counters total='4' passed='1' failed='2'/></ResultSummary>";
        check_counts(&run("", counted), (1, 2, 1));
    }
}
