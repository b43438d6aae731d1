//! Operators check that the event bus exists.

use super::EventBus;
use crate::sdk::AwsError;

impl EventBus {
    /// Checks that the bus exists.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed, or the bus does not exist.
    pub async fn check(&self) -> Result<(), AwsError> {
        let described = self.client.describe_event_bus().name(&self.name).send().await;
        described.map(drop).map_err(|error| AwsError::new("events:DescribeEventBus", error))
    }
}
