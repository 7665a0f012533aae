//! One level of partitions: which of the source's become which of the target's, with which bounds.

use std::collections::BTreeSet;

use super::Server;
use super::key::Cut;
use super::source::{Bound, Branch, Literal, Method};
use super::value::{Form, Place};
use crate::dialect::mysql::expression::Untranslatable;

/// A partition of the target, and the source's that its rows come from.
#[derive(Clone, Debug)]
pub(super) struct Slot<'a> {
    pub(super) origin: &'a Branch,
    pub(super) bound: String,
    /// Not the first one of its origin's: it has a name of its own.
    pub(super) extra: bool,
}

/// One level.
#[derive(Clone, Debug)]
pub(super) struct Level<'a> {
    pub(super) slots: Vec<Slot<'a>>,
    /// Whether every row finds a partition.
    pub(super) takes_all: bool,
    /// Whether each row certainly lies in the partition that its own one became.
    pub(super) certain: bool,
    pub(super) notes: Vec<String>,
}

pub(super) fn settle<'a>(cut: &Cut, branches: &'a [Branch], server: Server) -> Result<Level<'a>, Untranslatable> {
    match cut.method {
        Method::Range => ranges(cut, branches),
        Method::List => lists(cut, branches, server),
        Method::Hash => hashes(branches),
    }
}

/// A bound that takes what is left.
pub(super) fn of_the_rest(cut: &Cut) -> String {
    match cut.method {
        Method::Range => less_than(&cut.forms, &vec![Place::Above; cut.forms.len()]).unwrap_or_default(),
        Method::List => "VALUES IN (DEFAULT)".to_owned(),
        Method::Hash => String::new(),
    }
}

fn misfit(branch: &Branch) -> Untranslatable {
    Untranslatable(format!("the bound of partition {} does not fit its key", branch.name))
}

fn blamed(branch: &Branch) -> impl Fn(Untranslatable) -> Untranslatable + '_ {
    |Untranslatable(reason)| Untranslatable(format!("of partition {}: {reason}", branch.name))
}

/// A bound of several values, in one spelling: what follows the first that is none does not matter, and where there is a
/// value before another one, nothing is below it but what is above that.
fn places(forms: &[Form], bound: &[Literal], branch: &Branch) -> Result<Vec<Place>, Untranslatable> {
    if forms.len() != bound.len() {
        return Err(misfit(branch));
    }
    let mut places = Vec::with_capacity(forms.len());
    for (form, literal) in forms.iter().zip(bound) {
        let place = match places.last() {
            Some(last @ (Place::Below | Place::Above)) => Place::clone(last),
            _ => form.place(literal).map_err(blamed(branch))?,
        };
        places.push(place);
    }
    if let Some(first) = places.iter().position(|place| *place == Place::Below).filter(|at| *at > 0)
        && let Place::At(value) = &places[first - 1]
        && let Some(before) = forms[first - 1].before(value)
    {
        places[first - 1] = Place::At(before);
        places[first..].fill(Place::Above);
    }
    Ok(places)
}

/// `VALUES LESS THAN (…)`. None: there is no such bound.
fn less_than(forms: &[Form], places: &[Place]) -> Option<String> {
    let mut spelled = Vec::with_capacity(places.len());
    for (form, place) in forms.iter().zip(places) {
        spelled.push(match place {
            Place::Below => return None,
            Place::At(value) => form.printed(value),
            Place::Above => "MAXVALUE".to_owned(),
        });
    }
    Some(format!("VALUES LESS THAN ({})", spelled.join(",")))
}

