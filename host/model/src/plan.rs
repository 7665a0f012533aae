//! What a run would do: made in one place, read and approved by a person, carried out in another.

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::failure::Failure;
use crate::identity::SourceIdentity;
use crate::mapping::{Mapping, Profile, ProfileRequest};
use crate::schema::{Column, Table, TableName};

/// The version of the plan's JSON. A plan of another version is refused.
pub const PLAN_FORMAT: u32 = 1;

/// What becomes of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Not in the target yet.
    Create,
    /// In the target, and different.
    Rebuild,
    /// The same.
    Keep,
    /// Only in the target: reported, never dropped.
    Left,
}

impl Strategy {
    /// Whether the run makes a shadow of the table.
    pub fn builds(self) -> bool {
        matches!(self, Self::Create | Self::Rebuild)
    }

    /// The word that stands in JSON and in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Rebuild => "rebuild",
            Self::Keep => "keep",
            Self::Left => "left",
        }
    }
}

/// What becomes of the rows of a table whose schema did not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptRows {
    /// They are taken to be the same: nobody looks.
    #[default]
    Trust,
    /// They are compared; a difference stops the run.
    Compare,
    /// They are copied anew: the table is rebuilt.
    Recopy,
}

impl KeptRows {
    /// All of them, by their words.
    pub const WORDS: [(&'static str, Self); 3] =
        [("trust", Self::Trust), ("compare", Self::Compare), ("recopy", Self::Recopy)];

    fn is_trust(&self) -> bool {
        *self == Self::Trust
    }
}

/// What a run would do, per table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// When it was made: `2026-05-01T09:30:00Z`.
    pub created: String,
    /// `yyyymmddhhmmss` of that instant; part of the names of shadows and backups.
    pub stamp: String,
    /// Dialect and version of the source.
    pub source: Server,
    /// Dialect and version of the target.
    pub target: Server,
    /// Which server and tables it was made for: a run refuses others. None: the source's model came from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<SourceIdentity>,
    /// Digest (hex) of the target's model when the plan was made: `apply` refuses another target.
    pub target_fingerprint: String,
    /// Parents before children where foreign keys allow it.
    pub tables: Vec<TablePlan>,
    /// What will not be in the target, and what to do about it.
    pub not_carried: Vec<NotCarried>,
    /// Statements on other tables that follow the rename: foreign keys of kept tables that refer to rebuilt ones.
    #[serde(default)]
    pub after_switch: Vec<Statement>,
    /// The views that follow the tables, in the order in which they are made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<ViewPlan>,
    /// What else of the target will not go on as it is with the new tables, and what to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependants: Vec<Dependant>,
    /// How writers will be kept off while names are swapped. None: nothing is switched, or the target was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<FenceOutlook>,
}

impl Plan {
    /// Whether a run would do nothing: neither build, nor compare, nor set a number, nor make a view.
    pub fn is_empty(&self) -> bool {
        let does = |table: &TablePlan| table.strategy.builds() || table.is_compared() || table.is_numbered();
        !self.tables.iter().any(does) && self.made_views().next().is_none()
    }

    /// The tables that a run leaves as they are but for the number that they give next.
    pub fn numbered(&self) -> impl Iterator<Item = &TablePlan> {
        self.tables.iter().filter(|t| t.is_numbered())
    }

    /// The views that a run makes, in their order.
    pub fn made_views(&self) -> impl DoubleEndedIterator<Item = &ViewPlan> {
        self.views.iter().filter(|view| view.strategy.builds())
    }

    /// The tables that a run leaves as they are, and whose rows it compares.
    pub fn compared(&self) -> impl Iterator<Item = &TablePlan> {
        self.tables.iter().filter(|t| t.is_compared())
    }

    /// The tables of which a run makes shadows.
    pub fn builds(&self) -> impl Iterator<Item = &TablePlan> {
        self.tables.iter().filter(|t| t.strategy.builds())
    }

