//! The last results of a branch, as a table.

use badgesmith_domain::test_result::{Commit, Counts, TestResult};
use badgesmith_domain::timestamp::Timestamp;
use maud::{Markup, html};

use super::layout::{age, fit, run_link};
use super::suites::{result_chip, suite_name};

/// The number of results in the table.
const RESULTS_MAX: usize = 15;
/// The share of the page of the table, in bytes. A row has about 350.
const BYTES_MAX: usize = 5500;
/// The heading and the head of the table, in bytes.
const FRAME_BYTES: usize = 600;
/// The digits of a commit that are shown.
const COMMIT_DIGITS: usize = 7;

/// At most `bytes_left` of the page are left for it.
pub(super) fn draw(newest_first: &[TestResult], bytes_left: usize, now: Timestamp) -> Markup {
    let bytes_max = bytes_left.saturating_sub(FRAME_BYTES).min(BYTES_MAX);
    let rows = fit(bytes_max, newest_first.iter().take(RESULTS_MAX).map(|result| row(result, now)));
    html! {
        section {
            h2 #results { "Last results" }
            div.scroll role="region" aria-labelledby="results" tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { "Suite" } th scope="col" { "Result" } th scope="col" { "Tests" }
                        th scope="col" { "Commit" } th scope="col" { "Reported" }
                    } }
                    tbody { (rows.markup) }
                }
            }
        }
    }
}

fn row(result: &TestResult, now: Timestamp) -> Markup {
    let run = &result.run;
    let counts = run.outcome.counts();
    html! {
        tr {
            th scope="row" { (suite_name(run.suite.as_ref())) span.platform { (run.platform) } }
            td { (result_chip(result)) }
            td { (tests(counts)) }
            td { @if let Some(commit) = &run.commit { span.code { (short(commit)) } } }
            td { (run_link(run.link(), &age(run.timestamp, now))) }
        }
    }
}

/// The numbers of tests that are not zero.
fn tests(counts: Counts) -> String {
    let parts = [(counts.passed(), "passed"), (counts.failed(), "failed"), (counts.skipped(), "skipped")];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let parts: Vec<_> = parts.map(|(number, name)| format!("{number} {name}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn short(commit: &Commit) -> &str {
    commit.as_str().get(..COMMIT_DIGITS).unwrap_or(commit.as_str())
}
