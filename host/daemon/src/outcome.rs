//! What a run produced, kept in the state beside its journal, and read by reports.

use millrace_model::Plan;
use millrace_model::comparison::Validation;
use millrace_model::schema::TableName;
use millrace_rowcopy::port::Reject;
use serde::{Deserialize, Serialize};

/// One table's copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CopyOutcome {
    /// The live name.
    pub(crate) table: String,
    /// Rows written, rejects left out.
    pub(crate) rows: u64,
    /// Bytes, as batches hold them.
    pub(crate) bytes: u64,
    /// Rows in quarantine.
    pub(crate) rejects: u64,
    /// The digest of all rows, in hex. Empty: they were copied inside the target's server, where nobody hashed them.
    pub(crate) digest: String,
    /// How many target transactions.
    pub(crate) chunks: u64,
    /// From the first chunk's start to the last one's end.
    pub(crate) seconds: f64,
}

/// Under which names the state keeps validations: this, and the table's.
pub(crate) const VALIDATION: &str = "validation:";

/// One table's validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValidationOutcome {
    /// The live name.
    pub(crate) table: String,
    /// The validator's word.
    pub(crate) validation: Validation,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// How long a stage took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// `plan`, `shadows`, `copy`, `complete`, `validate`, `switch`, `clean`.
    pub(crate) stage: String,
    /// Wall-clock time; of several attempts, their sum.
    pub(crate) seconds: f64,
}

/// A row in quarantine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RejectedRow {
    /// The shadow's live name.
    pub(crate) table: String,
    /// The row's key as JSON.
    pub(crate) key: String,
    /// The column that is to blame. None: the row.
    pub(crate) column: Option<String>,
    /// Its value, shortened.
    pub(crate) value: Option<String>,
    /// The error's code.
    pub(crate) code: String,
    /// One sentence.
    pub(crate) reason: String,
}

impl RejectedRow {
    /// A row that was meant for a shadow of the plan, by its live name.
    pub(crate) fn of(plan: &Plan, shadow: &TableName, reject: Reject) -> Self {
        let live = plan.builds().find(|table| table.shadow.as_ref() == Some(shadow)).map(|table| &table.target);
        Self {
            table: live.unwrap_or(shadow).to_string(),
            key: reject.key,
            column: reject.column,
            value: reject.value,
            code: reject.code,
            reason: reject.reason,
        }
    }
}

/// A new table that is not live any more, with rows that applications wrote to it while it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DiscardedRows {
    /// The live name.
    pub(crate) table: String,
    /// Where the rows are.
    pub(crate) kept_in: String,
    /// How many were inserted or changed. None: the target cannot say.
    pub(crate) rows: Option<u64>,
    /// The keys of some of them.
    pub(crate) keys: Vec<String>,
    /// All of it in words.
    pub(crate) message: String,
    /// Reads them.
    pub(crate) query: String,
}

/// Under which name the state keeps a run's [`DiscardedRows`].
pub(crate) const DISCARDED: &str = "discarded-rows";

/// Under which name the state keeps what became of a run's views.
pub(crate) const VIEWS: &str = "views";

/// What became of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ViewState {
    /// It is made, and not compared yet.
    Made,
    /// It gives the source's rows.
    Equal,
    /// It is made, and its rows were not compared.
    NotCompared,
    /// It gives other rows, and what was there before is there again.
    TakenBack,
    /// It could not be made.
    NotMade,
}

impl ViewState {
    /// The words for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Equal => "made, and its rows are equal",
            Self::NotCompared => "made, and its rows were not compared",
            Self::TakenBack => "taken back",
            Self::NotMade => "not made",
        }
    }

    /// Whether the view is not there as planned.
    pub(crate) fn is_missing(self) -> bool {
        matches!(self, Self::TakenBack | Self::NotMade)
    }
}

/// One view of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ViewOutcome {
    /// Its name in the target.
    pub(crate) view: String,
    /// What became of it.
    pub(crate) state: ViewState,
    /// Why, or how many rows were compared.
    pub(crate) message: String,
}

/// How names were swapped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SwitchOutcome {
    /// What kept writers off.
    pub(crate) fence: String,
    /// What was compared while they were.
    pub(crate) compared: String,
    /// How many attempts it took.
    pub(crate) attempts: u32,
    /// For how long the last attempt kept writers off; without a fence, as long as the rename took.
    pub(crate) blocked_ms: f64,
    /// For how long it might have.
    pub(crate) budget_ms: f64,
    /// Why attempts failed.
    pub(crate) failures: Vec<String>,
    /// What applications wrote to the old tables and is in the backups only.
    #[serde(default)]
    pub(crate) left_behind: Vec<String>,
}
