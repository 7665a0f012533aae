//! SQL text in one spelling: what differs only in blanks, case of names, backticks and character sets is one text.

/// The text with words in lower case, single blanks where two words meet and none elsewhere, names without backticks
/// where they need none, and without character set introducers (`_utf8mb4'x'`) and clauses (`char charset utf8mb4`).
/// Literals stay as they are.
pub(crate) fn one_spelling(sql: &str) -> String {
    spelled(&tokens(sql))
}

/// Tokens as one text.
pub(crate) fn spelled(tokens: &[Token]) -> String {
    let mut out = String::new();
    let mut after_word = false;
    for token in tokens {
        let word = token.is_word();
        if word && after_word {
            out.push(' ');
        }
        out.push_str(token.text());
        after_word = word;
    }
    out
}

/// A part of an SQL text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A bare word or number, or a name in backticks, in lower case.
    Word(String),
    /// A literal with its quotes.
    Literal(String),
    /// One sign.
    Symbol(String),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Literal(text) | Self::Symbol(text) => text,
        }
    }

    fn is_word(&self) -> bool {
        !matches!(self, Self::Symbol(_))
    }
}

/// The parts of a text, without character sets.
pub(crate) fn tokens(sql: &str) -> Vec<Token> {
    without_character_sets(all_tokens(sql))
}

fn all_tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '\'' | '"' | '`' => quoted_length(rest, first),
            // Bits, hexadecimal and national texts.
            'b' | 'B' | 'x' | 'X' | 'n' | 'N' if rest[1..].starts_with('\'') => 1 + quoted_length(&rest[1..], '\''),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (text, after) = rest.split_at(length);
        tokens.push(match first {
            _ if text.ends_with(['\'', '"']) => Token::Literal(text.to_owned()),
            '`' => Token::Word(name(text)),
            c if is_word(c) => Token::Word(text.to_lowercase()),
            _ => Token::Symbol(text.to_owned()),
        });
        rest = after;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '@')
}

/// Bytes up to and with the closing quote; a doubled one is part of the text, and so is an escaped one.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\\' && quote != '`' {
            characters.next();
        } else if c == quote {
            match characters.peek() {
                Some((_, next)) if *next == quote => {
                    characters.next();
                }
                _ => return at + 1,
            }
        }
    }
    text.len()
}

/// A quoted name in lower case, bare if it can be.
fn name(quoted: &str) -> String {
    let lower = quoted.to_lowercase();
    let bare = lower.trim_matches('`');
    let simple = bare.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && bare.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&bare);
    if simple { bare.to_owned() } else { lower }
}

/// Words that mean something else where they stand bare in an expression.
const RESERVED: [&str; 43] = [
    "and",
    "as",
    "between",
    "binary",
    "both",
    "by",
    "case",
    "cast",
    "char",
    "collate",
    "convert",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "date",
    "div",
    "else",
    "end",
    "exists",
    "false",
    "for",
    "from",
    "in",
    "interval",
    "is",
    "key",
    "leading",
    "like",
    "localtime",
    "localtimestamp",
    "mod",
    "not",
    "null",
    "or",
    "regexp",
    "rlike",
    "then",
    "trailing",
    "true",
    "using",
    "when",
    "xor",
];

/// Types of texts, which a character set may follow.
const TEXTS: [&str; 8] = ["char", "enum", "longtext", "mediumtext", "set", "text", "tinytext", "varchar"];

/// A clause stands after a type or its length, where no name can stand; anywhere else `charset` is a column's name, which
/// must not be lost.
fn without_character_sets(tokens: Vec<Token>) -> Vec<Token> {
    let word = |at: usize, wanted: &str| matches!(tokens.get(at), Some(Token::Word(w)) if w == wanted);
    let is_word = |at: usize| matches!(tokens.get(at), Some(Token::Word(_)));
    let is_literal = |at: usize| matches!(tokens.get(at), Some(Token::Literal(_)));
    let follows_type = |at: usize| match at.checked_sub(1).and_then(|before| tokens.get(before)) {
        Some(Token::Word(kind)) => TEXTS.contains(&kind.as_str()),
        Some(Token::Symbol(symbol)) => symbol == ")",
        _ => false,
    };
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Word(w) if w.starts_with("_utf8") && is_literal(at + 1) => at += 1,
            Token::Word(w) if w == "charset" && follows_type(at) && is_word(at + 1) => at += 2,
            Token::Word(w) if w == "character" && word(at + 1, "set") && follows_type(at) && is_word(at + 2) => at += 3,
            token => {
                kept.push(token.clone());
                at += 1;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_case_and_backticks_are_no_difference() {
        assert_eq!(one_spelling("( `A` >=  0 )"), one_spelling("(a>=0)"));
        assert_eq!(one_spelling("`a b` is NOT null"), "`a b` is not null");
        assert_eq!(one_spelling("`key`"), "`key`");
    }

    #[test]
    fn literals_stay_as_they_are() {
        assert_eq!(one_spelling(r"A = 'It''s  \' B'"), r"a='It''s  \' B'");
    }

    #[test]
    fn character_sets_are_left_out() {
        assert_eq!(one_spelling("_utf8mb4'x'"), "'x'");
        assert_eq!(one_spelling("cast(`a` as char charset utf8mb4)"), "cast(a as char)");
        assert_eq!(one_spelling("varchar(3) CHARACTER SET utf8mb4"), "varchar(3)");
        assert_eq!(one_spelling("longtext CHARSET utf8mb4 COLLATE utf8mb4_bin"), "longtext collate utf8mb4_bin");
    }

    #[test]
    fn a_name_that_speaks_of_character_sets_is_a_name() {
        assert_eq!(one_spelling("(`charset` < 5)"), "(charset<5)");
        assert_eq!(one_spelling("charset > 5 and character_set = 1"), "charset>5 and character_set=1");
        assert_eq!(one_spelling("`character` = `set`"), "character=set");
        assert_eq!(one_spelling("(a)=(charset)"), "(a)=(charset)");
    }
}
