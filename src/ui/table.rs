//! Tables as kubectl prints them: columns padded with spaces, headers in capitals.

/// The widths of columns, measured first so that a table need not be in memory.
#[derive(Debug, Clone)]
pub struct Columns {
    headers: &'static [&'static str],
    widths: Vec<usize>,
}

impl Columns {
    /// Columns as wide as their headers.
    pub fn new(headers: &'static [&'static str]) -> Self {
        Self { headers, widths: headers.iter().map(|header| header.chars().count()).collect() }
    }

    /// Makes room for a row; it has as many cells as there are headers.
    pub fn fit(&mut self, row: &[String]) {
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }

    /// The line of headers.
    pub fn header(&self) -> String {
        self.line(self.headers.iter().copied())
    }

    /// A row's line.
    pub fn row(&self, row: &[String]) -> String {
        self.line(row.iter().map(String::as_str))
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let padded = cells.zip(&self.widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    }
}

/// Lays out rows under headers.
pub fn table(headers: &'static [&'static str], rows: &[Vec<String>]) -> String {
    let mut columns = Columns::new(headers);
    rows.iter().for_each(|row| columns.fit(row));
    let lines = rows.iter().map(|row| columns.row(row));
    std::iter::once(columns.header()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// Foreign text as one line that has no effect on a terminal; `-` for empty text.
pub fn plain(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let escaped =
        |c: char| -> String { if c.is_control() { c.escape_default().collect() } else { c.to_string() } };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            vec![vec!["job1".to_owned(), "8".to_owned()], vec!["job1.failed".to_owned(), "0".to_owned()]];
        assert_eq!(
            table(&["QUEUE", "READY"], &rows),
            "QUEUE         READY\njob1          8\njob1.failed   0"
        );
    }

    #[test]
    fn cells_do_nothing_to_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jé\t"), "a\\u{1b}[2Jé\\t");
        assert_eq!(plain(""), "-");
    }
}
