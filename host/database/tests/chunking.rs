//! Chunks are about as large as they were asked to be, whatever the key and however the rows' widths vary, and together
//! hold every row once.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::column;
use millrace_columnar::Batch;
use millrace_database::postgres::{Cutting, Postgres};
use millrace_model::{Cancel, Column, Layout, Table, TableName};
use millrace_rowcopy::port::{Chunk, ChunkPart, Lane};
use millrace_test_engines::{Database, postgres18};

const ROWS: u64 = 20_000;

async fn open(script: &str) -> (Database, Postgres) {
    let database = postgres18().fresh_database("cut").await.unwrap();
    database.run_sql(script).await.unwrap();
    let source = Postgres::connect(&database.url.clone().into(), "source", Cancel::new()).await.unwrap();
    (database, source)
}

/// Rows and bytes of a chunk, as they are read.
fn measured(batches: &[Batch]) -> (u64, u64) {
    let rows = batches.iter().map(|batch| batch.rows as u64).sum();
    (rows, batches.iter().map(|batch| batch.memory_bytes() as u64).sum())
}

/// Cuts a table and reads each chunk: its rows and bytes.
async fn cut(source: &Postgres, table: &Table, cutting: Cutting) -> Vec<(Chunk, u64, u64)> {
    let snapshot = source.snapshot().await.unwrap();
    let chunks = source.cut(&snapshot, table, &cutting).await.unwrap();
    let rows = source.row_source(&snapshot, table).unwrap();
    let reading = move || {
        let read = |chunk: Chunk| {
            let mut reader = rows.open(&chunk, &Lane::default()).unwrap();
            let batches: Vec<Batch> = std::iter::from_fn(|| reader.next(8192, 8 << 20).unwrap()).collect();
            let (rows, bytes) = measured(&batches);
            (chunk, rows, bytes)
        };
        chunks.into_iter().map(read).collect()
    };
    tokio::task::spawn_blocking(reading).await.unwrap()
}

/// No chunk is much larger than was asked for, and, but for the last one and where one row is enough, none much smaller.
fn check(what: &str, chunks: &[(Chunk, u64, u64)], cutting: Cutting, rows: u64) {
    assert_eq!(
        chunks.iter().map(|(_, rows, _)| rows).sum::<u64>(),
        rows,
        "{what}: every row is in a chunk, and in one"
    );
    let most_bytes = cutting.bytes.unwrap();
    for (chunk, rows, bytes) in chunks {
        // Rows of pages are estimated, by those of other pages; rows of a key's range are counted.
        let most = if table_has_key(chunk) { cutting.rows } else { cutting.rows + cutting.rows / 10 };
        assert!(*rows <= most, "{what}: {rows} rows in {chunk:?}");
        assert!(*bytes <= most_bytes + most_bytes / 2 || *rows == 1, "{what}: {bytes} bytes in {chunk:?}");
    }
    let before_last = chunks.len() - 1;
    let small = |(_, rows, bytes): &&(Chunk, u64, u64)| *rows < cutting.rows / 3 && *bytes < most_bytes / 3;
    let small = chunks[..before_last].iter().filter(small).count();
    assert!(small * 10 <= chunks.len(), "{what}: {small} of {} chunks are small", chunks.len());
}

fn table_has_key(chunk: &Chunk) -> bool {
    matches!(chunk.part, ChunkPart::Keys(_))
}

