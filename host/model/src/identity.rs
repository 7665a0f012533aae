//! Which source a plan was made for, and whether a later reading is of the same one.
//!
//! Names prove little: a table may be exchanged for another by a rename, a column be dropped and added again, a URL lead
//! to another server. So a plan and a run keep what a catalog calls things by itself: the server's identifier, objects'
//! numbers, files. Rows are not in it; whether *they* have changed is told by the transactions that wrote them.

use serde::{Deserialize, Serialize};

use crate::schema::TableName;

/// A source at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// The server and its database.
    pub server: ServerIdentity,
    /// The tables that were asked for; one that does not exist is left out.
    pub tables: Vec<TableIdentity>,
}

/// A server and one of its databases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// What its storage was initialised with; copies of it have the same. None: the server does not tell us.
    pub system: Option<String>,
    /// The history that it follows; a standby that is promoted begins a new one. None: as above.
    pub timeline: Option<u32>,
    /// When its process was started, as it prints it.
    pub started: String,
    /// How far it had come in its log, in bytes. None: as above.
    pub position: Option<u64>,
    /// The database's number.
    pub database: u32,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableIdentity {
    /// By this name it was found.
    pub name: TableName,
    /// Its number.
    pub relation: u32,
    /// In the order of their numbers.
    #[serde(default)]
    pub columns: Vec<ColumnIdentity>,
    /// The relations whose rows are the table's: itself, its partitions, what inherits from it.
    #[serde(default)]
    pub files: Vec<FileIdentity>,
    /// The types of its columns that somebody defined, with the types that these are made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeIdentity>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnIdentity {
    /// Never given twice in a table.
    pub number: i32,
    /// As the catalog spells it.
    pub name: String,
    /// Its type, for people.
    pub declared: String,
    /// The type's number.
    #[serde(rename = "type")]
    pub kind: u32,
    /// Length, precision and scale, as the type encodes them; -1 for none.
    pub modifier: i32,
    /// The collation's number; 0 for none.
    pub collation: u32,
    /// Whether it is declared NOT NULL.
    pub not_null: bool,
    /// What it is generated as. None: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
}

/// Where rows are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// The relation's number.
    pub relation: u32,
    /// Its name with its schema, for people.
    pub name: String,
    /// The number of its file: another one after whatever writes the table anew. None: it has no file.
    pub file: Option<u32>,
}

/// A type that somebody defined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeIdentity {
    /// Its number.
    pub number: u32,
    /// Its name with its schema.
    pub name: String,
    /// An enum's labels in order, a domain's base, a composite's attributes, for people; empty for others.
    #[serde(default, deserialize_with = "text_or_none")]
    pub definition: String,
}

/// A catalog has NULL where there is nothing to say.
fn text_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// What has happened between two readings, and so what may have changed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// The first was read for a plan: no row had been read. The server may have been promoted, files written anew.
    PlanAndRun,
    /// Rows were read at the first: the server must have come from there, and nothing else. Files may have been
    /// written anew: their rows keep the numbers of the transactions that wrote them.
    CopyAndLater,
    /// The tables were locked all the time: no file may have moved either.
    Locked,
}

/// Why a source is not the one that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceChange {
    /// The table. None: the server.
    pub table: Option<TableName>,
    /// What changed, in one sentence that begins with its name.
    pub what: String,
}

impl SourceIdentity {
    /// The table of this name.
    pub fn table(&self, name: &TableName) -> Option<&TableIdentity> {
        self.tables.iter().find(|table| table.name == *name)
    }

    /// Why the source, as it is `now`, is not this one. Empty: it is. Tables that only one of the two readings asked for
    /// do not count; `now` must have asked for all of this one's.
    pub fn changes(&self, now: &Self, between: Between) -> Vec<SourceChange> {
        if let Some(what) = self.server.change(&now.server, between) {
            // Of another server, every number is another one.
            return vec![SourceChange { table: None, what }];
        }
        let mut changes = Vec::new();
        for table in &self.tables {
            let found = match now.table(&table.name) {
                Some(present) => table.change(present, between),
                None => Some(format!("{} is gone, or has another name", table.name)),
            };
            changes.extend(found.map(|what| SourceChange { table: Some(table.name.clone()), what }));
        }
        changes
    }
}

