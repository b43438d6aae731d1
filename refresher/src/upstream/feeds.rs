//! The NuGet feeds that operators registered.

use std::sync::Arc;

use badgesmith_aws::dynamodb::{FeedAccess, SecretMappings};
use badgesmith_domain::package::{FeedName, PackageName};
use badgesmith_domain::package_record::{PackageState, Validators};

use super::base_url;
use super::fetch::{FetchError, FetchOutcome, FetchRequest, FetchedPackage};
use super::nuget::{Feed, NuGet};
use crate::tokens::Tokens;

#[derive(Debug)]
pub(crate) struct Feeds {
    mappings: SecretMappings,
    tokens: Arc<Tokens>,
}

impl Feeds {
    pub(crate) fn new(mappings: SecretMappings, tokens: Arc<Tokens>) -> Self {
        Self { mappings, tokens }
    }

    pub(super) async fn fetch(
        &self,
        nuget: &NuGet,
        name: &FeedName,
        package: &PackageName,
        request: FetchRequest<'_>,
    ) -> Result<FetchOutcome, FetchError> {
        // Read for each fetch: a package whose feed or mapping is deleted must no longer be shown.
        let Some(access) = self.mappings.find_feed(name, request.package, request.now).await? else {
            tracing::info!(package = %request.package, "withheld a package: its feed is not registered");
            return Ok(FetchOutcome::Withheld);
        };
        if access.secret_id.is_some() && !access.has_consent {
            tracing::info!(
                package = %request.package,
                "withheld a package: its feed needs credentials, and no operator allowed this one package"
            );
            return Ok(FetchOutcome::Withheld);
        }
        // After a feed got credentials, or lost them, the package is fetched in full: an unmodified one would stay
        // public, or private.
        let was_private = matches!(request.state, PackageState::Known(known) if known.private);
        let none = Validators::new();
        let validators = if was_private == access.secret_id.is_some() { request.validators } else { &none };
        let request = FetchRequest { validators, ..request };
        request.bound(self.fetch_from(nuget, &access, package, request)).await
    }

    async fn fetch_from(
        &self,
        nuget: &NuGet,
        access: &FeedAccess,
        package: &PackageName,
        request: FetchRequest<'_>,
    ) -> Result<FetchOutcome, FetchError> {
        let invalid = || FetchError::Failed("the URL of the feed is invalid".to_owned());
        let service_index = base_url(&access.address).ok_or_else(invalid)?;
        let Some(secret_id) = &access.secret_id else {
            return nuget.fetch(&Feed { service_index, token: None }, package, request).await;
        };
        let Some(token) = self.tokens.of_feed(secret_id, &access.address, request.now).await? else {
            let error = format!("the secret {secret_id} holds no credentials for {}", access.address);
            return Err(FetchError::Refused(error));
        };
        let mut feed = Feed { service_index, token: Some(token.clone()) };
        let mut fetched = nuget.fetch(&feed, package, request).await;
        // The secret may have been rotated since the token was cached.
        if matches!(fetched, Err(FetchError::Refused(_)))
            && let Some(token) = self.tokens.replacement(&token, request.now).await?
        {
            feed.token = Some(token);
            fetched = nuget.fetch(&feed, package, request).await;
        }
        Ok(match fetched? {
            FetchOutcome::Found(found) => FetchOutcome::Found(FetchedPackage { private: true, ..found }),
            other @ (FetchOutcome::Unchanged | FetchOutcome::NotFound | FetchOutcome::Withheld) => other,
        })
    }
}
