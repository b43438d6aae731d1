//! The configuration that the pipeline starts with.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use badgesmith_aws::dynamodb::{Registrations, SecretMappings, StoreError};
use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::{SecretNames, repository_secret, token_secret};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::registration::{ActiveRegistration, OwnSecret, POSTS_PER_MINUTE, Registration};
use badgesmith_domain::secret_scope::SecretScope;
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::signature::SecretKeys;
use badgesmith_domain::timestamp::Timestamp;
use embedded_aws::{Aws, Storage};

use crate::stack::{SECRETS_TABLE, UpstreamConfig};

/// How often a deployed stack refreshes the packages that are due.
const REFRESH_PERIOD: Duration = Duration::from_mins(5);

/// The configuration of the pipeline.
#[derive(Debug)]
pub struct Config {
    pub storage: Storage,
    pub listen: IpAddr,
    /// The port on that address; 0 picks a free one.
    pub port: u16,
    /// The keys of repositories to register.
    pub secrets: Vec<Secret>,
    /// The GitHub tokens to register.
    pub tokens: Vec<GitHubToken>,
    pub upstreams: UpstreamConfig,
    /// How often due packages are refreshed.
    pub refresh_every: Duration,
    /// The URL of the service, if it is not its own address.
    pub public_url: Option<ServiceUrl>,
}

impl Config {
    /// A pipeline in memory on a free port, without keys and tokens, with the periods of a deployed stack.
    pub fn ephemeral(upstreams: UpstreamConfig) -> Self {
        Self {
            storage: Storage::Memory,
            listen: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            secrets: Vec::new(),
            tokens: Vec::new(),
            upstreams,
            refresh_every: REFRESH_PERIOD,
            public_url: None,
        }
    }
}

/// A repository and the value of its secret.
#[derive(Clone)]
pub struct Secret {
    pub repository: Repository,
    /// The value in Secrets Manager: `{"hmac_key":"..","type":"repo_hmac"}`
    pub value: String,
    /// How many results the repository may submit in a minute.
    pub posts_per_minute: NonZeroU32,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("repository", &self.repository).finish_non_exhaustive()
    }
}

impl Secret {
    /// The secret of `repository` with this key.
    ///
    /// # Errors
    /// Why the key is invalid, without the key itself.
    pub fn new(repository: Repository, hmac_key: &str) -> Result<Self, String> {
        let value = repository_secret(hmac_key);
        SecretKeys::parse(&value).map_err(|error| error.to_string())?;
        Ok(Self { repository, value, posts_per_minute: POSTS_PER_MINUTE })
    }

    /// Stores the secret, and registers its repository with it. Does nothing but log a warning if a command has removed
    /// the repository, or replaced its key, so that a restart does not undo that.
    ///
    /// # Errors
    /// [`StoreError`] when a call fails, or the repository has a corrupt registration.
    pub async fn register(&self, aws: &Aws, now: Timestamp) -> Result<(), StoreError> {
        let Self { repository, value, posts_per_minute } = self;
        let registrations = Registrations::new(&aws.sdk_config(), SECRETS_TABLE.to_owned());
        let registration = registrations.find(repository).await?.map(|record| record.registration);
        match &registration {
            None => {}
            Some(Registration::Removed(_)) => {
                tracing::warn!(%repository, "--secret is ignored: the repository was removed; register it with `badgesmith repo add`");
                return Ok(());
            }
            Some(Registration::Active(active))
                if active.proofs.own_secret == Some(OwnSecret { until: None })
                    && active.rotated.is_none() => {}
            Some(Registration::Active(_)) => {
                tracing::warn!(%repository, "--secret is ignored: `badgesmith repo` has set another key");
                return Ok(());
            }
        }
        let put = aws.secrets().put(&SecretNames::default().repository(repository), value);
        put.map_err(|error| AwsError::unexpected("secretsmanager:PutSecretValue", error))?;
        if registration.is_none() {
            let registration = Registration::Active(ActiveRegistration {
                posts_per_minute: *posts_per_minute,
                ..ActiveRegistration::with_own_secret(now)
            });
            // Nothing else writes registrations before the pipeline has started.
            registrations.put(repository, &registration, None).await?;
        }
        Ok(())
    }
}

/// A token for GitHub, and the packages that are read with it.
#[derive(Clone)]
pub struct GitHubToken {
    pub scope: SecretScope,
    /// Empty to remove the registered token.
    pub token: String,
}

impl std::fmt::Debug for GitHubToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitHubToken").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl GitHubToken {
    /// The token for the packages of `scope`.
    ///
    /// # Errors
    /// Why the token is invalid, without the token itself.
    pub fn new(scope: SecretScope, token: &str) -> Result<Self, String> {
        if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self { scope, token: token.to_owned() })
        } else {
            Err("expected a token of visible ASCII characters, without spaces or line breaks".to_owned())
        }
    }

    /// Stores the token as a secret with its mapping, or deletes both if the token is empty.
    ///
    /// # Errors
    /// [`AwsError`] when either call fails.
    pub async fn register(&self, aws: &Aws, now: Timestamp) -> Result<(), AwsError> {
        let secret_id = SecretNames::default().token(&self.scope);
        let mappings = SecretMappings::new(&aws.sdk_config(), SECRETS_TABLE.to_owned());
        if self.token.is_empty() {
            mappings.delete(&self.scope).await?;
            let deleted = aws.secrets().delete(&secret_id);
            return deleted.map_err(|error| AwsError::unexpected("secretsmanager:DeleteSecret", error));
        }
        let value = token_secret(&self.token);
        let put = aws.secrets().put(&secret_id, &value);
        put.map_err(|error| AwsError::unexpected("secretsmanager:PutSecretValue", error))?;
        mappings.put(&self.scope, &secret_id, now).await
    }
}
