//! Rotation does not change the body, the new key decrypts it, and the old key is no longer needed.

use std::sync::Arc;

use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::download::{Download, DownloadPlan, RangePlan};
use encrypted_s3_core::envelope::{Envelopes, Format};
use encrypted_s3_core::policy::{CommitmentPolicy, Policy};
use encrypted_s3_core::rotate::{RotateOptions, Rotated, Rotation, rotate};
use encrypted_s3_core::store::{MemoryStore, NewObject};
use encrypted_s3_core::upload::{PartPlan, Upload, UploadOptions};

use crate::support::{Now as _, envelopes, key, with_policy};

const PARTS: PartPlan = PartPlan { multipart_threshold: 1 << 24, part_size: 1 << 23, concurrency: 2 };
const READING: DownloadPlan = DownloadPlan {
    ranges: RangePlan { size: 1 << 20, concurrency: 2 },
    memory_limit: 1 << 20,
    segment_index: true,
    maps: None,
    map_settings: None,
};
const GIB_5: u64 = 5 << 30;

fn policy(commitment: CommitmentPolicy) -> Policy {
    Policy::new(Some(commitment), None).unwrap()
}

/// The policies that write V2 and V3.
fn policies() -> [(Policy, Format); 2] {
    [
        (policy(CommitmentPolicy::ForbidEncryptAllowDecrypt), Format::V2),
        (policy(CommitmentPolicy::RequireEncryptAllowDecrypt), Format::V3),
    ]
}

fn before(policy: Policy) -> Envelopes {
    with_policy(policy, vec![key(Some("2024"), &[1; 32])])
}

/// The new key writes, the old one reads.
fn during(policy: Policy) -> Envelopes {
    with_policy(policy, vec![key(Some("2026"), &[2; 32]), key(Some("2024"), &[1; 32])])
}

fn after() -> Envelopes {
    envelopes(vec![key(Some("2026"), &[2; 32])])
}

async fn store(envelopes: &Envelopes) -> MemoryStore {
    let memory = MemoryStore::new();
    let mut upload =
        Upload::begin(Arc::new(memory.clone()), envelopes, PARTS, "a key", UploadOptions::default()).now().unwrap();
    upload.write(b"the text").await.unwrap();
    upload.finish().await.unwrap();
    let (object, body) = memory.object("a key").unwrap();
    let mut metadata = object.metadata.clone();
    metadata.push(("owner".into(), "somebody".into()));
    memory.replace(NewObject { content_type: "a/b".into(), metadata, ..object }, body);
    memory
}

async fn run(memory: &MemoryStore, envelopes: &Envelopes) -> encrypted_s3_core::Result<Rotation> {
    rotated(memory, envelopes).await.map(|rotated| rotated.outcome)
}

async fn rotated(memory: &MemoryStore, envelopes: &Envelopes) -> encrypted_s3_core::Result<Rotated> {
    let options = RotateOptions { largest_copy: GIB_5, ..Default::default() };
    rotate(Arc::new(memory.clone()), envelopes, "a key", &options).await
}

async fn read(memory: &MemoryStore, envelopes: &Envelopes) -> encrypted_s3_core::Result<Vec<u8>> {
    let mut download = Download::open(Arc::new(memory.clone()), envelopes, &READING, "a key").await?;
    Ok(download.next().await?.unwrap_or_default().to_vec())
}

#[tokio::test]
async fn an_object_that_the_policy_does_not_read_is_not_rotated() {
    let memory = store(&before(policy(CommitmentPolicy::ForbidEncryptAllowDecrypt))).await;
    let (stored, _) = memory.object("a key").unwrap();
    let error = run(&memory, &during(policy(CommitmentPolicy::RequireEncryptRequireDecrypt))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitmentRequired);
    assert_eq!(memory.object("a key").unwrap().0.metadata, stored.metadata);
}

