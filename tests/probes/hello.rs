//! A function that does nothing: what every cold start costs.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

fn main() -> Result<(), Error> {
    let handler = service_fn(async |event: LambdaEvent<Value>| {
        // The statuses of the functions, so that the same check holds for both.
        let method = event.payload.pointer("/requestContext/http/method").and_then(Value::as_str);
        let is_post = method == Some("POST");
        Ok::<_, Error>(json!({ "statusCode": if is_post { 202 } else { 200 }, "body": "hello" }))
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(lambda_runtime::run(handler))
}
