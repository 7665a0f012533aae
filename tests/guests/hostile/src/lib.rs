//! A converter with many faces, none of them friendly but `echo`: its configuration says which one it shows,
//! `{"face": "loop"}`. It is written on the bare contract, because the SDK would not let it do most of this.

#![allow(missing_docs, unsafe_code, unreachable_pub, dead_code)] // generated code; nobody builds on this crate
#![cfg(target_family = "wasm")]

use std::cell::RefCell;

mod common;

wit_bindgen::generate!({ path: "../../../wit", world: "converter-plugin" });

use common::{error, face, misbehave, with};
use exports::millrace::stage::converter::{
    Conversion, Converted, Guest as Converter, GuestConversion, Mapping, Measure, Profile, ProfileRequest, Reject,
};
use millrace::stage::columns::{Array, Values, Varlen};
use millrace::stage::failure::Error;
use millrace::stage::log;
use millrace::stage::model::{Column, Table};

thread_local! {
    static CALLS: RefCell<u32> = const { RefCell::new(0) };
}

struct Hostile;

impl Converter for Hostile {
    type Conversion = Open;

    fn profiles(_: Table, _: String) -> Result<Vec<ProfileRequest>, Error> {
        let request = |column: &str| ProfileRequest { column: column.to_owned(), measures: vec![Measure::Scale] };
        Ok(match face().as_str() {
            "endless-list" => (0..10_000).map(|_| request("c")).collect(),
            "unknown-column" => vec![request("nobody")],
            _ => vec![],
        })
    }

    fn map_table(table: Table, _: Vec<Profile>, _: String) -> Result<Vec<Mapping>, Error> {
        if let Some(what) = face().strip_prefix("sql-") {
            return Ok(table.columns.into_iter().filter(|c| c.name == "name").map(|c| sql(c, what)).collect());
        }
        let note = match face().as_str() {
            "giant-string" => Some("x".repeat(5 << 20)),
            _ => None,
        };
        Ok(vec![Mapping { sources: vec!["c".to_owned()], targets: vec![], converts: true, note }])
    }
}

/// The column as it should be, but for one text that reaches the target.
fn sql(source: Column, what: &str) -> Mapping {
    let with = with();
    let mut column = Column {
        declared: "varchar(64)".to_owned(),
        collation: Some("utf8mb4_bin".to_owned()),
        default_expression: None,
        ..source
    };
    match what {
        "declared" => column.declared = with,
        "collation" => column.collation = Some(with),
        "default" => column.default_expression = Some(with),
        "generated" => column.generated_expression = Some(with),
        "on-update" => column.properties.push(("on-update".to_owned(), with)),
        "kept" => {
            column.generated_expression = Some("concat('a', 'b')".to_owned());
            column.properties.push(("generated".to_owned(), with));
        }
        "name" => column.name = with,
        "comment" => column.comment = Some(with),
        _ => {}
    }
    Mapping { sources: vec!["name".to_owned()], targets: vec![column], converts: false, note: None }
}

struct Open;

impl GuestConversion for Open {
    fn open(_: Vec<Column>, _: Vec<Column>) -> Result<Conversion, Error> {
        Ok(Conversion::new(Open))
    }

    fn convert(&self, inputs: Vec<Array>) -> Result<Converted, Error> {
        let calls = CALLS.with_borrow_mut(|calls| {
            *calls += 1;
            *calls
        });
        let rows = inputs.first().map_or(0, |array| array.rows);
        let outputs = |outputs| Ok(Converted { outputs, rejects: vec![] });
        let text = |offsets: Vec<u32>, data: Vec<u8>| {
            outputs(vec![Array { rows, validity: None, values: Values::Varlen(Varlen { offsets, data }) }])
        };
        let reject = |row| Reject { row, error: error("hostile.row", "a row that it dislikes") };
        misbehave();
        match face().as_str() {
            "panic-after-noise" => {
                for line in 0..20_000 {
                    eprintln!("noise {line}");
                }
                panic!("heard at last");
            }
            "panic-once" if calls == 3 => panic!("every third call"),
            "file" => match std::fs::read_to_string("/etc/passwd") {
                Ok(text) => Err(error("hostile.has-read", &text)),
                Err(e) => Err(error("hostile.no-file", &e.to_string())),
            },
            "environment" => {
                let known = std::env::vars().count() + std::env::args().count();
                Err(error("hostile.environment", &known.to_string()))
            }
            "network" => match std::net::TcpListener::bind("127.0.0.1:0") {
                Ok(_) => Err(error("hostile.listens", "it listens")),
                Err(e) => Err(error("hostile.no-network", &e.to_string())),
            },
            "clock" => {
                let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                Err(error("hostile.clock", &now.as_secs().to_string()))
            }
            "chatter-and-go-on" => {
                for line in 0..50_000 {
                    log::write(log::Level::Info, &format!("line {line}"), &[]);
                }
                outputs(inputs)
            }
            "own-error" => Err(error("hostile.own-error", "it says no")),
            "unnamed-error" => Err(error("What Ever!", "it says no, somehow")),
            "no-columns" => outputs(vec![]),
            "fewer-rows" => outputs(inputs.into_iter().map(|a| Array { rows: a.rows - 1, ..a }).collect()),
            "short-validity" => outputs(inputs.into_iter().map(|a| Array { validity: Some(vec![]), ..a }).collect()),
            "wrong-layout" => {
                outputs(vec![Array { rows, validity: None, values: Values::Int64(vec![0; rows as usize]) }])
            }
            "overlapping-offsets" => text((0..=rows).map(|i| if i == 1 { 9 } else { i }).collect(), vec![b'x'; 9]),
            "offsets-beyond" => text((0..=rows).map(|i| i * 1_000).collect(), vec![b'x'; 9]),
            "no-utf8" => text((0..=rows).collect(), vec![0xff; rows as usize]),
            "giant-column" => {
                text(std::iter::once(0).chain((0..rows).map(|_| 80 << 20)).collect(), vec![b'x'; 80 << 20])
            }
            "rejects-outside" => Ok(Converted { outputs: inputs, rejects: vec![reject(rows)] }),
            "rejects-twice" => Ok(Converted { outputs: inputs, rejects: vec![reject(0), reject(0)] }),
            "rejects-first" => Ok(Converted { outputs: inputs, rejects: vec![reject(0)] }),
            _ => outputs(inputs),
        }
    }
}

export!(Hostile);
