//! A run's journal: which event may follow which.
//!
//! A journal begins empty, with a planned run. An event is appended, and committed by the caller, *before*
//! what it announces begins (`action-started`, `undo-started`) and *after* what it reports has happened
//! (`action-succeeded` and the others). A process may therefore die between any two events, and what the
//! last ones announced has then an unknown outcome: `run-resumed` turns every action in progress into one
//! that must be looked at in the database before it is done again. [`Journal::recover`] says which those are.
//!
//! ```text
//! planned ── started ─▶ running ── waiting ─▶ waiting-approval ── approved ─▶ running ── finished ─▶ done
//!                          │ ▲                                                                        │
//!       interrupted, failed│ │resumed        rollback-started (from any of them)                       │
//!                          ▼ │                          ▼                                             │
//!                    interrupted, failed           rolling-back ── rolled-back ─▶ rolled-back ◀────────┘
//! ```
//!
//! A rollback that was begun is carried on by `run-resumed`; only when it is over can the run go forward again.

use std::fmt;

use millrace_model::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Event, EventKind, IllegalTransition};
use crate::run::{Action, RunState};

/// How far an action has come, seen by the process that carries it out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    InFlight,
    Unknown,
    Succeeded(Value),
    Failed(Failure),
    Undoing(Value),
    UndoUnknown(Value),
    UndoFailed(Value, Failure),
    Undone,
}

impl Progress {
    /// What it is when the process that carried it out is gone.
    fn settle(&mut self) {
        match self {
            Self::InFlight => *self = Self::Unknown,
            Self::Undoing(state) => *self = Self::UndoUnknown(std::mem::take(state)),
            _ => {}
        }
    }

    fn is_in_progress(&self) -> bool {
        matches!(self, Self::InFlight | Self::Undoing(_))
    }

    fn is_being_undone(&self) -> bool {
        matches!(self, Self::Undoing(_) | Self::UndoUnknown(_) | Self::UndoFailed(..))
    }

    /// Whether the database may show something of it.
    pub(crate) fn may_be_in_effect(&self) -> bool {
        !matches!(self, Self::Undone)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InFlight => "in progress",
            Self::Unknown => "begun with an unknown outcome",
            Self::Succeeded(_) => "done",
            Self::Failed(_) => "failed",
            Self::Undoing(_) => "being undone",
            Self::UndoUnknown(_) => "being undone with an unknown outcome",
            Self::UndoFailed(..) => "not undone because that failed",
            Self::Undone => "undone",
        })
    }
}

/// The way in which a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Towards new tables under the live names.
    Forward,
    /// Towards the old tables.
    Back,
}

/// What one event changes.
enum Next {
    Progress(Action, Progress),
    State(RunState),
}

