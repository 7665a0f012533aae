//! A run's journal as server-sent events: what was, then what comes, until the run's task ends.
//!
//! What is sent comes from the state, in order and without a gap; that something was written is only the sign to look.
//! A client that reads slowly, or that comes back with the number of the last event that it has, misses nothing.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures::stream::{self, Stream};
use millrace_model::Failure;
use millrace_pipeline::Event;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::active::Daemon;
use super::answer::Refused;
use super::ask::Named;
use crate::run::{Snapshot, Watch};

/// Progress is told at most so often.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// So many events are read from the state at once.
const AT_ONCE: u32 = 256;

pub(super) async fn follow(
    State(daemon): State<Daemon>,
    Named(record): Named,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Refused> {
    let last = last_event(&headers)?;
    // Subscribed before the past is read, so that nothing falls between the two.
    let live = daemon.active(&record.id).map(|active| Live::of(&active.watch));
    let following = Following { daemon, run: record.id, last, ready: VecDeque::new(), live, next: Next::Read };
    let events = stream::unfold(following, |mut following| async {
        let sent = following.next().await?;
        Some((Ok(sent), following))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// The number of the last event that the client has. 0: none.
fn last_event(headers: &HeaderMap) -> Result<u64, Failure> {
    let Some(value) = headers.get("last-event-id") else { return Ok(0) };
    value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| Failure::config("serve.bad-query", "Last-Event-ID is not the number of an event"))
}

fn sent(name: &str, data: &impl Serialize) -> Sent {
    Sent::default().event(name).data(serde_json::to_string(data).expect("what is sent is plain data"))
}

/// What a task of this daemon tells about a run.
struct Live {
    events: broadcast::Receiver<Event>,
    progress: watch::Receiver<Option<Snapshot>>,
    /// When progress may be told again.
    progress_from: Instant,
}

impl Live {
    fn of(watch: &Watch) -> Self {
        let mut progress = watch.progress.subscribe();
        progress.mark_changed();
        Self { events: watch.events.subscribe(), progress, progress_from: Instant::now() }
    }
}

/// How far a run is, when that has changed and may be told.
async fn next_progress(progress: &mut watch::Receiver<Option<Snapshot>>, from: &mut Instant) -> Option<Snapshot> {
    tokio::time::sleep_until(*from).await;
    if progress.changed().await.is_err() {
        // The events say that the task is over.
        std::future::pending::<()>().await;
    }
    *from = Instant::now() + PROGRESS_EVERY;
    progress.borrow_and_update().clone()
}

/// What is to be done next, when nothing is ready to be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Look into the state.
    Read,
    /// Wait for the run's task.
    Wait,
    /// Nothing: the end was told.
    Nothing,
}

/// A client that follows a run.
struct Following {
    daemon: Daemon,
    run: String,
    /// The last event that was sent.
    last: u64,
    ready: VecDeque<Event>,
    /// None: no task of this daemon carries the run out, or none does any more.
    live: Option<Live>,
    next: Next,
}

impl Following {
    async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last = event.sequence;
                return Some(sent("journal", &event).id(event.sequence.to_string()));
            }
            match self.next {
                Next::Nothing => return None,
                Next::Read => match self.daemon.store.events_after(&self.run, self.last, AT_ONCE).await {
                    Ok(events) if !events.is_empty() => self.ready.extend(events),
                    Ok(_) if self.live.is_some() => self.next = Next::Wait,
                    Ok(_) => return Some(self.end().await),
                    Err(failure) => return Some(self.broken(&failure)),
                },
                Next::Wait => {
                    if let Some(progress) = self.wait().await {
                        return Some(sent("progress", &progress));
                    }
                }
            }
        }
    }

    /// Waits until there is something in the state, or how far the run is.
    async fn wait(&mut self) -> Option<Snapshot> {
        let Live { events, progress, progress_from } = self.live.as_mut()?;
        tokio::select! {
            biased;
            told = events.recv() => {
                match told {
                    Ok(event) if event.sequence == self.last + 1 => self.ready.push_back(event),
                    Ok(event) if event.sequence <= self.last => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.next = Next::Read,
                    Err(broadcast::error::RecvError::Closed) => (self.live, self.next) = (None, Next::Read),
                }
                None
            }
            progress = next_progress(progress, progress_from) => progress,
        }
    }

    /// Says that nothing more comes, and where the run stands.
    async fn end(&mut self) -> Sent {
        self.next = Next::Nothing;
        match self.daemon.store.run(&self.run).await {
            Ok(run) => {
                let stopped_by = self.daemon.stopped_by(&self.run);
                sent("end", &json!({ "run": self.run, "state": run.state, "stopped_by": stopped_by }))
            }
            Err(failure) => self.broken(&failure),
        }
    }

    /// Says that nothing more comes although there is something: a client has to ask again.
    fn broken(&mut self, failure: &Failure) -> Sent {
        self.next = Next::Nothing;
        sent("failure", &json!({ "error": failure }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millrace_pipeline::EventKind;
    use millrace_runtime::{Limits, Runtime, RuntimeOptions};

    use super::*;
    use crate::store::{RunRecord, Store};

    #[tokio::test]
    async fn a_client_that_reads_slowly_misses_no_event() {
        let folder = std::env::temp_dir().join(format!("millrace-events-{:x}", crate::clock::entropy()));
        let store = Store::open(&folder).await.expect("the folder is writable");
        store.create_run(&RunRecord::example("r1"), &[]).await.expect("it is writable");
        let runtime = Runtime::new(RuntimeOptions { cache_dir: None, limits: Limits::default() }).expect("an engine");
        let daemon = Daemon::new(Arc::new(runtime), store.clone(), folder.clone());
        // Nobody keeps more than two events for who reads slowly.
        let watch = Watch { events: broadcast::Sender::new(2), ..Watch::default() };
        let (run, live) = ("r1".to_owned(), Some(Live::of(&watch)));
        let mut following = Following { daemon, run, last: 0, ready: VecDeque::new(), live, next: Next::Read };
        let write = async |sequence| {
            let event = Event { sequence, at: String::new(), action: None, kind: EventKind::RunStarted };
            store.append("r1", std::slice::from_ref(&event), &[], "running").await.expect("it is writable");
            let _nobody_waits = watch.events.send(event);
        };
        let mut seen = Vec::new();
        for sequence in 1..=40 {
            write(sequence).await;
            if sequence % 13 == 0 {
                let _event = following.next().await.expect("there is more");
                seen.push(following.last);
            }
        }
        drop(watch);
        while following.next().await.is_some() {
            seen.push(following.last);
        }
        // The last thing that is sent is the end.
        assert_eq!(seen.pop(), Some(40));
        assert_eq!(seen, (1..=40).collect::<Vec<_>>());
        std::fs::remove_dir_all(folder).expect("the folder is ours");
    }
}
