//! Objects: files that are read without a lock and changed under a lock.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::{NamedTempFile, TempPath};

use super::layout::{Location, Name, Wanted, hex};
use super::record::Record;
use super::{NewObject, Stored, changed};
use crate::error::reason;
use crate::{Error, ErrorKind, Result};

/// The folder of the lock and of unfinished files. It cannot be the folder of a key: names of keys have no full stop.
const INTERNAL: &str = ".encrypted_s3";
/// The age at which the remains of an upload count as those of a killed process.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder of a store.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) root: PathBuf,
    swept: AtomicBool,
}

/// The version that a new one may replace.
#[derive(Debug)]
pub(super) enum Replaces {
    Anything,
    /// The version with this entity tag.
    Version(String),
    Nothing,
}

/// A new version of an object.
#[derive(Debug)]
pub(super) struct NewVersion {
    pub(super) key: String,
    pub(super) content_type: String,
    pub(super) metadata: HashMap<String, String>,
    pub(super) replaces: Replaces,
    /// The number of its parts; `None` for one request.
    pub(super) parts: Option<usize>,
}

impl NewVersion {
    pub(super) fn of(object: NewObject) -> Self {
        let metadata = object.metadata.into_iter().collect();
        Self { key: object.key, content_type: object.content_type, metadata, replaces: Replaces::Anything, parts: None }
    }
}

/// An object with an open body.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) record: Record,
    pub(super) body: File,
    pub(super) size: u64,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, swept: AtomicBool::new(false) }
    }

    /// Opens an object. The body stays readable if the object is replaced or deleted afterwards.
    ///
    /// # Errors
    /// `NotFound`; `Io` when the body is missing.
    pub(super) fn open(&self, key: &str) -> Result<Found> {
        let location = self.location(key)?;
        let mut former = None;
        loop {
            let record = self.record(&location)?.ok_or_else(|| not_found(key))?;
            let path = location.folder.join(&record.body);
            match File::open(&path) {
                Ok(body) => {
                    let size = body.metadata().map_err(|error| failed("read", &path, error))?.len();
                    return Ok(Found { record, body, size });
                }
                // The object was replaced between the two steps.
                Err(error) if error.kind() == io::ErrorKind::NotFound && former.as_ref() != Some(&record.body) => {
                    former = Some(record.body);
                }
                Err(error) => return Err(failed("read", &path, error).for_object(key)),
            }
        }
    }

    /// Writes bytes into a file that belongs to no object yet and is removed on drop.
    pub(super) fn write_aside(&self, bytes: &[u8]) -> Result<TempPath> {
        self.sweep();
        write(&self.uploads()?, bytes)
    }

    /// Makes a file in the folder of uploads the body of an object.
    ///
    /// # Errors
    /// `Changed` when the object is no longer the version that may be replaced.
    pub(super) fn commit(&self, version: NewVersion, body: TempPath) -> Result<Stored> {
        let location = self.location(&version.key)?;
        let size = fs::metadata(&body).map_err(|error| failed("read", &body, error))?.len();
        let _lock = self.lock()?;
        let allowed = match &version.replaces {
            Replaces::Anything => true,
            Replaces::Version(etag) => self.record(&location)?.is_some_and(|record| record.etag == *etag),
            Replaces::Nothing => !location.record().exists(),
        };
        if !allowed {
            return Err(changed(&version.key));
        }
        let record = Record {
            key: version.key,
            etag: new_etag(version.parts)?,
            content_type: version.content_type,
            metadata: version.metadata,
            body: format!("{}.{}", location.name, random()?),
            size,
        };
        let stored = self.place_body(&location, &record, body);
        if stored.is_err() {
            self.prune(&location);
        }
        stored
    }

    fn place_body(&self, location: &Location, record: &Record, body: TempPath) -> Result<Stored> {
        let path = location.folder.join(&record.body);
        fs::create_dir_all(&location.folder).map_err(|error| failed("make", &location.folder, error))?;
        body.persist(&path).map_err(|error| failed("write", &path, error.error))?;
        if let Err(error) = self.write_record(location, record) {
            // The result does not depend on this: a body without a record belongs to no object.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        remove_bodies(location, Some(&record.body))?;
        Ok(Stored { etag: record.etag.clone() })
    }

    /// Replaces an object's metadata.
    ///
    /// # Errors
    /// `NotFound`; `Changed` when it is not the version `etag`.
    pub(super) fn replace_metadata(&self, key: &str, etag: &str, metadata: Vec<(String, String)>) -> Result<Stored> {
        let location = self.location(key)?;
        self.require(&location, key, etag)?;
        let _lock = self.lock()?;
        let record = self.require(&location, key, etag)?;
        let record = Record { etag: new_etag(None)?, metadata: metadata.into_iter().collect(), ..record };
        self.write_record(&location, &record)?;
        Ok(Stored { etag: record.etag })
    }

    /// The record of an object that must be a certain version.
    pub(super) fn require(&self, location: &Location, key: &str, etag: &str) -> Result<Record> {
        let record = self.record(location)?.ok_or_else(|| not_found(key))?;
        if record.etag == etag { Ok(record) } else { Err(changed(key)) }
    }

    /// Deletes objects, including remains of objects.
    pub(super) fn delete(&self, keys: &[String]) -> Result<()> {
        // A key that is invalid for objects is not an error.
        let locations: Vec<_> = keys.iter().filter_map(|key| self.location(key).ok()).collect();
        // If there is nothing to delete, no write permission is needed.
        if !locations.iter().any(|location| location.folder.is_dir()) {
            return Ok(());
        }
        let _lock = self.lock()?;
        for location in locations {
            remove(&location.record())?;
            remove_bodies(&location, None)?;
            self.prune(&location);
        }
        Ok(())
    }

    /// All keys that begin with `prefix`, in the order of S3.
    pub(super) fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let wanted = Wanted::new(prefix);
        let mut keys = Vec::new();
        for first in names(&self.root)?.into_iter().filter(|name| name != INTERNAL && wanted.may_be_below(name, 0)) {
            let first = self.root.join(first);
            for second in names(&first)?.into_iter().filter(|name| wanted.may_be_below(name, 1)) {
                keys.extend(keys_in(&first.join(second), &wanted)?);
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// The location of a key's files.
    pub(super) fn location(&self, key: &str) -> Result<Location> {
        Location::of(&self.root, key)
    }

    /// The folder of unfinished files.
    pub(super) fn uploads(&self) -> Result<PathBuf> {
        let folder = self.root.join(INTERNAL).join("uploads");
        fs::create_dir_all(&folder).map_err(|error| failed("make", &folder, error))?;
        Ok(folder)
    }

    /// Removes the remains of killed processes, once.
    pub(super) fn sweep(&self) {
        if self.swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let Ok(entries) = fs::read_dir(self.root.join(INTERNAL).join("uploads")) else { return };
        for entry in entries.flatten() {
            let changed = entry.metadata().and_then(|metadata| metadata.modified());
            let age = changed.ok().and_then(|changed| SystemTime::now().duration_since(changed).ok());
            if age.is_some_and(|age| age > ABANDONED) {
                // Another process may be removing it, too.
                let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
            }
        }
    }

    fn record(&self, location: &Location) -> Result<Option<Record>> {
        let Some(record) = read_record(&location.record())? else { return Ok(None) };
        if location.is_body(&record.body) {
            return Ok(Some(record));
        }
        let message = format!("{} names a body that is not one of this object", location.record().display());
        Err(Error::new(ErrorKind::Io, message))
    }

    fn write_record(&self, location: &Location, record: &Record) -> Result<()> {
        let written = write(&self.uploads()?, record.to_json().as_bytes())?;
        let path = location.record();
        written.persist(&path).map_err(|error| failed("write", &path, error.error))
    }

    /// Waits until no other thread or process changes the folder. The lock is held as long as the file is open.
    fn lock(&self) -> Result<File> {
        self.uploads()?;
        let path = self.root.join(INTERNAL).join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| failed("open", &path, error))?;
        loop {
            match file.lock() {
                Ok(()) => return Ok(file),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("lock", &path, error)),
            }
        }
    }

    /// Removes the empty folders of an object.
    fn prune(&self, location: &Location) {
        // If the folder has other files, the attempt fails and nothing happens.
        let _ = fs::remove_dir(&location.folder);
        let _ = location.folder.parent().map(fs::remove_dir);
    }
}

