//! Which chunks a table is read in.
//!
//! A chunk is bounded by rows and by bytes, whichever is reached first, and rows are anything but alike: keys have gaps
//! and skew, and one part of a table may be a thousand times as wide as another. So a table is first cut into *slices*,
//! many for each chunk, of which the width of some rows is measured; slices that hold too much are cut again; and
//! neighbours are put together until a chunk is full.
//!
//! A table with a key is cut at every n-th key, in the key's own order and exactly: one pass over the key's index counts
//! the rows, so that gaps, negative numbers, uuids and composite keys make no difference. One that is so small that it is
//! surely one chunk is not looked at any closer. A table without a key is cut at pages, per relation that holds rows (a
//! partitioned table itself holds none). A page is the least that is cut there.

use millrace_model::comparison::KeyRange;
use millrace_model::{Column, Failure, IndexKind, Table};
use millrace_rowcopy::port::{Chunk, ChunkPart};

use super::select::{Wire, where_range, wire};
use super::session::{command, text_rows};
use super::{Postgres, Snapshot, snapshot};
use crate::dialect::postgres::{quote_name, quote_table, quote_text};
use crate::lease::Lease;

/// From here on, PostgreSQL reads a range of pages without reading the others.
const PAGE_RANGES_SINCE: u32 = 140_000;

/// Rows of a page that has never been counted.
const ROWS_PER_PAGE: f64 = 60.0;

/// Slices for each chunk: a chunk is full to a sixteenth.
const SLICES_PER_CHUNK: u64 = 16;

/// Slices of a table at first. A table of so many is large, and its chunks become less even.
const SLICES_AT_MOST: u64 = 50_000;

/// Rows of a slice that are measured: enough that a few wide ones among many are not missed.
const MEASURED_ROWS: u64 = 64;

/// A row takes no fewer bytes of a page, its header and its place in the page included.
const LEAST_ROW_BYTES: u64 = 28;

/// Stored values are hardly ever compressed further than to a hundredth of what they are over the wire.
const COMPRESSED_AT_MOST: u64 = 100;

/// How large chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutting {
    /// Rows, at most.
    pub rows: u64,
    /// Bytes, at most, about: as the values come over the wire, where that is known without reading them. None: however
    /// many.
    pub bytes: Option<u64>,
    /// The table's first rows only, about so many. None: all.
    pub first_rows: Option<u64>,
}

impl Cutting {
    /// By rows alone.
    pub fn by_rows(rows: u64) -> Self {
        Self { rows: rows.max(1), bytes: None, first_rows: None }
    }

    /// How many rows make a chunk where they are so wide.
    fn rows_of(&self, row_bytes: u64) -> u64 {
        self.bytes.map_or(self.rows, |bytes| self.rows.min(bytes / row_bytes.max(1))).max(1)
    }

    /// Whether a table that takes so many bytes is surely one chunk. A table without any may hold its rows elsewhere.
    fn takes_whole(&self, stored_bytes: u64) -> bool {
        stored_bytes > 0
            && self.first_rows.is_none()
            && stored_bytes / LEAST_ROW_BYTES < self.rows
            && self.bytes.is_none_or(|most| stored_bytes.saturating_mul(COMPRESSED_AT_MOST) <= most)
    }

    fn is_full(&self, rows: u64, bytes: u64) -> bool {
        rows > self.rows || self.bytes.is_some_and(|most| bytes > most)
    }

    /// Whether a slice is too coarse to make even chunks.
    fn is_coarse(&self, slice_bytes: u64) -> bool {
        self.bytes.is_some_and(|most| slice_bytes > most / 4)
    }
}

/// Neighbouring rows, the first of which is at `begin`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slice<T> {
    begin: T,
    rows: u64,
    /// Bytes of each of the rows that were measured, in the mean.
    width: u64,
    bytes: u64,
}

/// Rows between two measured places are taken to be as wide as the mean of both: where narrow rows become wide ones,
/// neither alone tells. `after`: how wide rows are behind the last slice.
fn weighed<T>(mut slices: Vec<Slice<T>>, after: Option<u64>) -> Vec<Slice<T>> {
    let next: Vec<Option<u64>> = slices.iter().skip(1).map(|slice| Some(slice.width)).chain([after]).collect();
    for (slice, next) in slices.iter_mut().zip(next) {
        let width = u64::midpoint(slice.width, next.unwrap_or(slice.width));
        slice.bytes = width.saturating_mul(slice.rows);
    }
    slices
}

