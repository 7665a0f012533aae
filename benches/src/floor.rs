//! The floors: how fast the target takes statements that are ready, and how fast the source gives rows that nobody
//! looks at. Both use the same wire, the same driver and as many connections as the copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use futures::TryStreamExt as _;
use millrace_test_engines::Database;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, Row as _};

use crate::shape::Shape;

/// Rows of one statement, as in Millrace's own.
const ROWS_PER_STATEMENT: usize = 1000;
/// Statements of one transaction: as many rows as a chunk of `copy-range` has.
const STATEMENTS_PER_TRANSACTION: usize = 50;

/// A table's rows as statements that insert them into `floor`.
#[derive(Debug)]
pub struct Encoded {
    statements: Arc<Vec<String>>,
    rows: u64,
}

/// Spells a table's rows, in the order of its key.
///
/// # Errors
/// When the shape has no tuple, and what the source says.
pub async fn encode_statements(shape: &Shape, source: &Database) -> Result<Encoded> {
    let Some(tuple) = shape.tuple else { anyhow::bail!("{} has no literals", shape.name) };
    let mut connection = PgConnection::connect(&source.url).await?;
    // In the key's order, as a reader of key ranges gets them.
    let query = AssertSqlSafe(format!("SELECT {tuple} FROM {} ORDER BY {}", shape.name, shape.key));
    let mut rows = sqlx::raw_sql(query).fetch(&mut connection);
    let (mut statements, mut open, mut in_open, mut count) = (Vec::new(), String::new(), 0, 0);
    while let Some(row) = rows.try_next().await? {
        open.push_str(if in_open == 0 { "INSERT INTO floor VALUES " } else { "," });
        open.push_str(row.try_get_unchecked(0)?);
        in_open += 1;
        count += 1;
        if in_open == ROWS_PER_STATEMENT {
            statements.push(std::mem::take(&mut open));
            in_open = 0;
        }
    }
    if in_open > 0 {
        statements.push(open);
    }
    Ok(Encoded { statements: Arc::new(statements), rows: count })
}

/// Rows a second that the target takes over so many connections, each sending ready statements, fifty a transaction, into
/// a table that is made like `table`.
///
/// # Errors
/// What the target says, and when not every row is there afterwards.
pub async fn write_floor(encoded: &Encoded, target: &Database, table: &str, connections: usize) -> Result<f64> {
    target.run_sql("DROP TABLE IF EXISTS floor").await?;
    target.run_sql(&format!("CREATE TABLE floor LIKE {table}")).await?;
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut connection = MySqlConnection::connect(&target.url).await?;
        connection
            .execute("SET time_zone = '+00:00', ob_query_timeout = 3600000000, ob_trx_timeout = 3600000000")
            .await?;
        open.push(connection);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for mut connection in open {
        let (next, statements) = (Arc::clone(&next), Arc::clone(&encoded.statements));
        tasks.spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed) * STATEMENTS_PER_TRANSACTION;
                let Some(rest) = statements.get(at..).filter(|rest| !rest.is_empty()) else {
                    return Ok(connection.close().await?);
                };
                connection.execute(sqlx::raw_sql("START TRANSACTION")).await?;
                for statement in rest.iter().take(STATEMENTS_PER_TRANSACTION) {
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.as_str()))).await?;
                }
                connection.execute(sqlx::raw_sql("COMMIT")).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        let ended: Result<()> = ended?;
        ended?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let counted = target.query_text("SELECT count(*) FROM floor").await?;
    ensure!(counted[0][0].as_deref() == Some(&*encoded.rows.to_string()), "the floor lost rows: {counted:?}");
    target.run_sql("DROP TABLE floor").await?;
    #[allow(clippy::cast_precision_loss)] // figures
    Ok(encoded.rows as f64 / seconds)
}

/// Rows a second that the source gives over one connection in its binary form.
///
/// # Errors
/// What the source says.
pub async fn read_floor(shape: &Shape, source: &Database) -> Result<f64> {
    let mut connection = PgConnection::connect(&source.url).await?;
    let started = Instant::now();
    {
        let statement = format!("COPY {} TO STDOUT (FORMAT binary)", shape.name);
        let mut stream = connection.copy_out_raw(&statement).await?;
        while stream.try_next().await?.is_some() {}
    }
    let seconds = started.elapsed().as_secs_f64();
    connection.close().await?;
    #[allow(clippy::cast_precision_loss)] // figures
    Ok(shape.rows as f64 / seconds)
}
