//! Several workers for many pieces of work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use millrace_model::Failure;

/// A worker's stack: guests and nested JSON both need some.
const STACK_BYTES: usize = 4 << 20;

/// At most so many workers.
const WORKERS_AT_MOST: usize = 8;

/// As many as keep processors and both servers busy.
fn workers() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors * 2).min(WORKERS_AT_MOST)
}

/// Does every piece of work; what each gave, in their order. `tools` makes what a worker keeps between pieces.
///
/// # Errors
/// The first failure; what was not begun by then is left undone.
pub(super) fn each<T: Sync, K, R: Send>(
    pieces: &[T],
    tools: impl Fn() -> K + Sync,
    work: impl Fn(&mut K, &T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<R>>> = Mutex::new(pieces.iter().map(|_| None).collect());
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let worker = || {
        let mut kept = tools();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(at) else { return };
            match work(&mut kept, piece) {
                Ok(result) => done.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(result),
                Err(failure) => {
                    next.store(pieces.len(), Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..workers().min(pieces.len()) {
            let named = std::thread::Builder::new().name(format!("compare-{number}")).stack_size(STACK_BYTES);
            if let Err(error) = named.spawn_scoped(scope, worker) {
                let failure = no_worker(&error);
                next.store(pieces.len(), Ordering::Relaxed);
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
            }
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()),
    }
}

/// Does two things at once.
pub(super) fn both<A: Send, B>(
    here: impl FnOnce() -> Result<B, Failure>,
    there: impl FnOnce() -> Result<A, Failure> + Send,
) -> Result<(A, B), Failure> {
    std::thread::scope(|scope| {
        let named = std::thread::Builder::new().name("compare-target".to_owned()).stack_size(STACK_BYTES);
        let other = named.spawn_scoped(scope, there).map_err(|e| no_worker(&e))?;
        let here = here();
        let there = other.join().unwrap_or_else(|_| {
            Err(Failure::internal("copy.worker-panicked", "a worker panicked while comparing".to_owned()))
        });
        Ok((there?, here?))
    })
}

fn no_worker(error: &std::io::Error) -> Failure {
    Failure::internal("copy.no-workers", format!("could not start a worker: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_pieces_and_the_first_failure_ends_it() {
        let pieces: Vec<u32> = (0..100).collect();
        assert_eq!(each(&pieces, || (), |(), n| Ok(n * 2)).unwrap(), pieces.iter().map(|n| n * 2).collect::<Vec<_>>());
        let failed = each(&pieces, || (), |(), n| if *n == 7 { Err(Failure::data("x.y", "seven")) } else { Ok(()) });
        assert_eq!(failed.unwrap_err().code, "x.y");
    }
}
