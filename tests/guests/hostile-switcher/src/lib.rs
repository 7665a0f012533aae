//! A switcher with many faces: its configuration says which one it shows, `{"face": "strangers"}`.

#![allow(missing_docs, unsafe_code, unreachable_pub, dead_code)] // generated code; nobody builds on this crate
#![cfg(target_family = "wasm")]

#[path = "../../hostile/src/common.rs"]
mod common;

wit_bindgen::generate!({ path: "../../../wit", world: "switcher-plugin" });

use common::{face, misbehave, verdict};
use exports::millrace::stage::switcher::{Admin, Guest, Step, Swap, TableName};
use millrace::stage::failure::Error;
use millrace::stage::tables::Rename;

struct Hostile;

fn step(id: &str) -> Step {
    Step { id: id.to_owned(), title: id.to_owned() }
}

fn name(schema: &str, name: &str) -> TableName {
    TableName { schema: schema.to_owned(), name: name.to_owned() }
}

/// Asks for everything that is no business of a switch of these tables.
fn attack(swaps: &[Swap], target: &Admin) -> Vec<String> {
    let mut granted = Vec::new();
    let mut ask = |what: &str, outcome: bool| {
        if outcome {
            granted.push(what.to_owned());
        }
    };
    let Some(Swap { live, shadow, backup }) = swaps.first().cloned() else { return granted };
    let rename = |old: &TableName, new: &TableName| Rename { old: old.clone(), new: new.clone() };
    let strangers = [name("", "stranger"), name("", "millrace_runs"), name("mysql", "user"), name("other", &live.name)];
    for stranger in &strangers {
        for own in [&live, &shadow, &backup] {
            ask("a rename to a stranger", target.rename_all(&[rename(own, stranger)], 1_000).is_ok());
            ask("a rename of a stranger", target.rename_all(&[rename(stranger, own)], 1_000).is_ok());
        }
        let some = [stranger.clone()];
        let both = [live.clone(), stranger.clone()];
        ask("a fence", target.raise_fence(&some, 1_000).is_ok());
        ask("a fence for both", target.raise_fence(&both, 1_000).is_ok());
        ask("a comparison", target.compare_last(&some).is_ok());
        ask("numbers", target.set_numbers(&some).is_ok());
        ask("a trial", target.try_out(&some).is_ok());
        ask("a removal", target.remove(stranger).is_ok());
        ask("an archive", target.archive(stranger).is_ok());
        ask("a look", target.exists(stranger).is_ok());
    }
    for own in [&live, &shadow, &backup] {
        ask("a removal of its own", target.remove(own).is_ok());
        ask("an archive of its own", target.archive(own).is_ok());
    }
    ask("a fence around a shadow", target.raise_fence(&[shadow.clone()], 1_000).is_ok());
    ask("a live name left to nobody", target.rename_all(&[rename(&live, &backup)], 1_000).is_ok());
    ask("a live table as shadow", target.rename_all(&[rename(&live, &shadow)], 1_000).is_ok());
    ask("a shadow as backup", target.rename_all(&[rename(&shadow, &backup)], 1_000).is_ok());
    granted
}

impl Guest for Hostile {
    fn plan(_: Vec<Swap>) -> Result<Vec<Step>, Error> {
        Ok(match face().as_str() {
            "giant" => vec![step(&"x".repeat(5 << 20))],
            "endless" => (0..10_000).map(|at| step(&at.to_string())).collect(),
            "no-steps" => vec![],
            _ => vec![step("only")],
        })
    }

    fn apply(_: String, swaps: Vec<Swap>, target: &Admin) -> Result<String, Error> {
        misbehave();
        match face().as_str() {
            "strangers" => Err(verdict(&attack(&swaps, target))),
            "foreign-handle" => {
                let admin = std::mem::ManuallyDrop::new(unsafe { Admin::from_handle(4711) });
                admin.lift_fence().map(|()| String::new())
            }
            // Keeps writers off, and goes away.
            "leaves-a-fence" => {
                let live: Vec<TableName> = swaps.iter().map(|swap| swap.live.clone()).collect();
                target.raise_fence(&live, 1_000)?;
                panic!("it leaves the fence up");
            }
            "giant-state" => Ok("x".repeat(5 << 20)),
            // Says that it has done it.
            _ => Ok(String::new()),
        }
    }

    fn undo(_: String, _: String, _: Vec<Swap>, _: &Admin) -> Result<(), Error> {
        Ok(())
    }
}

export!(Hostile);
