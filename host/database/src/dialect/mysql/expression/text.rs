//! Texts: compared letter by letter, as the source compares them.
//!
//! The target's collations leave blanks at the end out, so that an equality of texts is also one of their lengths; LIKE
//! leaves nothing out. A `char(n)` is what they are made for. How texts are *ordered* is the source's collation's business.

use sqlparser::ast::{Expr, TrimWhereField};

use super::Untranslatable;
use super::number::signed_number;
use super::pattern;
use super::printed::{BY_CODE_POINTS, Printed};
use super::scope::Kind;
use super::translate::{Translation, negated, refuse};
use crate::dialect::mysql::name::quote_text;

/// The most characters of a text at the source.
pub(super) const LONGEST: i128 = 1 << 30;

/// Two texts, compared letter by letter.
pub(super) fn compare(
    (left, first): (&Expr, Printed),
    operator: &str,
    (right, second): (&Expr, Printed),
) -> Result<Printed, Untranslatable> {
    if !matches!(operator, "=" | "<>" | "<=>") {
        return refuse(format!("the texts in {left} {operator} {right} are ordered by the source's collation"));
    }
    if first.fixed.is_some() || second.fixed.is_some() {
        return compare_fixed((left, first), operator, (right, second));
    }
    let (first, second) = if first.literal.is_some() && second.literal.is_none() && !second.is_null() {
        (second, first)
    } else {
        (first, second)
    };
    if second.literal.as_deref() == Some("") && first.literal.is_none() && operator != "<=>" {
        let sign = if operator == "=" { "=" } else { ">" };
        return Ok(Printed::boolean(format!("(char_length({}) {sign} 0)", first.sql)));
    }
    let length = |printed: &Printed| match &printed.literal {
        Some(text) => text.chars().count().to_string(),
        None => format!("char_length({})", printed.sql),
    };
    let collation = collation(&first, &second);
    let equal = |sign: &str| {
        format!("({} {sign} {}{collation} and {} {sign} {})", first.sql, second.sql, length(&first), length(&second))
    };
    let sql = if operator == "<>" { negated(&equal("=")) } else { equal(operator) };
    Ok(Printed::boolean(sql))
}

/// What is said behind a comparison so that it is one of code points.
pub(super) fn collation(first: &Printed, second: &Printed) -> String {
    if first.bin || second.bin { String::new() } else { format!(" {BY_CODE_POINTS}") }
}

/// Texts of fixed length, whose blanks at the end count nowhere.
fn compare_fixed(
    (left, first): (&Expr, Printed),
    operator: &str,
    (right, second): (&Expr, Printed),
) -> Result<Printed, Untranslatable> {
    let is_padded = |printed: &Printed| printed.fixed.is_some() || printed.is_null();
    if !is_padded(&first) || !is_padded(&second) {
        return refuse(format!("only one of {left} and {right} is of fixed length"));
    }
    let collation = collation(&first, &second);
    Ok(Printed::boolean(format!("({} {operator} {}{collation})", first.sql, second.sql)))
}

/// `value IN (…)`, where every element is a literal without blanks at its end. None: it is said element by element.
pub(super) fn one_of(value: &Printed, elements: &[Printed]) -> Option<String> {
    let is_short = |element: &Printed| element.literal.as_deref().is_some_and(|t| !t.is_empty() && !t.ends_with(' '));
    let has_fixed = |element: &Printed| element.literal.is_some() && element.fixed.is_some();
    if elements.len() < 2 || value.literal.is_some() {
        return None;
    }
    let value = value.clone().by_code_points();
    let list = elements.iter().map(|element| element.sql.as_str()).collect::<Vec<_>>().join(",");
    if value.fixed.is_some() {
        return elements.iter().all(has_fixed).then(|| format!("({} in ({list}))", value.sql));
    }
    let blank = quote_text("% ");
    elements.iter().all(|element| is_short(element) && element.fixed.is_none()).then(|| {
        format!(
            "(({0} in ({list})) and {1})",
            value.sql,
            negated(&format!("({} like {blank} escape '\\\\')", value.sql))
        )
    })
}

/// `value LIKE pattern`.
pub(super) fn like(
    translation: &mut Translation<'_>,
    left: &Expr,
    pattern: &Expr,
    escape: Option<&Expr>,
    is_negated: bool,
) -> Result<Printed, Untranslatable> {
    let value = subject(translation, left)?;
    let written = translation.value(pattern)?;
    let Some(text) = written.literal.filter(|_| written.fixed.is_none()) else {
        return refuse(format!("the pattern {pattern} is no literal"));
    };
    let escape = match escape {
        None => "\\".to_owned(),
        Some(escape) => match translation.value(escape)?.literal {
            Some(escape) if escape.chars().count() == 1 => escape,
            _ => return refuse("what escapes in its pattern is no single character"),
        },
    };
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if escape.starts_with(character) && characters.next().is_none() {
            return refuse(format!("the pattern {pattern} ends in the middle of an escape"));
        }
    }
    let like = format!("({} like {} escape {})", value.sql, quote_text(&text), quote_text(&escape));
    Ok(Printed::boolean(if is_negated { negated(&like) } else { like }))
}

/// A text that a pattern is looked for in: with all of its blanks, and compared by its code points.
fn subject(translation: &mut Translation<'_>, expression: &Expr) -> Result<Printed, Untranslatable> {
    let value = translation.any_text(expression)?;
    Ok(value.padded()?.by_code_points())
}

