use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::*;

/// A server with tables: name to what is in it.
struct Server {
    tables: RefCell<BTreeMap<String, &'static str>>,
    owned: Vec<&'static str>,
    /// How many renames of a statement happen before it stops, and whether an error is reported.
    breaks: Cell<Option<(usize, bool)>>,
    statements: Cell<u32>,
    /// What was asked for besides renames.
    asked: RefCell<Vec<String>>,
}

fn server(tables: &[(&str, &'static str)], owned: &[&'static str]) -> Server {
    Server {
        tables: RefCell::new(tables.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()),
        owned: owned.to_vec(),
        breaks: Cell::new(None),
        statements: Cell::new(0),
        asked: RefCell::default(),
    }
}

impl Server {
    fn all(&self) -> Vec<(String, &'static str)> {
        self.tables.borrow().iter().map(|(name, rows)| (name.clone(), *rows)).collect()
    }
}

impl Tables for Server {
    fn dialect(&self) -> String {
        "oceanbase".to_owned()
    }
    fn version(&self) -> String {
        "4.3.5".to_owned()
    }
    fn exists(&self, table: &TableName) -> Result<bool, Failure> {
        Ok(self.tables.borrow().contains_key(&table.name))
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
    fn raise_fence(&self, tables: &[TableName], timeout_ms: u32) -> Result<String, Failure> {
        assert_eq!(timeout_ms, 30_000);
        self.note(format!("fence {}", names_of(tables)));
        Ok("table locks".to_owned())
    }
    fn lift_fence(&self) -> Result<(), Failure> {
        self.note("lift".to_owned());
        Ok(())
    }
    fn compare_last(&self, tables: &[TableName]) -> Result<String, Failure> {
        self.note(format!("compare {}", names_of(tables)));
        Ok("2 tables".to_owned())
    }
    fn set_numbers(&self, tables: &[TableName]) -> Result<(), Failure> {
        self.note(format!("number {}", names_of(tables)));
        Ok(())
    }
    fn try_out(&self, tables: &[TableName]) -> Result<(), Failure> {
        for table in tables {
            assert!(self.tables.borrow().contains_key(&table.name), "{table} exists");
        }
        self.note(format!("try {}", names_of(tables)));
        Ok(())
    }
    fn rename_all(&self, renames: &[(TableName, TableName)], timeout_ms: u32) -> Result<(), Failure> {
        assert_eq!(timeout_ms, 30_000);
        self.statements.set(self.statements.get() + 1);
        let (most, fails) = self.breaks.take().unwrap_or((usize::MAX, false));
        for (old, new) in renames.iter().take(most) {
            let mut tables = self.tables.borrow_mut();
            assert!(!tables.contains_key(&new.name), "{new} exists");
            let rows = tables.remove(&old.name).expect("the table exists");
            tables.insert(new.name.clone(), rows);
        }
        if fails { Err(Failure::transient("database.lost", "the connection broke")) } else { Ok(()) }
    }
    fn remove(&self, _table: &TableName) -> Result<(), Failure> {
        unreachable!("a switch removes nothing")
    }
    fn archive(&self, _table: &TableName) -> Result<Option<String>, Failure> {
        unreachable!("a switch archives nothing")
    }
}

impl Server {
    fn note(&self, what: String) {
        self.asked.borrow_mut().push(what);
    }
}

fn names_of(tables: &[TableName]) -> String {
    tables.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
}

/// All steps in their order, until one fails.
fn apply_all(swaps: &[Swap], server: &Server) -> Result<Vec<(String, String)>, Failure> {
    let steps = plugin().plan(swaps)?;
    steps.into_iter().map(|step| Ok((step.id.clone(), plugin().apply(&step.id, swaps, server)?))).collect()
}

fn swap(name: &str) -> Swap {
    Swap {
        live: TableName::bare(name),
        shadow: TableName::bare(format!("{name}_tmp")),
        backup: TableName::bare(format!("{name}_bak")),
    }
}

fn plugin() -> SwitchRename {
    SwitchRename::configure(Config::default()).unwrap()
}

/// `orders` replaces a table, `items` is new.
fn both() -> (Vec<Swap>, Server) {
    let server = server(
        &[("orders", "old"), ("orders_tmp", "new"), ("items_tmp", "new")],
        &["orders_tmp", "orders_bak", "items_tmp"],
    );
    (vec![swap("orders"), swap("items")], server)
}

fn before() -> Vec<(String, &'static str)> {
    both().1.all()
}

fn after() -> Vec<(String, &'static str)> {
    [("items", "new"), ("orders", "new"), ("orders_bak", "old")].map(|(n, r)| (n.to_owned(), r)).to_vec()
}

#[test]
fn all_tables_are_swapped_in_one_statement_and_back_in_one() {
    let (swaps, server) = both();
    let state = plugin().apply(RENAME, &swaps, &server).unwrap();
    assert_eq!(server.all(), after());
    assert_eq!(state, r#"{"replaced":[{"name":"orders"}]}"#);
    plugin().undo(RENAME, &state, &swaps, &server).unwrap();
    assert_eq!(server.all(), before());
    assert_eq!(server.statements.get(), 2);
}

#[test]
fn writers_are_fenced_while_names_are_swapped_and_while_they_go_back() {
    let (swaps, server) = both();
    let states = apply_all(&swaps, &server).unwrap();
    assert_eq!(server.all(), after());
    let asked = ["fence orders+items", "compare orders+items", "number orders+items", "try orders+items", "lift"];
    assert_eq!(*server.asked.borrow(), asked);
    server.asked.borrow_mut().clear();
    for (step, state) in states.iter().rev() {
        plugin().undo(step, state, &swaps, &server).unwrap();
    }
    assert_eq!(server.all(), before());
    assert_eq!(*server.asked.borrow(), ["fence orders+items", "number orders+items", "lift"]);
}

#[test]
fn a_switch_that_was_done_already_is_verified_and_its_fence_lifted() {
    let (swaps, server) = both();
    plugin().apply(RENAME, &swaps, &server).unwrap();
    apply_all(&swaps, &server).unwrap();
    assert_eq!(server.all(), after());
    assert_eq!(*server.asked.borrow(), ["try orders+items", "lift"]);
}

#[test]
fn names_that_are_not_swapped_are_not_verified() {
    let (swaps, server) = both();
    assert_eq!(plugin().apply(VERIFY, &swaps, &server).unwrap_err().code, "switch.not-verified");
}

#[test]
fn a_step_of_another_switcher_is_refused() {
    let (swaps, server) = both();
    assert_eq!(plugin().apply("swap", &swaps, &server).unwrap_err().code, "switch.unknown-step");
    assert_eq!(plugin().undo("swap", "", &swaps, &server).unwrap_err().code, "switch.unknown-step");
}

#[test]
fn a_step_may_be_applied_and_undone_again() {
    let (swaps, server) = both();
    let state = plugin().apply(RENAME, &swaps, &server).unwrap();
    assert_eq!(plugin().apply(RENAME, &swaps, &server).unwrap(), state);
    plugin().undo(RENAME, &state, &swaps, &server).unwrap();
    plugin().undo(RENAME, &state, &swaps, &server).unwrap();
    assert_eq!(server.statements.get(), 2);
    assert_eq!(server.all(), before());
}

#[test]
fn a_lost_answer_is_answered_by_the_catalogs() {
    let (swaps, server) = both();
    server.breaks.set(Some((usize::MAX, true)));
    plugin().apply(RENAME, &swaps, &server).unwrap();
    assert_eq!(server.all(), after());
}

#[test]
fn a_refused_rename_changes_nothing_and_says_why() {
    let (swaps, server) = both();
    server.breaks.set(Some((0, true)));
    assert_eq!(plugin().apply(RENAME, &swaps, &server).unwrap_err().code, "database.lost");
    assert_eq!(server.all(), before());
}

#[test]
fn success_that_a_new_connection_does_not_see_is_a_failure() {
    let (swaps, server) = both();
    server.breaks.set(Some((0, false)));
    assert_eq!(plugin().apply(RENAME, &swaps, &server).unwrap_err().code, "switch.not-verified");
}

#[test]
fn half_a_rename_is_taken_back_wherever_it_stopped() {
    for stopped_after in 1..3 {
        for reports_error in [false, true] {
            let (swaps, server) = both();
            server.breaks.set(Some((stopped_after, reports_error)));
            let failure = plugin().apply(RENAME, &swaps, &server).unwrap_err();
            assert_eq!(failure.code, "switch.taken-back", "after {stopped_after}");
            assert_eq!(server.all(), before(), "after {stopped_after}");
            plugin().apply(RENAME, &swaps, &server).unwrap();
            assert_eq!(server.all(), after());
        }
    }
}

#[test]
fn half_a_rename_that_another_process_left_is_taken_back_first() {
    let swaps = [swap("orders")];
    let server = server(&[("orders_bak", "old"), ("orders_tmp", "new")], &["orders_tmp", "orders_bak"]);
    assert_eq!(plugin().apply(RENAME, &swaps, &server).unwrap_err().code, "switch.taken-back");
    assert_eq!(server.all(), [("orders".to_owned(), "old"), ("orders_tmp".to_owned(), "new")]);
}

#[test]
fn names_that_no_switch_leaves_stop_it() {
    let owned = ["orders_tmp", "orders_bak"];
    for tables in [
        &[][..],
        &[("orders", "old")],
        &[("orders_bak", "old")],
        &[("orders", "old"), ("orders_tmp", "new"), ("orders_bak", "older")],
    ] {
        let server = server(tables, &owned);
        let failure = plugin().apply(RENAME, &[swap("orders")], &server).unwrap_err();
        assert_eq!(failure.code, "switch.unexpected-tables", "{tables:?}");
        assert_eq!(server.statements.get(), 0);
    }
}

#[test]
fn there_is_no_way_back_without_the_old_table() {
    let (swaps, server) = both();
    let state = plugin().apply(RENAME, &swaps, &server).unwrap();
    server.tables.borrow_mut().remove("orders_bak");
    let failure = plugin().undo(RENAME, &state, &swaps, &server).unwrap_err();
    assert!(["switch.backup-gone", "switch.unexpected-tables"].contains(&failure.code.as_str()), "{failure}");
    assert_eq!(server.statements.get(), 1);
}

#[test]
fn a_timeout_that_is_none_is_refused_at_its_key() {
    let problems = SwitchRename::configure(Config { timeout: "soon".to_owned() }).unwrap_err();
    assert_eq!(problems[0].path, "/timeout");
}

#[test]
fn without_tables_there_is_no_step() {
    assert_eq!(plugin().plan(&[]), Ok(Vec::new()));
    let steps = plugin().plan(&[swap("orders")]).unwrap();
    let titles: Vec<&str> = steps.iter().filter(|s| s.id == RENAME).map(|s| s.title.as_str()).collect();
    assert_eq!(titles, ["Put orders_tmp in the place of orders"]);
}
