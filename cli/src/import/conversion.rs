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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2025-02-01T00:00:00Z".parse().unwrap()
    }

    fn sort_key(timestamp: &str) -> String {
        format!("{}main#{timestamp}", ResultRange::Platform(Platform::Linux).prefix())
    }

    /// An item as the .NET service writes it, with some attributes set; `null` removes one.
    fn item(attributes: &Value) -> Item {
        let partition = key::results_partition(&"acme/kit".parse().unwrap());
        let mut item = json!({
            "PK": {"S": partition}, "SK": {"S": sort_key("2025-01-15T10:30:00.123Z")},
            "Owner": {"S": "acme"}, "Repo": {"S": "kit"}, "Platform": {"S": "linux"}, "Branch": {"S": "main"},
            "Passed": {"N": "188"}, "Failed": {"N": "2"}, "Skipped": {"N": "0"}, "Total": {"N": "190"},
            "Commit": {"S": "4d8474b"}, "RunId": {"S": "7"}, "UrlHtml": {"S": "https://ci.test/7"},
            "WorkflowRunUrl": {"S": "https://ci.test/run/7"},
            "Timestamp": {"S": "2025-01-15T12:30:00.1234567+02:00"},
        });
        for (name, value) in attributes.as_object().unwrap() {
            item[name] = value.clone();
        }
        item.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        serde_json::from_value(item).unwrap()
    }

    fn converted(attributes: &Value, branches: &[Branch]) -> (TestResult, Vec<Problem>) {
        let conversion = convert(&item(attributes), &BranchNames::new(branches).unwrap(), now());
        let Conversion::Result(result, problems) = conversion else { panic!("{conversion:?}") };
        (*result, problems)
    }

    #[test]
    fn an_item_becomes_a_result_with_all_its_values() {
        let (result, problems) = converted(&json!({}), &[]);
        assert_eq!(problems, []);
        let mut json = serde_json::to_value(&result).unwrap();
        json.as_object_mut().unwrap().remove("test_result_id");
        assert_eq!(
            json,
            json!({
                "owner": "acme", "repo": "kit", "platform": "linux", "branch": "main", "passed": 188, "failed": 2,
                "skipped": 0, "total": 190, "conclusion": "failure", "timestamp": "2025-01-15T10:30:00.123Z",
                "run_id": "7", "run_attempt": 1, "commit": "4d8474b", "url_html": "https://ci.test/7",
                "workflow_run_url": "https://ci.test/run/7",
            })
        );
    }

    #[test]
    fn only_the_same_item_has_the_same_id() {
        let id = |attributes: Value, branches: &[Branch]| converted(&attributes, branches).0.id;
        let first = id(json!({}), &[]);
        assert_eq!(id(json!({}), &[]), first);
        assert_ne!(id(json!({"SK": {"S": sort_key("2025-01-15T10:30:00.124Z")}}), &[]), first);
        assert_ne!(id(json!({"RunId": {"S": "8"}}), &[]), first);
        assert_ne!(id(json!({}), &["Main".parse().unwrap()]), first);
    }

    #[test]
    fn invalid_optional_values_are_dropped_and_invalid_required_ones_skip_the_item() {
        let attributes =
            |problems: &[Problem]| -> Vec<_> { problems.iter().map(|problem| problem.attribute).collect() };
        let dropped = json!({
            "Commit": {"S": "unknown"}, "UrlHtml": {"S": "http://ci.test/7"}, "WorkflowRunUrl": {"S": ""},
        });
        let (result, problems) = converted(&dropped, &[]);
        assert_eq!(attributes(&problems), ["Commit", "UrlHtml"]);
        assert_eq!(result.run.link(), None);

        let invalid = |values: Value| {
            let conversion = convert(&item(&values), &BranchNames::new(&[]).unwrap(), now());
            let Conversion::Invalid(problems) = conversion else { panic!("{conversion:?}") };
            attributes(&problems)
        };
        let values = json!({
            "Platform": {"S": "ubuntu-latest"}, "RunId": {"S": "run 7"}, "Passed": {"S": "188"},
            "Failed": {"N": "-1"}, "Timestamp": null,
        });
        assert_eq!(invalid(values), ["Platform", "Passed", "Failed", "Timestamp", "RunId"]);
        assert_eq!(invalid(json!({"Total": {"N": "191"}})), ["Total"]);
        assert_eq!(invalid(json!({"Timestamp": {"S": "2025-02-01T00:00:00.0010000+00:00"}})), ["Timestamp"]);
        assert_eq!(invalid(json!({"PK": null, "SK": {"S": "META"}})), ["PK", "SK"]);
    }

    #[test]
    fn results_that_are_older_than_the_history_are_not_converted() {
        let at = |timestamp: &str| {
            let item = item(&json!({"Timestamp": {"S": timestamp}}));
            convert(&item, &BranchNames::new(&[]).unwrap(), now())
        };
        assert_eq!(at("2023-02-02T00:00:00.0000000+00:00"), Conversion::Expired);
        assert!(matches!(at("2023-02-02T00:00:00.0010000+00:00"), Conversion::Result(..)));
    }

    #[test]
    fn branches_get_their_original_case() {
        let branches = ["Feature/Login".parse().unwrap()];
        let branch = |branch: &str| converted(&json!({"Branch": {"S": branch}}), &branches).0.run.branch;
        assert_eq!(branch("feature/login").as_str(), "Feature/Login");
        assert_eq!(branch("feature/logout").as_str(), "feature/logout");
        let same = ["A".parse().unwrap(), "a".parse().unwrap()];
        assert!(BranchNames::new(&same).is_err());
    }
}
