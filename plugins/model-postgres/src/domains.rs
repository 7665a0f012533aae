//! Domains: a column of a domain has the domain's base type, and the domain's conditions as checks of its own.

/// The check of a domain, said of a column: the word VALUE becomes the column, which comes quoted as its
/// database needs it. Texts, quoted names and longer words are left alone.
pub(crate) fn check_of_column(expression: &str, quoted_column: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '\'' | '"' => quoted(rest, first),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (piece, after) = rest.split_at(taken);
        out.push_str(if piece == "VALUE" { quoted_column } else { piece });
        rest = after;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The length of the quoted piece at the beginning of `text`; a doubled quote ends nothing.
fn quoted(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + c.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::check_of_column;

    #[test]
    fn value_becomes_the_column() {
        assert_eq!(check_of_column("(VALUE > 0)", "amount"), "(amount > 0)");
        assert_eq!(check_of_column("((VALUE)::text <> VALUE)", "\"Größe\""), "((\"Größe\")::text <> \"Größe\")");
    }

    #[test]
    fn only_the_word_itself_is_replaced() {
        assert_eq!(check_of_column("VALUES_OF(MYVALUE, VALUE2)", "c"), "VALUES_OF(MYVALUE, VALUE2)");
        assert_eq!(check_of_column("üVALUE", "c"), "üVALUE");
    }

    #[test]
    fn texts_and_quoted_names_are_left_alone() {
        assert_eq!(
            check_of_column("VALUE <> 'it''s VALUE' and \"VALUE\"(VALUE)", "c"),
            "c <> 'it''s VALUE' and \"VALUE\"(c)"
        );
        assert_eq!(check_of_column("VALUE ~ 'open", "c"), "c ~ 'open");
    }
}
