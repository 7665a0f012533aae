//! Pipelines: TOML to a checked declaration, and the rules of a run's journal. No I/O.
//!
//! A declaration's life: [`Pipeline::parse`] reads the text with the position of every key and value, finds
//! everything that is wrong with it at once, and gives types in which nothing invalid can be written. The
//! kinds of the stages are known only when their plugins are loaded, so the second half of the check,
//! [`Pipeline::check_stages`], comes after that. Whatever is wrong is a [`Diagnostic`], which
//! [`diagnostic::render`] shows under the line that it is about.
//!
//! A run's life: [`journal::Journal`] says which event may follow which, and what to do with a journal that
//! ends anywhere, because the process that wrote it died there.

mod check;
pub mod declaration;
pub mod diagnostic;
pub mod event;
pub mod journal;
mod parse;
mod raw;
pub mod recovery;
pub mod run;
mod stage;
mod suggestion;
pub mod tables;
pub mod variable;

pub use declaration::{
    ContentDigest, Cutover, DEFAULT_RETRIES, DatabaseDeclaration, DatabaseName, Databases, FencePolicy, Health, Hook,
    HookCall, OnFailure, Pipeline, PluginReference, Rejects, Stage, parse_duration,
};
pub use diagnostic::{Color, Diagnostic, render, summary};
pub use event::{Event, EventKind, IllegalTransition};
pub use journal::{Direction, Journal};
pub use parse::KNOWN_KEYS;
pub use recovery::{NextStep, Outcome, Recovery};
pub use run::{Action, RunId, RunState};
pub use tables::{ColumnPattern, Rename, TablePattern, TableSelection};
pub use variable::Resolver;
