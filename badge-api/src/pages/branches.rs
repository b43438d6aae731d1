//! The list of a repository's branches.

use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::timestamp::Timestamp;
use maud::{Markup, html};

use super::layout::{Rows, age, chip, count, fit};
use super::overview::{BranchState, Overview};
use super::path::{branch_path, repository_path};

/// How many branches are listed before "more".
const FIRST: usize = 8;
/// The share of the page of each list, in bytes. A row has about 220.
const FIRST_BYTES_MAX: usize = 3000;
const MORE_BYTES_MAX: usize = 2500;
const SILENT_BYTES_MAX: usize = 1500;

/// The branches: the default branch and those that reported last, then the others, then silent ones.
pub(super) fn draw(
    repository: &Repository,
    overview: &Overview,
    chosen: Option<&Branch>,
    now: Timestamp,
) -> Markup {
    let row = |state: &BranchState| row(repository, overview, state, chosen, now);
    let is_apart = |state: &&BranchState| {
        state.is_silent && Some(&state.branch) != overview.default.as_ref() && Some(&state.branch) != chosen
    };
    let (silent, active): (Vec<_>, Vec<_>) = overview.branches.iter().partition(is_apart);
    let first = fit(FIRST_BYTES_MAX, active.iter().take(FIRST).map(|state| row(state)));
    let more = fit(MORE_BYTES_MAX, active.iter().skip(first.shown).map(|state| row(state)));
    let silent_rows = fit(SILENT_BYTES_MAX, silent.iter().map(|state| row(state)));
    let unlisted = overview.branches.len() - first.shown - more.shown - silent_rows.shown;
    html! {
        nav.branches aria-labelledby="branches" {
            h2 #branches { "Branches" }
            @if active.is_empty() { p.muted { "No branch has reported yet." } }
            @else { ul { (first.markup) } }
            (folded(&count(active.len() - first.shown, "more branch", "more branches"), &more))
            (folded(&count(silent.len(), "silent branch", "silent branches"), &silent_rows))
            @if overview.is_cut {
                p.note { "There are more branches than one page reads. Only the first in alphabetical order are listed." }
            } @else if unlisted > 0 {
                p.note { (count(unlisted, "branch", "branches")) " do not fit on this page." }
            }
            @if overview.is_cut || unlisted > 0 {
                form action=(repository_path(repository)) {
                    label { "Branch" input name="branch" required maxlength="255"; }
                    button { "Show" }
                }
            }
        }
    }
}

/// A list that opens on a click.
fn folded(title: &str, rows: &Rows) -> Markup {
    html! { @if rows.shown > 0 { details { summary { (title) } ul { (rows.markup) } } } }
}

fn row(
    repository: &Repository,
    overview: &Overview,
    state: &BranchState,
    chosen: Option<&Branch>,
    now: Timestamp,
) -> Markup {
    let BranchState { branch, badge, newest, .. } = state;
    let is_default = overview.default.as_ref() == Some(branch);
    let path = if is_default { repository_path(repository) } else { branch_path(repository, branch) };
    let current = (chosen == Some(branch)).then_some("page");
    html! {
        li {
            a href=(path) aria-current=[current] { bdi { (branch) } }
            @if is_default { span.tag { "default" } }
            div { (chip(badge)) span.muted { " " (age(*newest, now)) } }
        }
    }
}
