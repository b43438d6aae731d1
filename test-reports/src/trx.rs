//! TRX, the results of Visual Studio and `dotnet test --logger trx`.
//!
//! The schema is `vstst.xsd` of Visual Studio; what is written today is
//! <https://github.com/microsoft/vstest/tree/main/src/Microsoft.TestPlatform.Extensions.TrxLogger>, and the
//! outcomes are those of its `ObjectModel/TestOutcome.cs`. The rules here:
//!
//! - Every result in `<Results>` counts. One with `<InnerResults>` is the parent of a data-driven or an ordered
//!   test: its inner results count instead, as on the console
//!   (<https://github.com/microsoft/vstest/pull/15766>), unless it failed and none of them did.
//! - A result without `outcome` is an error: the writer leaves out the enumeration's first value.
//! - Results with the same name and ID are attempts, even in separate files, as with `--retry-failed-tests`
//!   (<https://learn.microsoft.com/dotnet/core/testing/microsoft-testing-platform-retry>). Results with different IDs
//!   are rows of a data-driven test.
//! - If `<ResultSummary>` has failed without a failed result, the run failed: the test host crashed, an assembly could
//!   not be loaded, or a data collector reported an error.
//! - Totals in `<Counters>` that exceed the results count as in [`crate::stated`].

use std::collections::HashMap;

use crate::counts::Outcome;
use crate::error::Located;
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test, hash};
use crate::stated::{Shown, Stated};
use crate::vocabulary::TRX;
use crate::xml::{Document, Element};

/// A result, until the definitions at the end of the file give its class.
struct Row {
    id: String,
    name: String,
    outcome: Outcome,
}

/// The class and the assembly of each test, by its ID.
type Definitions = HashMap<String, (String, String)>;

struct Reader<'d, 'a, 'r> {
    document: &'d mut Document<'a>,
    recorder: &'r mut Recorder,
    rows: Vec<Row>,
    /// The number of results whose inner results count instead. Counters include them.
    parents: u64,
}

/// Reads a document after the first element in its root, which is `first`.
pub(crate) fn read(
    document: &mut Document<'_>,
    first: &Element<'_>,
    recorder: &mut Recorder,
) -> Result<(), Located> {
    recorder.format(Format::Trx);
    let mut reader = Reader { document, recorder, rows: Vec::new(), parents: 0 };
    let (mut definitions, mut summary) = (Definitions::new(), Summary::default());
    let mut next = Some(first.clone());
    while let Some(child) = next {
        match child.name() {
            "Results" => drop(reader.results()?),
            "TestDefinitions" => definitions = reader.definitions()?,
            "ResultSummary" => summary = reader.summary(&child)?,
            _ => reader.document.skip()?,
        }
        next = reader.document.child()?;
    }
    reader.finish(&definitions, summary);
    Ok(())
}

