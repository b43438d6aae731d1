//! GitHub Packages: <https://docs.github.com/en/rest/packages/packages>

mod listing;
mod pages;

use std::borrow::Cow;
use std::sync::Arc;

use badgesmith_aws::dynamodb::{SecretMapping, SecretMappings};
use badgesmith_domain::package::{Organization, PackageName, PackageType, Provider};
use badgesmith_domain::package_record::{PackageState, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::{Scheme, Version, Versions};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use self::listing::Listings;
use super::fetch::{FetchError, FetchOutcome, FetchRequest, FetchedPackage};
use super::http_client::HttpClient;
use super::request::{Api, Credential, Get, Redirects};
use super::response::Response;
use crate::tokens::{Token, Tokens};

/// GitHub's REST API.
#[derive(Debug)]
pub(crate) struct GitHub {
    http: Arc<HttpClient>,
    api: Url,
    mappings: SecretMappings,
    tokens: Arc<Tokens>,
    listings: Listings,
}

/// One lookup of a package with one token.
#[derive(Debug, Clone, Copy)]
struct Lookup<'a> {
    organization: &'a Organization,
    package_type: PackageType,
    name: &'a PackageName,
    spelling: Option<&'a str>,
    now: Timestamp,
    /// The validators of the last fetch.
    known: &'a Validators,
    credential: Credential<'a>,
    /// The token is mapped to this one package, which is the consent to show it if it is not public.
    has_consent: bool,
    /// When no further page of its versions is read, if enough were.
    pages_until: Instant,
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
    pub(crate) fn new(
        http: Arc<HttpClient>,
        api: Url,
        mappings: SecretMappings,
        tokens: Arc<Tokens>,
    ) -> Self {
        Self { http, api, mappings, tokens, listings: Listings::default() }
    }

    pub(super) async fn fetch(
        &self,
        organization: &Organization,
        package_type: PackageType,
        name: &PackageName,
        request: FetchRequest<'_>,
    ) -> Result<FetchOutcome, FetchError> {
        // Read for each fetch: a package whose mapping is deleted must no longer be shown.
        let Some(mapping) = self.mappings.find(request.package, request.now).await? else {
            tracing::info!(package = %request.package, "withheld a package: no token is mapped to its organization");
            return Ok(FetchOutcome::Withheld);
        };
        let fetched =
            request.bound(self.fetch_mapped(organization, package_type, name, request, &mapping)).await;
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
        package_type: PackageType,
        name: &PackageName,
        request: FetchRequest<'_>,
        mapping: &SecretMapping,
    ) -> Result<FetchOutcome, FetchError> {
        let secret_id = &mapping.secret_id;
        let Some(token) = self.tokens.get(secret_id, request.now).await? else {
            return Err(FetchError::Refused(format!("the secret {secret_id} holds no token")));
        };
        // The last page, and its retries, may take the rest of the time.
        let pages_until = Instant::now() + self.http.timeouts().pages.min(request.timeout.mul_f64(0.75));
        let is_speculative = !matches!(request.state, PackageState::Known(_));
        let fetch = async |token: &Token| {
            let credential = Credential { token, api: Api::GitHub { is_speculative } };
            let FetchRequest { validators: known, spelling, now, .. } = request;
            let has_consent = mapping.of_package;
            self.look_up(Lookup {
                organization,
                package_type,
                name,
                spelling,
                now,
                known,
                credential,
                has_consent,
                pages_until,
            })
            .await
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

    /// Looks up a package of an organization or of a user: the name does not say which. No documentation says whether
    /// the case of a name matters, so it is looked up as its reader wrote it, in lower case, and as GitHub lists it.
    async fn look_up(&self, lookup: Lookup<'_>) -> Result<FetchOutcome, FetchError> {
        let Lookup { name, spelling, known, .. } = lookup;
        let owners = self.url("")?;
        let is_of_owner = |url: &&String| {
            let path = url.strip_prefix(owners.as_str());
            path.is_some_and(|path| path.starts_with("orgs/") || path.starts_with("users/"))
        };
        let found_as = known.keys().filter(is_of_owner).find_map(|url| spelling_in(url, name));
        let mut spellings = Vec::new();
        for spelling in [found_as.as_deref(), spelling, Some(name.as_str())].into_iter().flatten() {
            if !spellings.contains(&spelling) {
                spellings.push(spelling);
            }
        }
        let owner_kinds = self.owner_kinds(known)?;
        for owner_kind in owner_kinds {
            for spelling in &spellings {
                let fetched = self.fetch_from(owner_kind, spelling, lookup).await?;
                if !matches!(fetched, FetchOutcome::NotFound) {
                    return Ok(fetched);
                }
            }
        }
        for owner_kind in owner_kinds {
            if let Some(listed) = self.listed(owner_kind, lookup).await?
                && !spellings.contains(&&*listed)
            {
                return self.fetch_from(owner_kind, &listed, lookup).await;
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

    async fn fetch_from(
        &self,
        owner_kind: &str,
        spelling: &str,
        lookup: Lookup<'_>,
    ) -> Result<FetchOutcome, FetchError> {
        let Lookup { organization, package_type, name, known, has_consent, .. } = lookup;
        let kind = package_type.as_str();
        let package = format!("{owner_kind}/{organization}/packages/{kind}/{}", segment(spelling));
        let (versions, package) =
            (format!("{package}/versions?per_page={}", pages::PER_PAGE), self.url(&package)?);
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
        let first = self.url(&versions)?;
        let names = pages::walk(&self.http, &first, lookup, &mut validators).await?;
        let Some(names) = names else { return Ok(FetchOutcome::NotFound) };
        if validators == *known {
            return Ok(FetchOutcome::Unchanged);
        }
        let versions = versions_of(package_type.provider(), &names);
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
        let get =
            Get { url, validator, credential: Some(lookup.credential), redirects: Redirects::SameOrigin };
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

/// The versions in names or tags, which are newest first. If no tag is a version, the newest tag.
fn versions_of(provider: Provider, names: &[String]) -> Versions {
    let scheme = provider.scheme();
    if scheme != Scheme::Tags {
        return names.iter().filter_map(|name| scheme.parse(name)).collect();
    }
    // Signatures and attestations of images are tagged with the digest of their image:
    // <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>
    let names = names.iter().filter(|name| !name.starts_with("sha256-"));
    let (tags, versions): (Vec<_>, Vec<_>) =
        names.filter_map(|name| scheme.parse(name)).partition(|one| matches!(one, Version::Tag(_)));
    if versions.is_empty() { tags.into_iter().take(1).collect() } else { versions.into_iter().collect() }
}

/// Encodes a name as one segment of a path.
fn segment(name: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(name, ESCAPED).to_string()
}

/// The spelling of a name in the URL of a document of the package.
fn spelling_in(url: &str, name: &PackageName) -> Option<String> {
    let segments = url.split(['/', '?']).map(|segment| percent_decode_str(segment).decode_utf8_lossy());
    let mut spellings = segments.filter(|segment| segment.eq_ignore_ascii_case(name.as_str()));
    spellings.next_back().map(Cow::into_owned)
}
