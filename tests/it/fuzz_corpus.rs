//! The inputs of the fuzz targets, replayed.

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

use crate::fuzz::TARGETS;
use crate::tidy::root;

/// The files below a folder.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(inputs(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_input_keeps_the_properties_of_its_target() {
    let mut broken = Vec::new();
    for (name, check) in TARGETS {
        let mut inputs = inputs(&root().join("tests/fuzz/corpus").join(name));
        assert!(!inputs.is_empty(), "{name} has no inputs");
        if *name == "test_report" {
            inputs.extend(self::inputs(&root().join("test-reports/tests/fixtures")));
        }
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            if panic::catch_unwind(|| check(&bytes)).is_err() {
                broken.push(input);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The targets are built only by `cargo fuzz`, so each consists of a call that is compiled here, too.
#[test]
fn every_target_has_a_program() {
    let manifest = fs::read_to_string(root().join("tests/fuzz/Cargo.toml")).unwrap();
    let programs = root().join("tests/fuzz/fuzz_targets");
    for (name, _) in TARGETS {
        let program = format!(
            "#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::{name}::check(bytes));\n"
        );
        assert_eq!(fs::read_to_string(programs.join(name).with_extension("rs")).unwrap(), program);
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
    assert_eq!(inputs(&programs).len(), TARGETS.len());
}
