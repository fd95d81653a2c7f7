//! The division of uploads into parts.

use crate::gcm::{MAX_PLAINTEXT, TAG_LEN};
use crate::transfer::MAX_PARTS;
use crate::{Error, ErrorKind, Result};

/// The largest object: the most bytes that GCM can encrypt, and the tag.
const MAX_BODY: u64 = MAX_PLAINTEXT + TAG_LEN as u64;

/// An enlarged part size is a multiple of this many bytes.
const UNIT: u64 = 64 * 1024;

/// The settings by which uploads are divided into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartPlan {
    /// Objects whose ciphertext is at least this many bytes are sent in parts.
    pub multipart_threshold: usize,
    /// Minimum size of a part in bytes; S3 requires at least 5 MiB.
    pub part_size: usize,
    /// Parts in flight at once. Memory is (this + 2) parts, or the threshold if that is more. All uploads of a process
    /// together have a limit, see [`SHARED_PARTS`](super::SHARED_PARTS).
    pub concurrency: usize,
}

impl PartPlan {
    /// The smallest part that S3 accepts, except for the last one.
    pub const MIN_PART_SIZE: usize = 5 * 1024 * 1024;
    /// The largest part that S3 accepts.
    pub const MAX_PART_SIZE: u64 = 5 * 1024 * 1024 * 1024;

    /// Checks that S3 accepts parts of this plan.
    ///
    /// # Errors
    /// `Configuration`, naming the setting.
    pub fn check(self) -> Result<Self> {
        let wrong = |problem: &str| Err(Error::new(ErrorKind::Configuration, problem));
        if self.part_size < Self::MIN_PART_SIZE || self.part_size as u64 > Self::MAX_PART_SIZE {
            return wrong("part_size must be from 5 MiB to 5 GiB");
        }
        if self.multipart_threshold as u64 > Self::MAX_PART_SIZE {
            return wrong("multipart_threshold must be at most 5 GiB, S3's limit for one request");
        }
        if !(1..=64).contains(&self.concurrency) {
            return wrong("concurrency must be from 1 to 64");
        }
        Ok(self)
    }

    /// The division of an object of `expected` plaintext bytes, `None` if the size is unknown. All parts but the last
    /// have the same size, as Cloudflare R2 requires, and 10,000 of them hold the object.
    pub(super) fn divide(self, expected: Option<u64>) -> Division {
        let expected = expected.map(|size| size.saturating_add(TAG_LEN as u64).min(MAX_BODY));
        let least = expected.unwrap_or(MAX_BODY).div_ceil(MAX_PARTS.into()).next_multiple_of(UNIT);
        let part_size = self.part_size.max(usize::try_from(least).unwrap_or(usize::MAX));
        let is_large = expected.is_some_and(|size| size >= self.multipart_threshold.max(part_size) as u64);
        // An object that is known to be sent in parts need not first reach the threshold.
        let first = if is_large { part_size } else { self.multipart_threshold.max(part_size) };
        Division { first, part_size, expected: expected.unwrap_or(MAX_BODY) }
    }
}

/// The division of one object into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Division {
    /// No part is made before there are this many bytes.
    pub(super) first: usize,
    part_size: usize,
    expected: u64,
}

impl Division {
    /// The size of part `number`, from 1. It doubles for the second half of 10,000 parts if the object is larger than
    /// expected, for example because its file grows.
    pub(super) fn size_of(&self, number: usize) -> usize {
        let before = (number as u64).saturating_sub(1).saturating_mul(self.part_size as u64);
        let doubles = before > self.expected && number > usize::from(MAX_PARTS / 2);
        if doubles { self.part_size * 2 } else { self.part_size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: PartPlan =
        PartPlan { multipart_threshold: 16 << 20, part_size: PartPlan::MIN_PART_SIZE, concurrency: 1 };

    fn total(division: Division) -> u64 {
        (1..=10_000).map(|number| division.size_of(number) as u64).sum()
    }

    #[test]
    fn ten_thousand_parts_hold_the_largest_object_for_any_part_size() {
        for part_size in [PartPlan::MIN_PART_SIZE, 6_871_948, 8 << 20, 1 << 30] {
            for expected in [None, Some(MAX_PLAINTEXT)] {
                let division = PartPlan { part_size, ..SMALLEST }.divide(expected);
                assert!(total(division) >= MAX_BODY, "{part_size}, {expected:?}");
                let last = MAX_BODY.div_ceil(division.size_of(1) as u64) as usize;
                assert_eq!(division.size_of(last), division.size_of(1), "no part is larger than the first");
            }
        }
    }

    #[test]
    fn a_part_is_as_small_as_the_size_of_the_object_allows() {
        for (expected, part_size) in [(0, 5 << 20), (48 << 30, 5 << 20), (49 << 30, 81 << 16), (u64::MAX, 105 << 16)] {
            assert_eq!(SMALLEST.divide(Some(expected)).size_of(1), part_size, "{expected}");
        }
        assert_eq!(SMALLEST.divide(None).size_of(1), 105 << 16);
    }

    #[test]
    fn an_object_that_turns_out_larger_than_expected_has_larger_parts_in_its_second_half() {
        let division = SMALLEST.divide(Some(1 << 30));
        assert!(total(division) >= MAX_BODY);
        assert_eq!([5_000, 5_001].map(|number| division.size_of(number)), [5 << 20, 10 << 20]);
    }

    #[test]
    fn the_first_part_of_an_object_that_is_known_to_be_large_does_not_wait() {
        let below = (16 << 20) - TAG_LEN as u64 - 1;
        for (expected, first) in [(None, 16 << 20), (Some(below), 16 << 20), (Some(below + 1), 5 << 20)] {
            assert_eq!(SMALLEST.divide(expected).first, first, "{expected:?}");
        }
    }
}
