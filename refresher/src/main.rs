//! The Lambda function `refresher`.

use badgesmith_aws::clock::Clock;
use badgesmith_aws::{sdk, telemetry};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use refresher::{App, Settings};

fn main() -> Result<(), Error> {
    telemetry::start();
    let app = App::new(&sdk::config_from_env()?, Settings::from_env()?, Clock::System);
    let app = &app;
    let handler = service_fn(move |event: LambdaEvent<_>| async move { app.handle(event).await });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(lambda_runtime::run(handler))
}