    /// All changes of all tables.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.tables.iter().flat_map(|t| &t.changes)
    }

    /// The JSON that travels.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a plan is plain data")
    }

    /// Reads the JSON of [`Plan::to_json`].
    ///
    /// # Errors
    /// `plan.unreadable` for text that is no plan, `plan.unknown-format` for a plan of another version.
    pub fn from_json(text: &str) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let unreadable = |e: serde_json::Error| Failure::config("plan.unreadable", format!("this is not a plan: {e}"));
        let head: Head = serde_json::from_str(text).map_err(unreadable)?;
        if head.format != PLAN_FORMAT {
            return Err(Failure::config(
                "plan.unknown-format",
                format!("the plan has format {}, and this Millrace reads format {PLAN_FORMAT}", head.format),
            ));
        }
        serde_json::from_str(text).map_err(unreadable)
    }
}

/// How writers will be kept off, as far as that is known without trying.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceOutlook {
    /// The means, such as `table locks`.
    pub means: String,
    /// Why these, in one sentence.
    pub why: String,
}

/// A database server, for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `postgres`, `oceanbase`, `mysql`, `mariadb`.
    pub dialect: String,
    /// As the server says it.
    pub version: String,
}

/// A statement and why it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What it is for: `table`, `index`, `foreign-key`, `auto-increment`, `profile`, `key-probe`.
    pub purpose: String,
    /// The SQL, without a semicolon.
    pub sql: String,
    /// The SQL that takes it back. None: dropping the shadow does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// One table of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlan {
    /// The source's name. None: only in the target.
    pub source: Option<TableName>,
    /// The name that applications use.
    pub target: TableName,
    /// What becomes of it.
    pub strategy: Strategy,
    /// Why this strategy, in one sentence.
    pub reason: String,
    /// What becomes of the rows of a table that is kept.
    #[serde(default, skip_serializing_if = "KeptRows::is_trust")]
    pub rows: KeptRows,
    /// The source's table as it was. None: only in the target.
    #[serde(default)]
    pub source_table: Option<Table>,
    /// The table as it will be, in the target's spelling, under the live name. None: only in the target.
    #[serde(default)]
    pub desired: Option<Table>,
    /// The new table before the swap. None: not built.
    #[serde(default)]
    pub shadow: Option<TableName>,
    /// The old table after the swap. None: there is no old one.
    #[serde(default)]
    pub backup: Option<TableName>,
    /// The target's table as it was, where the copy takes the rows from it, inside the target's server. None: it reads
    /// them from the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_from: Option<Table>,
    /// For each source column what it becomes, and why.
    #[serde(default)]
    pub mappings: Vec<MappingDecision>,
    /// What the differ found.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Makes the shadow: one CREATE TABLE.
    #[serde(default)]
    pub create: Vec<Statement>,
    /// Completes it after the rows: indexes, then foreign keys.
    #[serde(default)]
    pub complete: Vec<Statement>,
    /// What the source was asked about its values: to measure columns (`profile`), and to find keys that would be one in
    /// the target (`key-probe`).
    #[serde(default)]
    pub queries: Vec<Statement>,
    /// What the operator should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What applications wrote to the table that is replaced. None: nothing that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<WrittenRows>,
    /// How the column that numbers itself goes on, where it does not as at the source. None: as there, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// Why the rows of a table that is kept may not be the source's; nobody looks at them. None: they were read from the
    /// source's table as it is, or are compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// The source catalog's estimate.
    #[serde(default)]
    pub estimated_rows: u64,
    /// The source catalog's estimate.
    #[serde(default)]
    pub estimated_bytes: u64,
}

impl TablePlan {
    /// Whether the table is left as it is, and its rows are compared.
    pub fn is_compared(&self) -> bool {
        self.strategy == Strategy::Keep && self.rows == KeptRows::Compare
    }

    /// Whether the table is left as it is but for the number that it gives next.
    pub fn is_numbered(&self) -> bool {
        self.strategy == Strategy::Keep && self.numbers.as_ref().is_some_and(|numbers| numbers.set.is_some())
    }

