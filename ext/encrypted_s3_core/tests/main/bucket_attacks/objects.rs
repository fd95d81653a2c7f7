//! Attacks with whole objects: renaming, replacing, restoring and deleting them.

use super::*;

#[test]
fn the_object_is_renamed_with_its_map() {
    try_out(|bucket| {
        let (object, body) = bucket.memory.object(KEY)?;
        bucket.memory.replace(NewObject { key: "films/c".into(), ..object }, body);
        if let Some(map) = bucket.body(SIDECAR) {
            let object = NewObject { key: "films/c.segments".into(), ..Default::default() };
            bucket.memory.replace(object, map);
        }
        Some(Done { key: "films/c", ..Done::new(MISPLACED) })
    });
}

#[test]
fn the_object_and_its_map_are_replaced_by_another_object() {
    try_out(|bucket| {
        let (object, body) = bucket.memory.object(OTHER)?;
        bucket.put(NewObject { key: KEY.into(), ..object }, body);
        if let Some(map) = bucket.body("films/b.segments") {
            bucket.put_map(map);
        }
        Some(Done::new(MISPLACED))
    });
}

#[test]
fn the_nonce_or_message_id_is_taken_from_another_object() {
    try_out(|bucket| {
        let (mut object, body) = bucket.memory.object(KEY)?;
        let (other, _) = bucket.memory.object(OTHER)?;
        let id = ["x-amz-iv", "x-amz-i"];
        for (name, value) in &mut object.metadata {
            if id.contains(&name.as_str()) {
                value.clone_from(&other.metadata.iter().find(|(theirs, _)| theirs == name)?.1);
            }
        }
        bucket.put(object, body);
        Some(Done::new(Verdict::Refused(&[ErrorKind::Auth, ErrorKind::Commitment])))
    });
}

#[test]
fn an_older_object_is_restored_with_its_map() {
    try_out(|bucket| {
        let (object, body, map) = bucket.older.clone();
        bucket.put(object, body);
        match map {
            Some(map) => bucket.put_map(map),
            None => bucket.memory.remove(SIDECAR),
        }
        Some(Done::new(Verdict::Older))
    });
}

#[test]
fn an_older_object_is_restored_beside_the_newer_map() {
    try_out(|bucket| {
        let (object, body, _) = bucket.older.clone();
        bucket.put(object, body);
        Some(Done::new(Verdict::Older))
    });
}

#[test]
fn the_object_is_deleted_but_not_its_map() {
    try_out(|bucket| {
        bucket.memory.remove(KEY);
        Some(Done::new(Verdict::Refused(&[ErrorKind::NotFound])))
    });
}
