//! What a plugin of any world can do wrong by itself: it never ends, takes all memory, recurses, talks without end, uses
//! handles that it was not lent, returns what is too large. Each costs its call, within its deadline.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use millrace_columnar::{Batch, RowHasher};
use millrace_model::capability::{CatalogSession, TablePair, TextRows};
use millrace_model::comparison::{Difference, Digest, KeyRange, Reading, RowDifferences};
use millrace_model::schema::DatabaseModel;
use millrace_model::switching::{Artefact, ArtefactKind, Removal, Swap};
use millrace_model::{Column, Failure, Layout, LogicalType, Table, TableName};
use millrace_rowcopy::port::{BatchStream, BatchWriter, ChunkCopier, Pace};
use millrace_rowcopy::{HashedBatch, canonical_kinds};
use millrace_runtime::{Limits, Plugin, Runtime, RuntimeOptions, StageContext};
use millrace_test_guests::{
    HOSTILE_CLEANER, HOSTILE_COPIER, HOSTILE_DIFFER, HOSTILE_MODEL_SOURCE, HOSTILE_SWITCHER, HOSTILE_VALIDATOR,
};

use willing::Willing;

#[path = "common/willing.rs"]
mod willing;

/// How long one call may take here; and with everything around it, on a busy machine.
const DEADLINE: Duration = Duration::from_millis(500);
const ENDED_BY: Duration = Duration::from_secs(20);

struct Plugins {
    model_source: Plugin,
    differ: Plugin,
    copier: Plugin,
    validator: Plugin,
    switcher: Plugin,
    cleaner: Plugin,
}

static PLUGINS: LazyLock<Plugins> = LazyLock::new(|| {
    let limits = Limits {
        memory_bytes: 64 << 20,
        call_deadline: DEADLINE,
        list_items: 1_000,
        held_bytes: 10_000,
        ..Limits::default()
    };
    let runtime = Runtime::new(RuntimeOptions { cache_dir: None, limits }).unwrap();
    let load = |bytes| runtime.load(bytes, "hostile.wasm").unwrap();
    Plugins {
        model_source: load(HOSTILE_MODEL_SOURCE),
        differ: load(HOSTILE_DIFFER),
        copier: load(HOSTILE_COPIER),
        validator: load(HOSTILE_VALIDATOR),
        switcher: load(HOSTILE_SWITCHER),
        cleaner: load(HOSTILE_CLEANER),
    }
});

