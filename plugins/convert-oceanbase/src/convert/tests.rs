//! Conversions as the host calls them.

use millrace_plugin_sdk::build::{BytesBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder};
use millrace_plugin_sdk::columnar::Array;
use millrace_plugin_sdk::kind::{Conversion, Converted};
use millrace_plugin_sdk::model::{Column, LogicalType};
use millrace_plugin_sdk::view::{BytesView, Float64View, Int32View, Int64View};

use crate::configuration::{Configuration, Infinity, TimestamptzAs};
use crate::map;
use millrace_plugin_sdk::model::{Layout, Table};

fn column(logical: LogicalType, nullable: bool) -> Column {
    Column { name: "c".to_owned(), declared: "its type".to_owned(), logical, nullable, ..Column::default() }
}

fn convert(source: &Column, input: &Array, infinity: Infinity) -> Converted {
    let configuration = Configuration { infinity, ..Configuration::default() };
    let table = Table { columns: vec![source.clone()], ..Table::default() };
    let mapping = map::table(&table, &[], &configuration).expect("maps").remove(0);
    assert!(mapping.converts);
    let open = super::open(std::slice::from_ref(source), &mapping.targets).expect("opens");
    open.convert(std::slice::from_ref(input)).expect("converts")
}

fn texts(values: &[Option<&str>]) -> Array {
    let mut builder = BytesBuilder::default();
    values.iter().for_each(|value| builder.push_option(value.map(str::as_bytes)));
    builder.finish()
}

