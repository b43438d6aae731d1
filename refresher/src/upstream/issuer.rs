//! An issuer of ID tokens: its discovery document and its key set.
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>

use std::sync::Arc;

use badgesmith_aws::dynamodb::IssuerRecord;
use badgesmith_domain::issuer::Issuer;
use badgesmith_domain::package_record::Validator;
use serde::Deserialize;
use url::Url;

use super::fetch::FetchError;
use super::http_client::HttpClient;
use super::request::{Get, Redirects};
use super::response::{Document, Response};

#[derive(Debug)]
pub(crate) struct IssuerDocuments {
    http: Arc<HttpClient>,
    issuer: Issuer,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl IssuerDocuments {
    pub(crate) fn new(http: Arc<HttpClient>, issuer: Issuer) -> Self {
        Self { http, issuer }
    }

    /// Fetches the keys of the issuer; `None` if neither document has changed since `known`.
    ///
    /// # Errors
    /// [`FetchError`] if a document was not fetched, or is not as specified. `known` stays valid.
    pub(crate) async fn fetch(
        &self,
        known: Option<&IssuerRecord>,
    ) -> Result<Option<IssuerRecord>, FetchError> {
        let url = Url::parse(&self.issuer.discovery())
            .map_err(|error| FetchError::Failed(format!("the URL of the issuer is invalid: {error}")))?;
        let discovery = self.get(&url, known.map(|known| &known.discovery)).await?;
        let key_set_url = match (&discovery, known) {
            (Some(document), _) => self.key_set_url(&url, document)?,
            (None, Some(known)) => parse_key_set_url(&url, &known.key_set_url)?,
            (None, None) => {
                return Err(FetchError::Failed(format!(
                    "{url} responded with 304 to an unconditional request"
                )));
            }
        };
        // A validator is only for the document that it came with.
        let known_keys = known.filter(|known| known.key_set_url == key_set_url.as_str());
        let key_set = self.get(&key_set_url, known_keys.map(|known| &known.key_set)).await?;
        if discovery.is_none() && key_set.is_none() {
            return Ok(None);
        }
        let (keys, key_set) = match (key_set, known_keys) {
            (Some(document), _) => (document.json(&key_set_url)?, document.validator),
            (None, Some(known)) => (known.keys.clone(), known.key_set.clone()),
            (None, None) => {
                return Err(FetchError::Failed(format!(
                    "{key_set_url} responded with 304 to an unconditional request"
                )));
            }
        };
        Ok(Some(IssuerRecord {
            keys,
            key_set_url: key_set_url.into(),
            discovery: discovery
                .map(|document| document.validator)
                .or_else(|| known.map(|known| known.discovery.clone()))
                .unwrap_or_default(),
            key_set,
        }))
    }

    /// Requests a document; `None` if it is the one that `validator` is from.
    async fn get(&self, url: &Url, validator: Option<&Validator>) -> Result<Option<Document>, FetchError> {
        let get = Get { url, validator, credential: None, redirects: Redirects::SameOrigin };
        match self.http.get(get).await? {
            Response::Found(document) => Ok(Some(document)),
            Response::NotModified => Ok(None),
            Response::NotFound => Err(FetchError::Failed(format!("{url} does not exist"))),
        }
    }

    fn key_set_url(&self, url: &Url, document: &Document) -> Result<Url, FetchError> {
        let Discovery { issuer, jwks_uri } = document.json(url)?;
        if issuer != self.issuer.as_str() {
            return Err(FetchError::Failed(format!("{url} names an issuer other than {}", self.issuer)));
        }
        parse_key_set_url(url, &jwks_uri)
    }
}

/// Parses the URL of a key set. Its origin must be that of the discovery document.
fn parse_key_set_url(discovery: &Url, text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).ok().filter(|url| url.origin() == discovery.origin());
    url.ok_or_else(|| FetchError::Failed(format!("{discovery} has a jwks_uri on another host, or none")))
}
