//! Rows that differ, and what is said of them.

use std::collections::HashMap;

use millrace_columnar::{Batch, CanonicalKind, canonical, display};
use millrace_model::comparison::{Cause, Difference, Disparity, RowDifferences};

use super::cause::cause;
use super::sides::Sides;

/// Bytes of a value that is shown.
const SHOWN_BYTES: usize = 256;

/// Columns of a row that is shown whole, and of a key that is the whole row.
const SHOWN_COLUMNS: usize = 6;

/// Rows without a counterpart on either side that are compared with each other, to find a changed key: at most so many
/// of each side.
const PAIRED_AT_MOST: usize = 200;

/// One row of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// As it is shown, and asked for.
    pub(super) key: Vec<String>,
    /// Canonical bytes, and text.
    values: Vec<(Vec<u8>, Option<String>)>,
}

impl Row {
    pub(super) fn read(sides: &Sides, batch: &Batch, row: usize) -> Self {
        let text = |at: usize| display::text(&batch.columns[at], row, sides.kinds[at]);
        let values = batch.columns.iter().enumerate().map(|(at, column)| {
            let mut bytes = Vec::new();
            canonical::encode(column, row, sides.kinds[at], &mut bytes);
            (bytes, text(at))
        });
        let whole: Vec<usize> = (0..sides.kinds.len().min(SHOWN_COLUMNS)).collect();
        let key = if sides.key_positions.is_empty() { &whole } else { &sides.key_positions };
        let key = key.iter().map(|at| text(*at).unwrap_or_else(|| "NULL".to_owned())).collect();
        Self { key, values: values.collect() }
    }

    /// Bytes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.values.iter().map(|(bytes, text)| bytes.len() + text.as_ref().map_or(0, String::len) + 64).sum()
    }

    /// Positions of the columns in which two rows differ.
    fn differing(&self, other: &Self) -> Vec<usize> {
        (0..self.values.len()).filter(|at| self.values[*at].0 != other.values[*at].0).collect()
    }

    /// The columns that are to blame: one that is computed from others only where none of these differs.
    fn blamed(&self, other: &Self, computed: &[bool]) -> Vec<usize> {
        let mut differing = self.differing(other);
        if differing.iter().any(|at| !computed[*at]) {
            differing.retain(|at| !computed[*at]);
        }
        differing
    }

    /// A whole row, for a row that is on one side only.
    fn shown(&self) -> String {
        let texts: Vec<&str> =
            self.values.iter().take(SHOWN_COLUMNS).map(|(_, text)| text.as_deref().unwrap_or("NULL")).collect();
        let all = texts.join(", ");
        let more = if self.values.len() > SHOWN_COLUMNS { ", …" } else { "" };
        format!("({}{more})", display::shortened(&all, SHOWN_BYTES))
    }
}

/// One row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Disparate {
    Missing(Row),
    Extra { row: Row, doubled: bool },
    Changed { source: Row, target: Row },
}

impl Disparate {
    pub(super) fn key(&self) -> &[String] {
        match self {
            Self::Missing(row) | Self::Extra { row, .. } | Self::Changed { source: row, .. } => &row.key,
        }
    }

    /// The keys under which the row is known on either side.
    pub(super) fn keys(&self) -> Vec<&[String]> {
        match self {
            Self::Missing(row) | Self::Extra { row, .. } => vec![&row.key],
            Self::Changed { source, target } => vec![&source.key, &target.key],
        }
    }

    /// The key of a row of the target that no row of the source has.
    pub(super) fn key_only_in_target(&self) -> Option<&[String]> {
        match self {
            Self::Extra { row, doubled: false } => Some(&row.key),
            Self::Changed { source, target } if source.key != target.key => Some(&target.key),
            _ => None,
        }
    }

    /// Whether a row that was read again differs in the same way: on the same side, or in a column of which one side
    /// still has the value that it had. Where both have moved on, the row is being written on both sides.
    fn is_still(&self, again: &Self) -> bool {
        match (self, again) {
            (Self::Missing(_), Self::Missing(_)) | (Self::Extra { .. }, Self::Extra { .. }) => true,
            (Self::Changed { source, target }, Self::Changed { source: source_now, target: target_now }) => {
                source.differing(target).into_iter().any(|at| {
                    source_now.values[at].0 != target_now.values[at].0
                        && (source.values[at].0 == source_now.values[at].0
                            || target.values[at].0 == target_now.values[at].0)
                })
            }
            _ => false,
        }
    }
}

