//! A table in Markdown, so that it can be kept in a document as it is.

use std::fmt::Write as _;

/// Whose columns line up.
pub(crate) fn table(head: &[&str], body: impl Iterator<Item = Vec<String>>) -> String {
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|&name| name.to_owned()).collect()];
    rows.extend(body);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let lengths = rows.iter().map(|row| row[column].chars().count());
            lengths.max().unwrap_or(0).max(3)
        })
        .collect();
    let rule = widths.iter().map(|&width| "-".repeat(width)).collect();
    rows.insert(1, rule);
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let text = table(
            &["a", "b"],
            [vec!["long one".to_owned(), "1".to_owned()]].into_iter(),
        );
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [lengths[0]; 3]);
    }
}
