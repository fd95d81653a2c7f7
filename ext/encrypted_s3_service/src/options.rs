//! Conversion of Ruby hashes into the core's settings. Ruby code has validated them and filled in the defaults; a wrong
//! value here is a defect of the gem and is reported as a `ConfigurationError` that names the entry.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use encrypted_s3_core::Result as CoreResult;
use encrypted_s3_core::checksum::{Algorithm, Checksum};
use encrypted_s3_core::download::{DownloadPlan, RangePlan};
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::keyring::{Key, KeyMaterial, Keyring, RsaKey};
use encrypted_s3_core::kms::{Context, KmsKey, KmsSettings};
use encrypted_s3_core::place::PlaceBinding;
use encrypted_s3_core::policy::{CommitmentPolicy, Policy, SecurityProfile};
use encrypted_s3_core::recovery::Recovery;
use encrypted_s3_core::secret::WrappingKey;
use encrypted_s3_core::store::{
    AwsStoreSettings, ChecksumUse, ConnectionSettings, Credentials, ObjectSettings, RetryMode, SecretText,
};
use encrypted_s3_core::upload::{PartPlan, UploadOptions};
use magnus::{Error, RArray, RHash, RString, Ruby, TryConvert, Value, r_hash::ForEach};
use zeroize::Zeroizing;

use crate::error;
use crate::store::StoreSettings;

/// Returns the entry `name`, which must exist. `nil` is allowed for optional types.
fn entry<T: TryConvert>(ruby: &Ruby, hash: RHash, name: &str) -> Result<T, Error> {
    let value: Value = hash.fetch(ruby.to_symbol(name))?;
    T::try_convert(value)
        .map_err(|_| error::named(ruby, "ConfigurationError", &format!("`{name}` has a value of the wrong type")))
}

/// The location of KMS.
pub fn kms(ruby: &Ruby, hash: RHash) -> Result<KmsSettings, Error> {
    Ok(KmsSettings { region: entry(ruby, hash, "kms_region")?, endpoint: entry(ruby, hash, "kms_endpoint")? })
}

/// The bucket with its connection, or the folder.
pub fn store(ruby: &Ruby, hash: RHash) -> Result<StoreSettings, Error> {
    if let Some(root) = entry::<Option<String>>(ruby, hash, "root")? {
        return Ok(StoreSettings::Folder(PathBuf::from(root)));
    }
    Ok(StoreSettings::Bucket(Box::new(AwsStoreSettings {
        bucket: entry(ruby, hash, "bucket")?,
        expected_bucket_owner: entry(ruby, hash, "expected_bucket_owner")?,
        connection: connection(ruby, hash)?,
    })))
}

/// The connection to the store, and KMS.
pub fn connection(ruby: &Ruby, hash: RHash) -> Result<ConnectionSettings, Error> {
    Ok(ConnectionSettings {
        region: entry(ruby, hash, "region")?,
        endpoint: entry(ruby, hash, "endpoint")?,
        force_path_style: entry(ruby, hash, "force_path_style")?,
        accelerate: entry(ruby, hash, "accelerate")?,
        dual_stack: entry(ruby, hash, "dual_stack")?,
        fips: entry(ruby, hash, "fips")?,
        credentials: credentials(ruby, hash)?,
        profile: entry(ruby, hash, "profile")?,
        instance_profile_timeout: optional_seconds(ruby, hash, "instance_profile_timeout")?,
        instance_profile_attempts: entry(ruby, hash, "instance_profile_attempts")?,
        connect_timeout: seconds(ruby, hash, "connect_timeout")?,
        read_timeout: seconds(ruby, hash, "read_timeout")?,
        idle_timeout: seconds(ruby, hash, "idle_timeout")?,
        max_attempts: entry(ruby, hash, "max_attempts")?,
        retry_mode: retry_mode(ruby, hash)?,
        ca_bundle: entry::<Option<String>>(ruby, hash, "ca_bundle")?.map(PathBuf::from),
        ca_directory: entry::<Option<String>>(ruby, hash, "ca_directory")?.map(PathBuf::from),
        proxy: entry::<Option<String>>(ruby, hash, "http_proxy")?.map(SecretText::new),
        request_checksums: checksum_use(ruby, hash, "request_checksum_calculation")?,
        response_checksums: checksum_use(ruby, hash, "response_checksum_validation")?,
    })
}

