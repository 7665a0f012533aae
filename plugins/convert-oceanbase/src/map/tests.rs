//! Mappings as a plan shows them.

use millrace_plugin_sdk::model::{ForeignKey, Index, IndexKind, IndexPart, Measure, TableName};

use super::*;
use crate::configuration::{ArrayAs, BitAs, CompositeAs, EnumAs, NumericAs, Overrides, RangeAs, TextAs};

fn table(source: &Table, profiles: &[Profile], configuration: &Configuration) -> Vec<Mapping> {
    super::table(source, profiles, configuration).expect("maps")
}

fn column(name: &str, logical: LogicalType) -> Column {
    Column { name: name.to_owned(), declared: logical.name.clone(), logical, nullable: true, ..Column::default() }
}

fn varlen(name: &str) -> LogicalType {
    LogicalType::new(name, Layout::Varlen)
}

fn plain_index(expression: &str, is_column: bool) -> Index {
    Index {
        name: "i".to_owned(),
        kind: IndexKind::Plain,
        method: "btree".to_owned(),
        parts: vec![IndexPart { expression: expression.to_owned(), is_column, descending: false, prefix: None }],
        predicate: None,
        properties: Default::default(),
    }
}

fn declared(logical: LogicalType, configuration: &Configuration) -> String {
    let source = Table { columns: vec![column("c", logical)], ..Table::default() };
    // Unclaimed and dropped are told apart in a test of their own.
    let mapping = table(&source, &[], configuration).pop();
    mapping
        .iter()
        .flat_map(|mapping| &mapping.targets)
        .next()
        .map_or_else(|| "dropped".to_owned(), |t| t.declared.clone())
}

fn found(column: &str, measured: &[(Measure, &str)]) -> Profile {
    Profile { column: column.to_owned(), measured: measured.iter().map(|(m, v)| (*m, Some((*v).to_owned()))).collect() }
}

