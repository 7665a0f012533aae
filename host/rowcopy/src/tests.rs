//! The core with vectors as its ends. Databases are tested with real ones, elsewhere.

mod stage;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use millrace_model::Failure;
use stage::{Manner, Stage, digest};

use crate::TableOutcome;
use crate::port::ChunkRecord;

#[test]
fn every_row_arrives_once_and_the_digest_is_that_of_the_rows() {
    let stage = Stage::new(10);
    let outcome = stage.copy().unwrap();
    assert_eq!(stage.rows(), (0..10_000).collect::<Vec<_>>());
    assert_eq!(outcome.digest, digest(0..10_000));
    assert_eq!((outcome.rows, outcome.rejects, outcome.chunks), (10_000, 0, 10));
    let total = stage.progress.lock().unwrap().total();
    assert_eq!((total.rows, total.chunks_done, total.chunks_total), (10_000, 10, 10));
    assert_eq!(total.bytes, outcome.bytes);
}

#[test]
fn a_chunk_that_was_committed_is_not_copied_twice() {
    let stage = Stage { reject: Some(500), rejects_at_most: 1.0, ..Stage::new(6) };
    let first = stage.copy().unwrap();
    stage.committed.lock().unwrap().remove(&3);
    let again = stage.copy().unwrap();
    assert_eq!(stage.source.opened.load(Ordering::SeqCst), 7);
    assert_eq!((again.digest, again.rejects, again.bytes), (first.digest, first.rejects, first.bytes));
    assert_eq!(again.reject_groups[0].rows, first.reject_groups[0].rows);
    assert_eq!(stage.done(), 5_988);
}

#[test]
fn a_committed_chunk_that_no_plan_knows_stops_the_copy() {
    let stage = Stage::new(2);
    stage.committed.lock().unwrap().insert(7, (Vec::new(), ChunkRecord::default()));
    assert_eq!(stage.copy().unwrap_err().code, "copy.unknown-chunk");
}

#[test]
fn a_chunk_that_fails_transiently_is_tried_again() {
    let stage = Stage::new(4);
    stage.faults.commits_fail.store(3, Ordering::SeqCst);
    assert_eq!(stage.copy().unwrap().digest, digest(0..4_000));
    assert_eq!(stage.source.opened.load(Ordering::SeqCst), 7);
    assert_eq!(stage.done(), 4_000, "what the failed attempts counted was taken back");
}

#[test]
fn a_chunk_whose_commit_lost_its_answer_is_not_copied_twice() {
    let stage = Stage::new(4);
    stage.faults.answers_lost.store(4, Ordering::SeqCst);
    assert_eq!(stage.copy().unwrap().digest, digest(0..4_000));
    assert_eq!(stage.source.opened.load(Ordering::SeqCst), 4);
    assert_eq!(stage.done(), 4_000);
}

#[test]
fn a_chunk_that_keeps_failing_stops_the_copy_with_the_cause() {
    let stage = Stage::new(1);
    stage.faults.commits_fail.store(100, Ordering::SeqCst);
    let failure = stage.copy().unwrap_err();
    assert_eq!(failure.message, "the connection broke", "not what the copier made of it");
    let fields = ["table", "chunk", "attempts"].map(|name| failure.field(name).unwrap().to_owned());
    assert_eq!(fields, ["numbers", "0", "4"]);
    assert_eq!(stage.rows(), Vec::<i64>::new());
}

