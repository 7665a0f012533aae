//! A cleaner with many faces: its configuration says which one it shows, `{"face": "unoffered"}`.

#![allow(missing_docs, unsafe_code, unreachable_pub, dead_code)] // generated code; nobody builds on this crate
#![cfg(target_family = "wasm")]

#[path = "../../hostile/src/common.rs"]
mod common;

wit_bindgen::generate!({ path: "../../../wit", world: "cleaner-plugin" });

use common::{face, misbehave, verdict, with};
use exports::millrace::stage::cleaner::{Admin, Artefact, Guest, Removal, TableName};
use millrace::stage::failure::Error;
use millrace::stage::tables::Rename;

struct Hostile;

fn name(schema: &str, name: &str) -> TableName {
    TableName { schema: schema.to_owned(), name: name.to_owned() }
}

fn removal(table: TableName) -> Removal {
    Removal { table, why: "because".to_owned() }
}

/// Asks for everything that is no business of somebody who removes this table.
fn attack(own: &TableName, target: &Admin) -> Vec<String> {
    let mut granted = Vec::new();
    let mut ask = |what: &str, outcome: bool| {
        if outcome {
            granted.push(what.to_owned());
        }
    };
    let rename = |old: &TableName, new: &TableName| Rename { old: old.clone(), new: new.clone() };
    for stranger in [name("", "item"), name("", "stranger"), name("mysql", "user"), name("", "millrace_runs")] {
        ask("a rename", target.rename_all(&[rename(&stranger, own)], 1_000).is_ok());
        ask(
            "two renames",
            target.rename_all(&[rename(own, &name("", "aside")), rename(&stranger, own)], 1_000).is_ok(),
        );
        let some = [stranger.clone()];
        ask("a fence", target.raise_fence(&some, 1_000).is_ok());
        ask("a comparison", target.compare_last(&some).is_ok());
        ask("numbers", target.set_numbers(&some).is_ok());
        ask("a trial", target.try_out(&some).is_ok());
        ask("a removal", target.remove(&stranger).is_ok());
        ask("an archive", target.archive(&stranger).is_ok());
    }
    ask("a rename of its own", target.rename_all(&[rename(own, &name("", "aside"))], 1_000).is_ok());
    ask("lifting a fence", target.lift_fence().is_ok());
    granted
}

impl Guest for Hostile {
    fn plan(artefacts: Vec<Artefact>) -> Result<Vec<Removal>, Error> {
        let offered = || artefacts.iter().map(|artefact| removal(artefact.table.clone()));
        Ok(match face().as_str() {
            "loop-while-planning" => loop {
                std::hint::spin_loop();
            },
            "unoffered" => vec![removal(name("", &with()))],
            "other-database" => vec![removal(name("mysql", "user"))],
            "twice" => offered().chain(offered()).collect(),
            "giant" => offered().map(|offered| Removal { why: "x".repeat(5 << 20), ..offered }).collect(),
            "endless" => (0..10_000).map(|_| removal(name("", "x"))).collect(),
            _ => offered().collect(),
        })
    }

    fn apply(removal: Removal, target: &Admin) -> Result<(), Error> {
        misbehave();
        match face().as_str() {
            "strangers" => Err(verdict(&attack(&removal.table, target))),
            // Says that it has done it.
            _ => Ok(()),
        }
    }
}

export!(Hostile);
