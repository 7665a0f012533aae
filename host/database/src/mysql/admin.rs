//! What switchers and cleaners are lent: five verbs on tables, each with its own care.
//!
//! A rename's answer can get lost after the rename was done, so after any error the catalogs are read through a new
//! connection, and they decide. A lock is believed only after a second connection has met it: OceanBase's
//! `LOCK TABLES` says OK and locks nothing unless `enable_lock_priority` is set. A table is dropped only when the
//! books say that a run of this pipeline made it.

use std::time::Duration;

use millrace_model::capability::TableAdmin;
use millrace_model::{Failure, Fault, TableName};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::connect::first_number;
use super::{Bookkeeping, MySql, TableRole, read_rows};
use crate::dialect::mysql::{quote_table, quote_text};
use crate::error::{is_disconnect, mysql_number};
use crate::lease::Lease;

/// How long a probe waits for a lock before it believes in it.
const PROBE_SECONDS: u32 = 1;

/// How long one look into the catalogs may take before its connection counts as lost.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);

/// The target, for one run of one pipeline.
pub struct Admin {
    target: MySql,
    bookkeeping: Bookkeeping,
    pipeline: String,
    run: String,
    locked: Option<Locked>,
}

/// A connection that holds write locks.
struct Locked {
    connection: Lease<sqlx::MySql>,
    tables: Vec<TableName>,
}

impl Admin {
    pub(super) fn new(target: MySql, bookkeeping: Bookkeeping, pipeline: &str, run: &str) -> Self {
        let (pipeline, run) = (pipeline.to_owned(), run.to_owned());
        Self { target, bookkeeping, pipeline, run, locked: None }
    }
}

impl TableAdmin for Admin {
    fn dialect(&self) -> String {
        self.target.dialect().to_owned()
    }

    fn version(&self) -> String {
        self.target.version().to_owned()
    }

    fn exists(&mut self, table: &TableName) -> Result<bool, Failure> {
        self.target.bridge.block(exists_on_new_connection(&self.target, table))
    }

    fn owned(&mut self, table: &TableName) -> Result<bool, Failure> {
        self.target.bridge.block(owned(&self.bookkeeping, &self.pipeline, table))
    }

    fn lock_writes(&mut self, tables: &[TableName], timeout_ms: u32) -> Result<(), Failure> {
        if self.locked.is_some() {
            return Err(Failure::internal("switch.already-locked", "tables are locked already; unlock them first"));
        }
        if tables.is_empty() {
            return Ok(());
        }
        let locked = self.target.bridge.block(lock(&self.target, tables, timeout_ms))?;
        self.locked = Some(locked);
        Ok(())
    }

    fn unlock(&mut self) -> Result<(), Failure> {
        match self.locked.take() {
            None => Ok(()),
            Some(locked) => self.target.bridge.block(unlock(&self.target, locked)),
        }
    }

    fn rename_all(&mut self, renames: &[(TableName, TableName)], timeout_ms: u32) -> Result<(), Failure> {
        if renames.is_empty() {
            return Ok(());
        }
        let Self { target, bookkeeping, pipeline, run, locked } = self;
        target.bridge.block(async {
            list_backups(bookkeeping, pipeline, run, renames).await?;
            rename(target, locked.as_mut(), renames, timeout_ms).await
        })
    }

    fn drop(&mut self, table: &TableName) -> Result<(), Failure> {
        self.target.bridge.block(async {
            if !owned(&self.bookkeeping, &self.pipeline, table).await? {
                return Err(Failure::data(
                    "tables.not-owned",
                    format!("{table} is not dropped: no run of pipeline {} made it", self.pipeline),
                )
                .with("table", table.to_string()));
            }
            let sql = format!("DROP TABLE IF EXISTS {}", quote_table(table));
            self.target.execute_for(&format!("drop {table}"), &sql).await?;
            self.bookkeeping.forget_table(table).await
        })
    }

    fn archive(&mut self, table: &TableName) -> Result<String, Failure> {
        Err(Failure::unsupported(
            "tables.archive-unsupported",
            format!("{table} is not archived: this version drops tables without writing them to a file first"),
        )
        .with("table", table.to_string()))
    }
}

/// Whether there is a table or a view of this name in the target's database.
pub(super) async fn exists(target: &MySql, table: &TableName) -> Result<bool, Failure> {
    let rows = target.rows_for(&format!("look for {table}"), exists_sql(target, table)).await?;
    Ok(first_number(&rows) > 0)
}

async fn exists_on_new_connection(target: &MySql, table: &TableName) -> Result<bool, Failure> {
    let mut connection = target.fresh().await?;
    let found = exists_on(target, &mut connection, table).await;
    let _ = connection.close().await;
    found
}

async fn exists_on(target: &MySql, connection: &mut MySqlConnection, table: &TableName) -> Result<bool, Failure> {
    let reading = tokio::time::timeout(LOOK_TIMEOUT, read_rows(connection, exists_sql(target, table)));
    let rows = reading.await.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into())));
    let rows = rows.map_err(|e| target.place.failure(&format!("look for {table}"), &e))?;
    Ok(first_number(&rows) > 0)
}

