//! Rights on tables: names, the fence, renames, dropping what runs made.
//!
//! A verb is refused for what no run of the pipeline made. After any verb whose answer can be lost, the catalogs are
//! read by a new connection: they are what counts.
//!
//! Once a fence is up, nothing of it listens to a wish to stop: each verb ends within the budget, and what ends early is
//! the plugin that asks for them. A fence that stayed up because somebody was in a hurry would be worse than waiting.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use millrace_model::capability::TableAdmin;
use millrace_model::switching::FenceBefore;
use millrace_model::{Cancel, Failure, Fault, TableName};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::connect::first_number;
use super::fence::{self, Fence, FenceMeans};
use super::{Bookkeeping, MySql, TableRole, archive, read_rows, rename, trial};
use crate::dialect::mysql::comment::with_room_for;
use crate::dialect::mysql::{quote_name, quote_table, quote_text};
use crate::error::mysql_number;

/// How long a statement of a trial may take.
const TRIAL_MS: u32 = 1_000;
/// How many tables are tried out at once.
const TRIALS_AT_ONCE: usize = 4;

/// On whose behalf tables are dealt with, and how.
#[derive(Clone, Debug, Default)]
pub struct AdminOptions {
    /// The pipeline's name.
    pub pipeline: String,
    /// The run's id.
    pub run: String,
    /// How writers may be kept off.
    pub means: FenceMeans,
    /// What lifting a fence restores; [`MySql::fence_before`] read it.
    pub before: FenceBefore,
    /// For how long at most writers are kept off. None: as long as the verbs' own timeouts allow.
    pub budget: Option<Duration>,
    /// Where tables are archived. None: they are not.
    pub archive: Option<PathBuf>,
    /// The foreign keys that tables to be archived had before they were replaced, as `CONSTRAINT …`: archives name them.
    pub lost_keys: Vec<(TableName, String)>,
}

/// How long one look into the catalogs may take before its connection counts as lost.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);

/// The target, for one run of one pipeline.
pub struct Admin {
    target: MySql,
    bookkeeping: Bookkeeping,
    options: AdminOptions,
    fence: Option<Fence>,
    /// When writers began to be kept off.
    since: Option<Instant>,
    blocked: Duration,
    /// What has been archived.
    archived: HashSet<TableName>,
}

impl Admin {
    pub(super) fn new(target: &MySql, options: AdminOptions) -> Self {
        let target = target.with_cancel(&Cancel::new());
        let bookkeeping = Bookkeeping::new(target.clone());
        Self {
            target,
            bookkeeping,
            options,
            fence: None,
            since: None,
            blocked: Duration::ZERO,
            archived: HashSet::new(),
        }
    }

    /// How long writers were kept off since this was last asked: from before the fence was asked for until it was
    /// lifted; without a fence, as long as the rename took.
    pub fn take_blocked(&mut self) -> Duration {
        std::mem::take(&mut self.blocked)
    }

    /// What is left of the budget. None: there is none, or nobody is kept off.
    pub fn budget_left(&self) -> Option<Duration> {
        let budget = self.options.budget?;
        Some(self.since.map_or(budget, |since| budget.saturating_sub(since.elapsed())))
    }

    /// A verb's timeout within the budget.
    fn limit(&self, timeout_ms: u32) -> Result<u32, Failure> {
        let left = self.budget_left().map_or(u32::MAX, |left| u32::try_from(left.as_millis()).unwrap_or(u32::MAX));
        if left == 0 {
            return Err(over_budget(self.options.budget.unwrap_or_default()));
        }
        Ok(timeout_ms.min(left))
    }

    fn block<T>(&self, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.target.bridge.handle().block_on(future)
    }
}

/// What is said when writers have been kept off for long enough.
pub fn over_budget(budget: Duration) -> Failure {
    Failure::transient(
        "switch.over-budget",
        format!("the switch was not done within its budget of {} ms; writers were let on again", budget.as_millis()),
    )
}

