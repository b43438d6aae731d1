//! Rules of the Markdown pages.

use std::fs;
use std::path::Path;

use super::{files, root};

/// The longest line of prose. Code, tables and lines without a space may be longer.
const COLUMNS_MAX: usize = 100;

fn pages() -> Vec<(String, String)> {
    let pages = files(&[""], "md");
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// The lines outside code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        (!code && !fence).then_some((index + 1, line))
    })
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut broken = Vec::new();
    for (page, text) in pages() {
        let targets = prose(&text).flat_map(|(_, line)| line.split("](").skip(1));
        for target in targets.filter_map(|rest| Some(rest.split_once(')')?.0)) {
            if target.contains(':') {
                continue;
            }
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let linked = match path {
                "" => root().join(&page),
                path => root().join(&page).parent().unwrap_or(Path::new("")).join(path),
            };
            let found = match (fs::read_to_string(&linked), fragment) {
                (Err(_), _) => false,
                (Ok(_), "") => true,
                (Ok(text), fragment) => prose(&text).any(|(_, line)| {
                    line.starts_with('#') && anchor(line.trim_start_matches('#')) == fragment
                }),
            };
            if !found {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn prose_is_wrapped() {
    let mut long = Vec::new();
    for (page, text) in pages() {
        for (number, line) in prose(&text) {
            let breakable = !line.starts_with('|') && line.trim().contains(' ') && !line.contains("](http");
            if breakable && line.chars().count() > COLUMNS_MAX {
                long.push(format!("{page}:{number}"));
            }
        }
    }
    assert!(long.is_empty(), "longer than {COLUMNS_MAX} columns: {long:#?}");
}

#[test]
fn snapshots_are_inline() {
    let names: Vec<_> = files(&[""], "snap").into_iter().map(|(name, _)| name).collect();
    assert!(names.is_empty(), "{names:?}");
}
