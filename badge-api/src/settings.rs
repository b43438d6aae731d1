//! The settings of the function, from its environment.

use std::time::Duration;

use badgesmith_aws::env::{self, SettingsError};
use badgesmith_domain::service_url::ServiceUrl;

/// Where the function finds its resources.
#[derive(Debug, Clone)]
pub struct Settings {
    pub test_results_table: String,
    pub packages_table: String,
    /// The table of feeds.
    pub secrets_table: String,
    pub event_bus_name: String,
    /// How long the first badge of a package may wait for its lookup.
    pub first_lookup_wait: Duration,
    /// The public URL of the service; `None` for the host that the CDN reports.
    pub public_url: Option<ServiceUrl>,
}

impl Settings {
    /// Most lookups take less than a second. GitHub's image proxy gives the whole chain 4 s.
    pub const FIRST_LOOKUP_WAIT: Duration = Duration::from_millis(1200);

    /// Reads the function's environment.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that is missing or invalid.
    pub fn from_env() -> Result<Self, SettingsError> {
        let public_url = env::optional(env::PUBLIC_URL).map(|url| url.parse()).transpose();
        Ok(Self {
            test_results_table: env::required(env::TEST_RESULTS_TABLE)?,
            packages_table: env::required(env::PACKAGES_TABLE)?,
            secrets_table: env::required(env::SECRETS_TABLE)?,
            event_bus_name: env::required(env::EVENT_BUS_NAME)?,
            first_lookup_wait: Self::FIRST_LOOKUP_WAIT,
            public_url: public_url.map_err(SettingsError::invalid(env::PUBLIC_URL))?,
        })
    }
}
