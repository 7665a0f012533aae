//! What all hostile guests have in common: how they introduce themselves, and the faces that need no world.

use std::cell::RefCell;

use crate::exports::millrace::stage::plugin::{Description, Guest, Problem};
use crate::millrace::stage::failure::{Error, Fault};
use crate::millrace::stage::log;

thread_local! {
    static FACE: RefCell<String> = const { RefCell::new(String::new()) };
    static WITH: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Which face is shown.
pub fn face() -> String {
    FACE.with_borrow(Clone::clone)
}

/// What it is shown with.
pub fn with() -> String {
    WITH.with_borrow(Clone::clone)
}

pub fn error(code: &str, message: &str) -> Error {
    Error { fault: Fault::Data, code: code.to_owned(), message: message.to_owned(), fields: vec![] }
}

/// Everything that was asked for was refused, as it should be; or something was granted.
pub fn verdict(granted: &[String]) -> Error {
    match granted {
        [] => error("hostile.all-refused", "everything was refused"),
        granted => error("hostile.granted", &format!("granted was {}", granted.join("; "))),
    }
}

impl Guest for crate::Hostile {
    fn describe() -> Description {
        Description {
            name: "hostile".to_owned(),
            version: "0.0.0".to_owned(),
            summary: "Shows one of many faces.".to_owned(),
            config_schema: r#"{"type":"object"}"#.to_owned(),
        }
    }

    /// `{"face": "…", "with": "…"}`.
    fn configure(config: String) -> Result<(), Vec<Problem>> {
        let mut texts = config.split('"').skip(3).step_by(4);
        FACE.set(texts.next().unwrap_or_default().to_owned());
        WITH.set(texts.next().unwrap_or_default().to_owned());
        match face().as_str() {
            "refuses-configuration" => {
                Err(vec![Problem { path: "/face".to_owned(), message: "not this one".to_owned() }])
            }
            "refuses-without-reason" => Err(vec![]),
            "panics-at-configuration" => panic!("no face fits"),
            _ => Ok(()),
        }
    }
}

/// Shows the faces that never come back. The others come back.
pub fn misbehave() {
    match face().as_str() {
        "panic" => panic!("the roof is on fire"),
        "loop" => loop {
            std::hint::spin_loop();
        },
        "hoard" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1_u8; 1 << 20]);
            }
        }
        "recursion" => panic!("{}", depth(1)),
        "exit" => std::process::exit(3),
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(3_600)),
        "chatter" => {
            for line in 0..50_000 {
                log::write(log::Level::Info, &format!("line {line}"), &[]);
            }
            panic!("it has said enough");
        }
        _ => {}
    }
}

/// Never ends, and is no loop.
#[allow(unconditional_recursion, reason = "that is what it is for")]
fn depth(level: u64) -> u64 {
    let page = std::hint::black_box([level; 64]);
    depth(level + 1) + std::hint::black_box(page)[0]
}
