//! The cached maps, and the objects for which they are used.

use std::sync::Arc;

use encrypted_s3_core::envelope::Format;
use encrypted_s3_core::segments::{HEADER_LEN, Map, MapCache, Purpose, Version};
use proptest::prelude::*;

use crate::segments::Object;

fn object(number: u8) -> Object {
    Object::store(Format::V2, number, &[number; 100_000])
}

fn version(number: u8) -> Version {
    let key = format!("object {number:03}");
    Version { store: "http://s3.test".into(), bucket: "files".into(), key, etag: "\"1\"".into() }
}

fn map(object: &Object) -> Arc<Map> {
    Arc::new(object.checked(Purpose::Memory).unwrap())
}

fn has(cache: &MapCache, number: u8) -> bool {
    cache.get(&version(number), &object(number).key(), 100_000).is_some()
}

/// The cost of one map.
fn one() -> usize {
    let cache = MapCache::new(usize::MAX);
    cache.insert(version(0), map(&object(0)));
    cache.bytes()
}

#[test]
fn a_map_is_found_by_store_bucket_key_and_entity_tag() {
    let cache = MapCache::new(1 << 20);
    let kept = map(&object(1));
    cache.insert(version(1), kept.clone());
    let key = object(1).key();
    assert!(cache.get(&version(1), &key, 100_000).is_some_and(|map| Arc::ptr_eq(&map, &kept)));
    let other = || "other".to_owned();
    for version in [
        Version { store: other(), ..version(1) },
        Version { bucket: other(), ..version(1) },
        Version { key: other(), ..version(1) },
        Version { etag: other(), ..version(1) },
    ] {
        assert!(cache.get(&version, &key, 100_000).is_none(), "{version:?}");
    }
}

#[test]
fn a_map_is_not_returned_for_another_envelope() {
    for changed in [Object { id: vec![9; 12], ..object(1) }, Object { data_key: [9; 32], ..object(1) }] {
        let cache = MapCache::new(1 << 20);
        cache.insert(version(1), map(&object(1)));
        assert!(cache.get(&version(1), &changed.key(), 100_000).is_none());
        assert_eq!(cache.bytes(), 0, "a map that does not fit is dropped");
    }
    let cache = MapCache::new(1 << 20);
    cache.insert(version(1), map(&object(1)));
    assert!(cache.get(&version(1), &object(1).key(), 99_999).is_none());
}

#[test]
fn the_least_recently_used_map_is_dropped_first() {
    let cache = MapCache::new(3 * one());
    for number in 1..=3 {
        cache.insert(version(number), map(&object(number)));
    }
    assert!(has(&cache, 1));
    cache.insert(version(4), map(&object(4)));
    assert_eq!([1, 2, 3, 4].map(|number| has(&cache, number)), [true, false, true, true]);
    assert_eq!(cache.bytes(), 3 * one());
}

#[test]
fn a_map_that_exceeds_the_limit_is_kept_alone() {
    let cache = MapCache::new(one());
    let large = Object::store(Format::V2, 2, &[0; 1_000_000]);
    cache.insert(version(1), map(&object(1)));
    cache.insert(version(2), map(&large));
    assert!(cache.get(&version(2), &large.key(), 1_000_000).is_some());
    assert!(!has(&cache, 1));
    cache.insert(version(1), map(&object(1)));
    assert!(has(&cache, 1));
    assert_eq!(cache.bytes(), one());
    let none = MapCache::new(0);
    none.insert(version(1), map(&object(1)));
    assert_eq!(none.bytes(), 0);
}

#[test]
fn no_map_is_kept_without_an_entity_tag() {
    let cache = MapCache::new(1 << 20);
    cache.insert(Version { etag: String::new(), ..version(1) }, map(&object(1)));
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn parts_of_maps_are_not_kept() {
    let object = object(1);
    let (header, tags) = object.sidecar.split_at(HEADER_LEN);
    let part = Map::read_part(header, &tags[..16], 0..1, &object.key(), 100_000).unwrap();
    let cache = MapCache::new(1 << 20);
    cache.insert(version(1), Arc::new(part));
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn a_wrong_map_can_be_removed_and_replaced() {
    let cache = MapCache::new(1 << 20);
    cache.insert(version(1), map(&object(1)));
    let newer = map(&object(1));
    cache.insert(version(1), newer.clone());
    assert_eq!(cache.bytes(), one());
    assert!(cache.get(&version(1), &object(1).key(), 100_000).is_some_and(|map| Arc::ptr_eq(&map, &newer)));
    cache.remove(&version(1));
    assert_eq!(cache.bytes(), 0);
    assert!(!has(&cache, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_sequence_of_operations_exceeds_the_limit(
        limit in 0usize..5_000,
        steps in proptest::collection::vec((0u8..3, 0u8..6, 0usize..300_000), 0..25),
    ) {
        let cache = MapCache::new(limit);
        for (step, number, size) in steps {
            let object = Object::store(Format::V2, number, &vec![0; size]);
            match step {
                0 => cache.remove(&version(number)),
                1 => drop(cache.get(&version(number), &object.key(), size as u64)),
                _ => cache.insert(version(number), Arc::new(object.map().unwrap())),
            }
            // One map may be larger, as long as it is alone.
            let kept = (0..6).filter(|number| cache.knows("http://s3.test", "files", &version(*number).key)).count();
            prop_assert!(cache.bytes() <= limit || kept == 1 && limit > 0);
        }
        for number in 0..6 {
            cache.remove(&version(number));
        }
        prop_assert_eq!(cache.bytes(), 0);
    }
}
