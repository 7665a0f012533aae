//! Brings what differs into line: a part of the target's table is deleted and copied from the source again, in one
//! transaction.
//!
//! A part is as small as is known: the rows that differ where they can be named and are few, else the range that
//! differs. References are not checked while a part is replaced, since a row that others refer to is away for an instant
//! within the transaction; nothing cascades. Rows that would refer to nothing afterwards are looked for before it is
//! committed. Applications may write meanwhile: the transaction itself looks whether they have. A row of the source that cannot be converted now is not deleted from the
//! target: nothing could be written in its place.

use millrace_model::Failure;
use millrace_model::capability::TablePair as _;
use millrace_model::comparison::{KeyRange, Reading};
use millrace_model::quantity::counted;

use super::PairParts;
use super::pair::{Differing, Pair};
use super::sides::{Scope, Sides, Tools};
use crate::mysql::{ApplicationRows, Replacement};
use crate::postgres::Form;

/// Rows that are replaced by name; more of them are replaced with their ranges.
const NAMED_AT_MOST: u32 = 1_000;

/// Rows of a range, where the ranges of a copy are not known.
const RANGE_ROWS: u64 = 20_000;

/// What is replaced in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairPart {
    /// Rows by their keys.
    Rows {
        /// Of all of them.
        keys: Vec<Vec<String>>,
        /// Of those that the source has not: they are deleted for good.
        only_in_target: Vec<Vec<String>>,
    },
    /// All rows of a range.
    Range {
        /// Which one.
        range: KeyRange,
        /// How many rows the target has there: they are deleted in one transaction.
        target_rows: u64,
        /// How many of them the source has not: they are deleted for good.
        only_in_target: u64,
    },
}

impl RepairPart {
    /// How many rows are deleted and not written again.
    pub fn rows_only_in_target(&self) -> u64 {
        match self {
            Self::Rows { only_in_target, .. } => only_in_target.len() as u64,
            Self::Range { only_in_target, .. } => *only_in_target,
        }
    }
}

fn listed(keys: &[Vec<String>]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = keys.iter().take(SHOWN).map(|parts| format!("({})", parts.join(", "))).collect();
    let more = if keys.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

impl std::fmt::Display for RepairPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows { keys, only_in_target } => {
                write!(f, "{}: {}", counted(keys.len() as u64, "row"), listed(keys))?;
                if !only_in_target.is_empty() {
                    write!(f, "; deleted for good, as the source has no such row: {}", listed(only_in_target))?;
                }
                Ok(())
            }
            Self::Range { range, target_rows, only_in_target } => {
                match range {
                    KeyRange { lower: None, upper: None } => {
                        write!(f, "the whole table, {} in one transaction", counted(*target_rows, "row"))?;
                    }
                    KeyRange { lower, upper } => {
                        write!(f, "{}", counted(*target_rows, "row"))?;
                        if let Some(lower) = lower {
                            write!(f, " from ({})", lower.join(", "))?;
                        }
                        if let Some(upper) = upper {
                            write!(f, " to before ({})", upper.join(", "))?;
                        }
                        write!(f, " in one transaction")?;
                    }
                }
                if *only_in_target > 0 {
                    write!(f, "; {only_in_target} of them deleted for good, as the source has no such row")?;
                }
                Ok(())
            }
        }
    }
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Rows of the target that were deleted.
    pub deleted: u64,
    /// Rows that were written in their place.
    pub written: u64,
    /// The keys of rows that cannot be converted now: they were left as they are.
    pub left: Vec<Vec<String>>,
    /// The change number of the transaction. None: the server has none, or the table no mark.
    pub change: Option<u64>,
    /// What the table's rows add up to with this transaction, on a server without change numbers.
    pub checksum: Option<String>,
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
            Differing::Nothing => {}
            Differing::Named { keys, mut only_in_target } => {
                // What the source has in a form that cannot be converted now is left as it is.
                let rejected = pair.rejected_among(&only_in_target)?;
                only_in_target.retain(|key| !rejected.contains(key));
                repairs.push(RepairPart::Rows { keys, only_in_target });
            }
            Differing::Unnamed { only_in_target } => {
                let target_rows = pair.target_rows(&range)?;
                repairs.push(RepairPart::Range { range, target_rows, only_in_target });
            }
        }
    }
    Ok(repairs)
}

