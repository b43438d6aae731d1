//! The place on disk, or in memory, where the embedded services keep their data.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::error::OpenError;

/// Where the embedded services keep their data.
#[derive(Debug, Clone)]
pub enum Storage {
    /// In memory; the data is lost when the process ends.
    Memory,
    /// In SQLite files in this directory, which is created if it does not exist.
    Directory(PathBuf),
}

impl Storage {
    /// Creates the directory and locks it against other processes for as long as the returned file is open.
    pub(crate) fn lock(&self) -> Result<Option<File>, OpenError> {
        let Self::Directory(path) = self else { return Ok(None) };
        let unusable = |source| OpenError::Directory { path: path.clone(), source };
        fs::create_dir_all(path).map_err(unusable)?;
        let file = File::create(path.join("lock")).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse(path.clone())),
            Err(fs::TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The path of a file in the directory, created with mode 600 because it holds keys. SQLite gives its WAL files
    /// the same mode.
    pub(crate) fn private_file(&self, name: &str) -> Result<Option<PathBuf>, OpenError> {
        let Self::Directory(directory) = self else { return Ok(None) };
        let path = directory.join(name);
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        opened.map_err(|source| OpenError::Directory { path: directory.clone(), source })?;
        Ok(Some(path))
    }
}
