//! How a column is declared: the types of MySQL's dialects, and nothing that could follow one.
//!
//! A declared type comes from a plugin and ends up in a CREATE TABLE. So it is read by this grammar, to its end:
//! a word that is known, its numbers or labels, and the attributes that this type takes.

use super::tokens::words;

/// What stands in a type's parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arguments {
    /// Nothing.
    None,
    /// Perhaps so many numbers at most.
    Optional(usize),
    /// One number.
    One,
    /// One or more texts.
    Labels,
}

/// Which attributes may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attributes {
    None,
    /// `unsigned`, `signed`, `zerofill`.
    Number,
    /// `character set` (or `charset`) and `collate`, each with a name; `binary`.
    Text,
}

/// A type's word, and what it takes.
const TYPES: &[(&str, Arguments, Attributes)] = {
    use Arguments::{Labels, None, One, Optional};
    use Attributes as With;
    &[
        ("tinyint", Optional(1), With::Number),
        ("smallint", Optional(1), With::Number),
        ("mediumint", Optional(1), With::Number),
        ("int", Optional(1), With::Number),
        ("integer", Optional(1), With::Number),
        ("bigint", Optional(1), With::Number),
        ("decimal", Optional(2), With::Number),
        ("numeric", Optional(2), With::Number),
        ("dec", Optional(2), With::Number),
        ("fixed", Optional(2), With::Number),
        ("float", Optional(2), With::Number),
        ("double", Optional(2), With::Number),
        ("real", Optional(2), With::Number),
        ("bool", None, With::None),
        ("boolean", None, With::None),
        ("bit", Optional(1), With::None),
        ("char", Optional(1), With::Text),
        ("varchar", One, With::Text),
        ("tinytext", None, With::Text),
        ("text", Optional(1), With::Text),
        ("mediumtext", None, With::Text),
        ("longtext", None, With::Text),
        ("binary", Optional(1), With::None),
        ("varbinary", One, With::None),
        ("tinyblob", None, With::None),
        ("blob", Optional(1), With::None),
        ("mediumblob", None, With::None),
        ("longblob", None, With::None),
        ("enum", Labels, With::Text),
        ("set", Labels, With::Text),
        ("date", None, With::None),
        ("time", Optional(1), With::None),
        ("datetime", Optional(1), With::None),
        ("timestamp", Optional(1), With::None),
        ("year", Optional(1), With::None),
        ("json", None, With::None),
        ("uuid", None, With::None),
        ("inet4", None, With::None),
        ("inet6", None, With::None),
        ("vector", One, With::None),
        ("sparsevector", None, With::None),
        ("roaringbitmap", None, With::None),
        ("geometry", None, With::None),
        ("point", None, With::None),
        ("linestring", None, With::None),
        ("polygon", None, With::None),
        ("multipoint", None, With::None),
        ("multilinestring", None, With::None),
        ("multipolygon", None, With::None),
        ("geometrycollection", None, With::None),
        ("geomcollection", None, With::None),
    ]
};

/// Refuses what is no type of MySQL's dialects, or more than a type.
///
/// # Errors
/// What is wrong, in words that follow "because".
pub(super) fn check_type(declared: &str) -> Result<(), String> {
    let tokens = words(declared)?;
    let (word, mut rest) = tokens.split_first().ok_or("it is empty")?;
    let word = word.to_ascii_lowercase();
    let (_, arguments, attributes) =
        TYPES.iter().find(|(known, ..)| *known == word).ok_or_else(|| format!("`{word}` is no type that is known"))?;
    // `double precision`
    if word == "double" && rest.first().is_some_and(|next| next.eq_ignore_ascii_case("precision")) {
        rest = &rest[1..];
    }
    let rest = match rest {
        ["(", inside @ ..] => {
            let end = inside.iter().position(|token| *token == ")").ok_or("a parenthesis is not closed")?;
            check_arguments(&word, *arguments, &inside[..end])?;
            &inside[end + 1..]
        }
        _ if matches!(arguments, Arguments::One | Arguments::Labels) => {
            return Err(format!("`{word}` says nothing in parentheses"));
        }
        rest => rest,
    };
    check_attributes(*attributes, rest)
}

