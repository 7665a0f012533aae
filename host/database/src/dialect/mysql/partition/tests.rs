//! Partitions of the source in the target's words.

use std::collections::BTreeMap;

use millrace_model::schema::{Column, Index, IndexPart, Layout, LogicalType};
use millrace_model::{ForeignKey, TableName};

use super::*;

/// A source with the columns that the cases need, and what the converters made of them.
fn table(by: &str, partitions: &str) -> (Table, Vec<Mapping>) {
    let columns = [
        ("id", "integer", "bigint(20)"),
        ("n", "integer", "int(11)"),
        ("small", "integer", "tinyint(4)"),
        ("big", "integer", "bigint(20) unsigned"),
        ("price", "decimal", "decimal(12,2)"),
        ("wide", "decimal", "varchar(255)"),
        ("real", "float", "double"),
        ("yes", "boolean", "tinyint(1)"),
        ("d", "date", "date"),
        ("at", "timestamp", "datetime(6)"),
        ("tz", "timestamp-tz", "datetime(6)"),
        ("zoned", "timestamp-tz", "timestamp(6)"),
        ("clock", "time", "time(6)"),
        ("code", "text", "varchar(20)"),
        ("long", "text", "mediumtext"),
        ("key", "uuid", "char(36)"),
        ("short", "uuid", "binary(16)"),
        ("mood", "enum", "enum('a','b')"),
        ("doc", "json", "json"),
    ];
    let mut table = Table { name: TableName::new("public", "t"), ..Table::default() };
    let mut mappings = Vec::new();
    for (name, logical, declared) in columns {
        let column = |logical: &str, declared: &str| Column {
            name: name.to_owned(),
            declared: declared.to_owned(),
            logical: LogicalType::new(logical, if logical == "integer" { Layout::Int32 } else { Layout::Varlen }),
            nullable: name != "id" && name != "d",
            collation: declared.contains("char").then(|| "utf8mb4_bin".to_owned()),
            ..Column::default()
        };
        table.columns.push(Column { collation: None, ..column(logical, logical) });
        let kept = match name {
            "wide" => "text",
            "short" => "bytes",
            _ => logical,
        };
        let targets = vec![column(kept, declared)];
        mappings.push(Mapping { sources: vec![name.to_owned()], targets, converts: false, note: None });
    }
    table.properties.insert("partition-by".to_owned(), by.to_owned());
    table.properties.insert("partitions".to_owned(), partitions.to_owned());
    (table, mappings)
}

/// `name: bound` of each partition; `name: bound [KEY: name: bound; …]` of one that is cut again.
fn list(partitions: &[&str]) -> String {
    let described = |text: &str| {
        let (name, bound) = text.split_once(": ").expect("a name and a bound");
        json!({"schema": "public", "name": name, "bound": bound})
    };
    let partitions: Vec<Json> = partitions
        .iter()
        .map(|text| match text.split_once(" [") {
            None => described(text),
            Some((first, rest)) => {
                let (by, below) = rest.trim_end_matches(']').split_once(": ").expect("a key");
                let mut described_above = described(first);
                described_above["partition-by"] = json!(by);
                described_above["partitions"] = below.split("; ").map(described).collect();
                described_above
            }
        })
        .collect();
    Json::from(partitions).to_string()
}

fn made(by: &str, partitions: &[&str], server: Server, change: impl FnOnce(&mut Table, &mut Assembled)) -> Assembled {
    let (mut source, mappings) = table(by, &list(partitions));
    let mut made = Assembled::default();
    made.table.columns = mappings.iter().flat_map(|m| m.targets.clone()).collect();
    change(&mut source, &mut made);
    settle_partitions(&source, &mappings, &mut made, server, Referenced::No);
    made
}

/// The clause on one line, without quotes around names.
fn clause(made: &Assembled) -> Option<String> {
    let clause = partition_clause(&made.table)?.replace('`', "");
    Some(clause.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(").replace(" )", ")"))
}

fn said(by: &str, partitions: &[&str]) -> String {
    let made = made(by, partitions, Server::OceanBase, |_, _| {});
    clause(&made).unwrap_or_else(|| made.not_carried[0].reason.clone())
}

