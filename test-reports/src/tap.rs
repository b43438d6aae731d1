//! TAP, the Test Anything Protocol: <https://testanything.org/tap-version-14-specification.html>, and its earlier
//! versions. The rules here:
//!
//! - **The innermost test points count.** A test point that closes a subtest sums it up and counts itself only
//!   when it failed and nothing in the subtest did. People count what they wrote: Node's `describe` and
//!   node-tap's `t.test` hold the tests, and Node's `JUnit` report counts them alike. Perl's `prove` counts the
//!   outermost points instead.
//! - `# SKIP` and `# TODO` are skipped, whether the point is `ok` or not; the specification forbids treating them as
//!   failures. On a test point that closes a subtest they make its failures skipped tests.
//! - Each planned test point that is missing from the stream is a failure. A stream without a plan, or with more points
//!   than planned, is one failure.
//! - `1..0 # reason` is one skipped test; without a reason it does not count.
//! - `Bail out!` ends the stream: the rest of the plan failed, and at least one test.
//! - Subtests are indented by four spaces each, before the point that closes them; Vitest and older
//!   versions of node-tap write them after it, between `{` and `}`.
//! - YAML blocks, comments and lines that are not TAP are skipped. A version line begins another stream,
//!   and so does a plan after a fulfilled one, so that reports may be joined.

mod line;

use self::line::{Line, Point};
use crate::counts::{Counts, Outcome};
use crate::error::{Located, ReportErrorKind};
use crate::text;

/// How deep subtests may nest.
const DEPTH_MAX: usize = 64;

/// Whether this line shows that the text is TAP. A bare `ok` does not: plain `go test` prints it, too.
pub(crate) fn detects(line: &str) -> bool {
    match Line::parse(line) {
        Line::Version | Line::Plan { .. } => true,
        Line::Point(point) => point.numbered,
        Line::BailOut | Line::Close | Line::YamlStart | Line::Other => false,
    }
}

/// Counts the test points of all streams in `text`.
pub(crate) fn read(text: &str) -> Result<Counts, Located> {
    let mut reader = Reader::default();
    for (offset, line) in text::lines(text) {
        reader.read(line).map_err(|kind| Located { offset, kind })?;
    }
    reader.end_stream();
    Ok(reader.counts)
}

#[derive(Default)]
struct Reader {
    /// The sum of the streams that have ended.
    counts: Counts,
    /// The stream that is being read and the subtests that are open in it, outermost first.
    levels: Vec<Level>,
    /// How far the YAML block is indented, within one.
    yaml: Option<usize>,
    bailed_out: bool,
}

/// A stream or a subtest.
#[derive(Default)]
struct Level {
    counts: Counts,
    points: u64,
    planned: Option<u64>,
    /// The test point whose subtest follows in braces.
    opened: Option<Outcome>,
}

impl Level {
    /// How many test points of the plan are missing.
    fn missing(&self) -> u64 {
        self.planned.unwrap_or_default().saturating_sub(self.points)
    }

    fn is_fulfilled(&self) -> bool {
        self.planned == Some(self.points)
    }

    /// Counts a test point and the subtest that it sums up.
    fn add(&mut self, outcome: Outcome, subtest: Option<Counts>) {
        self.counts += match subtest.filter(|subtest| subtest.total() > 0) {
            None => outcome.into(),
            Some(Counts { failed: 0, .. }) if outcome == Outcome::Failed => {
                subtest.unwrap_or_default() + outcome.into()
            }
            Some(Counts { passed, failed, skipped }) if outcome == Outcome::Skipped => {
                Counts { passed, failed: 0, skipped: skipped + failed }
            }
            Some(subtest) => subtest,
        };
    }

    /// Counts the test point that opened this subtest. Without one, returns the subtest.
    fn close(&mut self, subtest: Option<Counts>) -> Option<Counts> {
        let Some(outcome) = self.opened.take() else { return subtest };
        self.add(outcome, subtest);
        None
    }
}

