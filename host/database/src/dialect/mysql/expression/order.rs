//! What comes first, and how much of it.

use sqlparser::ast::{Expr, LimitClause, OrderBy, OrderByKind, OrderByOptions, OrderBySort, Query};

use super::Untranslatable;
use super::number::whole_number;
use super::printed::Printed;
use super::scope::Kind;
use super::translate::{Translation, refuse, unwrap_casts};

/// Why rows that a LIMIT chooses are not known to be the same.
const TEXTS_ORDERED: &str = "texts are sorted by the source's collation, and by code points there";

/// What follows a query.
#[derive(Clone, Copy, Default)]
pub(super) struct Tail<'q> {
    order_by: Option<&'q OrderBy>,
    is_limited: bool,
}

impl<'q> Tail<'q> {
    pub(super) fn of(query: &'q Query) -> Self {
        Self { order_by: query.order_by.as_ref(), is_limited: query.limit_clause.is_some() }
    }
}

/// A column of a query, to be sorted by.
pub(super) struct Sortable {
    pub(super) printed: Printed,
    pub(super) nullable: bool,
    /// An enum, sorted as it is declared.
    pub(super) is_declared_enum: bool,
}

/// The terms after ORDER BY. None: nothing is sorted. `columns` are those that numbers mean; without a `translation` nothing
/// else is known.
pub(super) fn terms(
    Tail { order_by, is_limited: limited }: Tail<'_>,
    columns: &[Sortable],
    mut translation: Option<&mut Translation<'_>>,
    notes: &mut Vec<String>,
) -> Result<Option<String>, Untranslatable> {
    let Some(OrderBy { kind, interpolate: None }) = order_by else {
        return if limited { refuse("which rows a LIMIT without an order chooses is not said") } else { Ok(None) };
    };
    let OrderByKind::Expressions(expressions) = kind else { return refuse("its order is not understood") };
    let mut terms = Vec::new();
    for ordered in expressions {
        let place = match unwrap_casts(&ordered.expr) {
            Expr::Value(_) => whole_number(&ordered.expr).and_then(|n| usize::try_from(n).ok()),
            _ => None,
        };
        let column = match (place, translation.as_deref_mut()) {
            (Some(place), _) => match place.checked_sub(1).and_then(|at| columns.get(at)) {
                Some(column) => term_of(column, &ordered.options)?,
                None => return refuse(format!("it is ordered by column {place}, which it does not have")),
            },
            (None, Some(translation)) => {
                let printed = translation.value(&ordered.expr)?;
                let found = translation.found(&ordered.expr).ok();
                let column = Sortable {
                    nullable: found.is_none_or(|found| found.named.target.nullable),
                    is_declared_enum: found.is_some_and(|f| f.named.target.logical.name == "enum"),
                    printed,
                };
                term_of(&column, &ordered.options)?
            }
            (None, None) => return refuse(format!("it is ordered by {}", ordered.expr)),
        };
        if column.by_collation && limited {
            return refuse(TEXTS_ORDERED);
        }
        if column.by_collation {
            notes.push(TEXTS_ORDERED.to_owned());
        }
        terms.extend(column.terms);
    }
    Ok(Some(terms.join(", ")))
}

struct Term {
    terms: Vec<String>,
    by_collation: bool,
}

/// PostgreSQL takes NULL for the largest value, MySQL for the smallest: where they do not come by themselves, it is said.
fn term_of(column: &Sortable, options: &OrderByOptions) -> Result<Term, Untranslatable> {
    let descending = match &options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(operator)) => return refuse(format!("it is ordered using {operator}")),
    };
    let Printed { sql, kind, .. } = &column.printed;
    if matches!(kind, Kind::Bytes | Kind::Json | Kind::Other) {
        return refuse(format!("it is ordered by {sql}, whose values compare otherwise there"));
    }
    let nulls_first = options.nulls_first.unwrap_or(descending);
    let mut terms = Vec::new();
    if column.nullable && nulls_first == descending {
        terms.push(if nulls_first { format!("({sql} is null) desc") } else { format!("({sql} is null)") });
    }
    terms.push(if descending { format!("{sql} desc") } else { sql.clone() });
    let by_collation = *kind == Kind::Text || (*kind == Kind::Enum && !column.is_declared_enum);
    Ok(Term { terms, by_collation })
}

/// The words after the order that say how many rows. Empty: all.
pub(super) fn limit(query: &Query) -> Result<String, Untranslatable> {
    let number = |expression: &Expr| match whole_number(expression) {
        Some(number) => Ok(number),
        None => refuse(format!("the number of rows {expression} is no literal")),
    };
    match &query.limit_clause {
        None => Ok(String::new()),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            let limit = limit.as_ref().map(number).transpose()?.unwrap_or(u64::MAX);
            Ok(match offset {
                None => format!(" limit {limit}"),
                Some(offset) => format!(" limit {limit} offset {}", number(&offset.value)?),
            })
        }
        Some(other) => refuse(format!("{other} has no counterpart")),
    }
}
