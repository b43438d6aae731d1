//! Reads the history of a repository page by page.

use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::key::{self, ResultOrder, ResultRange};
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;

use super::results::Results;
use super::{Item, PK, PagePosition, SK, StoreError, item_key, result_item, string};
use crate::sdk::AwsError;

/// A query of a repository's history.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    pub repository: Repository,
    /// One platform; `None` for all.
    pub platform: Option<Platform>,
    /// One branch; `None` for all.
    pub branch: Option<BranchHistory>,
    /// The maximum number of results on a page.
    pub limit: usize,
    /// The end of the previous page.
    pub after: Option<PagePosition>,
}

/// The results of one branch, from a time (inclusive) to a time (exclusive).
#[derive(Debug, Clone)]
pub struct BranchHistory {
    pub branch: Branch,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// One page of results, and the position of the next.
#[derive(Debug)]
pub struct HistoryPage {
    pub results: Vec<TestResult>,
    /// `None` on the last page.
    pub next: Option<PagePosition>,
}

impl Results {
    /// One page of a repository's history.
    ///
    /// With a branch, the results are sorted newest first, across platforms. Without a branch, they are grouped by
    /// platform and branch, and sorted newest first within a group. `None` if `query.after` is not a position in
    /// the results of the query.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item is corrupt.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Option<HistoryPage>, StoreError> {
        let partition = key::results_partition(&query.repository);
        // One more than the limit shows whether there is another page.
        let count_max = query.limit + 1;
        let Some(ranges) = ranges(query) else { return Ok(None) };
        let mut found = Vec::new();
        for range in ranges {
            found.extend(self.newest_first(&partition, &range, count_max).await?);
        }
        if query.branch.is_some() {
            found.sort_by_cached_key(|result| std::cmp::Reverse(ResultOrder::of(result)));
        }
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| more).map(|last| position_of(query, last));
        Ok(Some(HistoryPage { results: found, next }))
    }

    /// The newest results of a platform and branch, newest first: one query, which reads 1 MB at most. `true` if there
    /// may be older ones.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item is corrupt.
    pub async fn newest(
        &self,
        repository: &Repository,
        platform: Platform,
        branch: &Branch,
        count_max: usize,
    ) -> Result<(Vec<TestResult>, bool), StoreError> {
        let partition = key::results_partition(repository);
        let (first, last) = ResultRange::Branch(platform, branch).range();
        let range = KeyRange { first, last, after: None };
        let (results, next) = self.query(&partition, &range, None, count_max).await?;
        Ok((results, next.is_some()))
    }

    /// At most `count_max` results of a range, newest first.
    async fn newest_first(
        &self,
        partition: &str,
        range: &KeyRange,
        count_max: usize,
    ) -> Result<Vec<TestResult>, StoreError> {
        let mut results = Vec::new();
        let mut start = range.after.as_ref().map(|sort| item_key(partition, sort));
        // DynamoDB ends a page after 1 MB, even if it holds fewer results than the limit.
        loop {
            let (found, next) = self.query(partition, range, start, count_max - results.len()).await?;
            results.extend(found);
            start = next;
            if start.is_none() || results.len() >= count_max {
                return Ok(results);
            }
        }
    }

    /// The results of one query, and where the next one starts.
    async fn query(
        &self,
        partition: &str,
        range: &KeyRange,
        start: Option<Item>,
        count_max: usize,
    ) -> Result<(Vec<TestResult>, Option<Item>), StoreError> {
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
            .limit(i32::try_from(count_max).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:Query", error))?;
        let results = output.items().iter().map(result_item::to_result).collect::<Result<_, _>>()?;
        Ok((results, output.last_evaluated_key))
    }
}

/// Sort keys from `first` to `last`, both inclusive. They are read backwards, starting before `after`.
struct KeyRange {
    first: String,
    last: String,
    after: Option<String>,
}

impl KeyRange {
    /// `None` if `after` is not in the range.
    fn new((first, last): (String, String), after: Option<String>) -> Option<Self> {
        let inside = after
            .as_ref()
            .is_none_or(|after| *after > first && *after < last && after.len() <= key::SORT_KEY_BYTES_MAX);
        inside.then_some(Self { first, last, after })
    }
}

/// The key ranges that together hold the results of `query`; `None` if its position is not in all of them.
fn ranges(query: &HistoryQuery) -> Option<Vec<KeyRange>> {
    let after = query.after.as_ref().map(PagePosition::as_str);
    let Some(BranchHistory { branch, from, to }) = &query.branch else {
        let range = query.platform.map_or(ResultRange::All, ResultRange::Platform);
        return Some(vec![KeyRange::new(range.range(), after.map(str::to_owned))?]);
    };
    if from.zip(*to).is_some_and(|(from, to)| from >= to) {
        return Some(Vec::new());
    }
    // A position from a query without a branch is not an order.
    let after = after.map(str::parse::<ResultOrder>).transpose().ok()?;
    let platforms = query.platform.map_or(Platform::ALL.to_vec(), |platform| vec![platform]);
    platforms
        .into_iter()
        .map(|platform| {
            let range = ResultRange::Branch(platform, branch);
            let after = after.as_ref().map(|order| format!("{}{order}", range.prefix()));
            KeyRange::new(range.time_range(*from, *to), after)
        })
        .collect()
}

/// The position of `last`. It is an order if the query has a branch, since the sort keys of different platforms
/// have different prefixes. Otherwise it is a sort key.
fn position_of(query: &HistoryQuery, last: &TestResult) -> PagePosition {
    let order = ResultOrder::of(last);
    PagePosition(match query.branch {
        Some(_) => order.to_string(),
        None => key::result_sort(last.run.platform, &last.run.branch, &order),
    })
}
