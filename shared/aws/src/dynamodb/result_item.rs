//! The item of a test result.

use std::str::FromStr;
use std::time::Duration;

use badgesmith_domain::key::{self, ResultOrder};
use badgesmith_domain::test_result::{Counts, RunAttempt, TestResult, TestRun};

use super::{Item, PK, SK, StoreError, TTL, integer, number, string};

/// The keys of the index of the latest results.
pub(super) const LATEST_PK: &str = "GSI1PK";
const LATEST_SK: &str = "GSI1SK";

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

/// How long results are kept: two years from their timestamp.
const LIFETIME: Duration = Duration::from_hours(2 * 365 * 24);

/// The partition and sort key of a result, and its item. They depend only on the result, so writing it again changes
/// nothing.
pub(super) fn from_result(result: &TestResult) -> ((String, String), Item) {
    let TestResult { id, run } = result;
    let TestRun { repository, platform, branch, counts, timestamp, .. } = run;
    let order = ResultOrder::of(result);
    let partition = key::results_partition(repository);
    let sort = key::result_sort(*platform, branch, &order);
    let attributes = [
        (PK, string(&partition)),
        (SK, string(&sort)),
        (LATEST_PK, string(key::latest_partition(repository, *platform, branch))),
        (LATEST_SK, string(order.to_string())),
        (TTL, number(timestamp.plus(LIFETIME).unix_seconds())),
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
        (COMMIT, run.commit.as_ref().map(|commit| string(commit.as_str()))),
        (URL_HTML, run.url_html.as_ref().map(|url| string(url.as_str()))),
        (WORKFLOW_RUN_URL, run.workflow_run_url.as_ref().map(|url| string(url.as_str()))),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let item = attributes.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value)).collect();
    ((partition, sort), item)
}

/// Parses an item.
///
/// # Errors
/// [`StoreError::CorruptItem`] names the first attribute that is missing or invalid.
pub(super) fn to_result(item: &Item) -> Result<TestResult, StoreError> {
    let count = |name| {
        integer(item, name).and_then(|count| u32::try_from(count).ok()).ok_or_else(|| corrupt(item, name))
    };
    let run = TestRun {
        repository: format!("{}/{}", required::<String>(item, OWNER)?, required::<String>(item, REPO)?)
            .parse()
            .map_err(|_| corrupt(item, REPO))?,
        platform: required(item, PLATFORM)?,
        branch: required(item, BRANCH)?,
        counts: Counts::new(count(PASSED)?, count(FAILED)?, count(SKIPPED)?, count(TOTAL)?)
            .map_err(|_| corrupt(item, TOTAL))?,
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
    };
    Ok(TestResult { id: required(item, ID)?, run })
}

fn required<T: FromStr>(item: &Item, name: &'static str) -> Result<T, StoreError> {
    optional(item, name)?.ok_or_else(|| corrupt(item, name))
}

fn optional<T: FromStr>(item: &Item, name: &'static str) -> Result<Option<T>, StoreError> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let parsed = value.as_s().ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| corrupt(item, name))
}

fn corrupt(item: &Item, attribute: &'static str) -> StoreError {
    StoreError::corrupt(item, format!("{attribute} is missing or invalid"))
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
                "workflow_run_url":"https://ci.test/run/7"}"#,
        )
        .unwrap()
    }

    #[test]
    fn an_item_round_trips() {
        let (key, item) = from_result(&result());
        assert_eq!(to_result(&item).unwrap(), result());
        assert_eq!(key, (text(&item, PK).unwrap().to_owned(), text(&item, SK).unwrap().to_owned()));
    }

    #[test]
    fn the_attributes_of_an_item_have_these_names() {
        let (_, item) = from_result(&result());
        let mut names: Vec<_> = item.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names.join(" "),
            "Branch Commit Failed GSI1PK GSI1SK Owner PK Passed Platform Repo RunAttempt RunId SK Skipped TTL \
             TestResultId Timestamp Total UrlHtml WorkflowRunUrl"
        );
    }

    #[test]
    fn an_item_without_an_attempt_is_the_first_attempt() {
        let (_, mut item) = from_result(&result());
        item.remove(RUN_ATTEMPT);
        assert_eq!(to_result(&item).unwrap().run.run_attempt.get(), 1);
    }

    #[test]
    fn a_corrupt_item_names_the_attribute() {
        let required = [ID, OWNER, REPO, PLATFORM, BRANCH, PASSED, FAILED, SKIPPED, TOTAL, TIMESTAMP, RUN_ID];
        for name in required {
            let (_, mut item) = from_result(&result());
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
        ] {
            let (_, mut item) = from_result(&result());
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