#[tokio::test]
async fn only_the_new_key_opens_a_rotated_object_and_only_its_metadata_changes() {
    for (policy, format) in policies() {
        let memory = store(&before(policy)).await;
        let (object, body) = memory.object("a key").unwrap();
        assert_eq!(read(&memory, &after()).await.unwrap_err().kind(), ErrorKind::Unwrap);
        let looked_at = rotated(&memory, &during(policy)).await.unwrap();
        let expected = Rotated { outcome: Rotation::Rotated(format), former_key_id: Some("2024".into()) };
        assert_eq!(looked_at, expected);

        assert_eq!(read(&memory, &after()).await.unwrap(), b"the text");
        assert_eq!(read(&memory, &before(policy)).await.unwrap_err().kind(), ErrorKind::Unwrap);
        let (rotated, same_body) = memory.object("a key").unwrap();
        assert_eq!(same_body, body);
        assert_eq!(rotated.content_type, "a/b");
        let changed = rotated.metadata.iter().filter(|entry| !object.metadata.contains(entry)).count();
        assert_eq!((rotated.metadata.len(), changed), (object.metadata.len(), 2), "the key and its description");
    }
}

#[tokio::test]
async fn a_current_object_is_left_unchanged() {
    for (policy, format) in policies() {
        let memory = store(&during(policy)).await;
        assert_eq!(run(&memory, &during(policy)).await.unwrap(), Rotation::Current(format));
        assert_eq!(memory.calls("replace_metadata"), 0);
    }
}

#[tokio::test]
async fn a_changed_key_id_is_written_even_if_the_key_is_the_same() {
    let (policy, _) = policies()[0];
    let memory = store(&before(policy)).await;
    let renamed = with_policy(policy, vec![key(Some("renamed"), &[1; 32])]);
    assert!(matches!(run(&memory, &renamed).await.unwrap(), Rotation::Rotated(_)));
    assert!(matches!(run(&memory, &renamed).await.unwrap(), Rotation::Current(_)));
}

#[tokio::test]
async fn a_v2_object_stays_v2_under_a_policy_that_writes_v3() {
    let [(v2, _), (v3, _)] = policies();
    let memory = store(&before(v2)).await;
    assert_eq!(run(&memory, &during(v3)).await.unwrap(), Rotation::Rotated(Format::V2));
    assert_eq!(read(&memory, &after()).await.unwrap(), b"the text");
}

#[tokio::test]
async fn an_object_that_cannot_be_opened_keeps_its_envelope() {
    let (v3, _) = policies()[1];
    let memory = store(&before(v3)).await;
    assert_eq!(run(&memory, &after()).await.unwrap_err().kind(), ErrorKind::Unwrap);

    // A commitment to another key: wrapping the data key again would make a forgery look current.
    let (object, body) = memory.object("a key").unwrap();
    let (other, _) = store(&before(v3)).await.object("a key").unwrap();
    let swapped = object.metadata.iter().map(|(name, value)| {
        let foreign = other.metadata.iter().find(|(entry, _)| entry == "x-amz-d" && entry == name);
        (name.clone(), foreign.map_or(value, |(_, value)| value).clone())
    });
    memory.replace(NewObject { metadata: swapped.collect(), ..object }, body);
    assert_eq!(run(&memory, &during(v3)).await.unwrap_err().kind(), ErrorKind::Commitment);
    assert_eq!(memory.calls("replace_metadata"), 0);
}

#[tokio::test]
async fn a_missing_object_and_a_missing_envelope_are_different_errors() {
    let (policy, _) = policies()[0];
    assert_eq!(run(&MemoryStore::new(), &during(policy)).await.unwrap_err().kind(), ErrorKind::NotFound);
    let memory = MemoryStore::new();
    memory.replace(NewObject { key: "a key".into(), ..Default::default() }, "plaintext of some length");
    assert_eq!(run(&memory, &during(policy)).await.unwrap_err().kind(), ErrorKind::MissingEnvelope);
}

