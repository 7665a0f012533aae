//! Both levels of a table's partitions, and their names.

use std::collections::BTreeSet;

use millrace_model::schema::Table;

use super::key::{self, Cut};
use super::layout::{self, Level};
use super::source::{Branch, Key, Method};
use super::{Partition, Server};
use crate::dialect::mysql::constraint::unique_name;
use crate::dialect::mysql::expression::{Scope, Untranslatable};

/// A table's partitions in the target.
#[derive(Clone, Debug)]
pub(super) struct Nested {
    pub(super) by: String,
    pub(super) below_by: Option<String>,
    /// The columns by which it is partitioned, at both levels.
    pub(super) columns: Vec<String>,
    pub(super) partitions: Vec<Partition>,
    pub(super) notes: Vec<String>,
    /// Why the source's subpartitions are not there. None: they are, or there were none.
    pub(super) flattened: Option<String>,
}

/// What lies below one partition.
struct Below<'a> {
    cut: Cut,
    /// By the place of the partition. None: it is not cut at the source.
    levels: Vec<Option<Level<'a>>>,
}

pub(super) fn settle(
    source: &Table,
    scope: &Scope<'_>,
    server: Server,
    by: &Key,
    branches: &[Branch],
) -> Result<Nested, Untranslatable> {
    let cut = key::settle(by, source, scope, server)?;
    let level = layout::settle(&cut, branches, server)?;
    let (below, flattened) = match below(source, scope, server, &cut, &level) {
        Ok(below) => (below, None),
        Err(Untranslatable(reason)) => {
            (None, Some(format!("the partitions are not cut once more as at the source, because {reason}")))
        }
    };
    let partitions = named(&level, below.as_ref());
    let mut columns = cut.columns.clone();
    let mut notes = level.notes;
    let mut below_by = None;
    if let Some(below) = below {
        columns.extend(below.cut.columns.iter().filter(|c| !cut.columns.contains(c)).cloned());
        below_by = Some(below.cut.by);
        for note in below.levels.into_iter().flatten().flat_map(|level| level.notes) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    Ok(Nested { by: cut.by, below_by, columns, partitions, notes, flattened })
}

/// The second level. None: there is none.
fn below<'a>(
    source: &Table,
    scope: &Scope<'_>,
    server: Server,
    above: &Cut,
    level: &Level<'a>,
) -> Result<Option<Below<'a>>, Untranslatable> {
    let mut keys = level.slots.iter().filter_map(|slot| Some((slot.origin, &slot.origin.below.as_ref()?.0)));
    let Some((first, by)) = keys.next() else { return Ok(None) };
    if let Some((other, _)) = keys.find(|(_, key)| *key != by) {
        return Err(Untranslatable(format!(
            "partition {} is cut by another key than {}, and the target has one for all",
            other.name, first.name
        )));
    }
    let cut = key::settle(by, source, scope, server)?;
    let mut levels = Vec::with_capacity(level.slots.len());
    for slot in &level.slots {
        levels.push(match &slot.origin.below {
            None => None,
            Some((_, branches)) if branches.is_empty() => {
                return Err(Untranslatable(format!("partition {} has no partitions yet", slot.origin.name)));
            }
            Some((_, branches)) => {
                if let Some(deeper) = branches.iter().find(|branch| branch.below.is_some()) {
                    return Err(Untranslatable(format!(
                        "partition {} is cut for a third time, and the target has two levels",
                        deeper.name
                    )));
                }
                Some(layout::settle(&cut, branches, server)?)
            }
        });
    }
    if server != Server::OceanBase {
        refuse_uneven(above, &cut, &levels)?;
    }
    if !level.certain {
        refuse_different(&levels)?;
    }
    Ok(Some(Below { cut, levels }))
}

/// MySQL and MariaDB spread the rows of ranges and lists, over as many subpartitions of each.
fn refuse_uneven(above: &Cut, cut: &Cut, levels: &[Option<Level<'_>>]) -> Result<(), Untranslatable> {
    let mut counts = levels.iter().map(|level| level.as_ref().map_or(1, |level| level.slots.len()));
    let first = counts.next();
    let fits = above.method != Method::Hash && cut.method == Method::Hash && counts.all(|count| Some(count) == first);
    match fits {
        true => Ok(()),
        false => Err(Untranslatable(
            "the target cuts ranges and lists once more by HASH only, each into as many parts".to_owned(),
        )),
    }
}

/// Where a row may lie in another partition than at the source, it must find its place in any of them.
fn refuse_different(levels: &[Option<Level<'_>>]) -> Result<(), Untranslatable> {
    let bounds = |level: &Option<Level<'_>>| -> Vec<String> {
        level.iter().flat_map(|level| &level.slots).map(|slot| slot.bound.clone()).collect()
    };
    let all = levels.iter().all(|level| level.as_ref().is_none_or(|level| level.takes_all));
    let same = levels.windows(2).all(|pair| bounds(&pair[0]) == bounds(&pair[1]));
    match all || same {
        true => Ok(()),
        false => Err(Untranslatable(
            "rows may lie in another partition there, whose own partitions would not take them".to_owned(),
        )),
    }
}

/// The partitions with the names of the source's, each once.
fn named(level: &Level<'_>, below: Option<&Below<'_>>) -> Vec<Partition> {
    let mut taken = BTreeSet::new();
    let mut partitions: Vec<Partition> = level
        .slots
        .iter()
        .enumerate()
        .map(|(at, slot)| Partition {
            name: if slot.extra { String::new() } else { name_of(slot.origin, &mut taken) },
            bound: slot.bound.clone(),
            below: match below {
                None => Vec::new(),
                Some(below) => bounds_below(below, at),
            },
        })
        .collect();
    for (at, slot) in level.slots.iter().enumerate().filter(|(_, slot)| !slot.extra) {
        name_below(&mut partitions[at], slot.origin, below.and_then(|below| below.levels[at].as_ref()), &mut taken);
    }
    for (at, slot) in level.slots.iter().enumerate().filter(|(_, slot)| slot.extra) {
        partitions[at].name = name_of(slot.origin, &mut taken);
        name_below(&mut partitions[at], slot.origin, below.and_then(|below| below.levels[at].as_ref()), &mut taken);
    }
    partitions
}

fn bounds_below(below: &Below<'_>, at: usize) -> Vec<Partition> {
    let unnamed = |bound: String| Partition { name: String::new(), bound, below: Vec::new() };
    match &below.levels[at] {
        Some(level) => level.slots.iter().map(|slot| unnamed(slot.bound.clone())).collect(),
        None => vec![unnamed(layout::of_the_rest(&below.cut))],
    }
}

fn name_below(partition: &mut Partition, origin: &Branch, level: Option<&Level<'_>>, taken: &mut BTreeSet<String>) {
    let Some(level) = level else {
        for part in &mut partition.below {
            part.name = unique_name(&format!("{}_rest", printable(&origin.name)), taken);
        }
        return;
    };
    for extra in [false, true] {
        for (part, slot) in partition.below.iter_mut().zip(&level.slots).filter(|(_, slot)| slot.extra == extra) {
            part.name = name_of(slot.origin, taken);
        }
    }
}

fn name_of(branch: &Branch, taken: &mut BTreeSet<String>) -> String {
    unique_name(&printable(&branch.name), taken)
}

/// OceanBase prints names of partitions between backticks as they are.
fn printable(name: &str) -> String {
    name.replace(|c: char| c == '`' || c == '\\' || c.is_control(), "_")
}
