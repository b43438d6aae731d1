//! What the simulations say, and whether docs/scale.md says the same.

use crate::settings::Source;

/// Prints what came out, and holds the document to it.
pub(crate) struct Paper {
    document: Source,
    wrong: Vec<String>,
}

impl Paper {
    pub(crate) fn read() -> Self {
        Self { document: Source::of("docs/scale.md"), wrong: Vec::new() }
    }

    /// A row of a table, which the document has to have as it is.
    pub(crate) fn row(&mut self, cells: &[String]) {
        let row = format!("| {} |", cells.join(" | "));
        println!("{row}");
        if !self.document.has_line(&row) {
            self.wrong.push(format!("docs/scale.md has no such row: {row}"));
        }
    }

    /// Words that the document has to have.
    pub(crate) fn words(&mut self, words: &str) {
        println!("{words}");
        if !self.document.has(words) {
            self.wrong.push(format!("docs/scale.md does not say: {words}"));
        }
    }

    /// What the document claims in words of its own.
    pub(crate) fn claim(&mut self, is_true: bool, claim: &str) {
        if !is_true {
            self.wrong.push(format!("it is not true any more: {claim}"));
        }
    }

    /// Tells what is wrong; whether nothing is.
    pub(crate) fn is_right(&self) -> bool {
        for wrong in &self.wrong {
            println!("\nwrong: {wrong}");
        }
        self.wrong.is_empty()
    }
}

/// Begins a table.
pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

/// `1234567.4` as `1,234,567`; what is below 10 keeps two digits, what is below 100 one.
pub(crate) fn rounded(number: f64) -> String {
    let places = match number {
        0.0 => 0,
        _ if number < 0.1 => 3,
        _ if number < 10.0 => 2,
        _ if number < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{number:.places$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let groups: Vec<_> = whole.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { groups.join(",") } else { format!("{}.{rest}", groups.join(",")) }
}

/// A whole number, in groups.
pub(crate) fn count(number: usize) -> String {
    rounded(number as f64)
}

/// Dollars: cents where they matter.
pub(crate) fn dollars(amount: f64) -> String {
    if amount < 100.0 { format!("${amount:.2}") } else { format!("${}", rounded(amount)) }
}
