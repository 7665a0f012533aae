//! Keys that differ at the source and would be one in the target.
//!
//! The source is grouped by what the target compares: texts without the blanks at their end, and under a collation
//! that folds, each character by the one that it is taken for. Of a group with more than one key two are named. Where
//! only blanks can make keys one, a first look finds out whether there is any text that ends with one: mostly there is
//! none, and the table is read once and not sorted.

use std::collections::BTreeMap;

use millrace_model::{Failure, Index, IndexKind, IndexPart, Mapping, Table};

use super::Postgres;
use super::session::query;
use crate::catalog::{Answer, CatalogLimits};
use crate::dialect::postgres::{quote_name, quote_table, quote_text};
use crate::mysql::Folding;

/// The collation that folds.
const FOLDING_COLLATION: &str = "utf8mb4_general_ci";

/// One question about one unique key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyProbe {
    /// The key's name at the source.
    pub index: String,
    /// The columns and expressions that it consists of.
    pub parts: Vec<String>,
    /// What the target does not tell apart, in words: `blanks at the end`.
    pub blind_to: String,
    /// The query: two keys of a group, and how many groups there are. No row: there is none.
    pub sql: String,
}

/// Two keys of the source that are one in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The parts' texts of the one.
    pub first: Vec<Option<String>>,
    /// And of the other.
    pub second: Vec<Option<String>>,
    /// How many keys of the target would be several of the source.
    pub groups: u64,
}

/// How a part of a key is compared by the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// As by the source.
    Same,
    /// Without blanks at the end.
    Padded,
    /// Folded.
    Folded,
}

/// Whether any key of the table is compared by folding: then its probes need a [`Folding`].
pub fn folds(table: &Table, mappings: &[Mapping]) -> bool {
    unique_keys(table).any(|index| {
        index
            .parts
            .iter()
            .any(|part| part.is_column && comparison(table, mappings, &part.expression) == Comparison::Folded)
    })
}

/// The probes of a table: one for each unique key that holds a text.
pub fn key_probes(table: &Table, mappings: &[Mapping], folding: Option<&Folding>) -> Vec<KeyProbe> {
    unique_keys(table).filter_map(|index| probe(table, index, mappings, folding)).collect()
}

fn unique_keys(table: &Table) -> impl Iterator<Item = &Index> {
    table.indexes.iter().filter(|index| {
        index.kind != IndexKind::Plain
            && matches!(index.method.as_str(), "btree" | "")
            && index.properties.get("invalid").is_none_or(|invalid| invalid != "true")
    })
}

fn comparison(table: &Table, mappings: &[Mapping], column: &str) -> Comparison {
    let source = table.column(column);
    let mapping = mappings.iter().find(|mapping| mapping.sources.iter().any(|name| name == column));
    let (Some(source), Some(target)) = (source, mapping.and_then(|mapping| mapping.targets.first())) else {
        return Comparison::Same;
    };
    let is_text = matches!(source.logical.name.as_str(), "text" | "citext") && target.logical.name == "text";
    // Blanks at the end of `char(n)` are no part of its values.
    if !is_text || source.logical.param("fixed") == Some("true") {
        return Comparison::Same;
    }
    if target.collation.as_deref() == Some(FOLDING_COLLATION) { Comparison::Folded } else { Comparison::Padded }
}