/// `value ~ pattern`.
pub(super) fn matches(
    translation: &mut Translation<'_>,
    left: &Expr,
    pattern: &Expr,
    case: pattern::Case,
    is_negated: bool,
) -> Result<Printed, Untranslatable> {
    let (letters, value) = (translation.any_text(left)?.letters, subject(translation, left)?);
    let written = translation.value(pattern)?;
    let Some(text) = written.literal else {
        return refuse("its regular expression is no literal");
    };
    let letters = if is_collated(pattern) { written.letters } else { letters };
    let text = pattern::translated(&text, case, letters)?;
    let matches = format!("(regexp_like({},{},'c'))", value.sql, quote_text(&text));
    Ok(Printed::boolean(if is_negated { negated(&matches) } else { matches }))
}

/// Whether a collation is said of an expression, which then counts for both sides.
fn is_collated(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_collated(inner),
        other => matches!(other, Expr::Collate { .. }),
    }
}

/// Whether a text begins with another one.
pub(super) fn starts_with(
    translation: &mut Translation<'_>,
    text: &Expr,
    start: &Expr,
) -> Result<Printed, Untranslatable> {
    let (text, start) = (translation.text(text)?.by_code_points(), translation.text(start)?);
    let Some(literal) = start.literal else { return refuse("what it starts with is no literal") };
    let mut pattern = String::new();
    for character in literal.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    Ok(Printed::boolean(format!("({} like {} escape '\\\\')", text.sql, quote_text(&pattern))))
}

/// `substring(text from place for count)`: the places before the beginning are there at the source, and hold nothing.
pub(super) fn substring(
    translation: &mut Translation<'_>,
    text: &Expr,
    from: &Expr,
    count: Option<&Expr>,
) -> Result<Printed, Untranslatable> {
    let text = translation.text(text)?;
    let place = |place: &Expr| match signed_number(place) {
        Some(number) => Ok(number),
        None => refuse(format!("{place} may be a place before the beginning, which means something else there")),
    };
    let first = place(from)?;
    let sql = match count.map(place).transpose()? {
        Some(count) if count < 0 => return refuse("a substring of negative length fails at the source"),
        Some(count) => {
            let end = first.saturating_add(count);
            format!("substr({},{},{})", text.sql, first.max(1), (end - first.max(1)).max(0))
        }
        None => format!("substr({},{})", text.sql, first.max(1)),
    };
    Ok(Printed::text(sql, text.bin))
}

/// `left(text, count)` and `right(text, count)`.
pub(super) fn end_of(
    translation: &mut Translation<'_>,
    function: &str,
    text: &Expr,
    count: &Expr,
) -> Result<Printed, Untranslatable> {
    let text = translation.text(text)?;
    match signed_number(count) {
        Some(count) if count >= 0 => Ok(Printed::text(format!("{function}({},{count})", text.sql), text.bin)),
        Some(_) => refuse(format!("{function} with a negative number means something else there")),
        None => refuse(format!("{count} may be negative, with which {function} means something else there")),
    }
}

/// Texts of this type, cut to so many characters as a cast says.
pub(super) fn cut(text: Printed, length: u32) -> Printed {
    match &text.literal {
        Some(literal) => {
            let cut: String = literal.chars().take(length as usize).collect();
            Printed { fixed: text.fixed, bin: text.bin, ..Printed::quoted(&cut) }
        }
        None if text.fixed.is_some_and(|has| has != 0 && has <= length) => text,
        None => Printed { sql: format!("left({},{length})", text.sql), ..text },
    }
}

pub(super) fn trim(
    translation: &mut Translation<'_>,
    side: Option<&TrimWhereField>,
    what: Option<&Expr>,
    expression: &Expr,
) -> Result<Printed, Untranslatable> {
    let value = translation.text(expression)?;
    let is_blank = match what {
        None => true,
        Some(what) => translation.value(what)?.literal.as_deref() == Some(" "),
    };
    let function = match (side, is_blank) {
        (None | Some(TrimWhereField::Both), true) => "trim",
        (Some(TrimWhereField::Leading), true) => "ltrim",
        (Some(TrimWhereField::Trailing), true) => "rtrim",
        _ => return refuse("trimming other characters than blanks means something else there"),
    };
    Ok(Printed::text(format!("{function}({})", value.sql), value.bin))
}

/// How many characters or bytes a text has.
pub(super) fn length(
    translation: &mut Translation<'_>,
    function: &str,
    expression: &Expr,
) -> Result<Printed, Untranslatable> {
    let text = translation.any_text(expression)?;
    // Of a text of fixed length the blanks at its end are bytes, and no characters.
    let text = if function == "octet_length" { text.padded()? } else { text.without_padding() };
    Ok(Printed::integer(format!("{function}({})", text.sql), (0, LONGEST)))
}

/// What is concatenated, part by part.
pub(super) fn concatenated(parts: Vec<Printed>) -> Printed {
    let bin = parts.iter().any(|part| part.bin);
    let sql = parts.into_iter().map(|part| part.sql).collect::<Vec<_>>().join(",");
    Printed::text(format!("concat({sql})"), bin)
}

/// What a value is as text, where something is concatenated with it or it is cast.
pub(super) fn spelled_out(expression: &dyn std::fmt::Display, value: Printed) -> Result<Printed, Untranslatable> {
    Ok(match value.kind {
        Kind::Text | Kind::Any => value.without_padding(),
        Kind::Integer => Printed::text(format!("cast({} as char)", value.sql), false),
        Kind::Boolean => {
            let condition = value.sql;
            Printed::text(
                format!("(case when ({condition} <> 0) then 'true' when ({condition} = 0) then 'false' else NULL end)"),
                false,
            )
        }
        Kind::Enum => Printed::text(value.sql, value.bin),
        // As it is written at the source, whatever its case there.
        Kind::Uuid if value.bin => Printed::text(value.sql, true),
        Kind::Uuid => Printed::text(format!("lower({})", value.sql), false),
        _ => return refuse(format!("{expression} is written otherwise as text")),
    })
}
