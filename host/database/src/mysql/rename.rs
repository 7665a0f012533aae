//! One statement that changes names, limited in time, and settled by the catalogs.
//!
//! OceanBase lets `RENAME TABLE` wait for open transactions for ever: no timeout of the session bounds it. While it
//! waits, nobody else is kept from writing. It stops, with nothing renamed, when its query is killed.

use std::time::{Duration, Instant};

use millrace_model::{Failure, Fault, TableName};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::admin::existing_on;
use super::connect::first_number;
use super::fence::set_timeout;
use super::{MySql, read_rows, sessions};
use crate::dialect::mysql::quote_table;

/// How long a statement that was killed may take to say so.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// Renames, on the connection that holds locks or on one of its own; also how long the statement took.
pub(super) async fn rename(
    target: &MySql,
    locked: Option<&mut MySqlConnection>,
    renames: &[(TableName, TableName)],
    timeout_ms: u32,
) -> (Duration, Result<(), Failure>) {
    let pairs: Vec<String> =
        renames.iter().map(|(old, new)| format!("{} TO {}", quote_table(old), quote_table(new))).collect();
    let statement = format!("RENAME TABLE {}", pairs.join(", "));
    let before = match names_present(target, renames).await {
        Ok(before) => before,
        Err(failure) => return (Duration::ZERO, Err(failure)),
    };
    let tables: Vec<TableName> = renames.iter().map(|(old, _)| old.clone()).collect();
    let (took, outcome) = match locked {
        Some(connection) => run_limited(target, connection, &statement, &tables, timeout_ms).await,
        None => match target.fresh().await {
            Ok(mut connection) => {
                let ran = run_limited(target, &mut connection, &statement, &tables, timeout_ms).await;
                drop(connection);
                ran
            }
            Err(failure) => return (Duration::ZERO, Err(failure)),
        },
    };
    let result = match outcome {
        Ok(()) => Ok(()),
        Err(failure) => settle(target, renames, &before, failure).await,
    };
    (took, result)
}

async fn run_limited(
    target: &MySql,
    connection: &mut MySqlConnection,
    statement: &str,
    tables: &[TableName],
    timeout_ms: u32,
) -> (Duration, Result<(), Failure>) {
    let doing = "swap the names";
    let prepared = async {
        set_timeout(target, connection, timeout_ms).await?;
        let rows = read_rows(connection, "SELECT CONNECTION_ID()".to_owned())
            .await
            .map_err(|e| target.place.failure(doing, &e))?;
        Ok::<u64, Failure>(first_number(&rows))
    };
    let session = match prepared.await {
        Ok(session) => session,
        Err(failure) => return (Duration::ZERO, Err(failure)),
    };
    let began = Instant::now();
    let mut running = std::pin::pin!(connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))));
    let patience = Duration::from_millis(u64::from(timeout_ms));
    if let Ok(answer) = tokio::time::timeout(patience, &mut running).await {
        let result = answer.map(|_| ()).map_err(|e| target.place.failure(doing, &e));
        return (began.elapsed(), result);
    }
    let blockers = sessions::in_the_way(target, tables).await;
    let killed = target.execute_for("stop the rename", &format!("KILL QUERY {session}")).await;
    let answer = tokio::time::timeout(KILLED_WITHIN, &mut running).await;
    let took = began.elapsed();
    if let Ok(Ok(_)) = answer {
        return (took, Ok(()));
    }
    if let Err(failure) = killed {
        tracing::warn!(database = target.name(), "the rename could not be stopped: {failure}");
    }
    (took, Err(sessions::waited(target, doing, patience, &blockers)))
}

/// Which of the names of a rename exist, in the order of [`names_of`], by a new connection.
async fn names_present(target: &MySql, renames: &[(TableName, TableName)]) -> Result<Vec<bool>, Failure> {
    let names: Vec<TableName> = names_of(renames).into_iter().cloned().collect();
    let mut connection = target.fresh().await?;
    let existing = existing_on(target, &mut connection, &names).await;
    let _ = connection.close().await;
    let existing = existing?;
    Ok(names.iter().map(|name| existing.contains(name)).collect())
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
