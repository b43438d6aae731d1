//! The write-ahead log of a SQLite database. A commit does not wait for the disk; whatever is answered does, and all
//! answers that wait at the same time share one fsync. In between, SQLite itself syncs only when it must not reorder
//! writes (`PRAGMA synchronous = NORMAL`): <https://sqlite.org/pragma.html#pragma_synchronous>

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::{Connection, ffi};

/// The log of a database that is open; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct WriteAheadLog(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    file: File,
    state: Mutex<State>,
    /// Notified when a sync has ended.
    synced: Condvar,
}

#[derive(Debug)]
struct State {
    /// A connection of its own, because SQLite counts only the commits of others.
    observer: Connection,
    /// Changes with the commits that the observer notices.
    data_version: Option<i64>,
    /// How often that happened.
    commits: u64,
    /// How many of these commits are on disk.
    on_disk: u64,
    is_syncing: bool,
    /// The system may have dropped what it failed to write, and then reports the next sync as successful.
    has_failed: bool,
}

impl WriteAheadLog {
    /// The log of a database in memory, which nothing has to wait for.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// The log of the database at `path`, which has the journal mode WAL.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let observer = Connection::open(path)?;
        // Creates the log. It exists for as long as a connection is open.
        data_version(&observer)?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self::new(observer, File::open(log).map_err(|error| failure(&error))?))
    }

    fn new(observer: Connection, file: File) -> Self {
        let state = State {
            observer,
            // What an earlier process wrote counts as a commit.
            data_version: None,
            commits: 0,
            on_disk: 0,
            is_syncing: false,
            has_failed: false,
        };
        Self(Some(Arc::new(Shared { file, state: Mutex::new(state), synced: Condvar::new() })))
    }

    /// Returns when all commits that the caller has made or read are on disk.
    ///
    /// # Errors
    /// The failed sync, from then on until the process restarts.
    pub(crate) fn sync(&self) -> rusqlite::Result<()> {
        let Some(Shared { file, state, synced }) = self.0.as_deref() else { return Ok(()) };
        let mut state = state.lock();
        let wanted = state.commits()?;
        while state.on_disk < wanted {
            if state.has_failed {
                return Err(failure(&io::Error::other("an earlier fsync failed")));
            }
            if state.is_syncing {
                // That sync may have begun before the commit.
                synced.wait(&mut state);
                continue;
            }
            let commits = state.commits()?;
            state.is_syncing = true;
            let result = MutexGuard::unlocked(&mut state, || file.sync_data());
            state.is_syncing = false;
            match &result {
                Ok(()) => state.on_disk = commits,
                Err(_) => state.has_failed = true,
            }
            synced.notify_all();
            if let Err(error) = result {
                tracing::error!(%error, "failed to write to the disk; restart when it works again");
                return Err(failure(&error));
            }
        }
        Ok(())
    }
}

impl State {
    /// The number of commits so far. Many may count as one.
    fn commits(&mut self) -> rusqlite::Result<u64> {
        let version = Some(data_version(&self.observer)?);
        if self.data_version != version {
            self.data_version = version;
            self.commits += 1;
        }
        Ok(self.commits)
    }
}

/// <https://sqlite.org/pragma.html#pragma_data_version>
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

        let log = WriteAheadLog::open(&path).unwrap();
        for _ in 0..2 {
            insert();
            log.sync().unwrap();
        }
        // This device cannot be synced.
        let device = File::open("/dev/null").unwrap();
        let failing = WriteAheadLog::new(Connection::open(&path).unwrap(), device);
        for _ in 0..2 {
            insert();
            failing.sync().unwrap_err();
            failing.sync().unwrap_err();
        }
    }
}
