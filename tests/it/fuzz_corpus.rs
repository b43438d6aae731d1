//! Replays the inputs of the fuzz targets.

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

use crate::fuzz::TARGETS;
use crate::tidy::{root, sources};

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

/// Only `cargo fuzz` builds the programs, so each must only call its function, which is also compiled here.
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

/// The requirement for a crate in the manifest of this folder.
fn requirement(folder: &str, name: &str) -> Option<String> {
    let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    manifest.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).map(str::to_owned)
}

/// The major version in a requirement, or the first two numbers if it is below 1.0. `None` for a path.
fn major(requirement: &str) -> Option<String> {
    let version = requirement.split('"').nth(1)?;
    let numbers = if version.starts_with("0.") { 2 } else { 1 };
    let major = version.split('.').take(numbers).collect::<Vec<_>>().join(".");
    major.starts_with(|first: char| first.is_ascii_digit()).then_some(major)
}

/// The workspace does not check the manifest of the programs.
#[test]
fn the_targets_use_the_dependencies_of_the_workspace() {
    for (file, source) in sources(&["tests/fuzz/src"]) {
        let uses = source.lines().filter_map(|line| line.strip_prefix("use ")?.split("::").next());
        for used in uses.filter(|used| !["std", "super"].contains(used)) {
            let names = [used.to_owned(), used.replace('_', "-")];
            let declared = names.iter().find_map(|name| Some((name, requirement("tests/fuzz", name)?)));
            let (name, declared) = declared.unwrap_or_else(|| panic!("{file}: {used} is not declared"));
            let expected = requirement("", name).unwrap();
            assert_eq!(major(&declared), major(&expected), "{name}");
        }
    }
}
