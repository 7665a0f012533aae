//! What the rows of a live table were read from, and what has become of that since, as far as a schema shows it.
//!
//! A target's spelling says little about values: `timestamp` and `timestamptz` become the same type there, and a JSON
//! document keeps the labels of an enum as they were. So what a table's rows were read from is kept beside them, and
//! compared with the source whenever somebody asks whether the rows can be trusted.

use serde::{Deserialize, Serialize};

use crate::identity::{ColumnIdentity, SourceIdentity, TableIdentity, TypeIdentity};
use crate::schema::TableName;

/// The source's table that rows were read from, as it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// What the server's storage was initialised with. None: it did not say.
    pub system: Option<String>,
    /// The database's number.
    pub database: u32,
    /// The table.
    pub table: TableIdentity,
}

/// What has become of a table of the source since its rows were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// Nothing that a schema shows. Rows may have come and gone all the same.
    Nothing,
    /// Its values may be others, for this reason: only reading them tells.
    Perhaps(String),
    /// Its values are others, or those of another table.
    Changed {
        /// Why.
        what: String,
        /// The columns that were given another type, where nothing else has happened.
        retyped: Vec<String>,
    },
}

impl Since {
    fn changed(what: String) -> Self {
        Self::Changed { what, retyped: Vec::new() }
    }

    /// The worse of two.
    fn or(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Nothing => other(),
            Self::Changed { .. } => self,
            Self::Perhaps(what) => match other() {
                worse @ Self::Changed { .. } => worse,
                _ => Self::Perhaps(what),
            },
        }
    }
}

impl Provenance {
    /// The table of this name, in a source that was looked at. None: it was not looked for, or is not there.
    pub fn of(source: &SourceIdentity, table: &TableName) -> Option<Self> {
        let table = source.table(table)?.clone();
        Some(Self { system: source.server.system.clone(), database: source.server.database, table })
    }

    /// What has become of this table, which is `now` the one from which the same rows would be read.
    ///
    /// NOT NULL, collations and columns that came or went are left to the differ: they change no value of a column that
    /// is in both.
    pub fn since(&self, now: &Self) -> Since {
        if let Some(what) = self.elsewhere(now) {
            // There every number is another one.
            return Since::Perhaps(what);
        }
        let (then, table) = (&self.table, &now.table);
        let name = &table.name;
        if then.relation != table.relation {
            return Since::changed(format!("{name} is another table than the one of that name was"));
        }
        let rewritten = then.was_written_anew(table);
        columns(then, table).or(|| types(then, table)).or(|| retyped(then, table, rewritten)).or(|| files(then, table))
    }

    /// Why this table cannot be looked for by its numbers. None: it can.
    fn elsewhere(&self, now: &Self) -> Option<String> {
        match (&self.system, &now.system) {
            (Some(then), Some(now)) if then != now => {
                return Some(format!("the source is another server: its system identifier is {now}, and was {then}"));
            }
            (Some(_), Some(_)) => {}
            _ => {
                return Some(
                    "the source cannot be told from another server: its system identifier is not known".into(),
                );
            }
        }
        (self.database != now.database).then(|| "the source's database was made anew under its old name".to_owned())
    }
}

fn columns(then: &TableIdentity, now: &TableIdentity) -> Since {
    match then.columns.iter().find_map(|column| column_change(column, now)) {
        Some(what) => Since::changed(format!("{} {what}", now.name)),
        None => Since::Nothing,
    }
}

/// Columns of another type. One that is only wider leaves the table's file as it is.
fn retyped(then: &TableIdentity, now: &TableIdentity, rewritten: bool) -> Since {
    let present = |column: &ColumnIdentity| now.columns.iter().find(|now| now.number == column.number).cloned();
    let pairs = then.columns.iter().filter_map(|column| Some((column, present(column)?)));
    let others: Vec<(&ColumnIdentity, ColumnIdentity)> =
        pairs.filter(|(then, now)| now.kind != then.kind || (now.modifier != then.modifier && rewritten)).collect();
    let Some((first, as_it_is)) = others.first() else { return Since::Nothing };
    Since::Changed {
        what: format!(
            "{} has a column {} of type {} now, and it was {}",
            now.name, first.name, as_it_is.declared, first.declared
        ),
        retyped: others.iter().map(|(then, _)| then.name.clone()).collect(),
    }
}

