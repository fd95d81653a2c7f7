//! The fuzz targets. Each takes any bytes and panics if its property is violated, in addition to the compiler's checks.
//! The fuzzers run them (`script/fuzz`), and so do the tests of the crate, over the stored corpus (`tests/fuzz.rs`).

mod alteration;
mod encodings;
mod envelope;
mod keyring;
mod place;
#[cfg(feature = "aws-lc")]
mod recovery;
mod segments;
mod vectors;

/// A part of the crate whose input anybody who can write to the bucket controls.
pub struct Target {
    /// Also the name of its folder in `corpus`.
    pub name: &'static str,
    /// Panics if the property of the target is violated.
    pub run: fn(&[u8]),
    /// Valid inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const ALL: &[Target] = &[
    Target { name: "envelope", run: envelope::in_metadata, seeds: envelope::metadata_seeds },
    Target { name: "instruction_file", run: envelope::in_file, seeds: envelope::file_seeds },
    Target { name: "encodings", run: encodings::run, seeds: encodings::seeds },
    Target { name: "keyring", run: keyring::run, seeds: keyring::seeds },
    Target { name: "place", run: place::run, seeds: place::seeds },
    #[cfg(feature = "aws-lc")]
    Target { name: "recovery", run: recovery::run, seeds: recovery::seeds },
    Target { name: "sidecar", run: segments::sidecar, seeds: segments::sidecar_seeds },
    Target { name: "segments", run: segments::segment, seeds: segments::segment_seeds },
];
