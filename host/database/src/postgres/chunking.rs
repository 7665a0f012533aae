//! Which chunks a table is read in.
//!
//! A table with a key is cut at every n-th key, in the key's own order and exactly: one pass over the key's index counts
//! the rows, so that skew, gaps, uuids and composite keys make no difference. A table without one is cut at pages, per
//! relation that holds rows (a partitioned table itself holds none).

use millrace_model::comparison::KeyRange;
use millrace_model::{Failure, Table};
use millrace_rowcopy::port::{Chunk, ChunkPart};

use super::session::{command, text_rows};
use super::{Postgres, Snapshot, snapshot};
use crate::dialect::postgres::{quote_name, quote_table, quote_text};

/// From here on, PostgreSQL reads a range of pages without reading the others.
const PAGE_RANGES_SINCE: u32 = 140_000;

/// Rows of a page that has never been counted.
const ROWS_PER_PAGE: f64 = 60.0;

pub(super) async fn chunks(
    database: &Postgres,
    snapshot: &Snapshot,
    table: &Table,
    rows_per_chunk: u64,
) -> Result<Vec<Chunk>, Failure> {
    let rows_per_chunk = rows_per_chunk.max(1);
    let key = table.key_columns();
    let doing = format!("plan the chunks of {}", table.name);
    let failure = |e| database.place.failure(&doing, &e).with("table", table.name.to_string());
    let mut connection = database.acquire().await?;
    snapshot::begin(database, &mut connection, snapshot).await?;
    let parts = if key.is_empty() {
        let rows = text_rows(&mut connection, relations_sql(table), failure).await?;
        let relations: Vec<Relation> = rows.iter().filter_map(|row| Relation::read(row)).collect();
        let whole_relations = database.version_number() < PAGE_RANGES_SINCE;
        relations.iter().flat_map(|r| r.ranges(rows_per_chunk, whole_relations)).collect()
    } else {
        let rows = text_rows(&mut connection, bounds_sql(table, &key, rows_per_chunk), failure).await?;
        let bounds = rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect());
        key_ranges(bounds.collect(), rows_per_chunk, table.estimated_rows)
    };
    command(&mut connection, "ROLLBACK").await.map_err(failure)?;
    connection.give_back();
    Ok((0..).zip(parts).map(|(number, (part, estimated_rows))| Chunk { number, part, estimated_rows }).collect())
}

/// Every n-th key but the first.
fn bounds_sql(table: &Table, key: &[String], rows_per_chunk: u64) -> String {
    let columns: Vec<String> = key.iter().map(|name| quote_name(name)).collect();
    let columns = columns.join(", ");
    format!(
        "SELECT {columns} FROM (SELECT {columns}, row_number() OVER (ORDER BY {columns}) AS millrace_row FROM {}) AS k \
         WHERE millrace_row > 1 AND (millrace_row - 1) % {rows_per_chunk} = 0 ORDER BY millrace_row",
        quote_table(&table.name)
    )
}

/// Keys in the order of a hash that the seed decides.
pub(super) async fn draw_keys(
    database: &Postgres,
    snapshot: &Snapshot,
    table: &Table,
    count: u32,
    seed: u64,
) -> Result<Vec<Vec<String>>, Failure> {
    let columns: Vec<String> = table.key_columns().iter().map(|name| quote_name(name)).collect();
    let columns = columns.join(", ");
    let statement = format!(
        "SELECT {columns} FROM {} ORDER BY pg_catalog.hashtextextended(ROW({columns})::text, {}), {columns} LIMIT {count}",
        quote_table(&table.name),
        seed.cast_signed()
    );
    let doing = format!("draw a sample of {}", table.name);
    let failure = |e| database.place.failure(&doing, &e);
    let mut connection = database.acquire().await?;
    snapshot::begin(database, &mut connection, snapshot).await?;
    let rows = text_rows(&mut connection, statement, failure).await?;
    command(&mut connection, "ROLLBACK").await.map_err(failure)?;
    connection.give_back();
    Ok(rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect())
}

