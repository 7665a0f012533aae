//! What keeps writers off while names are swapped.
//!
//! Three means, the strongest that is allowed and proves itself first:
//!
//! - **table locks**. A server's OK to LOCK TABLES says nothing: OceanBase gives it and lets others write on unless
//!   `enable_lock_priority` is set. So locks are rehearsed on two small tables, with a second session that must wait
//!   and a rename under the lock, before they are trusted; and on the tables themselves a second session must wait
//!   too. A session that dies under the fence must also give its locks back: the kernel seekdb keeps them for ever,
//!   over a restart as well, and nobody else can lift them;
//! - **accounts**: those that applications write with are locked, and their sessions ended, on all servers of a cluster.
//!   Where a session could be on a server that does not list it for us, this is no fence, and is refused;
//! - **nothing**: the rename is atomic, and waits for open transactions without keeping others from writing.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use millrace_model::quantity::counted;
use millrace_model::switching::FenceBefore;
use millrace_model::{Failure, Fault, TableName};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::admin::existing;
use super::processlist::{self, Ending, Killer, OurSession, Session, WHO};
use super::{Bookkeeping, MySql, TableRole, read_rows, sessions};
use crate::dialect::mysql::{quote_table, quote_text};
use crate::error::{is_disconnect, mysql_number};

/// How long a second session waits for a lock before it is believed in.
const PROBE_MS: u32 = 100;
/// How long locks of a session that is gone may stay.
const RELEASED_WITHIN: Duration = Duration::from_secs(3);
/// How long locking an account may be in the way of others who change tables and accounts.
const LOCKED_WITHIN: Duration = Duration::from_secs(2);
/// How long unlocking one may: nobody else does it for us.
const UNLOCKED_WITHIN: Duration = Duration::from_secs(30);
/// How long the sessions of a locked account may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(2);
/// How many sessions that stay are named.
const NAMED: usize = 5;
/// The lock by which switches that use the priority of table locks take turns on a server.
const TURN: &str = "millrace.enable_lock_priority";
/// What the names of the rehearsal's tables begin with. They end as a shadow's does: what a process that died has left
/// of them goes as a shadow goes.
const SCRATCH: [&str; 3] = ["millrace_fence_a", "millrace_fence_b", "millrace_fence_c"];

/// Whether table locks may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locks {
    /// They are not.
    #[default]
    Never,
    /// Where they hold, and where the server gives them back when a session ends.
    Safe,
    /// Where they hold.
    Held,
}

/// How writers may be kept off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FenceMeans {
    /// Table locks.
    pub locks: Locks,
    /// The accounts that may be locked, as `name` or `name@host`.
    pub accounts: Vec<String>,
    /// Whether it must be one of these means: otherwise the rename alone will do.
    pub required: bool,
}

/// On whose behalf a fence is raised: the rehearsal makes tables, which are listed before they exist.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) bookkeeping: &'a Bookkeeping,
    pub(super) pipeline: &'a str,
    pub(super) run: &'a str,
}

impl Owner<'_> {
    fn scratch(&self) -> [TableName; 3] {
        rehearsal_tables(self.run)
    }
}

/// The tables of a run's rehearsal of locks, by the second in the run's id. They are there for as long as it lasts, and
/// when its process died meanwhile.
#[must_use]
pub fn rehearsal_tables(run: &str) -> [TableName; 3] {
    let stamp: String = run.split('-').take(2).collect();
    SCRATCH.map(|name| TableName::bare(format!("{name}_tmp_{stamp}")))
}

/// A fence that is up.
pub(super) enum Fence {
    /// A connection that holds write locks.
    Tables {
        /// It is closed when the locks are lifted.
        connection: MySqlConnection,
        /// How many tables.
        count: usize,
        /// The parameter `enable_lock_priority` was set for them.
        set_priority: bool,
    },
    /// Locked accounts.
    Accounts {
        /// Which.
        accounts: Vec<String>,
        /// How many sessions were ended.
        ended: usize,
    },
    /// Nothing.
    Rename {
        /// Why nothing stronger.
        why: String,
    },
}