/// What was found in one or several scopes.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) missing: u64,
    pub(super) extra: u64,
    pub(super) changed: u64,
    /// As many as there was room for.
    pub(super) rows: Vec<Disparate>,
}

impl Found {
    pub(super) fn count(&self) -> u64 {
        self.missing + self.extra + self.changed
    }

    /// Whether every row that was counted is there.
    pub(super) fn is_complete(&self) -> bool {
        self.count() == self.rows.len() as u64
    }

    pub(super) fn merge(all: Vec<Self>, room: usize) -> Self {
        let mut merged = Self::default();
        for found in all {
            merged.missing += found.missing;
            merged.extra += found.extra;
            merged.changed += found.changed;
            let left = room.saturating_sub(merged.rows.len());
            merged.rows.extend(found.rows.into_iter().take(left));
        }
        merged
    }

    /// What of this is still there in a second reading.
    pub(super) fn still_in(self, again: Self) -> Self {
        let complete = self.is_complete() && again.is_complete();
        let (missing, extra, changed) =
            (self.missing.min(again.missing), self.extra.min(again.extra), self.changed.min(again.changed));
        let mut before: HashMap<Vec<String>, Vec<Disparate>> = HashMap::new();
        for row in self.rows {
            before.entry(row.key().to_vec()).or_default().push(row);
        }
        let mut rows = Vec::new();
        for row in again.rows {
            let Some(candidates) = before.get_mut(row.key()) else { continue };
            if let Some(at) = candidates.iter().position(|was| was.is_still(&row)) {
                candidates.swap_remove(at);
                rows.push(row);
            }
        }
        if complete {
            return Self::of(rows);
        }
        Self { missing, extra, changed, rows }
    }

    /// Whether a second reading found the same rows with the same values.
    pub(super) fn is_as(&self, before: &Self) -> bool {
        let counts = |found: &Self| (found.missing, found.extra, found.changed, found.rows.len());
        let was: HashMap<&[String], &Disparate> = before.rows.iter().map(|row| (row.key(), row)).collect();
        counts(self) == counts(before) && self.rows.iter().all(|row| was.get(row.key()).is_some_and(|was| *was == row))
    }

    fn of(rows: Vec<Disparate>) -> Self {
        let count = |is: fn(&Disparate) -> bool| rows.iter().filter(|row| is(row)).count() as u64;
        Self {
            missing: count(|row| matches!(row, Disparate::Missing(_))),
            extra: count(|row| matches!(row, Disparate::Extra { .. })),
            changed: count(|row| matches!(row, Disparate::Changed { .. })),
            rows,
        }
    }

