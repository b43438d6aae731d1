//! The results of `CppUnit` and `AUnit`: `<TestRun>` with `<FailedTests>` and `<SuccessfulTests>`, as
//! `XmlOutputter` of <https://www.freedesktop.org/wiki/Software/cppunit/> writes them.
//!
//! Every test in one of these elements counts. Totals in `<Statistics>` that exceed them count as in [`crate::stated`].

use crate::counts::Outcome;
use crate::error::Located;
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test};
use crate::stated::{Shown, Stated};
use crate::vocabulary::CPPUNIT;
use crate::xml::{Document, Element};

/// Whether an element shows that a `<TestRun>` is of this format.
pub(crate) fn detects(element: &Element<'_>) -> bool {
    CPPUNIT.outcome(element.name()).is_some() || element.name() == "Statistics"
}

/// Reads a document after the first element in its root, which is `first`.
pub(crate) fn read(
    document: &mut Document<'_>,
    first: &Element<'_>,
    recorder: &mut Recorder,
) -> Result<(), Located> {
    recorder.format(Format::CppUnit);
    let since = recorder.tests.len();
    let (mut shown, mut stated) = (Shown::default(), Stated::default());
    let mut next = Some(first.clone());
    while let Some(child) = next {
        match CPPUNIT.outcome(child.name()) {
            Some(outcome) => {
                let number = tests(document, outcome, recorder)?;
                shown.tests += number;
                shown.failures += if outcome == Outcome::Failed { number } else { 0 };
            }
            None if child.name() == "Statistics" => stated = statistics(document)?,
            None => document.skip()?,
        }
        next = document.child()?;
    }
    stated.count_rest(Some(Stated::default()), shown, since, recorder);
    Ok(())
}

fn tests(document: &mut Document<'_>, outcome: Outcome, recorder: &mut Recorder) -> Result<u64, Located> {
    let mut number = 0;
    while document.child()?.is_some() {
        let mut name = String::new();
        while let Some(child) = document.child()? {
            if child.name() == "Name" {
                name = document.text()?;
            } else {
                document.skip()?;
            }
        }
        recorder.test(&Test::new(Scope::FILE, &name, outcome));
        number += 1;
    }
    Ok(number)
}

fn statistics(document: &mut Document<'_>) -> Result<Stated, Located> {
    let mut stated = Stated::default();
    while let Some(child) = document.child()? {
        let number = document.text()?.trim().parse::<u32>().map(u64::from).unwrap_or_default();
        match child.name() {
            "Tests" => stated.tests = Some(number),
            "FailuresTotal" => stated.failures = number,
            _ => {}
        }
    }
    Ok(stated)
}

#[cfg(test)]
mod tests {
    use crate::tests::check_counts;

    #[test]
    fn every_listed_test_counts() {
        let run = "<TestRun><FailedTests><FailedTest id='1'><Name>a</Name><Message>no</Message></FailedTest></FailedTests>\
            <SuccessfulTests><Test id='2'><Name>b</Name></Test><Test id='3'><Name>c</Name></Test></SuccessfulTests>\
            <Statistics><Tests>3</Tests></Statistics></TestRun>";
        check_counts(run, (2, 1, 0));
        check_counts("<TestRun><Statistics><Tests>0</Tests></Statistics></TestRun>", (0, 0, 0));
    }
}