/// Puts neighbours together until a chunk is full: where each chunk begins, and its rows. A slice that is too large alone
/// is a chunk of its own.
fn gathered<T: Clone>(slices: &[Slice<T>], cutting: &Cutting) -> Vec<Slice<T>> {
    let mut chunks: Vec<Slice<T>> = Vec::new();
    for slice in slices {
        match chunks.last_mut() {
            Some(chunk) if !cutting.is_full(chunk.rows + slice.rows, chunk.bytes + slice.bytes) => {
                chunk.rows += slice.rows;
                chunk.bytes += slice.bytes;
            }
            _ => chunks.push(slice.clone()),
        }
    }
    chunks
}

pub(super) async fn chunks(
    database: &Postgres,
    snapshot: &Snapshot,
    table: &Table,
    cutting: &Cutting,
) -> Result<Vec<Chunk>, Failure> {
    let key = table.key_columns();
    let mut connection = database.acquire().await?;
    let doing = format!("plan the chunks of {}", table.name);
    let failure = |e| database.place.failure(&doing, &e).with("table", table.name.to_string());
    if !key.is_empty() && cutting.takes_whole(table.estimated_bytes) {
        let size = text_rows(&mut connection, size_sql(table), failure).await?;
        if cutting.takes_whole(size.first().and_then(|row| row.first()?.as_deref()?.parse().ok()).unwrap_or(0)) {
            connection.give_back();
            let part = ChunkPart::Keys(KeyRange { lower: None, upper: None });
            return Ok(vec![Chunk { number: 0, part, estimated_rows: table.estimated_rows.max(1) }]);
        }
    }
    snapshot::begin(database, &mut connection, snapshot).await?;
    let mut cutter = Cutter { database, table, key: &key, cutting, connection: &mut connection };
    let parts = if key.is_empty() { cutter.page_ranges().await? } else { cutter.key_ranges().await? };
    command(&mut connection, "ROLLBACK").await.map_err(failure)?;
    connection.give_back();
    Ok((0..).zip(parts).map(|(number, (part, estimated_rows))| Chunk { number, part, estimated_rows }).collect())
}

/// A key's values, as the server prints them.
type Key = Vec<String>;

/// Cuts one table, on a connection that sees the run's snapshot.
struct Cutter<'a> {
    database: &'a Postgres,
    table: &'a Table,
    key: &'a [String],
    cutting: &'a Cutting,
    connection: &'a mut Lease<sqlx::Postgres>,
}

