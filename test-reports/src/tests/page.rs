//! The tables in `docs/reports.md` are made from the code.

use std::collections::BTreeMap;
use std::path::Path;

use crate::counts::Outcome;
use crate::{other_files, vocabulary};

fn words_table() -> String {
    let mut table = "| format | place | passed | failed | skipped |\n|---|---|---|---|---|\n".to_owned();
    for vocabulary in vocabulary::ALL {
        let words = |outcome: Outcome| {
            let words = vocabulary.words.iter().filter(|(_, of)| *of == outcome);
            words.map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        };
        let row = [
            vocabulary.format.name(),
            vocabulary.place,
            &words(Outcome::Passed),
            &words(Outcome::Failed),
            &words(Outcome::Skipped),
        ];
        table += &["| ", &row.join(" | "), " |\n"].concat();
    }
    table
}

fn other_files_table() -> String {
    let mut roots: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (root, child, what) in other_files::XML {
        let child = child.map(|child| format!(" with `<{child}>`")).unwrap_or_default();
        roots.entry(what).or_default().push(format!("`<{root}>`{child}"));
    }
    let rows = roots.into_iter().map(|(what, roots)| format!("| {what} | {} |\n", roots.join(", ")));
    "| file | root element |\n|---|---|\n".to_owned() + &rows.collect::<String>()
}

/// The page with `table` after the marker `name`.
fn with_table(page: &str, name: &str, table: &str) -> String {
    let marker = format!("<!-- {name}: made by test-reports/src/tests/page.rs -->\n");
    let (before, rest) = page.split_once(&marker).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{marker}\n{table}\n<!-- end -->{after}")
}

#[test]
fn the_page_has_the_tables_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reports.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let current = with_table(&page, "words", &words_table());
    let current = with_table(&current, "other files", &other_files_table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, current).unwrap();
    } else {
        assert_eq!(page, current, "run this test with UPDATE_DOCS=1");
    }
}

#[test]
fn every_word_is_in_one_column() {
    for vocabulary in vocabulary::ALL {
        for (word, outcome) in vocabulary.words {
            assert_eq!(vocabulary.outcome(word), Some(*outcome), "{word} in {:?}", vocabulary.format);
        }
    }
}