impl TableAdmin for Admin {
    fn dialect(&self) -> String {
        self.target.dialect().to_owned()
    }

    fn version(&self) -> String {
        self.target.version().to_owned()
    }

    fn exists(&mut self, table: &TableName) -> Result<bool, Failure> {
        Ok(!self.existing(std::slice::from_ref(table))?.is_empty())
    }

    fn existing(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        self.block(existing_on_new_connection(&self.target, tables))
    }

    fn owned(&mut self, table: &TableName) -> Result<bool, Failure> {
        Ok(!self.owned_among(std::slice::from_ref(table))?.is_empty())
    }

    fn owned_among(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        let made = self.block(self.bookkeeping.tables(&self.options.pipeline))?;
        let made: HashSet<TableName> = made.into_iter().map(|made| made.table).collect();
        Ok(tables.iter().filter(|table| made.contains(table)).cloned().collect())
    }

    fn raise_fence(&mut self, tables: &[TableName], timeout_ms: u32) -> Result<String, Failure> {
        if let Some(fence) = &self.fence {
            return Ok(fence.describe());
        }
        let timeout_ms = self.limit(timeout_ms)?;
        let present = self.existing(tables)?;
        let mut since = None;
        let AdminOptions { pipeline, run, means, .. } = &self.options;
        let owner = fence::Owner { bookkeeping: &self.bookkeeping, pipeline, run };
        let raised = self.block(fence::raise(&self.target, owner, means, &present, timeout_ms, &mut since));
        self.since = since;
        match raised {
            Ok(fence) => {
                let words = fence.describe();
                tracing::info!(run = self.options.run, fence = words, "fence raised");
                self.fence = Some(fence);
                Ok(words)
            }
            Err(failure) => {
                if let Err(lifting) = self.lift_fence() {
                    tracing::error!(run = self.options.run, "the fence could not be lifted: {lifting}");
                }
                Err(failure)
            }
        }
    }

    fn lift_fence(&mut self) -> Result<(), Failure> {
        let handle = self.target.bridge.handle().clone();
        let lifted = handle.block_on(fence::lift(&self.target, &mut self.fence, &self.options.before));
        if let Some(since) = self.since.take() {
            self.blocked += since.elapsed();
        }
        lifted
    }

    fn compare_last(&mut self, _: &[TableName]) -> Result<String, Failure> {
        Err(Failure::unsupported("switch.nothing-to-compare", "this target knows of no source to compare with"))
    }

    fn set_numbers(&mut self, _: &[TableName]) -> Result<(), Failure> {
        Err(Failure::unsupported("switch.nothing-to-compare", "this target knows of no source to number on from"))
    }

    fn rename_all(&mut self, renames: &[(TableName, TableName)], timeout_ms: u32) -> Result<(), Failure> {
        if renames.is_empty() {
            return Ok(());
        }
        // Without a fence, names that replace no other keep nobody from writing, however long they take.
        let taken: HashSet<&TableName> = renames.iter().map(|(old, _)| old).collect();
        let replaces = renames.iter().any(|(_, new)| taken.contains(new));
        let timeout_ms = if replaces || self.since.is_some() { self.limit(timeout_ms)? } else { timeout_ms };
        let Self { target, bookkeeping, options, fence, .. } = self;
        let locked = match fence {
            Some(Fence::Tables { connection, .. }) => Some(connection),
            _ => None,
        };
        let fenced = self.since.is_some();
        let handle = target.bridge.handle().clone();
        let (took, renamed) = handle.block_on(async {
            if let Err(failure) = list_backups(bookkeeping, &options.pipeline, &options.run, renames).await {
                return (Duration::ZERO, Err(failure));
            }
            rename::rename(target, &options.run, locked, renames, timeout_ms).await
        });
        if !fenced && replaces {
            self.blocked += took;
        }
        renamed
    }

