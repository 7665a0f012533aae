//! What to do with a journal that ends anywhere.

use millrace_model::Failure;
use serde::Serialize;
use serde_json::Value;

use crate::journal::{Direction, Journal, Progress};
use crate::run::{Action, RunState};

/// What became of an action, as far as the journal of a process that is gone can say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It was never begun.
    NotStarted,
    /// It was begun: whether it was done, only the database knows. Look, then do it or note that it is done.
    Unknown,
    /// It was done.
    Succeeded {
        /// What its undo will need.
        state: Value,
    },
    /// It failed, perhaps half done.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Its undo was begun: whether it was undone, only the database knows.
    UndoUnknown {
        /// What its undo needs.
        state: Value,
    },
    /// Its undo failed, perhaps half done.
    UndoFailed {
        /// What its undo needs.
        state: Value,
        /// Why.
        failure: Failure,
    },
    /// It is as if it had not been done.
    Undone,
}

impl Outcome {
    /// Whether the database must be read before anything else is done about the action.
    pub fn must_look(&self) -> bool {
        matches!(self, Self::Unknown | Self::UndoUnknown { .. })
    }

    /// What the undo needs. None: nothing was kept, because the action was not known to be done.
    pub fn state(&self) -> Option<&Value> {
        match self {
            Self::Succeeded { state } | Self::UndoUnknown { state } | Self::UndoFailed { state, .. } => Some(state),
            _ => None,
        }
    }
}

impl From<&Progress> for Outcome {
    fn from(progress: &Progress) -> Self {
        match progress.clone() {
            Progress::InFlight | Progress::Unknown => Self::Unknown,
            Progress::Succeeded(state) => Self::Succeeded { state },
            Progress::Failed(failure) => Self::Failed { failure },
            Progress::Undoing(state) | Progress::UndoUnknown(state) => Self::UndoUnknown { state },
            Progress::UndoFailed(state, failure) => Self::UndoFailed { state, failure },
            Progress::Undone => Self::Undone,
        }
    }
}

/// What a run needs to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "next", rename_all = "kebab-case")]
pub enum NextStep {
    /// `run-started`, then its actions in order.
    Start,
    /// `run-resumed`, then its actions in order from the first that is not done.
    Resume,
    /// `run-resumed`, then undoing in the order of [`Recovery::undo_order`].
    ContinueRollback,
    /// `run-approved`.
    Approve {
        /// What is to be approved.
        approval: String,
    },
    /// Nothing: it is over.
    Nothing,
}

/// What a journal says when the process that wrote it is gone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recovery {
    /// The run's state.
    pub state: RunState,
    /// What it needs to go on.
    #[serde(flatten)]
    pub next: NextStep,
    /// Whether a rollback may begin (or, in one that was begun, go on).
    pub can_roll_back: bool,
    /// Whether it may be given up.
    pub can_cancel: bool,
    /// Every action that was ever begun, in the order in which it last was.
    pub actions: Vec<(Action, Outcome)>,
}

impl Recovery {
    /// What became of an action.
    pub fn outcome(&self, action: &Action) -> Outcome {
        self.actions.iter().find(|(a, _)| a == action).map_or(Outcome::NotStarted, |(_, o)| o.clone())
    }

    /// What a rollback has to undo, in its order: the last first. What cleaners did is not among them.
    pub fn undo_order(&self) -> Vec<&Action> {
        let undoable = |(a, o): &&(Action, Outcome)| !a.is_cleaning() && *o != Outcome::Undone;
        self.actions.iter().rev().filter(undoable).map(|(a, _)| a).collect()
    }

    /// The actions whose outcome only the database knows.
    pub fn must_look(&self) -> Vec<&Action> {
        self.actions.iter().filter(|(_, o)| o.must_look()).map(|(a, _)| a).collect()
    }
}

impl Journal {
    /// What became of one action: as [`Recovery::outcome`], without looking at the others.
    pub fn outcome(&self, action: &Action) -> Outcome {
        self.progress(action).map_or(Outcome::NotStarted, Outcome::from)
    }

    /// What the journal says when nobody writes it any more.
    pub fn recover(&self) -> Recovery {
        let state = match self.state {
            RunState::Running | RunState::RollingBack => RunState::Interrupted,
            other => other,
        };
        let next = match (state, self.direction) {
            (RunState::Planned, _) => NextStep::Start,
            (RunState::WaitingApproval, _) => {
                NextStep::Approve { approval: self.waiting_for().unwrap_or_default().to_owned() }
            }
            (RunState::Done | RunState::RolledBack | RunState::Cancelled, _) => NextStep::Nothing,
            (_, Direction::Forward) => NextStep::Resume,
            (_, Direction::Back) => NextStep::ContinueRollback,
        };
        let can_roll_back = match state {
            RunState::Planned | RunState::RolledBack | RunState::Cancelled => false,
            RunState::Done => !self.is_cleaned(),
            _ => true,
        };
        let can_cancel =
            !state.is_over() && self.direction == Direction::Forward && self.visible_action_in_effect().is_none();
        let actions = self.actions.iter().map(|(action, progress)| (action.clone(), progress.into())).collect();
        Recovery { state, next, can_roll_back, can_cancel, actions }
    }
}