impl Fence {
    /// For people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Tables { count, .. } => format!("table locks on {}", counted(*count as u64, "table")),
            Self::Accounts { accounts, ended } => {
                format!("accounts locked: {}, {} ended", accounts.join(", "), counted(*ended as u64, "session"))
            }
            Self::Rename { why } if why.is_empty() => "nothing but the rename itself".to_owned(),
            Self::Rename { why } => format!("nothing but the rename itself: {why}"),
        }
    }
}

impl MySql {
    /// Why table locks cannot be trusted here, as far as that is known without trying. None: they are tried.
    pub fn locks_unsafe(&self) -> Option<&'static str> {
        self.version().to_ascii_lowercase().contains("seekdb").then_some(
            "this kernel keeps the table locks of a session that is gone, so that a process killed under them would leave \
             the tables locked for good",
        )
    }

    /// Why locking accounts and ending their sessions would not keep writers off here. None: it does.
    ///
    /// # Errors
    /// What the database says.
    pub async fn accounts_unsafe(&self) -> Result<Option<String>, Failure> {
        self.bridge.run(processlist::out_of_reach(self)).await
    }

    /// What raising a fence may change here, as it is now.
    ///
    /// # Errors
    /// `switch.unknown-account`, `switch.own-account`, and what the database says.
    pub async fn fence_before(&self, means: &FenceMeans) -> Result<FenceBefore, Failure> {
        let mut before = FenceBefore::default();
        let may_lock = means.locks == Locks::Held || means.locks == Locks::Safe && self.locks_unsafe().is_none();
        if may_lock && self.dialect() == "oceanbase" {
            before.lock_priority = lock_priority(self).await;
        }
        for account in &means.accounts {
            if !is_locked(self, account).await? {
                before.open_accounts.push(account.clone());
            }
        }
        Ok(before)
    }
}

/// Raises the strongest fence. `since` is set as soon as somebody may be kept off, also when raising fails then.
pub(super) async fn raise(
    target: &MySql,
    owner: Owner<'_>,
    means: &FenceMeans,
    tables: &[TableName],
    timeout_ms: u32,
    since: &mut Option<Instant>,
) -> Result<Fence, Failure> {
    let mut why = Vec::new();
    if means.locks != Locks::Never && !tables.is_empty() {
        let unsafe_here = target.locks_unsafe().filter(|_| means.locks == Locks::Safe);
        let locked = match unsafe_here {
            Some(reason) => Err(Failure::unsupported("switch.lock-outlives-session", reason)),
            None => lock_tables(target, owner, means.locks, tables, timeout_ms, since).await,
        };
        match locked {
            Ok((connection, set_priority)) => {
                return Ok(Fence::Tables { connection, count: tables.len(), set_priority });
            }
            Err(failure) if failure.fault == Fault::Unsupported || failure.code == "database.missing-privilege" => {
                why.push(failure.message);
            }
            Err(failure) => return Err(failure),
        }
    }
    if !means.accounts.is_empty() {
        match processlist::out_of_reach(target).await? {
            None => return lock_accounts(target, &means.accounts, since).await,
            Some(reason) => why.push(format!("accounts are not locked, because {reason}")),
        }
    }
    if means.required && !tables.is_empty() {
        return Err(Failure::unsupported(
            "switch.no-fence",
            format!("the fence that the pipeline asks for cannot be had: {}", why.join("; ")),
        ));
    }
    Ok(Fence::Rename { why: why.join("; ") })
}

