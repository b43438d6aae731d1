//! TAP, the Test Anything Protocol: <https://testanything.org/tap-version-14-specification.html>, its earlier
//! versions, and the kernel's KTAP: <https://docs.kernel.org/dev-tools/ktap.html>. The rules here:
//!
//! - **The innermost test points count.** A test point that closes a subtest sums it up and counts itself only
//!   when it failed and nothing in the subtest did. Node's `describe` and node-tap's
//!   `t.test` contain the tests, and Node's `JUnit` report counts them in the same way. Perl's `prove` counts the
//!   outermost points instead.
//! - `# SKIP` and `# TODO` are skipped, whether the point is `ok` or not; the specification forbids treating them as
//!   failures. On a test point that closes a subtest they make its failures skipped tests.
//! - Each planned test point that is missing from the stream is a failure. A stream without a plan, or with more points
//!   than planned, fails the run.
//! - `1..0 # reason` is one skipped test; without a reason it does not count.
//! - `Bail out!` ends the stream: the rest of the plan failed, or at least one test did.
//! - Subtests are indented by four spaces each, in KTAP by two, before the point that closes them; Vitest and older
//!   versions of node-tap write them after it, between `{` and `}`.
//! - A point repeated with its number is an attempt. Points with different numbers are different tests.
//! - YAML blocks, comments and lines that are not TAP are skipped. A version line begins another stream,
//!   and so does a plan or a first point after a fulfilled one, so that reports may be joined.
//! - In a log, a stream has a plan or a version, and starts with its first point. After the plan is fulfilled, a bare
//!   `ok` comes from a harness such as `prove --verbose`. Its `Result: FAIL` fails the run.

mod level;
mod line;

use self::level::{Level, Point as LevelPoint};
use self::line::{Line, Point};
use crate::counts::Counts;
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test};

/// How deep subtests may nest. Lines that are indented more are output.
const DEPTH_MAX: usize = 64;

/// The streams of a log.
#[derive(Default)]
pub(crate) struct Reader {
    ended: Vec<Stream>,
    /// The stream that is being read and the subtests that are open in it, outermost first.
    levels: Vec<Level>,
    stream: StreamState,
    /// How far the YAML block is indented, within one.
    yaml: Option<usize>,
    /// A plan within a stream whose plan is not fulfilled: the output of a test, unless a first point follows.
    second_plan: Option<(u64, bool)>,
    /// Whether any line other than whitespace was read.
    any_line: bool,
    harness_failed: bool,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent property of the stream")]
struct StreamState {
    has_version: bool,
    is_first_line: bool,
    is_kernel: bool,
    bailed_out: bool,
}

/// A stream that has ended.
struct Stream {
    points: Vec<LevelPoint>,
    counts: Counts,
    run_failed: bool,
    /// Whether nothing but TAP looks like this.
    is_certain: bool,
    /// Whether it counts if there is nothing else.
    is_likely: bool,
}

impl Reader {
    /// Reads a line outside of other tools' runs.
    pub(crate) fn read(&mut self, line: &str) {
        let text = line.trim_start_matches(' ');
        let is_first_line = !self.any_line && !text.is_empty();
        self.any_line |= is_first_line;
        let indent = line.len() - text.len();
        if self.is_yaml(text, indent) {
            return;
        }
        let unit = if self.stream.is_kernel { 2 } else { 4 };
        let depth = indent / unit;
        let parsed = Line::parse(text);
        if self.levels.is_empty() && !self.starts_stream(&parsed, indent, is_first_line) {
            return;
        }
        match parsed {
            Line::YamlStart if indent > 0 => self.yaml = Some(indent),
            Line::Version { is_kernel } if indent == 0 => {
                self.end_stream();
                self.level(0);
                self.stream = StreamState { has_version: true, is_kernel, ..StreamState::default() };
            }
            _ if self.stream.bailed_out || !indent.is_multiple_of(unit) || depth >= DEPTH_MAX => {}
            Line::Plan { count, reason } => self.plan(depth, count, reason),
            Line::Point(point) => self.point(depth, &point),
            Line::Close if depth < self.levels.len() => drop(self.close_subtests(depth)),
            // A stream that begins with it failed, too.
            Line::BailOut => self.stream.bailed_out = true,
            Line::HarnessFailure if indent == 0 => self.harness_failed = true,
            Line::Version { .. } | Line::YamlStart | Line::Close | Line::HarnessFailure | Line::Other => {}
        }
    }