/// The wrapping keys, the writing one first, and the formats they are used in.
pub fn envelopes(ruby: &Ruby, hash: RHash) -> Result<Envelopes, Error> {
    Ok(Envelopes {
        keyring: keyring(ruby, hash)?,
        policy: policy(ruby, hash)?,
        instruction_file_suffix: entry(ruby, hash, "instruction_file_suffix")?,
        place: place_binding(ruby, hash)?,
        recovery: recovery(ruby, hash)?,
    })
}

/// The public recovery keys of new objects, or the private one that reads instead of the wrapping keys.
fn recovery(ruby: &Ruby, hash: RHash) -> Result<Recovery, Error> {
    let raised = |error| error::raised(ruby, &error);
    if let Some(key) = entry::<Option<RString>>(ruby, hash, "recovery_key")? {
        let der = Zeroizing::new(Vec::from(key.to_bytes()));
        return RsaKey::from_private_der(&der).and_then(Recovery::for_reading).map_err(raised);
    }
    let mut keys = Vec::new();
    for key in entry::<RArray>(ruby, hash, "recovery_keys")?.into_iter() {
        keys.push(RsaKey::from_public_der(&RString::try_convert(key)?.to_bytes()).map_err(|error| {
            error::named(ruby, "ConfigurationError", &format!("`recovery_keys` cannot be used: {error}"))
        })?);
    }
    Recovery::for_writing(keys).map_err(raised)
}

fn place_binding(ruby: &Ruby, hash: RHash) -> Result<PlaceBinding, Error> {
    PlaceBinding::from_name(&entry::<String>(ruby, hash, "place_binding")?)
        .ok_or_else(|| error::named(ruby, "ConfigurationError", "place_binding must be off, verify or require"))
}

fn keyring(ruby: &Ruby, hash: RHash) -> Result<Keyring, Error> {
    let mut keys = Vec::new();
    for key in entry::<RArray>(ruby, hash, "keys")?.into_iter() {
        let key = RHash::try_convert(key)?;
        let kind = entry::<String>(ruby, key, "kind")?;
        if kind == "kms" {
            let key = kms_key(ruby, key)?;
            keys.push(Key { id: None, key: key.map_err(|error| error::raised(ruby, &error))?.into() });
            continue;
        }
        // The only copy of the key is moved and not copied again: a copy that is freed unwiped stays in memory.
        let bytes = Zeroizing::new(Vec::from(entry::<RString>(ruby, key, "key")?.to_bytes()));
        let material = key_material(&kind, &bytes);
        keys.push(Key { id: entry(ruby, key, "id")?, key: material.map_err(|error| error::raised(ruby, &error))? });
    }
    Keyring::new(keys).map_err(|error| error::raised(ruby, &error))
}

/// A key in KMS: its id, or nil for any, and the encryption context.
fn kms_key(ruby: &Ruby, hash: RHash) -> Result<CoreResult<KmsKey>, Error> {
    let id = entry::<Option<String>>(ruby, hash, "id")?;
    let context = Context::new(entry::<HashMap<String, String>>(ruby, hash, "context")?);
    Ok(context.and_then(|context| match &id {
        Some(id) => KmsKey::new(id, context),
        None => Ok(KmsKey::any(context)),
    }))
}

fn key_material(kind: &str, bytes: &[u8]) -> CoreResult<KeyMaterial> {
    match kind {
        "rsa_private" => RsaKey::from_private_der(bytes).map(KeyMaterial::from),
        "rsa_public" => RsaKey::from_public_der(bytes).map(KeyMaterial::from),
        _ => WrappingKey::from_bytes(bytes).map(KeyMaterial::from),
    }
}

/// The commitment policy and the security profile.
pub fn policy(ruby: &Ruby, hash: RHash) -> Result<Policy, Error> {
    let commitment = entry::<Option<String>>(ruby, hash, "commitment_policy")?;
    let profile = entry::<Option<String>>(ruby, hash, "security_profile")?;
    let policy = || {
        let commitment = commitment.as_deref().map(CommitmentPolicy::from_name).transpose()?;
        let profile = profile.as_deref().map(SecurityProfile::from_name).transpose()?;
        Policy::new(commitment, profile)
    };
    policy().map_err(|error| error::raised(ruby, &error))
}

/// How uploads are divided into parts.
pub fn part_plan(ruby: &Ruby, hash: RHash) -> Result<PartPlan, Error> {
    let plan = PartPlan {
        multipart_threshold: entry(ruby, hash, "multipart_threshold")?,
        part_size: entry(ruby, hash, "part_size")?,
        concurrency: entry(ruby, hash, "concurrency")?,
    };
    plan.check().map_err(|error| error::raised(ruby, &error))
}

