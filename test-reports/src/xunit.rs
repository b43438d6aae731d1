//! The results of xUnit.net 2 and later.
//!
//! The format is that of <https://xunit.net/docs/format-xml-v2>. The rules here:
//!
//! - Every `<test>` counts by its `result`: `Pass`, `Fail`, `Skip`, or `NotRun` of an explicit test.
//! - Every `<error>` in an assembly's `<errors>` is one failure: it happened outside of tests, in a fixture or
//!   while cleaning up.
//! - An assembly's attributes are used when it has neither tests nor errors in it.
//!
//! Version 1 (<https://xunit.net/docs/format-xml-v1>) has classes instead of collections and is read the same way.

use crate::counts::{Counts, Outcome};
use crate::error::Located;
use crate::xml::{Document, Element};

pub(crate) fn read(document: &mut Document<'_>, root: &Element<'_>) -> Result<Counts, Located> {
    if root.name() == "assembly" {
        return read_assembly(document, root);
    }
    let mut counts = Counts::default();
    while let Some(child) = document.child()? {
        match child.name() {
            "assembly" => counts += read_assembly(document, &child)?,
            _ => document.skip()?,
        }
    }
    Ok(counts)
}

fn read_assembly(document: &mut Document<'_>, assembly: &Element<'_>) -> Result<Counts, Located> {
    let mut counts = Counts::default();
    while let Some(child) = document.child()? {
        match child.name() {
            "collection" | "class" | "errors" => counts += read_group(document)?,
            _ => document.skip()?,
        }
    }
    if counts.total() == 0 {
        let total = assembly.count(&["total"])?;
        let failed = assembly.count(&["failed"])?;
        let skipped = assembly.count(&["skipped", "not-run"])?;
        let passed = total.saturating_sub(failed + skipped);
        counts = Counts { passed, failed: failed + assembly.count(&["errors"])?, skipped };
    }
    Ok(counts)
}

fn read_group(document: &mut Document<'_>) -> Result<Counts, Located> {
    let mut counts = Counts::default();
    while let Some(child) = document.child()? {
        match child.name() {
            "test" => counts += outcome(&child)?.into(),
            // Only version 1 has a failure here: that of a class.
            "error" | "failure" => counts += Outcome::Failed.into(),
            _ => {}
        }
        document.skip()?;
    }
    Ok(counts)
}

fn outcome(test: &Element<'_>) -> Result<Outcome, Located> {
    match &*test.required("result")? {
        "Pass" => Ok(Outcome::Passed),
        "Fail" => Ok(Outcome::Failed),
        "Skip" | "NotRun" => Ok(Outcome::Skipped),
        other => Err(test.unexpected("result", other, "Pass, Fail, Skip or NotRun")),
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_error};

    #[test]
    fn tests_and_errors_count() {
        let assembly = "<assembly total='9'><errors><error><failure/></error><error/></errors><collection>\
            <test result='Pass'/><test result='Fail'><failure/></test><test result='Skip'/><test result='NotRun'/>\
            </collection></assembly>";
        check_counts(assembly, (1, 3, 2));
        check_counts(&format!("<assemblies>{assembly}{assembly}</assemblies>"), (2, 6, 4));
        check_error(
            "<assembly><collection><test result='Passed'/></collection></assembly>",
            "result=\"Passed\" of <test> is not Pass, Fail, Skip or NotRun at line 1, column 23",
        );
    }

    #[test]
    fn the_attributes_of_an_assembly_without_tests_count() {
        check_counts("<assembly total='9' failed='1' skipped='2' not-run='1' errors='1'/>", (5, 2, 3));
    }
}
