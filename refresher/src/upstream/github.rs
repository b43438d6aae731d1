//! GitHub Packages: <https://docs.github.com/en/rest/packages/packages>

use std::sync::Arc;

use badgesmith_aws::dynamodb::{SecretMapping, SecretMappings};
use badgesmith_domain::package::{Organization, PackageName};
use badgesmith_domain::package_record::{PackageState, Validator, Validators};
use badgesmith_domain::version::{NuGetVersion, Versions};
use serde::Deserialize;
use url::Url;

use super::http::{Credential, Get, Http};
use super::reply::Reply;
use super::{Ask, FetchError, Fetched, Found, Part, within};
use crate::tokens::{Token, Tokens};

/// The most that GitHub takes.
const PER_PAGE: usize = 100;
/// As many versions as are kept.
const PAGES_MAX: usize = Versions::MAX / PER_PAGE;

/// GitHub's REST API.
#[derive(Debug)]
pub(crate) struct GitHub {
    http: Arc<Http>,
    api: Url,
    mappings: SecretMappings,
    tokens: Tokens,
}

#[derive(Deserialize)]
struct Package {
    visibility: Visibility,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Visibility {
    Public,
    Private,
    Internal,
}

/// A version of a package.
#[derive(Deserialize)]
struct Version {
    name: Option<String>,
}

/// What a walk over all pages found.
enum Walked {
    Unchanged,
    Missing,
    Found(Vec<NuGetVersion>),
}

impl GitHub {
    pub(crate) fn new(http: Arc<Http>, api: Url, mappings: SecretMappings, tokens: Tokens) -> Self {
        Self { http, api, mappings, tokens }
    }

    pub(crate) async fn fetch(
        &self,
        organization: &Organization,
        name: &PackageName,
        ask: Ask<'_>,
    ) -> Result<Fetched, FetchError> {
        // Asked every time: what is no longer mapped must not be shown any longer.
        let Some(mapping) = self.mappings.find(organization, name, ask.now).await? else {
            tracing::info!(package = %ask.package, "not shown: no token is mapped to its organisation");
            return Ok(Fetched::Withheld);
        };
        let was_shown_by_consent = matches!(ask.state, PackageState::Known(known) if known.private);
        match within(ask.time, self.fetch_mapped(organization, name, ask, &mapping)).await {
            // The consent is gone, and nobody can say that the package is public by now.
            Err(error) if was_shown_by_consent && !mapping.of_package => {
                tracing::warn!(package = %ask.package, %error, "withheld, since its mapping is gone");
                Ok(Fetched::Withheld)
            }
            Ok(Fetched::Missing) if was_shown_by_consent && !mapping.of_package => Ok(Fetched::Withheld),
            fetched => fetched,
        }
    }

    async fn fetch_mapped(
        &self,
        organization: &Organization,
        name: &PackageName,
        ask: Ask<'_>,
        mapping: &SecretMapping,
    ) -> Result<Fetched, FetchError> {
        let SecretMapping { secret_id, of_package } = mapping;
        let Some(token) = self.tokens.of(secret_id, ask.now).await? else {
            return Err(FetchError::Refused(format!("the secret {secret_id} holds no token")));
        };
        let is_speculative = !matches!(ask.state, PackageState::Known(_));
        let fetch = async |token: &Token| {
            let credential = Credential { token, is_speculative };
            self.with_credential(organization, name, ask.validators, credential, *of_package).await
        };
        match fetch(&token).await {
            // The secret may have been rotated since it was read.
            Err(refused @ FetchError::Refused(_)) => match self.tokens.instead_of(&token, ask.now).await? {
                Some(token) => fetch(&token).await,
                None => Err(refused),
            },
            fetched => fetched,
        }
    }

    /// Asks for the package of an organisation, or else of a user.
    async fn with_credential(
        &self,
        organization: &Organization,
        name: &PackageName,
        known: &Validators,
        credential: Credential<'_>,
        of_package: bool,
    ) -> Result<Fetched, FetchError> {
        let mut owners = ["orgs", "users"];
        let of_users = self.url("users/")?;
        if known.keys().any(|url| url.starts_with(of_users.as_str())) {
            owners.reverse();
        }
        for owner in owners {
            let package = self.url(&format!("{owner}/{organization}/packages/nuget/{name}"))?;
            let mut validators = Validators::new();
            if !of_package {
                match self.is_public(&package, known, credential, &mut validators).await? {
                    None => continue,
                    Some(false) => {
                        tracing::info!(%organization, %name, "not shown: not public, and no token is mapped to it alone");
                        return Ok(Fetched::Withheld);
                    }
                    Some(true) => {}
                }
            }
            let first = format!("{owner}/{organization}/packages/nuget/{name}/versions?per_page={PER_PAGE}");
            let first = self.url(&first)?;
            let mut walked = self.walk(&first, known, credential, &mut validators).await?;
            if walked.is_none() {
                // A later page has changed, so all are needed.
                walked = self.walk(&first, &Validators::new(), credential, &mut validators).await?;
            }
            match walked {
                Some(Walked::Missing) => {}
                // The visibility's document may have changed all the same, and its validator with it.
                Some(Walked::Unchanged) if validators == *known => return Ok(Fetched::Unchanged),
                Some(Walked::Unchanged) => {
                    return Ok(Fetched::Found(Found {
                        parts: vec![Part::All],
                        validators,
                        private: of_package,
                    }));
                }
                Some(Walked::Found(versions)) => {
                    let parts = vec![Part::Listed(versions)];
                    return Ok(Fetched::Found(Found { parts, validators, private: of_package }));
                }
                None => return Err(FetchError::Failed(format!("{first} changes while it is read"))),
            }
        }
        Ok(Fetched::Missing)
    }

