//! Locks on the source's tables: taken without waiting, and who is in the way.

use std::time::Duration;

use millrace_model::{Failure, Fault, TableName};
use sqlx::Row;

use super::Postgres;
use super::session::command;
use crate::dialect::postgres::quote_table;
use crate::lease::Lease;

/// Somebody holds, or waits for, a lock that keeps readers off.
pub(super) const LOCKED: &str = "database.table-locked";

/// Tables of one statement.
const TABLES_AT_ONCE: usize = 500;

/// Locks all tables, with what inherits from them, as a reader does; fails at once with [`LOCKED`] where somebody is in
/// the way. Takes no snapshot.
pub(super) async fn lock_all(
    database: &Postgres,
    connection: &mut Lease<sqlx::Postgres>,
    tables: &[TableName],
) -> Result<(), Failure> {
    for some in tables.chunks(TABLES_AT_ONCE) {
        let names: Vec<String> = some.iter().map(quote_table).collect();
        let statement = format!("LOCK TABLE {} IN ACCESS SHARE MODE NOWAIT", names.join(", "));
        command(connection, &statement).await.map_err(|error| refused(database, &error))?;
    }
    Ok(())
}

fn refused(database: &Postgres, error: &sqlx::Error) -> Failure {
    const DOING: &str = "lock the tables against changes of their schema";
    let failure = database.place.failure(DOING, error);
    let words = |code, words: &str| database.place.said(Fault::Transient, code, DOING, words);
    match failure.field("sqlstate") {
        Some("55P03") => words(LOCKED, "another session has one of them"),
        Some("53200") => {
            let room = words(
                "database.too-few-locks",
                "its lock table is full: max_locks_per_transaction is too small for so many tables and partitions",
            );
            Failure { fault: Fault::Config, ..room }
        }
        _ => failure,
    }
}

/// Sessions that hold a lock which keeps readers off, or wait for one: whoever comes after them waits as well.
const IN_THE_WAY: &str = "SELECT n.nspname, c.relname, l.pid, a.usename::text, a.client_addr::text, \
    to_char(coalesce(a.xact_start, a.query_start) AT TIME ZONE 'UTC', 'HH24:MI:SS'), l.granted \
    FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = l.relation \
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
    JOIN unnest($1::text[], $2::text[]) AS w(schema, name) ON w.schema = n.nspname AND w.name = c.relname \
    LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid \
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' \
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()) \
    ORDER BY l.granted DESC, l.pid LIMIT 1";

/// The failure that names who is in the way of a lock on one of the tables.
pub(super) async fn in_the_way(
    database: &Postgres,
    tables: &[TableName],
    waited: Duration,
) -> Result<Failure, Failure> {
    let doing = "look who has a table locked";
    let failure = |e| database.place.failure(doing, &e);
    let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let mut connection = database.acquire().await?;
    let watch = connection.watch();
    let asking = sqlx::query(IN_THE_WAY).bind(schemas).bind(names).fetch_optional(&mut *connection);
    let row = watch.answered(asking).await.map_err(failure)?;
    connection.give_back();
    let Some(row) = row else {
        let message = format!("could not lock the source's tables within {waited:?}: others had them in turn");
        return Ok(locked(database, message));
    };
    let text = |index: usize| row.try_get::<Option<String>, _>(index).map(Option::unwrap_or_default).map_err(failure);
    let session: Option<i32> = row.try_get(2).map_err(failure)?;
    let session = session.map_or_else(|| "a prepared transaction".to_owned(), |pid| format!("session {pid}"));
    let who = match (text(3)?, text(4)?) {
        (user, _) if user.is_empty() => String::new(),
        (user, address) if address.is_empty() => format!(" ({user})"),
        (user, address) => format!(" ({user}@{address})"),
    };
    let holds =
        if row.try_get::<bool, _>(6).map_err(failure)? { "holds it" } else { "waits for it, and others behind" };
    let since = match text(5)? {
        since if since.is_empty() => String::new(),
        since => format!(" since {since} UTC"),
    };
    let table = format!("{}.{}", text(0)?, text(1)?);
    let message = format!("could not lock {table} within {waited:?}: {session}{who} {holds}{since}");
    Ok(locked(database, message).with("table", table))
}

fn locked(database: &Postgres, message: String) -> Failure {
    Failure::new(Fault::Transient, LOCKED, message).with("database", database.name())
}
