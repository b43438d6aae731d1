//! The settings of the function, from its environment.

use badgesmith_aws::env::{self, SettingsError};

/// Where the function finds its resources.
#[derive(Debug, Clone)]
pub struct Settings {
    pub test_results_table: String,
    /// The URL of the queue for messages that can never succeed.
    pub results_dead_letter_queue_url: String,
    pub event_bus_name: String,
}

impl Settings {
    /// Reads the function's environment.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that is missing.
    pub fn from_env() -> Result<Self, SettingsError> {
        Ok(Self {
            test_results_table: env::required(env::TEST_RESULTS_TABLE)?,
            results_dead_letter_queue_url: env::required(env::RESULTS_DEAD_LETTER_QUEUE_URL)?,
            event_bus_name: env::required(env::EVENT_BUS_NAME)?,
        })
    }
}