/// Lifts a fence, and restores what any fence of this switch had changed, also one of a process that is gone.
pub(super) async fn lift(target: &MySql, fence: &mut Option<Fence>, before: &FenceBefore) -> Result<(), Failure> {
    let mut first = Ok(());
    let mut keep_first = |result: Result<(), Failure>| {
        if first.is_ok() {
            first = result;
        }
    };
    let mut set_back = before.lock_priority.as_ref().is_some_and(|value| !value.eq_ignore_ascii_case("true"));
    let mut in_turn = None;
    if let Some(Fence::Tables { mut connection, set_priority, .. }) = fence.take() {
        set_back |= set_priority;
        let unlocked = connection.execute(sqlx::raw_sql("UNLOCK TABLES")).await;
        keep_first(unlocked.map(|_| ()).map_err(|e| target.place.failure("unlock tables", &e)));
        in_turn = Some(connection);
    }
    for account in &before.open_accounts {
        if matches!(is_locked(target, account).await, Ok(false)) {
            continue;
        }
        keep_first(set_account(target, account, "unlock", UNLOCKED_WITHIN).await);
    }
    if set_back && lock_priority(target).await.is_some_and(|now| now.eq_ignore_ascii_case("true")) {
        keep_first(set_lock_priority(target, "FALSE").await);
    }
    if let Some(mut connection) = in_turn {
        end_turn(target, &mut connection).await;
        let _ = connection.close().await;
    }
    first
}

/// Statements on this connection wait for so long at most.
pub(super) async fn set_timeout(
    target: &MySql,
    connection: &mut MySqlConnection,
    timeout_ms: u32,
) -> Result<(), Failure> {
    let seconds = timeout_ms.div_ceil(1000).max(1);
    let sql = if target.dialect() == "oceanbase" {
        let microseconds = u64::from(timeout_ms.max(1)) * 1000;
        format!(
            "SET ob_query_timeout = {microseconds}, ob_trx_lock_timeout = {microseconds}, lock_wait_timeout = {seconds}"
        )
    } else {
        format!("SET lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}")
    };
    let set = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
    set.map(|_| ()).map_err(|e| target.place.failure("set timeouts", &e))
}

/// The value of the parameter. None: there is none, or we may not see it.
async fn lock_priority(target: &MySql) -> Option<String> {
    let sql = "SHOW PARAMETERS WHERE name = 'enable_lock_priority'".to_owned();
    let rows = target.rows_for("read enable_lock_priority", sql).await.ok()?;
    // svr_type, name, data_type, value on one server; more columns before them on a cluster's.
    let row = rows.into_iter().next()?;
    let at = row.iter().position(|cell| cell.as_deref() == Some("enable_lock_priority"))?;
    row.get(at + 2).cloned().flatten()
}

/// Whether a rename would wait for the locks of its own session for ever.
async fn priority_is_off(target: &MySql) -> bool {
    target.dialect() == "oceanbase" && lock_priority(target).await.is_some_and(|v| !v.eq_ignore_ascii_case("true"))
}

async fn set_lock_priority(target: &MySql, value: &str) -> Result<(), Failure> {
    let value = if value.eq_ignore_ascii_case("true") { "TRUE" } else { "FALSE" };
    let sql = format!("ALTER SYSTEM SET enable_lock_priority = {value}");
    target.execute_for("set enable_lock_priority", &sql).await.map(|_| ())
}

async fn lock_tables(
    target: &MySql,
    owner: Owner<'_>,
    locks: Locks,
    tables: &[TableName],
    timeout_ms: u32,
    since: &mut Option<Instant>,
) -> Result<(MySqlConnection, bool), Failure> {
    let mut connection = target.fresh().await?;
    take_turn(target, &mut connection, timeout_ms).await?;
    let locked = lock_in_turn(target, owner, locks, tables, timeout_ms, since, &mut connection).await;
    if locked.is_err() {
        end_turn(target, &mut connection).await;
    }
    locked.map(|set_priority| (connection, set_priority))
}

