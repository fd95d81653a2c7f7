//! The record of an object: all its properties except the body, in the form of `aws s3api head-object`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{Error, ErrorKind, Result};

/// The record of an object, or of an upload that will be one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: String,
    /// The version, with quotes; every change makes a new one. For an upload that copies: the copied version.
    pub(super) etag: String,
    pub(super) content_type: String,
    /// User metadata, names without the `x-amz-meta-` prefix.
    pub(super) metadata: HashMap<String, String>,
    /// The name of the file with the body, in the same folder.
    pub(super) body: String,
    /// The bytes of the body, for people. The program uses the size of the file.
    pub(super) size: u64,
}

impl Record {
    /// The text of the file.
    pub(super) fn to_json(&self) -> String {
        let mut metadata: Vec<_> = self.metadata.iter().collect();
        metadata.sort();
        let metadata: Map<String, Value> =
            metadata.into_iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let json = json!({
            "Key": self.key, "ETag": self.etag, "ContentLength": self.size, "ContentType": self.content_type,
            "Metadata": metadata, "Body": self.body,
        });
        format!("{json:#}\n")
    }

    /// Reads the text of the file `path`, which is only named in messages.
    ///
    /// # Errors
    /// `Io` when it is not a record.
    pub(super) fn from_json(text: &[u8], path: &Path) -> Result<Self> {
        let damaged = || {
            Error::new(ErrorKind::Io, format!("{} is not the record of an object: delete the object", path.display()))
        };
        let json: Value = serde_json::from_slice(text).map_err(|_| damaged())?;
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(damaged);
        let metadata = json.get("Metadata").and_then(Value::as_object).ok_or_else(damaged)?;
        let metadata = metadata.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Ok(Self {
            key: text("Key")?,
            etag: text("ETag")?,
            content_type: text("ContentType")?,
            metadata: metadata.collect::<Option<_>>().ok_or_else(damaged)?,
            body: text("Body")?,
            size: json.get("ContentLength").and_then(Value::as_u64).ok_or_else(damaged)?,
        })
    }
}