#[test]
fn ranges_lists_and_hashes_are_said_in_the_targets_words() {
    let cases: &[(&str, &[&str], &str)] = &[
        (
            "RANGE (d)",
            &["b: FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')", "a: FOR VALUES FROM (MINVALUE) TO ('2025-01-01')"],
            "PARTITION BY RANGE COLUMNS (d) (PARTITION a VALUES LESS THAN ('2025-01-01'), \
             PARTITION b VALUES LESS THAN ('2026-01-01'))",
        ),
        (
            "RANGE (n)",
            &["a: FOR VALUES FROM ('-5') TO (7)", "b: FOR VALUES FROM (7) TO (MAXVALUE)"],
            "PARTITION BY RANGE COLUMNS (n) (PARTITION a VALUES LESS THAN (7), PARTITION b VALUES LESS THAN (MAXVALUE))",
        ),
        // Every range that no other one has is the default's.
        (
            "RANGE (d)",
            &[
                "rest: DEFAULT",
                "a: FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
                "b: FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
            ],
            "PARTITION BY RANGE COLUMNS (d) (PARTITION rest_2 VALUES LESS THAN ('2024-01-01'), \
             PARTITION a VALUES LESS THAN ('2025-01-01'), PARTITION rest_3 VALUES LESS THAN ('2026-01-01'), \
             PARTITION b VALUES LESS THAN ('2027-01-01'), PARTITION rest VALUES LESS THAN (MAXVALUE))",
        ),
        (
            "RANGE (d)",
            &["rest: DEFAULT", "a: FOR VALUES FROM ('-infinity') TO ('infinity')"],
            "PARTITION BY RANGE COLUMNS (d) (PARTITION a VALUES LESS THAN (MAXVALUE))",
        ),
        (
            "RANGE (tz)",
            &["a: FOR VALUES FROM ('0044-03-15 00:00:00+00 BC') TO ('2024-01-01 00:00:00.25+00')"],
            "PARTITION BY RANGE COLUMNS (tz) (PARTITION a VALUES LESS THAN ('2024-01-01 00:00:00.250000'))",
        ),
        (
            "RANGE (n, d)",
            &[
                "a: FOR VALUES FROM (MINVALUE, MINVALUE) TO (1, MAXVALUE)",
                "b: FOR VALUES FROM (2, MINVALUE) TO (5, MINVALUE)",
            ],
            "PARTITION BY RANGE COLUMNS (n,d) (PARTITION a VALUES LESS THAN (1,MAXVALUE), \
             PARTITION b VALUES LESS THAN (4,MAXVALUE))",
        ),
        (
            "RANGE (price)",
            &["a: FOR VALUES FROM ('-0.5') TO ('1.5')", "b: FOR VALUES FROM ('1.5') TO ('NaN')"],
            "PARTITION BY RANGE COLUMNS (price) (PARTITION a VALUES LESS THAN (1.50), \
             PARTITION b VALUES LESS THAN (MAXVALUE))",
        ),
        (
            "RANGE (key)",
            &["a: FOR VALUES FROM (MINVALUE) TO ('80000000-0000-0000-0000-000000000000')"],
            "PARTITION BY RANGE COLUMNS (key) (PARTITION a VALUES LESS THAN ('80000000-0000-0000-0000-000000000000'))",
        ),
        (
            "RANGE (code COLLATE \"C\")",
            &["a: FOR VALUES FROM ('a') TO ('n')"],
            "PARTITION BY RANGE COLUMNS (code) (PARTITION a VALUES LESS THAN ('n'))",
        ),
        (
            "LIST (code)",
            &["rest: DEFAULT", "a`b: FOR VALUES IN ('z', 'b,c', NULL)", "B: FOR VALUES IN ('A')"],
            "PARTITION BY LIST COLUMNS (code) (PARTITION B VALUES IN ('A'), \
             PARTITION a_b VALUES IN ('b,c','z',NULL), PARTITION rest VALUES IN (DEFAULT))",
        ),
        (
            "LIST (yes)",
            &["a: FOR VALUES IN (true)", "b: FOR VALUES IN (false)"],
            "PARTITION BY LIST COLUMNS (yes) (PARTITION b VALUES IN (0), PARTITION a VALUES IN (1))",
        ),
        ("LIST ((n % 10))", &["a: FOR VALUES IN (1, 2)"], "PARTITION BY LIST (n % 10) (PARTITION a VALUES IN (1,2))"),
        (
            "RANGE (EXTRACT(year FROM d))",
            &["a: FOR VALUES FROM ('2024') TO ('2025')"],
            "PARTITION BY RANGE (year(d)) (PARTITION a VALUES LESS THAN (2025))",
        ),
        // Whatever a column is kept as, its rows can be spread.
        (
            "HASH (short, mood, real)",
            &[
                "b: FOR VALUES WITH (modulus 4, remainder 1)",
                "a: FOR VALUES WITH (modulus 2, remainder 0)",
                "A: FOR VALUES WITH (modulus 4, remainder 3)",
            ],
            "PARTITION BY KEY (short,mood,real) (PARTITION a, PARTITION b, PARTITION A_2)",
        ),
    ];
    for (by, partitions, expected) in cases {
        assert_eq!(said(by, partitions), *expected, "{by} {partitions:?}");
    }
}