/// Locks the tables on this connection; whether the priority of locks had to be set for that.
async fn lock_in_turn(
    target: &MySql,
    owner: Owner<'_>,
    locks: Locks,
    tables: &[TableName],
    timeout_ms: u32,
    since: &mut Option<Instant>,
    connection: &mut MySqlConnection,
) -> Result<bool, Failure> {
    let set_priority = priority_is_off(target).await;
    if set_priority {
        set_lock_priority(target, "TRUE").await?;
    }
    rehearse(target, owner, locks).await?;
    let doing = "lock tables against writes";
    set_timeout(target, connection, timeout_ms).await?;
    *since = Some(Instant::now());
    let patience = Duration::from_millis(u64::from(timeout_ms));
    if let Err(failure) = lock(target, connection, tables).await {
        let blockers = sessions::in_the_way(target, tables).await;
        return Err(match failure.code.as_str() {
            "database.timeout" => sessions::waited(target, doing, patience, &blockers),
            _ => failure,
        });
    }
    match first_held(target, tables).await {
        Ok(true) => {}
        other => {
            let unlocked = connection.execute(sqlx::raw_sql("UNLOCK TABLES")).await;
            unlocked.map_err(|e| target.place.failure("unlock tables", &e))?;
            other?;
            return Err(does_not_hold(target, &tables[0]));
        }
    }
    // What follows on this connection are a rename and the unlocking.
    Ok(set_priority)
}

/// Waits for other switches that use the priority of locks on this server: the one that ends first would set it back for
/// all, and a rename under a lock would wait for itself from then on.
async fn take_turn(target: &MySql, connection: &mut MySqlConnection, timeout_ms: u32) -> Result<(), Failure> {
    if target.dialect() != "oceanbase" {
        return Ok(());
    }
    let seconds = timeout_ms.div_ceil(1000).max(1);
    let sql = format!("SELECT GET_LOCK('{TURN}', {seconds}), IS_USED_LOCK('{TURN}')");
    let rows = match read_rows(connection, sql).await {
        Ok(rows) => rows,
        // A server without such locks: what happens then is found out by the rehearsal.
        Err(error) if !is_disconnect(&error) => return Ok(()),
        Err(error) => return Err(target.place.failure("wait for other switches", &error)),
    };
    let mut row = rows.into_iter().flatten();
    let (taken, holder) = (row.next().flatten(), row.next().flatten().and_then(|id| id.parse().ok()));
    match holder {
        // The kernel seekdb keeps the lock of a session that is gone.
        Some(id) if taken.as_deref() == Some("0") => match processlist::find(target, id).await? {
            Some(other) => Err(Failure::transient(
                "switch.lock-priority-in-use",
                format!(
                    "{other} holds table locks for another switch on this server, and had not ended within {seconds} s"
                ),
            )),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Lets other switches go on. A session that ends does so as well.
async fn end_turn(target: &MySql, connection: &mut MySqlConnection) {
    if target.dialect() == "oceanbase" {
        let released = connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("SELECT RELEASE_LOCK('{TURN}')"))));
        let _ = tokio::time::timeout(ENDED_WITHIN, released).await;
    }
}

async fn lock(target: &MySql, connection: &mut MySqlConnection, tables: &[TableName]) -> Result<(), Failure> {
    let list: Vec<String> = tables.iter().map(|table| format!("{} WRITE", quote_table(table))).collect();
    let statement = format!("LOCK TABLES {}", list.join(", "));
    let locked = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
    locked.map(|_| ()).map_err(|e| target.place.failure("lock tables against writes", &e))
}

fn does_not_hold(target: &MySql, table: &TableName) -> Failure {
    Failure::unsupported(
        "switch.lock-does-not-hold",
        format!(
            "LOCK TABLES on {table} in database {} was accepted, and another session could write all the same",
            target.place
        ),
    )
    .with("table", table.to_string())
}

