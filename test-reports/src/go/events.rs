//! The events of `go test -json`.

use std::borrow::Cow;

use serde::Deserialize;

use super::Reader;
use crate::format::Format;
use crate::recorder::Recorder;
use crate::vocabulary::GO_JSON;

/// The fields of test2json's `TestEvent` that counts need. Other objects in between have no action.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    #[serde(borrow, default)]
    action: Cow<'a, str>,
    /// Missing in the output of `go tool test2json` without `-p`.
    #[serde(borrow, default)]
    package: Cow<'a, str>,
    #[serde(borrow, default)]
    test: Cow<'a, str>,
    #[serde(borrow, default)]
    import_path: Cow<'a, str>,
}

impl Reader {
    /// Reads a line of JSON. A truncated line is ignored, because its package then has no end.
    pub(super) fn read_event(&mut self, line: &str, recorder: &mut Recorder) -> bool {
        if !line.starts_with('{') || !line.contains(r#""Action""#) {
            return false;
        }
        let Ok(event) = serde_json::from_str::<Event<'_>>(line) else { return false };
        if event.action == "build-fail" && !event.import_path.is_empty() {
            self.format(Format::GoTest);
            self.not_built.get_or_insert_with(|| event.import_path.into_owned());
            return true;
        }
        let is_known = self.positions.contains_key(&*event.package);
        if event.package.is_empty() && event.test.is_empty() && !is_known {
            return false;
        }
        let outcome = match &*event.action {
            "start" | "run" => None,
            // "output", "pause", "cont", "attr", "build-output" and future ones.
            action => match GO_JSON.outcome(action) {
                Some(outcome) => Some(outcome),
                None => return is_known,
            },
        };
        self.format(Format::GoTest);
        let package = self.package(&event.package);
        match (&*event.test, outcome) {
            ("", None) => package.outcome = None,
            ("", Some(outcome)) => package.end(outcome),
            (test, None) => package.start(test),
            (test, Some(outcome)) => package.end_test(test, outcome, recorder),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_failed, check_repetitions};

    fn events(events: &[(&str, &str)]) -> String {
        let event = |&(test, action): &(&str, &str)| match test {
            "" => format!(r#"{{"Action":"{action}","Package":"kit"}}"#),
            test => format!(
                r#"{{"Time":"now","Action":"{action}","Package":"kit","Test":"{test}","Elapsed":0.1}}"#
            ),
        };
        events.iter().map(|line| event(line) + "\n").collect()
    }

    #[test]
    fn tests_and_subtests_count() {
        let run =
            [("A", "run"), ("A/b", "run"), ("A/b", "fail"), ("A", "fail"), ("S", "skip"), ("P", "pass")];
        let log = events(&[&run[..], &[("", "fail")]].concat());
        check_counts(&log, (1, 2, 1));
        check_failed(&log, &["kit.A", "kit.A/b"]);
    }

    #[test]
    fn the_last_run_of_a_package_decides() {
        let again = [("A", "fail"), ("", "fail"), ("A", "run"), ("A", "pass"), ("", "pass")];
        check_counts(&events(&again), (1, 0, 0));
        let repeated =
            [("A", "run"), ("A", "fail"), ("A", "run"), ("A", "pass"), ("B", "pass"), ("", "fail")];
        check_counts(&events(&repeated), (1, 1, 0));
        check_repetitions(&events(&repeated), (2, 1, 0));
    }

    #[test]
    fn tests_without_an_end_share_the_outcome_of_their_package() {
        check_counts(&events(&[("A", "run"), ("", "fail")]), (0, 1, 0));
        check_counts(&events(&[("BenchmarkA", "run"), ("", "pass")]), (1, 0, 0));
        check_counts(&events(&[("A", "run"), ("A", "pass")]), (1, 1, 0));
        check_counts(&events(&[("A", "fail"), ("B", "pass"), ("", "pass"), ("A", "run")]), (1, 1, 0));
        let cut = events(&[("A", "run"), ("A", "pass")]) + r#"{"Action":"pass","Pack"#;
        check_counts(&cut, (1, 1, 0));
    }

    #[test]
    fn a_failed_package_without_a_failed_test_is_one_failure() {
        check_counts(&events(&[("", "start"), ("", "fail")]), (0, 1, 0));
        check_counts(&events(&[("", "skip")]), (0, 0, 0));
        let old = format!("FAIL\tbroken [build failed]\n{}", events(&[("A", "pass"), ("", "pass")]));
        check_counts(&old, (1, 1, 0));
        let new = r#"{"ImportPath":"kit [kit.test]","Action":"build-fail"}"#.to_owned()
            + "\n{\"Action\":\"fail\",\"Package\":\"kit\",\"Elapsed\":0,\"FailedBuild\":\"kit [kit.test]\"}";
        check_counts(&new, (0, 1, 0));
        check_counts(new.lines().next().unwrap(), (0, 1, 0));
    }

    #[test]
    fn events_need_no_package() {
        let log = events(&[("A", "run"), ("A", "pass"), ("B", "fail"), ("", "fail")]);
        check_counts(&log.replace(r#","Package":"kit""#, ""), (1, 1, 0));
    }

    #[test]
    fn json_from_other_programs_does_not_count() {
        for other in [
            r#"{"level":"info","msg":"ready"}"#,
            r#"{"Package":"kit","Test":"B"}"#,
            r#"{"Package":{"Name":"kit"},"Test":["B"]}"#,
            r#"{"Action":null,"Package":"kit","Test":"B"}"#,
            r#"{"Action":"fail"}"#,
            "{",
            "{ not JSON",
        ] {
            let mixed = format!("{other}\n{}{other}\n", events(&[("A", "pass"), ("", "pass")]));
            check_counts(&mixed, (1, 0, 0));
        }
    }
}
