//! What stands in a run's journal.

use millrace_model::{Failure, Fault};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::run::Action;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from one without gaps.
    pub sequence: u64,
    /// When it was written, RFC 3339 in UTC. The rules do not look at it.
    pub at: String,
    /// The action that it is about. None: the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The first process began.
    RunStarted,
    /// Nothing goes on until somebody approves.
    RunWaiting {
        /// What is to be approved, such as `plan` or `switch`.
        approval: String,
    },
    /// Somebody approved, or had approved beforehand (`--yes`).
    RunApproved {
        /// What was approved.
        approval: String,
    },
    /// Somebody asked the process to stop, and it did.
    RunInterrupted {
        /// Why, in one sentence.
        reason: String,
    },
    /// The run stopped because of a failure.
    RunFailed {
        /// The failure.
        failure: Failure,
    },
    /// Another process took the run over, in the direction in which it went.
    RunResumed,
    /// Everything was done.
    RunFinished,
    /// The run was given up.
    RunCancelled,
    /// From now on actions are undone.
    RollbackStarted {
        /// Why, in one sentence.
        reason: String,
    },
    /// Everything that applications see is undone.
    RunRolledBack,
    /// An action is about to begin.
    ActionStarted,
    /// It was done.
    ActionSucceeded {
        /// What its undo will need.
        #[serde(default)]
        state: Value,
    },
    /// It was not done, or not wholly.
    ActionFailed {
        /// Why.
        failure: Failure,
    },
    /// Its undo is about to begin.
    UndoStarted,
    /// It is as if it had not been done.
    Undone,
    /// It could not be undone, or not wholly.
    UndoFailed {
        /// Why.
        failure: Failure,
    },
}

impl EventKind {
    /// The name, as it is serialised.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RunStarted => "run-started",
            Self::RunWaiting { .. } => "run-waiting",
            Self::RunApproved { .. } => "run-approved",
            Self::RunInterrupted { .. } => "run-interrupted",
            Self::RunFailed { .. } => "run-failed",
            Self::RunResumed => "run-resumed",
            Self::RunFinished => "run-finished",
            Self::RunCancelled => "run-cancelled",
            Self::RollbackStarted { .. } => "rollback-started",
            Self::RunRolledBack => "run-rolled-back",
            Self::ActionStarted => "action-started",
            Self::ActionSucceeded { .. } => "action-succeeded",
            Self::ActionFailed { .. } => "action-failed",
            Self::UndoStarted => "undo-started",
            Self::Undone => "undone",
            Self::UndoFailed { .. } => "undo-failed",
        }
    }

    /// Whether it is about an action; otherwise it is about the run.
    pub fn is_about_action(&self) -> bool {
        matches!(
            self,
            Self::ActionStarted
                | Self::ActionSucceeded { .. }
                | Self::ActionFailed { .. }
                | Self::UndoStarted
                | Self::Undone
                | Self::UndoFailed { .. }
        )
    }
}

/// An event that may not stand where somebody wanted to write it. The journal is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {sequence} of the journal cannot be {event}{}: {why}", .action.as_ref().map_or_else(String::new, |a| format!(" of {a}")))]
pub struct IllegalTransition {
    /// The place of the event in the journal.
    pub sequence: u64,
    /// The event's name.
    pub event: &'static str,
    /// The event's action. None: it is about the run.
    pub action: Option<Action>,
    /// Which rule forbids it.
    pub why: String,
}

impl From<IllegalTransition> for Failure {
    fn from(illegal: IllegalTransition) -> Self {
        Self::new(Fault::Internal, "run.illegal-transition", illegal.to_string())
    }
}