fn ranges<'a>(cut: &Cut, branches: &'a [Branch]) -> Result<Level<'a>, Untranslatable> {
    let forms = &cut.forms;
    let mut default = None;
    let mut ranges = Vec::new();
    for branch in branches {
        match &branch.bound {
            Bound::Default => default = Some(branch),
            Bound::Range { from, to } => {
                ranges.push((places(forms, from, branch)?, places(forms, to, branch)?, branch));
            }
            _ => return Err(misfit(branch)),
        }
    }
    ranges.sort_by(|a, b| a.1.cmp(&b.1));
    let unspoken = |branch: &Branch, end: &str| {
        Untranslatable(format!("the {end} bound of partition {} has no counterpart there", branch.name))
    };
    let (lowest, highest) = (vec![Place::Below; forms.len()], vec![Place::Above; forms.len()]);
    let (mut slots, mut notes, mut reached) = (Vec::new(), Vec::new(), lowest.clone());
    for (from, to, branch) in &ranges {
        let bound = less_than(forms, to).ok_or_else(|| unspoken(branch, "upper"))?;
        if *to <= reached {
            return Err(unspoken(branch, "upper"));
        }
        if *from > reached {
            match default {
                Some(default) => {
                    let bound = less_than(forms, from).ok_or_else(|| unspoken(branch, "lower"))?;
                    slots.push(Slot { origin: default, bound, extra: true });
                }
                None if reached == lowest => notes.push(format!(
                    "partition {} has no lower bound in the target: it would take rows below it too",
                    branch.name
                )),
                None => notes.push(format!(
                    "partition {} would also take rows of the gap below it, for which the source has no partition",
                    branch.name
                )),
            }
        }
        slots.push(Slot { origin: branch, bound, extra: false });
        reached.clone_from(to);
    }
    if let Some(default) = default {
        if reached < highest {
            slots.push(Slot { origin: default, bound: of_the_rest(cut), extra: false });
        } else if let Some(slot) = slots.iter_mut().find(|slot| slot.origin == default) {
            slot.extra = false;
        }
        notes.push(default_note(default, &slots));
        if cut.nullable {
            notes.push("rows with NULL in the key lie in the lowest partition, and not in the default one".to_owned());
        }
    }
    Ok(Level {
        takes_all: default.is_some() || reached == highest,
        certain: !forms.iter().any(|form| form.is_text()) && (default.is_none() || !cut.nullable),
        slots,
        notes,
    })
}

fn default_note(default: &Branch, slots: &[Slot<'_>]) -> String {
    match slots.iter().filter(|slot| slot.origin == default).count() {
        0 => format!("the default partition {} is left out: no value but NULL can lie in it", default.name),
        1 => format!("the default partition {} is the range that no other one has", default.name),
        count => format!("the default partition {} becomes the {count} ranges that no other one has", default.name),
    }
}

fn lists<'a>(cut: &Cut, branches: &'a [Branch], server: Server) -> Result<Level<'a>, Untranslatable> {
    let [form] = cut.forms.as_slice() else {
        return Err(Untranslatable("a list has values of one column".to_owned()));
    };
    let mut slots = Vec::with_capacity(branches.len());
    let mut default = None;
    for branch in branches {
        let values = match &branch.bound {
            Bound::Default if server == Server::MySql => {
                return Err(Untranslatable(format!(
                    "partition {} takes all other values, and MySQL has no such partition",
                    branch.name
                )));
            }
            Bound::Default => {
                let bound = if server == Server::MariaDb { "DEFAULT".to_owned() } else { of_the_rest(cut) };
                default = Some(Slot { origin: branch, bound, extra: false });
                continue;
            }
            Bound::List(values) => values,
            _ => return Err(misfit(branch)),
        };
        let mut spelled = BTreeSet::new();
        for value in values {
            spelled.insert(match value {
                Literal::Null => "NULL".to_owned(),
                value => match form.place(value).map_err(blamed(branch))? {
                    Place::At(scalar) => form.printed(&scalar),
                    _ => {
                        return Err(Untranslatable(format!(
                            "partition {} has a value that the target does not have",
                            branch.name
                        )));
                    }
                },
            });
        }
        let spelled: Vec<String> = spelled.into_iter().collect();
        let bound = format!("VALUES IN ({})", spelled.join(","));
        slots.push(Slot { origin: branch, bound, extra: false });
    }
    slots.sort_by(|a, b| a.bound.cmp(&b.bound));
    let takes_all = default.is_some();
    // A text with blanks at its end is another one at the source.
    let certain = !(takes_all && *form == Form::Text);
    slots.extend(default);
    Ok(Level { slots, takes_all, certain, notes: Vec::new() })
}

fn hashes(branches: &[Branch]) -> Result<Level<'_>, Untranslatable> {
    let mut parts = Vec::with_capacity(branches.len());
    for branch in branches {
        match branch.bound {
            Bound::Hash { modulus, remainder } => parts.push((remainder, modulus, branch)),
            _ => return Err(misfit(branch)),
        }
    }
    parts.sort_by(|a, b| (a.0, a.1, &a.2.name).cmp(&(b.0, b.1, &b.2.name)));
    let slots = parts.into_iter().map(|(_, _, origin)| Slot { origin, bound: String::new(), extra: false }).collect();
    let notes = vec!["rows are spread over the partitions by the target's own hash function".to_owned()];
    Ok(Level { slots, takes_all: true, certain: false, notes })
}
