//! Requests for packages: what each `PackageRequested` message asks for.

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use badgesmith_aws::dynamodb::{LeaseOutcome, StoreError};
use badgesmith_aws::metrics::Metric;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::PackageState;
use badgesmith_domain::package_request::{PackageRequest, Reason};
use badgesmith_domain::timestamp::Timestamp;
use futures_util::future::join_all;

use crate::lookup_limits::LookupReason;
use crate::refresher::Refresher;
use crate::transition::RefreshOutcome;

/// The outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disposition {
    Done,
    /// SQS delivers it again when its visibility timeout expires.
    Retry,
}

/// All requests of a batch for one package, combined.
#[derive(Debug)]
struct MergedRequest {
    request: PackageRequest,
    message_ids: Vec<String>,
}

/// Handles a batch of messages, and reports those to deliver again. Malformed messages are among them: after the last
/// receive, SQS moves them to the dead-letter queue.
pub(crate) async fn run(refresher: &Refresher, batch: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
    let (requests, mut failed) = merge(batch.records);
    let handled = requests.into_iter().map(async |MergedRequest { mut request, message_ids }| {
        // The sender's clock may be ahead.
        request.requested_at = request.requested_at.min(refresher.clock.now());
        match handle(refresher, &request, deadline).await {
            Ok(Disposition::Done) => Vec::new(),
            Ok(Disposition::Retry) => message_ids,
            Err(error) => {
                tracing::error!(package = %request.package, %error, "failed to handle package request");
                message_ids
            }
        }
    });
    failed.extend(join_all(handled).await.into_iter().flatten());
    let mut response = SqsBatchResponse::default();
    for message_id in failed {
        response.add_failure(message_id);
    }
    response
}

/// The requests of a batch, one for each package, and the ids of its malformed messages.
fn merge(messages: Vec<SqsMessage>) -> (Vec<MergedRequest>, Vec<String>) {
    let mut merged: BTreeMap<Package, MergedRequest> = BTreeMap::new();
    let mut malformed = Vec::new();
    for message in messages {
        // Every message has an id. Lambda would retry the whole batch for an empty one, which is safe.
        let message_id = message.message_id.unwrap_or_default();
        match PackageRequest::parse_event(message.body.as_deref().unwrap_or_default()) {
            Ok(request) => {
                let entry = merged
                    .entry(request.package.clone())
                    .or_insert_with(|| MergedRequest { request: request.clone(), message_ids: Vec::new() });
                entry.request.merge(&request);
                entry.message_ids.push(message_id);
            }
            Err(error) => {
                tracing::error!(message_id, %error, "failed to parse package request");
                malformed.push(message_id);
            }
        }
    }
    (merged.into_values().collect(), malformed)
}

async fn handle(
    refresher: &Refresher,
    request: &PackageRequest,
    deadline: Timestamp,
) -> Result<Disposition, StoreError> {
    let Refresher { packages, clock, .. } = refresher;
    let &PackageRequest { ref package, reason, requested_at, .. } = request;
    let leased = match reason {
        Reason::StillRead => {
            packages.note_read(package, requested_at).await?;
            return Ok(Disposition::Done);
        }
        Reason::Unschedule => return unschedule(refresher, package, requested_at).await,
        Reason::RefreshNow => match packages.lease_now(package, Some(requested_at), clock.now()).await? {
            LeaseOutcome::Unknown => {
                packages.lease_or_create(package, request.spelling(), requested_at, clock.now()).await?
            }
            leased @ (LeaseOutcome::Leased(_) | LeaseOutcome::NotDue) => leased,
        },
        Reason::Stale => match packages.lease_due(package, Some(requested_at), clock.now()).await? {
            LeaseOutcome::Unknown => lease_unconfirmed(refresher, request).await?,
            leased @ (LeaseOutcome::Leased(_) | LeaseOutcome::NotDue) => leased,
        },
        Reason::FirstRequested => lease_unconfirmed(refresher, request).await?,
    };
    if let LeaseOutcome::Leased(lease) = leased {
        let outcome = refresher.refresh(&lease, request.spelling(), deadline).await?;
        tracing::info!(%package, ?reason, refreshed = ?outcome, "handled package request");
        Metric::PackagesRefreshed.count(1);
        Metric::PackagesFailed.count(usize::from(outcome == RefreshOutcome::Failed));
    }
    Ok(Disposition::Done)
}

/// Leases a name that may be invented, if its lookup limit allows. Otherwise, the name waits for a run of the schedule.
async fn lease_unconfirmed(
    refresher: &Refresher,
    request: &PackageRequest,
) -> Result<LeaseOutcome, StoreError> {
    let (Refresher { packages, waiting_line, .. }, now) = (refresher, refresher.clock.now());
    let PackageRequest { package, requested_at, .. } = request;
    if refresher.may_look_up(LookupReason::Requested, package) {
        return packages.lease_or_create(package, request.spelling(), *requested_at, now).await;
    }
    if !waiting_line.put(packages, request, now).await? {
        // Its badge stays pending, and the next read requests it again.
        tracing::warn!(%package, "dropped a request for an unconfirmed name: too many of them wait");
    }
    Ok(LeaseOutcome::Unknown)
}

/// Takes a package off the schedule, unless it was read after `requested_at`: a request may be late, or delivered
/// again. It does not wait for a running refresh, but takes its lease. An unconfirmed name expires by itself.
async fn unschedule(
    refresher: &Refresher,
    package: &Package,
    requested_at: Timestamp,
) -> Result<Disposition, StoreError> {
    let Refresher { packages, clock, .. } = refresher;
    let now = clock.now();
    let Some(lease) = packages.lease_to_unschedule(package, requested_at, now).await? else {
        return Ok(Disposition::Done);
    };
    let PackageState::Known(known) = &lease.record.state else { return Ok(Disposition::Done) };
    if !packages.unschedule(&lease, known, now).await? {
        tracing::warn!(%package, "lost the lease while unscheduling package");
        return Ok(Disposition::Retry);
    }
    tracing::info!(%package, "unscheduled package");
    Ok(Disposition::Done)
}
