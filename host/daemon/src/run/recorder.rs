//! A run's journal as it is being written: checked, then kept, then told.

use std::sync::{Mutex, PoisonError};

use millrace_model::Failure;
use millrace_pipeline::{Action, Event, EventKind, Journal, Outcome, Recovery, RunState};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::clock;
use crate::store::Store;

/// Names an event at which the process stops for good, `event` or `event@action`: tests end it there. It stops after
/// the event was kept, or, with `before:` in front, when it has only been decided on.
const HOLD_VARIABLE: &str = "MILLRACE_HOLD_AT";

/// Writes one run's journal.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Store,
    run: String,
    journal: Mutex<Journal>,
    writing: tokio::sync::Mutex<()>,
    told: broadcast::Sender<Event>,
    hold_at: Option<String>,
}

impl Recorder {
    /// Reads the run's journal; new events are also sent to `told`.
    pub(crate) async fn open(store: &Store, run: &str, told: broadcast::Sender<Event>) -> Result<Self, Failure> {
        let journal = Journal::from_events(store.events(run).await?).map_err(Failure::from)?;
        Ok(Self {
            store: store.clone(),
            run: run.to_owned(),
            journal: Mutex::new(journal),
            writing: tokio::sync::Mutex::new(()),
            told,
            hold_at: std::env::var(HOLD_VARIABLE).ok(),
        })
    }

    fn read<T>(&self, read: impl FnOnce(&Journal) -> T) -> T {
        read(&self.journal.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where the run stands.
    pub(crate) fn state(&self) -> RunState {
        self.read(Journal::state)
    }

    /// What a journal that ends here says.
    pub(crate) fn recovery(&self) -> Recovery {
        self.read(Journal::recover)
    }

    /// What became of an action.
    pub(crate) fn outcome(&self, action: &Action) -> Outcome {
        self.read(|journal| journal.outcome(action))
    }

    /// What a succeeded action left.
    pub(crate) fn succeeded(&self, action: &Action) -> Option<Value> {
        self.read(|journal| journal.succeeded(action).cloned())
    }

    /// Whether this was approved before.
    pub(crate) fn is_approved(&self, approval: &str) -> bool {
        self.read(|journal| journal.is_approved(approval))
    }

    /// An event about the run.
    pub(crate) async fn run(&self, kind: EventKind) -> Result<(), Failure> {
        self.write(None, kind).await
    }

    /// An event about an action.
    pub(crate) async fn action(&self, action: &Action, kind: EventKind) -> Result<(), Failure> {
        self.write(Some(action.clone()), kind).await
    }

    async fn write(&self, action: Option<Action>, kind: EventKind) -> Result<(), Failure> {
        let _one_at_a_time = self.writing.lock().await;
        // The journal in memory changes only when the event has been kept.
        let proposed = self.read(|journal| journal.propose(clock::now_text(), action, kind));
        let (event, state) = proposed.map_err(Failure::from)?;
        self.hold(Moment::Before, &event).await;
        self.store.append(&self.run, event.sequence, &event, state.name(), &event.at).await?;
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).append(event.clone()).map_err(Failure::from)?;
        tracing::info!(
            run = self.run,
            action = event.action.as_ref().map(Action::as_str),
            event = event.kind.name(),
            "journal"
        );
        let _nobody_listens = self.told.send(event.clone());
        self.hold(Moment::After, &event).await;
        Ok(())
    }

    /// Stops for good, if this is where.
    async fn hold(&self, moment: Moment, event: &Event) {
        if let Some(wanted) = self.hold_at.as_deref().filter(|wanted| is_at(wanted, moment, event)) {
            eprintln!("held at {wanted}");
            std::future::pending::<()>().await;
        }
    }
}

/// On which side of an event's being kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

fn is_at(wanted: &str, moment: Moment, event: &Event) -> bool {
    let (wanted, wanted_moment) = match wanted.strip_prefix("before:") {
        Some(wanted) => (wanted, Moment::Before),
        None => (wanted, Moment::After),
    };
    if moment != wanted_moment {
        return false;
    }
    let (name, action) = wanted.split_once('@').unwrap_or((wanted, ""));
    name == event.kind.name() && event.action.as_ref().map_or("", Action::as_str).starts_with(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_to_stop_at_is_an_event_an_action_and_a_side() {
        let event = |action: Option<&str>, kind| Event {
            sequence: 1,
            at: String::new(),
            action: action.map(Action::new),
            kind,
        };
        let started = event(Some("copy:orders"), EventKind::ActionStarted);
        for wanted in ["action-started", "action-started@copy", "action-started@copy:orders"] {
            assert!(is_at(wanted, Moment::After, &started), "{wanted}");
            assert!(!is_at(wanted, Moment::Before, &started), "{wanted}");
            assert!(is_at(&format!("before:{wanted}"), Moment::Before, &started), "{wanted}");
        }
        assert!(!is_at("action-succeeded@copy", Moment::After, &started));
        assert!(!is_at("action-started@validate", Moment::After, &started));
        assert!(is_at("run-started", Moment::After, &event(None, EventKind::RunStarted)));
    }
}
