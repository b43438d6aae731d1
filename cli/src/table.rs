//! Rows of text in aligned columns.

use std::fmt;

use crate::terminal::{self, Paint};

/// A heading and rows. Each column is as wide as its widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| terminal::printable(&cell).replace('\n', " ")).into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            match number {
                0 => write!(f, "{}", Paint::Bold.on(line.trim_end()))?,
                _ => write!(f, "\n{}", line.trim_end())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_cells_are_replaced() {
        let mut table = Table::new(&["A", "LONG"]);
        table.row(["bell\u{7}".to_owned(), "two\nlines".to_owned()]);
        assert_eq!(table.to_string(), "A      LONG\nbell\u{fffd}  two lines");
    }
}
