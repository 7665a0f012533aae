//! Brings what differs into line: a part of the target's table is deleted and copied from the source again, in one
//! transaction.
//!
//! A part is as small as is known: the rows that differ where they can be named and are few, else the range that
//! differs. References are not checked while a part is replaced, since a row that others refer to is away for an instant
//! within the transaction; nothing cascades.

use millrace_model::Failure;
use millrace_model::capability::TablePair as _;
use millrace_model::comparison::{KeyRange, Reading};

use super::PairParts;
use super::pair::Pair;
use super::sides::{Scope, Sides, Tools};
use crate::mysql::Replacement;
use crate::postgres::Form;

/// Rows that are replaced by name; more of them are replaced with their ranges.
const NAMED_AT_MOST: u32 = 1_000;

/// Rows of a range, where the ranges of a copy are not known.
const RANGE_ROWS: u64 = 20_000;

/// What is replaced in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairPart {
    /// Rows by their keys.
    Rows(Vec<Vec<String>>),
    /// All rows of a range.
    Range(KeyRange),
}

impl std::fmt::Display for RepairPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = |parts: &[String]| format!("({})", parts.join(", "));
        match self {
            Self::Rows(keys) => {
                let shown: Vec<String> = keys.iter().take(5).map(|parts| key(parts)).collect();
                let more = if keys.len() > shown.len() { ", …" } else { "" };
                write!(f, "{} rows: {}{more}", keys.len(), shown.join(", "))
            }
            Self::Range(KeyRange { lower: None, upper: None }) => f.write_str("the whole table"),
            Self::Range(KeyRange { lower, upper }) => {
                f.write_str("rows")?;
                if let Some(lower) = lower {
                    write!(f, " from {}", key(lower))?;
                }
                if let Some(upper) = upper {
                    write!(f, " to before {}", key(upper))?;
                }
                Ok(())
            }
        }
    }
}

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Rows of the target that were deleted.
    pub deleted: u64,
    /// Rows that were written in their place.
    pub written: u64,
}

/// What of a table differs, in parts to be replaced. Empty: nothing. Blocks.
///
/// # Errors
/// What the databases say.
pub fn repair_parts(parts: PairParts) -> Result<Vec<RepairPart>, Failure> {
    let mut pair = Pair::new(parts);
    let ranges = pair.ranges(RANGE_ROWS)?;
    let mut differing = Vec::new();
    for group in ranges.chunks(64) {
        let digests = pair.digests(group, Reading::Recorded)?;
        differing.extend(group.iter().zip(digests).filter(|(_, (a, b))| a != b).map(|(range, _)| range.clone()));
    }
    if differing.is_empty() {
        return Ok(Vec::new());
    }
    let mut repairs = Vec::new();
    for range in differing {
        match pair.keys_that_differ(&range, NAMED_AT_MOST)? {
            Some(keys) if keys.is_empty() => {}
            Some(keys) => repairs.push(RepairPart::Rows(keys)),
            None => repairs.push(RepairPart::Range(range)),
        }
    }
    Ok(repairs)
}

/// Replaces one part. Blocks.
///
/// # Errors
/// What the databases say; then the part is as it was.
pub fn repair(parts: PairParts, part: &RepairPart) -> Result<Repaired, Failure> {
    let source = parts.source.clone();
    let snapshot = source.bridge().block(source.snapshot())?;
    let sides = Sides::new(parts);
    let scope = match part {
        RepairPart::Rows(keys) => Scope::Keys(keys.clone()),
        RepairPart::Range(range) => Scope::Range(range.clone()),
    };
    let tail = sides.tail(&scope)?;
    let table = &sides.parts.target_table;
    let mut replacement = Replacement::begin(&sides.parts.target, &table.name, &table.columns)?;
    let deleted = replacement.delete(&tail)?;
    let mut written = 0;
    sides.each_source_batch(
        &mut Tools::default(),
        &snapshot,
        &Sides::portions(&scope),
        Form::Binary,
        |batch, hashes| {
            written += replacement.insert(batch, hashes)?;
            Ok(())
        },
    )?;
    replacement.commit()?;
    Ok(Repaired { deleted, written })
}
