//! Archives that other versions wrote, and ones that say something else than they hold, on a real engine.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::Write as _;
use std::path::PathBuf;

use common::sides;
use millrace_database::mysql::archive::restore;
use millrace_model::TableName;

const TABLE: &str = "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  `name` varchar(9) DEFAULT NULL,\n  PRIMARY KEY (`id`)\n)\n;\n\
    INSERT INTO `t` (`id`, `name`) VALUES\n('1', 'a'),\n('2', NULL)\n;\n";

fn archive(folder: &std::path::Path, name: &str, head: &str, end: &str) -> PathBuf {
    let path = folder.join(format!("{name}.sql.zst"));
    let mut out = zstd::stream::write::Encoder::new(std::fs::File::create(&path).unwrap(), 3).unwrap();
    write!(out, "-- {head}\n{TABLE}{end}\n").unwrap();
    out.finish().unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_the_first_form_is_restored_and_said_to_be_counted_only() {
    let sides = sides("h_archive").await;
    let folder = tempfile::tempdir().unwrap();
    let head = r#"{"millrace_archive":1,"run":"r","table":"t"}"#;
    let whole = archive(folder.path(), "whole", head, "-- rows: 2");
    let restored = restore(&sides.target, "p", &whole, None).await.unwrap();
    assert_eq!((restored.rows, restored.is_compared, restored.table.name.as_str()), (2, false, "t"));
    let short = archive(folder.path(), "short", head, "-- rows: 3");
    let (other, restoring) = (TableName::bare("other"), TableName::bare("other_restoring"));
    let failure = restore(&sides.target, "p", &short, Some(&other)).await.unwrap_err();
    assert_eq!(failure.code, "tables.archive-unreadable");
    assert!(!sides.target.table_exists(&other).await.unwrap() && !sides.target.table_exists(&restoring).await.unwrap());
    let newer = archive(folder.path(), "newer", r#"{"millrace_archive":3,"table":"t"}"#, "");
    assert!(restore(&sides.target, "p", &newer, Some(&other)).await.unwrap_err().message.contains("its form is 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_came_out_of_an_archive_otherwise_is_named_and_its_rows_are_kept() {
    let sides = sides("h_archive_differs").await;
    let folder = tempfile::tempdir().unwrap();
    let head = r#"{"millrace_archive":2,"run":"r","schema":"","table":"t"}"#;
    let sums = r#"-- sums: {"rows":2,"digest":"0","columns":{"id":"0","name":"0"}}"#;
    let path = archive(folder.path(), "differs", head, sums);
    for _ in 0..2 {
        let failure = restore(&sides.target, "p", &path, None).await.unwrap_err();
        assert_eq!(failure.code, "tables.restore-differs");
        assert!(failure.message.contains("values of id, name"), "{failure}");
        assert!(!sides.target.table_exists(&TableName::bare("t")).await.unwrap());
        assert_eq!(sides.target.row_count(&TableName::bare("t_restoring")).await.unwrap(), 2);
    }
}
