//! What a plugin can do wrong, and what the host makes of it: one failure that names the plugin, and a host
//! that goes on.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use millrace_columnar::{Array, Values};
use millrace_model::{Cancel, Column, Failure, Fault, Layout, LogicalType, StageKind, Table, TableName};
use millrace_runtime::{Converted, Converter, Limits, Plugin, Runtime, RuntimeOptions, StageContext};
use millrace_test_guests::HOSTILE;

static PLUGIN: LazyLock<Plugin> = LazyLock::new(|| {
    let limits = Limits {
        memory_bytes: 192 << 20,
        call_deadline: Duration::from_secs(2),
        list_items: 1_000,
        calls_per_instance: 1_000,
        ..Limits::default()
    };
    Runtime::new(RuntimeOptions { cache_dir: None, limits }).unwrap().load(HOSTILE, "hostile.wasm").unwrap()
});

fn context(face: &str) -> StageContext {
    StageContext::new("phones", format!(r#"{{"face":"{face}"}}"#))
}

fn converter(face: &str) -> Converter {
    PLUGIN.converter(&context(face)).unwrap()
}

fn text_column() -> Column {
    Column { name: "c".to_owned(), logical: LogicalType::new("text", Layout::Varlen), ..Column::default() }
}

fn table() -> Table {
    Table { name: TableName::new("public", "t"), columns: vec![text_column()], ..Table::default() }
}

fn words() -> Array {
    Array {
        rows: 3,
        validity: Some(vec![0b101]),
        values: Values::Varlen { offsets: vec![0, 1, 1, 3], data: "aä".as_bytes().to_vec() },
    }
}

fn convert_with(converter: &mut Converter) -> Result<Converted, Failure> {
    let conversion = converter.open(&[text_column()], &[text_column()])?;
    converter.convert(conversion, &[&words()])
}

fn convert(face: &str) -> Result<Converted, Failure> {
    convert_with(&mut converter(face))
}

/// The failure of a face, which must have this code and name the plugin and its stage.
fn failure(face: &str, code: &str) -> Failure {
    let failure = convert(face).expect_err(face);
    assert_eq!(failure.code, code, "{face}: {failure}");
    assert_eq!(failure.field("plugin"), Some("hostile"), "{face}: {failure:?}");
    assert_eq!(failure.field("stage"), Some("phones"), "{face}: {failure:?}");
    assert_eq!(failure.field("digest").map(str::len), Some(12), "{face}: {failure:?}");
    failure
}

/// A failure whose message holds these words.
fn says(face: &str, code: &str, words: &str) {
    let failure = failure(face, code);
    assert!(failure.message.contains(words), "{face}: {failure}");
}

#[test]
fn a_guest_that_behaves_gets_and_gives_arrays_unchanged() {
    assert_eq!(PLUGIN.kind(), StageKind::Converter);
    assert_eq!(PLUGIN.description().name, "hostile");
    let converted = convert("echo").unwrap();
    assert_eq!(converted, Converted { outputs: vec![words()], rejects: vec![] });
}

#[test]
fn every_layout_survives_the_boundary() {
    let given = [
        (Values::Bits(vec![0b101]), Layout::Bits, "boolean"),
        (Values::Int16(vec![-1, 2, i16::MAX]), Layout::Int16, "integer"),
        (Values::Int32(vec![-1, 2, i32::MIN]), Layout::Int32, "integer"),
        (Values::Int64(vec![-1, 2, i64::MAX]), Layout::Int64, "integer"),
        (Values::Float32(vec![-0.5, 2.0, f32::INFINITY]), Layout::Float32, "float"),
        (Values::Float64(vec![-0.5, 2.0, f64::MIN_POSITIVE]), Layout::Float64, "float"),
        (Values::Fixed { width: 16, data: (0..48).collect() }, Layout::Fixed, "uuid"),
        (Values::Varlen { offsets: vec![0, 2, 2, 3], data: vec![0xff, 0, 7] }, Layout::Varlen, "bytes"),
    ];
    let columns: Vec<Column> = given
        .iter()
        .map(|(_, layout, name)| Column { logical: LogicalType::new(*name, *layout), ..text_column() })
        .collect();
    let arrays: Vec<Array> =
        given.into_iter().map(|(values, _, _)| Array { rows: 3, validity: None, values }).collect();
    let mut converter = converter("echo");
    let conversion = converter.open(&columns, &columns).unwrap();
    let converted = converter.convert(conversion, &arrays.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(converted.outputs, arrays);
}

#[test]
fn a_panic_becomes_a_failure_with_the_guests_own_words() {
    let failure = failure("panic", "plugin.trap");
    assert!(failure.message.contains("the roof is on fire"), "{failure}");
    assert_eq!(failure.fault, Fault::Internal);
}

#[test]
fn only_the_end_of_standard_error_is_kept_and_the_panic_is_in_it() {
    let failure = failure("panic-after-noise", "plugin.trap");
    assert!(failure.message.contains("heard at last"), "{failure}");
    assert!(failure.field("stderr").unwrap().len() <= 8 << 10);
}

#[test]
fn a_guest_that_never_ends_is_stopped_and_so_is_its_recursion() {
    let began = Instant::now();
    says("loop", "plugin.deadline", "it ran for more than 2s");
    assert!(began.elapsed() < Duration::from_secs(20));
    failure("recursion", "plugin.trap");
}

#[test]
fn a_cancelled_run_stops_its_guests() {
    let cancel = Cancel::new();
    let mut converter = PLUGIN.converter(&StageContext { cancel: cancel.clone(), ..context("loop") }).unwrap();
    let conversion = converter.open(&[text_column()], &[text_column()]).unwrap();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        cancel.cancel();
    });
    let failure = converter.convert(conversion, &[&words()]).expect_err("cancelled");
    stopper.join().unwrap();
    assert_eq!((failure.fault, failure.code.as_str()), (Fault::Cancelled, "run.cancelled"));
}

#[test]
fn a_guest_that_hoards_memory_is_stopped_at_its_bound() {
    says("hoard", "plugin.memory", "192 MiB");
}

#[test]
fn a_guest_that_exits_or_sleeps_breaks_down_and_the_host_does_not() {
    says("exit", "plugin.trap", "exited");
    says("sleep", "plugin.trap", "may not sleep");
}

#[test]
fn there_is_no_file_no_environment_no_network_and_no_clock() {
    failure("file", "hostile.no-file");
    failure("network", "hostile.no-network");
    assert_eq!(failure("environment", "hostile.environment").message, "0");
    assert_eq!(failure("clock", "hostile.clock").message, "0");
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    says("no-columns", "plugin.malformed", "0 columns instead of 1");
    says("fewer-rows", "plugin.malformed", "column c: 2 rows instead of 3");
    says("short-validity", "plugin.malformed", "0 bytes of validity instead of 1");
    says("wrong-layout", "plugin.malformed", "Int64 values instead of Varlen");
    says("overlapping-offsets", "plugin.malformed", "go back after row 1");
    says("offsets-beyond", "plugin.malformed", "end at 3000 where 9 bytes are");
    says("no-utf8", "plugin.malformed", "row 0 is no UTF-8");
    says("rejects-outside", "plugin.malformed", "row 3 is rejected of a batch of 3 rows");
    says("rejects-twice", "plugin.malformed", "row 0 is rejected twice");
}

#[test]
fn too_much_is_refused_before_it_is_taken() {
    says("giant-column", "plugin.returned-too-much", "64 MiB");
    let failure = converter("giant-string").map_table(&table(), &[], "oceanbase").expect_err("too long");
    assert_eq!(failure.code, "plugin.returned-too-much", "{failure}");
    let failure = converter("endless-list").profiles(&table(), "oceanbase").expect_err("too many");
    assert_eq!(failure.code, "plugin.returned-too-much", "{failure}");
    let failure = converter("unknown-column").profiles(&table(), "oceanbase").expect_err("no such column");
    assert_eq!(failure.code, "plugin.malformed", "{failure}");
}

#[test]
fn a_guests_own_error_keeps_its_code_and_one_without_a_code_gets_one() {
    let own = failure("own-error", "hostile.own-error");
    assert_eq!((own.fault, own.message.as_str()), (Fault::Data, "it says no"));
    let unnamed = failure("unnamed-error", "plugin.unnamed-error");
    assert_eq!(unnamed.field("guest-code"), Some("What Ever!"));
}

#[test]
fn a_rejected_row_is_no_error() {
    let converted = convert("rejects-first").unwrap();
    assert_eq!(converted.rejects.len(), 1);
    assert_eq!((converted.rejects[0].0, converted.rejects[0].1.code.as_str()), (0, "hostile.row"));
}

#[test]
fn chatter_is_cut_off_and_does_no_harm() {
    convert("chatter-and-go-on").unwrap();
}

#[test]
fn a_broken_instance_is_replaced_and_conversions_stay_open() {
    let mut converter = converter("panic-once");
    let conversion = converter.open(&[text_column()], &[text_column()]).unwrap();
    let outcomes: Vec<bool> = (0..7).map(|_| converter.convert(conversion, &[&words()]).is_ok()).collect();
    assert_eq!(outcomes, [true, true, false, true, true, false, true]);
}

#[test]
fn workers_of_several_threads_share_conversions_and_nothing_else() {
    let mut first = converter("panic-once");
    let conversion = first.open(&[text_column()], &[text_column()]).unwrap();
    first.convert(conversion, &[&words()]).unwrap();
    first.convert(conversion, &[&words()]).unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let mut worker = first.instance();
            std::thread::spawn(move || (0..2).all(|_| worker.convert(conversion, &[&words()]).is_ok()))
        })
        .collect();
    for worker in workers {
        assert!(worker.join().unwrap(), "its instance is its own: no call is its third");
    }
}

