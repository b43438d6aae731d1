//! Worlds whose repositories submit results with ID tokens.

use badgesmith_aws::dynamodb::{IssuerRecord, Issuers, Owners};
use badgesmith_domain::package_record::Validator;
use badgesmith_domain::service_url::ServiceUrl;
use ingest_api::OidcSettings;
use local::stack::SECRETS_TABLE;
use serde_json::{Value, json};

use super::World;
use crate::client::{Post, result, with};
use crate::id_token::{KEYS, audience, claims};
use crate::upstream::Upstream;

/// The address of a world that accepts ID tokens.
pub const SERVICE: &str = "https://badges.example.com";
/// A repository that is not registered before its first token.
pub const KEYLESS: &str = "acme/keyless";
/// The issuer of [`World::keyless`].
pub const ISSUER: &str = "https://issuer.example.com";

impl World {
    /// A world that accepts ID tokens of [`ISSUER`] for [`SERVICE`], and knows the first of [`KEYS`]. The repositories of
    /// `owners` register themselves.
    pub async fn keyless(owners: &str) -> Self {
        let mut world = Self::new();
        world.upstreams.oidc = Some(oidc(ISSUER, owners));
        world.restart_functions();
        world.set_issuer_keys(&json!({ "keys": [KEYS[0].jwk()] })).await;
        world
    }

    /// A world with the issuer of `upstream`, whose keys it does not know yet.
    pub fn with_issuer(upstream: &Upstream, owners: &str) -> Self {
        let mut world = Self::with_upstream(upstream);
        world.upstreams.oidc = Some(oidc(&upstream.issuer(), owners));
        world.restart_functions();
        world
    }

    /// Replaces what is stored of the keys of [`ISSUER`].
    pub async fn set_issuer_keys(&self, key_set: &Value) {
        let record = IssuerRecord {
            keys: serde_json::from_value(key_set.clone()).unwrap(),
            key_set_url: format!("{ISSUER}/keys"),
            discovery: Validator::default(),
            key_set: Validator::default(),
        };
        let issuers = Issuers::new(&self.sdk_config(), SECRETS_TABLE.to_owned());
        issuers.put(&ISSUER.parse().unwrap(), &record, self.now()).await.unwrap();
    }

    /// The fields of a result of [`KEYLESS`].
    pub fn keyless_result(&self) -> Value {
        with(result(self.now()), &json!({ "repo": "keyless" }))
    }

    /// A post of one result of a repository with an ID token of [`ISSUER`].
    pub fn keyless_post_of(&self, repository: &str) -> Post {
        let (owner, repo) = repository.split_once('/').unwrap();
        self.keyless_post(&with(result(self.now()), &json!({ "owner": owner, "repo": repo })), &json!({}))
    }

    /// A post of `body` with an ID token of [`ISSUER`] for it that has some other claims.
    pub fn keyless_post(&self, body: &Value, changed: &Value) -> Post {
        Post::unsigned(body).header("x-id-token", KEYS[0].token(&with(self.claims(ISSUER, body), changed)))
    }

    /// The claims of a token for `body`, of a job after a push to `main` of its repository.
    pub fn claims(&self, issuer: &str, body: &Value) -> Value {
        let text = |name: &str| body[name].as_str().unwrap();
        let repository = format!("{}/{}", text("owner"), text("repo"));
        let claims = claims(issuer, &audience(SERVICE, &body.to_string()), self.now());
        with(claims, &json!({ "repository": repository, "repository_owner": text("owner") }))
    }

    /// Restarts the functions with other owners whose repositories register themselves.
    pub fn set_oidc_owners(&mut self, owners: &str) {
        self.upstreams.oidc.as_mut().unwrap().owners = owners.parse().unwrap();
        self.restart_functions();
    }

    /// The owners of repositories that use ID tokens, without faults.
    pub fn owners(&self) -> Owners {
        Owners::new(&self.sdk_config(), SECRETS_TABLE.to_owned())
    }
}

fn oidc(issuer: &str, owners: &str) -> OidcSettings {
    OidcSettings {
        issuer: issuer.parse().unwrap(),
        owners: owners.parse().unwrap(),
        services: ServiceUrl::parse_list(SERVICE).unwrap(),
    }
}
