//! Reports of real tools, and arbitrary bytes.

mod page;

use std::path::{Path, PathBuf};

use cpu_time::ThreadTime;
use proptest::prelude::*;

use crate::{Counts, Format, ReadReport, Repetitions, ReportError, Reports, Summary};

fn read(content: &[u8]) -> Result<ReadReport, ReportError> {
    Reports::new(Repetitions::Merge).add("report", content)
}

#[track_caller]
fn summary(repetitions: Repetitions, content: &str) -> Summary {
    let mut reports = Reports::new(repetitions);
    reports.add("report", content.as_bytes()).unwrap_or_else(|error| panic!("{error}: {content}"));
    reports.summary(100)
}

/// Checks how a run with one report ended.
#[track_caller]
pub(crate) fn check(content: &str, counts: Counts, run_failed: bool) {
    let Summary { counts: actual, run_failed: actually_failed, .. } = summary(Repetitions::Merge, content);
    assert_eq!((actual, actually_failed), (counts, run_failed), "{content}");
}

#[track_caller]
pub(crate) fn check_counts(content: &str, (passed, failed, skipped): (u64, u64, u64)) {
    assert_eq!(summary(Repetitions::Merge, content).counts, Counts { passed, failed, skipped }, "{content}");
}

/// Checks the counts if tests are repeated on purpose.
#[track_caller]
pub(crate) fn check_repetitions(content: &str, (passed, failed, skipped): (u64, u64, u64)) {
    assert_eq!(summary(Repetitions::Count, content).counts, Counts { passed, failed, skipped }, "{content}");
}

#[track_caller]
pub(crate) fn check_failed(content: &str, names: &[&str]) {
    assert_eq!(summary(Repetitions::Merge, content).failed_tests, names, "{content}");
}

