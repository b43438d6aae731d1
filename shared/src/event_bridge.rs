//! The event bus on which others hear what happened.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_types::SdkConfig;

use crate::sdk::CallError;
use crate::test_result::TestResult;

/// The source of every event of this service.
pub const SOURCE: &str = "badgesmith";
/// A result has been stored; the detail is the [`TestResult`] as JSON.
pub const TEST_RESULT_RECORDED: &str = "TestResultRecorded";
/// How many events one `PutEvents` takes:
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
const ENTRIES_MAX: usize = 10;

/// The service's own event bus.
#[derive(Debug, Clone)]
pub struct EventBus {
    client: Client,
    name: String,
}

impl EventBus {
    /// The bus named `name`.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    /// Tells that `results` were stored.
    ///
    /// # Errors
    /// [`CallError`] when some of it was not taken; what was taken before stays on the bus.
    pub async fn publish_recorded<'a>(
        &self,
        results: impl IntoIterator<Item = &'a TestResult>,
    ) -> Result<(), CallError> {
        let failed =
            |cause: Box<dyn std::error::Error + Send + Sync>| CallError::new("events:PutEvents", cause);
        let mut entries = Vec::new();
        for result in results {
            let detail = serde_json::to_string(result).map_err(|error| failed(error.into()))?;
            entries.push(
                PutEventsRequestEntry::builder()
                    .event_bus_name(&self.name)
                    .source(SOURCE)
                    .detail_type(TEST_RESULT_RECORDED)
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
                .map_err(|error| failed(error.into()))?;
            if output.failed_entry_count > 0 {
                let code = output.entries().iter().find_map(|entry| entry.error_code());
                return Err(failed(format!("{} events refused: {code:?}", output.failed_entry_count).into()));
            }
        }
        Ok(())
    }
}
