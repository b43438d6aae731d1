//! Publishing to the event bus.

#[cfg(feature = "admin")]
mod admin;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_types::SdkConfig;
use badgesmith_domain::package_request::PackageRequest;
use badgesmith_domain::test_result::TestResult;
use serde::Serialize;

use crate::sdk::AwsError;

/// The source of every event of this service.
pub const SOURCE: &str = "badgesmith";
/// A result has been stored; the detail is the [`TestResult`] as JSON.
const TEST_RESULT_RECORDED: &str = "TestResultRecorded";
/// A package must be looked up; the detail is a [`PackageRequest`] as JSON.
pub const PACKAGE_REQUESTED: &str = "PackageRequested";
/// The maximum number of events in one `PutEvents`:
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
const ENTRIES_MAX: usize = 10;

/// The service's own event bus.
#[derive(Debug, Clone)]
pub struct EventBus {
    client: Client,
    name: String,
}

impl EventBus {
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    /// Publishes `TestResultRecorded` for each of `results`.
    ///
    /// # Errors
    /// [`AwsError`] if an event was not accepted. Events that were accepted stay published.
    pub async fn publish_recorded<'a>(
        &self,
        results: impl IntoIterator<Item = &'a TestResult>,
    ) -> Result<(), AwsError> {
        self.publish(TEST_RESULT_RECORDED, results).await
    }

    /// Publishes `PackageRequested`.
    ///
    /// # Errors
    /// [`AwsError`] if EventBridge does not confirm the event.
    pub async fn publish_requested(&self, request: &PackageRequest) -> Result<(), AwsError> {
        self.publish(PACKAGE_REQUESTED, [request]).await
    }

    async fn publish(
        &self,
        detail_type: &str,
        details: impl IntoIterator<Item = impl Serialize>,
    ) -> Result<(), AwsError> {
        let mut entries = Vec::new();
        for detail in details {
            let detail = serde_json::to_string(&detail)
                .map_err(|error| AwsError::unexpected("events:PutEvents", error))?;
            entries.push(
                PutEventsRequestEntry::builder()
                    .event_bus_name(&self.name)
                    .source(SOURCE)
                    .detail_type(detail_type)
                    .detail(detail)
                    .build(),
            );
        }
        for chunk in entries.chunks(ENTRIES_MAX) {
            let output = self
                .client
                .put_events()
                .set_entries(Some(chunk.to_vec()))
                .send()
                .await
                .map_err(|error| AwsError::new("events:PutEvents", error))?;
            let rejected =
                output.entries().iter().find_map(|entry| Some((entry.error_code()?, entry.error_message())));
            if let Some((code, message)) = rejected {
                return Err(AwsError::of_entry("events:PutEvents", code, message));
            }
            if output.failed_entry_count > 0 {
                return Err(AwsError::unexpected("events:PutEvents", "an entry failed without a code"));
            }
        }
        Ok(())
    }
}