fn keys_in(folder: &Path, wanted: &Wanted) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for file in names(folder)? {
        match wanted.key_in(&file) {
            Some(Name::Key(key)) => keys.push(key),
            // The object may have been deleted meanwhile.
            Some(Name::Digest) => {
                keys.extend(
                    read_record(&folder.join(file))?.map(|record| record.key).filter(|key| wanted.matches(key)),
                );
            }
            None => {}
        }
    }
    Ok(keys)
}

/// The names in a folder, none if it does not exist.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // A file from another source is not a folder of this store.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed("read", folder, error)),
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Reads a record, if there is one.
pub(super) fn read_record(path: &Path) -> Result<Option<Record>> {
    match fs::read(path) {
        Ok(text) => Record::from_json(&text, path).map(Some),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// Writes a new temporary file with the permissions of any new file.
pub(super) fn write(folder: &Path, bytes: &[u8]) -> Result<TempPath> {
    let mut file = new_file(folder)?;
    file.write_all(bytes).map_err(|error| failed("write", file.path(), error))?;
    Ok(file.into_temp_path())
}

/// A new file that is removed on drop.
pub(super) fn new_file(folder: &Path) -> Result<NamedTempFile> {
    let file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o666)).tempfile_in(folder);
    file.map_err(|error| failed("write into", folder, error))
}

/// Removes the bodies of an object, except the named one: former ones, and the remains of killed processes.
fn remove_bodies(location: &Location, except: Option<&str>) -> Result<()> {
    for file in names(&location.folder)?.into_iter().filter(|file| location.is_body(file)) {
        if except != Some(file.as_str()) {
            remove(&location.folder.join(file))?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(failed("delete", path, error))
        }
        _ => Ok(()),
    }
}

/// A new entity tag, with the number of parts behind it as on S3.
pub(super) fn new_etag(parts: Option<usize>) -> Result<String> {
    let parts = parts.map(|parts| format!("-{parts}")).unwrap_or_default();
    random().map(|digits| format!("\"{digits}{parts}\""))
}

/// 32 random hexadecimal digits.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Internal, "the system has no random numbers").with_source(error))?;
    Ok(hex(&bytes))
}

pub(super) fn not_found(key: &str) -> Error {
    Error::new(ErrorKind::NotFound, "there is no such object").for_object(key)
}

pub(super) fn failed(action: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Access,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("cannot {action} {}: {}", path.display(), reason(&error))).with_source(error)
}
