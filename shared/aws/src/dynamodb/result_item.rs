//! The item of a test result.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use badgesmith_domain::key::{self, ResultOrder};
use badgesmith_domain::slots::{self, Slot};
use badgesmith_domain::test_result::{Counts, FailedTest, Outcome, RunAttempt, TestResult, TestRun};
use badgesmith_domain::timestamp::Timestamp;

use super::{Item, PK, SK, StoreError, TTL, corrupt, integer, number, optional, required, string};

/// The keys of the index of slots by branch.
pub(super) const BRANCH_PK: &str = "GSI1PK";
const BRANCH_SK: &str = "GSI1SK";

const ID: &str = "TestResultId";
const OWNER: &str = "Owner";
const REPO: &str = "Repo";
const PLATFORM: &str = "Platform";
const BRANCH: &str = "Branch";
const PASSED: &str = "Passed";
const FAILED: &str = "Failed";
const SKIPPED: &str = "Skipped";
const TOTAL: &str = "Total";
const TIMESTAMP: &str = "Timestamp";
const RUN_ID: &str = "RunId";
const RUN_ATTEMPT: &str = "RunAttempt";
const COMMIT: &str = "Commit";
const URL_HTML: &str = "UrlHtml";
const WORKFLOW_RUN_URL: &str = "WorkflowRunUrl";

const SUITE: &str = "Suite";
const CONCLUSION: &str = "Conclusion";
const RETIRED: &str = "Retired";
const DEFAULT_BRANCH: &str = "DefaultBranch";
const FAILURES: &str = "Failures";
/// The order of a slot, which decides whether a result replaces it.
pub(super) const ORDER: &str = "Order";

/// How long results are kept after their timestamp.
pub const LIFETIME: Duration = Duration::from_hours(2 * 365 * 24);
/// How long a retired slot is kept, so that an older result that arrives late does not bring it back.
const RETIRED_SLOT_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// The partition and sort key of an item.
pub(super) type ItemKey = (String, String);

/// The item of a result in the history, and its key. They depend only on the result, so writing it again changes
/// nothing.
pub(super) fn history_item(result: &TestResult) -> (ItemKey, Item) {
    let TestRun { repository, platform, branch, timestamp, failures, .. } = &result.run;
    let sort = key::result_sort(*platform, branch, &ResultOrder::of(result));
    let key = (key::results_partition(repository), sort);
    let mut item = item(&key, result);
    item.insert(TTL.to_owned(), number(timestamp.plus(LIFETIME).unix_seconds()));
    if !failures.is_empty() {
        let names = failures.iter().map(|name| string(name.as_str())).collect();
        item.insert(FAILURES.to_owned(), AttributeValue::L(names));
    }
    (key, item)
}

pub(super) fn slot_key(result: &TestResult) -> ItemKey {
    let TestRun { repository, platform, branch, suite, .. } = &result.run;
    (key::slots_partition(repository), key::slot_sort(branch, *platform, suite.as_ref()))
}

/// The item of the slot of `result`. The index leaves out retired slots.
pub(super) fn slot_item(result: &TestResult) -> Item {
    let TestRun { repository, branch, outcome, timestamp, .. } = &result.run;
    let order = ResultOrder::of(result).to_string();
    let mut item = item(&slot_key(result), result);
    let expires = if outcome.is_retired() {
        timestamp.plus(RETIRED_SLOT_LIFETIME)
    } else {
        item.insert(BRANCH_PK.to_owned(), string(key::branch_partition(repository, branch)));
        item.insert(BRANCH_SK.to_owned(), string(&order));
        slots::shown_until(&result.run).plus(slots::STORED_AFTER_SHOWN)
    };
    item.insert(TTL.to_owned(), number(expires.unix_seconds()));
    item.insert(ORDER.to_owned(), string(order));
    item
}

