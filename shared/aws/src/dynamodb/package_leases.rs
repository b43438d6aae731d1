//! Leases of packages: one run at a time refreshes a package, or takes it off the schedule.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use badgesmith_domain::key::{self, DueShard};
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::timestamp::Timestamp;
use uuid::Uuid;

use super::package_item::{self, DUE_PK, KNOWN, LAST_REQUESTED_AT, REFRESH_AFTER, STATE, item_key};
use super::update_expression::UpdateExpression;
use super::{Packages, StoreError, TTL, is_expired, number, string, text};
use crate::sdk::AwsError;

/// The run that holds the lease, or held it last. Every write of a run is conditional on it. It stays when the lease
/// ends, so that a write that is sent again, because its response was lost, succeeds.
pub(super) const LEASE_TOKEN: &str = "LeaseToken";
/// When the lease ends, in milliseconds since the Unix epoch.
pub(super) const LEASE_UNTIL: &str = "LeaseUntil";
/// The name as its first reader wrote it. The first lookup may come later, without the request.
const SPELLING: &str = "Spelling";

/// A request for an unknown name counts as at most this old. It may have waited in the queue for days, and what it
/// creates must not expire at once.
const REQUEST_AGE_MAX: Duration = Duration::from_hours(1);

/// The right to write a package, for [`Packages::LEASE`].
#[derive(Debug)]
pub struct Lease {
    pub package: Package,
    /// The package when the lease was taken.
    pub record: PackageRecord,
    /// The name as its first reader wrote it, if that is another spelling.
    pub spelling: Option<String>,
    pub(super) token: String,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most outcomes are leases")]
pub enum LeaseOutcome {
    Leased(Lease),
    /// The package is not due, or another run holds its lease.
    NotDue,
    /// The table has no such package.
    Unknown,
}

impl Packages {
    /// How long a lease lasts; longer than a run spends on one package.
    pub const LEASE: Duration = Duration::from_mins(2);