fn check_arguments(word: &str, wanted: Arguments, inside: &[&str]) -> Result<(), String> {
    let items: Vec<&[&str]> = inside.split(|token| *token == ",").collect();
    let number = |item: &&[&str]| matches!(item, [digits] if is_number(digits));
    let good = match wanted {
        Arguments::None => false,
        Arguments::Optional(most) => items.len() <= most && items.iter().all(number),
        Arguments::One => items.len() == 1 && items.iter().all(number),
        Arguments::Labels => items.iter().all(|item| matches!(item, [label] if label.starts_with('\''))),
    };
    if good { Ok(()) } else { Err(format!("`{word}` does not take `({})`", inside.concat())) }
}

fn is_number(digits: &str) -> bool {
    (1..=10).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn check_attributes(wanted: Attributes, rest: &[&str]) -> Result<(), String> {
    let lower: Vec<String> = rest.iter().map(|token| token.to_ascii_lowercase()).collect();
    let mut rest: &[String] = &lower;
    loop {
        let spelled: Vec<&str> = rest.iter().take(3).map(String::as_str).collect();
        let taken = match (wanted, spelled.as_slice()) {
            (_, []) => return Ok(()),
            (Attributes::Number, ["unsigned" | "signed" | "zerofill", ..]) => 1,
            (Attributes::Text, ["character", "set", name]) if is_plain_name(name) => 3,
            (Attributes::Text, ["charset" | "collate", name, ..]) if is_plain_name(name) => 2,
            (Attributes::Text, ["binary", ..]) => 1,
            (_, [other, ..]) => return Err(format!("`{other}` cannot follow it")),
        };
        rest = &rest[taken..];
    }
}

/// Whether a text is the name of a collation or of a character set: letters, digits and underscores.
pub(super) fn is_plain_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_taken_as_model_sources_and_converters_spell_them() {
        for declared in [
            "int",
            "INT(11)",
            "bigint(20) unsigned",
            "int(10) UNSIGNED ZEROFILL",
            "tinyint(1)",
            "decimal(65,30)",
            "decimal( 10 , 2 ) unsigned",
            "numeric",
            "double",
            "double precision",
            "float",
            "varchar(32)",
            "varchar(32) character set utf8mb4 collate utf8mb4_bin",
            "char(36) charset utf8mb4",
            "longtext",
            "varbinary(16)",
            "enum('a','it''s','c;d -- \\\\','e)')",
            "set('x', 'y')",
            "datetime(6)",
            "json",
            "vector(1536)",
            "bit(64)",
            "point",
        ] {
            assert_eq!(check_type(declared), Ok(()), "{declared}");
        }
    }

    #[test]
    fn what_follows_a_type_is_refused() {
        for declared in [
            "",
            "int NULL",
            "int NULL); DROP TABLE customer; CREATE TABLE pwn (x int",
            "int) AS SELECT user, authentication_string FROM mysql.user -- ",
            "int DEFAULT (sleep(10))",
            "int, b int",
            "int(11",
            "int(11))",
            "int(1,2,3)",
            "int(1) /*! primary key */",
            "int auto_increment",
            "int unsigned comment 'x'",
            "varchar",
            "varchar(x)",
            "varchar(1) collate utf8mb4_bin not null",
            "varchar(1) collate `x`",
            "varchar(1) collate",
            "varchar(1) character set",
            "enum",
            "enum('a'",
            "enum('a\\')",
            "enum('a' 'b')",
            "enum(select 1)",
            "enum(a)",
            "json unsigned",
            "nothing(1)",
            "geometry references t (a)",
        ] {
            assert!(check_type(declared).is_err(), "{declared}");
        }
    }
}
