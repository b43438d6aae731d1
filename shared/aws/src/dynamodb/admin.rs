//! Calls of operators on any table.

use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;

use super::{Item, PK, string};
use crate::sdk::AwsError;

/// What `DescribeTable` says about a table.
#[derive(Debug, Clone)]
pub struct TableDescription {
    /// `ACTIVE` once the table can be used.
    pub status: String,
    /// The number of items, which DynamoDB updates every six hours.
    pub items: i64,
    pub has_deletion_protection: bool,
}

/// Describes a table.
///
/// # Errors
/// [`AwsError`] when the call failed, or the table does not exist.
pub async fn describe_table(config: &SdkConfig, name: &str) -> Result<TableDescription, AwsError> {
    let described = Client::new(config).describe_table().table_name(name).send().await;
    let output = described.map_err(|error| AwsError::new("dynamodb:DescribeTable", error))?;
    let table = output.table;
    let status = table.as_ref().and_then(|table| table.table_status.clone());
    Ok(TableDescription {
        status: status.map_or_else(|| "unknown".to_owned(), |status| status.as_str().to_owned()),
        items: table.as_ref().and_then(|table| table.item_count).unwrap_or_default(),
        has_deletion_protection: table
            .and_then(|table| table.deletion_protection_enabled)
            .unwrap_or_default(),
    })
}

/// Deletes the item with this key, if there is one.
pub(super) async fn delete_item(client: &Client, table: &str, key: Item) -> Result<(), AwsError> {
    let deleted = client.delete_item().table_name(table).set_key(Some(key)).send().await;
    deleted.map(drop).map_err(|error| AwsError::new("dynamodb:DeleteItem", error))
}

/// All items whose partition key begins with `prefix`, in no order. Reads the whole table.
pub(super) async fn scan(client: &Client, table: &str, prefix: &str) -> Result<Vec<Item>, AwsError> {
    let (mut items, mut start) = (Vec::new(), None);
    loop {
        let output = client
            .scan()
            .table_name(table)
            .filter_expression("begins_with(#pk, :prefix)")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":prefix", string(prefix))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:Scan", error))?;
        items.extend(output.items.unwrap_or_default());
        start = output.last_evaluated_key;
        if start.is_none() {
            return Ok(items);
        }
    }
}
