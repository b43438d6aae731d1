//! All embedded services behind one HTTP client.

use std::fs::File;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::sdk;
use tokio::task::spawn_blocking;

use crate::database::Database;
use crate::dynamodb::Tables;
use crate::error::{OpenError, ServiceError};
use crate::event_bridge::EventBuses;
use crate::secrets_manager::Secrets;
use crate::sqs::{HOST, Queues};
use crate::storage::Storage;
use crate::template::Template;

/// All embedded services. Clones share their data.
#[derive(Debug, Clone)]
pub struct Aws(Arc<Services>);

#[derive(Debug)]
struct Services {
    tables: Tables,
    queues: Queues,
    secrets: Secrets,
    event_buses: EventBuses,
    /// The database of queues and secrets.
    database: Database,
    /// Keeps other processes out of the data directory.
    _lock: Option<File>,
}

impl Aws {
    /// Opens the services with the resources of `template`; they take the time from `clock`.
    ///
    /// # Errors
    /// [`OpenError`] when the data cannot be used.
    pub fn open(storage: &Storage, template: &Template, clock: &Clock) -> Result<Self, OpenError> {
        let lock = storage.lock()?;
        let database = Database::open(storage)?;
        let path = storage.database("tables.sqlite3")?;
        let tables = Tables::open(path.as_deref(), &template.tables)
            .map_err(|error| OpenError::Tables(error.message()))?;
        let queues = Queues::open(database.clone(), &template.queues, clock.clone())?;
        let secrets = Secrets::open(database.clone(), clock.clone())?;
        template.secrets.iter().try_for_each(|name| secrets.generate(name))?;
        database.calls.sync()?;
        tables.calls.sync()?;
        storage.mark()?;
        Ok(Self(Arc::new(Services {
            tables,
            event_buses: EventBuses::new(
                &template.event_buses,
                &template.rules,
                queues.clone(),
                clock.clone(),
            ),
            queues,
            secrets,
            database,
            _lock: lock,
        })))
    }

    /// The configuration of an SDK that sends its requests to these services.
    pub fn sdk_config(&self) -> SdkConfig {
        config(SharedHttpClient::new(self.clone()))
    }

    pub fn queues(&self) -> &Queues {
        &self.0.queues
    }

    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// Deletes expired items, messages and secrets, as AWS does in the background.
    ///
    /// # Errors
    /// The error message from SQLite.
    pub async fn sweep(&self) -> Result<(), String> {
        let services = Arc::clone(&self.0);
        // Not one of the calls, because it takes long. It lets them through in between.
        let swept = spawn_blocking(move || services.tables.delete_expired_items()).await;
        swept.map_err(|error| error.to_string())?.map_err(|error| error.message())?;
        let services = Arc::clone(&self.0);
        let calls = self.0.database.calls.run(move || {
            services.queues.delete_expired_messages()?;
            services.secrets.delete_expired()
        });
        calls.await.map_err(|error| error.message())
    }

    /// Answers one request. `target` is the `X-Amz-Target` header, such as `AmazonSQS.SendMessage`. Queue URLs in the
    /// response begin with `host`.
    pub(crate) async fn answer(
        &self,
        host: &str,
        target: &str,
        body: Vec<u8>,
    ) -> Result<String, ServiceError> {
        let services = Arc::clone(&self.0);
        let (service, operation) = target.split_once('.').ok_or_else(|| ServiceError::unknown(target))?;
        let operation = operation.to_owned();
        let calls = &self.0.database.calls;
        match service {
            "AmazonSQS" if operation == "ReceiveMessage" => services.queues.receive(&body).await,
            "AmazonSQS" => {
                let host = host.to_owned();
                calls.run(move || services.queues.call(&host, &operation, &body)).await
            }
            "DynamoDB_20120810" => {
                self.0.tables.calls.run(move || services.tables.call(&operation, &body)).await
            }
            "secretsmanager" => calls.run(move || services.secrets.call(&operation, &body)).await,
            "AWSEvents" => calls.run(move || services.event_buses.call(&operation, &body)).await,
            _ => Err(ServiceError::unknown(target)),
        }
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let aws = self.clone();
        HttpConnectorFuture::new(async move {
            let (status, body) = match aws.answer(HOST, &target, body).await {
                Ok(body) => (200, body),
                Err(error) => (error.status, error.body),
            };
            Ok(response(status, body))
        })
    }
}

impl HttpClient for Aws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// The configuration of an SDK that sends its requests through `http_client`, such as a wrapper around [`Aws`] that
/// injects faults.
pub fn config(http_client: SharedHttpClient) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    sdk::config("local".to_owned(), credentials, http_client)
}

/// A response of the AWS JSON protocol; `status` has three digits.
pub fn response(status: u16, body: impl Into<SdkBody>) -> HttpResponse {
    #[expect(clippy::expect_used, reason = "callers pass constants and the status of a `ServiceError`")]
    let status = status.try_into().expect("a status code");
    let mut response = HttpResponse::new(status, body.into());
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