/// Why the values of a column are others. None: they are the same, or the column is gone.
fn column_change(then: &ColumnIdentity, table: &TableIdentity) -> Option<String> {
    let name = &then.name;
    let Some(now) = table.columns.iter().find(|column| column.number == then.number) else {
        let again = table.columns.iter().any(|column| column.name == *name);
        return again.then(|| format!("has another column {name}: it was dropped and added again"));
    };
    if now.name != *name {
        return Some(format!("calls its column {name} {} now", now.name));
    }
    match (&then.generated, &now.generated) {
        (Some(then), Some(now)) if then != now => {
            Some(format!("has a column {name} that is generated as {now} now, and was {then}"))
        }
        // A column that is not generated any more keeps its values.
        _ => None,
    }
}

fn types(then: &TableIdentity, now: &TableIdentity) -> Since {
    let mut found = Since::Nothing;
    for kind in &then.types {
        let Some(present) = now.types.iter().find(|present| present.number == kind.number) else { continue };
        found = found.or(|| type_change(kind, present, now));
    }
    found
}

fn type_change(then: &TypeIdentity, now: &TypeIdentity, table: &TableIdentity) -> Since {
    // That a domain demands a value changes none.
    let values = |kind: &TypeIdentity| kind.definition.trim_end_matches(" not null").to_owned();
    if values(then) == values(now) {
        return Since::Nothing;
    }
    let what = format!(
        "{} has columns of the type {}, which is {} now, and was {}",
        table.name, now.name, now.definition, then.definition
    );
    match (labels(&then.definition), labels(&now.definition)) {
        // Labels may have been added only; or one of them was renamed, and another one has got its name.
        (Some(then), Some(now)) if is_within(&then, &now) => Since::Perhaps(what),
        _ => Since::changed(what),
    }
}

fn is_within(some: &[String], all: &[String]) -> bool {
    let mut rest = all.iter();
    some.iter().all(|label| rest.any(|other| other == label))
}

/// The labels of an enum, each with its quotes. None: this is no enum's definition.
fn labels(definition: &str) -> Option<Vec<String>> {
    let mut labels = Vec::new();
    let mut rest = definition;
    loop {
        // A label with a backslash is printed as an escape string.
        let start = if rest.starts_with('E') { 1 } else { 0 };
        if !rest[start..].starts_with('\'') {
            return None;
        }
        let mut at = start + 1;
        loop {
            at += rest[at..].find('\'')? + 1;
            if !rest[at..].starts_with('\'') {
                break;
            }
            at += 1;
        }
        labels.push(rest[..at].to_owned());
        match &rest[at..] {
            "" => return Some(labels),
            more => rest = more.strip_prefix(", ")?,
        }
    }
}

