//! The suites of a branch: what badges add up, and what they do not count any more.

use badgesmith_domain::badge::Color;
use badgesmith_domain::slots::SlotState;
use badgesmith_domain::test_result::{Suite, TestResult};
use badgesmith_domain::timestamp::Timestamp;
use maud::{Markup, html};

use super::layout::{age, count, fit, run_link, tone};
use super::runs::{has_failed, job};

/// The share of the page of each list, in bytes. A row has about 330.
const LIVE_BYTES_MAX: usize = 4500;
const STALE_BYTES_MAX: usize = 1000;

/// The section on the suites of a branch with these slots. Failures come first.
pub(super) fn draw(slots: &[TestResult], now: Timestamp) -> Markup {
    let states = SlotState::of_branch(slots);
    let (mut live, stale): (Vec<_>, Vec<_>) =
        slots.iter().zip(states).partition(|(_, state)| *state == SlotState::Live);
    live.sort_by_key(|(slot, _)| (!has_failed(slot), job(slot)));
    let rows = fit(LIVE_BYTES_MAX, live.iter().map(|(slot, _)| row(slot, now)));
    let stale_rows = fit(STALE_BYTES_MAX, stale.iter().map(|(slot, state)| stale_row(slot, *state, now)));
    html! {
        section {
            h2 #suites { "Suites" }
            @if !live.is_empty() {
                div.scroll role="region" aria-labelledby="suites" tabindex="0" {
                    table {
                        thead { tr {
                            th scope="col" { "Suite" } th scope="col" { "Result" }
                            th.number scope="col" { "Passed" } th.number scope="col" { "Failed" } th.number scope="col" { "Skipped" }
                            th scope="col" { "Reported" }
                        } }
                        tbody { (rows.markup) }
                    }
                }
                @if rows.shown < live.len() {
                    p.note { (count(live.len() - rows.shown, "suite", "suites")) " more do not fit on this page." }
                }
            }
            @if !stale.is_empty() {
                details {
                    summary { (count(stale.len(), "suite", "suites")) " not counted" }
                    ul.plain { (stale_rows.markup) }
                    @if stale_rows.shown < stale.len() { p.note { "Some do not fit on this page." } }
                }
            }
        }
    }
}

fn row(slot: &TestResult, now: Timestamp) -> Markup {
    let run = &slot.run;
    let counts = run.outcome.counts();
    html! {
        tr {
            th scope="row" { (suite_name(run.suite.as_ref())) span.platform { (run.platform) } }
            td { (result_chip(slot)) }
            (number(counts.passed(), false)) (number(counts.failed(), true)) (number(counts.skipped(), false))
            td { (run_link(run.link(), &age(run.timestamp, now))) }
        }
    }
}

fn number(count: u32, is_bad: bool) -> Markup {
    let class = match count {
        0 => "number muted",
        _ if is_bad => "number bad",
        _ => "number",
    };
    html! { td class=(class) { (count) } }
}

fn stale_row(slot: &TestResult, state: SlotState, now: Timestamp) -> Markup {
    let run = &slot.run;
    html! {
        li {
            (suite_name(run.suite.as_ref())) span.platform { (run.platform) } " "
            @if state == SlotState::Retired { "retired " (age(run.timestamp, now)) }
            @else {
                "last reported " (run_link(run.link(), &age(run.timestamp, now)))
                ", more than 35 days before the newest suite of the branch"
            }
        }
    }
}

/// The name of a suite.
pub(super) fn suite_name(suite: Option<&Suite>) -> Markup {
    html! { @if let Some(suite) = suite { bdi { (suite) } } @else { span.muted { "unnamed suite" } } }
}

/// The outcome of a result, with its color.
pub(super) fn result_chip(result: &TestResult) -> Markup {
    let counts = result.run.outcome.counts();
    let (text, color) = if result.run.outcome.is_retired() {
        ("retired", Color::LightGrey)
    } else if counts.failed() > 0 {
        ("failed", Color::Red)
    } else if has_failed(result) {
        ("run failed", Color::Red)
    } else if counts.passed() == 0 {
        ("no tests", Color::LightGrey)
    } else {
        ("passed", Color::BrightGreen)
    };
    html! { span class={ "chip " (tone(color)) } { (text) } }
}
