use std::cell::RefCell;

use millrace_plugin_sdk::model::TableName;

use super::*;

const HOUR: u64 = 3_600;

fn artefact(kind: ArtefactKind, name: &str, age_seconds: u64) -> Artefact {
    Artefact { kind, table: TableName::bare(name), run: "r1".to_owned(), age_seconds }
}

fn planned(config: Config, artefacts: &[Artefact]) -> Vec<String> {
    let removals = CleanExpired::configure(config).unwrap().plan(artefacts).unwrap();
    removals.into_iter().map(|removal| format!("{}: {}", removal.table, removal.why)).collect()
}

#[test]
fn backups_stay_for_their_grace_and_shadows_for_theirs() {
    let artefacts = [
        artefact(ArtefactKind::Backup, "young_bak", 24 * HOUR - 1),
        artefact(ArtefactKind::Backup, "old_bak", 26 * HOUR),
        artefact(ArtefactKind::Shadow, "young_tmp", HOUR - 1),
        artefact(ArtefactKind::Shadow, "old_tmp", HOUR + 90),
    ];
    let expected =
        ["old_bak: backup of run r1, 1d 2h old, kept for 24h", "old_tmp: shadow of run r1, 1h 1m old, kept for 1h"];
    assert_eq!(planned(Config::default(), &artefacts), expected);
}

#[test]
fn without_grace_everything_goes() {
    let config = Config { grace: "0s".to_owned(), shadows: "0s".to_owned() };
    let artefacts = [artefact(ArtefactKind::Backup, "a_bak", 0), artefact(ArtefactKind::Shadow, "a_tmp", 0)];
    assert_eq!(planned(config, &artefacts).len(), 2);
}

#[test]
fn durations_that_are_none_are_named_all_at_once() {
    let config = Config { grace: "1 day".to_owned(), shadows: "later".to_owned() };
    let paths: Vec<String> = CleanExpired::configure(config).unwrap_err().into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["/grace", "/shadows"]);
}

#[derive(Default)]
struct Server {
    tables: Vec<&'static str>,
    owned: Vec<&'static str>,
    done: RefCell<Vec<String>>,
    archive_fails: bool,
}

impl Tables for Server {
    fn dialect(&self) -> String {
        "oceanbase".to_owned()
    }
    fn version(&self) -> String {
        "4.3.5".to_owned()
    }
    fn exists(&self, table: &TableName) -> Result<bool, Failure> {
        Ok(self.tables.contains(&table.name.as_str()))
    }
    fn owned(&self, table: &TableName) -> Result<bool, Failure> {
        Ok(self.owned.contains(&table.name.as_str()))
    }
    fn existing(&self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        Ok(tables.iter().filter(|table| self.exists(table) == Ok(true)).cloned().collect())
    }
    fn owned_among(&self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        Ok(tables.iter().filter(|table| self.owned(table) == Ok(true)).cloned().collect())
    }
    fn raise_fence(&self, _tables: &[TableName], _timeout_ms: u32) -> Result<String, Failure> {
        unreachable!("a cleaner fences nothing")
    }
    fn lift_fence(&self) -> Result<(), Failure> {
        unreachable!("a cleaner fences nothing")
    }
    fn compare_last(&self, _tables: &[TableName]) -> Result<String, Failure> {
        unreachable!("a cleaner compares nothing")
    }
    fn set_numbers(&self, _tables: &[TableName]) -> Result<(), Failure> {
        unreachable!("a cleaner numbers nothing")
    }
    fn rename_all(&self, _renames: &[(TableName, TableName)], _timeout_ms: u32) -> Result<(), Failure> {
        unreachable!("a cleaner renames nothing")
    }
    fn try_out(&self, _tables: &[TableName]) -> Result<(), Failure> {
        unreachable!("a cleaner tries nothing")
    }
    fn remove(&self, table: &TableName) -> Result<(), Failure> {
        self.done.borrow_mut().push(format!("remove {table}"));
        Ok(())
    }
    fn archive(&self, table: &TableName) -> Result<Option<String>, Failure> {
        self.done.borrow_mut().push(format!("archive {table}"));
        if self.archive_fails {
            return Err(Failure::data("tables.archive-failed", "the disk is full"));
        }
        Ok(Some("/archive".to_owned()))
    }
}

fn apply(config: Config, server: &Server) -> Result<(), Failure> {
    let removal = Removal { table: TableName::bare("a_bak"), why: "expired".to_owned() };
    CleanExpired::configure(config).unwrap().apply(&removal, server)
}

#[test]
fn a_table_that_no_run_made_is_left() {
    let server = Server { tables: vec!["a_bak"], ..Server::default() };
    assert_eq!(apply(Config::default(), &server).unwrap_err().code, "clean.not-owned");
    assert!(server.done.borrow().is_empty());
}

#[test]
fn a_table_that_is_gone_is_no_failure() {
    assert_eq!(apply(Config::default(), &Server::default()), Ok(()));
}

#[test]
fn an_archive_comes_before_the_removal_and_without_it_nothing_is_removed() {
    let server = Server { tables: vec!["a_bak"], owned: vec!["a_bak"], ..Server::default() };
    apply(Config::default(), &server).unwrap();
    assert_eq!(*server.done.borrow(), ["archive a_bak", "remove a_bak"]);
    let full = Server { tables: vec!["a_bak"], owned: vec!["a_bak"], archive_fails: true, ..Server::default() };
    assert_eq!(apply(Config::default(), &full).unwrap_err().code, "tables.archive-failed");
    assert_eq!(*full.done.borrow(), ["archive a_bak"]);
}
