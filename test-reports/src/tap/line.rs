//! One line of TAP, without its indentation.

use crate::counts::Outcome;
use crate::vocabulary::TAP;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `TAP version 14`, or `KTAP version 1` of the kernel
    Version { is_kernel: bool },
    /// `1..4`; `reason` is whether one follows, as in `1..0 # SKIP no database`.
    Plan { count: u64, reason: bool },
    /// `not ok 3 - adds # TODO later`
    Point(Point<'a>),
    /// `Bail out! no database`
    BailOut,
    /// `}` ends the subtests that a point opened.
    Close,
    /// `---`
    YamlStart,
    /// `Result: FAIL`, with which `prove` ends.
    HarnessFailure,
    /// A comment, a pragma, or a line that is not TAP.
    Other,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Point<'a> {
    pub(super) outcome: Outcome,
    pub(super) number: Option<u64>,
    pub(super) description: &'a str,
    /// Whether its subtest follows in braces.
    pub(super) opens: bool,
}

impl<'a> Line<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        const BAIL_OUT: &str = "bail out!";
        let text = text.trim_end();
        if let Some(plan) = text.strip_prefix("1..") {
            return parse_plan(plan);
        }
        if let Some(point) = parse_point(text) {
            return Self::Point(point);
        }
        match text {
            "}" => Self::Close,
            "---" => Self::YamlStart,
            "Result: FAIL" => Self::HarnessFailure,
            _ if text.starts_with("TAP version ") => Self::Version { is_kernel: false },
            _ if text.starts_with("KTAP version ") => Self::Version { is_kernel: true },
            _ if text.get(..BAIL_OUT.len()).is_some_and(|start| start.eq_ignore_ascii_case(BAIL_OUT)) => {
                Self::BailOut
            }
            _ => Self::Other,
        }
    }
}

fn parse_plan(plan: &str) -> Line<'_> {
    let (count, reason) = plan.split_once('#').unwrap_or((plan, ""));
    match count.trim_end().parse::<u32>() {
        Ok(count) => Line::Plan { count: u64::from(count), reason: !reason.trim().is_empty() },
        Err(_) => Line::Other,
    }
}

fn parse_point(text: &str) -> Option<Point<'_>> {
    let (failed, rest) = match text.strip_prefix("not ") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let rest = rest.strip_prefix("ok").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))?;
    let directive = directive(rest);
    let outcome = match (directive, failed) {
        (Some((_, outcome)), _) => outcome,
        (None, true) => Outcome::Failed,
        (None, false) => Outcome::Passed,
    };
    let content = rest.get(..directive.map_or(rest.len(), |(position, _)| position)).unwrap_or(rest).trim();
    let digits = content.find(|c: char| !c.is_ascii_digit()).unwrap_or(content.len());
    let (number, description) = match content.split_at(digits) {
        (number, after) if after.is_empty() || after.starts_with([' ', '\t']) => (number.parse().ok(), after),
        _ => (None, content),
    };
    let description = description.trim_start();
    let description = description.strip_prefix("- ").unwrap_or(description);
    // Timings and other comments differ from run to run.
    let description = description.split(" # ").next().unwrap_or_default().trim();
    let opens = rest.ends_with(" {");
    Some(Point { outcome, number, description, opens })
}

/// The position of a directive after the description, such as `# SKIP` or `# TODO`, and what it means. The `#` follows
/// whitespace and is not escaped; the word may go on, as in `# Skipped: no database`.
fn directive(rest: &str) -> Option<(usize, Outcome)> {
    let mut escaped = false;
    let mut after_space = false;
    for (index, character) in rest.char_indices() {
        if character == '#' && after_space && !escaped {
            let text = rest.get(index + 1..).unwrap_or_default().trim_start();
            let words =
                TAP.words.iter().filter(|(word, _)| word.starts_with(|c: char| c.is_ascii_uppercase()));
            for (word, outcome) in words {
                if text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) {
                    return Some((index, *outcome));
                }
            }
        }
        escaped = character == '\\' && !escaped;
        after_space = character.is_whitespace();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_point(line: &str, outcome: Outcome) {
        let Line::Point(point) = Line::parse(line) else { panic!("{line:?} is no test point") };
        assert_eq!(point.outcome, outcome, "{line:?}");
    }

    #[test]
    fn directives_decide_the_outcome_of_a_point() {
        for passed in
            ["ok", "ok 1", "ok - a", "ok 1 - a # b", r"ok 1 - a \# SKIP", "ok 1 a#skip", "ok 1 # time=1ms"]
        {
            check_point(passed, Outcome::Passed);
        }
        for failed in ["not ok", "not ok 1 - TODO", r"not ok 2 - a \\\# TODO"] {
            check_point(failed, Outcome::Failed);
        }
        for skipped in [
            "ok # skip",
            "not ok 1 # TODO",
            "ok 2 a # b # Skipped: c",
            r"ok 2 \\ # todo",
            "ok #SKIP",
            "not ok 1 # XFAIL",
        ] {
            check_point(skipped, Outcome::Skipped);
        }
        for other in ["okay", "OK 1", "not okay", "ok: 1", "not  ok", "# ok 1", ""] {
            assert_eq!(Line::parse(other), Line::Other, "{other:?}");
        }
    }

    #[test]
    fn lines_without_a_result_are_parsed() {
        assert_eq!(Line::parse("1..4 "), Line::Plan { count: 4, reason: false });
        assert_eq!(Line::parse("1..0 # SKIP a"), Line::Plan { count: 0, reason: true });
        assert_eq!(Line::parse("1..n"), Line::Other);
        assert_eq!(Line::parse("1..99999999999"), Line::Other);
        assert_eq!(Line::parse("BAIL OUT!"), Line::BailOut);
        assert_eq!(Line::parse("TAP version 14"), Line::Version { is_kernel: false });
    }
}