/// Replaces one part. Blocks.
///
/// # Errors
/// What the databases say; `repair.new-rows` where an application has written to the part; `repair.children-left` where
/// rows of other tables would refer to nothing afterwards; and `repair.row-rejected` for a row that cannot be converted now
/// in a table without a key. Then the part is as it was.
pub fn repair(parts: PairParts, part: &RepairPart, applications: &ApplicationRows) -> Result<Repaired, Failure> {
    let source = parts.source.clone();
    let snapshot = source.bridge().block(source.snapshot())?;
    let left_out = parts.rejects.len();
    let sides = Sides::new(parts);
    let scope = match part {
        RepairPart::Rows { keys, .. } => Scope::Keys(keys.clone()),
        RepairPart::Range { range, .. } => Scope::Range(range.clone()),
    };
    let table = &sides.parts.target_table;
    let portions = Sides::portions(&scope);
    let mut tools = Tools::default();
    let mut rejected = Vec::new();
    sides.each_converted_batch(
        &mut tools,
        &snapshot,
        &portions,
        Form::Binary,
        |key| rejected.push(key),
        |_, _| Ok(()),
    )?;
    if sides.keys.is_empty() && rejected.len() > left_out {
        return Err(Failure::data(
            "repair.row-rejected",
            format!(
                "{} of {} cannot be converted now, and have no key by which they could be left as they are; nothing of \
                 the table was repaired",
                counted(rejected.len() as u64, "row"),
                sides.parts.source_table.name
            ),
        )
        .with("table", table.name.to_string()));
    }
    rejected.retain(|key| !key.is_empty() && sides.keys.can_spell(key));
    let tail = without(&sides, &sides.tail(&scope)?, &rejected)?;
    let target = &sides.parts.target;
    let referring = match part.rows_only_in_target() {
        0 => Vec::new(),
        _ => target.bridge.block(target.foreign_keys_to(std::slice::from_ref(&table.name)))?,
    };
    let mut replacement = Replacement::begin(target, &table.name, &table.columns)?;
    let orphans = replacement.orphans(&referring)?;
    let deleted = replacement.delete(&tail, applications)?;
    let mut written = 0;
    sides.each_source_batch(&mut tools, &snapshot, &portions, Form::Binary, |batch, hashes| {
        written += replacement.insert(batch, hashes)?;
        Ok(())
    })?;
    let orphaned = replacement.orphans(&referring)?;
    let grown = referring.iter().zip(orphans.iter().zip(&orphaned)).find(|(_, (before, after))| after > before);
    if let Some((found, (before, after))) = grown {
        return Err(Failure::data(
            "repair.children-left",
            format!(
                "{} of {} would refer by {} to rows of {} that the source does not have; nothing of that part was repaired",
                counted(after - before, "row"),
                found.table,
                found.key.name,
                table.name
            ),
        )
        .with("table", table.name.to_string()));
    }
    let mark = applications.mark();
    let has_changes = mark.is_some_and(|mark| mark.mark.scn.is_some());
    let checksum = if has_changes || mark.is_none() { None } else { replacement.checksum()? };
    replacement.commit(mark)?;
    let change = mark.map(|mark| target.bridge.block(target.bookkeeping().own_change(mark))).transpose()?.flatten();
    // What the copy left out is not there anyway.
    rejected.retain(|key| !sides.rejected.contains(key));
    Ok(Repaired { deleted, written, left: rejected, change, checksum })
}

/// What is deleted, without the rows of these keys.
fn without(sides: &Sides, tail: &str, keys: &[Vec<String>]) -> Result<String, Failure> {
    if keys.is_empty() {
        return Ok(tail.to_owned());
    }
    let among = sides.tail(&Scope::Keys(keys.to_vec()))?;
    let condition = |tail: &str| tail.trim_start().trim_start_matches("WHERE ").to_owned();
    Ok(match tail {
        "" => format!(" WHERE NOT ({})", condition(&among)),
        tail => format!(" WHERE ({}) AND NOT ({})", condition(tail), condition(&among)),
    })
}
