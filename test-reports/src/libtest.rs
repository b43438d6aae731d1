//! The lines of JSON that libtest, the harness of `cargo test`, prints with `--format json`:
//! <https://github.com/rust-lang/rust/blob/master/library/test/src/formatters/json.rs>.
//!
//! Each `test` or `bench` counts by its last event. A suite that starts but does not end crashed: its tests without a
//! final event failed, or at least one test did.

use std::borrow::Cow;

use serde::Deserialize;

use crate::counts::{Counts, Outcome};
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test};
use crate::vocabulary::LIBTEST;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default, rename = "event")]
    state: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    test_count: Option<u32>,
}

#[derive(Default)]
pub(crate) struct Reader {
    /// The number of the suite.
    suite: u64,
    running: Option<Suite>,
}

#[derive(Default)]
struct Suite {
    tests: u64,
    ended: u64,
    failed: bool,
}

impl Reader {
    /// Reads a line outside of other tools' runs. Returns whether it belongs to this format.
    pub(crate) fn read(&mut self, line: &str, recorder: &mut Recorder) -> bool {
        if !line.starts_with('{')
            || !line.contains(r#""type""#)
            || !line.contains(r#""event""#) && !line.contains(r#""bench""#)
        {
            return false;
        }
        let Ok(event) = serde_json::from_str::<Event<'_>>(line) else { return false };
        match (&*event.kind, &mut self.running) {
            ("suite", _) if event.state == "started" && event.test_count.is_some() => {
                self.end(recorder);
                self.suite = recorder.next_suite();
                let tests = event.test_count.unwrap_or_default().into();
                self.running = Some(Suite { tests, ..Suite::default() });
                recorder.format(Format::Libtest);
            }
            ("suite", Some(suite)) if matches!(&*event.state, "ok" | "failed") => {
                if event.state == "failed" && !suite.failed {
                    recorder.fail_run();
                }
                self.running = None;
            }
            ("test" | "bench", Some(suite)) => {
                let word = if event.kind == "bench" { "ok" } else { &*event.state };
                let Some(outcome) = LIBTEST.outcome(word) else {
                    // It started, or takes a long time.
                    return true;
                };
                suite.ended += 1;
                suite.failed |= outcome == Outcome::Failed;
                let test = Test::new(Scope::FILE, &event.name, outcome);
                recorder.test(&Test { suite: self.suite, ..test });
            }
            _ => return false,
        }
        true
    }

    fn end(&mut self, recorder: &mut Recorder) {
        if let Some(suite) = self.running.take() {
            recorder.add(Counts::failed(suite.tests.saturating_sub(suite.ended).max(1)));
        }
    }

    pub(crate) fn finish(mut self, recorder: &mut Recorder) {
        self.end(recorder);
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_failed};

    const LOG: &str = r#"{ "type": "suite", "event": "started", "test_count": 4 }
{ "type": "test", "event": "started", "name": "a" }
{ "type": "test", "name": "a", "event": "ok" }
{ "type": "test", "name": "b", "event": "timeout" }
{ "type": "test", "name": "b", "event": "failed", "stdout": "thread 'b' panicked" }
{ "type": "test", "name": "c", "event": "ignored" }
{ "type": "bench", "name": "d", "median": 12, "deviation": 1 }
"#;

    #[test]
    fn events_count() {
        let end = r#"{ "type": "suite", "event": "failed", "passed": 2, "failed": 1, "ignored": 1 }"#;
        check_counts(&format!("{LOG}{end}"), (2, 1, 1));
        check_failed(&format!("{LOG}{end}"), &["b"]);
    }

    #[test]
    fn a_suite_without_an_end_crashed() {
        check_counts(LOG, (2, 2, 1));
        check_counts(LOG.lines().next().unwrap(), (0, 4, 0));
    }
}
