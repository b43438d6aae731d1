//! GitHub Packages: <https://docs.github.com/en/rest/packages/packages>

mod pages;

use std::sync::Arc;

use badgesmith_aws::dynamodb::{SecretMapping, SecretMappings};
use badgesmith_domain::package::{Organization, PackageName};
use badgesmith_domain::package_record::{PackageState, Validators};
use serde::Deserialize;
use url::Url;

use super::fetch::{FetchError, FetchOutcome, FetchRequest, FetchedPackage};
use super::http_client::HttpClient;
use super::request::{Credential, Get};
use super::response::Response;
use crate::tokens::{Token, Tokens};

/// GitHub's REST API.
#[derive(Debug)]
pub(crate) struct GitHub {
    http: Arc<HttpClient>,
    api: Url,
    mappings: SecretMappings,
    tokens: Tokens,
}

/// One lookup of a package with one token.
#[derive(Debug, Clone, Copy)]
struct Lookup<'a> {
    organization: &'a Organization,
    name: &'a PackageName,
    /// The validators of the last fetch.
    known: &'a Validators,
    credential: Credential<'a>,
    /// The token is mapped to this one package, which is the consent to show it if it is not public.
    has_consent: bool,
}

#[derive(Deserialize)]
struct Package {
    visibility: Visibility,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Visibility {
    Public,
    Private,
    Internal,
}

impl GitHub {
    pub(crate) fn new(http: Arc<HttpClient>, api: Url, mappings: SecretMappings, tokens: Tokens) -> Self {
        Self { http, api, mappings, tokens }
    }

    pub(super) async fn fetch(
        &self,
        organization: &Organization,
        name: &PackageName,
        request: FetchRequest<'_>,
    ) -> Result<FetchOutcome, FetchError> {
        // Read for each fetch: a package whose mapping is deleted must no longer be shown.
        let Some(mapping) = self.mappings.find(organization, name, request.now).await? else {
            tracing::info!(package = %request.package, "withheld a package: no token is mapped to its organization");
            return Ok(FetchOutcome::Withheld);
        };
        let fetched = request.bound(self.fetch_mapped(organization, name, request, &mapping)).await;
        let was_private = matches!(request.state, PackageState::Known(known) if known.private);
        if !was_private || mapping.of_package {
            return fetched;
        }
        // The consent to show the package is gone. It is withheld unless GitHub confirms that it is public now.
        match fetched {
            Ok(FetchOutcome::NotFound) => Ok(FetchOutcome::Withheld),
            Err(error) => {
                tracing::warn!(package = %request.package, %error, "withheld a private package: its token mapping was deleted");
                Ok(FetchOutcome::Withheld)
            }
            Ok(FetchOutcome::Unchanged | FetchOutcome::Found(_) | FetchOutcome::Withheld) => fetched,
        }
    }

    async fn fetch_mapped(
        &self,
        organization: &Organization,
        name: &PackageName,
        request: FetchRequest<'_>,
        mapping: &SecretMapping,
    ) -> Result<FetchOutcome, FetchError> {
        let secret_id = &mapping.secret_id;
        let Some(token) = self.tokens.get(secret_id, request.now).await? else {
            return Err(FetchError::Refused(format!("the secret {secret_id} holds no token")));
        };
        let is_speculative = !matches!(request.state, PackageState::Known(_));
        let fetch = async |token: &Token| {
            let credential = Credential { token, is_speculative };
            let (known, has_consent) = (request.validators, mapping.of_package);
            self.look_up(Lookup { organization, name, known, credential, has_consent }).await
        };
        match fetch(&token).await {
            // The secret may have been rotated since the token was cached.
            Err(refused @ FetchError::Refused(_)) => {
                match self.tokens.replacement(&token, request.now).await? {
                    Some(token) => fetch(&token).await,
                    None => Err(refused),
                }
            }
            fetched => fetched,
        }
    }

    /// Looks up a package of an organization or of a user: the name does not say which.
    async fn look_up(&self, lookup: Lookup<'_>) -> Result<FetchOutcome, FetchError> {
        for owner_kind in self.owner_kinds(lookup.known)? {
            let fetched = self.fetch_from(owner_kind, lookup).await?;
            if !matches!(fetched, FetchOutcome::NotFound) {
                return Ok(fetched);
            }
        }
        Ok(FetchOutcome::NotFound)
    }

    /// The kinds of owners in the order to try them: users first if the package was a user's at the last fetch.
    fn owner_kinds(&self, known: &Validators) -> Result<[&'static str; 2], FetchError> {
        let users = self.url("users/")?;
        let is_of_user = known.keys().any(|url| url.starts_with(users.as_str()));
        Ok(if is_of_user { ["users", "orgs"] } else { ["orgs", "users"] })
    }

    async fn fetch_from(&self, owner_kind: &str, lookup: Lookup<'_>) -> Result<FetchOutcome, FetchError> {
        let Lookup { organization, name, known, credential, has_consent } = lookup;
        let package = self.url(&format!("{owner_kind}/{organization}/packages/nuget/{name}"))?;
        let mut validators = Validators::new();
        if !has_consent {
            match self.visibility(&package, lookup, &mut validators).await? {
                Some(Visibility::Public) => {}
                Some(Visibility::Private | Visibility::Internal) => {
                    tracing::info!(
                        %organization, %name,
                        "withheld a package: it is not public, and no token is mapped to this one package"
                    );
                    return Ok(FetchOutcome::Withheld);
                }
                None => return Ok(FetchOutcome::NotFound),
            }
        }
        let first = self.url(&format!(
            "{owner_kind}/{organization}/packages/nuget/{name}/versions?per_page={}",
            pages::PER_PAGE
        ))?;
        let names = pages::walk(&self.http, &first, known, credential, &mut validators).await?;
        let Some(names) = names else { return Ok(FetchOutcome::NotFound) };
        if validators == *known {
            return Ok(FetchOutcome::Unchanged);
        }
        // A name that is not a NuGet version is skipped.
        let versions = names.iter().filter_map(|name| name.parse().ok()).collect();
        Ok(FetchOutcome::Found(FetchedPackage { versions, validators, private: has_consent }))
    }

    /// The visibility of a package; `None` when it does not exist. Only public packages get a validator, so a document
    /// that is not modified belongs to a public one.
    async fn visibility(
        &self,
        url: &Url,
        lookup: Lookup<'_>,
        validators: &mut Validators,
    ) -> Result<Option<Visibility>, FetchError> {
        let validator = lookup.known.get(url.as_str());
        let get = Get { url, validator, credential: Some(lookup.credential) };
        let validator = match self.http.get(get).await? {
            Response::NotFound => return Ok(None),
            Response::NotModified => validator.cloned().unwrap_or_default(),
            Response::Found(document) => {
                let Package { visibility } = document.json(url)?;
                if visibility != Visibility::Public {
                    return Ok(Some(visibility));
                }
                document.validator
            }
        };
        validators.insert(url.to_string(), validator);
        Ok(Some(Visibility::Public))
    }

    fn url(&self, path: &str) -> Result<Url, FetchError> {
        let url = format!("{}/{path}", self.api.as_str().trim_end_matches('/'));
        Url::parse(&url).map_err(|_| FetchError::Failed(format!("invalid URL {url}")))
    }
}
