//! Packages, as readers see them and as they become due. A refresh changes them by [`super::package_leases`] and
//! [`super::package_updates`].

use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;
use badgesmith_domain::key::{self, DueShard};
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::Versions;

use super::package_content::{to_validators, to_versions};
use super::package_item::{DUE_PK, DUE_SK, UNCONFIRMED_LIFETIME, item_key, to_record};
use super::{Consistency, Item, PK, SK, StoreError, get_item, is_expired, required, string, text};
use crate::sdk::AwsError;

const DUE_INDEX: &str = "GSI1";
/// Due packages that one query of the index returns at most.
const DUE_PAGE: i32 = 500;

/// The table of packages.
#[derive(Debug, Clone)]
pub struct Packages {
    pub(super) client: Client,
    pub(super) table: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePackage {
    pub package: Package,
    /// When it became due.
    pub since: Timestamp,
}

/// Some packages that are due, the longest overdue first.
#[derive(Debug, Default)]
pub struct DuePage {
    pub packages: Vec<DuePackage>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<DuePosition>,
}

/// A position among the due packages of one shard.
#[derive(Debug, Clone)]
pub struct DuePosition(Item);

impl Packages {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// What is known of a package, without its versions: one item, read eventually consistent.
    ///
    /// # Errors
    /// [`StoreError`] when DynamoDB fails, or the item is corrupt.
    pub async fn find(&self, package: &Package, now: Timestamp) -> Result<Option<PackageRecord>, StoreError> {
        let key = item_key(package, key::META);
        match get_item(&self.client, &self.table, key, Consistency::Eventual).await? {
            Some(item) if !is_expired(&item, now) => to_record(package, &item).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// What is known of a package, with its versions: one query, eventually consistent.
    ///
    /// # Errors
    /// [`StoreError`] when DynamoDB fails, or an item is corrupt.
    pub async fn find_with_versions(
        &self,
        package: &Package,
        now: Timestamp,
    ) -> Result<Option<(PackageRecord, Versions)>, StoreError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", string(key::package_partition(package)))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:Query", error))?;
        let item = |sort: &str| output.items().iter().find(|item| text(item, SK) == Some(sort));
        let Some(meta) = item(key::META).filter(|item| !is_expired(item, now)) else { return Ok(None) };
        let record = to_record(package, meta)?;
        let to_versions = |item| to_versions(package.provider().scheme(), item);
        let versions = item(key::VERSIONS).map(to_versions).transpose()?.unwrap_or_default();
        Ok(Some((record, versions)))
    }

    /// The packages of `shard` that are due at `now`, the longest overdue first. Leaves out corrupt items, and names
    /// that no upstream has confirmed within 24 hours, which have expired.
    ///
    /// # Errors
    /// [`StoreError`] when DynamoDB fails.
    pub async fn due(
        &self,
        shard: DueShard,
        now: Timestamp,
        from: Option<DuePosition>,
    ) -> Result<DuePage, StoreError> {
        let oldest = match shard {
            DueShard::Known(_) => Timestamp::from_unix_milliseconds(i64::MIN),
            DueShard::Unconfirmed | DueShard::Waiting => now.minus(UNCONFIRMED_LIFETIME),
        };
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(DUE_INDEX)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :now")
            .expression_attribute_names("#pk", DUE_PK)
            .expression_attribute_names("#sk", DUE_SK)
            .expression_attribute_values(":pk", string(shard.partition()))
            .expression_attribute_values(":from", string(oldest.to_string()))
            .expression_attribute_values(":now", string(now.to_string()))
            .limit(DUE_PAGE)
            .set_exclusive_start_key(from.map(|DuePosition(key)| key))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:Query", error))?;
        let packages = output.items().iter().filter_map(|item| {
            to_due_package(item)
                .inspect_err(|error| tracing::error!(%error, "skipped a corrupt item among the due packages"))
                .ok()
        });
        Ok(DuePage { packages: packages.collect(), next: output.last_evaluated_key.map(DuePosition) })
    }

    /// The validators to make the next requests upstream conditional with. None if there are none, or if they are
    /// corrupt: the next refresh then reads and writes everything. The read is strongly consistent, because the holder
    /// of a lease decides by it what to write.
    ///
    /// # Errors
    /// [`StoreError`] when DynamoDB fails.
    pub async fn validators(&self, package: &Package) -> Result<Validators, StoreError> {
        let key = item_key(package, key::UPSTREAM);
        let item = get_item(&self.client, &self.table, key, Consistency::Strong).await?;
        Ok(item.and_then(|item| unless_corrupt(package, to_validators(&item))).unwrap_or_default())
    }

    /// The stored versions of a package; `None` when there are none, or when they are corrupt. The read is strongly
    /// consistent, like that of the validators.
    ///
    /// # Errors
    /// [`StoreError`] when DynamoDB fails.
    pub async fn versions(&self, package: &Package) -> Result<Option<Versions>, StoreError> {
        let key = item_key(package, key::VERSIONS);
        let item = get_item(&self.client, &self.table, key, Consistency::Strong).await?;
        Ok(item.and_then(|item| unless_corrupt(package, to_versions(package.provider().scheme(), &item))))
    }
}

fn to_due_package(item: &Item) -> Result<DuePackage, StoreError> {
    let package = text(item, PK).and_then(key::package_of);
    let package = package.ok_or_else(|| StoreError::corrupt(item, "the partition key names no package"))?;
    Ok(DuePackage { package, since: required(item, DUE_SK)? })
}

fn unless_corrupt<T>(package: &Package, content: Result<T, StoreError>) -> Option<T> {
    content.inspect_err(|error| tracing::error!(%package, %error, "failed to read stored content")).ok()
}
