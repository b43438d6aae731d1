//! Reports in XML: which format a document has, and reading it.

use crate::error::{Located, ReportErrorKind, excerpt};
use crate::log::InLog;
use crate::note::Note;
use crate::recorder::Recorder;
use crate::xml::{Document, Element};
use crate::{cppunit, junit, nunit, other_files, trx, xunit};

/// The root elements of reports.
const ROOTS: [&str; 7] =
    ["testsuites", "testsuite", "TestRun", "test-run", "test-results", "assemblies", "assembly"];
/// The namespace of TRX.
const TRX_NAMESPACE: &str = "http://microsoft.com/schemas/VisualStudio/TeamTest/2010";
/// Children of the root that only TRX has.
const TRX_ELEMENTS: [&str; 12] = [
    "Results",
    "TestSettings",
    "TestRunConfiguration",
    "Times",
    "TestDefinitions",
    "TestEntries",
    "TestLists",
    "ResultSummary",
    "Tests",
    "Build",
    "Deployment",
    "CollectorDataEntries",
];

/// Whether a document may begin with this line of a log.
pub(crate) fn detects(line: &str) -> bool {
    let is_root = |root: &str| {
        let rest = line.strip_prefix('<').and_then(|line| line.strip_prefix(root));
        rest.is_some_and(|rest| rest.starts_with([' ', '>', '/']) || rest.is_empty())
    };
    line.starts_with("<?xml ") || ROOTS.into_iter().any(is_root)
}

/// The maximum distance of the root from the start of a document in a log, in bytes.
const ROOT_BYTES_MAX: usize = 4096;

/// Reads the document that begins at a line of a log, if it is a report.
pub(crate) fn read_in_log(text: &str, recorder: &mut Recorder) -> InLog {
    let start = text.get(..text.floor_char_boundary(ROOT_BYTES_MAX)).unwrap_or_default();
    match Document::new(start).root() {
        Ok(root) if ROOTS.contains(&root.name()) => {}
        Ok(root) => return InLog::Other { length: root.offset() },
        Err(_) => return InLog::Other { length: start.len() },
    }
    // Nothing is recorded of a document that does not end.
    let mut document = Document::new(text);
    if let Err(error) = document.root().and_then(|_| document.skip()) {
        return InLog::Invalid { length: document.offset(), error };
    }
    let length = document.offset();
    let mut document = Document::new(text);
    match document.root().and_then(|root| read_root(&mut document, &root, recorder)) {
        Ok(()) => InLog::Report { length },
        Err(error) => InLog::Invalid { length, error },
    }
}

/// Reads the document with which a file begins. Returns its length.
pub(crate) fn read_file(text: &str, recorder: &mut Recorder) -> Result<usize, Located> {
    let mut document = Document::new(text);
    let root = document.root()?;
    if ROOTS.contains(&root.name()) {
        read_root(&mut document, &root, recorder)?;
        return Ok(document.offset());
    }
    let child = document.child()?;
    match other_files::describe(root.name(), child.as_ref().map(Element::name)) {
        Some(what) => {
            recorder.note(Note::Ignored(what));
            Ok(text.len())
        }
        None => Err(root.located(ReportErrorKind::UnknownRoot { element: excerpt(root.name()) })),
    }
}

fn read_root(
    document: &mut Document<'_>,
    root: &Element<'_>,
    recorder: &mut Recorder,
) -> Result<(), Located> {
    match root.name() {
        "TestRun" => read_test_run(document, root, recorder),
        "test-run" => nunit::read(document, root, recorder),
        "test-results" => nunit::read_version_2(document, root, recorder),
        "assemblies" | "assembly" => xunit::read(document, root, recorder),
        _ => junit::read(document, root, recorder),
    }
}

/// Reads a `<TestRun>`, whose first child shows the format.
fn read_test_run(
    document: &mut Document<'_>,
    root: &Element<'_>,
    recorder: &mut Recorder,
) -> Result<(), Located> {
    let unknown = || root.located(ReportErrorKind::UnknownContent { element: excerpt(root.name()) });
    match document.child()? {
        Some(first) if cppunit::detects(&first) => cppunit::read(document, &first, recorder),
        Some(first) if root.has_namespace(TRX_NAMESPACE) || TRX_ELEMENTS.contains(&first.name()) => {
            trx::read(document, &first, recorder)
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_error};

    #[test]
    fn the_root_element_alone_does_not_determine_the_format() {
        check_error(
            "<TestRun><Chapters/></TestRun>",
            "<TestRun> has no content of a known report format at line 1, column 1",
        );
        check_error(
            "<testsuite><test><result>PASS</result></test></testsuite>",
            "<testsuite> has no content of a known report format at line 1, column 1",
        );
        check_error(
            "<testsuite><testcase internalid='3' name='a'><steps/></testcase></testsuite>",
            "<testcase> has no content of a known report format at line 1, column 12",
        );
        check_error(
            "<assembly manifestVersion='1.0'><dependency/></assembly>",
            "<assembly> has no content of a known report format at line 1, column 1",
        );
        check_counts("<TestRun><Times/><Results/></TestRun>", (0, 0, 0));
    }
}