#[test]
fn what_would_refuse_a_row_of_the_source_is_not_carried() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("RANGE (real)", &["a: FOR VALUES FROM (1) TO (2)"], "column real is double there"),
        ("LIST (price)", &["a: FOR VALUES IN (1)"], "takes no LIST partitions"),
        ("LIST (mood)", &["a: FOR VALUES IN ('a')"], "takes no LIST partitions"),
        ("RANGE (wide)", &["a: FOR VALUES FROM (1) TO (2)"], "column wide (decimal) is kept as varchar(255)"),
        ("RANGE (zoned)", &["a: FOR VALUES FROM ('2024-01-01 00:00:00+00') TO (MAXVALUE)"], "kept as timestamp(6)"),
        ("LIST (long)", &["a: FOR VALUES IN ('a')"], "which no table is partitioned by"),
        ("HASH (doc)", &["a: FOR VALUES WITH (modulus 1, remainder 0)"], "which no table is partitioned by"),
        ("HASH (gone)", &["a: FOR VALUES WITH (modulus 1, remainder 0)"], "there is no column gone"),
        ("RANGE (code)", &["a: FOR VALUES FROM ('a') TO ('n')"], "ordered by collation default"),
        ("RANGE (code COLLATE \"C\")", &["a: FOR VALUES FROM ('a') TO ('n ')"], "ends with a blank"),
        ("LIST (code COLLATE nocase)", &["a: FOR VALUES IN ('a')"], "may be equal by collation nocase"),
        ("LIST (code)", &["a: FOR VALUES IN ('it''s')"], "could not be made again"),
        ("RANGE (code text_pattern_ops)", &["a: FOR VALUES FROM ('a') TO ('n')"], "operator class text_pattern_ops"),
        ("RANGE (price)", &["a: FOR VALUES FROM (1) TO ('1.555')"], "the value 1.555 of a bound"),
        ("RANGE (small)", &["a: FOR VALUES FROM (1) TO (300)"], "the value 300 of a bound"),
        ("RANGE (big)", &["a: FOR VALUES FROM ('-1') TO (MAXVALUE)"], "the value -1 of a bound"),
        ("LIST (d)", &["a: FOR VALUES IN ('infinity')"], "a value that the target does not have"),
        ("RANGE (d)", &["a: FOR VALUES FROM (MINVALUE) TO ('0044-03-15 BC')"], "the upper bound of partition a"),
        ("RANGE (tz)", &["a: FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00:00+02')"], "has no counterpart"),
        (
            "RANGE (at, n)",
            &["a: FOR VALUES FROM (MINVALUE, MINVALUE) TO ('2024-01-01 00:00:00', MINVALUE)"],
            "upper bound",
        ),
        ("RANGE (lower(code))", &["a: FOR VALUES FROM ('a') TO ('b')"], "folds other letters"),
        ("LIST (abs(n))", &["a: FOR VALUES IN (1)"], "the target takes no abs there"),
        ("LIST ((CASE WHEN (n > 1) THEN 1 ELSE 2 END))", &["a: FOR VALUES IN (1)"], "the target takes no case there"),
        ("RANGE (n, ((id + 1)))", &["a: FOR VALUES FROM (1, 1) TO (2, 2)"], "together with others"),
        ("RANGE (n)", &["a: FOR VALUES IN (1)"], "does not fit its key"),
        ("RANGE (n)", &["a: FOR VALUES FROM (1, 2) TO (2, 3)"], "does not fit its key"),
        ("LIST (n)", &["a: FOR VALUES IN (1) PARTITION"], "is not understood"),
        ("LIST (n)", &[], "there is none yet"),
    ];
    for (by, partitions, expected) in cases {
        let said = said(by, partitions);
        assert!(said.contains(expected), "{by} {partitions:?}: {said}");
        assert!(said.starts_with(&format!("partitions by {by} are not carried because ")), "{said}");
    }
}

