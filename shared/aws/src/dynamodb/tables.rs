//! Tables as such, whatever is in them.

use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;

use crate::sdk::AwsError;

/// The state of a table, `ACTIVE` when all is well.
///
/// # Errors
/// [`AwsError`] when DynamoDB could not be asked, or there is no such table.
pub async fn table_status(config: &SdkConfig, name: &str) -> Result<String, AwsError> {
    let output = Client::new(config).describe_table().table_name(name).send().await;
    let output = output.map_err(|error| AwsError::new("dynamodb:DescribeTable", error))?;
    let status = output.table.and_then(|table| table.table_status);
    Ok(status.map_or_else(|| "unknown".to_owned(), |status| status.as_str().to_owned()))
}
