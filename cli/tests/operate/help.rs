//! What the command says of itself.

use super::{Ended, badgesmith};

const COMMANDS: [&[&str]; 21] = [
    &[],
    &["submit"],
    &["secret"],
    &["secret", "create"],
    &["secret", "rotate"],
    &["secret", "show"],
    &["secret", "delete"],
    &["token", "set"],
    &["token", "delete"],
    &["package", "add"],
    &["package", "remove"],
    &["package", "list"],
    &["package", "refresh"],
    &["dlq", "list"],
    &["dlq", "show"],
    &["dlq", "replay"],
    &["dlq", "purge"],
    &["status"],
    &["doctor"],
    &["completions"],
    &["man"],
];

#[test]
fn every_command_has_help_with_examples_and_exit_codes() {
    for command in COMMANDS {
        let ended = Ended::from(badgesmith(&[command, &["--help"]].concat()).output().unwrap());
        let help = ended.ok();
        let is_group = matches!(command, [] | ["secret"]);
        assert!(is_group || help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
        if command != ["submit"] {
            let name = if command.is_empty() { "badgesmith".to_owned() } else { command.join("_") };
            insta::assert_snapshot!(name, help);
        }
    }
}

#[test]
fn completions_and_the_manual_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Ended::from(badgesmith(&["completions", shell]).output().unwrap()).ok();
        assert!(script.contains("older-than"), "{shell}");
    }
    let page = Ended::from(badgesmith(&["man"]).output().unwrap()).ok();
    assert!(page.contains(".TH badgesmith 1") && page.contains("badgesmith\\-dlq(1)"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    Ended::from(badgesmith(&["man", "--directory", folder.path().to_str().unwrap()]).output().unwrap()).ok();
    let page = std::fs::read_to_string(folder.path().join("badgesmith-dlq-replay.1")).unwrap();
    assert!(page.contains("before it is deleted"), "{page}");
}
