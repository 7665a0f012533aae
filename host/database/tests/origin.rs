//! Tables of the target as where a shadow's rows come from: cut by any key, copied inside the server, or read.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{column, sides, table};
use millrace_model::comparison::Digest;
use millrace_model::{Layout, Table, TableName};
use millrace_rowcopy::port::{ChunkRecord, Lane};

const ROWS: u64 = 2_000;

/// A key: its columns, and the values of row `n`.
struct Kind {
    name: &'static str,
    columns: &'static [(&'static str, &'static str)],
    values: fn(u64) -> String,
    /// Whether the key can be cut.
    is_cut: bool,
}

const KINDS: [Kind; 9] = [
    Kind {
        name: "negative",
        columns: &[("id", "bigint")],
        values: |n| format!("{}", n as i64 * 7 - 5_000),
        is_cut: true,
    },
    Kind {
        name: "words",
        columns: &[("id", "varchar(40)")],
        values: |n| format!("'it''s \\\\ W{}w'", n * 7919 % 10_007),
        is_cut: true,
    },
    Kind {
        name: "amounts",
        columns: &[("id", "decimal(20,4)")],
        values: |n| format!("{}.{:04}", n / 3, n * 37 % 10_000),
        is_cut: true,
    },
    Kind {
        name: "instants",
        columns: &[("id", "datetime(6)")],
        values: |n| format!("'2024-01-{:02} {:02}:00:00.{:06}'", n % 28 + 1, n % 24, n),
        is_cut: true,
    },
    Kind {
        name: "tokens",
        columns: &[("id", "binary(16)")],
        values: |n| format!("x'{:032x}'", u128::from(n) * 0x0123_4567_89ab_cdef_0011),
        is_cut: true,
    },
    Kind {
        name: "triples",
        columns: &[("a", "int"), ("b", "varchar(10)"), ("c", "date")],
        values: |n| format!("{}, 'b{}', '2024-01-{:02}'", n % 3, n / 40, n % 28 + 1),
        is_cut: true,
    },
    Kind {
        name: "large",
        columns: &[("id", "bigint unsigned")],
        values: |n| format!("{}", u64::MAX - n * 3),
        is_cut: true,
    },
    Kind { name: "doubles", columns: &[("id", "double")], values: |n| format!("{n}.5"), is_cut: false },
    Kind { name: "keyless", columns: &[], values: |_| String::new(), is_cut: false },
];

fn tables(kind: &Kind, name: &str) -> Table {
    let mut columns: Vec<_> =
        kind.columns.iter().map(|(name, declared)| column(name, "text", Layout::Varlen, declared)).collect();
    columns.push(column("n", "integer", Layout::Int64, "bigint"));
    let key: Vec<&str> = kind.columns.iter().map(|(name, _)| *name).collect();
    table(TableName::bare(name), columns, &key)
}

