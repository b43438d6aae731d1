//! The output of `badgesmith import`.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use badgesmith_aws::dynamodb::{RegistrationRecord, Registrations, StoreError};
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::registration::Registration;
use serde::Serialize;

use super::conversion::{self, Problem};
use super::export::Item;
use crate::error::CliError;
use crate::quantity::quantity;
use crate::table::Table;

/// The most items that are listed for a problem.
const KEYS_MAX: usize = 10;
/// The most branches in lower case that the text lists.
const BRANCHES_SHOWN_MAX: usize = 5;
/// Branches that rarely have capital letters.
const USUAL_BRANCHES: [&str; 4] = ["main", "master", "develop", "dev"];

#[derive(Debug, Serialize)]
pub(super) struct ImportedResults {
    dry_run: bool,
    /// Results that were sent or, in a dry run, would be sent.
    sent: usize,
    /// Items that are not valid results.
    skipped: usize,
    /// Results that are older than the history.
    pub(super) expired: usize,
    /// Whether the export has all items of the table.
    #[serde(rename = "complete")]
    pub(super) is_complete: bool,
    repositories: Vec<ImportedRepository>,
    problems: Vec<ProblemSummary>,
    /// Branches that may have had capital letters, and that `--branch` does not name.
    lower_case_branches: BTreeSet<String>,
    /// Branches that `--branch` names, but that have no results.
    unmatched_branches: Vec<String>,
    #[serde(skip)]
    branches: BTreeSet<String>,
}

#[derive(Debug, Serialize)]
struct ImportedRepository {
    repository: String,
    results: usize,
    /// Whether the repository may submit results; `None` if that is not known.
    registered: Option<bool>,
}

/// The items with the same problem.
#[derive(Debug, Serialize)]
struct ProblemSummary {
    effect: Effect,
    attribute: &'static str,
    expected: &'static str,
    items: usize,
    /// The keys of the first items.
    keys: Vec<String>,
}

/// The effect of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Effect {
    /// The item is skipped.
    Skipped,
    /// The result is sent without the attribute.
    Dropped,
}

impl ImportedResults {
    pub(super) fn new(dry_run: bool) -> Self {
        Self {
            dry_run,
            sent: 0,
            skipped: 0,
            expired: 0,
            is_complete: false,
            repositories: Vec::new(),
            problems: Vec::new(),
            lower_case_branches: BTreeSet::new(),
            unmatched_branches: Vec::new(),
            branches: BTreeSet::new(),
        }
    }

    /// Counts a result of this branch that was sent.
    pub(super) fn add_result(&mut self, branch: &Branch) {
        self.sent += 1;
        if !self.branches.contains(branch.as_str()) {
            self.branches.insert(branch.to_string());
        }
    }

    pub(super) fn add_problems(&mut self, effect: Effect, problems: &[Problem], item: &Item) {
        self.skipped += usize::from(effect == Effect::Skipped);
        for Problem { attribute, expected } in problems {
            let is_same = |problem: &&mut ProblemSummary| {
                (problem.effect, problem.attribute, problem.expected) == (effect, *attribute, *expected)
            };
            let key = || conversion::key_of(item);
            if let Some(problem) = self.problems.iter_mut().find(is_same) {
                problem.items += 1;
                if problem.keys.len() < KEYS_MAX {
                    problem.keys.push(key());
                }
            } else {
                let keys = vec![key()];
                self.problems.push(ProblemSummary { effect, attribute, expected, items: 1, keys });
            }
        }
    }

    /// Adds to the error how many results were sent before it.
    pub(super) fn explain(&self, error: CliError) -> CliError {
        if self.sent == 0 {
            return error;
        }
        let advice = "run the command again: importing a result twice changes nothing";
        CliError::Failed(format!("{error}; {} before the error; {advice}", self.headline()))
    }