    fn try_out(&mut self, tables: &[TableName]) -> Result<(), Failure> {
        self.limit(TRIAL_MS)?;
        let share = tables.len().div_ceil(TRIALS_AT_ONCE).max(1);
        self.block(async { try_join_all(tables.chunks(share).map(|some| try_out(&self.target, some))).await.map(drop) })
    }

    fn remove(&mut self, table: &TableName) -> Result<(), Failure> {
        if !self.owned(table)? {
            return Err(Failure::data(
                "tables.not-owned",
                format!("{table} is not dropped: no run of pipeline {} made it", self.options.pipeline),
            )
            .with("table", table.to_string()));
        }
        let role = self.block(require_mark(&self.target, &self.bookkeeping, &self.options.pipeline, table))?;
        // A pipeline that asks for an archive has one, whatever its cleaner asks for.
        let holds_rows = matches!(role, Some(TableRole::Backup | TableRole::Discarded));
        if holds_rows && !self.archived.contains(table) && self.exists(table)? {
            self.archive(table)?;
        }
        self.block(async {
            self.target.execute_for(&format!("drop {table}"), &trial::drop_statement(table)).await?;
            self.bookkeeping.forget_tables(&[table]).await
        })
    }

    fn archive(&mut self, table: &TableName) -> Result<Option<String>, Failure> {
        let Some(folder) = self.options.archive.clone() else { return Ok(None) };
        let keys = self.options.lost_keys.iter().filter(|(of, _)| of == table).map(|(_, key)| key.clone());
        let keys: Vec<String> = keys.collect();
        let place = self.block(archive::write(&self.target, table, &folder, &self.options.run, &keys))?;
        self.archived.insert(table.clone());
        Ok(Some(place.display().to_string()))
    }
}

/// A backup was somebody's table: it is dropped only when its comment says as well that it is one. What the books call the
/// table. None: they do not know it.
async fn require_mark(
    target: &MySql,
    bookkeeping: &Bookkeeping,
    pipeline: &str,
    table: &TableName,
) -> Result<Option<TableRole>, Failure> {
    let made = bookkeeping.tables(pipeline).await?;
    let Some(made) = made.iter().find(|made| made.table == *table) else { return Ok(None) };
    if made.role != TableRole::Backup {
        return Ok(Some(made.role));
    }
    let comment = comment(target, table).await?;
    if comment.is_none_or(|comment| comment.ends_with(&mark(&made.live, &made.run))) {
        return Ok(Some(made.role));
    }
    Err(Failure::data(
        "tables.not-marked",
        format!("{table} is not dropped: the books call it a backup of run {}, and its comment does not", made.run),
    )
    .with("table", table.to_string()))
}

/// What stands at the end of a backup's comment.
fn mark(live: &TableName, run: &str) -> String {
    format!("[millrace: backup of {live}, run {run}]")
}

/// The table's comment. None: there is no such table.
async fn comment(target: &MySql, table: &TableName) -> Result<Option<String>, Failure> {
    let sql = format!(
        "SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE {}",
        is_among(target, std::slice::from_ref(table))
    );
    let rows = target.rows_for(&format!("read the comment of {table}"), sql).await?;
    Ok(rows.into_iter().next().map(|row| row.into_iter().next().flatten().unwrap_or_default()))
}

impl MySql {
    /// Says in a backup's comment that it is one, or takes that back when it is live again.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mark_backup(&self, backup: &TableName, live: &TableName, run: &str) -> Result<(), Failure> {
        let mark = mark(live, run);
        let Some(old) = comment(self, backup).await? else { return Ok(()) };
        if old.ends_with(&mark) {
            return Ok(());
        }
        let kept = with_room_for(&old, mark.len() + 1);
        let new = if kept.is_empty() { mark } else { format!("{kept} {mark}") };
        self.set_comment(backup, &new).await
    }

    /// Takes the mark of [`MySql::mark_backup`] out of the comment of a table, under whichever name it has now.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unmark_backup(&self, table: &TableName, live: &TableName, run: &str) -> Result<(), Failure> {
        let Some(old) = comment(self, table).await? else { return Ok(()) };
        match old.strip_suffix(&mark(live, run)) {
            Some(kept) => self.set_comment(table, kept.strip_suffix(' ').unwrap_or(kept)).await,
            None => Ok(()),
        }
    }

    async fn set_comment(&self, table: &TableName, comment: &str) -> Result<(), Failure> {
        let sql = format!("ALTER TABLE {} COMMENT = {}", quote_table(table), quote_text(comment));
        self.execute_for(&format!("set the comment of {table}"), &sql).await.map(|_| ())
    }
}

