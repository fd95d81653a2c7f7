use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;

mod writers;

fn store() -> (TempDir, FolderStore) {
    let root = tempfile::tempdir().unwrap();
    let store = FolderStore::new(root.path().to_owned());
    (root, store)
}

fn object(key: &str, metadata: &[(&str, &str)]) -> NewObject {
    let metadata = metadata.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    NewObject {
        key: key.to_owned(),
        content_type: "application/octet-stream".to_owned(),
        metadata,
        ..NewObject::default()
    }
}

async fn put(store: &FolderStore, key: &str, body: &[u8]) -> Stored {
    store.put(object(key, &[("of", key)]), Bytes::copy_from_slice(body)).await.unwrap()
}

async fn read(store: &FolderStore, key: &str, range: Option<(u64, u64)>) -> Result<(ObjectHead, Vec<u8>)> {
    let mut found = store.get(key, Reading { range, if_match: None }).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = found.body.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok((found.head, bytes))
}

/// The paths of everything below a folder, folders included, except the store's own.
fn everything(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            }
            found.insert(name);
        }
    }
    found.retain(|name| ![".encrypted_s3", ".encrypted_s3/lock", ".encrypted_s3/uploads"].contains(&name.as_str()));
    found
}

/// Keys that would leave the folder, or collide, if keys were used as paths.
fn peculiar_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "a",
        "A",
        "ab",
        "../../outside",
        "/etc/passwd",
        "a/../b",
        ".",
        "..",
        "...",
        "a.json",
        "a.",
        ".encrypted_s3/lock",
        "a\0b",
        "a\nb",
        "a%2fb",
        "a%2Fb",
        "a/b",
        "a//b",
        "a/b/",
        "CON",
        "ü",
        "u\u{308}",
        "日本",
        "a~b",
        " a",
        "a ",
        "~",
        "_",
        "__",
        "a_",
        "-",
        "\u{feff}",
        "a.0123456789abcdef0123456789abcdef",
        "%",
        "%%",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    keys.extend([170, 179, 180, 181, 250, 500, 1024].map(|length| "k".repeat(length)));
    keys.extend([59, 61, 341].map(|length| "日".repeat(length)));
    keys.push("k".repeat(1023) + "l");
    keys.push("K".repeat(1024));
    keys
}

