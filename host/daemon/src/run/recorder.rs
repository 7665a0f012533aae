//! A run's journal as it is being written: checked, then kept, then told.
//!
//! Keeping costs a write to the disk, whatever is written. What many actions have to say at the same time is therefore
//! kept in one transaction: whoever comes first keeps what has gathered by then, and the others wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use millrace_model::Failure;
use millrace_pipeline::{Action, Event, EventKind, Journal, Outcome, Recovery, RunState};
use serde_json::Value;
use tokio::sync::{broadcast, oneshot};

use crate::clock;
use crate::store::{Artefact, Store};

/// Names an event at which the process stops for good, `event` or `event@action`: tests end it there. It stops after
/// the event was kept, or, with `before:` in front, when it has only been decided on.
const HOLD_VARIABLE: &str = "MILLRACE_HOLD_AT";

/// Names an event, as [`HOLD_VARIABLE`] does, at which whatever carries the run out panics.
const PANIC_VARIABLE: &str = "MILLRACE_PANIC_AT";

/// An event that is to be kept, and who waits for that.
#[derive(Debug)]
struct Waiting {
    action: Option<Action>,
    kind: EventKind,
    artefact: Option<Artefact>,
    kept: oneshot::Sender<Result<(), Failure>>,
}

/// Writes one run's journal.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Store,
    run: String,
    journal: Mutex<Journal>,
    waiting: Mutex<Vec<Waiting>>,
    writing: tokio::sync::Mutex<()>,
    told: broadcast::Sender<Event>,
    hold_at: Option<String>,
    panic_at: Option<String>,
}

impl Recorder {
    /// Reads the run's journal; new events are also sent to `told`.
    pub(crate) async fn open(store: &Store, run: &str, told: broadcast::Sender<Event>) -> Result<Self, Failure> {
        let journal = Journal::from_events(store.events(run).await?).map_err(Failure::from)?;
        Ok(Self {
            store: store.clone(),
            run: run.to_owned(),
            journal: Mutex::new(journal),
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::new(()),
            told,
            hold_at: std::env::var(HOLD_VARIABLE).ok(),
            panic_at: std::env::var(PANIC_VARIABLE).ok(),
        })
    }

    fn read<T>(&self, read: impl FnOnce(&Journal) -> T) -> T {
        read(&lock(&self.journal))
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

    /// Whether this process has begun an action that has not ended.
    pub(crate) fn is_in_progress(&self, action: &Action) -> bool {
        self.read(|journal| journal.is_in_progress(action))
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
        self.write(None, kind, None).await
    }

    /// An event about an action.
    pub(crate) async fn action(&self, action: &Action, kind: EventKind) -> Result<(), Failure> {
        self.write(Some(action.clone()), kind, None).await
    }

    /// An event about an action, and what the action produced: both are kept, or neither.
    pub(crate) async fn action_with(
        &self,
        action: &Action,
        kind: EventKind,
        artefact: Artefact,
    ) -> Result<(), Failure> {
        self.write(Some(action.clone()), kind, Some(artefact)).await
    }

    async fn write(&self, action: Option<Action>, kind: EventKind, artefact: Option<Artefact>) -> Result<(), Failure> {
        let (kept, answer) = oneshot::channel();
        lock(&self.waiting).push(Waiting { action, kind, artefact, kept });
        {
            let _one_at_a_time = self.writing.lock().await;
            let gathered = std::mem::take(&mut *lock(&self.waiting));
            if !gathered.is_empty() {
                self.keep(gathered).await;
            }
        }
        answer.await.unwrap_or_else(|_| Err(Failure::cancelled("the journal is not being written any more")))
    }

    /// Keeps events in one transaction, and tells those who wait for them.
    async fn keep(&self, gathered: Vec<Waiting>) {
        let before = self.read(|journal| journal.events().len());
        let (mut events, mut artefacts, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let state = {
            let mut journal = lock(&self.journal);
            for Waiting { action, kind, artefact, kept } in gathered {
                match journal.record(clock::now_text(), action, kind) {
                    Ok(event) => {
                        events.push(event);
                        artefacts.extend(artefact);
                        answers.push(kept);
                    }
                    Err(illegal) => drop(kept.send(Err(illegal.into()))),
                }
            }
            journal.state()
        };
        for event in &events {
            self.hold(Moment::Before, event).await;
        }
        if let Err(failure) = self.store.append(&self.run, &events, &artefacts, state.name()).await {
            // Only what was kept has happened.
            lock(&self.journal).truncate(before);
            for kept in answers {
                let _nobody_waits = kept.send(Err(failure.clone()));
            }
            return;
        }
        for (event, kept) in events.into_iter().zip(answers) {
            tracing::info!(
                run = self.run,
                action = event.action.as_ref().map(Action::as_str),
                event = event.kind.name(),
                "journal"
            );
            let _nobody_listens = self.told.send(event.clone());
            self.hold(Moment::After, &event).await;
            let _nobody_waits = kept.send(Ok(()));
        }
    }

    /// Stops for good, if this is where.
    async fn hold(&self, moment: Moment, event: &Event) {
        if let Some(wanted) = self.hold_at.as_deref().filter(|wanted| is_at(wanted, moment, event)) {
            note!("held at {wanted}");
            std::future::pending::<()>().await;
        }
        let panics = self.panic_at.as_deref().is_some_and(|wanted| is_at(wanted, moment, event));
        assert!(!panics, "at {}", event.kind.name());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
