//! The stored map of an object: it saves readers a pass over the object, and a wrong one does no harm.

use super::*;

#[tokio::test]
async fn a_stored_map_saves_the_pass_over_the_object() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    let first = 12 * SEGMENT + 9;
    assert!(bucket.range(&plan(), first, 100).await.unwrap() == text(SIZE)[first..first + 100]);
    // One segment, and 21 tags.
    assert_eq!(bucket.memory.bytes_read() as usize, SEGMENT + HEADER_LEN + 21 * 16);
    assert_eq!(bucket.memory.calls("get"), 2);

    let moved = bucket.memory.bytes_read();
    assert!(bucket.read(&plan()).await.unwrap() == text(SIZE));
    assert!(bucket.memory.bytes_read() - moved <= (SIZE + 16 + HEADER_LEN + 21 * 16) as u64);
}

#[tokio::test]
async fn a_small_object_needs_no_request_for_a_map() {
    let bucket = Bucket::with(SEGMENT).await;
    bucket.put_beside(vec![0; 200]);
    assert!(bucket.range(&plan(), 5, 10).await.unwrap() == text(SEGMENT)[5..15]);
    assert_eq!(bucket.memory.calls("get"), 1);
}

#[tokio::test]
async fn no_map_is_requested_without_segment_index() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    let plan = DownloadPlan { segment_index: false, ..plan() };
    bucket.range(&plan, 12 * SEGMENT, 10).await.unwrap();
    assert!(bucket.memory.bytes_read() > SIZE as u64, "the object was checked whole");
}

#[tokio::test]
async fn a_wrong_map_only_makes_reading_slower() {
    let bucket = Bucket::with(SIZE).await;
    let right = bucket.sidecar();
    let foreign = Bucket::with(SIZE).await.sidecar();
    let flipped = |at: usize| {
        let mut sidecar = right.clone();
        sidecar[at] ^= 1;
        sidecar
    };
    let cases = [
        (right[..HEADER_LEN].to_vec(), true),
        ([&right[..], &[0; 16]].concat(), true),
        (foreign, true),
        (flipped(50), true),
        (flipped(70), true),
        // A map of another kind, or of a later version: nothing to report.
        (flipped(0), false),
        (flipped(8), false),
        (Vec::new(), false),
        (vec![0; MAX_SIDECAR_LEN as usize + 1], false),
    ];
    for (number, (sidecar, is_bad)) in cases.into_iter().enumerate() {
        for first in [0, 12 * SEGMENT] {
            bucket.put_beside(sidecar.clone());
            let plan = plan();
            let (first, length) = (first as u64, Some(10));
            let mut download = Download::open_part(bucket.store(), &keys(), &plan, KEY, first, length).await.unwrap();
            download.begin_at(first, length).await.unwrap();
            assert!(download.read(10).await.unwrap().unwrap() == &text(SIZE)[first as usize..][..10], "case {number}");
            assert_eq!(download.has_bad_sidecar(), is_bad, "case {number}");
            let expected = if is_bad { &right } else { &sidecar };
            assert!(bucket.has_beside(expected).await, "case {number}");
        }
    }
}

#[tokio::test]
async fn a_failed_request_for_the_map_does_not_fail_the_read() {
    let bucket = Bucket::with(SIZE).await;
    bucket.memory.fail("get", 2);
    assert!(bucket.read(&plan()).await.unwrap() == text(SIZE));
}

#[tokio::test]
async fn a_map_with_wrong_tags_is_detected_by_one_pass() {
    let bucket = Bucket::with(SIZE).await;
    let mut sidecar = bucket.sidecar();
    sidecar[HEADER_LEN + 16 * 3] ^= 1;
    bucket.put_beside(sidecar);
    let plan = plan();
    let mut download = bucket.open(&plan).await.unwrap();
    let mut bytes = Vec::new();
    rest(&mut download, &mut bytes).await.unwrap();
    assert!(bytes == text(SIZE) && download.has_bad_sidecar());
    assert!(bucket.has_beside(&bucket.sidecar()).await, "the wrong map is replaced");
    // The map of that pass is used from now on.
    let moved = bucket.memory.bytes_read();
    bucket.range(&plan, 3 * SEGMENT, 10).await.unwrap();
    assert_eq!(bucket.memory.bytes_read() - moved, SEGMENT as u64);
}

#[tokio::test]
async fn a_changed_object_with_a_valid_map_is_refused() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    bucket.tamper(3 * SEGMENT);
    let plan = plan();
    let error = bucket.range(&plan, 3 * SEGMENT, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    // Other segments are as they were encrypted.
    assert!(bucket.range(&plan, 5 * SEGMENT, 10).await.unwrap() == text(SIZE)[5 * SEGMENT..][..10]);
}
