//! The Lambda function `ingest-api`.

use std::convert::Infallible;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::{sdk, telemetry};
use ingest_api::{App, Settings};
use lambda_runtime::{Error, LambdaEvent, service_fn};

fn main() -> Result<(), Error> {
    telemetry::start();
    let app = App::new(&sdk::config_from_env()?, Settings::from_env()?, Clock::System);
    let app = &app;
    let handler =
        service_fn(move |event: LambdaEvent<_>| async move { Ok::<_, Infallible>(app.invoke(event).await) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(app.warm_up());
    runtime.block_on(lambda_runtime::run(handler))
}
