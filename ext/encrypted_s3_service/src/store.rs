//! The storage of a client's objects: a bucket or a folder.

use std::path::PathBuf;
use std::sync::Arc;

use encrypted_s3_core::store::{AwsStore, AwsStoreSettings, FolderStore, ObjectStore};

use crate::{connections, process};

/// The storage as the settings name it.
#[derive(Debug)]
pub enum StoreSettings {
    /// A bucket and its connection settings. Boxed, because it is many times as large as the other.
    Bucket(Box<AwsStoreSettings>),
    /// A folder of this machine.
    Folder(PathBuf),
}

impl StoreSettings {
    /// The store, with the connections of `process`, which is this one.
    pub fn connect(&self, process: process::Id) -> Store {
        match self {
            Self::Bucket(settings) => {
                Store::Bucket(Arc::new(connections::of(process).store(AwsStoreSettings::clone(settings))))
            }
            Self::Folder(root) => Store::Folder(Arc::new(FolderStore::new(root.clone()))),
        }
    }
}

/// A store of this process. Clones share it.
#[derive(Clone, Debug)]
pub enum Store {
    /// A bucket.
    Bucket(Arc<AwsStore>),
    /// A folder.
    Folder(Arc<FolderStore>),
}

impl Store {
    /// The common interface of both.
    pub fn objects(self) -> Arc<dyn ObjectStore> {
        match self {
            Self::Bucket(store) => store,
            Self::Folder(store) => store,
        }
    }
}
