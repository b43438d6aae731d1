//! A function that makes the one call of a badge that is not in memory, and ignores its result.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use badgesmith_aws::{env, sdk};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

fn main() -> Result<(), Error> {
    let client = &Client::new(&sdk::config_from_env()?);
    let table = &env::required(env::TEST_RESULTS_TABLE)?;
    let handler = service_fn(async |_: LambdaEvent<Value>| {
        let output = client
            .query()
            .table_name(table)
            .index_name("GSI1")
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", "GSI1PK")
            .expression_attribute_values(":pk", AttributeValue::S("LATEST#acme#kit#main".to_owned()))
            .scan_index_forward(false)
            .limit(301)
            .send()
            .await?;
        Ok::<_, Error>(json!({ "statusCode": if output.items().is_empty() { 404 } else { 200 } }))
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(lambda_runtime::run(handler))
}
