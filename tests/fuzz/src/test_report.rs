//! A test report in any format.

use badgesmith_domain::test_result::FailedTest;
use test_reports::{Counts, ReadReport, Repetitions, ReportError, Reports};

pub fn check(bytes: &[u8]) {
    let merged = read(Repetitions::Merge, bytes);
    let counted = read(Repetitions::Count, bytes);
    match (&merged, &counted) {
        (Ok(merged), Ok(counted)) => {
            assert_eq!(merged.formats, counted.formats);
            assert!(
                merged.counts.total() <= counted.counts.total(),
                "attempts only reduce the number of tests"
            );
        }
        _ => assert_eq!(merged, counted),
    }
    check_encodings(bytes, &merged);
}

/// Reads a report, and checks the properties of every report.
fn read(repetitions: Repetitions, bytes: &[u8]) -> Result<ReadReport, ReportError> {
    let mut reports = Reports::new(repetitions);
    let report = reports.add("report", bytes);
    let expected = report.as_ref().map_or((Counts::default(), false), |read| (read.counts, read.run_failed));
    let summary = reports.summary(20);
    assert_eq!((summary.counts, summary.run_failed), expected, "the summary of one report has its counts");
    assert!(summary.retried <= summary.counts.passed);
    assert!(summary.failed_tests.len() <= 20);
    assert!(summary.failed_tests.iter().all(|name| name.len() <= 1024));
    assert!(
        summary.failed_tests.iter().all(|name| FailedTest::from_name(name).is_some()),
        "a client can send each name"
    );
    match &report {
        Ok(report) => {
            assert!(!report.formats.is_empty() || !report.notes.is_empty());
            assert!(report.notes.len() <= 20);
            assert!(report.notes.iter().all(|note| note.to_string().chars().count() < 400));
        }
        Err(error) => {
            assert!(error.to_string().chars().count() < 400, "{error}");
            if let ReportError::Invalid { line, .. } = error {
                assert!(*line <= bytes.len() + 1, "{error}");
            }
        }
    }
    if repetitions == Repetitions::Merge {
        check_copy(bytes, expected);
    }
    report
}

/// Checks that a copy of a report changes no outcome.
fn check_copy(bytes: &[u8], expected: (Counts, bool)) {
    let mut reports = Reports::new(Repetitions::Merge);
    let unnamed = ["report", "report"].map(|path| reports.add(path, bytes).is_ok());
    assert_eq!(unnamed[0], unnamed[1], "a report does not depend on others");
    let counts = reports.summary(0).counts;
    assert!(counts.total() >= expected.0.total());
    assert!(counts.total() <= expected.0.total().saturating_mul(2));
    assert!((counts.failed == 0) == (expected.0.failed == 0), "{counts:?} {expected:?}");
}

/// Checks that a byte order mark, UTF-16, Windows line ends and a final line end change nothing.
fn check_encodings(bytes: &[u8], expected: &Result<ReadReport, ReportError>) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if text.starts_with('\u{feff}') || text.contains("encoding") || text.contains('\0') {
        return;
    }
    let marked = format!("\u{feff}{text}");
    let utf16: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for other in [marked.as_bytes(), &utf16] {
        assert_eq!(&Reports::new(Repetitions::Merge).add("report", other), expected);
    }
    if !text.contains('\r') {
        let outcome = |report: &ReadReport| (report.formats.clone(), report.counts, report.run_failed);
        let windows = Reports::new(Repetitions::Merge).add("report", text.replace('\n', "\r\n").as_bytes());
        assert_eq!(windows.as_ref().ok().map(outcome), expected.as_ref().ok().map(outcome));
        let ended = Reports::new(Repetitions::Merge).add("report", format!("{text}\n").as_bytes());
        assert_eq!(ended.as_ref().ok().map(outcome), expected.as_ref().ok().map(outcome));
    }
}
