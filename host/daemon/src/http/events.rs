//! A run's journal as server-sent events: what was, then what comes, until the run's task ends.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures::stream::{self, Stream, StreamExt as _};
use millrace_pipeline::Event;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};

use super::Daemon;
use super::answer::Refused;

/// Progress is told at most so often.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

fn journal(event: &Event) -> Sent {
    Sent::default()
        .event("journal")
        .id(event.sequence.to_string())
        .data(serde_json::to_string(event).expect("an event is plain data"))
}

pub(super) async fn follow(
    State(daemon): State<Daemon>,
    Path(run): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Refused> {
    let record = daemon.store.run(&run).await?;
    // Subscribed before the past is read, so that nothing falls between the two.
    let live =
        daemon.active(&record.id).map(|active| (active.watch.events.subscribe(), active.watch.progress.subscribe()));
    let past: Vec<Event> = daemon.store.events(&record.id).await?;
    let last = past.last().map_or(0, |e| e.sequence);
    let past = stream::iter(past).map(|event| journal(&event));
    let future = stream::iter(live).flat_map(move |(events, progress)| {
        let events = BroadcastStream::new(events)
            .filter_map(|event| async move { event.ok() })
            .filter(move |event| std::future::ready(event.sequence > last))
            .map(|event| Some(journal(&event)))
            // The run's task is over: so is the stream, whatever its progress says.
            .chain(stream::iter([None]));
        let progress = tokio_stream::StreamExt::throttle(WatchStream::new(progress), PROGRESS_EVERY)
            .filter_map(|snapshot| async move { snapshot })
            .map(|snapshot| {
                Some(
                    Sent::default()
                        .event("progress")
                        .data(serde_json::to_string(&snapshot).expect("progress is plain data")),
                )
            });
        stream::select(events, progress.boxed())
            .take_while(|event| std::future::ready(event.is_some()))
            .filter_map(|event| async move { event })
            .boxed()
    });
    Ok(Sse::new(past.chain(future).map(Ok)).keep_alive(KeepAlive::default()))
}