impl ServerIdentity {
    fn change(&self, now: &Self, between: Between) -> Option<String> {
        // One process has one history, whatever becomes of it.
        let same_process = self.started == now.started && self.system == now.system;
        match (&self.system, &now.system) {
            (Some(then), Some(now)) if then != now => {
                return Some(format!("the source is another server: its system identifier is {now}, and was {then}"));
            }
            (Some(_), Some(_)) => {}
            _ if same_process || between == Between::PlanAndRun => {}
            _ => {
                return Some(
                    "the source cannot be told from another server: it was started anew, and its system identifier \
                     cannot be read"
                        .to_owned(),
                );
            }
        }
        if self.database != now.database {
            return Some("the source's database was made anew under its old name".to_owned());
        }
        if between == Between::PlanAndRun {
            return None;
        }
        if self.timeline != now.timeline && !same_process {
            return Some(format!(
                "the source follows another history: its timeline is {}, and was {}; transactions may have been lost \
                 with the failover",
                shown(now.timeline),
                shown(self.timeline)
            ));
        }
        match (self.position, now.position) {
            (Some(then), Some(now)) if now < then => Some(format!(
                "the source is behind where it was: its log has come to {now:X}, and had come to {then:X}"
            )),
            (Some(_), None) | (None, Some(_)) if !same_process => {
                Some("the source does not tell any more how far its log has come".to_owned())
            }
            _ => None,
        }
    }
}

fn shown(timeline: Option<u32>) -> String {
    timeline.map_or_else(|| "unknown".to_owned(), |timeline| timeline.to_string())
}

impl TableIdentity {
    fn change(&self, now: &Self, between: Between) -> Option<String> {
        let name = &self.name;
        if self.relation != now.relation {
            return Some(format!("{name} is another table: the one of that name was exchanged"));
        }
        if let Some(what) = self.column_change(now) {
            return Some(format!("{name} {what}"));
        }
        if let Some(what) = self.type_change(now) {
            return Some(format!("{name} {what}"));
        }
        self.file_change(now, between == Between::Locked).map(|what| format!("{name} {what}"))
    }

    fn column_change(&self, now: &Self) -> Option<String> {
        for column in &self.columns {
            let Some(present) = now.columns.iter().find(|c| c.number == column.number) else {
                let again = now.columns.iter().any(|c| c.name == column.name);
                return Some(match again {
                    true => format!("has another column {}: it was dropped and added again", column.name),
                    false => format!("has no column {} any more", column.name),
                });
            };
            if let Some(what) = column.change(present) {
                return Some(what);
            }
        }
        let added = now.columns.iter().find(|c| !self.columns.iter().any(|then| then.number == c.number))?;
        Some(format!("has a new column {}", added.name))
    }

    fn type_change(&self, now: &Self) -> Option<String> {
        for kind in &self.types {
            match now.types.iter().find(|t| t.number == kind.number) {
                None => return Some(format!("does not use the type {} any more", kind.name)),
                Some(present) if present.definition != kind.definition => {
                    return Some(format!(
                        "has columns of the type {}, which is {} now, and was {}",
                        present.name, present.definition, kind.definition
                    ));
                }
                Some(_) => {}
            }
        }
        None
    }

    pub(crate) fn file_change(&self, now: &Self, count_files: bool) -> Option<String> {
        for file in &self.files {
            match now.files.iter().find(|f| f.relation == file.relation) {
                None => return Some(format!("has no partition {} any more", file.name)),
                Some(present) if count_files && present.file != file.file => {
                    return Some(format!(
                        "was written anew ({}): by CLUSTER, VACUUM FULL, TRUNCATE or an ALTER that rewrites it",
                        file.name
                    ));
                }
                Some(_) => {}
            }
        }
        let added = now.files.iter().find(|f| !self.files.iter().any(|then| then.relation == f.relation))?;
        Some(format!("has a new partition {}", added.name))
    }

    /// Whether a file of this table is not where it was.
    pub fn was_written_anew(&self, now: &Self) -> bool {
        self.file_change(now, true).is_some()
    }
}

