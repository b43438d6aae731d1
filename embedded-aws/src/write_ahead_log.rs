//! The write-ahead log of a SQLite database. With `PRAGMA synchronous = NORMAL`, a commit writes to it without waiting
//! for the disk: <https://sqlite.org/pragma.html#pragma_synchronous>

use std::fs::File;
use std::io;
use std::path::Path;

use rusqlite::{Connection, ffi};

/// The log of a database that is open.
#[derive(Debug)]
pub(crate) struct WriteAheadLog {
    file: File,
    /// A separate connection, because `data_version` changes only with the commits of other connections.
    observer: Connection,
    /// The version of the data that is on disk; `None` at first, because an earlier process may have been killed.
    on_disk: Option<i64>,
    /// The system may have dropped what it failed to write, and then reports the next sync as successful.
    has_failed: bool,
}

impl WriteAheadLog {
    /// The log of the database at `path`, which has the journal mode WAL.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let observer = Connection::open(path)?;
        // Creates the log. It exists for as long as a connection is open.
        data_version(&observer)?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let file = File::open(log).map_err(|error| failure(&error))?;
        Ok(Self { file, observer, on_disk: None, has_failed: false })
    }

    /// Returns when all commits are on disk, at once if they already are.
    ///
    /// # Errors
    /// The failed sync. From then on, all commits fail until the process restarts.
    pub(crate) fn sync(&mut self) -> rusqlite::Result<()> {
        let version = Some(data_version(&self.observer)?);
        if self.on_disk == version {
            return Ok(());
        }
        if self.has_failed {
            return Err(failure(&io::Error::other("an earlier fsync failed")));
        }
        if let Err(error) = self.file.sync_data() {
            self.has_failed = true;
            tracing::error!(%error, "failed to write to the disk; restart when it works again");
            return Err(failure(&error));
        }
        self.on_disk = version;
        Ok(())
    }
}

/// Changes with the commits of other connections: <https://sqlite.org/pragma.html#pragma_data_version>
fn data_version(observer: &Connection) -> rusqlite::Result<i64> {
    observer.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// What SQLite returns if it fails to sync a file itself.
fn failure(error: &io::Error) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), Some(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit that is not confirmed may be found after a restart. One that is confirmed must be.
    #[test]
    fn nothing_is_confirmed_after_a_failed_fsync() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        writer.execute_batch("CREATE TABLE number (number INTEGER)").unwrap();
        let insert = || writer.execute("INSERT INTO number VALUES (1)", []).unwrap();

        let mut log = WriteAheadLog::open(&path).unwrap();
        for _ in 0..2 {
            insert();
            log.sync().unwrap();
        }
        // This device cannot be synced.
        log.file = File::open("/dev/null").unwrap();
        log.sync().unwrap();
        for _ in 0..2 {
            insert();
            log.sync().unwrap_err();
            log.sync().unwrap_err();
        }
    }
}
