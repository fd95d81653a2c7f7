//! Attacks on the map of an object. They may only make reads slower.

use super::*;

#[test]
fn a_bit_of_the_map_is_flipped() {
    try_out(|bucket| {
        change_map(bucket, |map| {
            let at = bucket.at(0, map.len());
            flip(map, at);
        })
    });
}

#[test]
fn a_byte_of_the_map_header_is_changed() {
    try_out(|bucket| change_map(bucket, |map| map[bucket.at(0, HEADER_LEN)] = bucket.case.bytes[0]));
}

#[test]
fn the_map_claims_another_length() {
    try_out(|bucket| {
        let bytes = &bucket.case.bytes;
        let length: Vec<u8> = bytes.iter().cycle().take(8).copied().collect();
        change_map(bucket, |map| map[48..56].copy_from_slice(&length))
    });
}

#[test]
fn the_map_is_truncated() {
    try_out(|bucket| change_map(bucket, |map| map.truncate(bucket.at(0, map.len()))));
}

#[test]
fn the_map_is_extended() {
    try_out(|bucket| change_map(bucket, |map| map.extend(&bucket.case.bytes)));
}

#[test]
fn tags_of_the_map_are_swapped() {
    try_out(|bucket| {
        change_map(bucket, |map| {
            let [a, b] = [0, 1].map(|number| HEADER_LEN + TAG * bucket.at(number, (map.len() - HEADER_LEN) / TAG));
            swap(map, TAG, a, b);
        })
    });
}

#[test]
fn the_map_is_replaced_by_that_of_another_object() {
    try_out(|bucket| {
        bucket.put_map(bucket.body("films/b.segments")?);
        Some(Done::new(Verdict::Right))
    });
}

#[test]
fn the_map_is_replaced_by_that_of_an_older_object() {
    try_out(|bucket| {
        bucket.put_map(bucket.older.2.clone()?);
        Some(Done::new(Verdict::Right))
    });
}

#[test]
fn the_map_is_deleted() {
    try_out(|bucket| {
        bucket.memory.remove(SIDECAR);
        Some(Done::new(Verdict::Right))
    });
}

#[test]
fn the_map_is_replaced_by_random_bytes() {
    try_out(|bucket| {
        bucket.put_map(bucket.case.bytes.clone());
        Some(Done::new(Verdict::Right))
    });
}

#[test]
fn the_map_is_replaced_by_a_huge_object() {
    static HUGE: LazyLock<Bytes> = LazyLock::new(|| {
        let mut bytes = vec![0x55; MAX_SIDECAR_LEN as usize + 1_000_000];
        bytes[..9].copy_from_slice(b"ES3SEGMT\x01");
        bytes.into()
    });
    try_out(|bucket| {
        // Each case copies some megabytes.
        let one_in_twenty = bucket.case.bytes.len().is_multiple_of(20);
        bucket.put_map(if one_in_twenty { HUGE.clone() } else { HUGE.slice(..500_000) });
        Some(Done::new(Verdict::Right))
    });
}