#[test]
fn each_server_has_the_partitions_that_it_knows() {
    let of = |server, by: &str, partitions: &[&str]| {
        let made = made(by, partitions, server, |_, _| {});
        clause(&made).unwrap_or_else(|| made.not_carried[0].reason.clone())
    };
    let list = ["a: FOR VALUES IN (1)", "b: DEFAULT"];
    assert!(of(Server::MySql, "LIST (n)", &list).contains("MySQL has no such partition"));
    assert!(of(Server::MariaDb, "LIST (n)", &list).ends_with("PARTITION b DEFAULT)"));
    for (by, to) in [("price", "1.5"), ("clock", "12:00:00")] {
        let partitions = [format!("a: FOR VALUES FROM (MINVALUE) TO ('{to}')")];
        let partitions: Vec<&str> = partitions.iter().map(String::as_str).collect();
        let by = format!("RANGE ({by})");
        assert!(of(Server::MySql, &by, &partitions).contains("takes no RANGE partitions"));
        assert!(of(Server::OceanBase, &by, &partitions).starts_with("PARTITION BY"));
    }
    let key = |made: &mut Assembled| {
        made.table.foreign_keys.push(ForeignKey {
            name: "k".to_owned(),
            columns: vec!["n".to_owned()],
            references: TableName::bare("o"),
            referenced_columns: vec!["n".to_owned()],
            on_delete: String::new(),
            on_update: String::new(),
            deferrable: false,
        });
    };
    let referring = |server| made("LIST (n)", &["a: FOR VALUES IN (1)"], server, |_, made| key(made));
    assert!(referring(Server::MySql).not_carried[0].reason.contains("no foreign keys of or to a partitioned table"));
    assert!(clause(&referring(Server::OceanBase)).is_some());
}

#[test]
fn every_unique_key_holds_the_columns_or_there_are_no_partitions() {
    let unique = |parts: &[(&str, bool)]| {
        let index = Index {
            name: "u".to_owned(),
            kind: IndexKind::Unique,
            method: "btree".to_owned(),
            parts: parts
                .iter()
                .map(|(name, is_column)| IndexPart {
                    expression: (*name).to_owned(),
                    is_column: *is_column,
                    descending: false,
                    prefix: None,
                })
                .collect(),
            predicate: None,
            properties: BTreeMap::new(),
        };
        made("LIST (n)", &["a: FOR VALUES IN (1)"], Server::OceanBase, |_, made| made.table.indexes.push(index))
    };
    assert!(clause(&unique(&[("id", true), ("n", true)])).is_some());
    let partial = unique(&[("(case when (`yes` <> 0) then `n` else NULL end)", false), ("id", true)]);
    assert!(partial.not_carried[0].reason.contains("u does not hold n"), "{:?}", partial.not_carried);
    assert!(partial.table.properties.is_empty());
}

