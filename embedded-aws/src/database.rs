//! The SQLite database of queues and secrets.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use crate::error::{OpenError, ServiceError};
use crate::storage::Storage;
use crate::write_ahead_log::WriteAheadLog;

/// A connection to the database; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    connection: Arc<Mutex<Connection>>,
    pub(crate) log: WriteAheadLog,
}

impl Database {
    pub(crate) fn open(storage: &Storage) -> Result<Self, OpenError> {
        let (connection, log) = match storage.database("services.sqlite3")? {
            None => (Connection::open_in_memory()?, WriteAheadLog::none()),
            Some(path) => {
                let connection = Connection::open(&path)?;
                connection.pragma_update(None, "journal_mode", "wal")?;
                // Commits do not wait for the disk; `blocking` does.
                connection.pragma_update(None, "synchronous", "normal")?;
                (connection, WriteAheadLog::open(&path)?)
            }
        };
        Ok(Self { connection: Arc::new(Mutex::new(connection)), log })
    }

    /// The connection, for one caller at a time. If that caller panics, SQLite rolls its transaction back.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }
}

/// Runs work on the database of `log` on a thread that may block. The result, also an error such as a failed condition, is
/// returned when all commits that led to it are on disk.
pub(crate) async fn blocking<T: Send + 'static>(
    log: &WriteAheadLog,
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let log = log.clone();
    let work = move || {
        let result = work();
        log.sync()?;
        result
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ServiceError::server(error.to_string())),
    }
}
