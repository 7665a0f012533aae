//! What the source says: partition keys and bounds, as PostgreSQL's catalogs print them.

use serde_json::Value as Json;
use sqlparser::ast::{Expr, Value};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use crate::dialect::mysql::expression::{Untranslatable, text_literal};

/// How a table is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Range,
    List,
    Hash,
}

/// One part of a partition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A column, and the collation where the key names another one than the column's.
    Column { name: String, collation: Option<String> },
    /// Anything else.
    Expression(String),
}

/// A partition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) method: Method,
    pub(super) parts: Vec<Part>,
}

/// One value of a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Min,
    Max,
    Null,
    /// The characters of a number, a truth value or a text.
    Text(String),
}

/// Which rows a partition has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Default,
    Range { from: Vec<Literal>, to: Vec<Literal> },
    List(Vec<Literal>),
    Hash { modulus: u64, remainder: u64 },
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) name: String,
    pub(super) bound: Bound,
    /// How it is cut once more.
    pub(super) below: Option<(Key, Vec<Branch>)>,
}

fn unclear(text: &str) -> Untranslatable {
    Untranslatable(format!("{text} is not understood"))
}

/// `RANGE (created_at, "Region" COLLATE "C")`.
pub(super) fn key(text: &str) -> Result<Key, Untranslatable> {
    let (word, rest) = text.split_once(' ').ok_or_else(|| unclear(text))?;
    let method = match word {
        "RANGE" => Method::Range,
        "LIST" => Method::List,
        "HASH" => Method::Hash,
        _ => return Err(unclear(text)),
    };
    let inside = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(|| unclear(text))?;
    let parts = split(inside).ok_or_else(|| unclear(text))?;
    Ok(Key { method, parts: parts.into_iter().map(part).collect::<Result<_, _>>()? })
}

