//! Tables as kubectl prints them: columns padded with spaces, headers in capitals.

/// Lays out rows under headers; every row has as many cells as there are headers.
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headers[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    let body = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(headers.to_vec())).chain(body).collect::<Vec<_>>().join("\n")
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
}
