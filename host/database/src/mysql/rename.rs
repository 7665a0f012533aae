//! One statement that changes names, limited in time, and settled by the catalogs.
//!
//! OceanBase lets `RENAME TABLE` wait for open transactions for ever: no timeout of the session bounds it. While it
//! waits, nobody else is kept from writing. It stops, with nothing renamed, when its query is killed.
//!
//! A rename that nobody waits for any more may still be carried out, when what it waits for ends: much later, and without
//! a fence. So it is not given up before its session is gone from the server, and the names have been read after that.
//! The statement carries the run's id in a comment: whoever comes after a process that died finds it by that, and ends
//! it. What cannot be found out is said as what it is, `switch.rename-in-doubt`, and left to a person.

use std::time::{Duration, Instant};

use millrace_model::{Failure, Fault, TableName};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::admin::existing_on;
use super::fence::set_timeout;
use super::processlist::{self, Ending, Extent, Killer, OurSession, WHO};
use super::{MySql, read_rows, sessions};
use crate::dialect::mysql::quote_table;
use crate::error::is_disconnect;
use crate::lease::Activity;

/// How long a statement that was killed may take to say so.
const KILLED_WITHIN: Duration = Duration::from_secs(2);
/// How long a session that is ended may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// For how long the statement of a process that died must not be seen.
const UNSEEN_AFTER_DEATH: Duration = Duration::from_millis(300);
/// For how long a statement must not be seen where its session itself is not listed by its number.
const UNSEEN_FOR: Duration = Duration::from_millis(2_500);
/// How long between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What a run knows of the renames that it has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Each was answered, or its session was seen to be gone.
    Settled,
    /// A process died, or lost its connection, before that: one may be going on.
    Unsettled {
        /// How long it may wait for others where a server keeps to what it was told.
        at_most: Duration,
    },
}

/// Whose renames are to be over.
enum Whose<'a> {
    /// This session's.
    Session(&'a OurSession),
    /// Those of sessions that nobody knows any more.
    Nobodys(Sent),
}

/// What is known of a statement that was sent.
enum Answer {
    /// The server says that it is done.
    Done,
    /// The server says why it is not done.
    Refused(Failure),
    /// The server says nothing.
    Lost(Failure),
}

/// Renames, on the connection that holds locks or on one of its own; also how long the statement took.
pub(super) async fn rename(
    target: &MySql,
    run: &str,
    locked: Option<&mut MySqlConnection>,
    renames: &[(TableName, TableName)],
    timeout_ms: u32,
) -> (Duration, Result<(), Failure>) {
    let before = match names_present(target, renames).await {
        Ok(before) => before,
        Err(failure) => return (Duration::ZERO, Err(failure)),
    };
    let mut own = None;
    let connection = match locked {
        Some(connection) => connection,
        None => match target.fresh().await {
            Ok(connection) => own.insert(connection),
            Err(failure) => return (Duration::ZERO, Err(failure)),
        },
    };
    let session = match prepare(target, connection, timeout_ms).await {
        Ok(session) => session,
        Err(failure) => return (Duration::ZERO, Err(failure)),
    };
    let began = Instant::now();
    let answer = run_limited(target, connection, run, renames, timeout_ms).await;
    drop(own);
    let result = match answer {
        Answer::Done => Ok(()),
        Answer::Refused(failure) => settle(target, renames, &before, failure).await,
        Answer::Lost(failure) => match over(target, run, Whose::Session(&session)).await {
            Ok(()) => {
                // The catalogs that others see may lag behind a statement that has just ended.
                tokio::time::sleep(LOOK_PAUSE).await;
                settle(target, renames, &before, failure).await
            }
            Err(doubt) => settle(target, renames, &before, doubt).await,
        },
    };
    (began.elapsed(), result)
}

/// Who the session is that will carry out the statement.
async fn prepare(target: &MySql, connection: &mut MySqlConnection, timeout_ms: u32) -> Result<OurSession, Failure> {
    set_timeout(target, connection, timeout_ms).await?;
    let rows = read_rows(connection, WHO.to_owned()).await.map_err(|e| target.place.failure(DOING, &e))?;
    Ok(OurSession::of(&rows))
}

const DOING: &str = "swap the names";

/// What a run's statement begins with.
fn beginning(run: &str) -> String {
    format!("RENAME TABLE /* millrace {run} */ ")
}

async fn run_limited(
    target: &MySql,
    connection: &mut MySqlConnection,
    run: &str,
    renames: &[(TableName, TableName)],
    timeout_ms: u32,
) -> Answer {
    let pairs: Vec<String> =
        renames.iter().map(|(old, new)| format!("{} TO {}", quote_table(old), quote_table(new))).collect();
    let statement = format!("{}{}", beginning(run), pairs.join(", "));
    let mut running = std::pin::pin!(connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))));
    let patience = Duration::from_millis(u64::from(timeout_ms));
    if let Ok(answer) = tokio::time::timeout(patience, &mut running).await {
        return match answer {
            Ok(_) => Answer::Done,
            Err(error) if is_disconnect(&error) => Answer::Lost(target.place.failure(DOING, &error)),
            Err(error) => Answer::Refused(target.place.failure(DOING, &error)),
        };
    }
    let tables: Vec<TableName> = renames.iter().map(|(old, _)| old.clone()).collect();
    let blockers = sessions::in_the_way(target, &tables).await;
    let waited = sessions::waited(target, DOING, patience, &blockers);
    end(target, run, Ending::Statement).await;
    match tokio::time::timeout(KILLED_WITHIN, &mut running).await {
        Ok(Ok(_)) => Answer::Done,
        Ok(Err(error)) if !is_disconnect(&error) => Answer::Refused(waited),
        _ => Answer::Lost(waited),
    }
}