fn exists_sql(target: &MySql, table: &TableName) -> String {
    let schema = if table.schema.is_empty() { "DATABASE()".to_owned() } else { quote_text(&table.schema) };
    // A server that folds names does so when it makes a table, and may compare exactly in its catalogs.
    let name = match target.lower_case_table_names() {
        0 => format!("TABLE_NAME = BINARY {}", quote_text(&table.name)),
        _ => format!("LOWER(TABLE_NAME) = LOWER({})", quote_text(&table.name)),
    };
    format!("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema} AND {name}")
}

async fn owned(bookkeeping: &Bookkeeping, pipeline: &str, table: &TableName) -> Result<bool, Failure> {
    Ok(bookkeeping.tables(pipeline).await?.iter().any(|made| made.table == *table))
}

/// A name that gives way to another one in the same statement becomes a backup: it is listed before it exists.
async fn list_backups(
    bookkeeping: &Bookkeeping,
    pipeline: &str,
    run: &str,
    renames: &[(TableName, TableName)],
) -> Result<(), Failure> {
    let listed = bookkeeping.tables(pipeline).await?;
    for (live, backup) in renames {
        let replaced = renames.iter().any(|(_, new)| new == live);
        if replaced && !listed.iter().any(|made| made.table == *backup) {
            bookkeeping.record_table(run, pipeline, TableRole::Backup, backup, live).await?;
        }
    }
    Ok(())
}

async fn rename(
    target: &MySql,
    locked: Option<&mut Locked>,
    renames: &[(TableName, TableName)],
    timeout_ms: u32,
) -> Result<(), Failure> {
    let pairs: Vec<String> =
        renames.iter().map(|(old, new)| format!("{} TO {}", quote_table(old), quote_table(new))).collect();
    let statement = format!("RENAME TABLE {}", pairs.join(", "));
    let before = names_present(target, renames).await?;
    let outcome = match locked {
        Some(locked) => run_limited(target, &mut locked.connection, &statement, timeout_ms).await,
        None => {
            let mut connection = target.acquire().await?;
            let outcome = run_limited(target, &mut connection, &statement, timeout_ms).await;
            // Its timeouts are no longer those of the pool: it is closed.
            drop(connection);
            outcome
        }
    };
    let Err(failure) = outcome else { return Ok(()) };
    settle(target, renames, &before, failure).await
}

async fn run_limited(
    target: &MySql,
    connection: &mut MySqlConnection,
    statement: &str,
    timeout_ms: u32,
) -> Result<(), Failure> {
    let doing = "swap the names";
    set_timeout(target, connection, timeout_ms).await.map_err(|e| target.place.failure(doing, &e))?;
    // The server's own limit comes first; this one is for a server that does not answer any more.
    let patience = Duration::from_millis(u64::from(timeout_ms)) + Duration::from_secs(5);
    let running = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement)));
    match tokio::time::timeout(patience, running).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(target.place.failure(doing, &error)),
        Err(_) => Err(target.place.said(
            Fault::Transient,
            "database.timeout",
            doing,
            &format!("no answer within {} ms", patience.as_millis()),
        )),
    }
}

/// Statements on this connection wait for so long at most.
async fn set_timeout(target: &MySql, connection: &mut MySqlConnection, timeout_ms: u32) -> Result<(), sqlx::Error> {
    let seconds = timeout_ms.div_ceil(1000).max(1);
    let sql = if target.dialect() == "oceanbase" {
        let microseconds = u64::from(timeout_ms.max(1)) * 1000;
        format!(
            "SET ob_query_timeout = {microseconds}, ob_trx_lock_timeout = {microseconds}, lock_wait_timeout = {seconds}"
        )
    } else {
        format!("SET lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}")
    };
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(|_| ())
}

/// Which of the names of a rename exist, in the order of [`names_of`], by a new connection.
async fn names_present(target: &MySql, renames: &[(TableName, TableName)]) -> Result<Vec<bool>, Failure> {
    let mut connection = target.fresh().await?;
    let mut present = Vec::new();
    for name in names_of(renames) {
        present.push(exists_on(target, &mut connection, name).await?);
    }
    let _ = connection.close().await;
    Ok(present)
}

fn names_of(renames: &[(TableName, TableName)]) -> Vec<&TableName> {
    let mut names: Vec<&TableName> = renames.iter().flat_map(|(old, new)| [old, new]).collect();
    names.sort();
    names.dedup();
    names
}

/// Which names exist after the renames have been carried out in their order.
fn names_after(renames: &[(TableName, TableName)], before: &[bool]) -> Vec<bool> {
    let names = names_of(renames);
    let mut present = before.to_vec();
    for (old, new) in renames {
        for (name, is_there) in names.iter().zip(&mut present) {
            if *name == old {
                *is_there = false;
            } else if *name == new {
                *is_there = true;
            }
        }
    }
    present
}

