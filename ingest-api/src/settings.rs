//! The settings of the function, from its environment.

use badgesmith_aws::env::{self, SettingsError};
use badgesmith_aws::secrets_manager::SecretNames;
use badgesmith_domain::issuer::Issuer;
use badgesmith_domain::oidc_owners::OidcOwners;
use badgesmith_domain::service_url::ServiceUrl;

/// Where the function finds its resources, and whose ID tokens it accepts.
#[derive(Debug, Clone)]
pub struct Settings {
    pub nonces_table: String,
    /// The table of registrations, owners and issuers.
    pub secrets_table: String,
    pub results_queue_url: String,
    pub secret_names: SecretNames,
    pub master_key_arn: String,
    /// `None` if no ID token is accepted.
    pub oidc: Option<OidcSettings>,
}

#[derive(Debug, Clone)]
pub struct OidcSettings {
    pub issuer: Issuer,
    /// Owners whose repositories register themselves.
    pub owners: OidcOwners,
    /// The addresses of this service. A token for another one is rejected.
    pub services: Vec<ServiceUrl>,
}

impl Settings {
    /// Reads the function's environment.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that is missing or invalid.
    pub fn from_env() -> Result<Self, SettingsError> {
        Ok(Self {
            nonces_table: env::required(env::NONCES_TABLE)?,
            secrets_table: env::required(env::SECRETS_TABLE)?,
            results_queue_url: env::required(env::RESULTS_QUEUE_URL)?,
            master_key_arn: env::required(env::MASTER_KEY_ARN)?,
            secret_names: env::optional(env::SECRET_PREFIX).map(SecretNames::new).unwrap_or_default(),
            oidc: env::optional(env::OIDC_ISSUER)
                .map(|issuer| OidcSettings::from_env(&issuer))
                .transpose()?,
        })
    }
}

impl OidcSettings {
    fn from_env(issuer: &str) -> Result<Self, SettingsError> {
        let invalid = SettingsError::invalid;
        let owners = env::optional(env::OIDC_OWNERS).unwrap_or_default();
        let services = env::required(env::SERVICE_URLS)?;
        Ok(Self {
            issuer: issuer.parse().map_err(invalid(env::OIDC_ISSUER))?,
            owners: owners.parse().map_err(invalid(env::OIDC_OWNERS))?,
            services: ServiceUrl::parse_list(&services).map_err(invalid(env::SERVICE_URLS))?,
        })
    }
}
