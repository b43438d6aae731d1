//! The results of xUnit.net 2 and later.
//!
//! The format is that of <https://xunit.net/docs/format-xml-v2>. The rules here:
//!
//! - Every `<test>` counts by its `result`: `Pass`, `Fail`, `Skip`, or `NotRun` of an explicit test. Those with
//!   different IDs are different tests.
//! - Every `<error>` in an assembly's `<errors>` is one failure: it happened outside of tests, in a fixture or
//!   while cleaning up.
//! - Totals in an assembly's attributes that exceed its tests and errors count as in [`crate::stated`].
//!
//! Version 1 (<https://xunit.net/docs/format-xml-v1>) has classes instead of collections and is read the same way.

use crate::counts::Outcome;
use crate::error::{Located, ReportErrorKind, excerpt};
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test, hash};
use crate::stated::{Shown, Stated};
use crate::vocabulary::XUNIT;
use crate::xml::{Document, Element};

struct Reader<'d, 'a, 'r> {
    document: &'d mut Document<'a>,
    recorder: &'r mut Recorder,
}

pub(crate) fn read(
    document: &mut Document<'_>,
    root: &Element<'_>,
    recorder: &mut Recorder,
) -> Result<(), Located> {
    let mut reader = Reader { document, recorder };
    if root.name() == "assembly" {
        reader.assembly(root)?;
    } else {
        while let Some(child) = reader.document.child()? {
            match child.name() {
                "assembly" => reader.assembly(&child)?,
                _ => reader.document.skip()?,
            }
        }
    }
    // An error shows that the format is another one.
    reader.recorder.format(Format::XUnit);
    Ok(())
}

impl Reader<'_, '_, '_> {
    fn assembly(&mut self, assembly: &Element<'_>) -> Result<(), Located> {
        let since = self.recorder.tests.len();
        let id =
            hash((assembly.text("name"), assembly.text("environment"), assembly.text("target-framework")));
        let mut shown = Shown::default();
        let mut any = false;
        while let Some(child) = self.document.child()? {
            match child.name() {
                "collection" | "class" | "errors" => any |= self.group(id, &mut shown)?,
                _ => self.document.skip()?,
            }
        }
        let stated = Stated {
            tests: assembly.number("total"),
            failures: assembly.sum(&["failed"]),
            errors: assembly.sum(&["errors"]),
            skipped: assembly.sum(&["skipped", "not-run"]),
        };
        if !any && stated.tests.is_none() && stated.failures + stated.errors == 0 {
            // A manifest, or a description for Maven, has this root as well.
            return Err(
                assembly.located(ReportErrorKind::UnknownContent { element: excerpt(assembly.name()) })
            );
        } else if any {
            stated.count_rest(Some(Stated::default()), shown, since, self.recorder);
        } else {
            // Errors are outside of the tests that `total` counts.
            let tests = stated.tests.unwrap_or_default() + stated.errors;
            Stated { tests: Some(tests), ..stated }.count_alone(self.recorder);
        }
        Ok(())
    }

    /// Reads what is in a collection. Returns whether there is anything.
    fn group(&mut self, assembly: u64, shown: &mut Shown) -> Result<bool, Located> {
        let mut any = false;
        while let Some(child) = self.document.child()? {
            any = true;
            match child.name() {
                "test" => self.test(&child, assembly, shown)?,
                // Only version 1 has a failure here: that of a class.
                "error" | "failure" => {
                    self.recorder.failure(&child.text("name"));
                    shown.failures += 1;
                    self.document.skip()?;
                }
                _ => self.document.skip()?,
            }
        }
        Ok(any)
    }

    fn test(&mut self, test: &Element<'_>, assembly: u64, shown: &mut Shown) -> Result<(), Located> {
        let mut by_elements = Outcome::Skipped;
        while let Some(child) = self.document.child()? {
            if child.name() == "failure" {
                by_elements = Outcome::Failed;
            }
            self.document.skip()?;
        }
        let word = test.text("result");
        let outcome = self.recorder.outcome(&XUNIT, &word, by_elements);
        let (class, name, id) = (test.text("type"), test.text("name"), test.text("id"));
        self.recorder
            .test(&Test { variant: hash((assembly, id)), ..Test::new(Scope::class(&class), &name, outcome) });
        shown.test(outcome);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::check_counts;

    #[test]
    fn tests_and_errors_count() {
        let assembly = "<assembly total='4'><errors><error><failure/></error><error/></errors><collection>\
            <test result='Pass'/><test result='Fail'><failure/></test><test result='Skip'/><test result='NotRun'/>\
            </collection></assembly>";
        check_counts(assembly, (1, 3, 2));
        check_counts(&format!("<assemblies>{assembly}{assembly}</assemblies>"), (2, 6, 4));
        let odd = "<test result='Odd'><failure/></test><test result='Odd'/>";
        check_counts(&format!("<assembly><collection>{odd}</collection></assembly>"), (0, 1, 1));
    }

    #[test]
    fn totals_of_an_assembly_that_exceed_its_tests_count() {
        check_counts("<assembly total='9' failed='1' skipped='2' not-run='1' errors='1'/>", (5, 2, 3));
        let cut = "<assembly total='4' passed='2' failed='2'><collection><test result='Pass'/></collection></assembly>";
        check_counts(cut, (1, 2, 0));
    }
}