impl Cutter<'_> {
    async fn rows(&mut self, statement: String) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let doing = format!("plan the chunks of {}", self.table.name);
        let (place, table) = (&self.database.place, self.table.name.to_string());
        text_rows(self.connection, statement, |e| place.failure(&doing, &e).with("table", table.clone())).await
    }

    /// By the catalog's estimate; 1 where there is none.
    fn row_bytes(&self) -> u64 {
        self.table.estimated_bytes.checked_div(self.table.estimated_rows).unwrap_or(0).max(1)
    }

    async fn key_ranges(&mut self) -> Result<Vec<(ChunkPart, u64)>, Failure> {
        let end = match self.cutting.first_rows {
            Some(first_rows) => self.key_after(first_rows).await?,
            None => None,
        };
        let whole = KeyRange { lower: None, upper: end.clone() };
        // The order of an index that runs backwards is not that of a comparison of rows: nothing is measured then.
        let measures = self.cutting.bytes.is_some() && !runs_backwards(self.table);
        let mut slices = if measures {
            let at_least = self.table.estimated_rows / SLICES_AT_MOST;
            let step = (self.cutting.rows_of(self.row_bytes()) / SLICES_PER_CHUNK).max(at_least).max(1);
            let slices = self.measured_slices(&whole, step, None).await?;
            self.cut_again(&whole, slices, step).await?
        } else {
            let step =
                if self.cutting.bytes.is_some() { self.cutting.rows_of(self.row_bytes()) } else { self.cutting.rows };
            self.slices(&whole, step).await?
        };
        // Of the last slice only the table's estimate says something.
        let counted: u64 = slices.iter().rev().skip(1).map(|slice| slice.rows).sum();
        if let Some(last) = slices.last_mut() {
            let all =
                self.cutting.first_rows.map_or(self.table.estimated_rows, |most| most.min(self.table.estimated_rows));
            last.rows = all.saturating_sub(counted).clamp(1, last.rows);
        }
        Ok(key_ranges(&gathered(&slices, self.cutting), end))
    }

    /// The key of the row that comes after so many. None: there are no more.
    async fn key_after(&mut self, rows: u64) -> Result<Option<Key>, Failure> {
        let columns = list(self.key);
        let table = quote_table(&self.table.name);
        let statement = format!("SELECT {columns} FROM {table} ORDER BY {columns} OFFSET {rows} LIMIT 1");
        Ok(self.rows(statement).await?.pop().map(texts))
    }

    /// Every n-th key of a range, from the first on.
    async fn slices(&mut self, range: &KeyRange, step: u64) -> Result<Vec<Slice<Key>>, Failure> {
        let statement = format!(
            "SELECT {} FROM {} ORDER BY millrace_row",
            list(self.key),
            every_nth(self.table, self.key, range, step)
        );
        let rows = self.rows(statement).await?;
        Ok(rows.into_iter().map(|row| Slice { begin: texts(row), rows: step, width: 0, bytes: 0 }).collect())
    }

    /// As [`Cutter::slices`], with their bytes by those of their first rows.
    /// `after`: how wide rows are behind the range.
    async fn measured_slices(
        &mut self,
        range: &KeyRange,
        step: u64,
        after: Option<u64>,
    ) -> Result<Vec<Slice<Key>>, Failure> {
        let rows = self.rows(measured_sql(self.table, self.key, range, step)).await?;
        let slice = |mut row: Vec<Option<String>>| {
            let width = row.pop().flatten().and_then(|text| text.parse().ok()).unwrap_or(0);
            Slice { begin: texts(row), rows: step, width, bytes: 0 }
        };
        Ok(weighed(rows.into_iter().map(slice).collect(), after))
    }

    /// Cuts what is too coarse more finely: all of it where the catalog's estimate was far off, else slice by slice.
    async fn cut_again(
        &mut self,
        whole: &KeyRange,
        mut slices: Vec<Slice<Key>>,
        step: u64,
    ) -> Result<Vec<Slice<Key>>, Failure> {
        let most = self.cutting.bytes.unwrap_or(u64::MAX);
        let mean = slices.iter().map(|slice| slice.bytes).sum::<u64>() / (slices.len() as u64).max(1);
        if self.cutting.is_coarse(mean) && step > 1 && (slices.len() as u64) < SLICES_AT_MOST / 4 {
            let finer = finer(step, mean, most);
            slices = self.measured_slices(whole, finer, None).await?;
        }
        // Twice: what is found within a slice need not be what its ends looked like.
        for _ in 0..2 {
            let mut fine = Vec::with_capacity(slices.len());
            let mut is_settled = true;
            let next: Vec<(Option<Key>, Option<u64>)> = slices
                .iter()
                .skip(1)
                .map(|slice| (Some(slice.begin.clone()), Some(slice.width)))
                .chain([(whole.upper.clone(), None)])
                .collect();
            for (slice, (end, after)) in slices.into_iter().zip(next) {
                if slice.rows > 1 && self.cutting.is_coarse(slice.bytes) {
                    is_settled = false;
                    let range = KeyRange { lower: Some(slice.begin), upper: end };
                    let step = finer(slice.rows, slice.bytes, most);
                    fine.extend(self.measured_slices(&range, step, after).await?);
                } else {
                    fine.push(slice);
                }
            }
            slices = fine;
            if is_settled {
                break;
            }
        }
        Ok(slices)
    }

    async fn page_ranges(&mut self) -> Result<Vec<(ChunkPart, u64)>, Failure> {
        let rows = self.rows(relations_sql(self.table)).await?;
        let mut relations: Vec<Relation> = rows.iter().filter_map(|row| Relation::read(row)).collect();
        if let Some(first_rows) = self.cutting.first_rows {
            first_pages(&mut relations, first_rows);
        }
        let whole_relations = self.database.version_number() < PAGE_RANGES_SINCE;
        let pages: u64 = relations.iter().map(|relation| relation.pages).sum();
        let page_bytes = self.table.estimated_bytes.checked_div(pages).unwrap_or(0).max(1);
        let mut ranges = Vec::new();
        for relation in &relations {
            if whole_relations || relation.is_foreign || self.cutting.bytes.is_none() {
                ranges.extend(relation.ranges(self.cutting.rows, whole_relations));
            } else {
                ranges.extend(self.measured_ranges(relation, page_bytes).await?);
            }
        }
        Ok(ranges)
    }

    /// Page ranges of one relation, by the rows and bytes of pages here and there.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // estimates
    async fn measured_ranges(
        &mut self,
        relation: &Relation,
        page_bytes: u64,
    ) -> Result<Vec<(ChunkPart, u64)>, Failure> {
        let by_rows = (self.cutting.rows as f64 / relation.rows_per_page) as u64;
        let by_bytes = self.cutting.bytes.unwrap_or(u64::MAX) / page_bytes;
        let at_least = relation.pages / SLICES_AT_MOST;
        let mut step = (by_rows.min(by_bytes) / SLICES_PER_CHUNK).max(at_least).max(1);
        let mut slices = self.page_slices(relation, step).await?;
        let mean = slices.iter().map(|slice| slice.bytes).sum::<u64>() / (slices.len() as u64).max(1);
        if self.cutting.is_coarse(mean) && step > 1 {
            step = finer(step, mean, self.cutting.bytes.unwrap_or(u64::MAX)).max(at_least).max(1);
            slices = self.page_slices(relation, step).await?;
        }
        let chunks = gathered(&slices, self.cutting);
        // The last range is open, unless only the first rows are wanted.
        let end = if self.cutting.first_rows.is_some() { u32::try_from(relation.pages).ok() } else { None };
        let ends = chunks.iter().skip(1).map(|chunk| Some(chunk.begin)).chain([end]);
        let ranges: Vec<_> = chunks
            .iter()
            .zip(ends)
            .map(|(chunk, to)| {
                (ChunkPart::Pages { relation: relation.name.clone(), from: chunk.begin, to }, chunk.rows)
            })
            .collect();
        if ranges.is_empty() { Ok(relation.ranges(self.cutting.rows, false)) } else { Ok(ranges) }
    }

    /// Every n-th page, measured.
    async fn page_slices(&mut self, relation: &Relation, step: u64) -> Result<Vec<Slice<u32>>, Failure> {
        let rows = self.rows(pages_sql(self.table, relation, step)).await?;
        let number = |cell: &Option<String>| cell.as_deref().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Ok(rows
            .iter()
            .filter_map(|row| {
                let [page, rows, bytes] = row.as_slice() else { return None };
                let begin = u32::try_from(number(page)).ok()?;
                let pages = step.min(relation.pages.saturating_sub(u64::from(begin))).max(1);
                let width = number(bytes);
                Some(Slice { begin, rows: number(rows) * pages, width, bytes: width * pages })
            })
            .collect())
    }
}

