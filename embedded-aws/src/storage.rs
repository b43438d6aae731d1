//! The place on disk, or in memory, where the embedded services keep their data.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// The file that is locked. It is empty until the other files have been created.
const LOCK: &str = "lock";

/// Where the embedded services keep their data.
#[derive(Debug, Clone)]
pub enum Storage {
    /// In memory; the data is lost when the process ends.
    Memory,
    /// In SQLite files in this directory, which is created if it does not exist. It must belong to the user.
    Directory(PathBuf),
}

impl Storage {
    /// Creates the directory and locks it against other processes for as long as the returned file is open.
    pub(crate) fn lock(&self) -> Result<Option<File>, OpenError> {
        let Self::Directory(path) = self else { return Ok(None) };
        let unusable = |source| OpenError::Directory { path: path.clone(), source };
        make_private(path).map_err(unusable)?;
        let file = open_private(&path.join(LOCK)).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse(path.clone())),
            Err(fs::TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The path of a database in the directory, created if it does not exist. SQLite gives its WAL files the same mode.
    /// If it got lost, a new one would look like a service without data.
    pub(crate) fn database(&self, name: &str) -> Result<Option<PathBuf>, OpenError> {
        let Self::Directory(directory) = self else { return Ok(None) };
        let path = directory.join(name);
        let open = || {
            let is_empty = open_private(&path)?.metadata()?.len() == 0;
            let had_data = fs::metadata(directory.join(LOCK))?.len() > 0;
            if is_empty && had_data {
                Err(io::Error::other(format!("{name} is missing or empty")))
            } else {
                Ok(())
            }
        };
        open().map_err(|source| OpenError::Directory { path: directory.clone(), source })?;
        Ok(Some(path))
    }

    /// Notes in the lock file that the databases exist.
    pub(crate) fn mark(&self) -> Result<(), OpenError> {
        let Self::Directory(path) = self else { return Ok(()) };
        let written = fs::write(path.join(LOCK), "The databases exist.\n");
        written.map_err(|source| OpenError::Directory { path: path.clone(), source })
    }
}

/// Creates a directory if it does not exist, and closes it to other users, because it holds keys.
fn make_private(directory: &Path) -> io::Result<()> {
    if directory.exists() && !directory.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    check_owner(&fs::metadata(directory)?, "the directory")?;
    fs::set_permissions(directory, Permissions::from_mode(0o700))
}

/// Opens a file with mode 600. Before the directory was closed to them, other users may have put a link or a file of
/// their own in its place.
fn open_private(path: &Path) -> io::Result<File> {
    let name = path.file_name().unwrap_or_default().display().to_string();
    match fs::symlink_metadata(path) {
        Ok(existing) if !existing.is_file() => {
            return Err(io::Error::other(format!("{name} is not a regular file")));
        }
        Ok(existing) => check_owner(&existing, &name)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn check_owner(metadata: &fs::Metadata, name: &str) -> io::Result<()> {
    if metadata.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::other(format!("{name} belongs to another user")))
}