/// How downloads are divided into ranges.
pub fn download_plan(ruby: &Ruby, hash: RHash) -> Result<DownloadPlan, Error> {
    Ok(DownloadPlan {
        ranges: RangePlan {
            size: RangePlan::SIZE,
            concurrency: entry::<usize>(ruby, hash, "concurrency")?.min(RangePlan::MOST_REQUESTS),
        },
        memory_limit: entry(ruby, hash, "memory_limit")?,
        segment_index: entry(ruby, hash, "segment_index")?,
        maps: None,
        map_settings: Some(Arc::new(object_settings(ruby, entry(ruby, hash, "object_settings")?)?)),
    })
}

/// The size in bytes above which objects get a segment map; `None` when none does.
pub fn index_above(ruby: &Ruby, hash: RHash) -> Result<Option<u64>, Error> {
    let limit = entry(ruby, hash, "memory_limit")?;
    Ok(entry::<bool>(ruby, hash, "segment_index")?.then_some(limit))
}

/// Storage class, server-side encryption and similar settings of an object.
pub fn object_settings(ruby: &Ruby, hash: RHash) -> Result<ObjectSettings, Error> {
    let mut settings = ObjectSettings::default();
    hash.foreach(|name: String, value: String| {
        settings.set(&name, value).map_err(|error| error::raised(ruby, &error))?;
        Ok(ForEach::Continue)
    })?;
    Ok(settings)
}

/// The options of one upload.
pub fn upload(ruby: &Ruby, hash: RHash) -> Result<UploadOptions, Error> {
    let settings = object_settings(ruby, entry(ruby, hash, "settings")?)?;
    Ok(UploadOptions {
        content_type: entry(ruby, hash, "content_type")?,
        checksum: entry::<Option<String>>(ruby, hash, "checksum")?.map(|text| checksum(ruby, &text)).transpose()?,
        expected_size: entry(ruby, hash, "size")?,
        settings,
        index_above: None,
    })
}

/// A checksum as Active Storage writes it: the name of its digest, a colon and base64; without a name it is an MD5.
fn checksum(ruby: &Ruby, text: &str) -> Result<Checksum, Error> {
    let (name, base64) = text.split_once(':').unwrap_or((Algorithm::Md5.name(), text));
    Ok(Checksum { algorithm: digest(ruby, name)?, base64: base64.to_owned() })
}

/// The digest with this name.
pub fn digest(ruby: &Ruby, name: &str) -> Result<Algorithm, Error> {
    Algorithm::from_name(name).ok_or_else(|| {
        error::named(ruby, "UnsupportedOperationError", &format!("checksums by {name:?} are not supported"))
    })
}

fn credentials(ruby: &Ruby, hash: RHash) -> Result<Option<Credentials>, Error> {
    let Some(access_key_id) = entry::<Option<String>>(ruby, hash, "access_key_id")? else { return Ok(None) };
    Ok(Some(Credentials {
        access_key_id,
        secret_access_key: SecretText::new(entry(ruby, hash, "secret_access_key")?),
        session_token: entry::<Option<String>>(ruby, hash, "session_token")?.map(SecretText::new),
    }))
}

fn seconds(ruby: &Ruby, hash: RHash, name: &str) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(entry(ruby, hash, name)?)
        .map_err(|_| error::named(ruby, "ConfigurationError", &format!("`{name}` must be a number of seconds")))
}

fn optional_seconds(ruby: &Ruby, hash: RHash, name: &str) -> Result<Option<Duration>, Error> {
    let given = entry::<Option<f64>>(ruby, hash, name)?;
    given.map(|_| seconds(ruby, hash, name)).transpose()
}

fn retry_mode(ruby: &Ruby, hash: RHash) -> Result<RetryMode, Error> {
    match entry::<String>(ruby, hash, "retry_mode")?.as_str() {
        "standard" => Ok(RetryMode::Standard),
        "adaptive" => Ok(RetryMode::Adaptive),
        _ => Err(error::named(ruby, "ConfigurationError", "`retry_mode` must be \"standard\" or \"adaptive\"")),
    }
}

fn checksum_use(ruby: &Ruby, hash: RHash, name: &str) -> Result<ChecksumUse, Error> {
    match entry::<String>(ruby, hash, name)?.as_str() {
        "when_supported" => Ok(ChecksumUse::WhenSupported),
        "when_required" => Ok(ChecksumUse::WhenRequired),
        _ => Err(error::named(
            ruby,
            "ConfigurationError",
            &format!("`{name}` must be \"when_supported\" or \"when_required\""),
        )),
    }
}
