//! House rules that the compiler does not know. ARCHITECTURE.md gives the reasons.

use std::fs;
use std::path::{Path, PathBuf};

/// A longer file asks to be split.
const LINES_MAX: usize = 500;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust source below these folders of the project, with its path from the root.
pub(crate) fn sources(folders: &[&str]) -> Vec<(String, String)> {
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

const SHIPPED: [&str; 6] =
    ["shared/src", "ingest-api/src", "processor/src", "refresher/src", "badge-api/src", "cli/src"];
const FUNCTIONS: [&str; 4] = ["ingest-api", "processor", "refresher", "badge-api"];

#[test]
fn each_aws_service_has_one_adapter() {
    for (sdk, adapters) in [
        (
            "aws_sdk_dynamodb",
            &[
                "shared/src/dynamodb.rs",
                "shared/src/dynamodb/nonces.rs",
                "shared/src/dynamodb/packages.rs",
                "shared/src/dynamodb/refreshes.rs",
                "shared/src/dynamodb/results.rs",
                "shared/src/dynamodb/secrets.rs",
                "shared/src/dynamodb/tables.rs",
            ][..],
        ),
        ("aws_sdk_sqs", &["shared/src/sqs.rs", "shared/src/sqs/letters.rs"]),
        (
            "aws_sdk_secretsmanager",
            &["shared/src/secrets_manager.rs", "shared/src/secrets_manager/custody.rs"],
        ),
        ("aws_sdk_eventbridge", &["shared/src/event_bridge.rs"]),
        ("aws_sdk_cloudformation", &["cli/src/stack.rs"]),
    ] {
        nobody_but(adapters, &SHIPPED, sdk, "only its adapter knows an SDK");
    }
}

#[test]
fn keys_are_built_in_one_place() {
    for prefix in ["\"TEST#", "\"LATEST#", "\"RESULT#", "\"NONCE#", "\"PACKAGE#", "\"DUE#", "\"SECRET#"] {
        nobody_but(&["shared/src/key.rs"], &SHIPPED, prefix, "keys are built in shared/src/key.rs");
    }
}

#[test]
fn the_badge_api_only_reads() {
    let writes = ["Nonces", ".record(", ".lease", ".settle(", ".retire(", "note_read", "publish_recorded"];
    for write in writes.into_iter().chain(["Queue", "SecretsManager", "SecretMappings"]) {
        nobody_but(&[], &["badge-api/src"], write, "the badge API writes nothing and reads no secret");
    }
}

#[test]
fn only_the_refresher_knows_upstreams() {
    for client in ["reqwest", "api.github.com", "api.nuget.org"] {
        let others = ["shared/src", "ingest-api/src", "processor/src", "badge-api/src"];
        nobody_but(&[], &others, client, "only the refresher asks upstreams");
    }
}

#[test]
fn no_function_depends_on_another() {
    for function in FUNCTIONS {
        let manifest = fs::read_to_string(root().join(function).join("Cargo.toml")).unwrap();
        for other in FUNCTIONS.into_iter().chain(["local"]) {
            assert!(!manifest.contains(&format!("{other}.workspace")), "{function} depends on {other}");
        }
    }
}

#[test]
fn files_are_rooms_one_can_look_over() {
    for (name, source) in
        sources(&["shared", "ingest-api", "processor", "refresher", "badge-api", "local", "cli", "tests"])
    {
        let lines = source.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
    }
}
