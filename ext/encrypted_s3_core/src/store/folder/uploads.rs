//! Multipart uploads: a folder each, with the record of the future object and a file for each part.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::objects::{Folder, NewVersion, Replaces, failed, names, new_etag, new_file, random, read_record, write};
use super::record::Record;
use super::{Stored, StoredPart, changed};
use crate::{Error, ErrorKind, Result};

/// The file with the record of the future object.
const RECORD: &str = "object.json";

impl Folder {
    /// Begins an upload and returns its id.
    pub(super) fn begin_upload(&self, version: &NewVersion) -> Result<String> {
        self.sweep();
        self.location(&version.key)?;
        let record = Record {
            key: version.key.clone(),
            content_type: version.content_type.clone(),
            metadata: version.metadata.clone(),
            etag: if let Replaces::Version(etag) = &version.replaces { etag.clone() } else { String::new() },
            ..Record::default()
        };
        let (uploads, id) = (self.uploads()?, random()?);
        let folder = uploads.join(&id);
        fs::create_dir(&folder).map_err(|error| failed("make", &folder, error))?;
        let path = folder.join(RECORD);
        let begun = write(&folder, record.to_json().as_bytes())
            .and_then(|file| file.persist(&path).map_err(|error| failed("write", &path, error.error)));
        if begun.is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        begun.map(|()| id)
    }

    /// Begins an upload that replaces the metadata of the version `etag` of an object, and returns its id.
    pub(super) fn begin_copy(&self, key: &str, etag: &str, metadata: Vec<(String, String)>) -> Result<String> {
        let record = self.require(&self.location(key)?, key, etag)?;
        let metadata = metadata.into_iter().collect();
        let (key, replaces) = (key.to_owned(), Replaces::Version(etag.to_owned()));
        self.begin_upload(&NewVersion { key, content_type: record.content_type, metadata, replaces, parts: None })
    }

    /// Writes a part.
    pub(super) fn put_part(&self, key: &str, id: &str, number: i32, bytes: &[u8]) -> Result<StoredPart> {
        let folder = self.upload(key, id)?;
        keep_part(&folder, number, write(&folder, bytes)?, bytes.len() as u64)
    }

    /// Copies the bytes of `range`, including the first and the last, from the version `etag` as a part.
    pub(super) fn copy_part(
        &self,
        key: &str,
        id: &str,
        number: i32,
        etag: &str,
        (first, last): (u64, u64),
    ) -> Result<StoredPart> {
        let folder = self.upload(key, id)?;
        let mut found = self.open(key)?;
        if found.record.etag != etag {
            return Err(changed(key));
        }
        let size = last.saturating_add(1).saturating_sub(first);
        let mut part = new_file(&folder)?;
        let copied =
            found.body.seek(SeekFrom::Start(first)).and_then(|_| copy(&mut found.body, part.as_file_mut(), size));
        copied.map_err(|error| failed("write", part.path(), error))?;
        keep_part(&folder, number, part.into_temp_path(), size)
    }

    /// Makes the object from the parts, in this order.
    ///
    /// # Errors
    /// `UploadNotFound`; `Rejected` when a part is missing; `Changed` when the copied object was replaced.
    pub(super) fn complete_upload(&self, key: &str, id: &str, parts: &[StoredPart]) -> Result<Stored> {
        let folder = self.upload(key, id)?;
        let record = read_record(&folder.join(RECORD))?.ok_or_else(|| no_upload(key))?;
        let version = NewVersion {
            key: record.key,
            content_type: record.content_type,
            metadata: record.metadata,
            replaces: if record.etag.is_empty() { Replaces::Anything } else { Replaces::Version(record.etag) },
            parts: Some(parts.len()),
        };
        let body = join(&folder, parts)?;
        let stored = self.commit(version, body)?;
        // The object is complete. The rest of the upload would also be removed later.
        let _ = fs::remove_dir_all(&folder);
        Ok(stored)
    }

    /// Removes an upload and its parts.
    ///
    /// # Errors
    /// `UploadNotFound`.
    pub(super) fn abort_upload(&self, key: &str, id: &str) -> Result<()> {
        let folder = self.upload(key, id)?;
        // Renamed first, so that another thread that is about to write a part does not find the folder.
        let gone = folder.with_extension("aborted");
        match fs::rename(&folder, &gone) {
            Ok(()) => fs::remove_dir_all(&gone).map_err(|error| failed("delete", &gone, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_upload(key)),
            Err(error) => Err(failed("delete", &folder, error)),
        }
    }

    /// Keys and ids of all uploads of keys that begin with `prefix`.
    pub(super) fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let uploads = self.uploads()?;
        let mut found = Vec::new();
        for id in names(&uploads)? {
            let record = read_record(&uploads.join(&id).join(RECORD))?;
            found.extend(record.map(|record| record.key).filter(|key| key.starts_with(prefix)).map(|key| (key, id)));
        }
        Ok(found)
    }

    /// The folder of an existing upload.
    fn upload(&self, key: &str, id: &str) -> Result<PathBuf> {
        let folder = self.uploads()?.join(id);
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id && folder.is_dir() { Ok(folder) } else { Err(no_upload(key)) }
    }
}

/// The file of a part. Its name distinguishes several attempts.
fn part_path(folder: &Path, number: i32, etag: &str) -> PathBuf {
    folder.join(format!("{number}.{}", etag.trim_matches('"')))
}

fn keep_part(folder: &Path, number: i32, file: TempPath, size: u64) -> Result<StoredPart> {
    let etag = new_etag(None)?;
    let path = part_path(folder, number, &etag);
    file.persist(&path).map_err(|error| failed("write", &path, error.error))?;
    Ok(StoredPart { number, size, etag, crc32: None })
}

/// Joins all parts in a new file.
fn join(folder: &Path, parts: &[StoredPart]) -> Result<TempPath> {
    let mut body = new_file(folder)?;
    for part in parts {
        let path = part_path(folder, part.number, &part.etag);
        let mut file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(ErrorKind::Rejected, format!("part {} is missing", part.number)),
            _ => failed("read", &path, error),
        })?;
        copy(&mut file, body.as_file_mut(), part.size).map_err(|error| failed("write", body.path(), error))?;
        // Removed at once, so that a large object does not occupy its space twice.
        let _ = fs::remove_file(&path);
    }
    body.as_file_mut().flush().map_err(|error| failed("write", body.path(), error))?;
    Ok(body.into_temp_path())
}

/// Copies exactly `size` bytes.
fn copy(from: &mut File, to: &mut File, size: u64) -> io::Result<()> {
    let copied = io::copy(&mut io::Read::take(from, size), to)?;
    if copied == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn no_upload(key: &str) -> Error {
    Error::new(ErrorKind::UploadNotFound, "there is no such upload").for_object(key)
}
