//! Rules that the compiler does not check. ARCHITECTURE.md gives the reasons.

mod docs;
mod tokens;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::function::Function;

/// Split a longer file.
const LINES_MAX: usize = 500;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The path from the root and the text of every Rust source below these folders.
pub(crate) fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let found = files(folders, "rs");
    assert!(!found.is_empty(), "{folders:?}");
    found
}

/// The path from the root and the text of every file with this extension below these folders. Skips hidden folders
/// and what is built.
fn files(folders: &[&str], extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let is_skipped = path.file_name().is_some_and(|name| {
                let is_built = name == "target" || name == "node_modules";
                is_built || name.as_encoded_bytes().starts_with(b".") && name != ".github"
            });
            if path.is_dir() && !is_skipped {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Asserts that no source below `folders` contains `text`, except files whose path begins with `allowed`.
#[track_caller]
fn only_in(allowed: &str, folders: &[&str], text: &str, rule: &str) {
    let offenders: Vec<_> = sources(folders)
        .into_iter()
        .filter(|(name, source)| !name.starts_with(allowed) && source.contains(text))
        .map(|(name, _)| name)
        .collect();
    assert!(offenders.is_empty(), "{rule}: {offenders:?}");
}

/// Asserts that no source below `folders` contains `text`.
#[track_caller]
fn nowhere(folders: &[&str], text: &str, rule: &str) {
    only_in("(nowhere)", folders, text, rule);
}

const SHIPPED: [&str; 8] = [
    "shared/domain/src",
    "shared/aws/src",
    "shared/api/src",
    "ingest-api/src",
    "processor/src",
    "refresher/src",
    "badge-api/src",
    "cli/src",
];

#[test]
fn each_aws_service_has_one_adapter() {
    for (sdk, adapter) in [
        ("aws_sdk_dynamodb", "shared/aws/src/dynamodb"),
        ("aws_sdk_sqs", "shared/aws/src/sqs"),
        ("aws_sdk_secretsmanager", "shared/aws/src/secrets_manager"),
        ("aws_sdk_eventbridge", "shared/aws/src/event_bridge"),
        ("aws_sdk_cloudformation", "cli/src/stack"),
    ] {
        only_in(adapter, &SHIPPED, sdk, "only its adapter uses an SDK");
    }
}

#[test]
fn keys_are_built_in_one_place() {
    for prefix in ["\"TEST#", "\"LATEST#", "\"RESULT#", "\"NONCE#", "\"PACKAGE#", "\"DUE#", "\"SECRET#"] {
        only_in("shared/domain/src/key.rs", &SHIPPED, prefix, "keys are built in one module");
    }
}

#[test]
fn the_badge_api_only_reads() {
    let writes = [
        "Nonces",
        ".put_all(",
        ".warm_up_writes(",
        ".lease_",
        ".complete(",
        ".unschedule(",
        "note_read",
        "publish_recorded",
    ];
    for write in writes.into_iter().chain(["Queue", "SecretsManager", "SecretMappings"]) {
        nowhere(&["badge-api/src"], write, "the badge API writes nothing and reads no secret");
    }
}

#[test]
fn only_the_refresher_calls_upstreams() {
    for client in ["reqwest", "api.github.com", "api.nuget.org"] {
        let others = ["shared", "ingest-api/src", "processor/src", "badge-api/src"];
        nowhere(&others, client, "only the refresher calls upstreams");
    }
}

#[test]
fn no_function_depends_on_another() {
    for function in Function::ALL.map(Function::name) {
        let manifest = fs::read_to_string(root().join(function).join("Cargo.toml")).unwrap();
        for other in Function::ALL.map(Function::name).into_iter().chain(["local"]) {
            assert!(!manifest.contains(&format!("{other}.workspace")), "{function} depends on {other}");
        }
    }
}

#[test]
fn no_function_enables_operator_features() {
    for function in Function::ALL.map(Function::name) {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--locked", "--package", function])
            .args(["--invert", "badgesmith-aws", "--edges", "features,no-dev"])
            .current_dir(root())
            .output()
            .unwrap();
        let features = String::from_utf8(tree.stdout).unwrap();
        assert!(features.contains("badgesmith-aws feature \"default\""), "{function}: {features}");
        assert!(!features.contains("badgesmith-aws feature \"admin\""), "{function}: {features}");
    }
}

#[test]
fn no_file_is_too_long() {
    let others = ["local", "embedded-aws", "test-reports", "ci-env", "tests"];
    for (name, source) in sources(&[&SHIPPED[..], &others].concat()) {
        let lines = source.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
    }
}