/// The attributes that the history and a slot have in common.
fn item((partition, sort): &ItemKey, result: &TestResult) -> Item {
    let TestResult { id, run } = result;
    let TestRun { repository, platform, branch, outcome, timestamp, .. } = run;
    let counts = outcome.counts();
    let attributes = [
        (PK, string(partition)),
        (SK, string(sort)),
        (ID, string(id.to_string())),
        (OWNER, string(repository.owner.as_str())),
        (REPO, string(repository.repo.as_str())),
        (PLATFORM, string(platform.as_str())),
        (BRANCH, string(branch.as_str())),
        (PASSED, number(counts.passed().into())),
        (FAILED, number(counts.failed().into())),
        (SKIPPED, number(counts.skipped().into())),
        (TOTAL, number(counts.total().into())),
        (TIMESTAMP, string(timestamp.to_string())),
        (RUN_ID, string(run.run_id.as_str())),
        (RUN_ATTEMPT, number(run.run_attempt.get().into())),
    ];
    let optional = [
        (SUITE, run.suite.as_ref().map(|suite| string(suite.as_str()))),
        (CONCLUSION, outcome.conclusion().map(|conclusion| string(conclusion.as_str()))),
        (RETIRED, outcome.is_retired().then_some(AttributeValue::Bool(true))),
        (COMMIT, run.commit.as_ref().map(|commit| string(commit.as_str()))),
        (URL_HTML, run.url_html.as_ref().map(|url| string(url.as_str()))),
        (WORKFLOW_RUN_URL, run.workflow_run_url.as_ref().map(|url| string(url.as_str()))),
        (DEFAULT_BRANCH, run.default_branch.as_ref().map(|branch| string(branch.as_str()))),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    attributes.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Parses an item.
///
/// # Errors
/// [`StoreError::CorruptItem`] names the first attribute that is missing or invalid.
pub(super) fn to_result(item: &Item) -> Result<TestResult, StoreError> {
    let run = TestRun {
        repository: format!("{}/{}", required::<String>(item, OWNER)?, required::<String>(item, REPO)?)
            .parse()
            .map_err(|_| corrupt(item, REPO))?,
        platform: required(item, PLATFORM)?,
        branch: required(item, BRANCH)?,
        suite: optional(item, SUITE)?,
        outcome: outcome(item)?,
        timestamp: required(item, TIMESTAMP)?,
        run_id: required(item, RUN_ID)?,
        run_attempt: match item.get(RUN_ATTEMPT) {
            None => RunAttempt::default(),
            Some(_) => integer(item, RUN_ATTEMPT)
                .and_then(|attempt| u64::try_from(attempt).ok()?.try_into().ok())
                .ok_or_else(|| corrupt(item, RUN_ATTEMPT))?,
        },
        commit: optional(item, COMMIT)?,
        url_html: optional(item, URL_HTML)?,
        workflow_run_url: optional(item, WORKFLOW_RUN_URL)?,
        default_branch: optional(item, DEFAULT_BRANCH)?,
        failures: failures(item)?,
    };
    Ok(TestResult { id: required(item, ID)?, run })
}

/// Parses a slot from the index, which has only what a badge and its link need.
///
/// # Errors
/// [`StoreError::CorruptItem`] names the first attribute that is missing or invalid.
pub(super) fn to_slot(item: &Item) -> Result<Slot, StoreError> {
    let outcome = outcome(item)?;
    let link = match optional(item, URL_HTML)? {
        None => optional(item, WORKFLOW_RUN_URL)?,
        link => link,
    };
    let expires = integer(item, TTL).ok_or_else(|| corrupt(item, TTL))?;
    Ok(Slot {
        platform: required(item, PLATFORM)?,
        suite: optional(item, SUITE)?,
        counts: outcome.counts(),
        conclusion: outcome.conclusion().ok_or_else(|| corrupt(item, RETIRED))?,
        timestamp: required(item, TIMESTAMP)?,
        shown_until: Timestamp::from_unix_milliseconds(expires.saturating_mul(1000))
            .minus(slots::STORED_AFTER_SHOWN),
        link,
    })
}

fn outcome(item: &Item) -> Result<Outcome, StoreError> {
    if item.contains_key(RETIRED) {
        return Ok(Outcome::retired());
    }
    let count = |name| {
        integer(item, name).and_then(|count| u32::try_from(count).ok()).ok_or_else(|| corrupt(item, name))
    };
    let counts = Counts::new(count(PASSED)?, count(FAILED)?, count(SKIPPED)?, count(TOTAL)?);
    let counts = counts.map_err(|_| corrupt(item, TOTAL))?;
    Outcome::new(counts, optional(item, CONCLUSION)?).map_err(|_| corrupt(item, CONCLUSION))
}

fn failures(item: &Item) -> Result<Vec<FailedTest>, StoreError> {
    let Some(names) = item.get(FAILURES) else { return Ok(Vec::new()) };
    let parse = |name: &AttributeValue| name.as_s().ok()?.parse().ok();
    let names = names.as_l().ok().and_then(|names| names.iter().map(parse).collect());
    names.ok_or_else(|| corrupt(item, FAILURES))
}

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;

    fn result() -> TestResult {
        serde_json::from_str(
            r#"{"test_result_id":"6f1f0c7e-8a5d-8e0b-9c1a-2b3c4d5e6f70","owner":"acme","repo":"kit","platform":"linux",
                "branch":"feature/x#1","passed":188,"failed":2,"skipped":1,"total":191,"timestamp":"2025-01-15T10:30:00.000Z",
                "run_id":"7","run_attempt":2,"commit":"4d8474b","url_html":"https://ci.test/7",
                "workflow_run_url":"https://ci.test/run/7","suite":"ci / test","conclusion":"failure",
                "default_branch":"main","failures":["a::b"]}"#,
        )
        .unwrap()
    }

    #[test]
    fn items_round_trip() {
        let (key, item) = history_item(&result());
        assert_eq!(to_result(&item).unwrap(), result());
        assert_eq!(key, (text(&item, PK).unwrap().to_owned(), text(&item, SK).unwrap().to_owned()));
        let slot = to_result(&slot_item(&result())).unwrap();
        let run = TestRun { failures: Vec::new(), ..result().run };
        assert_eq!(slot, TestResult { run, ..result() }, "names of failed tests are in the history only");
    }

    #[test]
    fn a_slot_expires_with_its_branch_and_leaves_the_index_when_it_is_retired() {
        let slot = |outcome, default_branch: Option<&str>| {
            let default_branch = default_branch.map(|branch| branch.parse().unwrap());
            let item = slot_item(&TestResult {
                run: TestRun { outcome, default_branch, ..result().run },
                ..result()
            });
            let days = (integer(&item, TTL).unwrap() - result().run.timestamp.unix_seconds()) / 86_400;
            (days, item.contains_key(BRANCH_PK) && item.contains_key(BRANCH_SK))
        };
        let outcome = result().run.outcome;
        assert_eq!(slot(outcome, None), (770, true));
        assert_eq!(slot(outcome, Some("feature/x#1")), (770, true));
        assert_eq!(slot(outcome, Some("main")), (220, true));
        assert_eq!(slot(Outcome::retired(), None), (30, false));
    }

    #[test]
    fn the_attributes_of_an_item_have_these_names() {
        let names = |item: Item| {
            let mut names: Vec<_> = item.into_keys().collect();
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(
            names(history_item(&result()).1),
            "Branch Commit Conclusion DefaultBranch Failed Failures Owner PK Passed Platform Repo RunAttempt RunId SK \
             Skipped Suite TTL TestResultId Timestamp Total UrlHtml WorkflowRunUrl"
        );
        assert_eq!(
            names(slot_item(&result())),
            "Branch Commit Conclusion DefaultBranch Failed GSI1PK GSI1SK Order Owner PK Passed Platform Repo \
             RunAttempt RunId SK Skipped Suite TTL TestResultId Timestamp Total UrlHtml WorkflowRunUrl"
        );
    }

    #[test]
    fn an_item_without_an_attempt_is_the_first_attempt() {
        let (_, mut item) = history_item(&result());
        item.remove(RUN_ATTEMPT);
        assert_eq!(to_result(&item).unwrap().run.run_attempt.get(), 1);
    }

    #[test]
    fn a_corrupt_item_names_the_attribute() {
        let required = [ID, OWNER, REPO, PLATFORM, BRANCH, PASSED, FAILED, SKIPPED, TOTAL, TIMESTAMP, RUN_ID];
        for name in required {
            let (_, mut item) = history_item(&result());
            item.remove(name);
            check(&item, name);
        }
        for (name, bad) in [
            (PLATFORM, string("solaris")),
            (PASSED, string("many")),
            (FAILED, number(-1)),
            (TOTAL, number(5)),
            (RUN_ATTEMPT, number(0)),
            (COMMIT, string("main")),
            (URL_HTML, number(7)),
            (RUN_ATTEMPT, string("2")),
            (CONCLUSION, string("success")),
            (SUITE, string(" ")),
            (FAILURES, string("a::b")),
        ] {
            let (_, mut item) = history_item(&result());
            item.insert(name.to_owned(), bad);
            check(&item, name);
        }
    }

    #[track_caller]
    fn check(item: &Item, attribute: &str) {
        let expected = format!(
            "corrupt item TEST#acme#kit RESULT#linux#feature/x%231#2025-01-15T10:30:00.000Z#{:0>20}.0002#{}: \
             {attribute} is missing or invalid",
            7,
            result().id
        );
        assert_eq!(to_result(item).map_err(|error| error.to_string()), Err(expected));
    }
}
