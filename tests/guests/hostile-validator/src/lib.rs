//! A validator with many faces: its configuration says which one it shows, `{"face": "ranges"}`.

#![allow(missing_docs, unsafe_code, unreachable_pub, dead_code)] // generated code; nobody builds on this crate
#![cfg(target_family = "wasm")]

#[path = "../../hostile/src/common.rs"]
mod common;

wit_bindgen::generate!({ path: "../../../wit", world: "validator-plugin" });

use common::{face, misbehave, verdict, with};
use exports::millrace::stage::validator::{Finding, Guest, TablePair, Validation, Verdict};
use millrace::stage::comparison::{KeyRange, Reading};
use millrace::stage::failure::Error;

struct Hostile;

fn passed() -> Validation {
    Validation {
        verdict: Verdict::Passed,
        level: "hostile".to_owned(),
        rows_compared: 0,
        rows_equal: 0,
        findings: vec![],
    }
}

fn finding(text: &str) -> Finding {
    Finding {
        code: text.to_owned(),
        message: text.to_owned(),
        cause: Some(text.to_owned()),
        rows: u64::MAX,
        repair: Some(text.to_owned()),
        differences: vec![],
    }
}

impl Guest for Hostile {
    fn validate(pair: &TablePair) -> Result<Validation, Error> {
        misbehave();
        match face().as_str() {
            // Bounds of ranges are texts that reach both databases.
            "ranges" => {
                let bounds: [&[&str]; 5] = [&[&with()], &["1", "2", "3"], &[], &["'"], &["\\"]];
                for bound in bounds {
                    let bound: Vec<String> = bound.iter().map(|part| (*part).to_owned()).collect();
                    let range = KeyRange { lower: Some(bound.clone()), upper: Some(bound) };
                    let _ = pair.digests(&[range.clone()], Reading::Again);
                    let _ = pair.differences(&[range], 10);
                }
                Err(verdict(&[]))
            }
            "everything" => {
                let _ = pair.ranges(0);
                let ranges = pair.ranges(1)?;
                let _ = pair.differences(&ranges, u32::MAX);
                let sample = pair.sample(u32::MAX, 1);
                Err(verdict(
                    &sample.is_ok().then(|| "a sample of everything".to_owned()).into_iter().collect::<Vec<_>>(),
                ))
            }
            "giant" => Ok(Validation { level: "x".repeat(5 << 20), ..passed() }),
            "endless" => Ok(Validation { findings: (0..10_000).map(|_| finding("x")).collect(), ..passed() }),
            "texts" => {
                Ok(Validation { verdict: Verdict::Failed, level: with(), findings: vec![finding(&with())], ..passed() })
            }
            "foreign-handle" => {
                let pair = std::mem::ManuallyDrop::new(unsafe { TablePair::from_handle(4711) });
                pair.counts().map(|_| passed())
            }
            _ => Ok(passed()),
        }
    }
}

export!(Hostile);
