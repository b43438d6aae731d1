//! The Lambda function `refresher`.

use badgesmith_aws::clock::Clock;
use badgesmith_aws::{sdk, telemetry};
use badgesmith_domain::timestamp::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use refresher::{App, Settings};

fn main() -> Result<(), Error> {
    telemetry::start();
    let app = App::new(&sdk::config_from_env()?, Settings::from_env()?, Clock::System);
    let app = &app;
    let handler = service_fn(move |event: LambdaEvent<_>| async move {
        let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
        app.handle(event.payload, Timestamp::from_unix_milliseconds(deadline)).await.map_err(Error::from)
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(lambda_runtime::run(handler))
}
