//! A short form of fuzzing: runs every target with its seeds, the saved corpus (`fuzz/corpus`) and some mutations of
//! them. `script/fuzz` is the long form.
//!
//! `FUZZ_RUNS` is the number of mutations for each target, and `FUZZ_SEED` the start of the generator.
//!
//! This is a separate binary, because it builds in seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[allow(dead_code)]
#[path = "main/support.rs"]
mod support;
#[path = "../fuzz/targets/mod.rs"]
mod targets;

/// Mutations for each target. Some targets decrypt with RSA each time.
const RUNS: u64 = 4_000;
/// The minimum size of a corpus, because the test would pass without one.
const LEAST: usize = 5;

#[test]
fn every_target_holds_for_its_seeds_its_corpus_and_mutations() {
    for target in targets::ALL {
        let inputs = inputs(target);
        for input in &inputs {
            run(target, input);
        }
        let mut mutator = Mutator(number("FUZZ_SEED", 0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..number("FUZZ_RUNS", RUNS) {
            run(target, &mutator.mutate(&inputs));
        }
    }
}

/// The seeds and the saved corpus.
fn inputs(target: &targets::Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= LEAST, "{} in {}", files.len(), folder.display());
    // The order of files and of maps differs in each run.
    files.sort();
    inputs.extend(files.iter().map(|path| fs::read(path).unwrap()));
    inputs.sort();
    inputs
}

fn run(target: &targets::Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        panic!("the target {} fails with \"{}\"", target.name, input.escape_ascii());
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |value| value.parse().unwrap())
}

/// A generator of mutations (xorshift64*), the same in every run.
struct Mutator(u64);

impl Mutator {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(random).unwrap() % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn pick<'a>(&mut self, inputs: &'a [Vec<u8>]) -> &'a [u8] {
        &inputs[self.below(inputs.len())]
    }

    /// One of the inputs with one to four changes.
    fn mutate(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.pick(inputs).to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, inputs);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(40)).min(bytes.len());
        match self.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.byte(),
            2 => bytes.insert(at, self.byte()),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                let other = self.pick(inputs);
                let from = self.below(other.len() + 1);
                let until = (from + self.below(200)).min(other.len());
                bytes.splice(at..end, other[from..until].iter().copied());
            }
        }
    }
}