/// Whether another session's write waits at the first table that has a row to write to. The rehearsal has shown how the
/// server locks; this shows that these very locks are there.
async fn first_held(target: &MySql, tables: &[TableName]) -> Result<bool, Failure> {
    let mut probe = target.fresh().await?;
    for table in tables {
        let rows = read_rows(&mut probe, format!("SELECT 1 FROM {} LIMIT 1", quote_table(table)))
            .await
            .map_err(|e| target.place.failure(&format!("look into {table}"), &e))?;
        if !rows.is_empty() {
            return is_held(target, &mut probe, table).await;
        }
    }
    Ok(true)
}

/// Whether a row of the table cannot be locked for writing. A statement that matches no row would not be met by the lock.
async fn is_held(target: &MySql, probe: &mut MySqlConnection, table: &TableName) -> Result<bool, Failure> {
    let failure = |e| target.place.failure(&format!("probe the lock of {table}"), &e);
    let timeout = if target.dialect() == "oceanbase" {
        format!("SET ob_trx_lock_timeout = {}", u64::from(PROBE_MS) * 1000)
    } else {
        "SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1".to_owned()
    };
    probe.execute(sqlx::raw_sql(AssertSqlSafe(timeout))).await.map_err(failure)?;
    probe.execute(sqlx::raw_sql("START TRANSACTION")).await.map_err(failure)?;
    let statement = format!("SELECT 1 FROM {} LIMIT 1 FOR UPDATE", quote_table(table));
    let outcome = read_rows(probe, statement).await;
    probe.execute(sqlx::raw_sql("ROLLBACK")).await.map_err(failure)?;
    match outcome {
        Ok(_) => Ok(false),
        Err(error) if matches!(mysql_number(&error), Some(1205 | 1099 | 1100 | 3024 | 4012 | 6003 | 6004)) => Ok(true),
        Err(error) => Err(failure(error)),
    }
}

/// Makes room for the rehearsal's tables, and lists them. One that is there and was not listed is somebody else's; one
/// that a process that died has left, and that is still locked, says that locks outlive sessions here.
async fn make_room(target: &MySql, owner: Owner<'_>, scratch: &[TableName; 3]) -> Result<(), Failure> {
    let existing = existing(target, scratch).await?;
    let made = owner.bookkeeping.tables(owner.pipeline).await?;
    for table in &existing {
        if !made.iter().any(|made| made.table == *table && made.run == owner.run) {
            return Err(Failure::unsupported(
                "switch.scratch-in-the-way",
                format!("{table} exists, which the rehearsal of table locks would make, and this run did not make it"),
            )
            .with("table", table.to_string()));
        }
        let mut probe = target.fresh().await?;
        if is_held(target, &mut probe, table).await? {
            return Err(lock_outlives());
        }
        target.execute_for(REHEARSING, &format!("DROP TABLE IF EXISTS {}", quote_table(table))).await?;
    }
    let listed: Vec<_> = scratch.iter().map(|table| (table, table)).collect();
    owner.bookkeeping.record_tables(owner.run, owner.pipeline, TableRole::Shadow, &listed).await
}

const REHEARSING: &str = "rehearse the fence";

fn lock_outlives() -> Failure {
    Failure::unsupported(
        "switch.lock-outlives-session",
        "the server keeps table locks of a session that has given them back, or is gone",
    )
}

/// Locks, renames and unlocks small tables, with a second session that tries to write.
async fn rehearse(target: &MySql, owner: Owner<'_>, locks: Locks) -> Result<(), Failure> {
    let scratch = owner.scratch();
    make_room(target, owner, &scratch).await?;
    let [a, b, c] = &scratch;
    let run = async |sql: String| target.execute_for(REHEARSING, &sql).await.map(|_| ());
    for table in [a, b] {
        run(format!("CREATE TABLE {} (id INT PRIMARY KEY)", quote_table(table))).await?;
        run(format!("INSERT INTO {} VALUES (1)", quote_table(table))).await?;
    }
    let rehearsed = try_locks(target, locks, &scratch).await;
    if !matches!(&rehearsed, Err(failure) if failure.code == "switch.lock-outlives-session") {
        for table in [a, b, c] {
            run(format!("DROP TABLE IF EXISTS {}", quote_table(table))).await?;
        }
        owner.bookkeeping.forget_tables(&[a, b, c]).await?;
    }
    rehearsed
}