    /// Leases a package that is due: one conditional write. It records a read at `requested_at`.
    ///
    /// # Errors
    /// [`StoreError`] when no response confirmed it, or the item is corrupt.
    pub async fn lease_due(
        &self,
        package: &Package,
        requested_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<LeaseOutcome, StoreError> {
        self.lease_due_by(now, package, requested_at, now).await
    }

    /// Leases a package whether it is due or not: one conditional write. While another run holds the lease, the
    /// outcome is [`LeaseOutcome::NotDue`].
    ///
    /// # Errors
    /// As [`Self::lease_due`].
    pub async fn lease_now(
        &self,
        package: &Package,
        requested_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<LeaseOutcome, StoreError> {
        self.lease_due_by(Timestamp::LAST, package, requested_at, now).await
    }

    /// Leases a package that is due at `due`.
    async fn lease_due_by(
        &self,
        due: Timestamp,
        package: &Package,
        requested_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<LeaseOutcome, StoreError> {
        let token = Uuid::new_v4().to_string();
        let mut update = lease_update(&token, now);
        if let Some(requested_at) = requested_at {
            update.set(LAST_REQUESTED_AT, string(requested_at.to_string()));
        }
        update.bind(REFRESH_AFTER, string(due.to_string()));
        update.bind(TTL, number(now.unix_seconds()));
        let result = self
            .lease_request(package, update)
            .condition_expression(
                "#LeaseToken = :LeaseToken OR (attribute_exists(PK) AND #RefreshAfter <= :RefreshAfter \
                 AND #LeaseUntil <= :now AND (attribute_not_exists(#TTL) OR #TTL > :TTL))",
            )
            .expression_attribute_values(":now", number(now.unix_milliseconds()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(output) => to_lease(package, token, output).map(LeaseOutcome::Leased),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let is_known = failed.item().is_some_and(|item| !is_expired(item, now));
                    Ok(if is_known { LeaseOutcome::NotDue } else { LeaseOutcome::Unknown })
                }
                _ => Err(AwsError::new("dynamodb:UpdateItem", error).into()),
            },
        }
    }

    /// Leases a package to take it off the schedule: one conditional write. `None` when it is not on the schedule, or
    /// was read after `requested_at`.
    ///
    /// A run that holds the lease loses it and writes nothing: its result is no longer needed. If that run has just
    /// found the package to be private, the public versions of before stay until the next read, or for 90 days.
    ///
    /// # Errors
    /// As [`Self::lease_due`].
    pub async fn lease_to_unschedule(
        &self,
        package: &Package,
        requested_at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let token = Uuid::new_v4().to_string();
        let mut update = lease_update(&token, now);
        update.bind(STATE, string(KNOWN));
        update.bind(LAST_REQUESTED_AT, string(requested_at.to_string()));
        let result = self
            .lease_request(package, update)
            .expression_attribute_names("#due", DUE_PK)
            .condition_expression(
                "#LeaseToken = :LeaseToken OR (#State = :State AND attribute_exists(#due) \
                 AND #LastRequestedAt <= :LastRequestedAt)",
            )
            .send()
            .await;
        match unless_refused(result)? {
            Some(output) => to_lease(package, token, output).map(Some),
            None => Ok(None),
        }
    }

    /// Leases a package that the table may not have, and creates it: one conditional write. A package that exists is
    /// leased as by [`Self::lease_due`]. `spelling` is the name as its reader wrote it.
    ///
    /// # Errors
    /// As [`Self::lease_due`].
    pub async fn lease_or_create(
        &self,
        package: &Package,
        spelling: Option<&str>,
        requested_at: Timestamp,
        now: Timestamp,
    ) -> Result<LeaseOutcome, StoreError> {
        let requested_at = requested_at.max(now.minus(REQUEST_AGE_MAX));
        // On the schedule at once: if this run dies, the schedule takes over when the lease ends.
        match self.create(package, spelling, requested_at, DueShard::Unconfirmed, now).await? {
            Some(lease) => Ok(LeaseOutcome::Leased(lease)),
            None => self.lease_due(package, Some(requested_at), now).await,
        }
    }

    /// Puts a package that the table does not have in the line of names that wait for their first lookup: one
    /// conditional write. `false` when the package exists, which stays as it is.
    ///
    /// # Errors
    /// [`AwsError`] when no response confirmed it.
    pub async fn wait_in_line(
        &self,
        package: &Package,
        spelling: Option<&str>,
        requested_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, AwsError> {
        let requested_at = requested_at.max(now.minus(REQUEST_AGE_MAX));
        Ok(self.create(package, spelling, requested_at, DueShard::Waiting, now).await?.is_some())
    }

    /// Creates an unconfirmed package, leased unless it waits in line. `None` when the table has the package.
    async fn create(
        &self,
        package: &Package,
        spelling: Option<&str>,
        requested_at: Timestamp,
        shard: DueShard,
        now: Timestamp,
    ) -> Result<Option<Lease>, AwsError> {
        let token = Uuid::new_v4().to_string();
        let until = if shard == DueShard::Waiting { now } else { now.plus(Self::LEASE) };
        let record = PackageRecord {
            state: PackageState::Unconfirmed,
            refresh_after: until,
            last_requested_at: requested_at,
            failures: 0,
        };
        let mut item = item_key(package, key::META);
        item.extend(package_item::attributes(package, &record, now));
        item.insert(DUE_PK.to_owned(), string(shard.partition()));
        item.insert(LAST_REQUESTED_AT.to_owned(), string(requested_at.to_string()));
        item.insert(LEASE_TOKEN.to_owned(), string(&token));
        item.insert(LEASE_UNTIL.to_owned(), number(until.unix_milliseconds()));
        item.extend(spelling.map(|spelling| (SPELLING.to_owned(), string(spelling))));
        let result = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            // Its own item, if the response to an earlier attempt was lost.
            .condition_expression("attribute_not_exists(PK) OR #ttl <= :now OR #token = :token")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#token", LEASE_TOKEN)
            .expression_attribute_values(":now", number(now.unix_seconds()))
            .expression_attribute_values(":token", string(&token))
            .send()
            .await;
        let spelling = spelling.map(str::to_owned);
        match result {
            Ok(_) => Ok(Some(Lease { package: package.clone(), record, spelling, token })),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(None),
                _ => Err(AwsError::new("dynamodb:PutItem", error)),
            },
        }
    }

    fn lease_request(&self, package: &Package, update: UpdateExpression) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item_key(package, key::META)))
            .update_expression(update.expression())
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values(ReturnValue::AllNew)
    }
}

fn lease_update(token: &str, now: Timestamp) -> UpdateExpression {
    let mut update = UpdateExpression::default();
    update.set(LEASE_TOKEN, string(token));
    update.set(LEASE_UNTIL, number(now.plus(Packages::LEASE).unix_milliseconds()));
    update
}

fn to_lease(package: &Package, token: String, output: UpdateItemOutput) -> Result<Lease, StoreError> {
    let item = output.attributes.unwrap_or_default();
    let record = package_item::to_record(package, &item)?;
    let spelling = text(&item, SPELLING).map(str::to_owned);
    Ok(Lease { package: package.clone(), record, spelling, token })
}

/// `None` when the condition of an update did not hold.
pub(super) fn unless_refused(
    result: Result<UpdateItemOutput, SdkError<UpdateItemError>>,
) -> Result<Option<UpdateItemOutput>, AwsError> {
    match result {
        Ok(output) => Ok(Some(output)),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
            _ => Err(AwsError::new("dynamodb:UpdateItem", error)),
        },
    }
}
