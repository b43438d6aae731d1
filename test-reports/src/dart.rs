//! The lines of JSON that `dart test` and `flutter test` print with `--reporter json` or `--machine`:
//! <https://github.com/dart-lang/test/blob/master/pkgs/test/doc/json_reporter.md>.
//!
//! - Each `testDone` counts, unless it is `hidden`, as the loading of a file is, and succeeded.
//! - A test that started but did not end failed.
//! - A run failed if it does not end with success, even if no test failed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::counts::Outcome;
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test, hash};
use crate::vocabulary::DART;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    test: Option<StartedTest>,
    suite: Option<StartedSuite>,
    #[serde(rename = "testID")]
    test_id: Option<u64>,
    #[serde(borrow)]
    result: Option<Cow<'a, str>>,
    #[serde(default)]
    skipped: bool,
    #[serde(default, rename = "hidden")]
    is_internal: bool,
    success: Option<bool>,
    #[serde(borrow)]
    protocol_version: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct StartedTest {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(rename = "suiteID")]
    suite: Option<u64>,
}

#[derive(Deserialize)]
struct StartedSuite {
    id: u64,
    path: Option<String>,
    #[serde(default)]
    platform: String,
}

#[derive(Default)]
pub(crate) struct Reader {
    is_running: bool,
    /// The number of the run.
    run: u64,
    /// The scope of each suite: the hash of its path and its platform.
    suites: HashMap<u64, u64>,
    tests: BTreeMap<u64, StartedTest>,
    failed: bool,
}

impl Reader {
    /// Reads a line outside of other tools' runs. Returns whether it belongs to this format.
    pub(crate) fn read(&mut self, line: &str, recorder: &mut Recorder) -> bool {
        if !line.starts_with('{') || !(self.is_running || line.contains(r#""protocolVersion""#)) {
            return false;
        }
        let Ok(event) = serde_json::from_str::<Event<'_>>(line) else { return false };
        match (&*event.kind, event.test, event.suite, event.test_id) {
            ("start", ..) if event.protocol_version.is_some() => {
                self.end(recorder);
                self.is_running = true;
                self.run = recorder.next_suite();
                recorder.format(Format::Dart);
            }
            ("suite", _, Some(suite), _) => {
                self.suites.insert(suite.id, hash((suite.path, suite.platform)));
            }
            ("testStart", Some(test), ..) => drop(self.tests.insert(test.id, test)),
            ("testDone", .., Some(id)) => {
                let Some(test) = self.tests.remove(&id) else { return true };
                let word = event.result.unwrap_or_default();
                let outcome = if event.skipped {
                    Outcome::Skipped
                } else {
                    recorder.outcome(&DART, &word, Outcome::Failed)
                };
                if !event.is_internal || outcome == Outcome::Failed {
                    self.record(&test, outcome, recorder);
                }
            }
            ("done", ..) => {
                if event.success != Some(true) && !self.failed && self.tests.is_empty() {
                    recorder.fail_run();
                }
                self.tests_without_end(recorder);
                self.is_running = false;
            }
            _ => {}
        }
        true
    }

    fn record(&mut self, test: &StartedTest, outcome: Outcome, recorder: &mut Recorder) {
        self.failed |= outcome == Outcome::Failed;
        let suite = test.suite.and_then(|suite| self.suites.get(&suite));
        let scope = suite.map_or(Scope::FILE, |suite| Scope::hashed(*suite));
        let (suite, variant) = (self.run, test.id);
        recorder.test(&Test { suite, variant, ..Test::new(scope, &test.name, outcome) });
    }

    fn tests_without_end(&mut self, recorder: &mut Recorder) {
        for (_, test) in std::mem::take(&mut self.tests) {
            self.record(&test, Outcome::Failed, recorder);
        }
    }

    /// Ends a truncated run.
    fn end(&mut self, recorder: &mut Recorder) {
        if self.is_running {
            self.tests_without_end(recorder);
            recorder.fail_run();
        }
        self.suites.clear();
        self.failed = false;
        self.is_running = false;
    }

    pub(crate) fn finish(mut self, recorder: &mut Recorder) {
        self.end(recorder);
    }
}

#[cfg(test)]
mod tests {
    use crate::Counts;
    use crate::tests::{check, check_counts, check_failed};

    const LOG: &str = r#"{"protocolVersion":"0.1.1","runnerVersion":"1.25.0","pid":1,"type":"start","time":0}
{"suite":{"id":0,"platform":"vm","path":"test/a_test.dart"},"type":"suite","time":0}
{"test":{"id":1,"name":"loading test/a_test.dart","suiteID":0,"groupIDs":[]},"type":"testStart","time":0}
{"testID":1,"result":"success","skipped":false,"hidden":true,"type":"testDone","time":1}
{"test":{"id":2,"name":"adds","suiteID":0},"type":"testStart","time":1}
{"testID":2,"messageType":"print","message":"{\"type\":\"done\"}","type":"print","time":1}
{"testID":2,"result":"success","skipped":false,"hidden":false,"type":"testDone","time":2}
[{"event":"test.startedProcess","params":{}}]
{"test":{"id":3,"name":"divides","suiteID":0},"type":"testStart","time":2}
{"testID":3,"error":"no","isFailure":true,"type":"error","time":2}
{"testID":3,"result":"failure","skipped":false,"hidden":false,"type":"testDone","time":3}
{"test":{"id":4,"name":"later","suiteID":0},"type":"testStart","time":3}
{"testID":4,"result":"success","skipped":true,"hidden":false,"type":"testDone","time":3}
"#;

    #[test]
    fn tests_count_and_loading_does_not() {
        let log = format!("{LOG}{}", r#"{"success":false,"type":"done","time":4}"#);
        check_counts(&log, (1, 1, 1));
        check_failed(&log, &["divides"]);
    }

    #[test]
    fn a_truncated_run_failed() {
        let running = r#"{"test":{"id":5,"name":"hangs","suiteID":0},"type":"testStart","time":3}"#;
        check(&format!("{LOG}{running}"), Counts { passed: 1, failed: 2, skipped: 1 }, true);
    }
}
