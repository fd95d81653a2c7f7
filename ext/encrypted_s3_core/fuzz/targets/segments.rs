//! Stored segment maps, and segments read by them. The object has two whole segments and a short one.

use std::sync::{Arc, OnceLock};

use encrypted_s3_core::envelope::ContentKey;
use encrypted_s3_core::secret::DataKey;
use encrypted_s3_core::segments::{HEADER_LEN, Map, SEGMENT_LEN, Sealing, SegmentReader};

use super::alteration::{alter, samples};

const TEXT_LEN: usize = 2 * SEGMENT_LEN + 100;
const COUNT: usize = 3;

struct Object {
    text: Vec<u8>,
    sidecar: Vec<u8>,
}

impl Object {
    fn segment(&self, number: usize) -> &[u8] {
        self.text.chunks(SEGMENT_LEN).nth(number).unwrap()
    }

    fn tags(&self) -> &[u8] {
        &self.sidecar[HEADER_LEN..]
    }
}

/// The object in V2 and V3.
fn objects() -> &'static [Object; 2] {
    static OBJECTS: OnceLock<[Object; 2]> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        [0, 1].map(|format| {
            let mut sealing = Sealing::start(key(format)).unwrap() as Sealing;
            let mut text = plaintext();
            sealing.update(&mut text).unwrap();
            let (_, map) = sealing.finish().unwrap();
            Object { text, sidecar: map.to_sidecar().unwrap() }
        })
    })
}

/// Constant, because the corpus depends on it.
fn key(format: u8) -> ContentKey {
    let data_key = DataKey::from_bytes(&[format + 1; 32]).unwrap();
    if format == 0 { ContentKey::v2(data_key, [3; 12]) } else { ContentKey::v3(data_key, [4; 28]).unwrap() }
}

fn plaintext() -> Vec<u8> {
    (0..TEXT_LEN).map(|at| at.to_le_bytes()[0]).collect()
}

/// A stored map is read if its header is right. It accepts a segment if that segment's tag is unchanged. The input
/// consists of the object, and the changes of its map.
pub fn sidecar(input: &[u8]) {
    let Some((which, alteration)) = input.split_first() else { return };
    let (format, object) = (which % 2, &objects()[usize::from(which % 2)]);
    let altered = alter(&object.sidecar, alteration);
    let map = Map::read(&altered, &key(format), TEXT_LEN as u64);
    let is_right = altered.len() == object.sidecar.len() && altered.starts_with(&object.sidecar[..HEADER_LEN]);
    assert_eq!(map.is_ok(), is_right, "the header decides whether the map is read");
    let Ok(map) = map else { return };
    assert_eq!(map.to_sidecar().as_ref(), Some(&altered), "the map is written as it was read");
    let mut reader: SegmentReader = Arc::new(map).reader(&key(format), TEXT_LEN as u64).unwrap();
    for number in 0..COUNT {
        let tag = |sidecar: &[u8]| sidecar[HEADER_LEN..].chunks(16).nth(number).unwrap().to_vec();
        let is_its_tag = tag(&altered) == tag(&object.sidecar);
        assert_eq!(reader.check(number as u64, object.segment(number)).is_ok(), is_its_tag, "segment {number}");
    }
}

/// A segment is opened if it is unchanged and the part of the map has its tag. The input consists of the object, the
/// number of a segment, the first and the last number of the part of the map, and the changes of the segment.
pub fn segment(input: &[u8]) {
    let [which, number, first, end, alteration @ ..] = input else { return };
    let (format, object) = (which % 2, &objects()[usize::from(which % 2)]);
    let wide = |byte: u8| if byte > 250 { u64::MAX - u64::from(255 - byte) } else { u64::from(byte % 5) };
    let (number, first, end) = (wide(*number), wide(*first), wide(*end));
    let is_part = first <= end && end <= COUNT as u64;
    let tags = if is_part { &object.tags()[16 * first as usize..16 * end as usize] } else { object.tags() };
    let map = Map::read_part(&object.sidecar[..HEADER_LEN], tags, first..end, &key(format), TEXT_LEN as u64);
    assert_eq!(map.is_ok(), is_part, "{first}..{end}");
    let Ok(map) = map else { return };

    let mut reader: SegmentReader = Arc::new(map).reader(&key(format), TEXT_LEN as u64).unwrap();
    let at = usize::try_from(number).unwrap_or(COUNT).min(COUNT - 1);
    let mut altered = alter(object.segment(at), alteration);
    let is_held = (first..end).contains(&number);
    let is_right = is_held && altered == object.segment(at);
    let before = altered.clone();
    assert_eq!(reader.open(number, &mut altered).is_ok(), is_right, "segment {number} of {first}..{end}");
    if is_right {
        assert!(plaintext().chunks(SEGMENT_LEN).nth(at) == Some(&altered[..]), "it is decrypted");
    } else {
        assert!(before == altered, "a segment that was changed is not decrypted");
    }
}

pub fn sidecar_seeds() -> Vec<Vec<u8>> {
    let raw = objects().iter().map(|object| [&[0][..], &object.sidecar].concat());
    let alterations: Vec<_> = samples().into_iter().chain(raw).collect();
    [0, 1].iter().flat_map(|which| alterations.iter().map(move |step| [&[*which][..], step].concat())).collect()
}

pub fn segment_seeds() -> Vec<Vec<u8>> {
    let heads = [[0, 0, 0, 3], [1, 2, 0, 3], [0, 2, 2, 3], [1, 1, 2, 3], [0, 0, 3, 1], [1, 255, 0, 255]];
    let last = [&[0][..], objects()[0].segment(COUNT - 1)].concat();
    let alterations: Vec<_> = samples().into_iter().chain([last]).collect();
    heads.iter().flat_map(|head| alterations.iter().map(move |step| [&head[..], step].concat())).collect()
}
