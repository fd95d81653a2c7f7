//! Objects in local files: the same formats and checks as in a store.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use encrypted_s3_core::download::{DownloadPlan, RangePlan};
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::keyring::{Key, Keyring};
use encrypted_s3_core::secret::WrappingKey;
use encrypted_s3_core::upload::PartPlan;
use encrypted_s3_core::{ErrorKind, Result, local};

const PLAN: PartPlan = PartPlan { multipart_threshold: 5 << 20, part_size: 5 << 20, concurrency: 4 };
const READING: DownloadPlan = DownloadPlan {
    ranges: RangePlan { size: 1 << 20, concurrency: 4 },
    memory_limit: 1 << 20,
    segment_index: true,
    maps: None,
    map_settings: None,
};

fn envelopes() -> Envelopes {
    let key = WrappingKey::from_bytes(&[7; 32]).unwrap().into();
    Keyring::new(vec![Key { id: Some("an id".into()), key }]).unwrap().into()
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

async fn sealed(plaintext: &[u8]) -> (File, HashMap<String, String>) {
    let body = file(b"");
    let sealed = local::seal(&envelopes(), PLAN, "a file", &file(plaintext), body.try_clone().unwrap()).await.unwrap();
    assert_eq!(sealed.bytes, plaintext.len() as u64);
    (body, sealed.metadata.into_iter().collect())
}

async fn opened(body: &File, metadata: HashMap<String, String>) -> Result<Vec<u8>> {
    let body = body.try_clone().unwrap();
    let mut download = local::open(&envelopes(), &READING, "a file", body, metadata, None).await?;
    let mut plaintext = Vec::new();
    while let Some(chunk) = download.next().await? {
        plaintext.extend_from_slice(chunk);
    }
    Ok(plaintext)
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position * 7 % 251) as u8).collect()
}

#[tokio::test]
async fn files_of_any_size_round_trip() {
    for length in [0, 1, 1 << 20, (1 << 20) + 1, 5 << 20, (11 << 20) + 3] {
        let (body, metadata) = sealed(&text(length)).await;
        assert_eq!(body.metadata().unwrap().len(), length as u64 + 16);
        assert!(opened(&body, metadata).await.unwrap() == text(length), "{length}");
    }
}

#[tokio::test]
async fn a_changed_file_returns_no_bytes() {
    for length in [100, 3 << 20] {
        let (body, metadata) = sealed(&text(length)).await;
        body.write_all_at(b"changed", length as u64 - 50).unwrap();
        assert_eq!(opened(&body, metadata).await.unwrap_err().kind(), ErrorKind::Auth);
    }
}

#[tokio::test]
async fn a_truncated_file_and_missing_metadata_are_different_errors() {
    let (body, metadata) = sealed(&text(100)).await;
    assert_eq!(opened(&body, HashMap::new()).await.unwrap_err().kind(), ErrorKind::MissingEnvelope);
    body.set_len(10).unwrap();
    assert_eq!(opened(&body, metadata).await.unwrap_err().kind(), ErrorKind::Truncated);
}

#[tokio::test]
async fn an_instruction_file_is_read_only_if_they_are_enabled() {
    let (body, metadata) = sealed(&text(100)).await;
    let instructions = serde_json::to_vec(&metadata).unwrap();
    let open = async |envelopes: &Envelopes| {
        let body = body.try_clone().unwrap();
        local::open(envelopes, &READING, "a file", body, HashMap::new(), Some(instructions.clone())).await
    };
    assert_eq!(open(&envelopes()).await.unwrap_err().kind(), ErrorKind::Configuration);
    let reading = Envelopes { instruction_file_suffix: Some(".instruction".into()), ..envelopes() };
    assert_eq!(open(&reading).await.unwrap().next().await.unwrap(), Some(text(100).as_slice()));
}
