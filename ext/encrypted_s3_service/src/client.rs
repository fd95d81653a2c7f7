//! `EncryptedS3Service::Native::Client`: one bucket with its keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use encrypted_s3_core::deletion;
use encrypted_s3_core::download::{Download as CoreDownload, DownloadPlan, IndexOptions, Indexed, index};
use encrypted_s3_core::envelope::{self, Envelopes, Format};
use encrypted_s3_core::kms::KmsSettings;
use encrypted_s3_core::place;
use encrypted_s3_core::recovery;
use encrypted_s3_core::rotate::{RotateOptions, Rotation, rotate};
use encrypted_s3_core::store::{AwsStore, ConnectionSettings, ObjectHead, ObjectStore};
use encrypted_s3_core::upload::{PartPlan, Upload as CoreUpload, UploadOptions};
use encrypted_s3_core::{ErrorKind, sidecar};
use magnus::{DataTypeFunctions, Error, Module, Object, RHash, RModule, Ruby, Symbol, TypedData, function, method};

use crate::answer::{call, request};
use crate::download::{self, Download};
use crate::store::{Store, StoreSettings};
use crate::upload::Upload;
use crate::{class, connections, error, file, kms, maps, options, process, runtime, survey};

/// A bucket or a folder, and the keys of its objects. Several threads may use it at once, and it can be used after a
/// fork.
#[derive(TypedData)]
#[magnus(class = "EncryptedS3Service::Native::Client", free_immediately)]
pub struct Client {
    settings: StoreSettings,
    /// The connection settings of KMS.
    connection: ConnectionSettings,
    kms: KmsSettings,
    envelopes: Envelopes,
    parts: PartPlan,
    reading: DownloadPlan,
    /// Objects of more than this many bytes get a segment map beside them.
    index_above: Option<u64>,
    /// Connections belong to the runtime that made them, and so to one process.
    connected: Mutex<Option<(process::Id, Kept)>>,
}

/// The bucket or the folder, and the keys with the service for those in KMS.
#[derive(Clone)]
struct Kept {
    bucket_or_folder: Store,
    envelopes: Envelopes,
}

/// The same, for callers that treat buckets and folders alike.
struct Connected {
    store: Arc<dyn ObjectStore>,
    envelopes: Envelopes,
}

impl DataTypeFunctions for Client {}

/// Defines the class.
pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = class::define::<Client>(ruby, native, "Client")?;
    class.define_singleton_method("new", function!(Client::new, 1))?;
    class.define_singleton_method("written_format", function!(written_format, 1))?;
    class.define_singleton_method("recovery_fingerprints", function!(recovery_fingerprints, 1))?;
    class.define_method("upload", method!(Client::upload, 2))?;
    class.define_method("download", method!(Client::download, 3))?;
    class.define_method("download_file", method!(Client::download_file, 3))?;
    class.define_method("rotate", method!(Client::rotate, 5))?;
    class.define_method("rebind", method!(Client::rebind, 4))?;
    class.define_method("head", method!(Client::head, 1))?;
    class.define_method("metadata", method!(Client::metadata, 1))?;
    class.define_method("index", method!(Client::index, 3))?;
    class.define_method("segment_map?", method!(Client::is_segment_map, 1))?;
    class.define_method("delete", method!(Client::delete, 1))?;
    class.define_method("delete_prefixed", method!(Client::delete_prefixed, 1))?;
    kms::init(class)?;
    survey::init(class)
}

impl Client {
    /// Creates a client from the settings. Uses neither network nor threads: services are built at boot and before
    /// forks.
    fn new(ruby: &Ruby, settings: RHash) -> Result<Self, Error> {
        Ok(Self {
            settings: options::store(ruby, settings)?,
            connection: options::connection(ruby, settings)?,
            kms: options::kms(ruby, settings)?,
            envelopes: options::envelopes(ruby, settings)?,
            parts: options::part_plan(ruby, settings)?,
            reading: options::download_plan(ruby, settings)?,
            index_above: options::index_above(ruby, settings)?,
            connected: Mutex::new(None),
        })
    }