/// A step with which slices of these bytes become a sixteenth of a chunk.
fn finer(step: u64, slice_bytes: u64, chunk_bytes: u64) -> u64 {
    let share = u128::from(step) * u128::from(chunk_bytes / SLICES_PER_CHUNK) / u128::from(slice_bytes.max(1));
    u64::try_from(share).unwrap_or(step).clamp(1, step.max(1))
}

fn texts(row: Vec<Option<String>>) -> Key {
    row.into_iter().map(Option::unwrap_or_default).collect()
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| quote_name(name)).collect::<Vec<_>>().join(", ")
}

fn runs_backwards(table: &Table) -> bool {
    let keys = table.indexes.iter().filter(|i| matches!(i.kind, IndexKind::Primary | IndexKind::Unique));
    keys.flat_map(|index| &index.parts).any(|part| part.descending)
}

/// Every n-th key of a range, from the first on, with its number: as a subquery.
fn every_nth(table: &Table, key: &[String], range: &KeyRange, step: u64) -> String {
    let columns = list(key);
    format!(
        "(SELECT {columns}, millrace_row FROM (SELECT {columns}, row_number() OVER (ORDER BY {columns}) AS millrace_row \
         FROM {}{}) AS numbered WHERE (millrace_row - 1) % {step} = 0) AS k",
        quote_table(&table.name),
        where_range(key, range)
    )
}

/// As above, with the mean bytes of the rows that begin there.
fn measured_sql(table: &Table, key: &[String], range: &KeyRange, step: u64) -> String {
    let of =
        |alias: &str| key.iter().map(|name| format!("{alias}.{}", quote_name(name))).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT {}, measured.bytes FROM {}, LATERAL (SELECT coalesce(avg(w.bytes), 0)::int8 AS bytes FROM \
         (SELECT {} AS bytes FROM {} AS t WHERE ({}) >= ({}) ORDER BY {} LIMIT {}) AS w) AS measured \
         ORDER BY k.millrace_row",
        of("k"),
        every_nth(table, key, range, step),
        width(table),
        quote_table(&table.name),
        of("t"),
        of("k"),
        of("t"),
        step.min(MEASURED_ROWS)
    )
}

