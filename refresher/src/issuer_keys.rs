//! Keeps the public keys of the issuer of ID tokens.

use std::sync::Arc;
use std::time::Duration;

use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{IssuerRecord, Issuers, StoreError};
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::issuer::Issuer;

use crate::upstream::{FetchError, HttpClient, IssuerDocuments};

/// The longest fetch of both documents.
const FETCH_TIME_MAX: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct IssuerKeys {
    issuers: Issuers,
    issuer: Issuer,
    documents: IssuerDocuments,
    clock: Clock,
}

impl IssuerKeys {
    pub(crate) fn new(
        config: &SdkConfig,
        table: String,
        issuer: Issuer,
        http: Arc<HttpClient>,
        clock: Clock,
    ) -> Self {
        let documents = IssuerDocuments::new(http, issuer.clone());
        Self { issuers: Issuers::new(config, table), issuer, documents, clock }
    }

    /// Fetches the keys, and stores them if they have changed. After a failure, the known keys stay, and the next run
    /// of the schedule tries again.
    pub(crate) async fn refresh(&self) {
        match self.try_refresh().await {
            Ok(true) => tracing::info!(issuer = %self.issuer, "stored the keys of the issuer of ID tokens"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(issuer = %self.issuer, %error, "failed to refresh the keys of the issuer of ID tokens");
            }
        }
    }

    /// Whether the keys have changed.
    async fn try_refresh(&self) -> Result<bool, FetchError> {
        let known = self.known().await?;
        let fetch = tokio::time::timeout(FETCH_TIME_MAX, self.documents.fetch(known.as_ref()));
        let timed_out = |_| Err(FetchError::Failed("the fetch timed out after 60 s".to_owned()));
        let Some(fetched) = fetch.await.unwrap_or_else(timed_out)? else { return Ok(false) };
        self.issuers.put(&self.issuer, &fetched, self.clock.now()).await?;
        Ok(known.is_none_or(|known| known.keys != fetched.keys))
    }

    /// What is stored. A corrupt item is replaced.
    async fn known(&self) -> Result<Option<IssuerRecord>, AwsError> {
        match self.issuers.find(&self.issuer).await {
            Ok(record) => Ok(record),
            Err(StoreError::Aws(error)) => Err(error),
            Err(error @ StoreError::CorruptItem { .. }) => {
                tracing::error!(%error, "fetching the keys of the issuer of ID tokens again");
                Ok(None)
            }
        }
    }
}