impl Reader<'_, '_, '_> {
    fn finish(self, definitions: &Definitions, summary: Summary) {
        let (since, unnamed) = (self.recorder.tests.len(), self.recorder.unnamed.failed);
        let mut shown = Shown { tests: self.parents, ..Shown::default() };
        let scopes: HashMap<&str, Scope<'_>> = definitions
            .iter()
            .map(|(id, (class, assembly))| (id.as_str(), Scope::class_in(class, assembly)))
            .collect();
        for Row { id, name, outcome } in &self.rows {
            shown.tests += 1;
            shown.failures += u64::from(*outcome == Outcome::Failed);
            // Without a definition, the name alone is that of the test, in other files of a retried run as well.
            let scope = scopes.get(id.as_str()).copied().unwrap_or(Scope::hashed(0));
            self.recorder.test(&Test { variant: hash(id), ..Test::new(scope, name, *outcome) });
        }
        summary.counters.count(shown, since, self.recorder);
        let failed = self.recorder.failed_since(since) || self.recorder.unnamed.failed > unnamed;
        // A failed result that passed in a later attempt does not show why the run failed.
        if summary.failed && !failed {
            self.recorder.fail_run();
        }
    }

    /// Reads `<Results>` or `<InnerResults>`. Returns how many results there are, and whether any failed.
    fn results(&mut self) -> Result<(u64, bool), Located> {
        let (mut number, mut failed) = (0, false);
        while let Some(result) = self.document.child()? {
            let (mut inner, mut inner_failed, mut has_error) = (0, false, false);
            while let Some(child) = self.document.child()? {
                match child.name() {
                    "InnerResults" => (inner, inner_failed) = self.results()?,
                    "Output" => has_error |= self.has_error()?,
                    _ => self.document.skip()?,
                }
            }
            let outcome = self.outcome(&result, has_error);
            if inner == 0 || (outcome == Outcome::Failed && !inner_failed) {
                let (id, name) = (result.text("testId").into_owned(), result.text("testName").into_owned());
                self.rows.push(Row { id, name, outcome });
            } else {
                self.parents += 1;
            }
            number += 1;
            failed |= outcome == Outcome::Failed || inner_failed;
        }
        Ok((number, failed))
    }

    fn has_error(&mut self) -> Result<bool, Located> {
        let mut has_error = false;
        while let Some(child) = self.document.child()? {
            has_error |= child.name() == "ErrorInfo";
            self.document.skip()?;
        }
        Ok(has_error)
    }

    fn outcome(&mut self, result: &Element<'_>, has_error: bool) -> Outcome {
        let Some(word) = result.attribute("outcome") else { return Outcome::Failed };
        self.recorder.outcome(&TRX, &word, if has_error { Outcome::Failed } else { Outcome::Skipped })
    }

    fn definitions(&mut self) -> Result<Definitions, Located> {
        let mut definitions = Definitions::new();
        while let Some(test) = self.document.child()? {
            let mut class = String::new();
            while let Some(child) = self.document.child()? {
                if child.name() == "TestMethod" {
                    class = child.text("className").into_owned();
                }
                self.document.skip()?;
            }
            // Runs for several frameworks differ in the path of the assembly.
            definitions.insert(test.text("id").into_owned(), (class, test.text("storage").to_lowercase()));
        }
        Ok(definitions)
    }

    fn summary(&mut self, summary: &Element<'_>) -> Result<Summary, Located> {
        let failed = TRX.outcome(&summary.text("outcome")) == Some(Outcome::Failed)
            || summary.text("outcome") == "PassedButRunAborted";
        let mut counters = Stated::default();
        while let Some(child) = self.document.child()? {
            if child.name() == "Counters" {
                let failures =
                    child.sum(&["failed", "error", "timeout", "aborted", "disconnected", "notRunnable"]);
                let passed = child.sum(&["passed", "passedButRunAborted", "completed", "warning"]);
                let tests = child.number("total");
                let skipped = tests.unwrap_or_default().saturating_sub(passed + failures);
                counters = Stated { tests, failures, errors: 0, skipped };
            }
            self.document.skip()?;
        }
        Ok(Summary { failed, counters })
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Summary {
    failed: bool,
    counters: Stated,
}

#[cfg(test)]
mod tests {
    use crate::Counts;
    use crate::tests::{check, check_counts};

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
            ("Blocked", (0, 0, 1)),
            ("Odd", (0, 0, 1)),
        ] {
            check_counts(&run(&format!("<UnitTestResult outcome='{outcome}'/>"), ""), counts);
        }
        check_counts(&run("<UnitTestResult/>", ""), (0, 1, 0));
        let error = "<UnitTestResult outcome='Odd'><Output><ErrorInfo/></Output></UnitTestResult>";
        check_counts(&run(error, ""), (0, 1, 0));
    }

    #[test]
    fn rows_count_instead_of_their_data_driven_test() {
        let rows = |own: &str, first: &str| {
            format!(
                "<UnitTestResult outcome='{own}'><Output/><InnerResults><UnitTestResult outcome='{first}'/>\
                 <UnitTestResult outcome='Passed'/></InnerResults></UnitTestResult>"
            )
        };
        check_counts(&run(&rows("Passed", "Passed"), ""), (2, 0, 0));
        check_counts(&run(&rows("Failed", "Failed"), ""), (1, 1, 0));
        check_counts(&run(&rows("Failed", "Passed"), ""), (2, 1, 0));
        let row = |id: &str, outcome: &str| {
            format!("<UnitTestResult testId='{id}' testName='Adds' outcome='{outcome}'/>")
        };
        check_counts(&run(&(row("1", "Failed") + &row("2", "Passed")), ""), (1, 1, 0));
        check_counts(&run(&(row("1", "Failed") + &row("1", "Passed")), ""), (1, 0, 0));
    }

    #[test]
    fn a_run_can_fail_without_a_failed_test() {
        let crashed = "<ResultSummary outcome='Failed'><Counters total='1' passed='1'/></ResultSummary>";
        check(
            &run("<UnitTestResult outcome='Passed'/>", crashed),
            Counts { passed: 1, failed: 0, skipped: 0 },
            true,
        );
        let retried =
            "<UnitTestResult testName='a' outcome='Failed'/><UnitTestResult testName='a' outcome='Passed'/>";
        check(&run(retried, crashed), Counts { passed: 1, failed: 0, skipped: 0 }, true);
        let counted =
            "<ResultSummary outcome='Failed'><Counters total='4' passed='1' failed='2'/></ResultSummary>";
        check(&run("", counted), Counts { passed: 1, failed: 2, skipped: 1 }, false);
        check(
            &run("<UnitTestResult outcome='Passed'/>", counted),
            Counts { passed: 1, failed: 2, skipped: 1 },
            false,
        );
    }
}