    /// Compares the branches of the results with `named`, the branches from `--branch`.
    pub(super) fn check_branches(&mut self, named: &[Branch]) {
        let is_unmatched = |branch: &&Branch| !self.branches.contains(branch.as_str());
        self.unmatched_branches = named.iter().filter(is_unmatched).map(ToString::to_string).collect();
        let branches = std::mem::take(&mut self.branches).into_iter();
        let may_have_capitals = |branch: &String| {
            branch.contains(char::is_alphabetic)
                && **branch == branch.to_lowercase()
                && !USUAL_BRANCHES.contains(&branch.as_str())
                && named.iter().all(|named| named.as_str() != branch)
        };
        self.lower_case_branches = branches.filter(may_have_capitals).collect();
    }

    /// Adds the repositories with their numbers of results, and looks up whether each is registered.
    ///
    /// # Errors
    /// [`StoreError`] of the first lookup that failed. No lookup follows it.
    pub(super) async fn check_registrations(
        &mut self,
        registrations: &Registrations,
        sent: HashMap<Repository, usize>,
    ) -> Result<(), StoreError> {
        let mut checked = Ok(());
        for (repository, results) in sent {
            let record = match checked {
                Ok(()) => registrations.find(&repository).await.map_err(|error| checked = Err(error)).ok(),
                Err(_) => None,
            };
            let is_active =
                |record: RegistrationRecord| matches!(record.registration, Registration::Active(_));
            let registered = record.map(|record| record.is_some_and(is_active));
            let repository = repository.to_string();
            self.repositories.push(ImportedRepository { repository, results, registered });
        }
        self.repositories.sort_by(|one, other| one.repository.cmp(&other.repository));
        checked
    }

    /// Whether the export is incomplete, or some of its items were skipped.
    pub(super) fn is_partial(&self) -> bool {
        self.skipped > 0 || !self.is_complete
    }

    /// How many results were sent.
    pub(super) fn headline(&self) -> String {
        let verb = if self.dry_run { "would send" } else { "sent" };
        format!("{verb} {}", quantity(self.sent, "result"))
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> = self.problems.iter().map(ToString::to_string).collect();
        if self.expired > 0 {
            notes.push(format!("left out {} older than two years", quantity(self.expired, "result")));
        }
        if !self.is_complete {
            let advice = "run `aws dynamodb scan` without --no-paginate and --max-items";
            notes.push(format!("the export does not have all items of the table; {advice}"));
        }
        for branch in &self.unmatched_branches {
            notes.push(format!("--branch: no results of the branch {branch}"));
        }
        if !self.lower_case_branches.is_empty() {
            let shown: Vec<_> = self.lower_case_branches.iter().take(BRANCHES_SHOWN_MAX).cloned().collect();
            let more = self.lower_case_branches.len() - shown.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            notes.push(format!(
                "branches in lower case, as in the export: {}{more}; if a branch had capital letters, restore them \
                 with --branch NAME",
                shown.join(", ")
            ));
        }
        if self.repositories.iter().any(|repository| repository.registered == Some(false)) {
            notes.push(
                "repositories that are not registered cannot submit results: `badgesmith repo import` registers those \
                 with their own secret, and `badgesmith repo add OWNER/REPO` registers any other"
                    .to_owned(),
            );
        }
        notes
    }
}

impl fmt::Display for ImportedResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        if self.skipped > 0 {
            write!(f, ", skipped {}", quantity(self.skipped, "item"))?;
        }
        if self.repositories.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&["REPOSITORY", "RESULTS", "REGISTERED"]);
        for ImportedRepository { repository, results, registered } in &self.repositories {
            let registered = registered.map_or("?", |registered| if registered { "yes" } else { "no" });
            table.row([repository.clone(), results.to_string(), registered.to_owned()]);
        }
        write!(f, "\n\n{table}")
    }
}

impl fmt::Display for ProblemSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { effect, attribute, expected, items, keys } = self;
        match effect {
            Effect::Skipped => {
                write!(f, "skipped {}: {attribute}: expected {expected}", quantity(*items, "item"))?;
            }
            Effect::Dropped => {
                write!(f, "dropped {attribute} of {}: expected {expected}", quantity(*items, "result"))?;
            }
        }
        let first = keys.first().map_or("", String::as_str);
        write!(f, "; {} {first}", if *items == 1 { "the item is" } else { "the first item is" })
    }
}
