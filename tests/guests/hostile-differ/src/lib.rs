//! A differ with many faces: its configuration says which one it shows, `{"face": "loop"}`.

#![allow(missing_docs, unsafe_code, unreachable_pub, dead_code)] // generated code; nobody builds on this crate
#![cfg(target_family = "wasm")]

#[path = "../../hostile/src/common.rs"]
mod common;

wit_bindgen::generate!({ path: "../../../wit", world: "differ-plugin" });

use common::{face, misbehave, with};
use exports::millrace::stage::differ::{Change, ChangeKind, DatabaseModel, Guest};
use millrace::stage::failure::Error;
use millrace::stage::model::TableName;

struct Hostile;

fn change(schema: &str, table: &str, text: &str) -> Change {
    Change {
        kind: ChangeKind::Modified,
        subject: text.to_owned(),
        table: TableName { schema: schema.to_owned(), name: table.to_owned() },
        name: text.to_owned(),
        before: Some(text.to_owned()),
        after: Some(text.to_owned()),
        destructive: false,
        advice: Some(text.to_owned()),
    }
}

impl Guest for Hostile {
    fn diff(_: DatabaseModel, _: DatabaseModel) -> Result<Vec<Change>, Error> {
        misbehave();
        Ok(match face().as_str() {
            "giant" => vec![change("", "item", &"x".repeat(5 << 20))],
            "endless" => (0..10_000).map(|_| change("", "item", "x")).collect(),
            // Changes of tables that are nobody's business, and SQL wherever there is a text.
            "texts" => vec![
                change("", "stranger", &with()),
                change("mysql", "user", &with()),
                change("", &with(), &with()),
                change("", "item", &with()),
            ],
            _ => vec![],
        })
    }
}

export!(Hostile);
