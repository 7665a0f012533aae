//! The first-party plugins on the runtime: what is lent to them reaches what lends it, whichever kind they are.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, LazyLock, Mutex};

use millrace_columnar::{Array, Batch, RowHasher, Values};
use millrace_model::capability::TableAdmin;
use millrace_model::comparison::KeyRange;
use millrace_model::{
    Artefact, ArtefactKind, Check, Column, DatabaseModel, Failure, Layout, LogicalType, StageKind, Table, TableName,
};
use millrace_rowcopy::port::{BatchStream, BatchWriter, ChunkCopier, Pace};
use millrace_rowcopy::{HashedBatch, canonical_kinds};
use millrace_runtime::{Plugin, Runtime, RuntimeOptions, StageContext};

/// All of them, compiled once for all tests.
static PLUGINS: LazyLock<Vec<(&str, Plugin)>> = LazyLock::new(|| {
    let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
    millrace_bundle::PLUGINS.iter().map(|(name, bytes)| (*name, runtime.load(bytes, "built in").unwrap())).collect()
});

fn plugin(name: &str) -> &'static Plugin {
    PLUGINS.iter().find(|(known, _)| *known == name).map(|(_, plugin)| plugin).unwrap()
}

fn context() -> StageContext {
    StageContext::new("stage", "{}")
}

#[test]
fn every_first_party_plugin_loads_and_says_who_it_is() {
    for (name, plugin) in PLUGINS.iter() {
        assert_eq!(plugin.description().name, *name);
        assert_eq!(plugin.sha256().len(), 64);
        let expected = match *name {
            "clean-expired" => StageKind::Cleaner,
            "convert-oceanbase" => StageKind::Converter,
            "copy-adaptive" | "copy-in-server" | "copy-range" | "copy-stream" => StageKind::Copier,
            "differ" => StageKind::Differ,
            "switch-rename" => StageKind::Switcher,
            "validate" => StageKind::Validator,
            _ => StageKind::ModelSource,
        };
        assert_eq!(plugin.kind(), expected, "{name}");
    }
}

#[test]
fn an_unknown_key_of_a_configuration_is_a_problem() {
    let problems = plugin("copy-range").check_config(r#"{"wrokers": 8}"#).unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.contains("wrokers"), "{problems:?}");
}

#[test]
fn a_document_comes_out_as_the_model_that_went_in() {
    let column = Column {
        name: "größe".to_owned(),
        declared: "numeric(12,2)".to_owned(),
        logical: LogicalType::new("decimal", Layout::Varlen).with("precision", "12").with("scale", "2"),
        nullable: true,
        default_expression: Some("0".to_owned()),
        ..Column::default()
    };
    let model = DatabaseModel {
        dialect: "postgres".to_owned(),
        version: "18.4".to_owned(),
        tables: vec![Table { name: TableName::new("public", "a table"), columns: vec![column], ..Table::default() }],
        objects: vec![],
    };
    let document = millrace_model::document::write(&model);
    let mut source = plugin("model-file").model_source(&context()).unwrap();
    assert_eq!(source.load(None, Some(document)).unwrap(), model);
    assert!(source.load(None, Some("no model".to_owned())).is_err());
}

#[test]
fn two_models_cross_the_boundary_at_once() {
    let model = DatabaseModel { dialect: "oceanbase".to_owned(), ..DatabaseModel::default() };
    let mut differ = plugin("differ").differ(&context()).unwrap();
    assert_eq!(differ.diff(&model, &model).unwrap(), []);
}

#[test]
fn an_expression_in_many_brackets_is_compared_or_left_as_text_but_never_traps() {
    for depth in [10, 24, 48, 100, 10_000] {
        let table = |expression: String| DatabaseModel {
            tables: vec![Table {
                name: TableName::bare("t"),
                checks: vec![Check { name: "c".to_owned(), expression }],
                ..Table::default()
            }],
            ..DatabaseModel::default()
        };
        let nested = format!("{}a{}", "(not ".repeat(depth), ")".repeat(depth));
        let mut differ = plugin("differ").differ(&context()).unwrap();
        let changes = differ
            .diff(&table(nested.clone()), &table(nested.to_uppercase()))
            .unwrap_or_else(|e| panic!("{depth}: {e}"));
        assert_eq!(changes, [], "{depth}");
    }
}

/// Three batches of two rows, and what was written of them.
struct Rows {
    columns: Vec<Column>,
    left: Vec<HashedBatch>,
}

impl BatchStream for Rows {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn next(&mut self, _: u32, _: u64) -> Result<Option<HashedBatch>, Failure> {
        Ok(self.left.pop())
    }
}

#[derive(Clone, Default)]
struct Written {
    rows: Arc<Mutex<(u64, bool)>>,
    asked: Arc<Mutex<Vec<u32>>>,
    refuse: bool,
}

impl BatchWriter for Written {
    fn write(&mut self, batch: HashedBatch) -> Result<(), Failure> {
        if self.refuse {
            return Err(Failure::transient("copy.test", "the target is gone"));
        }
        self.rows.lock().unwrap().0 += batch.rows() as u64;
        Ok(())
    }

    fn insert_select(&mut self) -> Result<u64, Failure> {
        Err(Failure::unsupported("copy.not-in-server", "the rows come from elsewhere"))
    }

    fn pace(&self) -> Pace {
        Pace { workers: 2, statement_microseconds: 1_000, ..Pace::default() }
    }

    fn ask_for_workers(&self, workers: u32) {
        self.asked.lock().unwrap().push(workers);
    }

    fn commit(&mut self) -> Result<u64, Failure> {
        let mut rows = self.rows.lock().unwrap();
        rows.1 = true;
        Ok(rows.0)
    }
}

fn rows() -> Rows {
    let columns = vec![Column {
        name: "id".to_owned(),
        logical: LogicalType::new("integer", Layout::Int64),
        ..Column::default()
    }];
    let batch = Batch { rows: 2, columns: vec![Array { rows: 2, validity: None, values: Values::Int64(vec![1, 2]) }] };
    let batch = HashedBatch::new(batch, &mut RowHasher::new(canonical_kinds(&columns)));
    Rows { columns, left: vec![batch.clone(), batch.clone(), batch] }
}

#[test]
fn a_copier_moves_every_batch_and_commits() {
    for name in ["copy-range", "copy-stream", "copy-adaptive", "copy-in-server"] {
        let mut copier = plugin(name).copier(&context()).unwrap();
        let chunking = copier.plan(&Table::default(), 1_000_000, 100_000_000, &["id".to_owned()], 4).unwrap();
        assert!(chunking.rows_per_chunk >= 1 && (1..=4).contains(&chunking.parallel), "{name}: {chunking:?}");
        let written = Written::default();
        let mut worker = copier.instance();
        for _ in 0..2 {
            *written.rows.lock().unwrap() = (0, false);
            let copied = worker.copy(&KeyRange::default(), Box::new(rows()), Box::new(written.clone())).unwrap();
            assert_eq!((copied, *written.rows.lock().unwrap()), (6, (6, true)), "{name}");
        }
        // The target answers in a millisecond: only the copier that adapts asks for more.
        let asked = written.asked.lock().unwrap().clone();
        assert_eq!(asked, if name == "copy-adaptive" { vec![3, 3] } else { vec![] }, "{name}");
    }
}

#[test]
fn a_failure_of_the_writer_comes_back_through_the_copier() {
    let mut copier = plugin("copy-range").copier(&context()).unwrap();
    let written = Written { refuse: true, ..Written::default() };
    let failure = copier.copy(&KeyRange::default(), Box::new(rows()), Box::new(written)).expect_err("refused");
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("copy.test", "the target is gone"));
}