    /// Whether a line begins a stream outside of one. If it does, there is one afterwards.
    fn starts_stream(&mut self, line: &Line<'_>, indent: usize, is_first_line: bool) -> bool {
        let starts = match line {
            Line::Version { .. } | Line::BailOut | Line::Plan { .. } => indent == 0,
            Line::Point(point) => indent.is_multiple_of(4) && point.number == Some(1),
            Line::HarnessFailure => !self.ended.is_empty(),
            Line::Close | Line::YamlStart | Line::Other => false,
        };
        if starts && !matches!(line, Line::HarnessFailure) {
            self.level(0);
            self.stream = StreamState { is_first_line, ..StreamState::default() };
        }
        starts
    }

    /// Whether the line belongs to a YAML block. One that is indented less ends it, too: the block was cut.
    fn is_yaml(&mut self, text: &str, indent: usize) -> bool {
        let Some(yaml) = self.yaml else {
            return false;
        };
        let within = indent >= yaml || text.is_empty();
        if !within || (indent == yaml && text == "...") {
            self.yaml = None;
        }
        within
    }

    fn plan(&mut self, depth: usize, count: u64, reason: bool) {
        if depth == 0 && self.levels.first().is_some_and(|stream| stream.planned.is_some()) {
            drop(self.close_subtests(0));
            if self.levels.first().is_some_and(|stream| !stream.is_fulfilled() && stream.number_of_points > 0)
            {
                self.second_plan = Some((count, reason));
                return;
            }
            self.end_stream();
        }
        let Some(level) = self.level(depth) else { return };
        level.planned = Some(count);
        level.is_planned_late = level.number_of_points > 0;
        // A skipped subtest has a test point after it; nothing follows a stream.
        if depth == 0 && count == 0 && reason && level.number_of_points == 0 {
            level.skip_all();
        }
    }

    fn point(&mut self, depth: usize, point: &Point<'_>) {
        if depth == 0 && !self.continues_stream(point) {
            return;
        }
        let subtest = self.close_subtests(depth);
        let Some(level) = self.level(depth) else { return };
        level.point(point, subtest);
    }

    /// Whether a point counts for the stream, or for another one that it begins.
    fn continues_stream(&mut self, point: &Point<'_>) -> bool {
        let second_plan = self.second_plan.take();
        let Some(stream) = self.levels.first_mut() else { return true };
        let (points, is_fulfilled) = (stream.number_of_points, stream.is_fulfilled());
        let is_attempt = second_plan.is_none() && stream.repeats(point);
        if point.number == Some(1) && points > 0 && !is_attempt {
            // A plan after test points that do not fulfill it is that of the next ones.
            let late_plan = stream.planned.filter(|_| stream.is_planned_late && !is_fulfilled);
            if late_plan.is_some() {
                stream.planned = None;
            }
            let plan = second_plan.or(late_plan.map(|count| (count, false)));
            self.end_stream();
            self.level(0);
            if let Some((count, reason)) = plan {
                self.plan(0, count, reason);
            }
            return true;
        }
        // The result line of a harness after a stream.
        !is_fulfilled || is_attempt || point.number == Some(points + 1)
    }

    /// The level at this depth, with those around it; `None` if it is too deep.
    fn level(&mut self, depth: usize) -> Option<&mut Level> {
        if depth < DEPTH_MAX && self.levels.len() <= depth {
            self.levels.resize_with(depth + 1, Level::default);
        }
        self.levels.get_mut(depth)
    }

    /// Ends what is open within the level at this depth. Returns its points, unless the point that sums it up
    /// came before it.
    fn close_subtests(&mut self, depth: usize) -> Option<Vec<LevelPoint>> {
        let mut inner: Option<Vec<LevelPoint>> = None;
        while self.levels.len() > depth + 1 {
            let Some(mut level) = self.levels.pop() else { break };
            // A subtest without a point that sums it up was cut short.
            let cut_short = level.close(inner).unwrap_or_default();
            let missing = level.missing();
            let mut points = level.points;
            points.extend(cut_short);
            points.extend(LevelPoint::missing(missing));
            inner = Some(points);
        }
        self.level(depth)?.close(inner)
    }

