//! Charts of the last runs: their tests, and their failures by suite.

use std::collections::BTreeMap;
use std::fmt::Write;

use badgesmith_domain::test_result::Counts;
use maud::{Markup, html};

use super::layout::{count, date, fit};
use super::runs::{Run, Runs, has_failed, job};
use super::suites::suite_name;

/// The height of the tallest bar, in units of the image.
const HEIGHT: u64 = 160;
/// The least height of a part that is not empty, so that one failed test of thousands is visible.
const PART_MIN: u64 = 4;
const FAILED_MIN: u64 = 16;
/// The width of a bar with the gap beside it.
const STEP: usize = 10;
/// The least number of bars that the width is divided among.
const BARS_MIN: usize = 20;
/// The share of the page of failures by suite, in bytes. A row has about 260.
const SUITES_BYTES_MAX: usize = 2200;

/// The charts of these runs, the newest on the right.
pub(super) fn draw(runs: &Runs<'_>) -> Markup {
    let failed = runs.iter().filter(|run| run.has_failed()).count();
    html! {
        section {
            h2 #runs { @if runs.len() == 1 { "The last run" } @else { "The last " (runs.len()) " runs" } }
            @if let Some((newest, oldest)) = runs.get(0).zip(runs.get(runs.len().saturating_sub(1))) {
                figure {
                    (bars(runs))
                    div.axis { span { (date(oldest.timestamp)) } span { (date(newest.timestamp)) } }
                    figcaption {
                        span.key.green { "passed" } span.key.red { "failed" } span.key.grey { "skipped" }
                        span { (runs.len() - failed) " of " (count(runs.len(), "run", "runs")) " succeeded, with " (tests(runs)) " each." }
                    }
                }
                (by_suite(runs))
            } @else {
                p.muted { "No run has reported yet." }
            }
        }
    }
}

/// The range of the numbers of tests.
fn tests(runs: &Runs<'_>) -> String {
    let totals = || runs.iter().map(|run| run.sum(Counts::total));
    let (min, max) = (totals().min().unwrap_or_default(), totals().max().unwrap_or_default());
    if min == max { format!("{max} tests") } else { format!("{min} to {max} tests") }
}

/// One stroke for each part of each bar, since a rectangle has three times the bytes.
fn bars(runs: &Runs<'_>) -> Markup {
    let max = runs.iter().map(|run| run.sum(Counts::total)).max().unwrap_or_default().max(1);
    let places = runs.len().max(BARS_MIN);
    let mut parts = [String::new(), String::new(), String::new()];
    for (place, run) in runs.iter().enumerate() {
        let x = (places - place) * STEP - STEP / 2;
        let mut top = HEIGHT + FAILED_MIN;
        for (part, height) in parts.iter_mut().zip(heights(run, max)) {
            if height > 0 {
                let bottom = top;
                top = top.saturating_sub(height);
                // Writing to a string does not fail.
                let _ = write!(part, "M{x} {bottom}V{top}");
            }
        }
    }
    let [passed, skipped, failed] = parts;
    html! {
        svg.runs viewBox={ "0 0 " (places * STEP) " " (HEIGHT + FAILED_MIN) } preserveAspectRatio="none" role="img" {
            title { "Passed, failed and skipped tests of each run" }
            path.green d=(passed) {} path.grey d=(skipped) {} path.red d=(failed) {}
        }
    }
}

/// The heights of what passed, was skipped, and failed. A run that failed outside its tests has a red part, too.
fn heights(run: &Run<'_>, max: u64) -> [u64; 3] {
    let height = |tests: u64| match tests {
        0 => 0,
        _ => (tests * HEIGHT / max).max(PART_MIN),
    };
    let failed = height(run.sum(Counts::failed));
    let failed = if run.has_failed() { failed.max(FAILED_MIN) } else { failed };
    // What the least heights add is taken from the part that can spare it.
    let skipped = height(run.sum(Counts::skipped));
    let passed = height(run.sum(Counts::passed)).min(HEIGHT.saturating_sub(failed + skipped));
    [passed, skipped, failed]
}

/// How often each suite failed, as a table with a bar in each row.
fn by_suite(runs: &Runs<'_>) -> Markup {
    let mut suites = BTreeMap::new();
    for result in runs.iter().flat_map(|run| &run.results) {
        let (failed, all) = suites.entry(job(result)).or_insert((0_usize, 0_usize));
        *failed += usize::from(has_failed(result));
        *all += 1;
    }
    let mut failing: Vec<_> = suites.into_iter().filter(|(_, (failed, _))| *failed > 0).collect();
    failing.sort_by_key(|(_, (failed, all))| {
        (std::cmp::Reverse(failed * 1000 / all), std::cmp::Reverse(*failed))
    });
    let rows = fit(SUITES_BYTES_MAX, failing.iter().map(|((suite, platform), (failed, all))| html! {
        tr {
            th scope="row" { (suite_name(*suite)) span.platform { (platform) } }
            td.bar { svg viewBox="0 0 100 10" preserveAspectRatio="none" role="presentation" {
                rect.track width="100" height="10" {} rect.red width=((failed * 100).div_ceil(*all)) height="10" {}
            } }
            td.number { (failed) " of " (all) }
        }
    }));
    html! {
        h3 #by-suite { "Failures by suite" }
        @if failing.is_empty() {
            p.muted { "No suite failed in these runs." }
        } @else {
            table.bars aria-labelledby="by-suite" {
                thead { tr { th scope="col" { "Suite" } th scope="col" { "Share" } th.number scope="col" { "Failed runs" } } }
                tbody { (rows.markup) }
            }
            @if rows.shown < failing.len() { p.note { "Some suites do not fit on this page." } }
        }
    }
}