#[track_caller]
pub(crate) fn check_error(content: &str, expected: &str) {
    assert_eq!(read(content.as_bytes()).map_err(|error| error.to_string()), Err(expected.to_owned()));
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Every report below `tests/fixtures`, with its counts. `README.md` there describes how they were made.
const FIXTURES: &[(&str, Format, (u64, u64, u64))] = &[
    ("bats/report.tap", Format::Tap, (1, 2, 2)),
    ("bats/report.xml", Format::JUnit, (1, 2, 2)),
    ("bats/report13.tap", Format::Tap, (1, 2, 2)),
    ("cargo/color.txt", Format::CargoTest, (3, 3, 1)),
    ("cargo/crash.txt", Format::CargoTest, (5, 5, 2)),
    ("cargo/quiet.txt", Format::CargoTest, (3, 3, 1)),
    // CTest counts a test whose program is missing as failed.
    ("ctest/report.xml", Format::JUnit, (1, 3, 2)),
    ("go/build-fail.json", Format::GoTest, (1, 1, 0)),
    ("go/report.json", Format::GoTest, (9, 9, 2)),
    ("gotestsum/all.xml", Format::JUnit, (8, 6, 2)),
    ("gotestsum/report.json", Format::GoTest, (2, 1, 0)),
    ("gotestsum/report.xml", Format::JUnit, (2, 1, 0)),
    ("gtest/report.xml", Format::JUnit, (3, 2, 3)),
    // Three rows of one parametrized test have the same name, as in Vitest's report.
    ("jest/report.xml", Format::JUnit, (3, 3, 1)),
    ("jest/suite-errors.xml", Format::JUnit, (3, 4, 1)),
    ("mocha/pending.xml", Format::JUnit, (4, 3, 2)),
    ("mocha/report.tap", Format::Tap, (4, 3, 2)),
    // Only the root states how many tests were skipped.
    ("mocha/report.xml", Format::JUnit, (4, 3, 2)),
    ("nextest/report.xml", Format::JUnit, (6, 3, 0)),
    ("node/report.tap", Format::Tap, (7, 5, 6)),
    ("node/report.xml", Format::JUnit, (7, 5, 5)),
    ("nunit/report.xml", Format::NUnit, (4, 4, 2)),
    ("perl/bail.tap", Format::Tap, (1, 3, 0)),
    ("perl/kit.tap", Format::Tap, (3, 2, 6)),
    ("perl/short.tap", Format::Tap, (3, 2, 0)),
    ("perl/skipped.tap", Format::Tap, (0, 0, 1)),
    ("phpunit/report.xml", Format::JUnit, (6, 3, 3)),
    ("playwright/report.xml", Format::JUnit, (3, 2, 3)),
    // One test failed twice: itself, and in its teardown.
    ("pytest/report.xml", Format::JUnit, (5, 8, 2)),
    ("surefire/TEST-kit.BrokenTest.xml", Format::JUnit, (0, 1, 0)),
    ("surefire/TEST-kit.FlakyTest.xml", Format::JUnit, (1, 0, 0)),
    ("surefire/TEST-kit.KitTest.xml", Format::JUnit, (3, 2, 2)),
    ("tap/report.tap", Format::Tap, (3, 2, 4)),
    // The run failed, but no test did.
    ("trx/crashed.trx", Format::Trx, (1, 0, 0)),
    ("trx/mstest.trx", Format::Trx, (3, 3, 2)),
    ("unittest/report.xml", Format::JUnit, (1, 5, 2)),
    ("vitest/report.tap", Format::Tap, (5, 3, 3)),
    ("vitest/report.xml", Format::JUnit, (3, 4, 3)),
    ("xunit/report.xml", Format::XUnit, (3, 3, 2)),
];

#[test]
fn fixtures_are_counted() {
    for &(path, format, (passed, failed, skipped)) in FIXTURES {
        let report = read(&std::fs::read(fixtures().join(path)).unwrap());
        let report = report.map(|report| (report.formats, report.counts));
        assert_eq!(report, Ok((vec![format], Counts { passed, failed, skipped })), "{path}");
    }
}

#[test]
fn every_fixture_is_in_the_table() {
    let mut unknown = Vec::new();
    for tool in std::fs::read_dir(fixtures()).unwrap().map(Result::unwrap).filter(|tool| tool.path().is_dir())
    {
        for file in std::fs::read_dir(tool.path()).unwrap().map(|file| file.unwrap().path()) {
            let is_report = file.extension().is_some_and(|kind| {
                ["xml", "trx", "tap", "json", "txt"].iter().any(|report| kind == *report)
            });
            let source = file.file_name().is_some_and(|name| name == "pom.xml" || name == "CMakeLists.txt");
            let path = file.strip_prefix(fixtures()).unwrap().to_str().unwrap().to_owned();
            if is_report && !source && !FIXTURES.iter().any(|(known, ..)| *known == path) {
                unknown.push((path, read(&std::fs::read(&file).unwrap())));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn windows_encodings_do_not_change_the_counts() {
    for &(path, format, _) in FIXTURES {
        let text = String::from_utf8(std::fs::read(fixtures().join(path)).unwrap()).unwrap();
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\n', "\r\n");
        let plain = read(text.as_bytes());
        assert_eq!(plain.as_ref().map(|report| &report.formats), Ok(&vec![format]), "{path}");
        let utf16: Vec<u8> =
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&utf16), plain, "{path}");
        assert_eq!(read(&[b"\xef\xbb\xbf", text.as_bytes()].concat()), plain, "{path}");
    }
}

#[test]
fn a_truncated_report_has_no_additional_passed_tests() {
    for &(path, _, (passed, ..)) in FIXTURES {
        let content = std::fs::read(fixtures().join(path)).unwrap();
        for end in (0..content.len()).filter(|end| content[*end] == b'\n') {
            if let Ok(cut) = read(&content[..end]) {
                assert!(cut.counts.passed <= passed, "{path} cut at {end}: {cut:?}");
            }
        }
    }
}

#[test]
fn unknown_content_is_an_error() {
    const UNKNOWN: &str =
        "not a test report: neither XML nor JSON of a known format, nor the output of a known test runner";
    check_error("", "the report is empty");
    check_error(" \r\n", "the report is empty");
    check_error("hello", UNKNOWN);
    check_error("<html/>", "<html> is not the root element of a known report format at line 1, column 1");
}

#[test]
fn known_files_that_are_not_reports_are_ignored() {
    for (content, what) in [
        ("<failsafe-summary result='null'/>", "it is Failsafe's summary of other reports"),
        ("<!DOCTYPE suite SYSTEM 'x.dtd'><suite name='s'/>", "it is a TestNG suite definition"),
        ("<report name='kit'><package name='k'/></report>", "it is a coverage report (JaCoCo)"),
        ("<report name='kit'/>", "it is a coverage report (JaCoCo)"),
        ("<e:events xmlns:e='e'/>", "it is Open Test Reporting, which JUnit's XML reports repeat"),
        ("<?xml version='1.0'?><coverage line-rate='1'/>", "it is a coverage report (Cobertura or Clover)"),
    ] {
        let report = read(content.as_bytes()).unwrap();
        assert_eq!((report.formats, report.counts), (Vec::new(), Counts::default()));
        assert_eq!(report.notes[0].to_string(), format!("ignored, because {what}"));
    }
    check_error(
        "<report><rows/></report>",
        "<report> is not the root element of a known report format at line 1, column 1",
    );
}

#[test]
fn broken_xml_is_an_error() {
    check_error("<testsuite>\n  <testcase>", "the element <testcase> is never closed at line 2, column 3");
    check_error("<!-- only this -->", "there is no XML element at line 1, column 1");
    let deep = "<testsuite>".repeat(300);
    check_error(&deep, "elements are nested more than 256 deep at line 1, column 2817");
    assert!(read(b"<testsuite></testcase>").unwrap_err().to_string().starts_with("malformed XML: "));
    assert!(read(b"<testsuite><testcase").unwrap_err().to_string().starts_with("malformed XML: "));
}

#[test]
fn xml_is_read_despite_common_mistakes() {
    check_counts("> npm test\n\n<?xml version='1.0'?><testsuite><testcase/></testsuite>\n\nbye", (1, 0, 0));
    check_counts("<testsuite/>\n<testsuite tests='1'/>", (1, 0, 0));
    check_counts("<?xml version='1.0' encoding='utf-16'?><testsuite><testcase/></testsuite>", (1, 0, 0));
    check_counts("<testsuite><testcase>a & b \u{1b}[0m &nbsp;</testcase></testsuite>", (1, 0, 0));
    check_counts("<testsuite name='a & b &c; &#0;'><testcase name='R&D &amp;'/></testsuite>", (1, 0, 0));
    check_counts("<x:testsuite xmlns:x='x'><x:testcase/></x:testsuite>", (1, 0, 0));
    check_counts(
        "<!DOCTYPE x [<!ENTITY a '&b;&b;'>]><testsuite name='&a;'><testcase/></testsuite>",
        (1, 0, 0),
    );
    check_counts("<testsuite tests='many'/>", (0, 0, 0));
    let latin1 = b"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite><testcase name='\xe9'><failure/></testcase></testsuite>";
    let mut reports = Reports::new(Repetitions::Merge);
    reports.add("report", latin1).unwrap();
    assert_eq!(reports.summary(1).failed_tests, ["\u{e9}"]);
}

fn fixture() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(FIXTURES).prop_map(|(path, ..)| std::fs::read(fixtures().join(path)).unwrap())
}

/// Puts `with` in place of up to 40 bytes somewhere in a report, as often as there are edits.
fn mutate(mut content: Vec<u8>, edits: Vec<(prop::sample::Index, usize, Vec<u8>)>) -> Vec<u8> {
    for (index, length, with) in edits {
        let start = index.index(content.len() + 1);
        let end = (start + length).min(content.len());
        content.splice(start..end, with);
    }
    content
}

/// Bytes, and pieces that have a meaning in one of the formats.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let meaningful = proptest::sample::select(vec![
        "<",
        ">",
        "/>",
        "\"",
        "&",
        "&#x110000;",
        "<![CDATA[",
        "]]>",
        "<!--",
        "<!DOCTYPE",
        "<testsuite>",
        "</testsuite>",
        "<testcase name='a'/>",
        "<skipped type='todo'/>",
        "tests='4294967295'",
        "outcome=",
        "result='Failed'",
        "\n1..4294967295\n",
        "\nnot ok 1 {\n",
        "\n}\n",
        "\n    ok\n",
        "\n        ok # SKIP\n",
        "\n  ---\n",
        "\n...\n",
        "\nBail out!\n",
        "\nTAP version 13\n",
        "\nrunning 4294967295 tests\n",
        "\nfailures:\n",
        "\ntest a ... ok\n",
        "\ntest result: ok. 1 passed; 2 failed; 3 ignored\n",
        "\n{\"Action\":\"run\",\"Package\":\"a\",\"Test\":\"b\"}\n",
        "\nFAIL\ta [build failed]\n",
        "\nFAIL\ta\t0.1s\n",
        "\n{\"Action\":\"build-fail\",\"ImportPath\":\"a\"}\n",
        "\n--- STDOUT: a b ---\n",
        "\n=== RUN   TestA\n",
        "\n--- PASS: TestA (0.00s)\n",
        "\nok  \ta\t0.1s\n",
        "\nStarting 4294967295 tests across 1 binary\n",
        "\nPASS [ 0.1s] a b\n",
        "\nSummary [ 0.1s] 4294967295 tests run: 1 passed, 2 failed\n",
        "\n{\"type\":\"suite\",\"event\":\"started\",\"test_count\":4294967295}\n",
        "\n{\"type\":\"test\",\"event\":\"ok\",\"name\":\"a\"}\n",
        "\n{\"protocolVersion\":\"0\",\"type\":\"start\"}\n",
        "\n{\"test\":{\"id\":1},\"type\":\"testStart\"}\n",
        "\n{\"testID\":1,\"result\":\"error\",\"type\":\"testDone\"}\n",
        "\n{\"stats\":{},\"passes\":[",
        "],\"failures\":[{}]}\n",
        "\n{\"results\":{\"tests\":[],\"summary\":{\"tests\":1e300}}}\n",
        "\n<?xml version='1.0'?>\n",
        "\n<testsuite\n",
        "<test-run total='4294967295' failed='4294967295'>",
        "<TestRun><Results>",
        "\nnot ok 1 - a\n",
        "\n  ok 1\n",
        "a-1  | ",
        "\u{1b}[31m",
        "\u{feff}",
        "\0",
        "\u{e9}",
    ]);
    prop_oneof![
        meaningful.prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..8)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn time_is_linear(pieces in prop::collection::vec(piece(), 1..4)) {
        // A hundred thousand pieces take about a second, and would take minutes in quadratic time.
        let content = pieces.concat().repeat(100_000 / pieces.len());
        let start = ThreadTime::now();
        let _ = read(&content);
        prop_assert!(start.elapsed() < std::time::Duration::from_secs(20), "{pieces:?}");
    }
}