    fn end_stream(&mut self) {
        let state = std::mem::take(&mut self.stream);
        self.yaml = None;
        self.second_plan = None;
        if self.levels.is_empty() {
            return;
        }
        let cut_short = self.close_subtests(0).unwrap_or_default();
        let Some(stream) = self.levels.drain(..).next() else { return };
        let missing = stream.missing();
        let missing = if state.bailed_out { missing.max(1) } else { missing };
        let is_whole = stream.is_fulfilled() || (state.is_kernel && stream.planned.is_none());
        let points = stream.number_of_points;
        let stream = Stream {
            run_failed: !is_whole && missing == 0,
            counts: Counts::failed(missing),
            is_certain: state.has_version || (stream.planned.is_some() && (points > 0 || stream.skips_all)),
            is_likely: state.is_first_line || points > 0 || state.bailed_out,
            points: stream.points.into_iter().chain(cut_short).collect(),
        };
        if stream.is_certain || stream.is_likely {
            self.ended.push(stream);
        }
    }

    /// Records all streams that are certain, or, if the log has nothing else, those that are likely.
    pub(crate) fn finish(mut self, only_certain: bool, recorder: &mut Recorder) {
        self.end_stream();
        let only_certain =
            only_certain || !recorder.formats.is_empty() || self.ended.iter().any(|stream| stream.is_certain);
        let (mut any, mut failed) = (false, false);
        let failed_before = recorder.counts().failed;
        for stream in self.ended {
            if if only_certain { !stream.is_certain } else { !stream.is_likely } {
                continue;
            }
            any = true;
            recorder.add(stream.counts);
            if stream.run_failed {
                recorder.fail_run();
                failed = true;
            }
            let suite = recorder.next_suite();
            let mut position = 0;
            for point in &stream.points {
                position += u64::from(!point.repeats);
                point.record(suite, position, recorder);
            }
        }
        failed |= recorder.counts().failed > failed_before;
        if any {
            recorder.format(Format::Tap);
            if self.harness_failed && !failed {
                recorder.fail_run();
            }
        }
    }
}

impl LevelPoint {
    fn record(&self, suite: u64, position: u64, recorder: &mut Recorder) {
        if self.number > 1 {
            recorder.add(Counts::of(self.outcome, self.number));
            return;
        }
        let test = Test::new(Scope::FILE, &self.name, self.outcome);
        recorder.test(&Test { suite, variant: position, ..test });
    }
}

#[cfg(test)]
mod tests {
    use crate::Counts;
    use crate::tests::{check, check_counts, check_error, check_failed};

    #[track_caller]
    fn check_failed_run(content: &str, (passed, failed, skipped): (u64, u64, u64)) {
        check(content, Counts { passed, failed, skipped }, true);
    }

    #[test]
    fn directives_mark_a_test_point_as_skipped() {
        check_counts("1..5\nok 1\nnot ok 2\nnot ok 3 # TODO\nok 4 # todo\nnot ok 5 # skip", (1, 1, 3));
        check_counts("1..0 # Skipped: no database", (0, 0, 1));
        check_counts("TAP version 13\n1..0", (0, 0, 0));
    }

    #[test]
    fn missing_points_of_a_plan_fail() {
        check_counts("1..3\nok 1", (1, 2, 0));
        check_counts("ok 1\nok\n1..2", (2, 0, 0));
        check_counts("1..3\nok 1\n    1..2\n    ok 1\n", (2, 3, 0));
        check_counts("1..3\n", (0, 3, 0));
    }

    #[test]
    fn a_stream_that_breaks_its_plan_is_a_failed_run() {
        check_failed_run("ok 1\nok 2", (2, 0, 0));
        check_failed_run("1..1\nok 1\nok 2", (2, 0, 0));
        check_failed_run("TAP version 14\n", (0, 0, 0));
    }

    #[test]
    fn bailing_out_is_a_failure() {
        check_counts("1..3\nok 1\nBail out! no disk\nok 2", (1, 2, 0));
        check_counts("1..1\nok 1\n    bail OUT!", (1, 1, 0));
        check_counts("TAP version 14\nBail out!", (0, 1, 0));
    }

