//! Runs one of the targets under libFuzzer; the variable `FUZZ_TARGET` names it. `script/fuzz` builds and starts this.
//!
//! With `FUZZ_SEEDS`, the name of a folder, the target's seeds are written there before libFuzzer reads its corpus.
#![no_main]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../tests/main/support.rs"]
mod support;
#[path = "../targets/mod.rs"]
mod targets;

static TARGET: OnceLock<&targets::Target> = OnceLock::new();

fn target() -> &'static targets::Target {
    TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        targets::ALL.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target {name:?}"))
    })
}

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
            for (number, seed) in (target().seeds)().into_iter().enumerate() {
                std::fs::write(std::path::Path::new(&folder).join(format!("seed-{number}")), seed).unwrap();
            }
        }
    },
    |input: &[u8]| (target().run)(input)
);