fn context(face: &str) -> StageContext {
    StageContext::new("hostile", format!(r#"{{"face":"{face}","with":"x"}}"#))
}

/// Answers nothing.
struct Silent;

impl CatalogSession for Silent {
    fn dialect(&self) -> String {
        "postgres".to_owned()
    }
    fn version(&self) -> String {
        "18".to_owned()
    }
    fn query(&mut self, _: &str, _: &[String]) -> Result<TextRows, Failure> {
        Ok(Vec::new())
    }
}

impl TablePair for Silent {
    fn source_name(&self) -> String {
        "s".to_owned()
    }
    fn target_name(&self) -> String {
        "t".to_owned()
    }
    fn counts(&mut self) -> Result<(u64, u64), Failure> {
        Ok((0, 0))
    }
    fn ranges(&mut self, rows_each: u64) -> Result<Vec<KeyRange>, Failure> {
        assert!(rows_each >= 100, "ranges of {rows_each} rows are not asked for");
        Ok(vec![KeyRange::default()])
    }
    fn digests(&mut self, _: &[KeyRange], _: Reading) -> Result<Vec<(Digest, Digest)>, Failure> {
        Ok(Vec::new())
    }
    fn differences(&mut self, _: &[KeyRange], limit: u32) -> Result<RowDifferences, Failure> {
        assert!(limit < u32::MAX, "no more is listed than there is room for");
        Ok(RowDifferences::default())
    }
    fn sample(&mut self, _: u32, _: u64) -> Result<RowDifferences, Failure> {
        panic!("a sample of everything is not drawn")
    }
    fn schema(&mut self) -> Result<Vec<Difference>, Failure> {
        Ok(Vec::new())
    }
    fn violations(&mut self) -> Result<Vec<Difference>, Failure> {
        Ok(Vec::new())
    }
}

/// A thousand batches of a kilobyte, and never more at once than there is room for.
struct Rows {
    columns: Vec<Column>,
    left: u32,
}

impl Rows {
    fn new() -> Self {
        let logical = LogicalType::new("text", Layout::Varlen);
        Self { columns: vec![Column { name: "c".to_owned(), logical, ..Column::default() }], left: 1_000 }
    }
}

impl BatchStream for Rows {
    fn columns(&self) -> &[Column] {
        &self.columns
    }
    fn next(&mut self, _: u32, max_bytes: u64) -> Result<Option<HashedBatch>, Failure> {
        assert!(max_bytes <= 10_000, "{max_bytes} bytes are more than it may hold");
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let values = millrace_columnar::Values::Varlen { offsets: vec![0, 1_000], data: vec![b'x'; 1_000] };
        let column = millrace_columnar::Array { rows: 1, validity: None, values };
        let batch = Batch { rows: 1, columns: vec![column] };
        Ok(Some(HashedBatch::new(batch, &mut RowHasher::new(canonical_kinds(&self.columns)))))
    }
}

struct Sink;

impl BatchWriter for Sink {
    fn write(&mut self, _: HashedBatch) -> Result<(), Failure> {
        Ok(())
    }
    fn insert_select(&mut self) -> Result<u64, Failure> {
        Err(Failure::unsupported("copy.not-in-server", "no"))
    }
    fn pace(&self) -> Pace {
        Pace::default()
    }
    fn ask_for_workers(&self, _: u32) {}
    fn commit(&mut self) -> Result<u64, Failure> {
        Ok(0)
    }
}

fn name(text: &str) -> TableName {
    TableName::bare(text)
}

fn swaps() -> Vec<Swap> {
    vec![Swap { live: name("a"), shadow: name("a_new"), backup: name("a_old") }]
}

fn load(face: &str) -> Result<(), Failure> {
    let session: Box<dyn CatalogSession> = Box::new(Silent);
    PLUGINS.model_source.model_source(&context(face)).unwrap().load(Some(session), None).map(drop)
}

fn diff(face: &str) -> Result<(), Failure> {
    let model = DatabaseModel::default();
    PLUGINS.differ.differ(&context(face)).unwrap().diff(&model, &model).map(drop)
}

fn copy(face: &str) -> Result<(), Failure> {
    let mut copier = PLUGINS.copier.copier(&context(face)).unwrap();
    copier.copy(&KeyRange::default(), Box::new(Rows::new()), Box::new(Sink)).map(drop)
}

fn plan_copy(face: &str) -> Result<(), Failure> {
    PLUGINS.copier.copier(&context(face)).unwrap().plan(&Table::default(), 1, 1, &[], 2).map(drop)
}

fn validate(face: &str) -> Result<(), Failure> {
    PLUGINS.validator.validator(&context(face)).unwrap().validate(Box::new(Silent)).map(drop)
}

fn switch(face: &str) -> Result<(), Failure> {
    PLUGINS
        .switcher
        .switcher(&context(face))
        .unwrap()
        .apply("only", &swaps(), Box::new(Willing(|_: &TableName| true)))
        .map(drop)
}

fn plan_switch(face: &str) -> Result<(), Failure> {
    PLUGINS.switcher.switcher(&context(face)).unwrap().plan(&swaps()).map(drop)
}

fn clean(face: &str) -> Result<(), Failure> {
    let removal = Removal { table: name("a_old"), why: String::new() };
    PLUGINS.cleaner.cleaner(&context(face)).unwrap().apply(&removal, Box::new(Willing(|_: &TableName| true)))
}

fn plan_clean(face: &str) -> Result<(), Failure> {
    let artefact =
        Artefact { kind: ArtefactKind::Backup, table: name("a_old"), run: "r".to_owned(), age_seconds: 9_999_999 };
    PLUGINS.cleaner.cleaner(&context(face)).unwrap().plan(&[artefact]).map(drop)
}

type Call = fn(&str) -> Result<(), Failure>;

const WORLDS: [(&str, Call); 6] = [
    ("model source", load),
    ("differ", diff),
    ("copier", copy),
    ("validator", validate),
    ("switcher", switch),
    ("cleaner", clean),
];

/// Shows a face, which must end with this code before long.
fn ends(world: &str, call: Call, face: &str, code: &str) {
    let began = Instant::now();
    let failure = call(face).expect_err(face);
    assert_eq!(failure.code, code, "{world}, {face}: {failure}");
    assert!(began.elapsed() < ENDED_BY, "{world}, {face}: {:?}", began.elapsed());
}

#[test]
fn a_plugin_of_any_world_that_never_ends_is_stopped_at_its_deadline() {
    std::thread::scope(|scope| {
        for (world, call) in WORLDS {
            scope.spawn(move || ends(world, call, "loop", "plugin.deadline"));
        }
        scope.spawn(|| ends("copier", plan_copy, "loop-while-planning", "plugin.deadline"));
        scope.spawn(|| ends("cleaner", plan_clean, "loop-while-planning", "plugin.deadline"));
    });
}

#[test]
fn a_plugin_of_any_world_that_panics_recurses_exits_or_sleeps_costs_its_call_alone() {
    for (world, call) in WORLDS {
        for face in ["panic", "recursion", "exit", "sleep", "chatter"] {
            ends(world, call, face, "plugin.trap");
        }
    }
}

#[test]
fn a_plugin_of_any_world_that_hoards_memory_is_stopped_at_its_bound() {
    for (world, call) in WORLDS {
        ends(world, call, "hoard", "plugin.memory");
    }
}

#[test]
fn handles_that_were_not_lent_or_were_given_away_trap() {
    ends("model source", load, "foreign-handle", "plugin.trap");
    ends("validator", validate, "foreign-handle", "plugin.trap");
    ends("switcher", switch, "foreign-handle", "plugin.trap");
    for face in ["foreign-handle", "after-write", "no-such-column"] {
        ends("copier", copy, face, "plugin.trap");
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_taken() {
    let planners: [(&str, Call); 5] = [
        ("model source", load),
        ("differ", diff),
        ("validator", validate),
        ("switcher", plan_switch),
        ("cleaner", plan_clean),
    ];
    for (world, call) in planners {
        ends(world, call, "giant", "plugin.returned-too-much");
        if world != "cleaner" {
            ends(world, call, "endless", "plugin.returned-too-much");
        }
    }
    ends("switcher", switch, "giant-state", "plugin.returned-too-much");
    ends("copier", plan_copy, "empty-chunks", "plugin.malformed");
}

#[test]
fn a_copier_that_keeps_its_batches_gets_no_more() {
    ends("copier", copy, "hoards-batches", "plugin.holds-too-much");
}

#[test]
fn a_copier_that_wants_a_whole_table_at_once_gets_what_it_may_hold() {
    copy("takes-all-at-once").unwrap();
}

#[test]
fn a_validator_that_asks_for_everything_gets_what_there_is_room_for() {
    ends("validator", validate, "everything", "hostile.all-refused");
}

#[test]
fn a_switcher_and_a_cleaner_have_rights_on_the_tables_of_their_call_alone() {
    ends("switcher", switch, "strangers", "hostile.all-refused");
    ends("cleaner", clean, "strangers", "hostile.all-refused");
    ends("cleaner", plan_clean, "unoffered", "plugin.malformed");
    ends("cleaner", plan_clean, "other-database", "plugin.malformed");
    ends("cleaner", plan_clean, "twice", "plugin.malformed");
}

#[test]
fn log_lines_are_counted_over_all_instances_of_a_stage() {
    let context = context("chatter");
    let first = PLUGINS.differ.differ(&context).unwrap();
    for mut differ in [first, PLUGINS.differ.differ(&context).unwrap()] {
        let model = DatabaseModel::default();
        differ.diff(&model, &model).expect_err("it panics at last");
    }
    assert_eq!(context.account.log_lines(), 2_000, "a thousand a call");
}

/// As [`Rows`]; once the fifth batch is asked for, another copier of the stage comes and hoards as well.
struct Beside {
    rows: Rows,
    context: StageContext,
}

impl BatchStream for Beside {
    fn columns(&self) -> &[Column] {
        self.rows.columns()
    }
    fn next(&mut self, rows: u32, bytes: u64) -> Result<Option<HashedBatch>, Failure> {
        if self.rows.left == 996 {
            let held = self.context.account.held_bytes();
            assert!(held > 4_000, "four batches are held, and {held} bytes counted");
            let failure = hoard(&self.context, Box::new(Rows::new()));
            assert!(failure.message.contains("of them this one"), "{failure}");
            assert_eq!(self.context.account.held_bytes(), held, "what was kept goes with its instance");
        }
        self.rows.next(rows, bytes)
    }
}

fn hoard(context: &StageContext, rows: Box<dyn BatchStream>) -> Failure {
    let mut copier = PLUGINS.copier.copier(context).unwrap();
    let failure = copier.copy(&KeyRange::default(), rows, Box::new(Sink)).expect_err("it holds too much");
    assert_eq!(failure.code, "plugin.holds-too-much", "{failure}");
    failure
}

#[test]
fn copiers_of_one_stage_share_what_they_may_hold() {
    let context = context("hoards-batches");
    let rows = Beside { rows: Rows::new(), context: context.clone() };
    hoard(&context, Box::new(rows));
    assert_eq!(context.account.held_bytes(), 0);
}