/// Those of the names that are tables or views of the target.
pub(super) async fn existing(target: &MySql, tables: &[TableName]) -> Result<HashSet<TableName>, Failure> {
    if tables.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = target.rows_for("look for tables", names_query(target, tables)).await?;
    Ok(among(target, &rows, tables).cloned().collect())
}

/// Whether there is a table or a view of this name in the target's database.
pub(super) async fn exists(target: &MySql, table: &TableName) -> Result<bool, Failure> {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE {}",
        is_among(target, std::slice::from_ref(table))
    );
    let rows = target.rows_for(&format!("look for {table}"), sql).await?;
    Ok(first_number(&rows) > 0)
}

async fn existing_on_new_connection(target: &MySql, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let mut connection = target.fresh().await?;
    let found = existing_on(target, &mut connection, tables).await;
    let _ = connection.close().await;
    found
}

/// Those of the names that are tables or views, as they were asked for.
pub(super) async fn existing_on(
    target: &MySql,
    connection: &mut MySqlConnection,
    tables: &[TableName],
) -> Result<Vec<TableName>, Failure> {
    let reading = tokio::time::timeout(LOOK_TIMEOUT, read_rows(connection, names_query(target, tables))).await;
    let rows = reading.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into())));
    let rows = rows.map_err(|e| target.place.failure("look for tables", &e))?;
    Ok(among(target, &rows, tables).cloned().collect())
}

fn names_query(target: &MySql, tables: &[TableName]) -> String {
    format!("SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE {}", is_among(target, tables))
}

/// Those of the tables that are among the answers to [`names_query`].
fn among<'a>(
    target: &'a MySql,
    rows: &[Vec<Option<String>>],
    tables: &'a [TableName],
) -> impl Iterator<Item = &'a TableName> {
    let fold = folding(target);
    let found: HashSet<(String, String)> = rows
        .iter()
        .filter_map(|row| match row.as_slice() {
            [Some(schema), Some(name)] => Some((fold(schema), fold(name))),
            _ => None,
        })
        .collect();
    tables.iter().filter(move |table| found.contains(&place_of(target, table)))
}

/// How the target tells names apart.
pub(super) fn folding(target: &MySql) -> impl Fn(&str) -> String + use<> {
    let folds = target.lower_case_table_names() != 0;
    move |name| if folds { name.to_lowercase() } else { name.to_owned() }
}

/// A table's schema and name, as the target tells them apart.
pub(super) fn place_of(target: &MySql, table: &TableName) -> (String, String) {
    let schema = if table.schema.is_empty() { target.database() } else { table.schema.as_str() };
    let fold = folding(target);
    (fold(schema), fold(&table.name))
}

/// From so many names on the catalog is read whole, which costs less than a condition for each.
const MANY_NAMES: usize = 50;

/// A condition on `information_schema.TABLES` that holds for these tables; where they are many, for others as well.
pub(super) fn is_among(target: &MySql, tables: &[TableName]) -> String {
    let schema_of = |table: &TableName| {
        if table.schema.is_empty() { "DATABASE()".to_owned() } else { quote_text(&table.schema) }
    };
    if tables.len() >= MANY_NAMES {
        let schemas: BTreeSet<String> = tables.iter().map(schema_of).collect();
        return format!("TABLE_SCHEMA IN ({})", Vec::from_iter(schemas).join(", "));
    }
    let each: Vec<String> = tables
        .iter()
        .map(|table| {
            let schema = schema_of(table);
            // A server that folds names does so when it makes a table, and may compare exactly in its catalogs.
            let name = match target.lower_case_table_names() {
                0 => format!("TABLE_NAME = BINARY {}", quote_text(&table.name)),
                _ => format!("LOWER(TABLE_NAME) = LOWER({})", quote_text(&table.name)),
            };
            format!("(TABLE_SCHEMA = {schema} AND {name})")
        })
        .collect();
    each.join(" OR ")
}

