//! Writes to a package: the result of a refresh, the end of its schedule, and that it was read.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use badgesmith_domain::key;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{Known, PackageRecord, PackageState, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::Versions;

use super::package_content::{CONTENT, from_validators, from_versions};
use super::package_item::{self, LAST_REQUESTED_AT, OPTIONAL_ATTRIBUTES, UNREAD_LIFETIME, item_key};
use super::package_leases::{LEASE_TOKEN, LEASE_UNTIL, Lease, unless_refused};
use super::update_expression::UpdateExpression;
use super::{Packages, TTL, number, string};
use crate::sdk::AwsError;

/// The condition of a write to `META`: no other run has taken the lease.
const HOLDS_LEASE: &str = "#LeaseToken = :LeaseToken";

/// How a refresh changes a package's versions and validators.
#[derive(Debug)]
pub enum ContentUpdate {
    Kept,
    /// The versions stay.
    Revalidated(Validators),
    Replaced(Versions, Validators),
    Removed,
}

impl Packages {
    /// Records that a package was read at `requested_at`; ignores an unknown package.
    ///
    /// # Errors
    /// [`AwsError`] when no response confirmed it.
    pub async fn note_read(&self, package: &Package, requested_at: Timestamp) -> Result<(), AwsError> {
        let mut update = UpdateExpression::default();
        update.set(LAST_REQUESTED_AT, string(requested_at.to_string()));
        let result = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item_key(package, key::META)))
            .update_expression(update.expression())
            .condition_expression("attribute_exists(PK) AND #LastRequestedAt < :LastRequestedAt")
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .send()
            .await;
        unless_refused(result).map(|_| ())
    }

    /// Writes the result of a refresh, all of it or nothing, and ends the lease. `false` when another run has taken
    /// the lease; that run's result counts.
    ///
    /// # Errors
    /// [`AwsError`] when no response confirmed it; it may be written all the same.
    pub async fn complete(
        &self,
        lease: &Lease,
        record: &PackageRecord,
        content: &ContentUpdate,
        now: Timestamp,
    ) -> Result<bool, AwsError> {
        let meta = self.meta_update(lease, record, now)?;
        let mut writes = Vec::new();
        match content {
            // The items of a package that is off the schedule expire together.
            ContentUpdate::Kept if matches!(&record.state, PackageState::Known(known) if !known.is_scheduled) =>
            {
                writes.extend(self.content_lifetimes(lease, record)?);
            }
            ContentUpdate::Kept => {}
            ContentUpdate::Revalidated(validators) => {
                writes.push(self.put(lease, key::UPSTREAM, from_validators(validators)?)?);
            }
            ContentUpdate::Replaced(versions, validators) => {
                writes.push(self.put(lease, key::VERSIONS, from_versions(versions)?)?);
                writes.push(self.put(lease, key::UPSTREAM, from_validators(validators)?)?);
            }
            ContentUpdate::Removed => {
                writes.push(self.delete(lease, key::VERSIONS)?);
                writes.push(self.delete(lease, key::UPSTREAM)?);
            }
        }
        if writes.is_empty() {
            return self.update_alone(meta).await;
        }
        writes.push(TransactWriteItem::builder().update(meta).build());
        self.transact(writes).await
    }

    /// Takes a package off the schedule, and ends the lease. Public data stays for 90 days, in case the
    /// package is read again. Private data is deleted, since no refresh would notice that its token mapping is gone.
    /// `false` when another run has taken the lease.
    ///
    /// # Errors
    /// [`AwsError`] when no response confirmed it; it may be written all the same.
    pub async fn unschedule(&self, lease: &Lease, known: &Known, now: Timestamp) -> Result<bool, AwsError> {
        let mut writes = Vec::new();
        if known.private {
            for sort in [key::META, key::VERSIONS, key::UPSTREAM] {
                writes.push(self.delete(lease, sort)?);
            }
        } else {
            let state = PackageState::Known(Known { is_scheduled: false, ..known.clone() });
            let record = PackageRecord { state, ..lease.record.clone() };
            let meta = self.meta_update(lease, &record, now)?;
            writes.push(TransactWriteItem::builder().update(meta).build());
            writes.extend(self.content_lifetimes(lease, &record)?);
        }
        self.transact(writes).await
    }

    async fn update_alone(&self, update: Update) -> Result<bool, AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(update.table_name)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .send()
            .await;
        Ok(unless_refused(result)?.is_some())
    }

    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<bool, AwsError> {
        let result = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        match result {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(AwsError::new("dynamodb:TransactWriteItems", error)),
        }
    }

    /// The update that writes `record` to `META` and ends the lease.
    fn meta_update(&self, lease: &Lease, record: &PackageRecord, now: Timestamp) -> Result<Update, AwsError> {
        let attributes = package_item::attributes(&lease.package, record, now);
        let mut update = UpdateExpression::default();
        for name in OPTIONAL_ATTRIBUTES {
            if !attributes.contains_key(name) {
                update.remove(name);
            }
        }
        for (name, value) in attributes {
            update.set(&name, value);
        }
        update.set(LEASE_UNTIL, number(0));
        update.bind(LEASE_TOKEN, string(&lease.token));
        self.update(&lease.package, key::META, update, Some(HOLDS_LEASE))
    }

    /// The updates that make the versions and validators of a package off the schedule expire with it.
    fn content_lifetimes(
        &self,
        lease: &Lease,
        record: &PackageRecord,
    ) -> Result<Vec<TransactWriteItem>, AwsError> {
        let expires_at = record.last_requested_at.plus(UNREAD_LIFETIME);
        let update = |sort| {
            let mut update = UpdateExpression::default();
            update.set(TTL, number(expires_at.unix_seconds()));
            let update = self.update(&lease.package, sort, update, None)?;
            Ok(TransactWriteItem::builder().update(update).build())
        };
        [key::VERSIONS, key::UPSTREAM].into_iter().map(update).collect()
    }

    fn update(
        &self,
        package: &Package,
        sort: &str,
        update: UpdateExpression,
        condition: Option<&str>,
    ) -> Result<Update, AwsError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(item_key(package, sort)))
            .update_expression(update.expression())
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .build()?;
        Ok(update)
    }

    fn put(&self, lease: &Lease, sort: &str, content: AttributeValue) -> Result<TransactWriteItem, AwsError> {
        let mut item = item_key(&lease.package, sort);
        item.insert(CONTENT.to_owned(), content);
        let put = Put::builder().table_name(&self.table).set_item(Some(item)).build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn delete(&self, lease: &Lease, sort: &str) -> Result<TransactWriteItem, AwsError> {
        let mut delete =
            Delete::builder().table_name(&self.table).set_key(Some(item_key(&lease.package, sort)));
        if sort == key::META {
            delete = delete
                .condition_expression(HOLDS_LEASE)
                .expression_attribute_names("#LeaseToken", LEASE_TOKEN)
                .expression_attribute_values(":LeaseToken", string(&lease.token));
        }
        Ok(TransactWriteItem::builder().delete(delete.build()?).build())
    }
}

/// Whether a transaction was canceled because one of its conditions did not hold.
fn is_refused(error: &SdkError<TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error()
    else {
        return false;
    };
    canceled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
}
