//! The AWS services that the pipeline uses, embedded: behind the HTTP client of the AWS SDK, so that
//! everything above that line is what runs on AWS.
//!
//! DynamoDB is `dynoxide`. SQS, Secrets Manager and EventBridge are small and our own, since those that can be
//! had keep their queues in memory and let events fall. All of them keep their data in SQLite: what a
//! call has answered is on disk.

#![expect(clippy::indexing_slicing, reason = "only of serde_json's values, which answer with null")]

mod dynamodb;
pub mod endpoint;
mod error;
mod event_bridge;
pub mod listener;
mod page;
mod secrets_manager;
mod sqs;
pub mod template;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
use rusqlite::Connection;

use template::{Template, TemplateError};

use error::ServiceError;

pub use secrets_manager::Secrets;
pub use sqs::Queues;

/// Where the embedded services keep their data.
#[derive(Debug, Clone)]
pub enum Storage {
    /// In memory, gone with the process.
    Memory,
    /// In SQLite files in this directory, which is made if need be.
    Directory(PathBuf),
}

/// Why the embedded services did not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be used.
    #[error("cannot use the data directory {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// SQLite refuses.
    #[error("cannot use services.sqlite3 in the data directory: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The tables cannot be opened.
    #[error("cannot use tables.sqlite3 in the data directory: {0}")]
    Tables(String),
    /// A fault in the template.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Where queues and secrets are kept; clones are the same database.
#[derive(Debug, Clone)]
struct Database(Arc<Mutex<Connection>>);

impl Database {
    fn open(storage: &Storage) -> Result<Self, OpenError> {
        let connection = match storage {
            Storage::Memory => Connection::open_in_memory()?,
            Storage::Directory(path) => {
                let connection = Connection::open(private_file(path, "services.sqlite3")?)?;
                connection.pragma_update(None, "journal_mode", "wal")?;
                // Each commit reaches the disk before it is answered.
                connection.pragma_update(None, "synchronous", "full")?;
                connection
            }
        };
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// The connection, for one caller at a time. What a panic interrupted, SQLite has rolled back.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All embedded services.
#[derive(Debug, Clone)]
pub struct Aws(Arc<Services>);

#[derive(Debug)]
struct Services {
    tables: dynamodb::Tables,
    queues: Queues,
    secrets: Secrets,
    event_buses: event_bridge::EventBuses,
    /// Held for as long as the directory is used.
    _lock: Option<File>,
}

impl Aws {
    /// Opens the services that `template` describes. Their sense of time is `clock`'s.
    ///
    /// # Errors
    /// [`OpenError`], which says what is in the way.
    pub fn open(storage: &Storage, template: &Template, clock: &Clock) -> Result<Self, OpenError> {
        let lock = match storage {
            Storage::Memory => None,
            Storage::Directory(path) => Some(lock(path)?),
        };
        let database = Database::open(storage)?;
        let path = match storage {
            Storage::Memory => None,
            Storage::Directory(path) => Some(private_file(path, "tables.sqlite3")?),
        };
        let tables = dynamodb::Tables::open(path.as_deref(), &template.tables)
            .map_err(|error| OpenError::Tables(error.message()))?;
        let queues = Queues::open(database.clone(), &template.queues, clock.clone())?;
        Ok(Self(Arc::new(Services {
            tables,
            event_buses: event_bridge::EventBuses::new(
                &template.event_buses,
                &template.rules,
                queues.clone(),
                clock.clone(),
            ),
            queues,
            secrets: Secrets::open(database, clock.clone())?,
            _lock: lock,
        })))
    }

    /// The configuration of an SDK whose requests end here.
    pub fn sdk_config(&self) -> SdkConfig {
        config(SharedHttpClient::new(self.clone()))
    }

    /// The queues, to look into and to be swept.
    pub fn queues(&self) -> &Queues {
        &self.0.queues
    }

    /// The secrets, to put some there.
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// Deletes expired items, messages and secrets, as AWS does in the background.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn sweep(&self) -> Result<(), String> {
        let services = Arc::clone(&self.0);
        blocking(move || {
            services.tables.delete_expired_items()?;
            services.queues.delete_expired_messages()?;
            services.secrets.delete_expired()
        })
        .await
        .map_err(|error| error.message())
    }

    /// Answers one request to an AWS service. `host` is where it was sent to: queues have their URLs there.
    async fn answer(&self, host: &str, target: &str, body: Vec<u8>) -> Result<String, ServiceError> {
        let services = Arc::clone(&self.0);
        let (service, operation) = target.split_once('.').ok_or_else(|| ServiceError::unknown(target))?;
        let operation = operation.to_owned();
        match service {
            "AmazonSQS" if operation == "ReceiveMessage" => services.queues.receive(&body).await,
            "AmazonSQS" => {
                let host = host.to_owned();
                blocking(move || services.queues.call(&host, &operation, &body)).await
            }
            "DynamoDB_20120810" => blocking(move || services.tables.call(&operation, &body)).await,
            "secretsmanager" => blocking(move || services.secrets.call(&operation, &body)).await,
            "AWSEvents" => blocking(move || services.event_buses.call(&operation, &body)).await,
            _ => Err(ServiceError::unknown(target)),
        }
    }
}

/// The configuration of an SDK that sends its requests through `http_client`; for one that stands between
/// the SDK and [`Aws`].
pub fn config(http_client: SharedHttpClient) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    sdk::config("local".to_owned(), credentials, http_client)
}

/// Makes sure of the directory, and that no other process has it.
fn lock(path: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Directory { path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(unusable)?;
    let file = File::create(path.join("lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// A file that nobody else may read: there are keys in it. SQLite gives the files beside it the same mode.
fn private_file(directory: &Path, name: &str) -> Result<PathBuf, OpenError> {
    let path = directory.join(name);
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    opened.map_err(|source| OpenError::Directory { path: directory.to_owned(), source })?;
    Ok(path)
}

/// Runs SQLite where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ServiceError::server(error.to_string())),
    }
}

/// The last part of an ARN or URL: the name of a queue or bus.
pub fn last_part(address: &str) -> &str {
    address.rsplit(['/', ':']).next().unwrap_or(address)
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let aws = self.clone();
        HttpConnectorFuture::new(async move {
            let (status, body) = match aws.answer(sqs::HOST, &target, body).await {
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

/// A response of the AWS JSON protocol.
pub fn response(status: u16, body: impl Into<SdkBody>) -> HttpResponse {
    #[expect(clippy::expect_used, reason = "only the three-digit numbers of this module are passed")]
    let status = status.try_into().expect("a status code");
    let mut response = HttpResponse::new(status, body.into());
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