    /// The objects, over this process's connections.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.connected().store
    }

    /// The bucket. Raises `UnsupportedOperationError` for a folder.
    pub fn bucket(&self, ruby: &Ruby) -> Result<Arc<AwsStore>, Error> {
        match self.bucket_or_folder() {
            Store::Bucket(store) => Ok(store),
            Store::Folder(_) => {
                Err(error::named(ruby, "UnsupportedOperationError", "a folder (`root`) is not a bucket"))
            }
        }
    }

    /// The bucket or the folder.
    pub fn bucket_or_folder(&self) -> Store {
        self.kept().bucket_or_folder
    }

    /// The keys, with this process's connections.
    pub fn envelopes(&self) -> Envelopes {
        self.connected().envelopes
    }

    fn connected(&self) -> Connected {
        let Kept { bucket_or_folder, envelopes } = self.kept();
        Connected { store: bucket_or_folder.objects(), envelopes }
    }

    fn kept(&self) -> Kept {
        let process = process::id();
        let mut slot = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Some((owner, kept)) if *owner == process => kept.clone(),
            _ => {
                let bucket_or_folder = self.settings.connect(process);
                let envelopes = connections::with_kms(self.envelopes.clone(), process, &self.connection, &self.kms);
                let kept = Kept { bucket_or_folder, envelopes };
                // A parent's connections are neither used nor closed here: the sockets are shared with it.
                std::mem::forget(slot.replace((process, kept.clone())));
                kept
            }
        }
    }

    fn reading(&self) -> DownloadPlan {
        DownloadPlan { maps: Some(maps::shared()), ..self.reading.clone() }
    }

    fn upload(ruby: &Ruby, this: &Self, key: String, options: RHash) -> Result<Upload, Error> {
        let options = UploadOptions { index_above: this.index_above, ..options::upload(ruby, options)? };
        let Connected { store, envelopes } = this.connected();
        call(ruby, CoreUpload::begin(store, &envelopes, this.parts, &key, options)).map(Upload::new)
    }

    /// Opens an object for a caller that will move to the byte `first` and read `length` bytes, or the rest for nil.
    fn download(ruby: &Ruby, this: &Self, key: String, first: u64, length: Option<u64>) -> Result<Download, Error> {
        let Connected { store, envelopes } = this.connected();
        let reading = this.reading();
        let opened = CoreDownload::open_part(store, &envelopes, &reading, &key, first, length);
        call(ruby, opened).map(Download::new)
    }

    /// Writes the plaintext into the file behind a descriptor, from its position on. `digest` is the name of the digest
    /// of the plaintext that is computed on the way, or nil.
    fn download_file(
        ruby: &Ruby,
        this: &Self,
        key: String,
        descriptor: i32,
        digest: Option<String>,
    ) -> Result<RHash, Error> {
        let digest = digest.map(|name| options::digest(ruby, &name)).transpose()?;
        let file = file::duplicate(ruby, descriptor)?;
        let Connected { store, envelopes } = this.connected();
        let reading = this.reading();
        let saved = CoreDownload::save(store, &envelopes, &reading, &key, &file, digest);
        let written = call(ruby, saved)?;
        let answer = ruby.hash_new();
        answer.aset(ruby.to_symbol("bytes"), written.bytes)?;
        answer.aset(ruby.to_symbol("digest"), written.digest)?;
        answer.aset(ruby.to_symbol("used"), download::used(ruby, &written.used)?)?;
        Ok(answer)
    }

    /// Wraps an object's data key with the writing key. `acl` is the canned ACL of the object afterwards; objects of
    /// more than `largest_copy` bytes are copied in parts; with `verify` the store is asked for the new envelope
    /// afterwards; with `instruction_files` an envelope in such a file is replaced there.
    fn rotate(
        ruby: &Ruby,
        this: &Self,
        key: String,
        acl: Option<String>,
        largest_copy: u64,
        verify: bool,
        instruction_files: bool,
    ) -> Result<RHash, Error> {
        let options = RotateOptions { acl, largest_copy, verify, instruction_files, renamed_from: None };
        this.replace_envelope(ruby, &key, &options)
    }

    /// Binds an object that was written under the key `former` to its present key. Returns the same as `rotate`.
    fn rebind(
        ruby: &Ruby,
        this: &Self,
        key: String,
        former: String,
        acl: Option<String>,
        largest_copy: u64,
    ) -> Result<RHash, Error> {
        let renamed_from = Some(former);
        let options = RotateOptions { acl, largest_copy, verify: true, instruction_files: false, renamed_from };
        this.replace_envelope(ruby, &key, &options)
    }

    fn replace_envelope(&self, ruby: &Ruby, key: &str, options: &RotateOptions) -> Result<RHash, Error> {
        let Connected { store, envelopes } = self.connected();
        let rotated = call(ruby, rotate(store, &envelopes, key, options))?;
        let (outcome, format, reason) = match rotated.outcome {
            Rotation::Rotated(format) => ("rotated", Some(format), None),
            Rotation::Current(format) => ("current", Some(format), None),
            Rotation::Reencrypt(why) => ("reencrypt", None, Some(why.to_owned())),
            Rotation::Immovable(why) => ("immovable", None, Some(why)),
        };
        let answer = ruby.hash_new();
        answer.aset(ruby.to_symbol("outcome"), ruby.to_symbol(outcome))?;
        answer.aset(ruby.to_symbol("format"), format.map(Format::name))?;
        answer.aset(ruby.to_symbol("reason"), reason)?;
        answer.aset(ruby.to_symbol("former_key_id"), rotated.former_key_id)?;
        Ok(answer)
    }

    /// Returns the properties of an object that a HEAD request shows, or nil when it does not exist. `size` is nil when
    /// the body is too short for an encrypted object, or for a legacy object whose writer did not store the size.
    fn head(ruby: &Ruby, this: &Self, key: String) -> Result<Option<RHash>, Error> {
        let head = match request(ruby, this.store().head(&key))? {
            Ok(head) => head,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error::raised(ruby, &error)),
        };
        properties(ruby, &head).map(Some)
    }

    /// Returns the stored size of an object's body in bytes and its user metadata (names without `x-amz-meta-`), or
    /// nil.
    fn metadata(ruby: &Ruby, this: &Self, key: String) -> Result<Option<(u64, RHash)>, Error> {
        match request(ruby, this.store().head(&key))? {
            Ok(head) => Ok(Some((head.size, ruby.hash_from_iter(head.metadata)))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error::raised(ruby, &error)),
        }
    }

    /// Stores the segment map of an object that has none, with the object `settings`. Returns the outcome as a symbol.
    fn index(ruby: &Ruby, this: &Self, key: String, settings: RHash, dry_run: bool) -> Result<Symbol, Error> {
        let settings = options::object_settings(ruby, settings)?;
        let options = IndexOptions { above: this.reading.memory_limit, settings, dry_run };
        let Connected { store, envelopes } = this.connected();
        let indexed = call(ruby, index(store, &envelopes, this.reading.ranges, &key, &options))?;
        Ok(ruby.to_symbol(match indexed {
            Indexed::Stored => "stored",
            Indexed::Present => "present",
            Indexed::Small => "small",
            Indexed::Impossible => "impossible",
            Indexed::Lacking => "lacking",
        }))
    }

    /// Whether the object under a key is the stored segment map of another object, by its first bytes. False when there
    /// is no object.
    fn is_segment_map(ruby: &Ruby, this: &Self, key: String) -> Result<bool, Error> {
        let store = this.store();
        request(ruby, async move { sidecar::is_at(store, &key).await })?.map_err(|error| error::raised(ruby, &error))
    }

    /// Deletes an object with its segment map and its instruction file; see [`deletion::delete`].
    fn delete(ruby: &Ruby, this: &Self, key: String) -> Result<(), Error> {
        let (store, envelopes) = (this.store(), this.envelopes.clone());
        let deleted = async move { deletion::delete(store, &envelopes, &key).await };
        request(ruby, deleted)?.map_err(|error| error::raised(ruby, &error))
    }

    fn delete_prefixed(ruby: &Ruby, this: &Self, prefix: String) -> Result<(), Error> {
        let deleted = deletion::delete_prefixed(this.store(), prefix);
        request(ruby, deleted)?.map_err(|error| error::raised(ruby, &error))
    }
}