#[test]
fn a_second_level_is_carried_where_one_key_cuts_all_and_every_row_finds_its_place() {
    let by_hash = "HASH (id): x: FOR VALUES WITH (modulus 2, remainder 0); y: FOR VALUES WITH (modulus 2, remainder 1)";
    let cut = |bound: &str, name: &str, below: &str| format!("{name}: {bound} [{below}]");
    let first = cut("FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')", "a", by_hash);
    let second = "b: FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')";
    assert_eq!(
        said("RANGE (d)", &[&first, second]),
        "PARTITION BY RANGE COLUMNS (d) SUBPARTITION BY KEY (id) (\
         PARTITION a VALUES LESS THAN ('2025-01-01') (SUBPARTITION x, SUBPARTITION y), \
         PARTITION b VALUES LESS THAN ('2026-01-01') (SUBPARTITION b_rest))"
    );
    // MySQL cuts each into as many.
    let uneven = made("RANGE (d)", &[&first, second], Server::MySql, |_, _| {});
    assert!(uneven.not_carried[0].reason.contains("each into as many parts"), "{:?}", uneven.not_carried);
    assert_eq!(uneven.not_carried[0].kind, "subpartitions");
    assert!(clause(&uneven).is_some_and(|clause| !clause.contains("SUBPARTITION")));
    let even = made("RANGE (d)", &[&first], Server::MySql, |_, _| {});
    assert!(clause(&even).is_some_and(|clause| clause.contains("SUBPARTITION x, SUBPARTITION y")));

    let spread = |number: u8, below: &str| {
        cut(&format!("FOR VALUES WITH (modulus 2, remainder {number})"), &format!("h{number}"), below)
    };
    let (one, two) = ("LIST (n): x: FOR VALUES IN (1)", "LIST (n): y: FOR VALUES IN (2)");
    // A row may be spread into another partition than at the source.
    let different = made("HASH (id)", &[&spread(0, one), &spread(1, two)], Server::OceanBase, |_, _| {});
    assert!(different.not_carried[0].reason.contains("would not take them"), "{:?}", different.not_carried);
    let same = "LIST (n): y: FOR VALUES IN (1)";
    assert!(said("HASH (id)", &[&spread(0, one), &spread(1, same)]).contains("SUBPARTITION y VALUES IN (1)"));
    // So may one whose key is NULL.
    let lists = [
        cut("FOR VALUES FROM (MINVALUE) TO (5)", "a", "LIST (small): x: FOR VALUES IN (1)"),
        "rest: DEFAULT".to_owned(),
    ];
    let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
    let nullable = made("RANGE (n)", &lists, Server::OceanBase, |_, _| {});
    assert!(nullable.not_carried[0].reason.contains("would not take them"), "{:?}", nullable.not_carried);

    let third = r#"[{"name":"a","bound":"FOR VALUES IN (1)","partition-by":"LIST (small)","partitions":
        [{"name":"b","bound":"FOR VALUES IN (2)","partition-by":"LIST (yes)","partitions":[]}]}]"#;
    let (source, mappings) = table("LIST (n)", third);
    let mut deep = Assembled::default();
    settle_partitions(&source, &mappings, &mut deep, Server::OceanBase, Referenced::No);
    assert!(deep.not_carried[0].reason.contains("is cut for a third time"), "{:?}", deep.not_carried);
}

#[test]
fn the_database_may_order_texts_by_their_bytes() {
    let range = ["a: FOR VALUES FROM ('a') TO ('n')"];
    let made = made("RANGE (code)", &range, Server::OceanBase, |source, _| {
        source.properties.insert("default-collation".to_owned(), "C".to_owned());
    });
    assert!(clause(&made).is_some(), "{:?}", made.not_carried);
}

#[test]
fn what_becomes_of_bounds_is_said() {
    let made = |partitions: &[&str]| made("RANGE (n)", partitions, Server::OceanBase, |_, _| {}).notes.join("\n");
    let gap = made(&["a: FOR VALUES FROM (1) TO (2)", "b: FOR VALUES FROM (5) TO (6)"]);
    assert!(gap.contains("it is partitioned by RANGE COLUMNS (n): 2 partitions"), "{gap}");
    assert!(gap.contains("partition a has no lower bound in the target"), "{gap}");
    assert!(gap.contains("partition b would also take rows of the gap below it"), "{gap}");
    let default = made(&["a: FOR VALUES FROM (MINVALUE) TO (2)", "b: DEFAULT"]);
    assert!(default.contains("the default partition b is the range that no other one has"), "{default}");
    assert!(default.contains("rows with NULL in the key lie in the lowest partition"), "{default}");
}
