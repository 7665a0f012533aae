//! Which tables a switcher or a cleaner was given: everything else is refused before it reaches the database.
//!
//! The plugin gets the tables of one call by name, and rights on these alone. A switcher moves tables between the three
//! names of one swap, never so that a live name is left to nobody; it drops and archives nothing. A cleaner archives and
//! drops the one table that it was asked to remove, and renames nothing.

use std::collections::BTreeSet;

use millrace_model::capability::TableAdmin;
use millrace_model::switching::Swap;
use millrace_model::{Failure, TableName};

/// What a call is about.
pub(crate) enum Rights {
    /// The tables of a switch.
    Swaps(Vec<Swap>),
    /// The table to remove.
    Removal(TableName),
}

impl Rights {
    fn knows(&self, table: &TableName) -> bool {
        match self {
            Self::Swaps(swaps) => swaps.iter().any(|s| [&s.live, &s.shadow, &s.backup].contains(&table)),
            Self::Removal(removed) => removed == table,
        }
    }

    fn is_live(&self, table: &TableName) -> bool {
        matches!(self, Self::Swaps(swaps) if swaps.iter().any(|swap| swap.live == *table))
    }
}

fn not_given(verb: &str, table: &TableName) -> Failure {
    Failure::data("tables.not-given", format!("{verb} is refused for {table}: this stage was not given that table"))
        .with("table", table.to_string())
}

/// Rights on tables, restricted to those of one call.
pub(crate) struct Entrusted {
    rights: Rights,
    admin: Box<dyn TableAdmin>,
}

impl Entrusted {
    pub(crate) fn new(rights: Rights, admin: Box<dyn TableAdmin>) -> Box<Self> {
        Box::new(Self { rights, admin })
    }

    fn require<'a>(
        &self,
        verb: &str,
        tables: impl IntoIterator<Item = &'a TableName>,
        may: impl Fn(&TableName) -> bool,
    ) -> Result<(), Failure> {
        match tables.into_iter().find(|table| !may(table)) {
            Some(table) => Err(not_given(verb, table)),
            None => Ok(()),
        }
    }

    fn require_known(&self, verb: &str, tables: &[TableName]) -> Result<(), Failure> {
        self.require(verb, tables, |table| self.rights.knows(table))
    }

    fn require_live(&self, verb: &str, tables: &[TableName]) -> Result<(), Failure> {
        self.require(verb, tables, |table| self.rights.is_live(table))
    }

    /// Renames only move a table between the names of its swap, and leave no live name without a table that it had.
    fn require_swaps(&mut self, renames: &[(TableName, TableName)]) -> Result<(), Failure> {
        let Rights::Swaps(swaps) = &self.rights else {
            let (old, _) = renames.first().expect("no renames, nothing to refuse");
            return Err(not_given("a rename", old));
        };
        let moves: BTreeSet<(&TableName, &TableName)> = renames.iter().map(|(old, new)| (old, new)).collect();
        if moves.len() != renames.len() {
            return Err(refused("it names a table twice", &renames[0].0));
        }
        let mut left_to_nobody = Vec::new();
        for (old, new) in &moves {
            let swap = swaps.iter().find(|s| s.live == **old || s.live == **new).ok_or_else(|| {
                let known = self.rights.knows(old);
                not_given("a rename", if known { new } else { old })
            })?;
            let Swap { live, shadow, backup } = swap;
            match (*old, *new) {
                (from, to) if from == live && to == backup => {
                    if !moves.contains(&(shadow, live)) {
                        return Err(refused("no other table takes its name", live));
                    }
                }
                (from, to) if from == live && to == shadow => {
                    if !moves.contains(&(backup, live)) {
                        left_to_nobody.push((live.clone(), backup.clone()));
                    }
                }
                (from, to) if to == live && (from == shadow || from == backup) => {}
                (from, to) => return Err(not_given("a rename", if self.rights.knows(from) { to } else { from })),
            }
        }
        // A new table goes back to its shadow's name alone where there was no old one.
        if left_to_nobody.is_empty() {
            return Ok(());
        }
        let backups: Vec<TableName> = left_to_nobody.iter().map(|(_, backup)| backup.clone()).collect();
        let existing = self.admin.existing(&backups)?;
        match left_to_nobody.iter().find(|(_, backup)| existing.contains(backup)) {
            Some((live, _)) => Err(refused("its old table does not take its name", live)),
            None => Ok(()),
        }
    }
}