/// Ends what carries out this run's renames, as far as it is seen; whether anything was.
async fn end(target: &MySql, run: &str, ending: Ending) -> Option<bool> {
    let found = match processlist::saying(target, &beginning(run)).await {
        Ok(found) => found,
        Err(failure) => {
            tracing::warn!(database = target.name(), "the sessions that rename could not be listed: {failure}");
            return None;
        }
    };
    let mut killer = Killer::new(target);
    for session in &found {
        if let Err(failure) = killer.end(session, ending).await {
            tracing::warn!(database = target.name(), "a rename could not be stopped: {failure}");
        }
    }
    Some(!found.is_empty())
}

/// Waits until no session carries out renames of this run any more, and ends those that do. As long as the session that
/// was told to is there it may yet receive what was sent to it.
///
/// # Errors
/// `switch.rename-in-doubt`.
async fn over(target: &MySql, run: &str, whose: Whose<'_>) -> Result<(), Failure> {
    let (begun, mut unseen_since) = (Instant::now(), None);
    let patience = match whose {
        Whose::Nobodys(Sent::Unsettled { at_most }) => GONE_WITHIN + at_most,
        _ => GONE_WITHIN,
    };
    loop {
        let seen = end(target, run, Ending::Session).await;
        let unseen_for = match seen {
            Some(false) => unseen_since.get_or_insert_with(Instant::now).elapsed(),
            _ => {
                unseen_since = None;
                Duration::ZERO
            }
        };
        if seen == Some(false) && is_over(target, &whose, unseen_for).await {
            return Ok(());
        }
        if begun.elapsed() > patience {
            return Err(in_doubt(target, run).await);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// Whether the statement of a session that nobody knows is over, where it was not seen for so long.
async fn is_unknown_over(target: &MySql, sent: Sent, unseen_for: Duration) -> bool {
    let Sent::Unsettled { at_most } = sent else { return unseen_for >= UNSEEN_AFTER_DEATH };
    match processlist::extent(target).await {
        // It may be at a server whose sessions are not listed. OceanBase's waits there for as long as it has to; another
        // server's gives up when it has waited for locks as long as it was told to.
        Ok(Extent::OneOfMany) => target.dialect() != "oceanbase" && unseen_for >= at_most + UNSEEN_FOR,
        Ok(_) => unseen_for >= UNSEEN_AFTER_DEATH,
        Err(_) => false,
    }
}

/// Whether a statement is over, and its session gone, where nothing that it says was seen for so long.
async fn is_over(target: &MySql, whose: &Whose<'_>, unseen_for: Duration) -> bool {
    let session = match whose {
        Whose::Session(session) => session,
        Whose::Nobodys(sent) => return is_unknown_over(target, *sent, unseen_for).await,
    };
    match processlist::extent(target).await {
        // The proxy numbers our session, so that the list does not have its number.
        Ok(Extent::BehindProxy) => return unseen_for >= UNSEEN_FOR,
        Ok(_) => {}
        Err(_) => return false,
    }
    let Ok(mut connection) = target.fresh().await else { return false };
    let activity = session.activity(&mut connection, target.dialect()).await;
    let _ = connection.close().await;
    match activity {
        Ok(Activity::Gone) => true,
        Ok(_) => {
            if let Some(id) = session.number()
                && let Ok(Some(found)) = processlist::find(target, id).await
            {
                let _ = Killer::new(target).end(&found, Ending::Session).await;
            }
            false
        }
        Err(_) => false,
    }
}

async fn in_doubt(target: &MySql, run: &str) -> Failure {
    let seen = processlist::saying(target, &beginning(run)).await.unwrap_or_default();
    let who = match seen.as_slice() {
        [] => "whether the server is still at it cannot be seen".to_owned(),
        some => {
            let named: Vec<String> = some.iter().map(ToString::to_string).collect();
            format!("{} is still at it, and could not be ended", named.join(", "))
        }
    };
    let words = format!(
        "the statement was sent, its answer did not come, and {who}: the names may change at any time, without a fence"
    );
    let failure = target.place.said(Fault::Data, IN_DOUBT, DOING, &words);
    match seen.first() {
        Some(session) => failure.with("session", session.id.to_string()),
        None => failure,
    }
}

/// The code of a rename of which nobody knows whether it will happen.
pub const IN_DOUBT: &str = "switch.rename-in-doubt";

impl MySql {
    /// Ends renames that this run has begun and nobody waits for any more: a process that died, or a connection that
    /// was lost, may have left one at the server, where it happens once the session that it waits for has ended.
    ///
    /// # Errors
    /// `switch.rename-in-doubt`, and what the database says.
    pub async fn end_renames(&self, run: &str, sent: Sent) -> Result<(), Failure> {
        self.bridge.run(over(self, run, Whose::Nobodys(sent))).await
    }
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
    let now = match names_present(target, renames).await {
        Ok(now) => now,
        Err(looking) => return Err(if failure.code == IN_DOUBT { failure } else { looking }),
    };
    if now == names_after(renames, before) {
        tracing::warn!(database = target.name(), %failure, "the rename failed to answer, and was done");
        return Ok(());
    }
    if now == before || failure.code == IN_DOUBT {
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
        DOING,
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