/// Cut at the commas that stand in no quotes and no parentheses.
fn split(list: &str) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut depth, mut quote) = (Vec::new(), 0, 0_u32, None);
    for (at, character) in list.char_indices() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                parts.push(list[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[from..].trim());
    (depth == 0 && quote.is_none() && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

fn part(text: &str) -> Result<Part, Untranslatable> {
    let Some((name, rest)) = identifier(text) else { return Ok(Part::Expression(text.to_owned())) };
    let rest = rest.trim();
    if rest.is_empty() {
        return Ok(Part::Column { name, collation: None });
    }
    if rest.starts_with('(') {
        return Ok(Part::Expression(text.to_owned()));
    }
    let Some(collation) = rest.strip_prefix("COLLATE ") else {
        return Err(Untranslatable(format!("column {name} is ordered by the operator class {rest}")));
    };
    match identifier(collation) {
        // Of the catalog's collations the schema is not printed.
        Some((collation, "")) => Ok(Part::Column { name, collation: Some(collation) }),
        _ => Err(Untranslatable(format!("column {name} is ordered by {rest}"))),
    }
}

/// The name at the beginning, unquoted, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(inside) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut characters = inside.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            if c != '"' {
                name.push(c);
            } else if characters.next_if(|(_, next)| *next == '"').is_some() {
                name.push('"');
            } else {
                return Some((name, &inside[at + 1..]));
            }
        }
        return None;
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).unwrap_or(text.len());
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (begins && end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// `FOR VALUES FROM (1, MINVALUE) TO (2, MAXVALUE)`, `FOR VALUES IN ('a', NULL)`, `DEFAULT` …
pub(super) fn bound(text: &str) -> Result<Bound, Untranslatable> {
    if text == "DEFAULT" {
        return Ok(Bound::Default);
    }
    let parsed = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(50)
        .try_with_sql(text)
        .and_then(|mut parser| {
            let bound = values(&mut parser)?;
            parser.expect_token(&Token::EOF)?;
            Ok(bound)
        })
        .map_err(|_| unclear(text))?;
    parsed.ok_or_else(|| unclear(text))
}

fn values(parser: &mut Parser<'_>) -> Result<Option<Bound>, ParserError> {
    parser.expect_keyword(Keyword::FOR)?;
    parser.expect_keyword(Keyword::VALUES)?;
    if parser.parse_keyword(Keyword::FROM) {
        let from = tuple(parser)?;
        parser.expect_keyword(Keyword::TO)?;
        let to = tuple(parser)?;
        return Ok(from.zip(to).map(|(from, to)| Bound::Range { from, to }));
    }
    if parser.parse_keyword(Keyword::IN) {
        return Ok(tuple(parser)?.map(Bound::List));
    }
    parser.expect_keyword(Keyword::WITH)?;
    parser.expect_token(&Token::LParen)?;
    let mut numbers = Vec::new();
    for word in ["modulus", "remainder"] {
        let name = parser.parse_identifier()?;
        if !name.value.eq_ignore_ascii_case(word) {
            return Ok(None);
        }
        numbers.push(parser.parse_literal_uint()?);
        if word == "modulus" {
            parser.expect_token(&Token::Comma)?;
        }
    }
    parser.expect_token(&Token::RParen)?;
    Ok(Some(Bound::Hash { modulus: numbers[0], remainder: numbers[1] }))
}

/// Values in parentheses. None: one of them is no value.
fn tuple(parser: &mut Parser<'_>) -> Result<Option<Vec<Literal>>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let expressions = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RParen)?;
    Ok(expressions.iter().map(literal).collect())
}

fn literal(expression: &Expr) -> Option<Literal> {
    match expression {
        Expr::Identifier(name) if name.quote_style.is_none() => match name.value.to_ascii_uppercase().as_str() {
            "MINVALUE" => Some(Literal::Min),
            "MAXVALUE" => Some(Literal::Max),
            _ => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Null => Some(Literal::Null),
            Value::Boolean(truth) => Some(Literal::Text(truth.to_string())),
            Value::Number(digits, _) => Some(Literal::Text(digits.clone())),
            _ => text_literal(expression).map(Literal::Text),
        },
        _ => None,
    }
}

/// More levels than anybody has: what is deeper is no tree of PostgreSQL's.
const DEEPEST: u32 = 16;

/// The partitions of a table, as its model's property lists them.
pub(super) fn branches(text: &str) -> Result<Vec<Branch>, Untranslatable> {
    let parsed: Json = serde_json::from_str(text).map_err(|_| unclear("the list of its partitions"))?;
    listed(&parsed, DEEPEST)
}

fn listed(list: &Json, deepest: u32) -> Result<Vec<Branch>, Untranslatable> {
    let unknown = || unclear("the list of its partitions");
    let deepest = deepest.checked_sub(1).ok_or_else(unknown)?;
    let mut found = Vec::new();
    for item in list.as_array().ok_or_else(unknown)? {
        let field = |name: &str| item.get(name).and_then(Json::as_str);
        let below = match (field("partition-by"), item.get("partitions")) {
            (Some(by), Some(list)) => Some((key(by)?, listed(list, deepest)?)),
            _ => None,
        };
        found.push(Branch {
            name: field("name").ok_or_else(unknown)?.to_owned(),
            bound: bound(field("bound").ok_or_else(unknown)?)?,
            below,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> Part {
        Part::Column { name: name.to_owned(), collation: None }
    }

    #[test]
    fn keys_are_read_as_the_catalog_prints_them() {
        let parts = |text: &str| key(text).expect(text).parts;
        assert_eq!(parts("RANGE (a, \"C, d\", \"e\"\"f\")"), [column("a"), column("C, d"), column("e\"f")]);
        assert_eq!(
            parts("LIST (x COLLATE \"C\")"),
            [Part::Column { name: "x".to_owned(), collation: Some("C".to_owned()) }]
        );
        assert_eq!(parts("RANGE (lower(a))"), [Part::Expression("lower(a)".to_owned())]);
        let two = ["((a + b))", "((a % 10))"].map(|text| Part::Expression(text.to_owned()));
        assert_eq!(parts("RANGE (((a + b)), ((a % 10)))"), two);
        assert_eq!(key("HASH (id)").map(|key| key.method), Ok(Method::Hash));
        for text in
            ["", "RANGE", "RANGE a", "TREE (a)", "RANGE (a", "RANGE (a text_pattern_ops)", "RANGE ()", "LIST ('a)"]
        {
            assert!(key(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_are_read_as_the_catalog_prints_them() {
        let text = |text: &str| Literal::Text(text.to_owned());
        assert_eq!(bound("DEFAULT"), Ok(Bound::Default));
        assert_eq!(
            bound("FOR VALUES FROM (MINVALUE, 1) TO ('-5', MAXVALUE)"),
            Ok(Bound::Range { from: vec![Literal::Min, text("1")], to: vec![text("-5"), Literal::Max] })
        );
        assert_eq!(
            bound(r"FOR VALUES IN ('it''s \ a', NULL, true)"),
            Ok(Bound::List(vec![text(r"it's \ a"), Literal::Null, text("true")]))
        );
        assert_eq!(bound("FOR VALUES WITH (modulus 4, remainder 3)"), Ok(Bound::Hash { modulus: 4, remainder: 3 }));
        for text in [
            "",
            "FOR VALUES IN ()",
            "FOR VALUES IN (sleep(10))",
            "FOR VALUES IN (1)) ENGINE = x",
            "FOR VALUES FROM (1)",
            "FOR VALUES IN (\"a\")",
            "FOR VALUES WITH (a 1, b 2)",
        ] {
            assert!(bound(text).is_err(), "{text}");
        }
    }
}
