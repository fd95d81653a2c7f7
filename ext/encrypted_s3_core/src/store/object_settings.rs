//! The settings of an object that the store applies, not the encryption.

use crate::{Error, ErrorKind, Result};

/// Storage class, server-side encryption and similar settings, with the names of S3. `None` means the bucket's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSettings {
    /// Canned ACL, for example `bucket-owner-full-control`.
    pub acl: Option<String>,
    /// `true` or `false`: whether S3 uses a bucket key for `aws:kms`.
    pub bucket_key_enabled: Option<String>,
    /// `Cache-Control` that the store returns with the ciphertext.
    pub cache_control: Option<String>,
    /// Server-side encryption in addition to the client-side encryption: `AES256`, `aws:kms`.
    pub server_side_encryption: Option<String>,
    /// The encryption context of `aws:kms`: base64 of a JSON object.
    pub ssekms_encryption_context: Option<String>,
    /// The key of `aws:kms`.
    pub ssekms_key_id: Option<String>,
    /// Storage class, for example `STANDARD_IA`.
    pub storage_class: Option<String>,
    /// Tags, URL-encoded: `a=1&b=2`.
    pub tagging: Option<String>,
}

impl ObjectSettings {
    /// Sets one of the settings by its name.
    ///
    /// # Errors
    /// `Configuration` when there is no setting of that name.
    pub fn set(&mut self, name: &str, value: String) -> Result<()> {
        let field = match name {
            "acl" => &mut self.acl,
            "bucket_key_enabled" => &mut self.bucket_key_enabled,
            "cache_control" => &mut self.cache_control,
            "server_side_encryption" => &mut self.server_side_encryption,
            "ssekms_encryption_context" => &mut self.ssekms_encryption_context,
            "ssekms_key_id" => &mut self.ssekms_key_id,
            "storage_class" => &mut self.storage_class,
            "tagging" => &mut self.tagging,
            _ => return Err(Error::new(ErrorKind::Configuration, format!("upload: there is no setting {name:?}"))),
        };
        *field = Some(value);
        Ok(())
    }
}
