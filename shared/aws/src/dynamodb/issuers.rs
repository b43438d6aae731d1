//! The public keys of issuers of ID tokens, in the table of registrations.

use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;
use badgesmith_domain::issuer::{Issuer, KeySet};
use badgesmith_domain::key;
use badgesmith_domain::package_record::Validator;
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Consistency, Item, StoreError, corrupt, get_item, item_key, required, string};
use crate::sdk::AwsError;

/// The keys, as a JSON Web Key Set.
const KEYS: &str = "Keys";
/// The URL that they are from.
const KEY_SET_URL: &str = "KeySetUrl";
/// The validators of both documents, as JSON.
const DISCOVERY: &str = "DiscoveryValidator";
const KEY_SET: &str = "KeySetValidator";
const FETCHED_AT: &str = "FetchedAt";

/// The issuers in the table of registrations.
#[derive(Debug, Clone)]
pub struct Issuers {
    client: Client,
    table: String,
}

/// The keys of an issuer, and what a conditional request for them needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRecord {
    pub keys: KeySet,
    pub key_set_url: String,
    /// Of the document with this URL.
    pub discovery: Validator,
    /// Of the document with the keys.
    pub key_set: Validator,
}

impl Issuers {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// The keys of an issuer; `None` before they were fetched. May miss a change of the last second.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item is corrupt.
    pub async fn keys(&self, issuer: &Issuer) -> Result<Option<KeySet>, StoreError> {
        let item = self.read(issuer, Consistency::Eventual).await?;
        item.map(|item| json(&item, KEYS)).transpose()
    }

    /// The keys of an issuer with their validators; `None` before they were fetched.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item is corrupt.
    pub async fn find(&self, issuer: &Issuer) -> Result<Option<IssuerRecord>, StoreError> {
        let item = self.read(issuer, Consistency::Strong).await?;
        item.map(|item| to_record(&item)).transpose()
    }

    /// Stores the keys of an issuer.
    ///
    /// # Errors
    /// [`AwsError`] if the call failed. It may have taken effect all the same.
    pub async fn put(&self, issuer: &Issuer, record: &IssuerRecord, now: Timestamp) -> Result<(), AwsError> {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(issuer, record, now)?))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:PutItem", error))?;
        Ok(())
    }

    async fn read(&self, issuer: &Issuer, consistency: Consistency) -> Result<Option<Item>, AwsError> {
        let key = item_key(&key::issuer_partition(issuer), key::META);
        get_item(&self.client, &self.table, key, consistency).await
    }
}

fn to_item(issuer: &Issuer, record: &IssuerRecord, now: Timestamp) -> Result<Item, AwsError> {
    let mut item = item_key(&key::issuer_partition(issuer), key::META);
    for (name, value) in [
        (KEYS, to_json(&record.keys)?),
        (KEY_SET_URL, record.key_set_url.clone()),
        (DISCOVERY, to_json(&record.discovery)?),
        (KEY_SET, to_json(&record.key_set)?),
        (FETCHED_AT, now.to_string()),
    ] {
        item.insert(name.to_owned(), string(value));
    }
    Ok(item)
}

fn to_record(item: &Item) -> Result<IssuerRecord, StoreError> {
    Ok(IssuerRecord {
        keys: json(item, KEYS)?,
        key_set_url: required(item, KEY_SET_URL)?,
        discovery: json(item, DISCOVERY)?,
        key_set: json(item, KEY_SET)?,
    })
}

fn to_json(value: &impl Serialize) -> Result<String, AwsError> {
    serde_json::to_string(value).map_err(|error| AwsError::unexpected("building a request", error))
}

/// Parses an attribute with JSON.
fn json<T: DeserializeOwned>(item: &Item, name: &'static str) -> Result<T, StoreError> {
    let text: String = required(item, name)?;
    serde_json::from_str(&text).map_err(|_| corrupt(item, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_and_a_corrupt_one_names_the_attribute() {
        let modulus = "B".repeat(341);
        let key = format!(r#"{{"kty":"RSA","kid":"one","n":"{modulus}A","e":"AQAB"}}"#);
        let record = IssuerRecord {
            keys: serde_json::from_str(&format!(r#"{{"keys":[{key}]}}"#)).unwrap(),
            key_set_url: "https://issuer.test/keys".to_owned(),
            discovery: Validator { etag: Some("\"1\"".to_owned()), ..Validator::default() },
            key_set: Validator::default(),
        };
        let issuer: Issuer = "https://issuer.test/a%23b".parse().unwrap();
        let item = to_item(&issuer, &record, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(to_record(&item).unwrap(), record);
        for name in [KEYS, DISCOVERY, KEY_SET] {
            let mut item = item.clone();
            item.insert(name.to_owned(), string(r#"{"keys":[],"etag":7}"#));
            let error = to_record(&item).unwrap_err().to_string();
            let key = "ISSUER#https://issuer.test/a%2523b META";
            assert_eq!(error, format!("corrupt item {key}: {name} is missing or invalid"));
        }
    }
}
