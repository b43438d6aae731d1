//! The tests that fail now, and those that failed in the last runs.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use badgesmith_domain::slots::SlotState;
use badgesmith_domain::test_result::{FailedTest, TestResult};
use badgesmith_domain::timestamp::Timestamp;
use maud::{Markup, html};

use super::layout::{age, count, date, fit, run_link};
use super::runs::{Job, Runs, has_failed, job};
use super::suites::suite_name;

/// The number of tests in the table.
const TESTS_MAX: usize = 12;
/// The number of runs that a test links to.
const LINKS_MAX: usize = 3;
/// The share of the page of each list, in bytes.
const NOW_BYTES_MAX: usize = 2500;
const OFTEN_BYTES_MAX: usize = 4500;

/// A test, and where it failed.
#[derive(Debug, Default)]
struct Failures<'a> {
    /// The places of the runs, the newest first.
    runs: BTreeSet<usize>,
    jobs: BTreeSet<Job<'a>>,
}

/// The section on failed tests. `slots` are those of the branch, and the history has the names of their failed tests.
pub(super) fn draw(
    slots: &[TestResult],
    newest_first: &[TestResult],
    runs: &Runs<'_>,
    now: Timestamp,
) -> Markup {
    let mut often: HashMap<&FailedTest, Failures<'_>> = HashMap::new();
    for (place, run) in runs.iter().enumerate() {
        for result in &run.results {
            for test in &result.run.failures {
                let failures = often.entry(test).or_default();
                failures.runs.insert(place);
                failures.jobs.insert(job(result));
            }
        }
    }
    let mut often: Vec<_> = often.into_iter().collect();
    often.sort_by_key(|(test, failures)| {
        (Reverse(failures.runs.len()), failures.runs.first().copied(), *test)
    });
    let rows = often.iter().take(TESTS_MAX).map(|(test, failures)| row(test, failures, runs, now));
    let rows = fit(OFTEN_BYTES_MAX, rows);
    html! {
        section {
            h2 #failed { "Failed tests" }
            (failing_now(slots, newest_first))
            @if !often.is_empty() {
                h3 #often { "In the last runs" }
                div.scroll role="region" aria-labelledby="often" tabindex="0" {
                    table.tests {
                        thead { tr {
                            th scope="col" { "Test" } th scope="col" { "Failed in" } th scope="col" { "When" } th scope="col" { "Last failures" }
                        } }
                        tbody { (rows.markup) }
                    }
                }
                @if rows.shown < often.len() {
                    p.note { "The " (rows.shown) " that failed most often, of " (often.len()) "." }
                }
            }
        }
    }
}

/// The failed tests of the newest results.
fn failing_now(slots: &[TestResult], newest_first: &[TestResult]) -> Markup {
    let states = SlotState::of_branch(slots);
    let mut failing: Vec<_> = slots
        .iter()
        .zip(states)
        .filter_map(|(slot, state)| (state == SlotState::Live && has_failed(slot)).then_some(slot))
        .collect();
    failing.sort_by_key(|slot| job(slot));
    let names: HashMap<_, _> = newest_first.iter().map(|result| (result.id, &result.run.failures)).collect();
    let rows = failing.iter().map(|slot| {
        let names = names.get(&slot.id).map(|names| names.as_slice()).unwrap_or_default();
        let failed = usize::try_from(slot.run.outcome.counts().failed()).unwrap_or(usize::MAX);
        html! {
            dt { (run_link(slot.run.link(), &suite_name(slot.run.suite.as_ref()))) span.platform { (slot.run.platform) } }
            @for name in names { dd { bdi.code { (name) } } }
            @if failed == 0 { dd.muted { "The run failed outside its tests." } }
            @else if names.is_empty() { dd.muted { (count(failed, "failed test", "failed tests")) ", without names." } }
            @else if failed > names.len() { dd.muted { "and " (failed - names.len()) " more" } }
        }
    });
    let rows = fit(NOW_BYTES_MAX, rows);
    let sends_names = newest_first.iter().any(|result| !result.run.failures.is_empty());
    html! {
        h3 { "Now" }
        @if failing.is_empty() {
            p.muted { "No suite fails." }
        } @else {
            dl.failing { (rows.markup) }
            @if rows.shown < failing.len() {
                p.note { (count(failing.len() - rows.shown, "failing suite", "failing suites")) " more do not fit on this page." }
            }
            @if !sends_names {
                p.note {
                    "To show the names of failed tests, submit results with " code { "badgesmith submit --failures" }
                    ", or with " code { "failures: true" } " in the action."
                }
            }
        }
    }
}

fn row(test: &FailedTest, failures: &Failures<'_>, runs: &Runs<'_>, now: Timestamp) -> Markup {
    let links = failures.runs.iter().take(LINKS_MAX).filter_map(|place| {
        let mut results = runs.get(*place)?.results.iter();
        let result = results.find(|result| result.run.failures.contains(test))?;
        Some(run_link(result.run.link(), &age(result.run.timestamp, now)))
    });
    html! {
        tr {
            th scope="row" {
                bdi.code { (test) }
                span.jobs {
                    @for (suite, platform) in failures.jobs.iter().take(2) { (suite_name(*suite)) span.platform { (platform) } " " }
                    @if failures.jobs.len() > 2 { "and " (failures.jobs.len() - 2) " more" }
                }
            }
            td { (failures.runs.len()) " of " (runs.len()) (strip(failures, runs)) }
            td { (pattern(failures, runs)) }
            td.stack { @for link in links { (link) " " } }
        }
    }
}

/// When a test failed: in all runs since one, in some of them, or not any more. Only runs with a suite in which the
/// test failed count.
fn pattern(failures: &Failures<'_>, runs: &Runs<'_>) -> Markup {
    let has_job = |place: &usize| {
        let results = runs.get(*place).into_iter().flat_map(|run| &run.results);
        results.into_iter().any(|result| failures.jobs.contains(&job(result)))
    };
    let failed: Vec<bool> =
        (0..runs.len()).filter(has_job).map(|place| failures.runs.contains(&place)).collect();
    let periods = failed.chunk_by(|a, b| a == b).filter(|period| period.first() == Some(&true)).count();
    let first = failures.runs.last().and_then(|place| runs.get(*place)).map(|run| date(run.timestamp));
    html! {
        @if periods > 1 { "now and then" }
        @else if failed.first() != Some(&true) { "not any more" }
        @else if let Some(first) = first { "since " (first) }
    }
}

/// A mark for each run in which the test failed, the newest on the right.
fn strip(failures: &Failures<'_>, runs: &Runs<'_>) -> Markup {
    let mut marks = String::new();
    for run in &failures.runs {
        // Writing to a string does not fail.
        let _ = write!(marks, "M{} 0V8", 2 * (runs.len() - run) - 1);
    }
    html! {
        svg.strip viewBox={ "0 0 " (2 * runs.len()) " 8" } preserveAspectRatio="none" role="presentation" { path.red d=(marks) {} }
    }
}