impl ColumnIdentity {
    /// `declared` is for people: it depends on the reader's search path.
    fn change(&self, now: &Self) -> Option<String> {
        let name = &self.name;
        if *name != now.name {
            return Some(format!("calls its column {name} {} now", now.name));
        }
        if (self.kind, self.modifier) != (now.kind, now.modifier) {
            return Some(format!("has a column {name} of type {} now, and it was {}", now.declared, self.declared));
        }
        if self.collation != now.collation {
            return Some(format!("has a column {name} with another collation now"));
        }
        if self.not_null != now.not_null {
            let (is, was) = if now.not_null { ("NOT NULL", "NULL") } else { ("NULL", "NOT NULL") };
            return Some(format!("has a column {name} that is {is} now, and was {was}"));
        }
        if self.generated != now.generated {
            let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "not generated".to_owned());
            return Some(format!(
                "has a column {name} that is {} now, and was {}",
                shown(&now.generated),
                shown(&self.generated)
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(number: i32, name: &str) -> ColumnIdentity {
        ColumnIdentity {
            number,
            name: name.into(),
            declared: "integer".into(),
            kind: 23,
            modifier: -1,
            ..ColumnIdentity::default()
        }
    }

    fn source() -> SourceIdentity {
        let file = |relation, name: &str| FileIdentity { relation, name: name.into(), file: Some(relation) };
        SourceIdentity {
            server: ServerIdentity {
                system: Some("7".into()),
                timeline: Some(1),
                started: "noon".into(),
                position: Some(100),
                database: 5,
            },
            tables: vec![TableIdentity {
                name: TableName::new("public", "t"),
                relation: 10,
                columns: vec![column(1, "a"), column(2, "b")],
                files: vec![file(10, "public.t"), file(11, "public.t_1")],
                types: vec![TypeIdentity { number: 9, name: "public.e".into(), definition: "x, y".into() }],
            }],
        }
    }

    fn changed(change: impl Fn(&mut SourceIdentity), between: Between) -> String {
        let then = source();
        let mut now = source();
        change(&mut now);
        then.changes(&now, between).into_iter().map(|change| change.what).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn the_same_source_is_the_same() {
        for between in [Between::PlanAndRun, Between::CopyAndLater, Between::Locked] {
            assert_eq!(changed(|_| {}, between), "");
            assert_eq!(changed(|now| now.server.position = Some(101), between), "");
            assert_eq!(changed(|now| now.tables[0].columns[0].declared = "int4".into(), between), "");
        }
    }

    #[test]
    fn whatever_makes_other_rows_of_a_table_is_named() {
        type Change = fn(&mut TableIdentity);
        let cases: [(Change, &str); 9] = [
            (|t| t.relation = 12, "public.t is another table"),
            (|t| t.name.name = "u".into(), "public.t is gone"),
            (|t| t.columns[1] = column(3, "b"), "has another column b"),
            (|t| drop(t.columns.pop()), "has no column b"),
            (|t| t.columns.push(column(3, "c")), "has a new column c"),
            (|t| t.columns[0].name = "b".into(), "calls its column a b now"),
            (|t| t.types[0].definition = "y, x".into(), "the type public.e, which is y, x now, and was x, y"),
            (|t| drop(t.files.pop()), "has no partition public.t_1"),
            (|t| t.columns[0].generated = Some("b + 1".into()), "a column a that is b + 1 now"),
        ];
        for (change, says) in cases {
            for between in [Between::PlanAndRun, Between::CopyAndLater, Between::Locked] {
                let what = changed(|now| change(&mut now.tables[0]), between);
                assert!(what.contains(says), "{what:?} does not say {says:?}");
            }
        }
    }

    #[test]
    fn a_table_that_was_only_written_anew_is_another_one_only_where_it_was_locked() {
        let moved = |now: &mut SourceIdentity| now.tables[0].files[1].file = Some(99);
        assert_eq!(changed(moved, Between::PlanAndRun), "");
        assert_eq!(changed(moved, Between::CopyAndLater), "");
        assert!(changed(moved, Between::Locked).contains("was written anew (public.t_1)"));
    }

    #[test]
    fn another_server_is_told_by_its_identifier() {
        for between in [Between::PlanAndRun, Between::CopyAndLater] {
            assert!(changed(|now| now.server.system = Some("8".into()), between).contains("is another server"));
            assert!(changed(|now| now.server.database = 6, between).contains("made anew"));
        }
    }

    #[test]
    fn a_server_whose_history_cannot_be_followed_counts_as_another() {
        let later = |change: fn(&mut ServerIdentity)| changed(|now| change(&mut now.server), Between::CopyAndLater);
        let failed_over: fn(&mut ServerIdentity) = |server| {
            server.timeline = Some(2);
            server.started = "one".into();
        };
        assert!(later(failed_over).contains("another history"));
        assert_eq!(changed(|now| failed_over(&mut now.server), Between::PlanAndRun), "", "nothing was read yet");
        assert_eq!(later(|server| server.timeline = Some(2)), "", "the same process was promoted");
        assert_eq!(later(|server| server.started = "one".into()), "", "it was only started anew");
        assert!(later(|server| server.position = Some(99)).contains("behind"), "a standby that lags");
        let untold: fn(&mut ServerIdentity) = |server| (server.system, server.started) = (None, "one".into());
        assert!(later(untold).contains("cannot be told"));
    }
}