/// All ranges but the last hold exactly so many rows; of the last one only the table's estimate says something.
fn key_ranges(bounds: Vec<Vec<String>>, rows_per_chunk: u64, estimated_rows: u64) -> Vec<(ChunkPart, u64)> {
    let left = estimated_rows.saturating_sub(rows_per_chunk.saturating_mul(bounds.len() as u64));
    let mut ranges = Vec::with_capacity(bounds.len() + 1);
    let mut lower = None;
    for bound in bounds {
        let range = KeyRange { lower: lower.replace(bound.clone()), upper: Some(bound) };
        ranges.push((ChunkPart::Keys(range), rows_per_chunk));
    }
    ranges.push((ChunkPart::Keys(KeyRange { lower, upper: None }), left.clamp(1, rows_per_chunk)));
    ranges
}

/// The relations that hold the table's rows: itself, its partitions, what inherits from it.
fn relations_sql(table: &Table) -> String {
    format!(
        "WITH RECURSIVE tree AS (SELECT {}::regclass::oid AS oid UNION \
         SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid) \
         SELECT n.nspname, c.relname, c.relkind::text, \
         CASE WHEN c.relkind = 'f' THEN 0 ELSE pg_catalog.pg_relation_size(c.oid) END \
         / pg_catalog.current_setting('block_size')::int8, c.relpages, c.reltuples \
         FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'm', 'f') ORDER BY n.nspname, c.relname",
        quote_text(&quote_table(&table.name))
    )
}

struct Relation {
    name: String,
    is_foreign: bool,
    pages: u64,
    rows_per_page: f64,
}

impl Relation {
    fn read(row: &[Option<String>]) -> Option<Self> {
        let text = |index: usize| row.get(index)?.as_deref();
        let counted_pages: f64 = text(4)?.parse().ok()?;
        let counted_rows: f64 = text(5)?.parse().ok()?;
        let rows_per_page =
            if counted_pages > 0.0 && counted_rows > 0.0 { counted_rows / counted_pages } else { ROWS_PER_PAGE };
        Some(Self {
            name: format!("{}.{}", quote_name(text(0)?), quote_name(text(1)?)),
            is_foreign: text(2)? == "f",
            pages: text(3)?.parse().ok()?,
            rows_per_page,
        })
    }

    /// The last range is open: the relation may have grown since its size was taken, and the snapshot decides what of
    /// that counts.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // estimates
    fn ranges(&self, rows_per_chunk: u64, whole: bool) -> Vec<(ChunkPart, u64)> {
        let part = |from: u32, to: Option<u32>, pages: u64| {
            let rows = (pages as f64 * self.rows_per_page) as u64;
            (ChunkPart::Pages { relation: self.name.clone(), from, to }, rows)
        };
        if whole || self.is_foreign {
            return vec![part(0, None, self.pages)];
        }
        let pages_per_chunk = ((rows_per_chunk as f64 / self.rows_per_page) as u64).max(1);
        let mut ranges = Vec::new();
        let mut from = 0;
        while from + pages_per_chunk < self.pages {
            let to = from + pages_per_chunk;
            let (Ok(first), Ok(end)) = (u32::try_from(from), u32::try_from(to)) else { break };
            ranges.push(part(first, Some(end), pages_per_chunk));
            from = to;
        }
        if let Ok(first) = u32::try_from(from) {
            ranges.push(part(first, None, self.pages.saturating_sub(from)));
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ranges_meet_and_are_open_at_both_ends() {
        let ranges = key_ranges(vec![vec!["5".into()], vec!["9".into()]], 4, 10);
        let bounds: Vec<_> = ranges.iter().map(|(part, _)| part.key_range()).collect();
        assert_eq!(bounds.len(), 3);
        assert_eq!(bounds[0], KeyRange { lower: None, upper: Some(vec!["5".into()]) });
        assert_eq!(bounds[1], KeyRange { lower: Some(vec!["5".into()]), upper: Some(vec!["9".into()]) });
        assert_eq!(bounds[2], KeyRange { lower: Some(vec!["9".into()]), upper: None });
    }

    #[test]
    fn page_ranges_cover_every_page_and_what_comes_after() {
        let relation = Relation { name: "r".into(), is_foreign: false, pages: 10, rows_per_page: 100.0 };
        let ranges: Vec<_> = relation.ranges(400, false).into_iter().map(|(part, _)| part).collect();
        let page = |from, to| ChunkPart::Pages { relation: "r".into(), from, to };
        assert_eq!(ranges, [page(0, Some(4)), page(4, Some(8)), page(8, None)]);
        assert_eq!(relation.ranges(400, true).len(), 1);
    }
}
