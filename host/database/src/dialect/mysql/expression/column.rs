//! Columns: what is known of their values at the source, and whether they are there.

use millrace_model::{Column, Layout};
use sqlparser::ast::Expr;

use super::Untranslatable;
use super::number::precision_of;
use super::printed::{Printed, Width, digits_of};
use super::scope::{Kind, Named, is_bin};
use super::translate::{Translation, refuse};

/// The value of a column.
pub(super) fn column(translation: &mut Translation<'_>, expression: &Expr) -> Result<Printed, Untranslatable> {
    let named = translation.found(expression)?.named.clone();
    if let Some(changed) = &named.changed {
        return refuse(changed.clone());
    }
    let sql = translation.name_column(expression)?;
    let is_in_table = translation.query.is_none();
    Ok(of(&named, sql, is_in_table))
}

/// What is known of the values of a column that is spelled so.
pub(super) fn of(named: &Named, sql: String, is_in_table: bool) -> Printed {
    let Named { target, source, kind, .. } = named;
    let printed = Printed { bin: is_bin(target), ..Printed::new(sql, *kind) };
    match kind {
        Kind::Integer => {
            let (width, range) = integer_of(named);
            Printed { width, range, digits: range.map(digits_of), scale: Some(0), ..printed }
        }
        Kind::Decimal => {
            let extent = precision_of(&target.declared);
            let scale = extent.map(|(_, scale)| scale).or(target.logical.number("scale"));
            printed.with_extent(extent.map(|(digits, scale)| digits - scale), scale)
        }
        // A double with the digits of the real; the real is what they are rounded to.
        Kind::Float if source.layout == Layout::Float32 => {
            let is_wide = target.declared.to_ascii_lowercase().starts_with("double");
            let sql = if is_wide { format!("cast({} as float)", printed.sql) } else { printed.sql };
            Printed { is_single: true, ..Printed::new(sql, Kind::Float) }
        }
        Kind::Text => {
            let fixed = source.param("fixed") == Some("true");
            let fixed = fixed.then(|| source.number("length").unwrap_or(0));
            Printed { fixed, letters: named.letters, ..printed }
        }
        Kind::Enum => Printed { is_loose: is_loose(target), ..printed },
        // Upper and lower case are one at the source.
        Kind::Uuid if printed.bin && is_in_table => Printed { sql: format!("lower({})", printed.sql), ..printed },
        Kind::Time | Kind::Timestamp | Kind::TimestampTz => Printed { seconds: source.number("precision"), ..printed },
        _ => printed,
    }
}

/// Whether an enum is kept as a text. The labels of one that is an enum there too end in no blanks.
fn is_loose(target: &Column) -> bool {
    target.logical.name == "text" && !target.declared.to_ascii_lowercase().starts_with("enum")
}

fn integer_of(named: &Named) -> (Option<Width>, Option<(i128, i128)>) {
    let source = &named.source;
    if source.param("unsigned") == Some("true") {
        return (None, Some((0, i128::from(u32::MAX))));
    }
    let width = match (source.number("bits"), source.layout) {
        (Some(..=16), _) | (None, Layout::Int16) => Width::Two,
        (Some(17..=32), _) | (None, Layout::Int32) => Width::Four,
        (Some(33..=64), _) | (None, Layout::Int64) => Width::Eight,
        _ => return (None, None),
    };
    (Some(width), Some(width.bounds()))
}

/// `IS NULL` and `IS NOT NULL`: whether a value is there does not depend on how it is written.
pub(super) fn null_test(
    translation: &mut Translation<'_>,
    expression: &Expr,
    test: &str,
) -> Result<Printed, Untranslatable> {
    let sql = match unbracketed(expression) {
        column @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
            require_presence(translation.found(column)?.named)?;
            translation.name_column(column)?
        }
        other => translation.value(other)?.sql,
    };
    Ok(Printed::boolean(format!("({sql} {test})")))
}

fn unbracketed(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => unbracketed(inner),
        other => other,
    }
}

/// Whether `IS NULL` means the same: a row of NULLs is NULL at the source, and a document there.
fn require_presence(named: &Named) -> Result<(), Untranslatable> {
    let is_composite = named.source.param("kind") == Some("composite");
    if is_composite { refuse(format!("column {} may be a row of NULLs", named.target.name)) } else { Ok(()) }
}