fn texts_of(converted: &Converted) -> Vec<Option<String>> {
    let view = BytesView::new(&converted.outputs[0]).expect("bytes");
    view.iter().map(|value| value.map(|v| String::from_utf8_lossy(v).into_owned())).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_column_with_which_nothing_is_wrong_comes_back_as_it_is() {
    let mut days = Int32Builder::default();
    [Some(0), None, Some(-719_162), Some(2_932_896)].into_iter().for_each(|day| days.push_option(day));
    let days = days.finish();
    let converted = convert(&column(LogicalType::new("date", Layout::Int32), true), &days, Infinity::Reject);
    assert_eq!(converted, Converted { outputs: vec![days], rejects: Vec::new() });
}

#[test]
fn infinite_dates_are_rejected_replaced_or_clamped() {
    let mut days = Int32Builder::default();
    [7, i32::MAX, i32::MIN, -719_163].into_iter().for_each(|day| days.push(day));
    let days = days.finish();
    let source = column(LogicalType::new("date", Layout::Int32), true);
    let found = |infinity| {
        let converted = convert(&source, &days, infinity);
        let days: Vec<Option<i32>> = Int32View::new(&converted.outputs[0]).expect("days").iter().collect();
        (days, converted.rejects)
    };
    let (kept, rejects) = found(Infinity::Reject);
    assert_eq!(kept, [Some(7), None, None, None]);
    assert_eq!(rejects.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(rejects[0].1.code, "convert.out-of-range");
    assert_eq!(rejects[0].1.field("column"), Some("c"));
    assert_eq!(rejects[0].1.field("value"), Some("infinity"));
    assert_eq!(found(Infinity::Null), (vec![Some(7), None, None, None], Vec::new()));
    assert_eq!(found(Infinity::Clamp).0, [Some(7), Some(2_932_896), Some(-719_162), Some(-719_162)]);
}

#[test]
fn an_instant_for_which_only_timestamp_is_too_narrow_is_rejected_and_never_replaced() {
    let end = (1_i64 << 31) * 1_000_000;
    let mut instants = Int64Builder::default();
    [7_000_000, end, 0, -1_000_000, i64::MAX].into_iter().for_each(|instant| instants.push(instant));
    let instants = instants.finish();
    let source = column(LogicalType::new("timestamp-tz", Layout::Int64), true);
    let table = Table { columns: vec![source.clone()], ..Table::default() };
    for (infinity, infinite) in [(Infinity::Null, None), (Infinity::Clamp, Some(end - 1))] {
        let configuration =
            Configuration { infinity, timestamptz: TimestamptzAs::Timestamp, ..Configuration::default() };
        let mapping = map::table(&table, &[], &configuration).expect("maps").remove(0);
        assert_eq!(mapping.targets[0].declared, "timestamp(6)");
        let open = super::open(std::slice::from_ref(&source), &mapping.targets).expect("opens");
        let converted = open.convert(std::slice::from_ref(&instants)).expect("converts");
        let rejected: Vec<_> = converted.rejects.iter().map(|(row, failure)| (*row, failure.code.as_str())).collect();
        assert_eq!(rejected, [1, 2, 3].map(|row| (row, "convert.out-of-range")));
        let kept: Vec<Option<i64>> = Int64View::new(&converted.outputs[0]).expect("instants").iter().collect();
        assert_eq!((kept[0], kept[4]), (Some(7_000_000), infinite));
    }
}

#[test]
fn a_column_without_nulls_rejects_what_cannot_be_null() {
    let mut instants = Int64Builder::default();
    instants.push(i64::MAX);
    let source = column(LogicalType::new("timestamp-tz", Layout::Int64), false);
    let converted = convert(&source, &instants.finish(), Infinity::Null);
    assert_eq!(converted.rejects.len(), 1);
}

#[test]
fn the_slot_of_a_null_may_hold_anything() {
    let mut instants = Int64Builder::default();
    instants.push(1);
    instants.push_null();
    let mut array = instants.finish();
    if let millrace_plugin_sdk::Values::Int64(slots) = &mut array.values {
        slots[1] = i64::MIN;
    }
    let source = column(LogicalType::new("timestamp", Layout::Int64), true);
    let converted = convert(&source, &array, Infinity::Reject);
    assert!(converted.rejects.is_empty());
    assert!(converted.outputs[0].is_null(1));
}

#[test]
fn doubles_are_finite() {
    let mut numbers = Float64Builder::default();
    [1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().for_each(|n| numbers.push(n));
    let source = column(LogicalType::new("float", Layout::Float64), true);
    let converted = convert(&source, &numbers.finish(), Infinity::Clamp);
    let kept: Vec<Option<f64>> = Float64View::new(&converted.outputs[0]).expect("doubles").iter().collect();
    assert_eq!(kept, [Some(1.5), None, Some(f64::MAX), Some(f64::MIN)]);
    assert_eq!(converted.rejects.len(), 1);
    assert_eq!(converted.rejects[0].1.field("value"), Some("NaN"));
}

#[test]
fn reals_keep_the_digits_that_the_source_shows() {
    let mut numbers = Float32Builder::default();
    [0.1_f32, 16_777_216.0, 3.4e38, 1e-45, -2.5].into_iter().for_each(|n| numbers.push(n));
    let source = column(LogicalType::new("float", Layout::Float32), true);
    let converted = convert(&source, &numbers.finish(), Infinity::Reject);
    let kept: Vec<Option<f64>> = Float64View::new(&converted.outputs[0]).expect("doubles").iter().collect();
    assert_eq!(kept, [Some(0.1), Some(16_777_216.0), Some(3.4e38), Some(1e-45), Some(-2.5)]);
}

#[test]
fn declared_decimals_are_checked_for_nan_only() {
    let source = column(LogicalType::new("decimal", Layout::Varlen).with("precision", "5").with("scale", "2"), true);
    let converted = convert(&source, &texts(&[Some("1.50"), None, Some("NaN"), Some("-3.00")]), Infinity::Reject);
    assert_eq!(texts_of(&converted), [some("1.50"), None, None, some("-3.00")]);
    assert_eq!(converted.rejects[0].0, 2);
}

#[test]
fn decimals_with_more_digits_than_the_column_are_rejected_and_never_cut() {
    let source = column(LogicalType::new("decimal", Layout::Varlen), true);
    let long = "1".repeat(36);
    let fine = format!("0.{}", "1".repeat(31));
    let input = texts(&[Some("1.5"), Some(&long), Some(&fine), Some("Infinity"), Some("-Infinity")]);
    let converted = convert(&source, &input, Infinity::Clamp);
    let largest = format!("{}.{}", "9".repeat(35), "9".repeat(30));
    assert_eq!(texts_of(&converted), [some("1.5"), None, None, some(&largest), some(&format!("-{largest}"))]);
    assert_eq!(converted.rejects.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2]);
    assert!(converted.rejects[0].1.message.contains("decimal(65,30)"), "{}", converted.rejects[0].1.message);
}

#[test]
fn blanks_at_the_end_of_char_are_not_the_values() {
    let source = column(LogicalType::new("text", Layout::Varlen).with("length", "5").with("fixed", "true"), true);
    let converted = convert(&source, &texts(&[Some("ab   "), None, Some("     "), Some(" x")]), Infinity::Reject);
    assert_eq!(texts_of(&converted), [some("ab"), None, some(""), some(" x")]);
}

#[test]
fn documents_that_json_would_change_are_rejected_with_their_own_codes() {
    let json = column(LogicalType::new("json", Layout::Varlen), true);
    let input = texts(&[
        Some(r#"{"a":1}"#),
        Some(r#"{"a":1,"a":2}"#),
        Some("[12345678901234567890123]"),
        None,
        Some(r#""\ud83d""#),
    ]);
    let converted = convert(&json, &input, Infinity::Reject);
    let codes: Vec<(u32, &str)> = converted.rejects.iter().map(|(row, f)| (*row, f.code.as_str())).collect();
    assert_eq!(codes, [(1, "convert.json-duplicate-key"), (2, "convert.json-number"), (4, "convert.json-unsupported")]);
    assert_eq!(texts_of(&converted), [some(r#"{"a":1}"#), None, None, None, None]);
}

#[test]
fn a_uuid_is_sixteen_bytes_where_the_pipeline_says_so() {
    let source = column(LogicalType::new("uuid", Layout::Fixed), true);
    let target = column(LogicalType::new("bytes", Layout::Varlen), true);
    let mut uuids = millrace_plugin_sdk::build::FixedBuilder::with_capacity(16, 2);
    uuids.push(&[7; 16]);
    uuids.push_null();
    let open = super::open(&[source], &[target]).expect("opens");
    let converted = open.convert(&[uuids.finish()]).expect("converts");
    assert_eq!(BytesView::new(&converted.outputs[0]).expect("bytes").get(0), Some(&[7_u8; 16][..]));
    assert!(converted.outputs[0].is_null(1));
}

#[test]
fn a_conversion_of_unknown_columns_is_refused() {
    let text = column(LogicalType::new("text", Layout::Varlen), true);
    let date = column(LogicalType::new("date", Layout::Int32), true);
    let refused = super::open(&[text], &[date]).err().expect("refused");
    assert_eq!(refused.code, "convert.unknown-conversion");
}
