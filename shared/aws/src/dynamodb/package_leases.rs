//! Refreshing a package: one at a time, by whoever holds its lease.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use uuid::Uuid;

use super::packages::{self, Packages, UNREAD_LIFETIME};
use super::{Item, TTL, is_expired, number, string};
use crate::sdk::AwsError;
use badgesmith_domain::key;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{Known, PackageRecord, PackageState, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::Versions;

/// Names the run that refreshes the package. Stays when the lease is over, so that a write that is sent
/// again, because its answer was lost, finds it.
const LEASE_TOKEN: &str = "lease_token";
/// Until when that run may be at work, in milliseconds since the Unix epoch.
const LEASE_UNTIL: &str = "lease_until";

/// A request for a name never seen counts as one of this age if it is older.
const REQUEST_AGE_MAX: Duration = Duration::from_hours(1);

/// The right to refresh a package, for a while.
#[derive(Debug)]
pub struct Lease {
    /// Which.
    pub package: Package,
    /// What is known of it.
    pub record: PackageRecord,
    token: String,
}

/// What came of asking for a lease.
#[derive(Debug)]
pub enum LeaseOutcome {
    /// It is ours to refresh.
    Leased(Lease),
    /// It is fresh, or somebody else is at work on it.
    NotDue,
    /// Nothing is known under that name.
    Unknown,
}

/// What becomes of a package's versions and validators.
#[derive(Debug)]
pub enum Content {
    /// Nothing.
    Kept,
    /// Its upstream says the same with other validators.
    Revalidated(Validators),
    /// Both are new.
    Replaced(Versions, Validators),
    /// Both are deleted.
    Removed,
}

impl Packages {
    /// A run holds its lease for this long; must exceed the time that a run spends on one package.
    pub const LEASE: Duration = Duration::from_mins(2);

    /// Takes the lease of a package that is due: one conditional write. A read at `requested_at` is noted.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked, or the item is none of ours.
    pub async fn lease_due(
        &self,
        package: &Package,
        requested_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<LeaseOutcome, AwsError> {
        self.lease_due_by(package, requested_at, now, now).await
    }

    /// Takes the lease of a package whether it is due or not; it is [`LeaseOutcome::NotDue`] while another has it.
    ///
    /// # Errors
    /// As [`Self::lease_due`].
    pub async fn lease_now(
        &self,
        package: &Package,
        requested_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<LeaseOutcome, AwsError> {
        self.lease_due_by(package, requested_at, Timestamp::LAST, now).await
    }

    /// Takes the lease of a package that is due by `due`.
    async fn lease_due_by(
        &self,
        package: &Package,
        requested_at: Option<Timestamp>,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<LeaseOutcome, AwsError> {
        let token = Uuid::new_v4().to_string();
        let mut change = Change::default();
        change.set(LEASE_TOKEN, string(&token));
        change.set(LEASE_UNTIL, number(now.plus(Self::LEASE).unix_milliseconds()));
        if let Some(requested_at) = requested_at {
            change.set(packages::LAST_REQUESTED_AT, string(requested_at.to_string()));
        }
        let result = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item_key(package, key::META)))
            .update_expression(change.expression())
            .condition_expression(
                "#lease_token = :lease_token OR (attribute_exists(PK) AND refresh_after <= :due \
                 AND #lease_until <= :milliseconds AND (attribute_not_exists(#ttl) OR #ttl > :seconds))",
            )
            .set_expression_attribute_names(Some(change.names))
            .expression_attribute_names("#ttl", TTL)
            .set_expression_attribute_values(Some(change.values))
            .expression_attribute_values(":due", string(due.to_string()))
            .expression_attribute_values(":milliseconds", number(now.unix_milliseconds()))
            .expression_attribute_values(":seconds", number(now.unix_seconds()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(output) => {
                let record = packages::to_record(&output.attributes.unwrap_or_default())?;
                Ok(LeaseOutcome::Leased(Lease { package: package.clone(), record, token }))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    let known = refused.item().is_some_and(|item| !is_expired(item, now));
                    Ok(if known { LeaseOutcome::NotDue } else { LeaseOutcome::Unknown })
                }
                _ => Err(AwsError::new("dynamodb:UpdateItem", error)),
            },
        }
    }

    /// Takes the lease of a name that nothing is known of, and makes it known: one conditional write. One that
    /// is known after all is leased as any other.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked, or the item is none of ours.
    pub async fn lease_or_create(
        &self,
        package: &Package,
        requested_at: Timestamp,
        now: Timestamp,
    ) -> Result<LeaseOutcome, AwsError> {
        let token = Uuid::new_v4().to_string();
        let until = now.plus(Self::LEASE);
        // A request may have waited for days, and what it makes known is not to be forgotten at once.
        let requested_at = requested_at.max(now.minus(REQUEST_AGE_MAX));
        // On the schedule at once: should this run die, another looks after it when the lease is over.
        let state = PackageState::Unconfirmed;
        let record =
            PackageRecord { state, refresh_after: until, last_requested_at: requested_at, failures: 0 };
        let attributes = packages::attributes(package, &record, now).into_iter();
        let mut item = item_key(package, key::META);
        item.extend(attributes.filter_map(|(name, value)| Some((name.to_owned(), value?))));
        item.insert(packages::LAST_REQUESTED_AT.to_owned(), string(requested_at.to_string()));
        item.insert(LEASE_TOKEN.to_owned(), string(&token));
        item.insert(LEASE_UNTIL.to_owned(), number(until.unix_milliseconds()));
        let result = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(PK) OR #ttl <= :seconds OR #token = :token")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#token", LEASE_TOKEN)
            .expression_attribute_values(":seconds", number(now.unix_seconds()))
            .expression_attribute_values(":token", string(&token))
            .send()
            .await;
        match result {
            Ok(_) => Ok(LeaseOutcome::Leased(Lease { package: package.clone(), record, token })),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => {
                    self.lease_due(package, Some(requested_at), now).await
                }
                _ => Err(AwsError::new("dynamodb:PutItem", error)),
            },
        }
    }

    /// Notes that a package is still read; an unknown one stays unknown.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked.
    pub async fn note_read(&self, package: &Package, requested_at: Timestamp) -> Result<(), AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item_key(package, key::META)))
            .update_expression("SET last_requested_at = :requested")
            .condition_expression("attribute_exists(PK) AND last_requested_at < :requested")
            .expression_attribute_values(":requested", string(requested_at.to_string()))
            .send()
            .await;
        is_written(result).map(|_| ())
    }

    /// What the upstream of a package has to be asked with; nothing when it was never asked, or that cannot be
    /// read.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked.
    pub async fn validators(&self, package: &Package) -> Result<Validators, AwsError> {
        let item = self.content_item(package, key::UPSTREAM).await?;
        Ok(item.and_then(|item| readable(package, packages::to_validators(&item))).unwrap_or_default())
    }

    /// The versions of a package, as they were last written; `None` when there are none, or they cannot be read.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked.
    pub async fn versions(&self, package: &Package) -> Result<Option<Versions>, AwsError> {
        let item = self.content_item(package, key::VERSIONS).await?;
        Ok(item.and_then(|item| readable(package, packages::to_versions(&item))))
    }

    async fn content_item(&self, package: &Package, sort: &str) -> Result<Option<Item>, AwsError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item_key(package, sort)))
            // What is decided by it is written on condition of a lease: it must be the newest.
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:GetItem", error))?;
        Ok(output.item)
    }

    /// Writes what came of a refresh, all of it or nothing, and ends the lease. `false` when the lease was
    /// lost to another run, whose result counts.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it; it may be written all the same.
    pub async fn complete(
        &self,
        lease: &Lease,
        record: &PackageRecord,
        content: &Content,
        now: Timestamp,
    ) -> Result<bool, AwsError> {
        let meta = self.meta_update(lease, record, now)?;
        let mut writes = Vec::new();
        match content {
            // What is off the schedule is forgotten as a whole.
            Content::Kept if matches!(&record.state, PackageState::Known(known) if !known.scheduled) => {
                writes.extend(self.content_lifetimes(lease, record)?);
            }
            Content::Kept => {}
            Content::Revalidated(validators) => {
                writes.push(self.put(lease, key::UPSTREAM, packages::validators_content(validators)?)?);
            }
            Content::Replaced(versions, validators) => {
                writes.push(self.put(lease, key::VERSIONS, packages::versions_content(versions)?)?);
                writes.push(self.put(lease, key::UPSTREAM, packages::validators_content(validators)?)?);
            }
            Content::Removed => {
                writes.push(self.delete(lease, key::VERSIONS)?);
                writes.push(self.delete(lease, key::UPSTREAM)?);
            }
        }
        if !writes.is_empty() {
            writes.push(TransactWriteItem::builder().update(meta).build());
            return self.transact(writes).await;
        }
        let result = self
            .client
            .update_item()
            .table_name(meta.table_name)
            .set_key(Some(meta.key))
            .update_expression(meta.update_expression)
            .set_condition_expression(meta.condition_expression)
            .set_expression_attribute_names(meta.expression_attribute_names)
            .set_expression_attribute_values(meta.expression_attribute_values)
            .send()
            .await;
        is_written(result)
    }

    /// Takes a package that nobody reads off the schedule. What is public of it is kept for a while, for who
    /// reads it after all. What is not is deleted: nobody would notice that its consent is withdrawn.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it; it may be written all the same.
    pub async fn unschedule(&self, lease: &Lease, known: &Known, now: Timestamp) -> Result<bool, AwsError> {
        let mut writes = Vec::new();
        if known.private {
            for sort in [key::META, key::VERSIONS, key::UPSTREAM] {
                writes.push(self.delete(lease, sort)?);
            }
        } else {
            let state = PackageState::Known(Known { scheduled: false, ..known.clone() });
            let record = PackageRecord { state, ..lease.record.clone() };
            let meta = self.meta_update(lease, &record, now)?;
            writes.push(TransactWriteItem::builder().update(meta).build());
            writes.extend(self.content_lifetimes(lease, &record)?);
        }
        self.transact(writes).await
    }

    /// The updates that give the versions and validators of a package the lifetime of what nobody reads.
    fn content_lifetimes(
        &self,
        lease: &Lease,
        record: &PackageRecord,
    ) -> Result<Vec<TransactWriteItem>, AwsError> {
        let update = |sort| {
            let mut change = Change::default();
            change.set(TTL, number(record.last_requested_at.plus(UNREAD_LIFETIME).unix_seconds()));
            let update = self.update(&lease.package, sort, change, None)?;
            Ok(TransactWriteItem::builder().update(update).build())
        };
        [key::VERSIONS, key::UPSTREAM].into_iter().map(update).collect()
    }

    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<bool, AwsError> {
        let result = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        match result {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(AwsError::new("dynamodb:TransactWriteItems", error)),
        }
    }

    /// The update that makes META what `record` says and ends the lease, on condition that it is still held.
    fn meta_update(&self, lease: &Lease, record: &PackageRecord, now: Timestamp) -> Result<Update, AwsError> {
        let mut change = Change::default();
        for (name, value) in packages::attributes(&lease.package, record, now) {
            change.set_or_remove(name, value);
        }
        change.set(LEASE_UNTIL, number(0));
        change.names.insert(format!("#{LEASE_TOKEN}"), LEASE_TOKEN.to_owned());
        change.values.insert(format!(":{LEASE_TOKEN}"), string(&lease.token));
        self.update(&lease.package, key::META, change, Some(HOLDS_LEASE))
    }

    fn update(
        &self,
        package: &Package,
        sort: &str,
        change: Change,
        condition: Option<&str>,
    ) -> Result<Update, AwsError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(item_key(package, sort)))
            .update_expression(change.expression())
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(Some(change.names))
            .set_expression_attribute_values(Some(change.values))
            .build()?;
        Ok(update)
    }

    fn put(&self, lease: &Lease, sort: &str, content: AttributeValue) -> Result<TransactWriteItem, AwsError> {
        let mut item = item_key(&lease.package, sort);
        item.insert(packages::CONTENT.to_owned(), content);
        let put = Put::builder().table_name(&self.table).set_item(Some(item)).build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn delete(&self, lease: &Lease, sort: &str) -> Result<TransactWriteItem, AwsError> {
        let mut delete =
            Delete::builder().table_name(&self.table).set_key(Some(item_key(&lease.package, sort)));
        if sort == key::META {
            delete = delete
                .condition_expression(HOLDS_LEASE)
                .expression_attribute_names(format!("#{LEASE_TOKEN}"), LEASE_TOKEN)
                .expression_attribute_values(format!(":{LEASE_TOKEN}"), string(&lease.token));
        }
        Ok(TransactWriteItem::builder().delete(delete.build()?).build())
    }
}