/// The properties that the metadata of an object show, as a Ruby hash.
pub fn properties(ruby: &Ruby, head: &ObjectHead) -> Result<RHash, Error> {
    let described = envelope::describe(head.entries());
    let answer = ruby.hash_new();
    answer.aset(ruby.to_symbol("size"), envelope::plaintext_len(head.entries(), head.size))?;
    answer.aset(ruby.to_symbol("format"), described.as_ref().map(|described| described.format.name()))?;
    answer.aset(ruby.to_symbol("key_id"), described.and_then(|described| described.key_id))?;
    answer.aset(ruby.to_symbol("etag"), head.etag.as_str())?;
    answer.aset(ruby.to_symbol("bound"), place::is_bound(head.entries()))?;
    answer.aset(ruby.to_symbol("recovery"), recovery::fingerprints(head.entries()))?;
    answer.aset(ruby.to_symbol("immovable"), head.immovable.as_deref())?;
    Ok(answer)
}

/// Returns the name of the format that a client with this `commitment_policy` and `security_profile` writes.
fn written_format(ruby: &Ruby, settings: RHash) -> Result<&'static str, Error> {
    options::policy(ruby, settings).map(|policy| policy.written_format().name())
}

/// Returns the fingerprints of the recovery keys that an object with this metadata names.
fn recovery_fingerprints(metadata: HashMap<String, String>) -> Vec<String> {
    recovery::fingerprints(metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

impl Drop for Client {
    fn drop(&mut self) {
        let Ok(slot) = self.connected.get_mut() else { return };
        let Some((owner, connected)) = slot.take() else { return };
        match runtime::started() {
            // Connections must be closed by their runtime.
            Some(runtime) if owner == process::id() => drop(runtime.spawn(async move { drop(connected) })),
            _ => std::mem::forget(connected),
        }
    }
}
