//! The target: OceanBase in MySQL mode, MySQL or MariaDB.
//!
//! [`MySql`] is a pool whose every connection is set to UTC, to a strict SQL mode and to timeouts that a long copy
//! survives, and has been asked whether it took them. What runs leave behind on the target is known from its own
//! tables ([`Bookkeeping`]), which are written in the same transactions as what they tell of.

mod admin;
pub mod archive;
mod bookkeeping;
mod claims;
mod collation;
mod connect;
mod definition;
mod encode;
mod fence;
mod floor;
mod identity;
mod makers;
mod marks;
mod neighbours;
mod origin;
mod orphans;
mod processlist;
mod provenance;
mod read;
mod rename;
mod replacement;
mod retry;
mod rows;
mod session;
mod sessions;
mod since;
mod sink;
mod trial;
mod views;
mod writer;

pub use admin::{Admin, AdminOptions, over_budget};
pub use bookkeeping::{BOOKKEEPING_TABLES, Bookkeeping, MadeTable, RunRow, StoredChunk, StoredReject, TableRole};
pub use claims::{Claim, LEASE};
pub use collation::Folding;
pub use connect::MySql;
pub use fence::{FenceMeans, Locks, rehearsal_tables};
pub use floor::ReadyStatements;
pub use identity::TableId;
pub use makers::{Maker, maker_of};
pub use marks::{LiveMark, OwnWrites, RowsThen};
pub use neighbours::ForeignKeyFound;
pub use origin::Origin;
pub use orphans::Orphans;
pub use provenance::LiveProvenance;
pub(crate) use read::{cell, read_rows};
pub use rename::{IN_DOUBT as RENAME_IN_DOUBT, Sent};
pub use replacement::ApplicationRows;
pub(crate) use replacement::Replacement;
pub use retry::Retried;
pub(crate) use rows::{batch_of_texts, each_batch, select_statement};
pub use since::{Moment, Written};
pub use trial::{is_trial, trial_number, trial_table, trial_view};
pub use views::MadeView;