async fn try_locks(target: &MySql, locks: Locks, scratch: &[TableName; 3]) -> Result<(), Failure> {
    let [a, ..] = scratch;
    let mut holder = target.fresh().await?;
    let mut probe = target.fresh().await?;
    lock(target, &mut holder, std::slice::from_ref(a)).await?;
    if !is_held(target, &mut probe, a).await? {
        return Err(does_not_hold(target, a));
    }
    let renamed = rename_locked(target, &mut holder, scratch).await;
    let unlocked = tokio::time::timeout(ENDED_WITHIN, holder.execute(sqlx::raw_sql("UNLOCK TABLES"))).await;
    if renamed.is_err() && is_held(target, &mut probe, a).await? {
        return Err(lock_outlives());
    }
    renamed?;
    if let Ok(Err(error)) = unlocked {
        return Err(target.place.failure("unlock tables", &error));
    }
    if locks == Locks::Safe {
        lock(target, &mut holder, std::slice::from_ref(a)).await?;
        drop(holder);
        let begun = Instant::now();
        while is_held(target, &mut probe, a).await? {
            if begun.elapsed() > RELEASED_WITHIN {
                return Err(lock_outlives());
            }
        }
    }
    Ok(())
}

/// Renames tables on the connection that has the first of them locked. A rename that is not answered in time is ended:
/// it waits for its own session's lock, for ever, and nothing else is heard on this connection before.
async fn rename_locked(
    target: &MySql,
    holder: &mut MySqlConnection,
    [a, b, c]: &[TableName; 3],
) -> Result<(), Failure> {
    let who = read_rows(holder, WHO.to_owned()).await.map_err(|e| target.place.failure(REHEARSING, &e))?;
    let rename = format!("RENAME TABLE {0} TO {2}, {1} TO {0}", quote_table(a), quote_table(b), quote_table(c));
    let mut renaming = std::pin::pin!(holder.execute(sqlx::raw_sql(AssertSqlSafe(rename))));
    let why = match tokio::time::timeout(RELEASED_WITHIN, &mut renaming).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => format!(": {}", target.place.failure("rename under a lock", &error).message),
        Err(_) => {
            if let Some(id) = OurSession::of(&who).number()
                && let Some(session) = processlist::find(target, id).await?
            {
                Killer::new(target).end(&session, Ending::Statement).await?;
            }
            let is_stopped = tokio::time::timeout(ENDED_WITHIN, &mut renaming).await.is_ok();
            if is_stopped && priority_is_off(target).await {
                return Err(Failure::transient(
                    "switch.lock-priority-in-use",
                    "another switch has set enable_lock_priority back while this one needs it",
                ));
            }
            String::new()
        }
    };
    Err(Failure::unsupported(
        "switch.lock-does-not-hold",
        format!("tables cannot be renamed while they are locked here{why}"),
    ))
}

async fn lock_accounts(target: &MySql, accounts: &[String], since: &mut Option<Instant>) -> Result<Fence, Failure> {
    *since = Some(Instant::now());
    for account in accounts {
        set_account(target, account, "lock", LOCKED_WITHIN).await?;
    }
    let ended = end_sessions(target, accounts).await?;
    Ok(Fence::Accounts { accounts: accounts.to_vec(), ended })
}

