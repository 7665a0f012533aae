//! Whether rows fit: the number of columns, and how wide the source's statistics say that rows are.

use std::collections::BTreeMap;

use millrace_model::Failure;

use super::{Finding, Subject, listed, number, text};
use crate::report::byte_size;

const CHECK: &str = "rows";

/// Columns of a table, in OceanBase as in MySQL.
const COLUMNS_AT_MOST: usize = 4096;

/// A row as a statement is larger than as it is stored: bytes become two digits each, and quotes are doubled.
const TEXT_FACTOR: u64 = 2;

const QUESTION: &str =
    "SELECT schemaname, tablename, sum(avg_width) FROM pg_catalog.pg_stats WHERE NOT inherited GROUP BY 1, 2";

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let columns = subject.tables.iter().map(|t| (t.name.to_string(), t.columns.len())).collect::<Vec<_>>();
    if let Some(failure) = too_many_columns(&columns) {
        return Ok(vec![Finding::fail(CHECK, failure)]);
    }
    let Some(target) = &subject.databases.target else { return Ok(Vec::new()) };
    let rows = subject.ask_source(QUESTION).await?.unwrap_or_default();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an average of bytes")]
    let widths: BTreeMap<(&str, &str), u64> =
        rows.iter().map(|row| ((text(row, 0), text(row, 1)), number(row, 2).unwrap_or(0.0).max(0.0) as u64)).collect();
    let widths: Vec<(String, u64)> = subject
        .tables
        .iter()
        .filter_map(|t| Some((t.name.to_string(), *widths.get(&(t.name.schema.as_str(), t.name.name.as_str()))?)))
        .collect();
    Ok(vec![judge(&widths, target.max_allowed_packet())])
}

fn too_many_columns(tables: &[(String, usize)]) -> Option<Failure> {
    let (name, columns) = tables.iter().find(|(_, columns)| *columns > COLUMNS_AT_MOST)?;
    let message = format!("{name} has {columns} columns, and a table of the target has {COLUMNS_AT_MOST} at most");
    Some(Failure::unsupported("preflight.too-many-columns", message))
}

/// By the average width of a table's rows, and how long a statement may be.
fn judge(widths: &[(String, u64)], statement_at_most: u64) -> Finding {
    let wide: Vec<String> = widths
        .iter()
        .filter(|(_, width)| width * TEXT_FACTOR > statement_at_most)
        .map(|(name, width)| format!("{name} ({} on average)", byte_size(*width)))
        .collect();
    let limit = byte_size(statement_at_most);
    if wide.is_empty() {
        return Finding::pass(CHECK, format!("rows fit into the target's statements of {limit}"));
    }
    let message = format!("rows may be larger than the target's max_allowed_packet of {limit}: {}", listed(&wide));
    Finding::warn(CHECK, "preflight.wide-rows", message)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn rows_are_compared_with_what_a_statement_holds() {
        let widths = [("narrow".to_owned(), 100), ("wide".to_owned(), 9 << 20)];
        assert_eq!(judge(&widths, 64 << 20).verdict, Verdict::Pass);
        let found = judge(&widths, 16 << 20);
        assert_eq!(found.verdict, Verdict::Warn);
        assert!(found.message.ends_with(": wide (9.0 MiB on average)"), "{}", found.message);
        assert!(too_many_columns(&[("t".to_owned(), 4096)]).is_none());
        assert!(too_many_columns(&[("t".to_owned(), 4097)]).is_some());
    }
}