/// The events of one run, in order; only legal ones.
#[derive(Clone, Debug)]
pub struct Journal {
    events: Vec<Event>,
    pub(crate) state: RunState,
    pub(crate) direction: Direction,
    /// In the order in which they were last begun.
    pub(crate) actions: Vec<(Action, Progress)>,
    waiting_for: Option<String>,
    approvals: Vec<String>,
    cleaned_when_over: bool,
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal {
    /// The journal of a planned run: empty.
    pub fn new() -> Self {
        Self {
            events: Vec::new(),
            state: RunState::Planned,
            direction: Direction::Forward,
            actions: Vec::new(),
            waiting_for: None,
            approvals: Vec::new(),
            cleaned_when_over: false,
        }
    }

    /// A journal that was kept.
    ///
    /// # Errors
    /// The first event that may not stand where it stands.
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Result<Self, IllegalTransition> {
        let mut journal = Self::new();
        for event in events {
            journal.append(event)?;
        }
        Ok(journal)
    }

    /// Appends an event, if it may follow.
    ///
    /// # Errors
    /// When it may not; the journal is as it was.
    pub fn append(&mut self, event: Event) -> Result<(), IllegalTransition> {
        match self.admit(&event)? {
            Next::Progress(action, next) => self.advance(action, next),
            Next::State(next) => self.enter(next, &event.kind),
        }
        self.events.push(event);
        Ok(())
    }

    /// What an event would change, if it may follow.
    fn admit(&self, event: &Event) -> Result<Next, IllegalTransition> {
        let illegal = |why: String| IllegalTransition {
            sequence: event.sequence,
            event: event.kind.name(),
            action: event.action.clone(),
            why,
        };
        let expected = self.next_sequence();
        if event.sequence != expected {
            return Err(illegal(format!("the next event is number {expected}")));
        }
        match (&event.action, event.kind.is_about_action()) {
            (Some(action), true) => {
                let next = self.next_progress(action, &event.kind).map_err(illegal)?;
                Ok(Next::Progress(action.clone(), next))
            }
            (None, false) => Ok(Next::State(self.next_state(&event.kind).map_err(illegal)?)),
            (None, true) => Err(illegal("it names no action".into())),
            (Some(_), false) => Err(illegal("it is about the run, not about an action".into())),
        }
    }

    /// Appends what happened as the next event, and gives that event to be kept.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn record(
        &mut self,
        at: impl Into<String>,
        action: Option<Action>,
        kind: EventKind,
    ) -> Result<Event, IllegalTransition> {
        let event = Event { sequence: self.next_sequence(), at: at.into(), action, kind };
        self.append(event.clone())?;
        Ok(event)
    }

    /// Forgets all events but the first so many: those after them could not be kept.
    pub fn truncate(&mut self, length: usize) {
        let kept = self.events.iter().take(length).cloned();
        *self = Self::from_events(kept).expect("the beginning of a legal journal is legal");
    }

    /// The number of the next event.
    pub fn next_sequence(&self) -> u64 {
        self.events.len() as u64 + 1
    }

    /// All events.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The run's state, as long as the process that writes the journal lives; [`Journal::recover`] says what
    /// it is afterwards.
    pub fn state(&self) -> RunState {
        self.state
    }

    /// What an action that was done left for its undo. None: it is not done (or not any more).
    pub fn succeeded(&self, action: &Action) -> Option<&Value> {
        match self.progress(action)? {
            Progress::Succeeded(state) => Some(state),
            _ => None,
        }
    }

    /// Whether the process that writes the journal has begun an action, and said nothing of its end yet.
    pub fn is_in_progress(&self, action: &Action) -> bool {
        self.progress(action).is_some_and(Progress::is_in_progress)
    }

    /// What the run waits for. None: it does not wait.
    pub fn waiting_for(&self) -> Option<&str> {
        self.waiting_for.as_deref()
    }

    /// Whether something was approved already: it need not be asked for again after an interruption.
    pub fn is_approved(&self, approval: &str) -> bool {
        self.approvals.iter().any(|a| a == approval)
    }

    pub(crate) fn progress(&self, action: &Action) -> Option<&Progress> {
        // From the end: who asks, asks mostly of what was begun last.
        self.actions.iter().rev().find(|(a, _)| a == action).map(|(_, p)| p)
    }

    /// Whether applications may see something of an action.
    pub(crate) fn visible_action_in_effect(&self) -> Option<&Action> {
        self.actions.iter().find(|(a, p)| a.is_visible() && p.may_be_in_effect()).map(|(a, _)| a)
    }

    /// Whether tables that the way back needs may have been removed.
    pub(crate) fn is_cleaned(&self) -> bool {
        self.cleaned_when_over
    }