/// Name, logical type, layout, and type as it is declared.
type KeyColumn = (&'static str, &'static str, Layout, &'static str);

fn table(name: &str, key: &[KeyColumn]) -> Table {
    let mut columns: Vec<Column> =
        key.iter().map(|(name, logical, layout, sql)| column(name, logical, *layout, sql)).collect();
    columns.push(column("body", "text", Layout::Varlen, "text"));
    let names: Vec<&str> = key.iter().map(|(name, ..)| *name).collect();
    let table = common::table(TableName::new("public", name), columns, &names);
    // The catalog is often wrong; chunks are even nevertheless.
    Table { estimated_rows: ROWS, estimated_bytes: ROWS * 50, ..table }
}

/// A table with this key, every thousand rows of which have a part that is a hundred times as wide.
fn script(name: &str, key_columns: &str, key: &str, values: &str) -> String {
    format!(
        "CREATE TABLE {name} ({key_columns}, body text, PRIMARY KEY ({key}));
         INSERT INTO {name} SELECT {values}, repeat('x', CASE WHEN n % 4000 < 300 THEN 20000 ELSE n % 200 END)
         FROM generate_series(1, {ROWS}) AS n;"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_even_for_every_kind_of_key() {
    use Layout::{Fixed, Int32, Int64, Varlen};
    let integer = |name: &'static str| (name, "integer", Int64, "bigint");
    let kinds: [(&str, &str, &str, &str, Vec<KeyColumn>); 9] = [
        ("plain", "id bigint", "id", "n", vec![integer("id")]),
        ("negative", "id bigint", "id", "n - 10000", vec![integer("id")]),
        ("gaps", "id bigint", "id", "n + (n / 100)::int8 * 1000000007", vec![integer("id")]),
        ("skewed", "id bigint", "id", "CASE WHEN n < 19000 THEN n ELSE n::int8 * n * 1000 END", vec![integer("id")]),
        ("words", "id text", "id", "'k' || md5(n::text)", vec![("id", "text", Varlen, "text")]),
        ("tokens", "id uuid", "id", "md5(n::text)::uuid", vec![("id", "uuid", Fixed, "uuid")]),
        ("amounts", "id numeric", "id", "n / 7.0 - 1000", vec![("id", "decimal", Varlen, "numeric")]),
        (
            "instants",
            "id timestamptz",
            "id",
            "timestamptz '2024-01-01' + n::int8 * n * interval '1 millisecond'",
            vec![("id", "timestamp-tz", Int64, "timestamptz")],
        ),
        (
            "pairs",
            "a integer, b text",
            "a, b",
            "n % 7, 'b' || n",
            vec![("a", "integer", Int32, "integer"), ("b", "text", Varlen, "text")],
        ),
    ];
    let scripts: Vec<String> =
        kinds.iter().map(|(name, columns, key, values, _)| script(name, columns, key, values)).collect();
    let (_database, source) = open(&scripts.concat()).await;
    let cutting = Cutting { rows: 1_500, bytes: Some(1 << 20), first_rows: None };
    for (name, _, _, _, key) in &kinds {
        let chunks = cut(&source, &table(name, key), cutting).await;
        check(name, &chunks, cutting, ROWS);
        assert!(chunks.iter().enumerate().all(|(at, (chunk, ..))| chunk.number == at as u64));
        if ["words", "tokens", "pairs"].contains(name) {
            // In the order of the key wide rows are everywhere.
            continue;
        }
        assert!(chunks.iter().any(|(_, rows, _)| *rows < 100), "{name}: no chunk is small for its wide rows");
        assert!(chunks.iter().any(|(_, rows, _)| *rows > 1_000), "{name}: no chunk is long for its narrow rows");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_without_a_key_and_their_partitions_are_cut_at_pages() {
    let bodies = format!(
        "SELECT n, repeat(md5(n::text), CASE WHEN n BETWEEN 5000 AND 5500 THEN 40 ELSE 3 END)
         FROM generate_series(1, {ROWS}) AS n"
    );
    let script = format!(
        "CREATE TABLE heap (id bigint, body text); INSERT INTO heap {bodies};
         CREATE TABLE parted (id bigint, body text) PARTITION BY RANGE (id);
         CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (4000);
         CREATE TABLE parted_b PARTITION OF parted FOR VALUES FROM (4000) TO (MAXVALUE);
         INSERT INTO parted {bodies}; ANALYZE;"
    );
    let (_database, source) = open(&script).await;
    let cutting = Cutting { rows: 2_000, bytes: Some(256 << 10), first_rows: None };
    for name in ["heap", "parted"] {
        let mut table = table(name, &[("id", "integer", Layout::Int64, "bigint")]);
        table.indexes.clear();
        let chunks = cut(&source, &table, cutting).await;
        let relations: std::collections::BTreeSet<String> = chunks
            .iter()
            .map(|(chunk, ..)| match &chunk.part {
                ChunkPart::Pages { relation, .. } => relation.clone(),
                ChunkPart::Keys(range) => panic!("{name} has no key, and is cut at {range:?}"),
            })
            .collect();
        assert_eq!(relations.len(), if name == "heap" { 1 } else { 2 }, "{relations:?}");
        check(name, &chunks, cutting, ROWS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_with_a_key_are_cut_across() {
    let script = format!(
        "CREATE TABLE parted (id bigint PRIMARY KEY, body text) PARTITION BY RANGE (id);
         CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (4000);
         CREATE TABLE parted_b PARTITION OF parted FOR VALUES FROM (4000) TO (MAXVALUE);
         INSERT INTO parted SELECT n, repeat('x', CASE WHEN n > 15000 THEN 3000 ELSE 10 END)
         FROM generate_series(1, {ROWS}) AS n;"
    );
    let (_database, source) = open(&script).await;
    let cutting = Cutting { rows: 5_000, bytes: Some(1 << 20), first_rows: None };
    let table = table("parted", &[("id", "integer", Layout::Int64, "bigint")]);
    check("parted", &cut(&source, &table, cutting).await, cutting, ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_mebibyte_make_chunks_of_a_few_rows() {
    let script = "CREATE TABLE large (id bigint PRIMARY KEY, body text);
         INSERT INTO large SELECT n, repeat(md5(n::text), 32768) FROM generate_series(1, 60) AS n;";
    let (_database, source) = open(script).await;
    let cutting = Cutting { rows: 50_000, bytes: Some(8 << 20), first_rows: None };
    // Compressed, they are a hundredth of that: their length counts.
    let table = table("large", &[("id", "integer", Layout::Int64, "bigint")]);
    let chunks = cut(&source, &Table { estimated_rows: 60, estimated_bytes: 800_000, ..table }, cutting).await;
    check("large", &chunks, cutting, 60);
    assert!(chunks.len() >= 8, "{} chunks", chunks.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rows_alone_can_be_cut_and_empty_tables_have_one_chunk() {
    let script = format!(
        "CREATE TABLE several (id bigint PRIMARY KEY, body text);
         INSERT INTO several SELECT n, 'x' FROM generate_series(1, {ROWS}) AS n;
         CREATE TABLE nothing (id bigint PRIMARY KEY, body text);"
    );
    let (_database, source) = open(&script).await;
    let key = [("id", "integer", Layout::Int64, "bigint")];
    let cutting = Cutting { rows: 700, bytes: Some(1 << 20), first_rows: Some(3_210) };
    let chunks = cut(&source, &table("several", &key), cutting).await;
    assert_eq!(chunks.iter().map(|(_, rows, _)| rows).sum::<u64>(), 3_210);
    assert!(chunks.iter().all(|(_, rows, _)| *rows <= 700));
    let more = Cutting { first_rows: Some(ROWS + 1), ..cutting };
    assert_eq!(cut(&source, &table("several", &key), more).await.iter().map(|(_, rows, _)| rows).sum::<u64>(), ROWS);
    let whole = Cutting { first_rows: None, ..cutting };
    assert_eq!(cut(&source, &table("nothing", &key), whole).await.len(), 1);
}