#[test]
fn rejected_rows_are_named_and_left_out() {
    let stage = Stage { reject: Some(250), rejects_at_most: 0.01, ..Stage::new(3) };
    let outcome = stage.copy().unwrap();
    let kept = || (0..3_000).filter(|value| value % 250 != 0);
    assert_eq!(stage.rows(), kept().collect::<Vec<_>>());
    assert_eq!((outcome.digest, outcome.rows, outcome.rejects), (digest(kept()), 2_988, 12));
    assert_eq!((outcome.reject_groups.len(), outcome.reject_groups[0].rows), (1, 12));
    let committed = stage.committed.lock().unwrap();
    let reject = &committed[&1].1.rejects[1];
    assert_eq!((reject.key.as_str(), reject.code.as_str()), (r#"{"id":"1250"}"#, "convert.out-of-range"));
    assert_eq!((reject.column.as_deref(), reject.value.as_deref()), (Some("id"), Some("1250")));
}

#[test]
fn too_many_rejects_stop_the_copy_and_say_what_they_have_in_common() {
    let stage = Stage { reject: Some(10), rejects_at_most: 0.01, ..Stage::new(20) };
    let failure = stage.copy().unwrap_err();
    assert_eq!(failure.code, "copy.rejects-exceeded");
    assert_eq!(failure.field("reject-code"), Some("convert.out-of-range"));
    assert_eq!(failure.field("column"), Some("id"));
    assert!(stage.rows().len() < 15_000, "it stopped early");
}

#[test]
fn a_copier_that_loses_rows_or_forgets_to_commit_is_found_out() {
    for (manner, code) in [(Manner::Loses, "copy.rows-lost"), (Manner::Forgets, "copy.not-committed")] {
        let stage = Stage { manner, ..Stage::new(2) };
        assert_eq!(stage.copy().unwrap_err().code, code);
        assert_eq!(stage.rows(), Vec::<i64>::new());
    }
}

#[test]
fn a_copier_that_writes_as_many_rows_as_it_read_but_other_ones_commits_none() {
    for manner in [Manner::Doubles, Manner::Forges] {
        let stage = Stage { manner, ..Stage::new(2) };
        assert_eq!(stage.copy().unwrap_err().code, "copy.rows-exchanged");
        assert_eq!(stage.rows(), Vec::<i64>::new());
    }
    // The first chunk is copied as it should be; a row of it that comes again with the second one is found.
    let stage = Stage { manner: Manner::Delays, workers: 1, parallel: 1, ..Stage::new(2) };
    assert_eq!(stage.copy().unwrap_err().code, "copy.rows-exchanged");
    assert_eq!(stage.rows(), (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_worker_that_panics_is_a_failure_and_not_a_hang() {
    let failure = Stage { manner: Manner::Panics, ..Stage::new(8) }.copy().unwrap_err();
    assert_eq!(failure.code, "copy.worker-panicked");
    assert!(failure.message.contains("on purpose"), "{}", failure.message);
}

/// Copies in the background while `meddle` runs.
fn meanwhile(stage: &Stage, meddle: impl FnOnce(&Stage)) -> Result<TableOutcome, Failure> {
    std::thread::scope(|scope| {
        let copy = scope.spawn(|| stage.copy());
        let start = Instant::now();
        while stage.done() == 0 && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(2));
        }
        meddle(stage);
        copy.join().unwrap()
    })
}

#[test]
fn a_cancelled_copy_stops_and_keeps_whole_chunks_only() {
    let stage = Stage::slow(100);
    let failure = meanwhile(&stage, |stage| stage.control.cancel().cancel()).unwrap_err();
    assert_eq!(failure.code, "run.cancelled");
    assert_eq!(stage.rows().len() % 1_000, 0);
    assert!(stage.rows().len() < 50_000);
}

#[test]
fn a_paused_copy_rests_until_it_is_resumed() {
    let stage = Stage::slow(8);
    let outcome = meanwhile(&stage, |stage| {
        stage.control.pause();
        std::thread::sleep(Duration::from_millis(100));
        let before = stage.done();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(stage.done(), before);
        assert!(before < 8_000);
        stage.control.resume();
    });
    assert_eq!(outcome.unwrap().rows, 8_000);
}

#[test]
fn a_paused_copy_can_be_cancelled() {
    let stage = Stage::slow(8);
    let failure = meanwhile(&stage, |stage| {
        stage.control.pause();
        stage.control.cancel().cancel();
    });
    assert_eq!(failure.unwrap_err().code, "run.cancelled");
}

#[test]
fn the_number_of_workers_changes_while_it_runs() {
    let stage = Stage { workers: 1, parallel: 8, ..Stage::slow(24) };
    let outcome = meanwhile(&stage, |stage| {
        assert_eq!(stage.busy.most.load(Ordering::SeqCst), 1);
        stage.control.set_workers(6);
    });
    assert_eq!(outcome.unwrap().rows, 24_000);
    assert_eq!(stage.busy.most.load(Ordering::SeqCst), 6);
}

#[test]
fn no_table_has_more_workers_than_it_may() {
    let stage = Stage { workers: 8, parallel: 2, ..Stage::slow(8) };
    assert_eq!(stage.copy().unwrap().rows, 8_000);
    assert_eq!(stage.busy.most.load(Ordering::SeqCst), 2);
}

#[test]
fn the_rate_is_kept_and_can_be_lifted() {
    let stage = Stage::new(10);
    stage.control.set_rows_per_second(Some(1_000));
    let start = Instant::now();
    let outcome = meanwhile(&stage, |stage| {
        std::thread::sleep(Duration::from_millis(500));
        // Each of the four workers may be one batch of a hundred rows ahead.
        let (done, most) = (stage.done(), start.elapsed().as_millis() + 500);
        assert!(u128::from(done) <= most, "{done} rows instead of {most}");
        stage.control.set_rows_per_second(None);
    });
    assert_eq!(outcome.unwrap().rows, 10_000);
    assert!(start.elapsed() < Duration::from_secs(5), "lifted: it would have taken ten");
}

#[test]
fn a_chunk_that_lives_in_the_target_is_copied_there_and_never_read() {
    let stage = Stage { manner: Manner::Inside, in_server: true, ..Stage::new(5) };
    let outcome = stage.copy().unwrap();
    assert_eq!(stage.rows(), (0..5_000).collect::<Vec<_>>());
    assert_eq!((outcome.rows, outcome.is_hashed), (5_000, false), "nobody saw the rows");
    assert_eq!(stage.source.opened.load(Ordering::SeqCst), 0);
    assert_eq!(stage.done(), 5_000);
    // The other way is open to it as well, and then the rows are seen.
    let stage = Stage { in_server: true, manner: Manner::Both, ..Stage::new(1) };
    assert_eq!(stage.copy().unwrap_err().code, "copy.two-ways");
    assert_eq!(stage.rows(), Vec::<i64>::new());
}

#[test]
fn a_target_that_is_short_of_memory_slows_the_copy_down_and_lets_it_go_again() {
    let stage = Stage { workers: 4, ..Stage::slow(40) };
    stage.faults.throttles.store(6, Ordering::SeqCst);
    let outcome = stage.copy().unwrap();
    assert_eq!(outcome.digest, digest(0..40_000), "every row arrived once");
    let slowed = stage.slowed.lock().unwrap().clone();
    assert_eq!(slowed.len(), 6, "every time it was told: {slowed:?}");
    assert_eq!(slowed[0].workers, 2, "half of four");
    assert!(slowed.iter().any(|slowed| slowed.workers == 1), "and half again: {slowed:?}");
    assert!(slowed.iter().all(|slowed| slowed.reason == "no memory left" && slowed.rest > Duration::ZERO));
    let quiet = Instant::now();
    while stage.control.slowed().is_some() {
        assert!(quiet.elapsed() < Duration::from_secs(20), "{:?}", stage.control.slowed());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_distress_of_many_chunks_counts_once() {
    let options = crate::CopyOptions::new(8);
    let control = crate::CopyControl::new(millrace_model::Cancel::new());
    let failure = Failure::transient("database.throttled", "no memory left");
    let workers: Vec<u32> = (0..5).map(|_| control.slow_down(&options, &failure).workers).collect();
    assert_eq!(workers, [4; 5]);
}

#[test]
fn a_target_that_stays_short_of_memory_ends_the_copy_with_the_cause() {
    let stage = Stage { workers: 1, ..Stage::new(1) };
    stage.faults.throttles.store(u32::MAX, Ordering::SeqCst);
    let copying = std::thread::scope(|scope| {
        let copy = scope.spawn(|| stage.copy());
        // The rests grow to minutes: what is tested is that it is tried more often than other failures are.
        while stage.slowed.lock().unwrap().len() < 5 {
            std::thread::sleep(Duration::from_millis(5));
        }
        stage.control.cancel().cancel();
        copy.join().unwrap()
    });
    assert_eq!(copying.unwrap_err().code, "run.cancelled");
    assert_eq!(stage.rows(), Vec::<i64>::new());
}

#[test]
fn a_copier_gets_the_workers_that_it_asks_for_within_the_plan_and_below_an_operator() {
    let stage = Stage { manner: Manner::Greedy, workers: 1, planned_at_most: 3, parallel: 8, ..Stage::slow(16) };
    assert_eq!(stage.copy().unwrap().rows, 16_000);
    assert_eq!(stage.busy.most.load(Ordering::SeqCst), 3);
    let stage = Stage { manner: Manner::Greedy, workers: 1, planned_at_most: 3, parallel: 8, ..Stage::slow(16) };
    stage.control.set_workers(2);
    assert_eq!(stage.copy().unwrap().rows, 16_000);
    assert_eq!(stage.busy.most.load(Ordering::SeqCst), 2);
}

#[test]
fn memory_is_shared_out_among_the_workers_and_bounds_their_number() {
    // Twelve MiB for four workers: three each, half a MiB in each of six places.
    let stage = Stage { memory_bytes: 12 << 20, ..Stage::new(12) };
    stage.copy().unwrap();
    assert_eq!(*stage.rooms.lock().unwrap(), [1 << 19; 12]);
    // Two MiB are enough for two.
    let stage = Stage { memory_bytes: 2 << 20, workers: 8, parallel: 8, ..Stage::slow(12) };
    assert_eq!(stage.copy().unwrap().rows, 12_000);
    assert_eq!(stage.busy.most.load(Ordering::SeqCst), 2);
}

#[test]
fn chunks_of_one_worker_are_copied_in_the_order_of_the_key() {
    let stage = Stage { workers: 1, parallel: 1, ..Stage::new(5) };
    stage.copy().unwrap();
    assert_eq!(*stage.order.lock().unwrap(), [0, 1, 2, 3, 4]);
}
