//! Converts items of the .NET service to results of this one.

use std::collections::HashMap;
use std::str::FromStr;

use badgesmith_aws::dynamodb::RESULT_LIFETIME;
use badgesmith_domain::ids::{Branch, Owner, ParseError, Platform, Repo, Repository};
use badgesmith_domain::key::{self, ResultRange};
use badgesmith_domain::test_result::{
    Commit, Counts, HttpsUrl, Outcome, RunId, TestResult, TestResultId, TestRun,
};
use badgesmith_domain::timestamp::Timestamp;

use super::export::Item;

const PK: &str = "PK";
const SK: &str = "SK";

/// An attribute that is missing or invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) attribute: &'static str,
    /// A description of a valid value, as a noun phrase.
    pub(super) expected: &'static str,
}

/// The outcome of a conversion.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// A result, without the invalid optional attributes, which are listed.
    Result(Box<TestResult>, Vec<Problem>),
    /// This service does not accept the item.
    Invalid(Vec<Problem>),
    /// Older than the history of this service.
    Expired,
}

/// The original case of branches, by their names in lower case.
#[derive(Debug)]
pub(super) struct BranchNames(HashMap<String, Branch>);

impl BranchNames {
    /// # Errors
    /// Two of the branches, if they have the same name in lower case.
    pub(super) fn new(branches: &[Branch]) -> Result<Self, (Branch, Branch)> {
        let mut names = HashMap::new();
        for branch in branches {
            let replaced = names.insert(branch.as_str().to_lowercase(), branch.clone());
            if let Some(other) = replaced.filter(|other| other != branch) {
                return Err((other, branch.clone()));
            }
        }
        Ok(Self(names))
    }

    /// The branch in its original case, if that is known.
    pub(super) fn restore(&self, branch: &Branch) -> Option<&Branch> {
        self.0.get(branch.as_str())
    }
}

/// Whether an item comes from this service. Only its results have an id.
pub(super) fn is_of_this_service(item: &Item) -> bool {
    item.has("TestResultId")
}

/// Whether an item belongs to `repository`. Both services have the same partition keys.
pub(super) fn belongs_to(item: &Item, repository: &Repository) -> bool {
    let expected = key::results_partition(repository);
    item.text(PK).is_some_and(|partition| partition.eq_ignore_ascii_case(&expected))
}

/// The partition and sort key of an item, for output.
pub(super) fn key_of(item: &Item) -> String {
    [PK, SK].map(|name| item.text(name).unwrap_or("?")).join(" ")
}

/// Converts an item. The id of the result is derived from the whole item and the restored branch, so it is the same
/// each time.
pub(super) fn convert(item: &Item, branches: &BranchNames, now: Timestamp) -> Conversion {
    let mut fields = Fields { item, problems: Vec::new() };
    let (Some(partition), Some(sort)) = fields.keys() else {
        return Conversion::Invalid(fields.problems);
    };
    let Some(mut run) = fields.run(now) else { return Conversion::Invalid(fields.problems) };
    // The names in the item must be those of its key, which `--repo` compares.
    if !belongs_to(item, &run.repository) {
        return Conversion::Invalid(vec![Problem { attribute: PK, expected: "the key of Owner and Repo" }]);
    }
    if run.timestamp.plus(RESULT_LIFETIME) <= now {
        return Conversion::Expired;
    }
    if let Some(branch) = branches.restore(&run.branch) {
        run.branch = branch.clone();
    }
    run.commit = fields.optional("Commit", Commit::EXPECTED);
    run.url_html = fields.optional("UrlHtml", HttpsUrl::EXPECTED);
    run.workflow_run_url = fields.optional("WorkflowRunUrl", HttpsUrl::EXPECTED);
    let id = TestResultId::derive(&key::import_key(partition, sort, &run.branch), &item.digest());
    Conversion::Result(Box::new(TestResult { id, run }), fields.problems)
}

/// The attributes of an item, and the problems with them so far.
struct Fields<'a> {
    item: &'a Item,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// The required attributes; `None` if there is a problem with one.
    fn run(&mut self, now: Timestamp) -> Option<TestRun> {
        let owner: Option<Owner> = self.required("Owner", Owner::EXPECTED);
        let repo: Option<Repo> = self.required("Repo", Repo::EXPECTED);
        let platform = self.required("Platform", Platform::EXPECTED);
        let branch = self.required("Branch", Branch::EXPECTED);
        let counts = self.counts();
        let timestamp = self.required("Timestamp", Timestamp::EXPECTED);
        let timestamp = timestamp.and_then(|timestamp: Timestamp| {
            // A result from the future would stay the newest of its branch.
            self.some(
                "Timestamp",
                "a time in the past",
                Some(timestamp).filter(|timestamp| *timestamp <= now),
            )
        });
        let run_id = self.required("RunId", RunId::EXPECTED);
        let repository = Repository { owner: owner?, repo: repo? };
        let outcome = Outcome::from_counts(counts?);
        Some(TestRun::new(repository, platform?, branch?, outcome, timestamp?, run_id?))
    }

    fn counts(&mut self) -> Option<Counts> {
        let [passed, failed, skipped, total] = ["Passed", "Failed", "Skipped", "Total"].map(|attribute| {
            let count = self.item.number(attribute).and_then(|number| number.parse().ok());
            self.some(attribute, Counts::EXPECTED, count)
        });
        match Counts::new(passed?, failed?, skipped?, total?) {
            Ok(counts) => Some(counts),
            Err(ParseError { expected }) => self.some("Total", expected, None),
        }
    }

    /// The partition and sort key. Sort keys have the same prefix in both services.
    fn keys(&mut self) -> (Option<&'a str>, Option<&'a str>) {
        const EXPECTED: &str = "the key of a result";
        let sort = self.item.text(SK).filter(|sort| sort.starts_with(&ResultRange::All.prefix()));
        (self.some(PK, EXPECTED, self.item.text(PK)), self.some(SK, EXPECTED, sort))
    }

    fn required<T: FromStr>(&mut self, attribute: &'static str, expected: &'static str) -> Option<T> {
        let value = self.item.text(attribute).and_then(|text| text.parse().ok());
        self.some(attribute, expected, value)
    }

    /// `NULL` and an empty string count as absent.
    fn optional<T: FromStr>(&mut self, attribute: &'static str, expected: &'static str) -> Option<T> {
        if self.item.text(attribute).is_none_or(str::is_empty) {
            return None;
        }
        self.required(attribute, expected)
    }

    /// Adds a problem if there is no value.
    fn some<T>(&mut self, attribute: &'static str, expected: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.problems.push(Problem { attribute, expected });
        }
        value
    }
}
