//! One execution of a pipeline: the loop that `millrace run` and the daemon share.
//!
//! A run carries out its plan action by action, in the order of [`execute()`]'s phases; every action is announced in
//! the journal before it begins and noted after it ended. A run that ended anywhere is carried on by
//! [`execute()`] too, which skips what is done and looks in the database where the outcome is unknown;
//! [`rollback()`] undoes what applications see, the last first.

mod claim;
mod clean;
mod context;
mod copy;
mod cutover;
mod execute;
mod fence;
mod health;
mod hooks;
mod leftovers;
mod numbers;
mod parents;
mod progress;
mod provenance;
mod recorder;
mod references;
mod request;
mod retract;
mod retry;
mod rollback;
mod rows;
mod switch;
mod trial;
mod try_plan;
mod tuning;
mod validate;
mod view_rows;
mod views;
mod world;

pub(crate) use claim::{Claimant, Claimed};
pub(crate) use clean::{Cleaning, Removals, removals, remove};
pub(crate) use context::{End, Event, RunContext, Watch};
pub(crate) use copy::{Factory, chunking, cutting, uncommitted_rejects};
pub(crate) use execute::{Approval, execute};
pub(crate) use fence::outlook as fence_outlook;
pub(crate) use hooks::{close as start_application, is_open as is_application_stopped};
pub(crate) use leftovers::Scope;
pub(crate) use numbers::numbered;
pub(crate) use progress::{PaceSnapshot, Snapshot};
pub(crate) use recorder::Recorder;
pub(crate) use references::release_shadows;
pub(crate) use retry::retry;
pub(crate) use rollback::{NewRows, rollback};
pub(crate) use rows::{Columns, TableRows, uncompared_columns};
pub(crate) use switch::may_be_switched;
pub(crate) use try_plan::try_plan;
pub(crate) use tuning::{MOST_WORKERS, Tuned, TuningChange, tune};
pub(crate) use world::target::planned_target;