fn refused(why: &str, table: &TableName) -> Failure {
    Failure::data("tables.not-given", format!("a rename of {table} is refused: {why}")).with("table", table.to_string())
}

impl TableAdmin for Entrusted {
    fn dialect(&self) -> String {
        self.admin.dialect()
    }

    fn version(&self) -> String {
        self.admin.version()
    }

    fn exists(&mut self, table: &TableName) -> Result<bool, Failure> {
        self.require_known("looking for a table", std::slice::from_ref(table))?;
        self.admin.exists(table)
    }

    fn existing(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        self.require_known("looking for a table", tables)?;
        self.admin.existing(tables)
    }

    fn owned(&mut self, table: &TableName) -> Result<bool, Failure> {
        self.require_known("asking for a table's owner", std::slice::from_ref(table))?;
        self.admin.owned(table)
    }

    fn owned_among(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        self.require_known("asking for a table's owner", tables)?;
        self.admin.owned_among(tables)
    }

    fn raise_fence(&mut self, tables: &[TableName], timeout_ms: u32) -> Result<String, Failure> {
        self.require_live("a fence", tables)?;
        self.admin.raise_fence(tables, timeout_ms)
    }

    fn lift_fence(&mut self) -> Result<(), Failure> {
        match &self.rights {
            Rights::Swaps(_) => self.admin.lift_fence(),
            Rights::Removal(table) => Err(not_given("lifting a fence", table)),
        }
    }

    fn compare_last(&mut self, tables: &[TableName]) -> Result<String, Failure> {
        self.require_live("the last comparison", tables)?;
        self.admin.compare_last(tables)
    }

    fn set_numbers(&mut self, tables: &[TableName]) -> Result<(), Failure> {
        self.require_live("setting numbers", tables)?;
        self.admin.set_numbers(tables)
    }

    fn rename_all(&mut self, renames: &[(TableName, TableName)], timeout_ms: u32) -> Result<(), Failure> {
        if !renames.is_empty() {
            self.require_swaps(renames)?;
        }
        self.admin.rename_all(renames, timeout_ms)
    }

    fn try_out(&mut self, tables: &[TableName]) -> Result<(), Failure> {
        self.require_live("trying a table out", tables)?;
        self.admin.try_out(tables)
    }

    fn remove(&mut self, table: &TableName) -> Result<(), Failure> {
        match &self.rights {
            Rights::Removal(removed) if removed == table => self.admin.remove(table),
            _ => Err(not_given("dropping a table", table)),
        }
    }

    fn archive(&mut self, table: &TableName) -> Result<Option<String>, Failure> {
        match &self.rights {
            Rights::Removal(removed) if removed == table => self.admin.archive(table),
            _ => Err(not_given("archiving a table", table)),
        }
    }
}

#[cfg(test)]
#[path = "../../tests/common/willing.rs"]
mod willing;

#[cfg(test)]
mod tests {
    use super::willing::Willing;
    use super::*;

    fn name(text: &str) -> TableName {
        match text.split_once('.') {
            Some((schema, name)) => TableName::new(schema, name),
            None => TableName::bare(text),
        }
    }

    fn names(texts: &[&str]) -> Vec<TableName> {
        texts.iter().map(|text| name(text)).collect()
    }

    fn having(tables: Vec<TableName>) -> Willing<impl Fn(&TableName) -> bool> {
        Willing(move |table: &TableName| tables.contains(table))
    }

    fn switcher(existing: &[&str]) -> Box<Entrusted> {
        let swap =
            |t: &str| Swap { live: name(t), shadow: name(&format!("{t}_new")), backup: name(&format!("{t}_old")) };
        Entrusted::new(Rights::Swaps(vec![swap("a"), swap("b")]), Box::new(having(names(existing))))
    }

    fn rename(existing: &[&str], renames: &[(&str, &str)]) -> Result<(), String> {
        let renames: Vec<_> = renames.iter().map(|(old, new)| (name(old), name(new))).collect();
        switcher(existing).rename_all(&renames, 1).map_err(|failure| failure.code)
    }