#[tokio::test]
async fn a_failed_request_leaves_the_object_readable() {
    let (policy, _) = policies()[0];
    let memory = store(&before(policy)).await;
    memory.fail("replace_metadata", 1);
    assert_eq!(run(&memory, &during(policy)).await.unwrap_err().kind(), ErrorKind::Transport);
    assert_eq!(read(&memory, &before(policy)).await.unwrap(), b"the text");
    assert!(matches!(run(&memory, &during(policy)).await.unwrap(), Rotation::Rotated(_)));
}

#[tokio::test]
async fn a_read_in_progress_continues_during_a_rotation() {
    let (policy, _) = policies()[0];
    let memory = MemoryStore::new();
    let mut upload = Upload::begin(Arc::new(memory.clone()), &before(policy), PARTS, "a key", UploadOptions::default())
        .now()
        .unwrap();
    let text = vec![5; 5_000_000];
    upload.write(&text).await.unwrap();
    upload.finish().await.unwrap();
    for memory_limit in [0, 1 << 24] {
        let reading = DownloadPlan { memory_limit, ..READING };
        let memory = memory.clone();
        let mut download = Download::open(Arc::new(memory.clone()), &during(policy), &reading, "a key").await.unwrap();
        // The store gives the object another entity tag.
        let (object, body) = memory.object("a key").unwrap();
        run(&memory, &during(policy)).await.unwrap();
        assert_eq!(download.next().await.unwrap().unwrap(), text);
        memory.replace(object, body);
    }
}

#[tokio::test]
async fn a_large_object_is_copied_in_parts() {
    let (policy, _) = policies()[0];
    let memory = store(&before(policy)).await;
    let body = memory.object("a key").unwrap().1;
    let options = RotateOptions { largest_copy: 7, ..Default::default() };
    let rotated = rotate(Arc::new(memory.clone()), &during(policy), "a key", &options).await.unwrap();
    assert!(matches!(rotated.outcome, Rotation::Rotated(_)));
    assert_eq!((memory.calls("copy_part"), memory.calls("replace_metadata")), (body.len().div_ceil(7), 0));
    assert_eq!(memory.object("a key").unwrap().1, body);
    assert_eq!(read(&memory, &after()).await.unwrap(), b"the text");
    assert_eq!(memory.unfinished(), 0);
}

#[tokio::test]
async fn a_failed_or_interrupted_copy_in_parts_leaves_no_parts() {
    let (policy, _) = policies()[0];
    let options = RotateOptions { largest_copy: 7, ..Default::default() };
    for operation in ["create_copy", "copy_part", "complete_multipart"] {
        let memory = store(&before(policy)).await;
        memory.fail(operation, 1);
        let failed = rotate(Arc::new(memory.clone()), &during(policy), "a key", &options).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Transport, "{operation}");
        assert_eq!(memory.unfinished(), 0, "{operation}");
        assert_eq!(read(&memory, &before(policy)).await.unwrap(), b"the text");

        let memory = store(&before(policy)).await;
        memory.hold("copy_part");
        let keys = during(policy);
        let rotating = rotate(Arc::new(memory.clone()), &keys, "a key", &options);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), rotating).await.is_err());
        while memory.calls("abort_multipart") == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(memory.unfinished(), 0);
        assert_eq!(read(&memory, &before(policy)).await.unwrap(), b"the text");
    }
}

#[tokio::test]
async fn a_copy_in_parts_does_not_replace_an_object_stored_meanwhile() {
    let (policy, _) = policies()[0];
    let options = RotateOptions { largest_copy: 7, ..Default::default() };
    let memory = store(&before(policy)).await;
    memory.hold("copy_part");
    let rotating = {
        let memory = memory.clone();
        tokio::spawn(async move { rotate(Arc::new(memory), &during(policy), "a key", &options).await })
    };
    while memory.calls("copy_part") == 0 {
        tokio::task::yield_now().await;
    }
    let (object, body) = store(&during(policy)).await.object("a key").unwrap();
    memory.replace(object, body.clone());
    memory.release("copy_part");
    assert!(matches!(rotating.await.unwrap().unwrap().outcome, Rotation::Current(_)));
    assert_eq!(memory.object("a key").unwrap().1, body);
    assert_eq!(memory.unfinished(), 0);
}