fn probe(table: &Table, index: &Index, mappings: &[Mapping], folding: Option<&Folding>) -> Option<KeyProbe> {
    let mut texts = Vec::new();
    let mut keys = Vec::new();
    let mut padded = Vec::new();
    let mut folded = false;
    for part in &index.parts {
        let (value, how) = match part.is_column {
            true => (quote_name(&part.expression), comparison(table, mappings, &part.expression)),
            // What an expression gives is not known: blanks are looked for in its text.
            false => (computed(&part.expression, index.predicate.as_deref()), Comparison::Padded),
        };
        let text = format!("{value}::pg_catalog.text");
        let key = match (how, folding) {
            (Comparison::Same, _) => value.clone(),
            (Comparison::Folded, Some(folding)) => {
                folded = true;
                fold(&text, folding)
            }
            _ => format!("pg_catalog.rtrim({text}, ' ')"),
        };
        if how != Comparison::Same {
            padded.push(format!("pg_catalog.right({text}, 1) = ' '"));
        }
        texts.push(text);
        keys.push((value, key));
    }
    if padded.is_empty() {
        return None;
    }
    let from = quote_table(&table.name);
    let mut conditions: Vec<String> = keys.iter().map(|(value, _)| format!("{value} IS NOT NULL")).collect();
    conditions.extend(index.predicate.iter().map(|predicate| format!("({predicate})")));
    if !folded {
        // Looked at once, whatever the number of rows.
        conditions.push(format!("EXISTS (SELECT 1 FROM {from} WHERE {})", padded.join(" OR ")));
    }
    let named: Vec<String> = keys.iter().enumerate().map(|(at, (_, key))| format!("{key} AS k{at}")).collect();
    let grouped: Vec<String> = (0..keys.len()).map(|at| format!("k{at}")).collect();
    let sql = format!(
        "SELECT one, other, pg_catalog.count(*) OVER () FROM (SELECT pg_catalog.min(key COLLATE \"C\") AS one, \
         pg_catalog.max(key COLLATE \"C\") AS other FROM (SELECT pg_catalog.json_build_array({})::pg_catalog.text AS key, \
         {} FROM {from} WHERE {}) AS keys GROUP BY {} HAVING pg_catalog.count(*) > 1) AS found ORDER BY one LIMIT 1",
        texts.join(", "),
        named.join(", "),
        conditions.join(" AND "),
        grouped.join(", ")
    );
    let blind_to = if folded { "case, accents and blanks at the end" } else { "blanks at the end" };
    Some(KeyProbe {
        index: index.name.clone(),
        parts: index.parts.iter().map(|part| part.expression.clone()).collect(),
        blind_to: blind_to.to_owned(),
        sql,
    })
}

/// An expression of an index, computed for the rows that the index has and for no others: it may fail for those.
fn computed(expression: &str, predicate: Option<&str>) -> String {
    match predicate {
        None => format!("({expression})"),
        Some(predicate) => format!("(CASE WHEN ({predicate}) THEN ({expression}) END)"),
    }
}

/// A text as the folding collation compares it.
fn fold(text: &str, folding: &Folding) -> String {
    let basic = format!(
        "pg_catalog.regexp_replace(pg_catalog.rtrim({text}, ' ') COLLATE \"C\", '[\\U00010000-\\U0010ffff]', '\u{fffd}', 'g')"
    );
    format!("pg_catalog.translate({basic}, {}, {})", quote_text(&folding.from), quote_text(&folding.to))
}

/// The columns, expressions and predicates of a table's unique keys.
const OWN_KEYS: &str = "select c.relname::text, pg_get_expr(i.indpred, i.indrelid), a.attname::text,
        pg_get_indexdef(i.indexrelid, part.n, false)
   from pg_catalog.pg_index i
   join pg_catalog.pg_class c on c.oid = i.indexrelid
   join pg_catalog.pg_class t on t.oid = i.indrelid
   join pg_catalog.pg_namespace n on n.oid = t.relnamespace
   cross join lateral generate_series(1, i.indnkeyatts) part (n)
   left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[part.n - 1]
         and i.indkey[part.n - 1] <> 0
  where n.nspname = $1 and t.relname = $2 and i.indisunique
  order by c.relname, part.n";

/// Whether a key says anything in SQL, and not by names alone.
fn says_sql(index: &Index) -> bool {
    index.predicate.is_some() || index.parts.iter().any(|part| !part.is_column)
}

pub(super) async fn with_own_keys(database: &Postgres, table: &Table) -> Result<Table, Failure> {
    let mut own = table.clone();
    if !unique_keys(table).any(says_sql) {
        return Ok(own);
    }
    let doing = format!("read the unique keys of {}", table.name);
    let of = [table.name.schema.clone(), table.name.name.clone()];
    let limits = CatalogLimits::default();
    let answer = Answer::new(limits.answer_bytes);
    let rows = query(database, OWN_KEYS, &of, Some(limits.query), answer, &doing).await?;
    let mut keys: BTreeMap<String, (Option<String>, Vec<IndexPart>)> = BTreeMap::new();
    for row in rows {
        let Ok([Some(name), predicate, column, Some(definition)]) = <[Option<String>; 4]>::try_from(row) else {
            continue;
        };
        let (is_column, expression) = column.map_or((false, definition), |column| (true, column));
        let key = keys.entry(name).or_insert((predicate, Vec::new()));
        key.1.push(IndexPart { expression, is_column, descending: false, prefix: None });
    }
    own.indexes = std::mem::take(&mut own.indexes)
        .into_iter()
        .filter_map(|index| {
            if !says_sql(&index) {
                return Some(index);
            }
            let (predicate, parts) = keys.remove(&index.name)?;
            Some(Index { predicate, parts, ..index })
        })
        .collect();
    Ok(own)
}