#[tokio::test]
async fn every_key_has_its_own_files_inside_the_folder_and_leaves_nothing_when_it_is_deleted() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("one/two/three");
    let store = FolderStore::new(root.clone());
    let keys = peculiar_keys();
    for key in &keys {
        put(&store, key, key.as_bytes()).await;
    }
    let names = everything(&root);
    let ignoring_case: BTreeSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(ignoring_case.len(), names.len(), "names differ in more than their case");
    assert!(names.iter().all(|name| name.is_ascii() && name.len() < 255));
    for key in &keys {
        let (head, body) = read(&store, key, None).await.unwrap();
        assert_eq!((body.as_slice(), head.metadata["of"].as_str()), (key.as_bytes(), key.as_str()));
    }
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(store.list("", None).await.unwrap().keys, sorted);
    assert_eq!(everything(outer.path()).iter().filter(|name| !name.starts_with("one")).count(), 0);
    for key in &keys {
        store.delete(key).await.unwrap();
        assert_eq!(store.head(key).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(everything(&root), BTreeSet::new());
}

#[tokio::test]
async fn a_key_that_s3_would_refuse_is_refused() {
    let (_root, store) = store();
    for key in [String::new(), "k".repeat(1025), "ü".repeat(513)] {
        let put = store.put(object(&key, &[]), Bytes::new()).await;
        assert_eq!(put.unwrap_err().kind(), ErrorKind::Rejected);
        assert_eq!(store.create_multipart(object(&key, &[])).await.unwrap_err().kind(), ErrorKind::Rejected);
        store.delete(&key).await.unwrap();
    }
}

#[tokio::test]
async fn a_listing_has_exactly_the_keys_with_the_prefix_page_by_page() {
    let (_root, store) = store();
    let keys = peculiar_keys();
    for key in &keys {
        put(&store, key, b"body").await;
    }
    let long = ["k".repeat(99), "k".repeat(101), "k".repeat(170), "k".repeat(1024), "日".repeat(60), "K".repeat(30)];
    let short = ["", "a", "a/", "a.", "ab", "A", "ü", "日", "..", ".", "/", "%", "a%2", "_", "x", "a_", "a__"];
    for prefix in short.iter().map(|prefix| prefix.to_string()).chain(long) {
        let mut expected: Vec<_> = keys.iter().filter(|key| key.starts_with(&prefix)).cloned().collect();
        expected.sort();
        assert_eq!(store.list(&prefix, None).await.unwrap().keys, expected, "{prefix:?}");
    }
    for number in 0..1_005 {
        put(&store, &format!("many/{number:04}"), b"").await;
    }
    let first = store.list("many/", None).await.unwrap();
    assert_eq!((first.keys.len(), first.truncated), (1_000, true));
    let second = store.list("many/", first.next).await.unwrap();
    assert_eq!((second.keys.first().unwrap().as_str(), second.keys.len()), ("many/1000", 5));
    assert_eq!((second.next, second.truncated), (None, false));
    crate::deletion::delete_prefixed(Arc::new(store.clone()), "many/".to_owned()).await.unwrap();
    assert_eq!(store.list("many/", None).await.unwrap().keys, Vec::<String>::new());
}

#[tokio::test]
async fn ranges_and_versions_are_read_as_from_a_bucket() {
    let (_root, store) = store();
    let body: Vec<u8> = (0..1_500_000u32).map(|number| number as u8).collect();
    let stored = put(&store, "key", &body).await;
    for (first, last) in [(0, 0), (5, 5), (1_499_999, u64::MAX), (3, 1_200_000), (0, u64::MAX)] {
        let (head, bytes) = read(&store, "key", Some((first, last))).await.unwrap();
        let end = last.saturating_add(1).min(1_500_000) as usize;
        assert_eq!(bytes, body[first as usize..end]);
        assert_eq!((head.size, head.etag), (1_500_000, stored.etag.clone()));
    }
    assert_eq!(read(&store, "key", Some((1_500_000, u64::MAX))).await.unwrap_err().kind(), ErrorKind::InvalidRange);
    put(&store, "key", b"another").await;
    let former = Reading { range: None, if_match: Some(stored.etag) };
    assert_eq!(store.get("key", former).await.unwrap_err().kind(), ErrorKind::Changed);
}

#[tokio::test]
async fn an_open_object_is_read_to_its_end_when_it_is_replaced_and_deleted_meanwhile() {
    let (root, store) = store();
    put(&store, "key", &[7; 2_000_000]).await;
    let mut open = store.get("key", Reading::default()).await.unwrap();
    let mut bytes = open.body.next().await.unwrap().unwrap().to_vec();
    put(&store, "key", b"another").await;
    store.delete("key").await.unwrap();
    while let Some(chunk) = open.body.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(bytes, [7; 2_000_000]);
    assert_eq!(everything(root.path()), BTreeSet::new());
}

#[tokio::test]
async fn parts_become_the_object_in_their_order_at_the_end() {
    let (root, store) = store();
    let id = store.create_multipart(object("key", &[("a", "b")])).await.unwrap();
    let third = store.put_part("key", &id, 3, Bytes::from_static(b"three")).await.unwrap();
    let first = store.put_part("key", &id, 1, Bytes::from_static(b"wrong")).await.unwrap();
    let second = store.put_part("key", &id, 2, Bytes::from_static(b"two ")).await.unwrap();
    // Sent again, as after a lost answer.
    let again = store.put_part("key", &id, 1, Bytes::from_static(b"one ")).await.unwrap();
    assert_ne!(first.etag, again.etag);
    assert_eq!(store.head("key").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.unfinished_uploads("k").await.unwrap(), [("key".to_owned(), id.clone())]);
    assert!(store.unfinished_uploads("other").await.unwrap().is_empty());

    let stored = store.complete_multipart("key", &id, vec![again, second, third]).await.unwrap();
    let (head, body) = read(&store, "key", None).await.unwrap();
    assert_eq!((body.as_slice(), head.metadata["a"].as_str(), head.etag), (&b"one two three"[..], "b", stored.etag));
    assert_eq!(store.put_part("key", &id, 4, Bytes::new()).await.unwrap_err().kind(), ErrorKind::UploadNotFound);
    assert_eq!(fs::read_dir(root.path().join(".encrypted_s3/uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_upload_that_is_aborted_or_not_complete_leaves_the_former_object_and_no_file() {
    let (root, store) = store();
    put(&store, "key", b"former").await;
    let before = everything(root.path());
    let id = store.create_multipart(object("key", &[])).await.unwrap();
    let part = store.put_part("key", &id, 1, Bytes::from_static(b"part")).await.unwrap();
    let missing = StoredPart { number: 2, ..part.clone() };
    let completed = store.complete_multipart("key", &id, vec![part, missing]).await;
    assert_eq!(completed.unwrap_err().kind(), ErrorKind::Rejected);
    store.abort_multipart("key", &id).await.unwrap();
    assert_eq!(store.abort_multipart("key", &id).await.unwrap_err().kind(), ErrorKind::UploadNotFound);
    for id in ["", "..", "../..", "0123456789abcdef0123456789abcdef"] {
        assert_eq!(store.abort_multipart("key", id).await.unwrap_err().kind(), ErrorKind::UploadNotFound);
    }
    assert_eq!(everything(root.path()), before);
    assert_eq!(read(&store, "key", None).await.unwrap().1, b"former");
}

#[tokio::test]
async fn replacing_metadata_keeps_the_body_and_requires_the_right_version() {
    let (root, store) = store();
    let first = put(&store, "key", b"body").await;
    let bodies =
        |names: BTreeSet<String>| names.into_iter().filter(|name| !name.ends_with(".json")).collect::<Vec<_>>();
    let before = bodies(everything(root.path()));
    let replacement = Replacement { metadata: vec![("new".to_owned(), "1".to_owned())], acl: None };
    let second = store.replace_metadata("key", &first.etag, replacement.clone()).await.unwrap();
    assert_eq!(bodies(everything(root.path())), before);
    let (head, body) = read(&store, "key", None).await.unwrap();
    assert_eq!((body.as_slice(), head.metadata.len(), head.metadata["new"].as_str()), (&b"body"[..], 1, "1"));
    assert_eq!(head.etag, second.etag);
    for (key, kind) in [("key", ErrorKind::Changed), ("none", ErrorKind::NotFound)] {
        let replaced = store.replace_metadata(key, &first.etag, replacement.clone()).await;
        assert_eq!(replaced.unwrap_err().kind(), kind);
        assert_eq!(store.create_copy(key, &first.etag, replacement.clone()).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_copy_in_parts_has_the_same_body_unless_the_object_was_replaced() {
    let (root, store) = store();
    let first = put(&store, "key", b"0123456789").await;
    let replacement = Replacement { metadata: vec![("new".to_owned(), "1".to_owned())], acl: None };
    let id = store.create_copy("key", &first.etag, replacement.clone()).await.unwrap();
    let mut parts = Vec::new();
    for (number, range) in [(1, (0, 3)), (2, (4, 7)), (3, (8, 9))] {
        parts.push(store.copy_part("key", &id, number, &first.etag, range).await.unwrap());
    }
    let second = store.complete_multipart("key", &id, parts).await.unwrap();
    let (head, body) = read(&store, "key", None).await.unwrap();
    assert_eq!((body.as_slice(), head.metadata["new"].as_str()), (&b"0123456789"[..], "1"));

    let id = store.create_copy("key", &second.etag, replacement).await.unwrap();
    let part = store.copy_part("key", &id, 1, &second.etag, (0, 9)).await.unwrap();
    put(&store, "key", b"another").await;
    let late = store.copy_part("key", &id, 2, &second.etag, (0, 3)).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Changed);
    assert_eq!(store.complete_multipart("key", &id, vec![part]).await.unwrap_err().kind(), ErrorKind::Changed);
    store.abort_multipart("key", &id).await.unwrap();
    assert_eq!(read(&store, "key", None).await.unwrap().1, b"another");
    assert_eq!(everything(root.path()).iter().filter(|name| name.contains("/ke/")).count(), 0);
}

#[tokio::test]
async fn remains_of_a_killed_process_are_not_objects_and_are_removed_after_a_day() {
    let (root, store) = store();
    let stored = put(&store, "key", b"body").await;
    // Killed between the body and the record, and in the middle of an upload.
    let location = store.folder.location("key").unwrap();
    let orphan = location.folder.join(format!("{}.{}", location.name, "0".repeat(32)));
    fs::write(&orphan, b"orphan").unwrap();
    let id = store.create_multipart(object("other", &[])).await.unwrap();
    store.put_part("other", &id, 1, Bytes::from_static(b"part")).await.unwrap();
    assert_eq!(store.head("key").await.unwrap().etag, stored.etag);
    assert_eq!(store.list("", None).await.unwrap().keys, ["key"]);

    let upload = root.path().join(".encrypted_s3/uploads").join(&id);
    put(&FolderStore::new(root.path().to_owned()), "key", b"new").await;
    assert!(upload.exists() && !orphan.exists());
    let yesterday = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    fs::File::open(&upload).unwrap().set_modified(yesterday).unwrap();
    put(&FolderStore::new(root.path().to_owned()), "key", b"new").await;
    assert!(!upload.exists());
}

#[tokio::test]
async fn a_record_that_is_damaged_or_leads_elsewhere_is_an_error_and_can_be_deleted_or_replaced() {
    let (root, store) = store();
    let outside = tempfile::NamedTempFile::new().unwrap();
    for text in ["", "{}", "[]", "{\"Key\": 1}"] {
        put(&store, "key", b"body").await;
        fs::write(store.folder.location("key").unwrap().record(), text).unwrap();
        assert_eq!(store.head("key").await.unwrap_err().kind(), ErrorKind::Io);
        put(&store, "key", b"new").await;
        assert_eq!(read(&store, "key", None).await.unwrap().1, b"new");
    }
    let path = store.folder.location("key").unwrap().record();
    let mut record = objects::read_record(&path).unwrap().unwrap();
    record.body = outside.path().to_str().unwrap().to_owned();
    fs::write(&path, record.to_json()).unwrap();
    assert_eq!(read(&store, "key", None).await.unwrap_err().kind(), ErrorKind::Io);
    store.delete("key").await.unwrap();
    assert!(outside.path().exists());
    assert_eq!(everything(root.path()), BTreeSet::new());
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_empty_and_only_writing_makes_it() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("new/folder");
    let store = FolderStore::new(root.clone());
    assert_eq!(store.head("key").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(store.list("", None).await.unwrap().keys.is_empty());
    store.delete("key").await.unwrap();
    assert!(!root.exists());
    put(&store, "key", b"body").await;
    assert_eq!(read(&store, "key", None).await.unwrap().1, b"body");

    let file = tempfile::NamedTempFile::new().unwrap();
    let store = FolderStore::new(file.path().to_owned());
    let refused = store.put(object("key", &[]), Bytes::new()).await.unwrap_err();
    assert!(refused.to_string().contains(file.path().to_str().unwrap()), "{refused}");
}
