//! The spelling of OceanBase in MySQL mode, of MySQL and of MariaDB.
//!
//! A table's life here: [`assemble()`] makes the desired table out of the source's and the converters' mappings, spelled
//! as a model source would read it back from the target; [`create_table`] renders its shadow; [`complete`] renders what
//! follows the rows. Names of checks and foreign keys are unique in a database, and the old table still holds
//! them while the shadow is filled: a shadow's carry the run's tag ([`constraint_name`]).

mod assemble;
mod carried;
mod column;
pub(crate) mod comment;
mod constant;
mod constraint;
mod declared;
mod default;
mod expression;
mod function;
mod identity;
mod index;
mod moment;
mod name;
mod number;
mod own_expression;
mod partition;
mod reference;
mod render;
mod spelling;
mod tokens;
mod trial;
mod view;

pub use assemble::{Assembled, assemble, settle_references};
pub use carried::carried_in_sql;
pub(crate) use function::PURE;
pub use name::{
    NAME_CHARACTERS, backup_name, constraint_name, live_constraint_name, quote_name, quote_table, quote_text,
    restoring_name, shadow_name, shorten, table_name,
};
pub use partition::{Referenced, Server, partition_clause, settle_partitions};
pub use reference::{KeyStatement, add_foreign_key, check_names, demands_the_same, drop_foreign_key};
pub use render::{auto_increment, complete, create_table};
pub use spelling::{check_table_name, settle_names};
pub(crate) use tokens::{is_comment, one_statement, tokens};
pub use trial::{
    TriedKey, about, columns_read, create_like, key_obstacle, quotes, shown_view_under, table_of_keys, view_under,
};
pub use view::{ReadableTable, TranslatedView, Views, translate_views};

#[cfg(test)]
mod fields;
#[cfg(test)]
mod tests;