#[test]
fn configurations_are_checked_by_the_plugin() {
    let check = |face: &str| PLUGIN.check_config(&context(face).config_json);
    assert_eq!(check("echo").unwrap(), []);
    let problems = check("refuses-configuration").unwrap();
    assert_eq!((problems[0].path.as_str(), problems[0].message.as_str()), ("/face", "not this one"));
    assert_eq!(check("refuses-without-reason").expect_err("no reason").code, "plugin.malformed");
    assert_eq!(check("panics-at-configuration").expect_err("it panics").code, "plugin.trap");
    let refused = PLUGIN.converter(&context("refuses-configuration")).map(|_| ()).expect_err("refused");
    assert_eq!(refused.code, "plugin.config");
    assert!(refused.message.contains("/face: not this one"), "{refused}");
}

#[test]
fn a_plugin_of_another_kind_is_refused() {
    let failure = PLUGIN.differ(&context("echo")).map(|_| ()).expect_err("a converter");
    assert_eq!(failure.code, "plugin.wrong-kind");
    assert!(failure.message.contains("it is a converter, and a differ is needed"), "{failure}");
}

#[test]
fn what_is_no_plugin_is_refused_with_what_it_is() {
    let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
    let refuse = |bytes: &[u8]| runtime.load(bytes, "some.wasm").map(|_| ()).expect_err("no plugin");
    for (bytes, words) in [
        (&b""[..], "it is empty"),
        (b"hello", "it is not WebAssembly"),
        (b"\x7fELF\x02\x01", "compiled code is never taken from outside"),
        (b"\0asm\x01\0\0\0", "core WebAssembly module"),
        (&HOSTILE[..HOSTILE.len() / 2], "it does not compile"),
    ] {
        let failure = refuse(bytes);
        assert_eq!(failure.code, "plugin.not-a-component", "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
    let nothing = refuse(b"\0asm\x0d\0\x01\0");
    assert_eq!(nothing.code, "plugin.unknown-world", "{nothing}");
}

#[test]
fn compiled_code_is_found_again_and_a_damaged_file_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache_dir = Some(folder.path().join("compiled"));
    let options = RuntimeOptions { cache_dir, ..RuntimeOptions::default() };
    let load = || {
        let began = Instant::now();
        Runtime::new(options.clone()).unwrap().load(HOSTILE, "hostile.wasm").unwrap();
        began.elapsed()
    };
    let cold = load();
    let warm = load();
    assert!(warm < cold, "warm {warm:?}, cold {cold:?}");
    let mut damaged = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                std::fs::write(entry.path(), b"damaged").unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0);
    load();
}

#[test]
fn workers_of_one_stage_share_what_their_guests_may_grow_to() {
    let limits = Limits { stage_memory_bytes: 20 << 20, ..Limits::default() };
    let runtime = Runtime::new(RuntimeOptions { cache_dir: None, limits }).unwrap();
    let plugin = runtime.load(HOSTILE, "hostile.wasm").unwrap();
    let context = context("identity");
    let mut workers = Vec::new();
    let failure = loop {
        assert!(workers.len() < 20, "each has a stack of four mebibytes at least");
        match plugin.converter(&context) {
            Ok(worker) => workers.push(worker),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.code, "plugin.memory", "{failure}");
    assert!(!workers.is_empty());
    drop(workers);
    assert_eq!(context.account.memory_bytes(), 0, "what has ended holds nothing");
    plugin.converter(&context).expect("there is room again");
}