    fn next_progress(&self, action: &Action, kind: &EventKind) -> Result<Progress, String> {
        let progress = self.progress(action);
        let cleaning_after = action.is_cleaning() && self.state.is_over();
        let passing_back = action.is_passing() && self.state == RunState::RollingBack;
        let acting = self.state == RunState::Running || cleaning_after || passing_back;
        let not_now = |p: Option<&Progress>| match p {
            Some(p) => format!("the action is {p}"),
            None => "the action was never begun".into(),
        };
        match kind {
            EventKind::ActionStarted if acting => {
                match progress {
                    None | Some(Progress::Unknown | Progress::Failed(_) | Progress::Undone) => Ok(Progress::InFlight),
                    Some(Progress::Succeeded(_)) if action.is_repeatable() => Ok(Progress::InFlight),
                    // Nobody resumes a run that is over, so a cleaner that died begins again where it was.
                    Some(Progress::InFlight) if cleaning_after => Ok(Progress::InFlight),
                    other => Err(not_now(other)),
                }
            }
            EventKind::ActionSucceeded { state } if acting => {
                match progress {
                    // Unknown: somebody looked, and it had been done.
                    Some(Progress::InFlight | Progress::Unknown) => Ok(Progress::Succeeded(state.clone())),
                    other => Err(not_now(other)),
                }
            }
            EventKind::ActionFailed { failure } if acting => match progress {
                Some(Progress::InFlight | Progress::Unknown) => Ok(Progress::Failed(failure.clone())),
                other => Err(not_now(other)),
            },
            EventKind::UndoStarted if self.state == RunState::RollingBack => {
                if action.is_cleaning() {
                    return Err("what was removed cannot be brought back".into());
                }
                if let Some(later) = self.later_visible_action(action) {
                    return Err(format!("{later} came later and must be undone before"));
                }
                match progress {
                    Some(Progress::Unknown | Progress::Failed(_)) => Ok(Progress::Undoing(Value::Null)),
                    Some(
                        Progress::Succeeded(state) | Progress::UndoUnknown(state) | Progress::UndoFailed(state, _),
                    ) => Ok(Progress::Undoing(state.clone())),
                    other => Err(not_now(other)),
                }
            }
            EventKind::Undone if self.state == RunState::RollingBack => match progress {
                Some(Progress::Undoing(_) | Progress::UndoUnknown(_)) => Ok(Progress::Undone),
                other => Err(not_now(other)),
            },
            EventKind::UndoFailed { failure } if self.state == RunState::RollingBack => match progress {
                Some(Progress::Undoing(state) | Progress::UndoUnknown(state)) => {
                    Ok(Progress::UndoFailed(state.clone(), failure.clone()))
                }
                other => Err(not_now(other)),
            },
            _ => Err(format!("the run is {}", self.state)),
        }
    }

    /// The last action begun after this one that applications may see, if this one is of that kind too.
    fn later_visible_action(&self, action: &Action) -> Option<&Action> {
        let position = self.actions.iter().position(|(a, _)| a == action)?;
        let mut later = self.actions[position + 1..].iter().rev();
        let seen = later.find(|(a, p)| a.is_visible() && p.may_be_in_effect()).map(|(a, _)| a);
        seen.filter(|_| action.is_visible())
    }

    fn advance(&mut self, action: Action, next: Progress) {
        self.cleaned_when_over |= action.is_cleaning() && self.state.is_over();
        let position = self.actions.iter().rposition(|(a, _)| *a == action);
        match position {
            Some(position) if next != Progress::InFlight => self.actions[position].1 = next,
            Some(position) => {
                self.actions.remove(position);
                self.actions.push((action, next));
            }
            None => self.actions.push((action, next)),
        }
    }