/// Rows and bytes of every n-th page of a relation.
fn pages_sql(table: &Table, relation: &Relation, step: u64) -> String {
    format!(
        "SELECT p.page, m.rows, m.bytes FROM generate_series(0::int8, {}, {step}) AS p(page), LATERAL \
         (SELECT count(*) AS rows, coalesce(sum({}), 0)::int8 AS bytes FROM ONLY {} AS t \
         WHERE t.ctid >= ('(' || p.page || ',0)')::tid AND t.ctid < ('(' || p.page + 1 || ',0)')::tid) AS m \
         ORDER BY p.page",
        relation.pages.saturating_sub(1),
        width(table),
        relation.name
    )
}

/// Bytes of a row on the wire. Of texts and bytes the length is known without reading what is stored aside; of other
/// values that vary, what they take where they are stored.
fn width(table: &Table) -> String {
    let each = |column: &Column| {
        let name = format!("t.{}", quote_name(&column.name));
        match (wire(column), column.logical.name.as_str()) {
            (Wire::Bool, _) => "5".to_owned(),
            (Wire::Int2, _) => "6".to_owned(),
            (Wire::Int4 | Wire::Float4 | Wire::Date, _) => "8".to_owned(),
            (Wire::Int8 | Wire::Float8 | Wire::Time | Wire::Timestamp, _) => "12".to_owned(),
            (Wire::Uuid, _) => "20".to_owned(),
            (Wire::Bytes, "text" | "bytes") => format!("4 + coalesce(octet_length({name}), 0)"),
            (Wire::Numeric | Wire::Bytes, _) => format!("4 + coalesce(pg_catalog.pg_column_size({name}), 0)"),
        }
    };
    let widths: Vec<String> = table.columns.iter().map(each).collect();
    if widths.is_empty() { "2".to_owned() } else { format!("(2 + {})", widths.join(" + ")) }
}

/// Of a table that is so many times larger than what is drawn, only pages are looked at that were drawn first.
const DRAWN_BY_PAGES_FROM: u64 = 100;

/// Rows on the pages that are drawn, for each row that is wanted of them.
const ROWS_DRAWN_FROM: u64 = 20;

/// Keys in the order of a hash that the seed decides; of a large table, those on pages that the seed decides.
pub(super) async fn draw_keys(
    database: &Postgres,
    snapshot: &Snapshot,
    table: &Table,
    count: u32,
    seed: u64,
) -> Result<Vec<Vec<String>>, Failure> {
    if table.estimated_rows / DRAWN_BY_PAGES_FROM > u64::from(count) {
        let per_million = u64::from(count) * ROWS_DRAWN_FROM * 1_000_000 / table.estimated_rows;
        let pages =
            format!(" TABLESAMPLE SYSTEM ({}.{:04}) REPEATABLE ({seed})", per_million / 10_000, per_million % 10_000);
        // Too few where the estimate is wrong, none where the table is another server's.
        match draw(database, snapshot, table, &pages, count, seed).await {
            Ok(keys) if keys.len() == count as usize => return Ok(keys),
            _ => {}
        }
    }
    draw(database, snapshot, table, "", count, seed).await
}

