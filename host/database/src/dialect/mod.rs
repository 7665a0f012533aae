//! SQL as each engine spells it: names, literals, expressions, tables. Pure functions, no I/O.
//!
//! [`mysql`] renders what OceanBase in MySQL mode (and MySQL and MariaDB) is told; [`postgres`] what PostgreSQL is told.
//! A source table becomes a target table in one place, [`mysql::assemble`], which also says in words what could not
//! be carried over: a plan is read and approved by a person.

pub mod mysql;
pub mod postgres;
