//! The memory of uploads: the number of parts that one upload, and all uploads together, hold.

use super::*;

#[test]
fn an_upload_holds_no_more_parts_than_documented() {
    // In its own process, because other tests use memory too.
    let mut test = std::process::Command::new(std::env::current_exe().unwrap());
    let ended = test.args(["--ignored", "--exact", "upload::parts::parts_that_an_upload_holds"]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures the memory of its process; another test runs it"]
async fn parts_that_an_upload_holds() {
    let memory = MemoryStore::new();
    memory.hold("put_part");
    let plan = PartPlan { multipart_threshold: 16 * MIB, part_size: 16 * MIB, concurrency: 2 };
    let before = resident();
    let mut upload =
        Upload::begin(Arc::new(memory.clone()), &keyring(), plan, "a key", UploadOptions::default()).now().unwrap();
    let piece = vec![1; MIB];
    let writing = async {
        for _ in 0..16 * 9 {
            upload.write(&piece).await.unwrap();
        }
    };
    // The upload stops reading by itself, because no part is completed.
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(3), writing).await;
    assert!(stopped.is_err());
    let parts = resident().saturating_sub(before) as f64 / (16 * MIB) as f64;
    // Four parts, and the pages of code that were loaded meanwhile.
    assert!(parts < 4.6, "{parts} parts of 16 MiB");
    memory.release("put_part");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_uploads_together_hold_no_more_parts_than_documented() {
    let memory = MemoryStore::new();
    memory.hold("put_part");
    const PART: usize = 64 * 1024;
    let plan = PartPlan { multipart_threshold: PART, part_size: PART, concurrency: 10 };
    let uploads: Vec<_> = (0..5)
        .map(|number| {
            let store = Arc::new(memory.clone());
            tokio::spawn(async move {
                let options = UploadOptions { expected_size: Some(11 * PART as u64), ..Default::default() };
                let mut upload =
                    Upload::begin(store, &keyring(), plan, &format!("key {number}"), options).await.unwrap();
                upload.write(&[1; 11 * PART]).await.unwrap();
                upload.finish().await.unwrap();
            })
        })
        .collect();

    // Without the limit there would be 50.
    let most = 5 * OWN_PARTS + SHARED_PARTS;
    let more_than = |number| {
        let memory = memory.clone();
        async move {
            while memory.calls("put_part") <= number {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), more_than(most - 1)).await.unwrap();
    let more = tokio::time::timeout(std::time::Duration::from_millis(300), more_than(most)).await;
    assert!(more.is_err(), "{} parts", memory.calls("put_part"));

    memory.release("put_part");
    for upload in uploads {
        upload.await.unwrap();
    }
    assert_eq!(memory.calls("put_part"), 5 * 12);
    assert_eq!(memory.object("key 4").unwrap().1.len(), 11 * PART + 16);
}

/// Bytes of memory of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}