#[test]
fn common_types_have_their_counterparts() {
    let integer = |bits: &str| LogicalType::new("integer", Layout::Int64).with("bits", bits);
    let numeric = |p: &str, s: &str| varlen("decimal").with("precision", p).with("scale", s);
    let cases = [
        (LogicalType::new("boolean", Layout::Bits), "tinyint(1)"),
        (integer("16"), "smallint(6)"),
        (integer("32"), "int(11)"),
        (integer("64"), "bigint(20)"),
        (integer("32").with("unsigned", "true"), "int(10) unsigned"),
        (numeric("12", "2"), "decimal(12,2)"),
        (numeric("3", "-2"), "decimal(5,0)"),
        (numeric("3", "5"), "decimal(5,5)"),
        (numeric("100", "40"), "varchar(255)"),
        (varlen("decimal"), "decimal(65,30)"),
        (LogicalType::new("float", Layout::Float32), "double"),
        (varlen("text"), "mediumtext"),
        (varlen("text").with("length", "20"), "varchar(20)"),
        (varlen("text").with("length", "100000"), "mediumtext"),
        (varlen("bytes"), "longblob"),
        (LogicalType::new("date", Layout::Int32), "date"),
        (LogicalType::new("time", Layout::Int64), "time(6)"),
        (LogicalType::new("timestamp", Layout::Int64).with("precision", "0"), "datetime"),
        (LogicalType::new("timestamp", Layout::Int64), "datetime(6)"),
        (LogicalType::new("timestamp-tz", Layout::Int64).with("precision", "3"), "datetime(3)"),
        (LogicalType::new("time", Layout::Int64).with("precision", "0"), "time"),
        (LogicalType::new("timestamp-tz", Layout::Int64), "datetime(6)"),
        (LogicalType::new("uuid", Layout::Fixed), "char(36)"),
        (varlen("json").with("binary", "true"), "json"),
        (varlen("array").with("element", "text"), "json"),
        (varlen("enum").with("labels", r#"["a","it's","b\\c"]"#), r"enum('a','it''s','b\\c')"),
        (varlen("enum").with("labels", r#"["a","a "]"#), "varchar(64)"),
        (varlen("interval"), "varchar(64)"),
        (varlen("inet"), "varchar(43)"),
        (varlen("point"), "longtext"),
        (varlen("tsvector"), "dropped"),
        (varlen("bit").with("length", "8"), "bit(8)"),
        (varlen("bit").with("length", "65"), "varchar(65)"),
        (varlen("bit").with("length", "8").with("varying", "true"), "varchar(8)"),
        (varlen("bit").with("varying", "true"), "longtext"),
        (varlen("money"), "decimal(19,2)"),
        (varlen("int4range").with("kind", "range").with("element", "integer"), "json"),
        (varlen("nummultirange").with("kind", "multirange"), "json"),
        (varlen("address").with("kind", "composite"), "json"),
        (varlen("hstore"), "json"),
        (varlen("vector").with("dimensions", "3"), "vector(3)"),
        (varlen("vector"), "longtext"),
        (varlen("halfvec").with("dimensions", "3"), "dropped"),
        (varlen("time-tz"), "varchar(64)"),
        (varlen("xml"), "longtext"),
        (varlen("macaddr8"), "varchar(23)"),
        (varlen("pg_lsn"), "varchar(17)"),
        (varlen("xid8"), "varchar(20)"),
        (varlen("regclass"), "varchar(255)"),
    ];
    for (logical, expected) in cases {
        assert_eq!(declared(logical.clone(), &Configuration::default()), expected, "{logical:?}");
    }
}

#[test]
fn the_pipeline_may_choose_otherwise() {
    let choices = Configuration {
        numeric: NumericAs::Text,
        json: JsonAs::Text,
        uuid: UuidAs::Binary,
        timestamptz: TimestamptzAs::Timestamp,
        text: TextAs::Longtext,
        array: ArrayAs::Text,
        range: RangeAs::Text,
        interval: IntervalAs::Microseconds,
        bit: BitAs::Text,
        r#enum: EnumAs::Text,
        composite: CompositeAs::Text,
        search: SearchAs::Text,
        ..Configuration::default()
    };
    assert_eq!(declared(varlen("decimal"), &choices), "varchar(255)");
    assert_eq!(declared(varlen("json"), &choices), "longtext");
    assert_eq!(declared(LogicalType::new("uuid", Layout::Fixed), &choices), "binary(16)");
    assert_eq!(declared(LogicalType::new("timestamp-tz", Layout::Int64), &choices), "timestamp(6)");
    assert_eq!(declared(varlen("text"), &choices), "longtext");
    assert_eq!(declared(varlen("array"), &choices), "longtext");
    assert_eq!(declared(varlen("int4range").with("kind", "range"), &choices), "varchar(255)");
    assert_eq!(declared(varlen("int4multirange").with("kind", "multirange"), &choices), "longtext");
    assert_eq!(declared(varlen("interval"), &choices), "bigint(20)");
    assert_eq!(declared(varlen("bit").with("length", "8"), &choices), "varchar(8)");
    assert_eq!(declared(varlen("enum").with("labels", r#"["a"]"#), &choices), "varchar(64)");
    assert_eq!(declared(varlen("address").with("kind", "composite"), &choices), "longtext");
    assert_eq!(declared(varlen("tsvector"), &choices), "longtext");
}

#[test]
fn a_range_may_become_two_bounds_and_its_flags() {
    let range = varlen("daterange").with("kind", "range").with("element", "date");
    let mut source = column("valid", range);
    source.nullable = false;
    source.default_expression = Some("'empty'::daterange".to_owned());
    let configuration = Configuration { range: RangeAs::Columns, ..Configuration::default() };
    let mapping = table(&Table { columns: vec![source], ..Table::default() }, &[], &configuration).remove(0);
    let targets: Vec<(&str, &str, bool)> =
        mapping.targets.iter().map(|t| (t.name.as_str(), t.declared.as_str(), t.nullable)).collect();
    assert_eq!(
        targets,
        [("valid_lower", "date", true), ("valid_upper", "date", true), ("valid_bounds", "varchar(8)", false)]
    );
    assert!(mapping.converts && mapping.targets.iter().all(|t| t.default_expression.is_none()));
}

#[test]
fn a_column_may_be_cast_and_what_is_said_of_no_column_is_refused() {
    let source = Table {
        name: TableName::new("public", "t"),
        columns: vec![column("n", varlen("decimal")), column("h", varlen("halfvec")), column("v", varlen("sparsevec"))],
        ..Table::default()
    };
    let cast = |name: &str, to: &str| Configuration {
        cast: [(name.to_owned(), to.to_owned())].into(),
        ..Configuration::default()
    };
    let mappings = table(&source, &[], &cast("public.t.n", "DECIMAL(30,8)"));
    assert_eq!(mappings.len(), 1, "half and sparse vectors are left to others");
    assert_eq!(mappings[0].targets[0].declared, "decimal(30,8)");
    assert!(mappings[0].converts);
    let mappings = table(&source, &[], &cast("t.*", "LONGTEXT"));
    assert_eq!(mappings.iter().map(|m| m.targets[0].declared.as_str()).collect::<Vec<_>>(), ["longtext"; 3]);
    let refused = super::table(&source, &[], &cast("public.t.m", "INT")).expect_err("no such column");
    assert_eq!(refused.code, "convert.unknown-column");
}

#[test]
fn a_policy_stands_in_the_plan() {
    let source = Table { columns: vec![column("d", LogicalType::new("date", Layout::Int32))], ..Table::default() };
    let configuration = Configuration { infinity: Infinity::Clamp, ..Configuration::default() };
    let mapping = table(&source, &[], &configuration).remove(0);
    assert_eq!(mapping.targets[0].properties.get("infinity").map(String::as_str), Some("clamp"));
    let found = [found("d", &[(Measure::NonFinite, "3")])];
    let note = table(&source, &found, &configuration).remove(0).note.unwrap_or_default();
    assert!(note.contains("become the nearest one: 3 now"), "{note}");
    let asked = crate::profile::requests(&source, &configuration);
    assert_eq!(asked[0].measures, [Measure::NonFinite]);
    assert!(crate::profile::requests(&source, &Configuration::default()).is_empty());
}

#[test]
fn a_text_in_a_key_an_index_or_a_reference_is_as_long_as_its_values_need() {
    let source = Table {
        columns: ["plain", "indexed", "lowered", "referring", "huge"].map(|n| column(n, varlen("text"))).to_vec(),
        indexes: vec![plain_index("indexed", true), plain_index("lower(lowered)", false), plain_index("huge", true)],
        foreign_keys: vec![ForeignKey {
            name: "f".to_owned(),
            columns: vec!["referring".to_owned()],
            references: TableName::bare("other"),
            referenced_columns: vec!["c".to_owned()],
            on_delete: String::new(),
            on_update: String::new(),
            deferrable: false,
        }],
        ..Table::default()
    };
    let configuration = Configuration::default();
    let asked: Vec<String> = crate::profile::requests(&source, &configuration).into_iter().map(|r| r.column).collect();
    assert_eq!(asked, ["indexed", "lowered", "referring", "huge"]);
    let profiles =
        [found("indexed", &[(Measure::LongestChars, "300")]), found("huge", &[(Measure::LongestChars, "5000")])];
    let mappings = table(&source, &profiles, &configuration);
    let declared: Vec<&str> = mappings.iter().map(|m| m.targets[0].declared.as_str()).collect();
    assert_eq!(declared, ["mediumtext", "varchar(1024)", "varchar(255)", "varchar(255)", "mediumtext"]);
    let note = mappings[1].note.as_deref().unwrap_or_default();
    assert!(note.contains("300 characters"), "{note}");
}

#[test]
fn a_number_without_precision_is_as_wide_as_its_values_need() {
    let source = Table { columns: vec![column("n", varlen("decimal"))], ..Table::default() };
    let of = |before: &str, after: &str| {
        let profile =
            found("n", &[(Measure::IntegerDigits, before), (Measure::Scale, after), (Measure::NonFinite, "0")]);
        table(&source, &[profile], &Configuration::default()).remove(0).targets.remove(0).declared
    };
    assert_eq!(of("9", "4"), "decimal(24,4)");
    assert_eq!(of("21", "0"), "decimal(35,0)");
    assert_eq!(of("40", "25"), "decimal(65,25)");
    assert_eq!(of("40", "26"), "varchar(255)");
    assert_eq!(of("1", "31"), "varchar(255)");
    assert_eq!(of("2000", "0"), "varchar(4096)");
    assert_eq!(of("20000", "0"), "longtext");
}

#[test]
fn what_the_source_says_of_a_column_is_handed_on() {
    let mut source = column("id  ", LogicalType::new("integer", Layout::Int64).with("bits", "64"));
    source.identity = true;
    source.nullable = false;
    source.comment = Some("number".to_owned());
    source.default_expression = Some("nextval('s'::regclass)".to_owned());
    let mapping = table(&Table { columns: vec![source], ..Table::default() }, &[], &Configuration::default()).remove(0);
    let target = &mapping.targets[0];
    assert_eq!((target.name.as_str(), target.identity, target.nullable), ("id", true, false));
    assert_eq!(target.comment.as_deref(), Some("number"));
    assert_eq!(target.default_expression.as_deref(), Some("nextval('s'::regclass)"));
    assert_eq!(target.collation, None);
    assert!(mapping.note.unwrap_or_default().contains("takes no such name"));
}

#[test]
fn rows_have_room_for_all_their_texts() {
    let long = varlen("text").with("length", "16000");
    let columns: Vec<Column> = (0..40).map(|n| column(&format!("c{n}"), long.clone())).collect();
    let mappings = table(&Table { columns, ..Table::default() }, &[], &Configuration::default());
    let total: u64 = mappings.iter().filter(|m| m.targets[0].declared.starts_with("varchar")).map(|_| 16_000 * 4).sum();
    assert!(total <= ROW_BYTES, "{total}");
    assert!(mappings.iter().any(|m| m.targets[0].declared == "mediumtext"));
}

#[test]
fn a_key_over_texts_in_place_of_values_says_that_it_is_less_strict() {
    let wide = varlen("decimal").with("precision", "80").with("scale", "40");
    let cases = [
        (varlen("inet"), "10.0.0.1/32"),
        (varlen("interval"), "PT24H"),
        (varlen("numrange").with("kind", "range").with("element", "decimal"), "[1.00,2)"),
        (varlen("int4range").with("kind", "range").with("element", "integer"), "[1,3)"),
        (wide, "1.0 and 1.00"),
    ];
    for (logical, example) in cases {
        let note = |indexes: Vec<Index>| {
            let source = Table { columns: vec![column("c", logical.clone())], indexes, ..Table::default() };
            table(&source, &[], &Configuration::default()).remove(0).note.unwrap_or_default()
        };
        let keyed = note(vec![plain_index("c", true)]);
        assert!(keyed.contains("less strict") && keyed.contains(example), "{keyed}");
        assert!(!note(Vec::new()).contains("less strict"));
    }
}

#[test]
fn a_uuid_is_compared_without_case_as_at_the_source() {
    let source = Table { columns: vec![column("c", LogicalType::new("uuid", Layout::Fixed))], ..Table::default() };
    let mapping = table(&source, &[], &Configuration::default()).remove(0);
    assert_eq!(mapping.targets[0].collation.as_deref(), Some("utf8mb4_general_ci"));
}

#[test]
fn a_number_that_the_source_rounds_before_the_point_is_said_to_be_kept() {
    let note = |precision: &str, scale: &str| {
        let logical = varlen("decimal").with("precision", precision).with("scale", scale);
        let source = Table { columns: vec![column("c", logical)], ..Table::default() };
        table(&source, &[], &Configuration::default()).remove(0).note.unwrap_or_default()
    };
    assert!(note("5", "-2").contains("multiples of 100"));
    assert!(note("3", "5").contains("from 0.01 on"));
    assert!(note("12", "2").ends_with("as declared"));
}

#[test]
fn a_generated_column_becomes_a_plain_one_where_that_is_asked() {
    let computed = Column {
        generated_expression: Some("(a + 1)".to_owned()),
        properties: [("generated".to_owned(), "stored".to_owned())].into(),
        ..column("g", LogicalType::new("integer", Layout::Int64).with("bits", "64"))
    };
    let source = Table { name: TableName::new("public", "t"), columns: vec![computed], ..Table::default() };
    let made = |configuration: &Configuration| table(&source, &[], configuration).remove(0);
    assert!(made(&Configuration::default()).targets[0].generated_expression.is_some());
    let overrides = Overrides { generated: Some(GeneratedAs::Plain), ..Overrides::default() };
    let asked = Configuration { columns: [("t.g".to_owned(), overrides)].into(), ..Configuration::default() };
    let mapping = made(&asked);
    assert_eq!(mapping.targets[0].generated_expression, None);
    assert!(mapping.targets[0].properties.is_empty());
    assert!(mapping.note.is_some_and(|note| note.contains("asked for as a plain column")));
}