#[test]
fn many_tests_with_one_long_name_take_linear_time() {
    let name = "k".repeat(1 << 20);
    let junit =
        (format!("<testsuite name='{name}'>"), "<testcase name='{}'><failure/></testcase>", "</testsuite>");
    let suites = (
        format!("<testsuites name='{name}'>"),
        "<testsuite><testcase name='{}'/></testsuite>",
        "</testsuites>",
    );
    let failures = (format!("<testsuite name='{name}'>"), "<failure/>", "</testsuite>");
    let nunit = (
        format!("<test-run><test-suite fullname='{name}'>"),
        "<test-case name='{}' result='Failed'/>",
        "</test-suite></test-run>",
    );
    let trx = (
        format!(
            "<TestRun><TestDefinitions><UnitTest id='1'><TestMethod className='{name}'/></UnitTest></TestDefinitions><Results>"
        ),
        "<UnitTestResult testId='1' testName='{}' outcome='Failed'/>",
        "</Results></TestRun>",
    );
    let cargo = (
        format!("Running {name} (x)\nrunning 20000 tests\n"),
        "test t{} ... FAILED\n",
        "test result: FAILED. 0 passed; 20000 failed",
    );
    let go = (String::new(), "=== RUN   T{}\n--- FAIL: T{} (0.00s)\n", &*format!("FAIL\t{name}\t0.1s\n"));
    for (start, test, end) in [junit, suites, failures, nunit, trx, cargo, go] {
        let tests: String = (0..20_000).map(|number| test.replace("{}", &number.to_string())).collect();
        let content = [&start, &*tests, end].concat();
        for repetitions in [Repetitions::Merge, Repetitions::Count] {
            let start = ThreadTime::now();
            assert_eq!(summary(repetitions, &content).counts.total(), 20_000, "{test}");
            assert!(start.elapsed() < std::time::Duration::from_secs(10), "{test}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(content in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&content);
    }

    #[test]
    fn arbitrary_pieces_do_not_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        let _ = read(&pieces.concat());
    }

    #[test]
    fn mutated_reports_do_not_panic(
        content in fixture(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, piece()), 1..12),
    ) {
        let _ = read(&mutate(content, edits));
    }
}
