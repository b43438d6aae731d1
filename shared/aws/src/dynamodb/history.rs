//! The history of a repository: which keys a query covers, and reading them page by page.

use super::results::{Results, from_item};
use super::{Item, PK, SK, string};
use crate::sdk::AwsError;
use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::key::{self, ResultOrder, ResultRange};
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;

/// What of a repository's history is wanted.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// Whose results.
    pub repository: Repository,
    /// Of one platform, or all.
    pub platform: Option<Platform>,
    /// Of one branch, with when, or all.
    pub branch: Option<BranchHistory>,
    /// At most this many results.
    pub limit: usize,
    /// Where the page before this one ended.
    pub after: Option<HistoryPosition>,
}

/// One branch's results of a period.
#[derive(Debug, Clone)]
pub struct BranchHistory {
    /// The branch.
    pub branch: Branch,
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Before this.
    pub to: Option<Timestamp>,
}

/// The place of the last result of a page, opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPosition(String);

impl HistoryPosition {
    /// Reads what [`HistoryPosition::as_str`] gave out.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The position as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Some results, and where to go on.
#[derive(Debug)]
pub struct HistoryPage {
    /// In the order that was asked for.
    pub results: Vec<TestResult>,
    /// Absent at the end.
    pub next: Option<HistoryPosition>,
}

impl Results {
    /// One page of a repository's history.
    ///
    /// With a branch: newest first, the platforms merged. Without: grouped by platform and branch, newest
    /// first inside a group.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked, or an item is none of ours. `None` when
    /// `query.after` is no position in what the query asks for.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Option<HistoryPage>, AwsError> {
        let partition = key::results_partition(&query.repository);
        // One more than wanted tells whether there is another page.
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
    ) -> Result<Vec<TestResult>, AwsError> {
        let mut results = Vec::new();
        let mut start = range
            .after
            .as_ref()
            .map(|sort| Item::from([(PK.to_owned(), string(partition)), (SK.to_owned(), string(sort))]));
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
                results.push(from_item(item)?);
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
    /// `None` when `after` is no key, or none of the range.
    fn new((first, last): (String, String), after: Option<String>) -> Option<Self> {
        let inside = after
            .as_ref()
            .is_none_or(|after| *after > first && *after < last && after.len() <= key::SORT_KEY_BYTES_MAX);
        inside.then_some(Self { first, last, after })
    }
}

/// The ranges of keys that together hold what `query` asks for; `None` when its position is in none.
fn ranges(query: &HistoryQuery) -> Option<Vec<KeyRange>> {
    let after = query.after.as_ref().map(HistoryPosition::as_str);
    let Some(BranchHistory { branch, from, to }) = &query.branch else {
        let group = query.platform.map_or(ResultRange::All, ResultRange::Platform);
        return Some(vec![KeyRange::new(group.range(), after.map(str::to_owned))?]);
    };
    if from.zip(*to).is_some_and(|(from, to)| from >= to) {
        return Some(Vec::new());
    }
    // Not every text is a place among the results of a branch: one of another query is not.
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

/// Where the page that ends with `last` ends: in one range a sort key; across platforms, whose ranges
/// differ in their prefix, an order.
fn position_of(query: &HistoryQuery, last: &TestResult) -> HistoryPosition {
    let order = ResultOrder::of(last);
    HistoryPosition(match query.branch {
        Some(_) => order.to_string(),
        None => key::result_sort(last.platform, &last.branch, &order),
    })
}