fn files(then: &TableIdentity, now: &TableIdentity) -> Since {
    match then.file_change(now, true) {
        Some(what) => Since::Perhaps(format!("{} {what}", now.name)),
        None => Since::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::FileIdentity;

    fn column(number: i32, name: &str, kind: u32) -> ColumnIdentity {
        ColumnIdentity {
            number,
            name: name.into(),
            declared: format!("type {kind}"),
            kind,
            modifier: -1,
            ..ColumnIdentity::default()
        }
    }

    fn kind(number: u32, definition: &str) -> TypeIdentity {
        TypeIdentity { number, name: format!("public.t{number}"), definition: definition.into() }
    }

    fn provenance() -> Provenance {
        let generated = ColumnIdentity { generated: Some("(a + 1)".into()), ..column(3, "g", 23) };
        Provenance {
            system: Some("7".into()),
            database: 5,
            table: TableIdentity {
                name: TableName::new("public", "t"),
                relation: 10,
                columns: vec![column(1, "a", 23), column(2, "b", 1043), generated],
                files: vec![FileIdentity { relation: 10, name: "public.t".into(), file: Some(10) }],
                types: vec![
                    kind(90, "'x', 'it''s', E'a\\\\b'"),
                    kind(91, "1 a integer, 2 b text"),
                    kind(92, "integer"),
                ],
            },
        }
    }

    fn since(change: impl Fn(&mut Provenance)) -> Since {
        let mut now = provenance();
        change(&mut now);
        provenance().since(&now)
    }

    fn said(since: Since) -> String {
        match since {
            Since::Nothing => "nothing".into(),
            Since::Perhaps(what) => format!("perhaps: {what}"),
            Since::Changed { what, .. } => format!("changed: {what}"),
        }
    }

    #[test]
    fn what_changes_no_value_is_nothing() {
        type Change = fn(&mut Provenance);
        let changes: [Change; 10] = [
            |_| {},
            |o| o.table.columns[0].declared = "int4".into(),
            |o| o.table.columns[0].not_null = true,
            |o| o.table.columns[1].collation = 100,
            |o| o.table.columns[1].modifier = 44,
            |o| o.table.columns[2].generated = None,
            |o| o.table.columns.push(column(4, "more", 23)),
            |o| drop(o.table.columns.remove(1)),
            |o| o.table.types[2].definition = "integer not null".into(),
            |o| o.table.name.name = "u".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_eq!(since(change), Since::Nothing, "change {number}");
        }
    }

    #[test]
    fn whatever_makes_other_values_is_named() {
        type Change = fn(&mut Provenance);
        let cases: [(Change, &str); 9] = [
            (|o| o.table.relation = 12, "public.t is another table"),
            (|o| o.table.columns[0].kind = 20, "public.t has a column a of type"),
            (
                |o| {
                    o.table.columns[1].modifier = 44;
                    o.table.files[0].file = Some(11);
                },
                "public.t has a column b of type",
            ),
            (|o| o.table.columns[0].number = 7, "another column a: it was dropped and added again"),
            (|o| o.table.columns[0].name = "c".into(), "calls its column a c now"),
            (|o| o.table.columns[2].generated = Some("(a + 2)".into()), "generated as (a + 2) now, and was (a + 1)"),
            (|o| o.table.types[0].definition = "'x', 'its', E'a\\\\b'".into(), "which is 'x', 'its'"),
            (|o| o.table.types[1].definition = "1 a integer, 2 z text".into(), "which is 1 a integer, 2 z text"),
            (
                |o| {
                    o.table.files[0].file = Some(11);
                    o.table.types[1].definition = "1 a integer".into();
                },
                "which is 1 a integer now",
            ),
        ];
        for (change, expected) in cases {
            let said = said(since(change));
            assert!(said.starts_with("changed: ") && said.contains(expected), "{said}");
        }
    }

    #[test]
    fn columns_of_another_type_are_named_where_nothing_else_has_happened() {
        let retyped = |change: fn(&mut Provenance)| match since(change) {
            Since::Changed { retyped, .. } => retyped,
            other => panic!("{other:?}"),
        };
        assert_eq!(retyped(|p| (0..2).for_each(|at| p.table.columns[at].kind = 20)), ["a", "b"]);
        assert_eq!(retyped(|p| p.table.relation = 12), [""; 0]);
        let renamed = retyped(|p| {
            p.table.columns[0].kind = 20;
            p.table.columns[1].name = "c".into();
        });
        assert_eq!(renamed, [""; 0]);
    }

    #[test]
    fn what_only_reading_tells_is_said_to_be_so() {
        type Change = fn(&mut Provenance);
        let cases: [(Change, &str); 7] = [
            (|o| o.system = Some("8".into()), "another server"),
            (|o| o.system = None, "cannot be told from another server"),
            (|o| o.database = 6, "database was made anew"),
            (|o| o.table.files[0].file = Some(11), "public.t was written anew"),
            (|o| o.table.files.clear(), "public.t has no partition public.t any more"),
            (
                |o| o.table.files.push(FileIdentity { relation: 11, name: "public.t_1".into(), file: Some(11) }),
                "has a new partition public.t_1",
            ),
            (|o| o.table.types[0].definition = "'x', 'new', 'it''s', E'a\\\\b'".into(), "'new'"),
        ];
        for (change, expected) in cases {
            let said = said(since(change));
            assert!(said.starts_with("perhaps: ") && said.contains(expected), "{said}");
        }
        let lost = Provenance { system: None, ..provenance() };
        assert!(matches!(lost.since(&lost), Since::Perhaps(_)), "it cannot be told");
    }

    #[test]
    fn labels_are_read_as_the_catalog_prints_them() {
        assert_eq!(labels("'a', 'it''s', ', '").unwrap(), ["'a'", "'it''s'", "', '"]);
        assert_eq!(labels(r"E'a\\b', ''").unwrap(), [r"E'a\\b'", "''"]);
        for other in ["1 a integer", "integer", "", "'a', b", "'a"] {
            assert_eq!(labels(other), None, "{other}");
        }
    }
}
