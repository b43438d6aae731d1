//! House rules that the compiler does not know. ARCHITECTURE.md gives the reasons.

use std::fs;
use std::path::{Path, PathBuf};

/// A longer file asks to be split.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust source below these folders of the project, with its path from the root.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[track_caller]
fn nobody_but(allowed: &[&str], folders: &[&str], text: &str, rule: &str) {
    let offenders: Vec<_> = sources(folders)
        .into_iter()
        .filter(|(name, source)| !allowed.contains(&name.as_str()) && source.contains(text))
        .map(|(name, _)| name)
        .collect();
    assert!(offenders.is_empty(), "{rule}: {offenders:?}");
}

const FUNCTIONS: [&str; 4] = ["shared/src", "ingest-api/src", "processor/src", "badge-api/src"];

#[test]
fn each_aws_service_has_one_adapter() {
    for (sdk, adapters) in [
        (
            "aws_sdk_dynamodb",
            &["shared/src/dynamodb.rs", "shared/src/dynamodb/nonces.rs", "shared/src/dynamodb/results.rs"][..],
        ),
        ("aws_sdk_sqs", &["shared/src/sqs.rs"]),
        ("aws_sdk_secretsmanager", &["shared/src/secrets_manager.rs"]),
        ("aws_sdk_eventbridge", &["shared/src/event_bridge.rs"]),
    ] {
        nobody_but(adapters, &FUNCTIONS, sdk, "only its adapter knows an SDK");
    }
}

#[test]
fn keys_are_built_in_one_place() {
    for prefix in ["\"TEST#", "\"LATEST#", "\"RESULT#", "\"NONCE#"] {
        nobody_but(&["shared/src/key.rs"], &FUNCTIONS, prefix, "keys are built in shared/src/key.rs");
    }
}

#[test]
fn the_badge_api_only_reads() {
    for write in ["Nonces", ".record(", "Queue", "SecretsManager", "reqwest"] {
        nobody_but(&[], &["badge-api/src"], write, "the badge API writes nothing and calls no upstream");
    }
}

#[test]
fn no_function_depends_on_another() {
    for function in ["ingest-api", "processor", "badge-api"] {
        let manifest = fs::read_to_string(root().join(function).join("Cargo.toml")).unwrap();
        for other in ["ingest-api", "processor", "badge-api", "local"] {
            assert!(!manifest.contains(&format!("{other}.workspace")), "{function} depends on {other}");
        }
    }
}

#[test]
fn files_are_rooms_one_can_look_over() {
    for (name, source) in sources(&["shared", "ingest-api", "processor", "badge-api", "local", "tests"]) {
        let lines = source.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
    }
}