pub(super) async fn ask(database: &Postgres, table: &Table, probe: &KeyProbe) -> Result<Option<Collision>, Failure> {
    let doing = format!("look for keys of {} that would be one in the target", table.name);
    let answer = Answer::new(CatalogLimits::default().answer_bytes);
    // It reads the whole table, and may take as long as that takes.
    let rows = query(database, &probe.sql, &[], None, answer, &doing)
        .await
        .map_err(|failure| failure.with("table", table.name.to_string()))?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let mut cells = row.into_iter().map(Option::unwrap_or_default);
    let mut key = || serde_json::from_str(&cells.next().unwrap_or_default()).unwrap_or_default();
    let (first, second) = (key(), key());
    let groups = cells.next().and_then(|count| count.parse().ok()).unwrap_or(1);
    Ok(Some(Collision { first, second, groups }))
}

/// A key as a person reads it: `('a ', '7')`.
pub fn shown_key(key: &[Option<String>]) -> String {
    let parts: Vec<String> =
        key.iter().map(|part| part.as_deref().map_or_else(|| "NULL".to_owned(), quote_text)).collect();
    format!("({})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use millrace_model::{Column, Layout, LogicalType, TableName};

    use super::*;

    fn column(name: &str, logical: &str) -> Column {
        Column { name: name.into(), logical: LogicalType::new(logical, Layout::Varlen), ..Column::default() }
    }

    fn part_of(column: &str) -> IndexPart {
        IndexPart { expression: column.into(), is_column: true, descending: false, prefix: None }
    }

    fn table(columns: &[(&str, &str)]) -> Table {
        Table {
            name: TableName::new("public", "t"),
            columns: columns.iter().map(|(name, logical)| column(name, logical)).collect(),
            indexes: vec![Index {
                name: "t_key".into(),
                kind: IndexKind::Unique,
                method: "btree".into(),
                parts: columns.iter().map(|(name, _)| part_of(name)).collect(),
                predicate: Some("a <> 'x'".into()),
                properties: Default::default(),
            }],
            ..Table::default()
        }
    }

    fn mappings(columns: &[(&str, &str)]) -> Vec<Mapping> {
        let target = |name: &str, logical: &str| Column {
            collation: (logical == "citext").then(|| FOLDING_COLLATION.to_owned()),
            ..column(name, if logical == "citext" { "text" } else { logical })
        };
        let mapping = |(name, logical): &(&str, &str)| Mapping {
            sources: vec![(*name).into()],
            targets: vec![target(name, logical)],
            converts: false,
            note: None,
        };
        columns.iter().map(mapping).collect()
    }

    #[test]
    fn a_key_without_texts_needs_no_probe() {
        let columns = [("a", "integer"), ("b", "uuid")];
        assert_eq!(key_probes(&table(&columns), &mappings(&columns), None), []);
    }

    #[test]
    fn texts_are_grouped_without_their_last_blanks_and_others_as_they_are() {
        let columns = [("a", "text"), ("b", "integer")];
        let probes = key_probes(&table(&columns), &mappings(&columns), None);
        assert_eq!(probes.len(), 1);
        let sql = &probes[0].sql;
        assert!(sql.contains("rtrim(\"a\"::pg_catalog.text, ' ') AS k0, \"b\" AS k1"), "{sql}");
        assert!(sql.contains("(a <> 'x') AND EXISTS (SELECT 1"), "{sql}");
    }

    #[test]
    fn an_expression_is_computed_for_no_row_that_its_index_has_not() {
        let columns = [("a", "text"), ("b", "integer")];
        let mut table = table(&columns);
        table.indexes[0].parts[1] = IndexPart { expression: "10 / b".into(), is_column: false, ..part_of("b") };
        let probes = key_probes(&table, &mappings(&columns), None);
        let sql = &probes[0].sql;
        let guarded = "(CASE WHEN (a <> 'x') THEN (10 / b) END)";
        assert_eq!(sql.matches("10 / b").count(), sql.matches(guarded).count(), "{sql}");
        assert!(sql.contains(guarded), "{sql}");
    }

    #[test]
    fn folded_texts_are_grouped_by_what_they_are_taken_for() {
        let columns = [("a", "citext")];
        assert!(folds(&table(&columns), &mappings(&columns)));
        let folding = Folding { from: "aé".into(), to: "AE".into() };
        let probes = key_probes(&table(&columns), &mappings(&columns), Some(&folding));
        assert!(probes[0].sql.contains("'aé', 'AE') AS k0"), "{}", probes[0].sql);
        assert!(!probes[0].sql.contains("EXISTS"), "{}", probes[0].sql);
    }
}
