//! Maps that are larger than the memory for maps: only a part of one is fetched at once.

use super::*;

/// A memory of maps that is too small for the object's map, of 21 tags.
fn few_tags(tags: usize) -> DownloadPlan {
    DownloadPlan { maps: Some(Arc::new(Maps::new(tags * 16))), ..plan() }
}

#[tokio::test]
async fn a_range_fetches_only_the_header_and_its_tags_of_a_map_too_large_to_keep() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    // The map is requested together with the object if the part is far enough in it, otherwise when the size is known.
    for (tags, first) in [(4, 3 * SEGMENT + 9), (4, 12 * SEGMENT + 9), (20, 12 * SEGMENT), (1, 19 * SEGMENT)] {
        let plan = few_tags(tags);
        // No map is cached, so that the second read makes the same requests as the first.
        for _ in 0..2 {
            let (requests, bytes) = (bucket.memory.calls("get"), bucket.memory.bytes_read() as usize);
            assert!(bucket.range(&plan, first, 100).await.unwrap() == text(SIZE)[first..first + 100]);
            let (requests, bytes) =
                (bucket.memory.calls("get") - requests, bucket.memory.bytes_read() as usize - bytes);
            assert!((3..=4).contains(&requests), "{requests} requests for byte {first} with {tags} tags");
            // An answer that begins with the whole map is dropped, but this store counts all of it.
            let dropped = if requests == 4 { bucket.sidecar().len() } else { 0 };
            assert!(bytes <= SEGMENT + HEADER_LEN + 16 + dropped, "{bytes} bytes for byte {first} with {tags} tags");
        }
    }
    assert!(!bucket.memory.object(&format!("{KEY}.segments")).unwrap().1.is_empty());
}

#[tokio::test]
async fn a_stream_fetches_a_map_too_large_to_keep_in_parts() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    for tags in [1, 2, 3, 8, 20] {
        let before = bucket.memory.bytes_read();
        assert!(bucket.read(&few_tags(tags)).await.unwrap() == text(SIZE), "{tags} tags");
        let moved = bucket.memory.bytes_read() - before;
        // The whole object, and the ranges that were requested before it was known that the tags do not cover them.
        let most = (SIZE + 3 * SEGMENT + 21 * (HEADER_LEN + 16)) as u64;
        assert!(moved <= most, "{moved} bytes with {tags} tags");
    }
}

#[tokio::test]
async fn any_hint_and_any_number_of_tags_at_once_return_the_right_bytes() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    for tags in [0, 1, 3, 20] {
        let plan = few_tags(tags);
        for first in [0, 1, SEGMENT - 1, 5 * SEGMENT, SIZE - SEGMENT, SIZE - 1] {
            for announced in [0, 9 * SEGMENT, SIZE - 1] {
                let mut download =
                    Download::open_part(bucket.store(), &keys(), &plan, KEY, announced as u64, Some(10)).await.unwrap();
                download.skip(first as u64).await.unwrap();
                let mut bytes = Vec::new();
                rest(&mut download, &mut bytes).await.unwrap();
                assert!(bytes == text(SIZE)[first..], "{tags} tags, from {first}, announced {announced}");
            }
        }
        let after = bucket.range(&plan, SIZE + SEGMENT, 10).await.unwrap_err();
        assert_eq!(after.kind(), ErrorKind::InvalidRange);
    }
}

#[tokio::test]
async fn a_changed_object_or_map_is_noticed_with_partly_fetched_maps() {
    let plan = few_tags(3);
    let first = 12 * SEGMENT + 9;
    let tag_of_12 = HEADER_LEN + 12 * 16;
    for at in [0, 20, HEADER_LEN - 1, tag_of_12] {
        let bucket = Bucket::with(SIZE).await;
        let right = bucket.sidecar();
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        bucket.put_beside(wrong);
        assert!(bucket.range(&plan, first, 100).await.unwrap() == text(SIZE)[first..first + 100], "at {at}");
        // An object that does not begin like a map is not replaced.
        assert_eq!(bucket.has_beside(&right).await, at != 0, "at {at}");
        bucket.put_beside(right[..tag_of_12].to_vec());
        assert!(bucket.range(&plan, first, 100).await.unwrap() == text(SIZE)[first..first + 100]);
    }
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    bucket.tamper(first);
    assert_eq!(bucket.range(&plan, first, 100).await.unwrap_err().kind(), ErrorKind::Auth);
}

#[tokio::test]
async fn a_computed_map_is_kept_even_above_the_memory_limit() {
    let bucket = Bucket::with(SIZE).await;
    let plan = few_tags(3);
    let first = 12 * SEGMENT + 9;
    for _ in 0..3 {
        assert!(bucket.range(&plan, first, 100).await.unwrap() == text(SIZE)[first..first + 100]);
    }
    let most = (2 * SIZE) as u64;
    assert!(bucket.memory.bytes_read() < most, "{} bytes", bucket.memory.bytes_read());
}