/// Notes what it is asked to do.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl TableAdmin for Asked {
    fn dialect(&self) -> String {
        "oceanbase".to_owned()
    }

    fn version(&self) -> String {
        "4.3.5".to_owned()
    }

    fn exists(&mut self, table: &TableName) -> Result<bool, Failure> {
        self.note(format!("exists {table}"));
        Ok(true)
    }

    fn owned(&mut self, table: &TableName) -> Result<bool, Failure> {
        self.note(format!("owned {table}"));
        Ok(true)
    }

    fn existing(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        Ok(tables.to_vec())
    }

    fn owned_among(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        Ok(tables.to_vec())
    }

    fn raise_fence(&mut self, tables: &[TableName], _: u32) -> Result<String, Failure> {
        self.note(format!("fence {}", tables.len()));
        Ok("nothing".to_owned())
    }

    fn lift_fence(&mut self) -> Result<(), Failure> {
        self.note("lift".to_owned());
        Ok(())
    }

    fn compare_last(&mut self, _: &[TableName]) -> Result<String, Failure> {
        self.note("compare".to_owned());
        Ok(String::new())
    }

    fn set_numbers(&mut self, _: &[TableName]) -> Result<(), Failure> {
        self.note("number".to_owned());
        Ok(())
    }

    fn rename_all(&mut self, _: &[(TableName, TableName)], _: u32) -> Result<(), Failure> {
        Ok(())
    }

    fn try_out(&mut self, tables: &[TableName]) -> Result<(), Failure> {
        self.note(tables.iter().fold("try".to_owned(), |note, table| format!("{note} {table}")));
        Ok(())
    }

    fn remove(&mut self, table: &TableName) -> Result<(), Failure> {
        self.note(format!("remove {table}"));
        Ok(())
    }

    fn archive(&mut self, table: &TableName) -> Result<Option<String>, Failure> {
        self.note(format!("archive {table}"));
        Ok(None)
    }
}

#[test]
fn a_cleaner_removes_through_the_admin_that_it_is_lent() {
    let mut cleaner = plugin("clean-expired").cleaner(&context()).unwrap();
    let artefact = |name: &str, age_seconds| Artefact {
        kind: ArtefactKind::Backup,
        table: TableName::bare(name),
        run: "run-1".to_owned(),
        age_seconds,
    };
    let removals = cleaner.plan(&[artefact("old", 10_000_000), artefact("young", 1)]).unwrap();
    assert_eq!(removals.iter().map(|r| r.table.name.as_str()).collect::<Vec<_>>(), ["old"]);
    let asked = Asked::default();
    cleaner.apply(&removals[0], Box::new(asked.clone())).unwrap();
    assert_eq!(*asked.0.lock().unwrap(), ["exists old", "owned old", "archive old", "remove old"]);
}

#[test]
fn no_first_party_plugin_is_given_more_than_its_world() {
    for (name, plugin) in PLUGINS.iter() {
        let capabilities: Vec<String> = plugin
            .imports()
            .into_iter()
            .filter(|import| ["catalog", "tables", "rows"].iter().any(|c| import.contains(&format!("/{c}@"))))
            .collect();
        let expected = match plugin.kind() {
            StageKind::ModelSource if *name != "model-file" => "catalog",
            StageKind::Copier => "rows",
            StageKind::Switcher | StageKind::Cleaner => "tables",
            _ => continue,
        };
        assert!(capabilities.iter().all(|c| c.contains(expected)), "{name} imports {capabilities:?}");
    }
}