fn script(kind: &Kind) -> String {
    let name = kind.name;
    let columns: String = kind.columns.iter().map(|(name, declared)| format!("{name} {declared} NOT NULL, ")).collect();
    let key: Vec<&str> = kind.columns.iter().map(|(name, _)| *name).collect();
    let key = if key.is_empty() { String::new() } else { format!(", PRIMARY KEY ({})", key.join(", ")) };
    let made = format!("({columns}n BIGINT NOT NULL{key}) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin");
    let rows: Vec<String> = (0..ROWS)
        .map(|n| {
            let values = (kind.values)(n);
            let comma = if values.is_empty() { "" } else { ", " };
            format!("({values}{comma}{n})")
        })
        .collect();
    format!("CREATE TABLE {name} {made}; CREATE TABLE {name}_new {made}; INSERT INTO {name} VALUES {}", rows.join(", "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_any_key_is_copied_inside_the_server_row_for_row() {
    let sides = sides("h_origin").await;
    let books = sides.target.bookkeeping();
    books.create().await.unwrap();
    for kind in &KINDS {
        let name = kind.name;
        sides.target_database.run_sql(&script(kind)).await.unwrap();
        let (old, new) = (tables(kind, name), TableName::bare(format!("{name}_new")));
        let origin = sides.target.origin(&old, &old.columns).await.unwrap();
        // Rows that come later are of another instant.
        sides.target_database.run_sql(&format!("DELETE FROM {name} WHERE n = 77")).await.unwrap();
        let chunks = origin.chunks(300, None).await.unwrap();
        assert_eq!(chunks.len(), if kind.is_cut { 7 } else { 1 }, "{name}");
        let sink = sides.target.row_sink_from(&origin, &books, "r", &new, &[]);
        let source = origin.row_source();
        let copying = move || -> (Vec<u64>, u64) {
            assert!(sink.is_in_server());
            // One that is not committed leaves nothing.
            let mut dropped = sink.begin(&chunks[0], &Lane::default()).unwrap();
            assert!(dropped.insert_select().unwrap().is_some());
            drop(dropped);
            let mut read = 0;
            let copied = chunks.iter().map(|chunk| {
                let mut reader = source.open(chunk, &Lane::default()).unwrap();
                while let Some(batch) = reader.next(70, 1 << 20).unwrap() {
                    assert!(batch.rows <= 70);
                    read += batch.rows as u64;
                }
                // The first statement's rows may still be locked by the dropped transaction, for a moment.
                let mut transaction = sink.begin(chunk, &Lane::default()).unwrap();
                let rows = transaction.insert_select().unwrap().unwrap();
                assert!(transaction.pace().statement_microseconds > 0);
                let record = ChunkRecord { digest: Digest::of(rows, 0), ..ChunkRecord::default() };
                assert_eq!(transaction.commit(record).unwrap().digest.rows, rows);
                rows
            });
            (copied.collect(), read)
        };
        let (copied, read) = tokio::task::spawn_blocking(copying).await.unwrap();
        assert_eq!((copied.iter().sum::<u64>(), read), (ROWS, ROWS), "{name}: {copied:?}");
        assert!(copied.iter().all(|rows| *rows <= 300 || !kind.is_cut), "{name}: {copied:?}");
        let same = format!("SELECT COUNT(*), SUM(n) FROM {name}_new");
        let sum = (0..ROWS).sum::<u64>().to_string();
        assert_eq!(
            sides.target_database.query_text(&same).await.unwrap()[0],
            [Some(ROWS.to_string()), Some(sum)],
            "{name}: all rows, once, and those of the instant"
        );
        let stored = books.chunks("r", &new).await.unwrap();
        assert_eq!(stored.len(), copied.len(), "{name}");
        assert!(stored.iter().all(|chunk| chunk.marker.starts_with("target/") && !chunk.record.is_hashed()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_new_table_does_not_take_fails_the_chunk_with_the_servers_words() {
    let sides = sides("h_origin_refused").await;
    let script = "CREATE TABLE old (id INT NOT NULL PRIMARY KEY, n BIGINT); INSERT INTO old VALUES (1, 1), (2, -1);
        CREATE TABLE new (id INT NOT NULL PRIMARY KEY, n BIGINT, CONSTRAINT above CHECK (n > 0))";
    sides.target_database.run_sql(script).await.unwrap();
    let books = sides.target.bookkeeping();
    books.create().await.unwrap();
    let columns = vec![column("id", "integer", Layout::Int32, "int"), column("n", "integer", Layout::Int64, "bigint")];
    let old = table(TableName::bare("old"), columns, &["id"]);
    let origin = sides.target.origin(&old, &old.columns).await.unwrap();
    let chunk = origin.chunks(10, None).await.unwrap().remove(0);
    let new = TableName::bare("new");
    let sink = sides.target.row_sink_from(&origin, &books, "r", &new, &[]);
    let copying = move || sink.begin(&chunk, &Lane::default()).unwrap().insert_select().unwrap_err();
    let failure = tokio::task::spawn_blocking(copying).await.unwrap();
    assert_eq!(failure.code, "copy.refused-in-server");
    assert_eq!(sides.target.row_count(&new).await.unwrap(), 0);
}
