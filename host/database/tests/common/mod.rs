//! Tables and copies that the tests share.
#![allow(clippy::unwrap_used, dead_code)] // no test uses all of it

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_columnar::{Batch, RowHasher};
use millrace_database::comparison::CopiedChunk;
use millrace_database::mysql::{Bookkeeping, MySql};
use millrace_database::postgres::{Postgres, Snapshot};
use millrace_model::comparison::Digest;
use millrace_model::{
    Cancel, Column, Failure, Index, IndexKind, IndexPart, Layout, LogicalType, Mapping, Properties, Table, TableName,
};
use millrace_rowcopy::HashedBatch;
use millrace_rowcopy::port::{BatchConverter, Chunk, ChunkRecord, Converted, Lane, RowSink, RowSource};
use millrace_rowcopy::table::canonical_kinds;
use millrace_test_engines::{Database, oceanbase, postgres18};

/// A fresh database on both sides.
pub(crate) struct Sides {
    pub(crate) source_database: Database,
    pub(crate) target_database: Database,
    pub(crate) source: Postgres,
    pub(crate) target: MySql,
}

pub(crate) async fn sides(name: &str) -> Sides {
    let source_database = postgres18().fresh_database(name).await.expect("a source");
    let target_database = oceanbase().fresh_database(name).await.expect("a target");
    let source = Postgres::connect(&source_database.url.clone().into(), "source", Cancel::new()).await;
    let target = MySql::connect(&target_database.url.clone().into(), "target", Cancel::new()).await;
    Sides { source_database, target_database, source: source.expect("opens"), target: target.expect("opens") }
}

/// Waits until a query of a number gives more than none.
pub(crate) async fn until(database: &Database, query: &str) {
    let began = Instant::now();
    let is_none = |rows: Vec<Vec<Option<String>>>| rows.into_iter().flatten().flatten().all(|number| number == "0");
    while is_none(database.query_text(query).await.expect("a number")) {
        assert!(began.elapsed() < Duration::from_secs(30), "never came true: {query}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn column(name: &str, logical: &str, layout: Layout, declared: &str) -> Column {
    Column {
        name: name.into(),
        declared: declared.into(),
        logical: LogicalType::new(logical, layout),
        nullable: true,
        ..Column::default()
    }
}

pub(crate) fn table(name: TableName, columns: Vec<Column>, key: &[&str]) -> Table {
    let part = |name: &&str| IndexPart { expression: (*name).into(), is_column: true, descending: false, prefix: None };
    let primary = Index {
        name: "PRIMARY".into(),
        kind: IndexKind::Primary,
        method: "btree".into(),
        parts: key.iter().map(part).collect(),
        predicate: None,
        properties: Properties::new(),
    };
    let indexes = if key.is_empty() { Vec::new() } else { vec![primary] };
    let columns =
        columns.into_iter().map(|column| Column { nullable: !key.contains(&column.name.as_str()), ..column }).collect();
    Table { name, columns, indexes, ..Table::default() }
}

/// Gives columns over as they are.
pub(crate) struct Unchanged;

impl BatchConverter for Unchanged {
    fn convert(&mut self, batch: Batch) -> Result<Converted, Failure> {
        Ok(Converted { batch, rejects: Vec::new() })
    }
}

pub(crate) fn unchanged_mappings(source: &Table, target: &Table) -> Vec<Mapping> {
    source
        .columns
        .iter()
        .zip(&target.columns)
        .map(|(from, to)| Mapping {
            sources: vec![from.name.clone()],
            targets: vec![to.clone()],
            converts: false,
            note: None,
        })
        .collect()
}

/// What a run writes to, and as whom.
pub(crate) struct Writing<'a> {
    pub(crate) sides: &'a Sides,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) books: &'a Bookkeeping,
    pub(crate) run: &'a str,
}

/// Copies all chunks, one after the other.
pub(crate) async fn copy(
    writing: &Writing<'_>,
    source: &Table,
    target: &Table,
    rows_per_chunk: u64,
) -> Vec<CopiedChunk> {
    let Writing { sides, snapshot, books, run } = writing;
    let chunks = sides.source.chunks(snapshot, source, rows_per_chunk).await.expect("chunks");
    let rows = sides.source.row_source(snapshot, source).expect("a source");
    let key = source.key_columns();
    let sink = sides.target.row_sink(books, run, &target.name, &target.columns, &key, snapshot.marker());
    let copying = move || {
        let all = chunks.into_iter().map(|chunk| {
            let record = copy_chunk(&rows, &sink, &chunk).expect("copied");
            CopiedChunk { chunk, record: Some(record) }
        });
        all.collect()
    };
    tokio::task::spawn_blocking(copying).await.expect("no panic")
}

pub(crate) fn copy_chunk(
    source: &Arc<dyn RowSource>,
    sink: &Arc<dyn RowSink>,
    chunk: &Chunk,
) -> Result<ChunkRecord, Failure> {
    let mut hasher = RowHasher::new(canonical_kinds(sink.columns()));
    let mut record = ChunkRecord { digest: Digest::default(), ..ChunkRecord::default() };
    let mut reader = source.open(chunk, &Lane::default())?;
    let mut transaction = sink.begin(chunk, &Lane::default())?;
    while let Some(batch) = reader.next(8192, 8 << 20)? {
        record.bytes += batch.memory_bytes() as u64;
        let hashed = HashedBatch::new(batch, &mut hasher);
        record.digest.add(hashed.digest());
        transaction.write(&hashed)?;
    }
    transaction.commit(record)
}