    #[test]
    fn streams_may_be_joined() {
        check_counts("1..1\nok 1\n1..2\nok 1\nnot ok 2\n", (2, 1, 0));
        check_counts("ok 1 a\n1..1\nok 1 a\nnot ok 2\n1..2\n", (2, 1, 0));
        check_counts("1..2\nok 1\n1..2\nok 1\nok 2\n", (3, 1, 0));
        check_counts("TAP version 13\n1..2\nok 1\nTAP version 13\nok 1\n1..1\n", (2, 1, 0));
        check_counts("TAP version 13\nBail out!\nTAP version 13\n1..1\nok 1", (1, 1, 0));
    }

    #[test]
    fn the_innermost_points_count() {
        let subtest = |points: &str, parent: &str| format!("TAP version 14\n{points}{parent}\n1..1\n");
        let both = "    ok 1\n    not ok 2\n    1..2\n";
        check_counts(&subtest(both, "not ok 1"), (1, 1, 0));
        check_counts(&subtest(both, "not ok 1 # TODO"), (1, 0, 1));
        check_counts(&subtest(both, "ok 1"), (1, 1, 0));
        check_counts(&subtest("    ok 1\n    1..1\n", "not ok 1"), (1, 1, 0));
        check_counts(&subtest("    1..0\n", "ok 1 # SKIP"), (0, 0, 1));
        check_counts(&subtest("        ok 1\n        1..1\n    not ok 1\n    1..1\n", "not ok 1"), (1, 1, 0));
        let kernel = "KTAP version 1\n1..2\n  KTAP version 1\n  # Subtest: s\n  1..2\n  ok 1 a\n    KTAP version 1\n    1..1\n    \
            not ok 1 deep\n  not ok 2 b\nnot ok 1 s\nok 2 t # SKIP no device\n";
        check_counts(kernel, (1, 1, 1));
        check_failed(kernel, &["deep"]);
    }

    #[test]
    fn subtests_may_follow_in_braces() {
        check_counts("1..2\nnot ok 1 - a {\n    1..2\n    ok 1\n    not ok 2\n}\nok 2", (2, 1, 0));
        check_counts(
            "1..1\nok 1 - a {\n    ok 1 - b {\n        ok 1\n        ok 2\n    }\n    1..1\n}",
            (2, 0, 0),
        );
        check_counts("1..2\nok 1 - reads {\nok 2 - reads }", (2, 0, 0));
    }

    #[test]
    fn yaml_and_other_lines_do_not_count() {
        check_counts(
            "1..1\nok 1\n  ---\n  out: |\n    not ok 2\n  ...\nhello\n# not ok 3\n  not ok 4",
            (1, 0, 0),
        );
        check_counts("1..2\nok 1\n  ---\n  cut: short\nnot ok 2", (1, 1, 0));
        check_counts("1..2\nok 1\n1..9\nok 2\n", (2, 0, 0));
        let deep = " ".repeat(4 * super::DEPTH_MAX);
        check_counts(&format!("1..1\n{deep}ok\nok 1\n"), (1, 0, 0));
    }

    #[test]
    fn a_harness_does_not_count() {
        let verbose = "t/a.t ..\n1..2\nok 1 - a\nok 2 - b\nok\nt/b.t ..\n1..1\nok 1 - c\nok       23 ms\nAll tests successful.\n";
        check_counts(verbose, (3, 0, 0));
        check_failed_run(&format!("{verbose}Result: FAIL\n"), (3, 0, 0));
        check_error(
            "t/a.t .. ok\nt/b.t .. ok\nAll tests successful.\nResult: PASS\n",
            "not a test report: neither XML nor JSON of a known format, nor the output of a known test runner",
        );
    }

    #[test]
    fn a_repeated_number_is_an_attempt() {
        check_counts("1..2\nnot ok 1 - a\nok 1 - a\nok 2 - b\n", (2, 0, 0));
        check_counts("1..2\nnot ok 1 - a\nok 1 - a\nok 1 - a\nok 2 - b\n", (1, 1, 0));
        check_counts("1..2\nok 1 - works\nok 2 - works\n", (2, 0, 0));
        check_failed("1..2\nok 1 - works\nnot ok 2 - fails # time=3ms\n", &["fails"]);
    }
}