/// What cannot be read is written anew by the next refresh.
fn readable<T>(package: &Package, content: Result<T, AwsError>) -> Option<T> {
    content.inspect_err(|error| tracing::error!(%package, %error, "what is stored cannot be read")).ok()
}

/// Of a write to META: nobody else has taken the lease since.
const HOLDS_LEASE: &str = "#lease_token = :lease_token";

/// Whether an update was written; it was not if its condition does not hold.
fn is_written(result: Result<UpdateItemOutput, SdkError<UpdateItemError>>) -> Result<bool, AwsError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(AwsError::new("dynamodb:UpdateItem", error)),
        },
    }
}

/// Whether a transaction was refused because one of its conditions does not hold.
fn is_refused(error: &SdkError<TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error()
    else {
        return false;
    };
    canceled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

fn item_key(package: &Package, sort: &str) -> Item {
    super::item_key(&key::package_partition(package), sort)
}

/// An update expression in the making. Each attribute's placeholders are its name behind `#` and `:`.
#[derive(Default)]
struct Change {
    set: Vec<String>,
    remove: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl Change {
    fn set(&mut self, name: &str, value: AttributeValue) {
        self.set.push(format!("#{name} = :{name}"));
        self.names.insert(format!("#{name}"), name.to_owned());
        self.values.insert(format!(":{name}"), value);
    }

    /// Sets an attribute, or removes it.
    fn set_or_remove(&mut self, name: &str, value: Option<AttributeValue>) {
        if let Some(value) = value {
            self.set(name, value);
        } else {
            self.remove.push(format!("#{name}"));
            self.names.insert(format!("#{name}"), name.to_owned());
        }
    }

    fn expression(&self) -> String {
        let mut expression = format!("SET {}", self.set.join(", "));
        if !self.remove.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&self.remove.join(", "));
        }
        expression
    }
}