    fn next_state(&self, kind: &EventKind) -> Result<RunState, String> {
        use RunState::{
            Cancelled, Done, Failed, Interrupted, Planned, RolledBack, RollingBack, Running, WaitingApproval,
        };
        let unfit = || Err(format!("the run is {}", self.state));
        match (kind, self.state) {
            (EventKind::RunStarted, Planned) => Ok(Running),
            (EventKind::RunWaiting { .. }, Running) => self.nothing_in_progress(WaitingApproval),
            (EventKind::RunApproved { approval }, WaitingApproval) => match &self.waiting_for {
                Some(wanted) if wanted != approval => Err(format!("the run waits for the approval of {wanted}")),
                _ => Ok(Running),
            },
            // Approved beforehand.
            (EventKind::RunApproved { .. }, Running) => Ok(Running),
            (EventKind::RunInterrupted { .. }, Running | RollingBack) => Ok(Interrupted),
            (EventKind::RunFailed { .. }, Running | RollingBack) => Ok(Failed),
            (EventKind::RunResumed, Running | RollingBack | Interrupted | Failed) => Ok(match self.direction {
                Direction::Forward => Running,
                Direction::Back => RollingBack,
            }),
            (EventKind::RunResumed, RolledBack) => self.not_cleaned(Running),
            (EventKind::RunFinished, Running) => self.everything_done(),
            (EventKind::RunCancelled, Planned | Running | WaitingApproval | Interrupted | Failed) => {
                if self.direction == Direction::Back {
                    return Err("it is being rolled back".into());
                }
                if let Some(action) = self.visible_action_in_effect() {
                    return Err(format!("{action} may be in effect: the run can be resumed or rolled back"));
                }
                Ok(Cancelled)
            }
            (EventKind::RollbackStarted { .. }, Running | WaitingApproval | Interrupted | Failed) => Ok(RollingBack),
            (EventKind::RollbackStarted { .. }, Done) => self.not_cleaned(RollingBack),
            (EventKind::RunRolledBack, RollingBack) => self.everything_undone(),
            _ => unfit(),
        }
    }

    fn nothing_in_progress(&self, next: RunState) -> Result<RunState, String> {
        match self.actions.iter().find(|(_, p)| p.is_in_progress()) {
            Some((action, progress)) => Err(format!("{action} is {progress}")),
            None => Ok(next),
        }
    }

    fn not_cleaned(&self, next: RunState) -> Result<RunState, String> {
        if self.cleaned_when_over { Err("tables that it needs have been cleaned up".into()) } else { Ok(next) }
    }

    fn everything_done(&self) -> Result<RunState, String> {
        let open = |p: &Progress| !matches!(p, Progress::Succeeded(_) | Progress::Undone);
        match self.actions.iter().find(|(_, p)| open(p)) {
            Some((action, progress)) => Err(format!("{action} is {progress}")),
            None => Ok(RunState::Done),
        }
    }

    fn everything_undone(&self) -> Result<RunState, String> {
        let open = |a: &Action, p: &Progress| p.is_being_undone() || (a.is_visible() && p.may_be_in_effect());
        match self.actions.iter().find(|(a, p)| open(a, p)) {
            Some((action, progress)) => Err(format!("{action} is {progress}")),
            None => Ok(RunState::RolledBack),
        }
    }

    fn enter(&mut self, next: RunState, kind: &EventKind) {
        match kind {
            EventKind::RunWaiting { approval } => self.waiting_for = Some(approval.clone()),
            EventKind::RunApproved { approval } => {
                self.waiting_for = None;
                if !self.is_approved(approval) {
                    self.approvals.push(approval.clone());
                }
            }
            EventKind::RollbackStarted { .. } => {
                // What was approved was approved for the run as it was; going forward again asks again.
                self.approvals.clear();
                self.waiting_for = None;
                self.direction = Direction::Back;
            }
            EventKind::RunRolledBack => self.direction = Direction::Forward,
            _ => {}
        }
        let process_may_be_gone = matches!(
            kind,
            EventKind::RunResumed
                | EventKind::RunInterrupted { .. }
                | EventKind::RunFailed { .. }
                | EventKind::RunCancelled
                | EventKind::RollbackStarted { .. }
        );
        if process_may_be_gone {
            self.actions.iter_mut().for_each(|(_, progress)| progress.settle());
        }
        self.state = next;
    }
}
