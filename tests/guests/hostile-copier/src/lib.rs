//! A copier with many faces: its configuration says which one it shows, `{"face": "hoards-batches"}`.

#![allow(missing_docs, unsafe_code, unreachable_pub, dead_code)] // generated code; nobody builds on this crate
#![cfg(target_family = "wasm")]

#[path = "../../hostile/src/common.rs"]
mod common;

wit_bindgen::generate!({ path: "../../../wit", world: "copier-plugin" });

use common::{error, face, misbehave};
use exports::millrace::stage::copier::{Chunking, Guest, KeyRange, Reader, Table, Workload, Writer};
use millrace::stage::failure::Error;
use millrace::stage::rows::Batch;

struct Hostile;

fn copied(source: &Reader, target: &Writer) -> Result<u64, Error> {
    while let Some(batch) = source.next(100, 1 << 20)? {
        target.write(batch)?;
    }
    target.commit()
}

impl Guest for Hostile {
    fn plan(_: Table, workload: Workload) -> Result<Chunking, Error> {
        let face = face();
        let all = u64::MAX;
        Ok(match face.as_str() {
            "empty-chunks" => Chunking { rows_per_chunk: 0, bytes_per_chunk: 0, parallel: 0, begin_with: 0 },
            "largest-chunks" | "takes-all-at-once" => {
                Chunking { rows_per_chunk: all, bytes_per_chunk: all, parallel: u32::MAX, begin_with: u32::MAX }
            }
            "smallest-chunks" => Chunking { rows_per_chunk: 1, bytes_per_chunk: 1, parallel: 1, begin_with: 1 },
            "loop-while-planning" => loop {
                std::hint::spin_loop();
            },
            _ => {
                Chunking { rows_per_chunk: 1_000, bytes_per_chunk: 1 << 20, parallel: workload.workers, begin_with: 1 }
            }
        })
    }

    fn copy(_: KeyRange, source: &Reader, target: &Writer) -> Result<u64, Error> {
        misbehave();
        match face().as_str() {
            // Keeps what it gets until it gets no more.
            "hoards-batches" => {
                let mut hoard = vec![];
                while let Some(batch) = source.next(1, u64::MAX)? {
                    hoard.push(batch);
                }
                Err(error("hostile.granted", &format!("it holds {} batches", hoard.len())))
            }
            "takes-all-at-once" => {
                while let Some(batch) = source.next(u32::MAX, u64::MAX)? {
                    target.write(batch)?;
                }
                target.commit()
            }
            "drops-rows" => {
                while let Some(batch) = source.next(1, 1 << 20)? {
                    if batch.rows() % 2 == 0 {
                        target.write(batch)?;
                    }
                }
                target.commit()
            }
            "never-commits" => {
                while let Some(batch) = source.next(100, 1 << 20)? {
                    target.write(batch)?;
                }
                Ok(3)
            }
            "commits-nothing" => target.commit(),
            "commits-twice" => {
                copied(source, target)?;
                target.commit()
            }
            "writes-after-commit" => {
                let late = source.next(1, 1 << 20)?;
                copied(source, target)?;
                late.map_or(Ok(()), |batch| target.write(batch))?;
                target.commit()
            }
            "lies-about-rows" => copied(source, target).map(|_| u64::MAX),
            "asks-for-the-world" => {
                target.ask_for_workers(u32::MAX);
                target.ask_for_workers(0);
                copied(source, target)
            }
            "copies-inside-and-outside" => {
                let inside = target.insert_select();
                if inside.is_ok() {
                    return Err(error("hostile.granted", "it copied inside the server"));
                }
                copied(source, target)
            }
            "after-write" => {
                let batch = source.next(1, 1 << 20)?.ok_or_else(|| error("hostile.no-rows", "there are no rows"))?;
                let handle = batch.handle();
                target.write(batch)?;
                let batch = unsafe { Batch::from_handle(handle) };
                target.write(batch)?;
                target.commit()
            }
            "foreign-handle" => {
                let batch = unsafe { Batch::from_handle(4711) };
                target.write(batch)?;
                target.commit()
            }
            "no-such-column" => {
                let batch = source.next(1, 1 << 20)?.ok_or_else(|| error("hostile.no-rows", "there are no rows"))?;
                let _ = batch.read(4711);
                target.commit()
            }
            _ => copied(source, target),
        }
    }
}

export!(Hostile);
