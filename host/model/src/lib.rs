//! Schemas, changes and plans: plain data, and the JSON that travels between environments. No I/O.
//!
//! A run's life in these types: two model sources give a [`DatabaseModel`] each; converters give a
//! [`Mapping`] for each column; the dialect assembles the *desired* table as the target spells it; the
//! differ says which [`Change`]s separate it from the current one; together they are a [`Plan`], which an
//! operator reads, approves and carries to where it is applied.
//!
//! [`failure::Failure`] is the one value by which every part of Millrace says that something went wrong.
//! [`capability`] holds what the host lends to plugins: traits without an implementation, so that the
//! crates that talk to databases and the one that runs plugins need not know each other.

pub mod cancel;
pub mod capability;
pub mod change;
pub mod comparison;
pub mod document;
pub mod failure;
pub mod identity;
pub mod mapping;
pub mod numbering;
pub mod plan;
pub mod provenance;
pub mod quantity;
pub mod reject;
pub mod schema;
pub mod stage;
pub mod switching;
pub mod tls;

pub use cancel::Cancel;
pub use change::{Change, ChangeKind};
pub use failure::{Failure, Fault};
pub use identity::{Between, SourceChange, SourceIdentity};
pub use mapping::{Mapping, Measure, Profile, ProfileRequest};
pub use plan::{KeptRows, Plan, Strategy, TablePlan};
pub use provenance::{Provenance, Since};
pub use reject::RejectValues;
pub use schema::{
    Check, Column, DatabaseModel, ForeignKey, Index, IndexKind, IndexPart, Layout, LogicalType, Object, Properties,
    Table, TableName,
};
pub use stage::{Description, Problem, StageKind};
pub use switching::{Artefact, ArtefactKind, Removal, Step, Swap};
pub use tls::Tls;