/// Ends the sessions of these accounts, until none is listed; how many there were.
async fn end_sessions(target: &MySql, accounts: &[String]) -> Result<usize, Failure> {
    let names: Vec<&str> = accounts.iter().map(|account| split(account).0).collect();
    let (begun, mut killer) = (Instant::now(), Killer::new(target));
    let (mut ended, mut said) = (HashSet::new(), None);
    loop {
        let sessions = sessions_of(target, &names).await?;
        if sessions.is_empty() {
            return Ok(ended.len());
        }
        if begun.elapsed() > ENDED_WITHIN {
            let listed: Vec<String> = sessions.iter().take(NAMED).map(ToString::to_string).collect();
            let more = if sessions.len() > NAMED { ", …" } else { "" };
            let why = said.map_or_else(String::new, |failure: Failure| format!(": {}", failure.message));
            return Err(Failure::transient(
                "switch.sessions-stay",
                format!("sessions could not be ended ({}{more}){why}", listed.join(", ")),
            ));
        }
        for session in sessions {
            match killer.end(&session, Ending::Session).await {
                Ok(()) => drop(ended.insert(session.id)),
                Err(failure) => said = Some(failure),
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Locks or unlocks an account. When another session changes tables or accounts at the same moment, OceanBase undoes the
/// statement and gives the error of an account that is not there: it is said again until it holds.
async fn set_account(target: &MySql, account: &str, verb: &str, within: Duration) -> Result<(), Failure> {
    let sql = format!("ALTER USER {} ACCOUNT {}", quote_account(account), verb.to_ascii_uppercase());
    let begun = Instant::now();
    loop {
        let Err(failure) = target.execute_for(&format!("{verb} account {account}"), &sql).await else {
            return Ok(());
        };
        if failure.field("errno") != Some("1396") {
            return Err(failure);
        }
        if begun.elapsed() > within {
            return Err(Failure { fault: Fault::Transient, ..failure });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The sessions of these users. A cluster may show `user@tenant`.
async fn sessions_of(target: &MySql, users: &[&str]) -> Result<Vec<Session>, Failure> {
    let is_of = |session: &Session| {
        users.iter().any(|user| session.user == **user || session.user.split('@').next() == Some(*user))
    };
    Ok(processlist::all(target).await?.into_iter().filter(is_of).collect())
}

/// `name` or `name@host`.
fn split(account: &str) -> (&str, &str) {
    account.rsplit_once('@').unwrap_or((account, "%"))
}

fn quote_account(account: &str) -> String {
    let (user, host) = split(account);
    format!("{}@{}", quote_text(user), quote_text(host))
}

/// Whether an account is locked. Ours is refused: we could not unlock it any more.
async fn is_locked(target: &MySql, account: &str) -> Result<bool, Failure> {
    let (user, host) = split(account);
    let own = target.rows_for("ask who we are", "SELECT CURRENT_USER()".to_owned()).await?;
    let own = own.into_iter().next().and_then(|row| row.into_iter().next()).flatten().unwrap_or_default();
    if split(&own).0 == user {
        return Err(Failure::config(
            "switch.own-account",
            format!("account {account} cannot be locked as a fence: Millrace itself is connected as {own}"),
        ));
    }
    let sql = format!(
        "SELECT account_locked FROM mysql.user WHERE user = {} AND host = {}",
        quote_text(user),
        quote_text(host)
    );
    let rows = target.rows_for(&format!("look at account {account}"), sql).await?;
    match rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten() {
        Some(locked) => Ok(locked == "Y"),
        None => Err(Failure::config(
            "switch.unknown-account",
            format!("there is no account {user}@{host} in database {}", target.place),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_a_host_or_any() {
        assert_eq!(quote_account("app"), "'app'@'%'");
        assert_eq!(quote_account("app@10.0.0.%"), "'app'@'10.0.0.%'");
        assert_eq!(quote_account("o'hara"), "'o\\'hara'@'%'");
    }

    #[test]
    fn a_fence_says_what_it_is() {
        let fence = Fence::Accounts { accounts: vec!["app".into(), "job".into()], ended: 3 };
        assert_eq!(fence.describe(), "accounts locked: app, job, 3 sessions ended");
        assert_eq!(Fence::Rename { why: String::new() }.describe(), "nothing but the rename itself");
    }
}
