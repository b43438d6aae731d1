//! The history of a repository: the key ranges of a query, and reading them page by page.

use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::key::{self, ResultOrder, ResultRange};
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;

use super::results::Results;
use super::{PK, SK, StoreError, item_key, result_item, string};
use crate::sdk::AwsError;

/// A query of a repository's history.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    pub repository: Repository,
    /// One platform, or all.
    pub platform: Option<Platform>,
    /// One branch, or all.
    pub branch: Option<BranchHistory>,
    /// The maximum number of results on a page.
    pub limit: usize,
    /// The end of the page before this one.
    pub after: Option<HistoryPosition>,
}

/// The results of one branch, from a time (inclusive) to a time (exclusive).
#[derive(Debug, Clone)]
pub struct BranchHistory {
    pub branch: Branch,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// The position of the last result of a page, opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPosition(String);

impl HistoryPosition {
    /// The position from [`HistoryPosition::as_str`].
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Some results, and the position of the next page.
#[derive(Debug)]
pub struct HistoryPage {
    pub results: Vec<TestResult>,
    /// `None` on the last page.
    pub next: Option<HistoryPosition>,
}

impl Results {
    /// One page of a repository's history.
    ///
    /// With a branch: newest first, the platforms merged. Without: grouped by platform and branch, newest
    /// first inside a group.
    ///
    /// # Errors
    /// [`StoreError`] when DynamoDB fails, or an item is corrupt. `None` when `query.after` is not a position in
    /// the results of the query.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Option<HistoryPage>, StoreError> {
        let partition = key::results_partition(&query.repository);
        // One more than the limit shows whether there is another page.
        let wanted = query.limit + 1;
        let Some(ranges) = ranges(query) else { return Ok(None) };
        let mut found = Vec::new();
        for range in ranges {
            found.extend(self.newest_first(&partition, &range, wanted).await?);
        }
        if query.branch.is_some() {
            found.sort_by_cached_key(|result| std::cmp::Reverse(ResultOrder::of(result)));
        }
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| more).map(|last| position_of(query, last));
        Ok(Some(HistoryPage { results: found, next }))
    }

    /// At most `wanted` results of a range, from its end.
    async fn newest_first(
        &self,
        partition: &str,
        range: &KeyRange,
        wanted: usize,
    ) -> Result<Vec<TestResult>, StoreError> {
        let mut results = Vec::new();
        let mut start = range.after.as_ref().map(|sort| item_key(partition, sort));
        // A page of DynamoDB ends after 1 MB even if it holds fewer results than wanted.
        loop {
            let missing = i32::try_from(wanted - results.len()).unwrap_or(i32::MAX);
            let output = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :first AND :last")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":pk", string(partition))
                .expression_attribute_values(":first", string(&range.first))
                .expression_attribute_values(":last", string(&range.last))
                .scan_index_forward(false)
                .limit(missing)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| AwsError::new("dynamodb:Query", error))?;
            for item in output.items() {
                results.push(result_item::to_result(item)?);
            }
            start = output.last_evaluated_key;
            if start.is_none() || results.len() >= wanted {
                return Ok(results);
            }
        }
    }
}

/// Sort keys from `first` to `last`, both inclusive, read backwards and only what comes before `after`.
struct KeyRange {
    first: String,
    last: String,
    after: Option<String>,
}

impl KeyRange {
    /// `None` when `after` is not a key in the range.
    fn new((first, last): (String, String), after: Option<String>) -> Option<Self> {
        let inside = after
            .as_ref()
            .is_none_or(|after| *after > first && *after < last && after.len() <= key::SORT_KEY_BYTES_MAX);
        inside.then_some(Self { first, last, after })
    }
}

/// The key ranges that together hold the results of `query`; `None` when its position is in none of them.
fn ranges(query: &HistoryQuery) -> Option<Vec<KeyRange>> {
    let after = query.after.as_ref().map(HistoryPosition::as_str);
    let Some(BranchHistory { branch, from, to }) = &query.branch else {
        let group = query.platform.map_or(ResultRange::All, ResultRange::Platform);
        return Some(vec![KeyRange::new(group.range(), after.map(str::to_owned))?]);
    };
    if from.zip(*to).is_some_and(|(from, to)| from >= to) {
        return Some(Vec::new());
    }
    // The position of another kind of query is not an order.
    let after = after.map(str::parse::<ResultOrder>).transpose().ok()?;
    let platforms = query.platform.map_or(Platform::ALL.to_vec(), |platform| vec![platform]);
    platforms
        .into_iter()
        .map(|platform| {
            let group = ResultRange::Branch(platform, branch);
            let after = after.as_ref().map(|order| format!("{}{order}", group.prefix()));
            KeyRange::new(group.range_of_time(*from, *to), after)
        })
        .collect()
}

/// The position of `last`: a sort key within one range; an order across platforms, whose ranges differ in their
/// prefix.
fn position_of(query: &HistoryQuery, last: &TestResult) -> HistoryPosition {
    let order = ResultOrder::of(last);
    HistoryPosition(match query.branch {
        Some(_) => order.to_string(),
        None => key::result_sort(last.run.platform, &last.run.branch, &order),
    })
}