    /// The column of the source that a column of the desired table is made of. None: there is none, or it is made of
    /// several. The desired table has the mapped columns in the mappings' order, perhaps under shortened names.
    pub fn origin(&self, name: &str) -> Option<&Column> {
        let mut in_order = self.desired.as_ref()?.columns.iter();
        let makes = |decision: &&MappingDecision| {
            let mut made = in_order.by_ref().take(decision.mapping.targets.len());
            // All of them are passed over.
            made.by_ref().filter(|column| column.name == name).count() > 0
        };
        let decision = self.mappings.iter().find(makes)?;
        let [source] = decision.mapping.sources.as_slice() else { return None };
        self.source_table.as_ref()?.column(source)
    }
}

/// One view of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewPlan {
    /// The source's name. None: only in the target.
    pub source: Option<TableName>,
    /// Its name there.
    pub target: TableName,
    /// What becomes of it: `rebuild` replaces what stands under its name.
    pub strategy: Strategy,
    /// Why this, in one sentence.
    pub reason: String,
    /// Makes it: one CREATE OR REPLACE VIEW. Empty: only in the target.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub statement: String,
    /// What it gives.
    #[serde(default)]
    pub columns: Vec<ViewColumn>,
    /// The target's tables and views that it reads.
    #[serde(default)]
    pub reads: Vec<TableName>,
    /// The view that it replaces. None: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<FormerView>,
    /// What the operator should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A view that an earlier run made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerView {
    /// The run.
    pub run: String,
    /// What made it.
    pub statement: String,
    /// Its query, as the target printed it.
    pub shown: String,
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewColumn {
    /// Its name, on both sides.
    pub name: String,
    /// The logical type of its values.
    pub kind: String,
    /// Whether its values are the source's, and not a converter's.
    pub is_computable: bool,
}

/// How a column that numbers itself goes on in the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// The column, as the target calls it.
    pub column: String,
    /// What the source gives next. None: it has given its last number, or it is not known.
    pub source: Option<i64>,
    /// What the target gives next: of a table that is kept, now; of a new one, once it is live.
    pub target: u64,
    /// What the run lets a kept table give next. None: that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<u64>,
    /// All of it in one sentence.
    pub message: String,
}

/// Rows of the target's table that the source has not, or has otherwise: a rebuild leaves them behind in the backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenRows {
    /// Rows that were inserted or changed. None: the server cannot say how many.
    pub rows: Option<u64>,
    /// Rows that were deleted, at least.
    #[serde(default)]
    pub deleted: u64,
    /// The keys of some of them, as `7, x`.
    #[serde(default)]
    pub keys: Vec<String>,
    /// All of it in one sentence.
    pub message: String,
}

/// Which converter decided what about which columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingDecision {
    /// The stage's plugin, by name.
    pub converter: String,
    /// Its position among the pipeline's stages.
    pub stage: usize,
    /// What was asked of the values. Empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<ProfileRequest>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Profile>,
    /// The decision.
    pub mapping: Mapping,
}

/// Something of the target that no run has made and that depends on a table which is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependant {
    /// `view`, `foreign-key`.
    pub kind: String,
    /// Its name; of a foreign key with its table's: `k of child`.
    pub name: String,
    /// What is wrong, in words that follow its name.
    pub reason: String,
    /// Whether it certainly keeps the run from being carried out.
    pub certainty: Certainty,
    /// What to do about it.
    pub advice: String,
}

/// How much is known of what a run will meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// The run is refused because of it.
    Refused,
    /// The run may be refused because of it: nobody could look, or not at all of it.
    Unknown,
}

/// Something of the source that will not be in the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCarried {
    /// `trigger`, `view`, `index`, `default`, `check` …
    pub kind: String,
    /// Its name, with its table's.
    pub name: String,
    /// Why not.
    pub reason: String,
    /// What to do about it.
    pub advice: String,
}
