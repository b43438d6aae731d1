//! The SQLite database of queues and secrets.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use crate::error::{OpenError, ServiceError};
use crate::storage::Storage;

/// A connection to the database; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Database(Arc<Mutex<Connection>>);

impl Database {
    pub(crate) fn open(storage: &Storage) -> Result<Self, OpenError> {
        let connection = match storage.database("services.sqlite3")? {
            None => Connection::open_in_memory()?,
            Some(path) => {
                let connection = Connection::open(path)?;
                connection.pragma_update(None, "journal_mode", "wal")?;
                // Each commit is on disk before the call returns.
                connection.pragma_update(None, "synchronous", "full")?;
                connection
            }
        };
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// The connection, for one caller at a time. If that caller panics, SQLite rolls its transaction back.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock()
    }
}

/// Runs work on SQLite on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ServiceError::server(error.to_string())),
    }
}