/// A name that gives way to another one in the same statement becomes a backup: it is listed before it exists.
async fn list_backups(
    bookkeeping: &Bookkeeping,
    pipeline: &str,
    run: &str,
    renames: &[(TableName, TableName)],
) -> Result<(), Failure> {
    let listed: HashSet<TableName> = bookkeeping.tables(pipeline).await?.into_iter().map(|made| made.table).collect();
    let taken: HashSet<&TableName> = renames.iter().map(|(_, new)| new).collect();
    let new: Vec<(&TableName, &TableName)> = renames
        .iter()
        .filter(|(live, backup)| taken.contains(live) && !listed.contains(backup))
        .map(|(live, backup)| (backup, live))
        .collect();
    bookkeeping.record_tables(run, pipeline, TableRole::Backup, &new).await
}

/// Tries tables out, one after another on a new connection.
async fn try_out(target: &MySql, tables: &[TableName]) -> Result<(), Failure> {
    let mut connection = target.fresh().await?;
    fence::set_timeout(target, &mut connection, TRIAL_MS).await?;
    let columns = writable_columns(target, &mut connection, tables).await?;
    for table in tables {
        try_out_one(target, &mut connection, table, columns.get(table)).await?;
    }
    let _ = connection.close().await;
    Ok(())
}

/// Of each table the first column that can be written.
async fn writable_columns(
    target: &MySql,
    connection: &mut MySqlConnection,
    tables: &[TableName],
) -> Result<HashMap<TableName, String>, Failure> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS \
         WHERE ({}) AND COALESCE(GENERATION_EXPRESSION, '') = '' ORDER BY ORDINAL_POSITION DESC",
        is_among(target, tables)
    );
    let rows = read_rows(connection, sql).await.map_err(|e| target.place.failure("read columns", &e))?;
    let fold = folding(target);
    // Backwards, so that the first one stays.
    let found: HashMap<(String, String), String> = rows
        .iter()
        .filter_map(|row| match row.as_slice() {
            [Some(schema), Some(name), Some(column)] => Some(((fold(schema), fold(name)), column.clone())),
            _ => None,
        })
        .collect();
    let of = |table: &TableName| found.get(&place_of(target, table)).cloned();
    Ok(tables.iter().filter_map(|table| Some((table.clone(), of(table)?))).collect())
}

/// A read, and a write that is rolled back. A row that somebody else is writing just then has been written to: well.
async fn try_out_one(
    target: &MySql,
    connection: &mut MySqlConnection,
    table: &TableName,
    column: Option<&String>,
) -> Result<(), Failure> {
    let failure = |e| target.place.failure(&format!("try {table} out"), &e);
    let name = quote_table(table);
    read_rows(connection, format!("SELECT 1 FROM {name} LIMIT 1")).await.map_err(failure)?;
    let Some(column) = column else { return Ok(()) };
    let column = quote_name(column);
    connection.execute(sqlx::raw_sql("START TRANSACTION")).await.map_err(failure)?;
    let update = format!("UPDATE {name} SET {column} = {column} LIMIT 1");
    let written = connection.execute(sqlx::raw_sql(AssertSqlSafe(update))).await;
    connection.execute(sqlx::raw_sql("ROLLBACK")).await.map_err(failure)?;
    match written {
        Ok(_) => Ok(()),
        Err(error) if matches!(mysql_number(&error), Some(1205)) => Ok(()),
        Err(error) => Err(failure(error)).map_err(|f: Failure| Failure { fault: Fault::Data, ..f }),
    }
}
