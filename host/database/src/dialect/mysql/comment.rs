//! Comments, as long as the target takes them.

use millrace_model::Table;

use super::assemble::Outcome;

/// The longest comment of a column, in characters.
const COLUMN_CHARACTERS: usize = 1_024;
/// The longest comment of a table: MySQL counts characters, and OceanBase bytes.
const TABLE_CHARACTERS: usize = 2_048;
const TABLE_BYTES: usize = 4_096;

/// Cuts what is too long, and says so.
pub(super) fn fit(table: &mut Table, outcome: &mut Outcome) {
    if let Some(text) = &mut table.comment
        && cut(text, TABLE_CHARACTERS, TABLE_BYTES)
    {
        outcome.note(format!("the table's comment is cut: the target takes {TABLE_BYTES} bytes of one"));
    }
    for column in &mut table.columns {
        if let Some(text) = &mut column.comment
            && cut(text, COLUMN_CHARACTERS, usize::MAX)
        {
            outcome.note(format!(
                "the comment of column {} is cut: the target takes {COLUMN_CHARACTERS} characters of one",
                column.name
            ));
        }
    }
}

/// As much of a table's comment as leaves room for a mark of so many bytes behind it.
pub(crate) fn with_room_for(comment: &str, bytes: usize) -> String {
    let mut kept = comment.to_owned();
    cut(&mut kept, TABLE_CHARACTERS.saturating_sub(bytes), TABLE_BYTES.saturating_sub(bytes));
    kept
}

/// Whether there was too much.
fn cut(text: &mut String, characters: usize, bytes: usize) -> bool {
    let end =
        text.char_indices().take(characters).map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= bytes).last();
    let end = end.unwrap_or(0);
    let is_cut = end < text.len();
    text.truncate(end);
    is_cut
}

#[cfg(test)]
mod tests {
    use millrace_model::Column;

    use super::*;

    #[test]
    fn a_comment_that_the_target_would_refuse_is_cut_and_the_plan_says_so() {
        let column = Column { name: "a".to_owned(), comment: Some("ä".repeat(1_025)), ..Column::default() };
        let mut table = Table { comment: Some("😀".repeat(1_025)), columns: vec![column], ..Table::default() };
        let mut outcome = Outcome::default();
        fit(&mut table, &mut outcome);
        assert_eq!(table.comment.as_ref().map(|text| text.chars().count()), Some(1_024));
        assert_eq!(table.columns[0].comment.as_ref().map(|text| text.chars().count()), Some(1_024));
        assert_eq!(outcome.notes.len(), 2);
        fit(&mut table, &mut outcome);
        assert_eq!(outcome.notes.len(), 2, "what fits is left alone");
        table.comment = Some("x".repeat(2_049));
        fit(&mut table, &mut outcome);
        assert_eq!(table.comment.as_ref().map(String::len), Some(2_048));
        assert_eq!(with_room_for(&"é".repeat(2_048), 100).len(), 3_896);
    }
}