    /// Whether everybody may see the package; `None` when there is none. Only of a public one is there a
    /// validator, so what has not changed is public.
    async fn is_public(
        &self,
        url: &Url,
        known: &Validators,
        credential: Credential<'_>,
        validators: &mut Validators,
    ) -> Result<Option<bool>, FetchError> {
        let validator = known.get(url.as_str());
        let validator = match self.http.get(Get { url, validator, credential: Some(credential) }).await? {
            Reply::Missing => return Ok(None),
            Reply::Unchanged => validator.cloned().unwrap_or_default(),
            Reply::Found(document) => {
                let Package { visibility } = document.json(url)?;
                if visibility != Visibility::Public {
                    return Ok(Some(false));
                }
                document.validator
            }
        };
        validators.insert(url.to_string(), validator);
        Ok(Some(true))
    }

    /// Reads all pages from `first` on. Every page has its own entity tag, and a deletion may change a later
    /// one alone: all are asked for. `None` when one behind the first has changed while those before have not.
    async fn walk(
        &self,
        first: &Url,
        known: &Validators,
        credential: Credential<'_>,
        validators: &mut Validators,
    ) -> Result<Option<Walked>, FetchError> {
        let mut url = first.clone();
        let mut versions: Option<Vec<NuGetVersion>> = None;
        for page in 0..PAGES_MAX {
            // Once one has come whole, the others must.
            let validator = known.get(url.as_str()).filter(|_| versions.is_none());
            let validator =
                match self.http.get(Get { url: &url, validator, credential: Some(credential) }).await? {
                    Reply::Missing => return Ok(Some(Walked::Missing)),
                    Reply::Unchanged => validator.cloned().unwrap_or_default(),
                    Reply::Found(_) if page > 0 && versions.is_none() => return Ok(None),
                    Reply::Found(document) => {
                        let named: Vec<Version> = document.json(&url)?;
                        if page == 0 && named.is_empty() {
                            // A package without a version is none.
                            return Ok(Some(Walked::Missing));
                        }
                        // Whatever was pushed has a name; what is no version is none of ours.
                        let found = named.iter().filter_map(|version| version.name.as_deref()?.parse().ok());
                        versions.get_or_insert_default().extend(found);
                        let next = document.link.as_deref().and_then(next_page);
                        Validator { next, ..document.validator }
                    }
                };
            let next = validator.next.clone();
            validators.insert(url.to_string(), validator);
            let Some(next) = next else { break };
            url = self.same_origin(&next)?;
        }
        Ok(Some(versions.map_or(Walked::Unchanged, Walked::Found)))
    }

    fn url(&self, path: &str) -> Result<Url, FetchError> {
        let url = format!("{}/{path}", self.api.as_str().trim_end_matches('/'));
        Url::parse(&url).map_err(|_| FetchError::Failed(format!("{url} is no address")))
    }

    /// An address that GitHub gave. It may look like anything, but the token goes nowhere else.
    fn same_origin(&self, address: &str) -> Result<Url, FetchError> {
        let url = Url::parse(address).ok().filter(|url| url.origin() == self.api.origin());
        url.ok_or_else(|| FetchError::Failed("the next page is said to be on another host".to_owned()))
    }
}

/// The address with `rel="next"` in a `Link` header (RFC 8288): `<URL>; rel="next", <URL>; rel="last"`.
fn next_page(link: &str) -> Option<String> {
    link.split('<').find_map(|entry| {
        let (address, parameters) = entry.split_once('>')?;
        let mut parameters = parameters.split([';', ',']).map(str::trim);
        let is_next = parameters.any(|parameter| matches!(parameter, "rel=\"next\"" | "rel=next"));
        is_next.then(|| address.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_wherever_it_stands() {
        let last = "<https://api.example.test/x?page=3>; rel=\"last\"";
        let next = "<https://api.example.test/x?a=1,2;b&page=2>; rel=\"next\"";
        let address = Some("https://api.example.test/x?a=1,2;b&page=2".to_owned());
        assert_eq!(next_page(&format!("{next}, {last}")), address);
        assert_eq!(next_page(&format!("{last}, {next}")), address);
        assert_eq!(next_page(&next.replace('"', "")), address);
        for none in [last, "", "<https://x>", "rel=\"next\"", "<https://x>; rel=\"prev\", <https://y>"] {
            assert_eq!(next_page(none), None, "{none}");
        }
    }
}
