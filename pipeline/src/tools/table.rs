//! Tables, sizes and ages as people read them.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use bytesize::ByteSize;

/// Rows of cells, each column as wide as its widest cell; the last one is not filled up.
#[derive(Debug, Default)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with these column names.
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        Self(vec![names.iter().map(|name| (*name).to_owned()).collect()])
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.0 {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Bytes with a unit.
#[must_use]
pub fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// How long ago that was, in whole seconds; nothing for what lies ahead.
#[must_use]
pub fn age(at: SystemTime) -> String {
    let seconds = at.elapsed().unwrap_or_default().as_secs();
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_have_no_tail() {
        let mut table = Table::new(&["a", "bb"]);
        table.row(["1234".to_owned(), "5".to_owned()]);
        table.row(["6".to_owned(), String::new()]);
        assert_eq!(table.to_string(), "a     bb\n1234  5\n6\n");
    }
}
