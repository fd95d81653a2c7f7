//! Downloads into a file: write the whole object at the position of the file, or nothing.

use super::*;

async fn save(memory: &MemoryStore, plan: &DownloadPlan, file: &File, digest: Option<Algorithm>) -> Result<Written> {
    Download::save(Arc::new(memory.clone()), &keyring(1), plan, "a key", file, digest).await
}

#[tokio::test]
async fn a_cancelled_download_leaves_the_file_unchanged() {
    let (memory, ..) = stored(4 * CHUNK).await;
    for operations in 1..40 {
        for plan in [&WHOLE, &DownloadPlan { ranges: RangePlan { size: 1 << 20, concurrency: 2 }, ..BY_SEGMENTS }] {
            let file = begun_file("", false);
            let pause = tokio::time::sleep(std::time::Duration::from_micros(400 * operations));
            let over = tokio::select! {
                biased;
                _ = save(&memory, plan, file.as_file(), Some(Algorithm::Md5)) => true,
                () = pause => false,
            };
            if over {
                continue;
            }
            for _ in 0..3 {
                assert_eq!(std::fs::read(file.path()).unwrap(), b"before ");
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            assert_eq!(file.as_file().stream_position().unwrap(), 7);
        }
    }
}

#[tokio::test]
async fn a_file_gets_the_whole_object() {
    let (memory, ..) = stored(300_000).await;
    for plan in PLANS {
        let file = tempfile::NamedTempFile::new().unwrap();
        let written = save(&memory, &plan, file.as_file(), None).await.unwrap();
        assert_eq!((written.bytes, written.digest), (300_000, None));
        assert_eq!(std::fs::read(file.path()).unwrap(), plaintext(300_000));
    }
}

/// A file with "before " and `after`, positioned after "before ". With `append`, it is positioned at its end.
fn begun_file(after: &str, append: bool) -> tempfile::NamedTempFile {
    let named = tempfile::NamedTempFile::new().unwrap();
    named.as_file().write_all(b"before ").unwrap();
    named.as_file().write_all(after.as_bytes()).unwrap();
    named.as_file().seek(SeekFrom::Start(7)).unwrap();
    if !append {
        return named;
    }
    let mut appended = OpenOptions::new().read(true).append(true).open(named.path()).unwrap();
    appended.seek(SeekFrom::End(0)).unwrap();
    tempfile::NamedTempFile::from_parts(appended, named.into_temp_path())
}

#[tokio::test]
async fn any_file_gets_the_object_at_its_position() {
    let (memory, ..) = stored(300_000).await;
    for (after, append) in [("", false), ("after", false), ("", true)] {
        for plan in PLANS {
            let file = begun_file(after, append);
            save(&memory, &plan, file.as_file(), Some(Algorithm::Md5)).await.unwrap();
            assert_eq!(file.as_file().stream_position().unwrap(), 300_007);
            assert_eq!(std::fs::read(file.path()).unwrap(), [b"before ", &plaintext(300_000)[..]].concat());
        }
    }
}

#[tokio::test]
async fn a_write_only_file_gets_the_whole_object() {
    let (memory, ..) = stored(300_000).await;
    let named = tempfile::NamedTempFile::new().unwrap();
    let file = OpenOptions::new().write(true).open(named.path()).unwrap();
    save(&memory, &BY_SEGMENTS, &file, None).await.unwrap();
    assert_eq!(std::fs::read(named.path()).unwrap(), plaintext(300_000));
}

#[tokio::test]
async fn a_changed_object_leaves_the_content_of_the_file() {
    let (memory, object, body) = stored(300_000).await;
    let mut changed = body.to_vec();
    changed[299_999] ^= 1;
    memory.replace(object, changed);
    for (after, append) in [("", false), ("after", false), ("", true)] {
        for plan in PLANS {
            let file = begun_file(after, append);
            assert_eq!(
                save(&memory, &plan, file.as_file(), Some(Algorithm::Md5)).await.unwrap_err().kind(),
                ErrorKind::Auth
            );
            assert_eq!(std::fs::read_to_string(file.path()).unwrap(), format!("before {after}"));
            assert_eq!(file.as_file().stream_position().unwrap(), 7);
        }
    }
}

#[tokio::test]
async fn the_digest_of_the_written_bytes_is_returned() {
    let memory = MemoryStore::new();
    let options = UploadOptions::default();
    let mut upload = Upload::begin(Arc::new(memory.clone()), &keyring(1), PLAN, "a key", options).now().unwrap();
    upload.write(b"abc").await.unwrap();
    upload.finish().await.unwrap();
    // RFC 1321 appendix A.5 and FIPS 180-4's example, as base64.
    let digests = [
        (Algorithm::Md5, "kAFQmDzST7DWlj99KOF/cg=="),
        (Algorithm::Sha256, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
    ];
    for (algorithm, digest) in digests {
        let file = tempfile::tempfile().unwrap();
        let written = save(&memory, &WHOLE, &file, Some(algorithm)).await.unwrap();
        assert_eq!(written.digest.as_deref(), Some(digest));
    }
}

#[tokio::test]
async fn no_byte_of_a_changed_object_is_written_into_the_file() {
    let (memory, object, body) = stored(300_000).await;
    let mut changed = body.to_vec();
    changed[299_999] ^= 1;
    memory.replace(object, changed);
    for plan in PLANS {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = save(&memory, &plan, file.as_file(), Some(Algorithm::Md5)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert_eq!(std::fs::read(file.path()).unwrap(), b"");
    }
}