/// After an error, only the catalogs know: the names are as before, as after, or something that a person must see.
async fn settle(
    target: &MySql,
    renames: &[(TableName, TableName)],
    before: &[bool],
    failure: Failure,
) -> Result<(), Failure> {
    let after = names_after(renames, before);
    let mut now = before.to_vec();
    // A statement that lost its connection may still be waiting for a lock on the server.
    for pause_ms in [0, 250, 750, 1500] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        now = names_present(target, renames).await?;
        if now != before || failure.code != "database.connection-lost" {
            break;
        }
    }
    if now == after {
        tracing::warn!(database = target.name(), %failure, "the rename failed to answer, and was done");
        return Ok(());
    }
    if now == before {
        return Err(failure);
    }
    let found: Vec<String> = names_of(renames)
        .into_iter()
        .zip(now)
        .map(|(name, is_there)| format!("{name} {}", if is_there { "exists" } else { "is missing" }))
        .collect();
    Err(target.place.said(
        Fault::Data,
        "switch.half-renamed",
        "swap the names",
        &format!("{}; afterwards {}", failure.message, found.join(", ")),
    ))
}

async fn lock(target: &MySql, tables: &[TableName], timeout_ms: u32) -> Result<Locked, Failure> {
    let doing = "lock tables against writes";
    let failure = |e| target.place.failure(doing, &e);
    let mut connection = target.acquire().await?;
    set_timeout(target, &mut connection, timeout_ms).await.map_err(failure)?;
    let list: Vec<String> = tables.iter().map(|table| format!("{} WRITE", quote_table(table))).collect();
    let statement = format!("LOCK TABLES {}", list.join(", "));
    let waiting = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement)));
    let patience = Duration::from_millis(u64::from(timeout_ms)) + Duration::from_secs(1);
    match tokio::time::timeout(patience, waiting).await {
        Ok(result) => result.map(|_| ()).map_err(failure)?,
        Err(_) => {
            return Err(target.place.said(
                Fault::Transient,
                "database.timeout",
                doing,
                &format!("they were not free within {timeout_ms} ms"),
            ));
        }
    }
    let locked = Locked { connection, tables: tables.to_vec() };
    for table in &locked.tables {
        if !is_held(target, table).await? {
            let table = table.clone();
            unlock(target, locked).await?;
            return Err(Failure::unsupported(
                "switch.lock-does-not-hold",
                format!(
                    "LOCK TABLES on {table} in database {} was accepted, and another session could write all the same",
                    target.place
                ),
            )
            .with("table", table.to_string()));
        }
    }
    Ok(locked)
}

/// Whether another session's write waits: a DELETE that matches no row takes the same table lock as any write.
async fn is_held(target: &MySql, table: &TableName) -> Result<bool, Failure> {
    let doing = format!("probe the lock of {table}");
    let failure = |e| target.place.failure(&doing, &e);
    let mut probe = target.fresh().await?;
    set_timeout(target, &mut probe, PROBE_SECONDS * 1000).await.map_err(failure)?;
    probe.execute(sqlx::raw_sql("START TRANSACTION")).await.map_err(failure)?;
    let statement = format!("DELETE FROM {} WHERE 1 = 0", quote_table(table));
    let waiting = probe.execute(sqlx::raw_sql(AssertSqlSafe(statement)));
    let patience = Duration::from_millis(u64::from(PROBE_SECONDS) * 1000 + 500);
    match tokio::time::timeout(patience, waiting).await {
        // Closed with its statement unanswered; the server rolls it back.
        Err(_) => Ok(true),
        Ok(Ok(_)) => {
            let _ = probe.close().await;
            Ok(false)
        }
        Ok(Err(error)) => {
            let waited = matches!(mysql_number(&error), Some(1205 | 1099 | 1100 | 3024 | 4012 | 6003 | 6004));
            if waited || is_disconnect(&error) { Ok(true) } else { Err(failure(error)) }
        }
    }
}

async fn unlock(target: &MySql, mut locked: Locked) -> Result<(), Failure> {
    // The connection is closed in any case: that also lifts a lock that could not be lifted by word.
    let result = locked.connection.execute(sqlx::raw_sql("UNLOCK TABLES")).await;
    result.map(|_| ()).map_err(|e| target.place.failure("unlock tables", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(names: &[(&str, &str)]) -> Vec<(TableName, TableName)> {
        names.iter().map(|(old, new)| (TableName::bare(*old), TableName::bare(*new))).collect()
    }

    #[test]
    fn after_a_swap_live_and_backup_exist_and_the_shadow_does_not() {
        let renames = pairs(&[("t", "t_bak"), ("t_tmp", "t")]);
        assert_eq!(names_of(&renames), [&TableName::bare("t"), &TableName::bare("t_bak"), &TableName::bare("t_tmp")]);
        assert_eq!(names_after(&renames, &[true, false, true]), [true, true, false]);
    }

    #[test]
    fn a_rename_to_a_new_name_moves_the_one_name() {
        assert_eq!(names_after(&pairs(&[("t_tmp", "t")]), &[false, true]), [true, false]);
    }
}