impl Reader {
    fn read(&mut self, line: &str) -> Result<(), ReportErrorKind> {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        if self.is_yaml(text, indent) {
            return Ok(());
        }
        let depth = indent / 4;
        match Line::parse(text) {
            Line::YamlStart if indent > 0 => self.yaml = Some(indent),
            Line::Version if indent == 0 => {
                self.end_stream();
                self.level(0)?;
            }
            _ if self.bailed_out || !indent.is_multiple_of(4) => {}
            Line::Plan { count, reason } => self.plan(depth, count, reason)?,
            Line::Point(point) => self.point(depth, &point)?,
            Line::Close => {
                if depth < self.levels.len() {
                    self.close_subtests(depth)?;
                }
            }
            Line::BailOut => {
                // A stream that begins with it has failed, too.
                self.level(0)?;
                self.bailed_out = true;
            }
            Line::Version | Line::YamlStart | Line::Other => {}
        }
        Ok(())
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

    fn plan(&mut self, depth: usize, count: u64, reason: bool) -> Result<(), ReportErrorKind> {
        if depth == 0 && self.levels.first().is_some_and(|stream| stream.planned.is_some()) {
            self.close_subtests(0)?;
            if !self.levels.first().is_some_and(Level::is_fulfilled) {
                return Err(ReportErrorKind::SecondPlan);
            }
            self.end_stream();
        }
        let level = self.level(depth)?;
        level.planned = Some(count);
        // A skipped subtest has a test point after it; nothing follows a stream.
        if depth == 0 && count == 0 && reason && level.points == 0 {
            level.counts.skipped += 1;
        }
        Ok(())
    }

    fn point(&mut self, depth: usize, point: &Point) -> Result<(), ReportErrorKind> {
        let subtest = self.close_subtests(depth)?;
        let level = self.level(depth)?;
        level.points += 1;
        if point.opens && subtest.is_none() {
            level.opened = Some(point.outcome);
        } else {
            level.add(point.outcome, subtest);
        }
        Ok(())
    }

    /// The level at this depth, with those around it.
    fn level(&mut self, depth: usize) -> Result<&mut Level, ReportErrorKind> {
        let too_deep = ReportErrorKind::SubtestsTooDeep { max: DEPTH_MAX };
        if depth >= DEPTH_MAX {
            return Err(too_deep);
        }
        if self.levels.len() <= depth {
            self.levels.resize_with(depth + 1, Level::default);
        }
        self.levels.get_mut(depth).ok_or(too_deep)
    }

    /// Ends what is open within the level at this depth. Returns its counts, unless the point that sums it up
    /// came before it.
    fn close_subtests(&mut self, depth: usize) -> Result<Option<Counts>, ReportErrorKind> {
        let mut inner: Option<Counts> = None;
        while self.levels.len() > depth + 1 {
            let Some(mut level) = self.levels.pop() else { break };
            // A subtest without a point that sums it up was cut short.
            let cut_short = level.close(inner).unwrap_or_default();
            inner = Some(level.counts + cut_short + Counts::failed(level.missing()));
        }
        Ok(self.level(depth)?.close(inner))
    }

    fn end_stream(&mut self) {
        if self.levels.is_empty() {
            return;
        }
        // A first level is always within the limit.
        let cut_short = self.close_subtests(0).ok().flatten().unwrap_or_default();
        for stream in self.levels.drain(..) {
            let missing = stream.missing();
            let broken = self.bailed_out || !stream.is_fulfilled();
            self.counts +=
                stream.counts + cut_short + Counts::failed(if broken { missing.max(1) } else { 0 });
        }
        self.bailed_out = false;
        self.yaml = None;
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_error};

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
        check_counts("ok 1\nok 2", (2, 1, 0));
        check_counts("1..1\nok 1\nok 2", (2, 1, 0));
        check_counts("TAP version 14\n", (0, 1, 0));
        check_counts("1..3\nok 1\n    1..2\n    ok 1\n", (2, 3, 0));
        check_error(
            "1..2\nok 1\n1..5",
            "a second plan begins before the first is complete at line 3, column 1",
        );
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
        let deep = " ".repeat(4 * super::DEPTH_MAX);
        check_error(&format!("1..1\n{deep}ok"), "subtests are nested more than 64 deep at line 2, column 1");
    }
}
