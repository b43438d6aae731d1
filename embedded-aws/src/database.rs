//! The SQLite database of queues and secrets.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use crate::calls::Calls;
use crate::error::OpenError;
use crate::storage::Storage;

/// A connection to the database; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    connection: Arc<Mutex<Connection>>,
    pub(crate) calls: Calls,
}

impl Database {
    pub(crate) fn open(storage: &Storage) -> Result<Self, OpenError> {
        let path = storage.database("services.sqlite3")?;
        let connection = match &path {
            None => Connection::open_in_memory()?,
            Some(path) => {
                let connection = Connection::open(path)?;
                connection.pragma_update(None, "journal_mode", "wal")?;
                // Commits do not wait for the disk; `Calls` does.
                connection.pragma_update(None, "synchronous", "normal")?;
                connection
            }
        };
        let calls = Calls::new(path.as_deref())?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), calls })
    }

    /// The connection, for one caller at a time. If that caller panics, SQLite rolls its transaction back.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }
}
