//! Completions and the manual.

use super::{CommandOutput, badgesmith};

fn run(arguments: &[&str]) -> String {
    CommandOutput::from(badgesmith(arguments).output().unwrap()).ok()
}

#[test]
fn completions_include_every_option() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(run(&["completions", shell]).contains("older-than"), "{shell}");
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let page = run(&["man"]);
    assert!(page.contains(".TH badgesmith 1") && page.contains("badgesmith\\-dlq(1)"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&["man", "--directory", folder.path().to_str().unwrap()]), "");
    let page = std::fs::read_to_string(folder.path().join("badgesmith-dlq-replay.1")).unwrap();
    assert!(page.contains("Examples:"), "{page}");
}

#[test]
fn help_is_printed_to_stdout() {
    for arguments in [&["--help"][..], &["repo", "--help"], &["status", "--help"]] {
        assert!(run(arguments).contains("Usage: badgesmith"), "{arguments:?}");
    }
}