    #[test]
    fn a_switch_forward_back_and_half_of_one_are_granted() {
        let both = ["a", "a_new", "a_old", "b", "b_new"];
        assert_eq!(rename(&both, &[("a", "a_old"), ("a_new", "a"), ("b_new", "b")]), Ok(()));
        assert_eq!(rename(&["a", "a_old"], &[("a", "a_new"), ("a_old", "a")]), Ok(()));
        assert_eq!(rename(&["a"], &[("a", "a_new")]), Ok(()), "a new table had no old one");
        assert_eq!(rename(&["a_new", "a_old"], &[("a_old", "a")]), Ok(()));
        assert_eq!(rename(&[], &[]), Ok(()));
    }

    #[test]
    fn renames_that_leave_the_swaps_or_a_name_to_nobody_are_refused() {
        for renames in [
            &[("customer", "a_new")][..],
            &[("a", "elsewhere")],
            &[("a_new", "a_old")],
            &[("a_new", "b")],
            &[("a_old", "a_new")],
            &[("a", "b_old"), ("a_new", "a")],
            &[("a", "a")],
            &[("other.a", "a")],
            &[("a", "other.a_old"), ("a_new", "a")],
            &[("a", "a_old")],
            &[("a", "a_new")],
            &[("a", "a_old"), ("a", "a_old"), ("a_new", "a")],
        ] {
            let outcome = rename(&["a", "a_new", "a_old"], renames);
            assert_eq!(outcome, Err("tables.not-given".to_owned()), "{renames:?}");
        }
    }

    #[test]
    fn a_switcher_fences_compares_numbers_and_tries_only_live_tables_and_drops_none() {
        let mut switcher = switcher(&[]);
        let code = |result: Result<(), Failure>| result.map_err(|failure| failure.code);
        let refused = Err("tables.not-given".to_owned());
        for tables in [names(&["a", "customer"]), names(&["a_new"]), names(&["mysql.user"])] {
            assert_eq!(code(switcher.raise_fence(&tables, 1).map(drop)), refused);
            assert_eq!(code(switcher.compare_last(&tables).map(drop)), refused);
            assert_eq!(code(switcher.set_numbers(&tables)), refused);
            assert_eq!(code(switcher.try_out(&tables)), refused);
        }
        assert!(switcher.raise_fence(&names(&["a", "b"]), 1).is_ok());
        for table in ["a", "a_new", "a_old", "customer"] {
            assert_eq!(code(switcher.remove(&name(table))), refused);
            assert_eq!(code(switcher.archive(&name(table)).map(drop)), refused);
        }
        assert_eq!(code(switcher.exists(&name("mysql.user")).map(drop)), refused);
        assert_eq!(code(switcher.owned_among(&names(&["a", "customer"])).map(drop)), refused);
    }

    #[test]
    fn a_cleaner_drops_and_archives_only_the_table_that_it_was_asked_to_remove() {
        let mut cleaner = Entrusted::new(Rights::Removal(name("a_old")), Box::new(having(names(&["a_old"]))));
        assert!(cleaner.exists(&name("a_old")).is_ok());
        assert!(cleaner.archive(&name("a_old")).is_ok());
        assert!(cleaner.remove(&name("a_old")).is_ok());
        let code = |result: Result<(), Failure>| result.map_err(|failure| failure.code);
        let refused = Err("tables.not-given".to_owned());
        for table in ["a", "a_tmp", "other.a_old"] {
            assert_eq!(code(cleaner.remove(&name(table))), refused);
            assert_eq!(code(cleaner.archive(&name(table)).map(drop)), refused);
            assert_eq!(code(cleaner.owned(&name(table)).map(drop)), refused);
        }
        assert_eq!(code(cleaner.rename_all(&[(name("a_old"), name("a"))], 1)), refused);
        assert_eq!(code(cleaner.raise_fence(&names(&["a_old"]), 1).map(drop)), refused);
        assert_eq!(code(cleaner.lift_fence()), refused);
        assert_eq!(code(cleaner.try_out(&names(&["a_old"]))), refused);
    }
}