async fn draw(
    database: &Postgres,
    snapshot: &Snapshot,
    table: &Table,
    pages: &str,
    count: u32,
    seed: u64,
) -> Result<Vec<Vec<String>>, Failure> {
    let columns: Vec<String> = table.key_columns().iter().map(|name| quote_name(name)).collect();
    let columns = columns.join(", ");
    let statement = format!(
        "SELECT {columns} FROM {}{pages} ORDER BY pg_catalog.hashtextextended(ROW({columns})::text, {}), {columns} LIMIT {count}",
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

/// The ranges of chunks that begin at these keys. The first begins wherever the table does, the last ends at `end`.
fn key_ranges(chunks: &[Slice<Key>], end: Option<Key>) -> Vec<(ChunkPart, u64)> {
    if chunks.is_empty() {
        return vec![(ChunkPart::Keys(KeyRange { lower: None, upper: end }), 1)];
    }
    let lowers = std::iter::once(None).chain(chunks.iter().skip(1).map(|chunk| Some(chunk.begin.clone())));
    let uppers = chunks.iter().skip(1).map(|chunk| Some(chunk.begin.clone())).chain([end]);
    chunks
        .iter()
        .zip(lowers.zip(uppers))
        .map(|(chunk, (lower, upper))| (ChunkPart::Keys(KeyRange { lower, upper }), chunk.rows))
        .collect()
}

/// Leaves the relations' first pages, with about so many rows together.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // estimates
fn first_pages(relations: &mut Vec<Relation>, rows: u64) {
    let mut left = rows as f64;
    relations.retain_mut(|relation| {
        let wanted = (left / relation.rows_per_page).ceil().max(0.0) as u64;
        relation.pages = relation.pages.min(wanted);
        left -= relation.pages as f64 * relation.rows_per_page;
        relation.pages > 0
    });
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

/// The bytes that a table takes now; 0 where others hold rows of it.
fn size_sql(table: &Table) -> String {
    format!(
        "SELECT CASE WHEN c.relhassubclass THEN 0 ELSE pg_catalog.pg_table_size(c.oid) END \
         FROM pg_catalog.pg_class c WHERE c.oid = {}::regclass",
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

    fn slice(begin: u32, rows: u64, bytes: u64) -> Slice<u32> {
        Slice { begin, rows, width: 0, bytes }
    }

    #[test]
    fn key_ranges_meet_and_are_open_at_both_ends() {
        let key = |text: &str| vec![text.to_owned()];
        let chunks = ["1", "5", "9"].map(|begin| Slice { begin: key(begin), rows: 4, width: 0, bytes: 0 });
        let ranges = key_ranges(&chunks, None);
        let bounds: Vec<_> = ranges.iter().map(|(part, _)| part.key_range()).collect();
        assert_eq!(bounds.len(), 3);
        assert_eq!(bounds[0], KeyRange { lower: None, upper: Some(vec!["5".into()]) });
        assert_eq!(bounds[1], KeyRange { lower: Some(vec!["5".into()]), upper: Some(vec!["9".into()]) });
        assert_eq!(bounds[2], KeyRange { lower: Some(vec!["9".into()]), upper: None });
        assert_eq!(key_ranges(&[], None).len(), 1, "an empty table has one chunk");
        let first = key_ranges(&chunks[..1], Some(key("4")));
        assert_eq!(first[0].0.key_range(), KeyRange { lower: None, upper: Some(key("4")) });
    }

    #[test]
    fn only_a_table_that_is_surely_one_chunk_is_taken_whole() {
        let cutting = Cutting { rows: 1_000, bytes: Some(16 << 20), first_rows: None };
        assert!(cutting.takes_whole(8_192));
        assert!(!cutting.takes_whole(0), "its rows may be in partitions");
        assert!(!cutting.takes_whole(28_000), "a thousand of the smallest rows");
        assert!(!Cutting { bytes: Some(800_000), ..cutting }.takes_whole(8_192), "values may be compressed");
        assert!(!Cutting { first_rows: Some(10), ..cutting }.takes_whole(8_192));
        assert!(Cutting::by_rows(1_000).takes_whole(8_192));
    }

    #[test]
    fn chunks_are_full_by_rows_or_by_bytes() {
        let cutting = Cutting { rows: 10, bytes: Some(100), first_rows: None };
        let narrow: Vec<_> = (0..6).map(|n| slice(n, 5, 10)).collect();
        assert_eq!(gathered(&narrow, &cutting), [slice(0, 10, 20), slice(2, 10, 20), slice(4, 10, 20)]);
        let wide = [slice(0, 1, 60), slice(1, 1, 50), slice(2, 1, 50), slice(3, 1, 900), slice(4, 1, 1)];
        assert_eq!(gathered(&wide, &cutting), [slice(0, 1, 60), slice(1, 2, 100), slice(3, 1, 900), slice(4, 1, 1)]);
    }

    #[test]
    fn a_slice_in_which_rows_become_wide_weighs_more_than_its_first_rows() {
        let at = |begin, width| Slice { begin, rows: 10, width, bytes: 0 };
        let bytes = |after| -> Vec<u64> {
            weighed(vec![at(0, 2), at(1, 2), at(2, 100)], after).into_iter().map(|slice| slice.bytes).collect()
        };
        assert_eq!(bytes(None), [20, 510, 1_000]);
        assert_eq!(bytes(Some(0)), [20, 510, 500]);
    }

    #[test]
    fn slices_become_finer_in_proportion() {
        assert_eq!(finer(1_000, 1 << 30, 16 << 20), 1, "a sixteenth of a chunk is a mebibyte");
        assert_eq!(finer(1_000, 4 << 20, 16 << 20), 250);
        assert_eq!(finer(10, 0, 16 << 20), 10);
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
