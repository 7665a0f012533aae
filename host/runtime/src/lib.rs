//! Plugins: WebAssembly components, their limits and their worlds.
//!
//! The life of a plugin: its bytes (embedded in the binary or read from a vendor's file, the same way) are
//! hashed, compiled once and kept on disk ([`Runtime::load`]); its exports say which kind of stage it is; it is
//! linked with what its world may import and nothing else; and it introduces itself. A stage then asks the
//! [`Plugin`] for a worker of its kind, such as a [`Converter`]: that is one instance with the stage's
//! configuration, which is replaced after a trap, when it has grown too large, or after so many calls.
//!
//! Everything here blocks. Workers run on rayon's threads or on threads for blocking work, never on those of
//! an asynchronous runtime; what the host lends to a guest blocks as well and wakes when the run is cancelled.
//!
//! Whatever goes wrong with a guest becomes one [`millrace_model::Failure`], in one place (`fault`): a broken
//! plugin costs its run, never the host.

mod account;
mod cache;
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)] // generated
mod contract;
mod engine;
mod fault;
mod instance;
mod intake;
#[allow(unreachable_pub)] // the generated code re-exports it
mod lend;
mod options;
mod plugin;
mod sandbox;
mod state;
mod stderr;
mod translate;
mod world;

pub use account::Account;
pub use engine::Runtime;
pub use options::{Limits, RuntimeOptions};
pub use plugin::{Plugin, StageContext};
pub use world::cleaner::Cleaner;
pub use world::converter::{ConversionId, Converted, Converter};
pub use world::copier::{Chunking, Copier};
pub use world::differ::Differ;
pub use world::model_source::ModelSource;
pub use world::switcher::Switcher;
pub use world::validator::Validator;