    /// A row that is missing here and one that is too many there may be one row, whose key (or, in a table without one,
    /// whose one value) was changed: they are paired where all else is equal and the change has a known cause, or
    /// where there is no key and enough is equal.
    pub(super) fn with_changed_keys(mut self, sides: &Sides) -> Self {
        let (mut missing, mut extra, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for row in std::mem::take(&mut self.rows) {
            match row {
                Disparate::Missing(row) => missing.push(row),
                Disparate::Extra { row, doubled: false } => extra.push(row),
                other => rows.push(other),
            }
        }
        if missing.len() <= PAIRED_AT_MOST && extra.len() <= PAIRED_AT_MOST {
            missing.retain(|source| {
                let fits: Vec<usize> = (0..extra.len()).filter(|at| are_one(sides, source, &extra[*at])).collect();
                let [at] = fits.as_slice() else { return true };
                let target = extra.swap_remove(*at);
                rows.push(Disparate::Changed { source: source.clone(), target });
                self.missing -= 1;
                self.extra -= 1;
                self.changed += 1;
                false
            });
        }
        rows.extend(missing.into_iter().map(Disparate::Missing));
        rows.extend(extra.into_iter().map(|row| Disparate::Extra { row, doubled: false }));
        Self { rows, ..self }
    }

    /// As validators are told: so many differences, each with its cause.
    pub(super) fn told(self, sides: &Sides, limit: usize) -> RowDifferences {
        let Self { missing, extra, changed, rows } = self;
        let mut found: Vec<Difference> = Vec::new();
        for row in rows {
            if found.len() >= limit {
                break;
            }
            match row {
                Disparate::Missing(row) => found.push(Difference {
                    kind: Disparity::Missing,
                    source: Some(row.shown()),
                    key: row.key,
                    column: None,
                    target: None,
                    cause: Cause::Row.word().to_owned(),
                }),
                Disparate::Extra { row, doubled } => found.push(Difference {
                    kind: Disparity::Extra,
                    target: Some(row.shown()),
                    key: row.key,
                    column: None,
                    source: None,
                    cause: if doubled { Cause::Doubled } else { Cause::Row }.word().to_owned(),
                }),
                Disparate::Changed { source, target } => {
                    for at in source.blamed(&target, &sides.computed) {
                        found.push(changed_value(&source, &target, at, &sides.names[at], sides.kinds[at]));
                    }
                }
            }
        }
        found.truncate(limit);
        name_swapped(&mut found);
        RowDifferences { missing, extra, changed, found }
    }
}

/// Whether a row of the source and one of the target are one row with one changed value.
fn are_one(sides: &Sides, source: &Row, target: &Row) -> bool {
    let [at] = source.blamed(target, &sides.computed)[..] else { return false };
    if sides.computed[at] {
        return true;
    }
    if sides.key_positions.is_empty() {
        return sides.kinds.len() >= 3;
    }
    let (from, to) = (source.values[at].1.as_deref(), target.values[at].1.as_deref());
    cause(sides.kinds[at], from, to) != Cause::Value
}

fn changed_value(source: &Row, target: &Row, at: usize, name: &str, kind: CanonicalKind) -> Difference {
    let (from, to) = (source.values[at].1.as_deref(), target.values[at].1.as_deref());
    let short = |text: &str| display::shortened(text, SHOWN_BYTES).to_owned();
    Difference {
        kind: Disparity::Changed,
        key: source.key.clone(),
        column: Some(name.to_owned()),
        source: from.map(short),
        target: to.map(short),
        cause: cause(kind, from, to).word().to_owned(),
    }
}

/// Values that two rows have exchanged.
fn name_swapped(found: &mut [Difference]) {
    type Place = (Option<String>, Option<String>, Option<String>);
    let is_plain = |d: &Difference| d.kind == Disparity::Changed && d.cause == Cause::Value.word();
    let mut places: HashMap<Place, Vec<usize>> = HashMap::new();
    for (at, difference) in found.iter().enumerate().filter(|(_, d)| is_plain(d)) {
        let place = (difference.column.clone(), difference.source.clone(), difference.target.clone());
        places.entry(place).or_default().push(at);
    }
    let swapped: Vec<usize> = found
        .iter()
        .enumerate()
        .filter(|(_, d)| is_plain(d))
        .filter(|(at, d)| {
            let back = (d.column.clone(), d.target.clone(), d.source.clone());
            places.get(&back).is_some_and(|others| others.iter().any(|other| other != at))
        })
        .map(|(at, _)| at)
        .collect();
    for at in swapped {
        found[at].cause = Cause::Swapped.word().to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, values: &[Option<&str>]) -> Row {
        let value = |text: &Option<&str>| {
            let bytes = text.map_or_else(|| vec![0], |text| [&[5u8][..], text.as_bytes()].concat());
            (bytes, text.map(str::to_owned))
        };
        Row { key: vec![key.to_owned()], values: values.iter().map(value).collect() }
    }

    fn changed(key: &str, source: &str, target: &str) -> Disparate {
        Disparate::Changed { source: row(key, &[Some(source)]), target: row(key, &[Some(target)]) }
    }

    fn found(rows: Vec<Disparate>) -> Found {
        Found::of(rows)
    }

    fn keys(found: &Found) -> Vec<&str> {
        found.rows.iter().map(|row| row.key()[0].as_str()).collect()
    }

    #[test]
    fn only_what_is_still_there_counts() {
        let missing = |key| Disparate::Missing(row(key, &[Some("x")]));
        let extra = |key| Disparate::Extra { row: row(key, &[Some("x")]), doubled: false };
        let before = found(vec![missing("1"), missing("2"), extra("3"), extra("4"), missing("5")]);
        // 1 has arrived, 3 is gone, 5 has arrived and differs.
        let again = found(vec![missing("2"), extra("4"), changed("5", "x", "y"), missing("6")]);
        let still = before.still_in(again);
        assert_eq!(keys(&still), ["2", "4"]);
        assert_eq!((still.missing, still.extra, still.changed), (1, 1, 0));
    }

    #[test]
    fn a_value_that_both_sides_have_moved_on_from_is_being_written() {
        let before = || found(vec![changed("1", "10", "9")]);
        let again = |source: &str, target: &str| before().still_in(found(vec![changed("1", source, target)])).count();
        assert_eq!(again("10", "9"), 1, "nothing has changed");
        assert_eq!(again("20", "9"), 1, "the target has been left behind");
        assert_eq!(again("10", "19"), 1, "the source has been left behind");
        assert_eq!(again("20", "19"), 0, "both are written");
        assert!(before().is_as(&before()));
        assert!(!before().is_as(&found(vec![changed("1", "20", "9")])));
    }

    #[test]
    fn rows_that_were_counted_and_not_kept_are_never_more_than_were_seen_again() {
        let before = Found { missing: 100, extra: 0, changed: 50, rows: vec![changed("1", "a", "b")] };
        let again = Found { missing: 120, extra: 7, changed: 30, rows: vec![changed("1", "a", "b")] };
        let still = before.still_in(again);
        assert_eq!((still.missing, still.extra, still.changed), (100, 0, 30));
        assert_eq!(keys(&still), ["1"]);
        assert!(!still.is_complete());
    }

    #[test]
    fn what_several_scopes_found_is_added_and_kept_as_far_as_there_is_room() {
        let one = found(vec![changed("1", "a", "b"), changed("2", "a", "b")]);
        let merged = Found::merge(vec![one.clone(), found(vec![changed("3", "a", "b")]), one], 4);
        assert_eq!(merged.changed, 5);
        assert_eq!(keys(&merged), ["1", "2", "3", "1"]);
    }

    #[test]
    fn values_that_two_rows_have_exchanged_are_swapped_and_others_are_not() {
        let difference = |key: &str, source: &str, target: &str, cause: Cause| Difference {
            kind: Disparity::Changed,
            key: vec![key.to_owned()],
            column: Some("title".to_owned()),
            source: Some(source.to_owned()),
            target: Some(target.to_owned()),
            cause: cause.word().to_owned(),
        };
        let mut all = vec![
            difference("1", "one", "two", Cause::Value),
            difference("2", "two", "one", Cause::Value),
            difference("3", "three", "four", Cause::Value),
            difference("4", "a", "A", Cause::Case),
            difference("5", "A", "a", Cause::Case),
        ];
        name_swapped(&mut all);
        let causes: Vec<&str> = all.iter().map(|d| d.cause.as_str()).collect();
        assert_eq!(causes, ["swapped", "swapped", "value", "case", "case"]);
    }

    #[test]
    fn a_computed_value_is_to_blame_only_where_what_it_is_computed_from_is_equal() {
        let source = row("1", &[Some("1"), Some("2"), Some("3")]);
        let computed = [false, false, true];
        assert_eq!(source.blamed(&row("1", &[Some("1"), Some("2"), Some("4")]), &computed), [2]);
        assert_eq!(source.blamed(&row("1", &[Some("1"), Some("7"), Some("8")]), &computed), [1]);
        assert_eq!(source.blamed(&source, &computed), [0_usize; 0]);
    }

    #[test]
    fn a_row_is_shown_shortened_and_null_is_told_from_a_text() {
        let wide = row("1", &[Some("a"), None, Some(""), Some("d"), Some("e"), Some("f"), Some("g")]);
        assert_eq!(wide.shown(), "(a, NULL, , d, e, f, …)");
        assert_eq!(row("1", &[Some("a"), None]).differing(&row("1", &[Some("a"), Some("")])), [1]);
    }
}
