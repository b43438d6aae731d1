//! A function that makes the three calls of a post, one after the other, and verifies nothing.

use aws_sdk_dynamodb::types::AttributeValue;
use badgesmith_aws::{env, sdk};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use uuid::Uuid;

fn main() -> Result<(), Error> {
    let config = sdk::config_from_env()?;
    let tables = &aws_sdk_dynamodb::Client::new(&config);
    let queues = &aws_sdk_sqs::Client::new(&config);
    let table = &env::required(env::NONCES_TABLE)?;
    let queue = &env::required(env::RESULTS_QUEUE_URL)?;
    let handler = service_fn(async |event: LambdaEvent<Value>| {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let key = format!("NONCE#acme/kit#{}", Uuid::new_v4());
        tables
            .put_item()
            .table_name(table)
            .item("PK", text(&key))
            .item("SK", text("META"))
            .item("State", text("RESERVED"))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", "PK")
            .send()
            .await?;
        let body = event.payload.get("body").and_then(Value::as_str).unwrap_or_default();
        queues.send_message().queue_url(queue).message_body(body).send().await?;
        tables
            .update_item()
            .table_name(table)
            .key("PK", text(&key))
            .key("SK", text("META"))
            .update_expression("SET #state = :state")
            .expression_attribute_names("#state", "State")
            .expression_attribute_values(":state", text("ENQUEUED"))
            .send()
            .await?;
        Ok::<_, Error>(json!({ "statusCode": 202 }))
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(lambda_runtime::run(handler))
}
