//! What became of a table since a snapshot, told by the transactions that wrote its rows: no row is compared.
//!
//! A snapshot's *horizon*, as PostgreSQL prints it, is `xmin:xmax:xip`: it sees what was written by transactions below
//! xmin, nothing from xmax on, and of those in between all but the ones that were at work, which are listed in xip. But
//! only whole transactions are listed. A savepoint, or a block of PL/pgSQL with an EXCEPTION clause, writes under a number of its
//! own, which is above xmin and not in the list; and on a standby the list is empty whatever was at work. So of a row with a
//! number in between nothing can be told afterwards. What can be told is told while the snapshot is still held
//! ([`Postgres::seen_within`]): which numbers in between its rows have *as it sees them*. A row with another one was not
//! seen. Where nobody asked in time, all rows in between count as not seen.

use std::collections::BTreeSet;

use millrace_model::{Failure, Table};
use sqlx::{AssertSqlSafe, Executor, Row};

use super::session::command;
use super::{Postgres, Snapshot, snapshot};
use crate::dialect::postgres::{quote_name, quote_table};

/// Most keys that are listed.
const KEYS_AT_MOST: u32 = 5;

/// Most transactions of a table that are kept as seen.
const SEEN_AT_MOST: usize = 10_000;

/// As many transactions can come after a snapshot before those that came before look like them: the numbers that stand in
/// rows have 32 bits.
const LATER_AT_MOST: u64 = 2_000_000_000;

/// What became of a table since a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Rows that the table has now. None: only its tail was looked at.
    pub count: Option<u64>,
    /// Rows that were inserted or changed.
    pub changed: u64,
    /// Rows that may have been: nobody can tell any more whether the snapshot saw them. Not among `changed`.
    pub doubtful: u64,
    /// The keys of some of these, their columns separated by commas.
    pub keys: Vec<String>,
}

/// What a snapshot sees.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Horizon {
    /// The first transaction that was at work.
    begin: u64,
    /// The first that had not begun.
    end: u64,
    running: BTreeSet<u64>,
}

impl Horizon {
    fn parse(text: &str) -> Result<Self, Failure> {
        let read = || {
            let mut parts = text.split(':');
            let (begin, end) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let running = parts.next()?.split(',').filter(|id| !id.is_empty());
            Some(Self { begin, end, running: running.map(str::parse).collect::<Result<_, _>>().ok()? })
        };
        read().ok_or_else(|| {
            Failure::internal("switch.unreadable-state", format!("`{text}` is no horizon of a snapshot"))
        })
    }

    /// Whether there are numbers of which it cannot tell.
    fn is_open(&self) -> bool {
        self.begin < self.end
    }

    /// Whether numbers of 32 bits stand for themselves: none was given twice.
    fn is_first_round(&self) -> bool {
        self.end <= u64::from(u32::MAX)
    }

    /// A condition on the column `x`, the number that stands in a row: it was not seen.
    fn unseen(&self) -> String {
        let young = format!("age(x) BETWEEN 0 AND age('{}'::xid)", low(self.end));
        if self.running.is_empty() {
            return young;
        }
        format!("({young} OR {})", among(self.running.iter().map(|id| low(*id))))
    }

    /// The same: it was not seen for sure, and may not have been. `seen`: numbers that it has seen.
    fn doubtful(&self, seen: &[u32]) -> String {
        if !self.is_open() {
            return "false".to_owned();
        }
        let within = self.within();
        let unseen = self.unseen();
        match seen {
            [] => format!("({within} AND NOT {unseen})"),
            seen => format!("({within} AND NOT {unseen} AND NOT {})", among(seen.iter().copied())),
        }
    }

    /// The same: it is not older than the first transaction that was at work.
    fn within(&self) -> String {
        format!("age(x) BETWEEN 0 AND age('{}'::xid)", low(self.begin))
    }

    /// Whether a source that has come so far can tell what this horizon saw. Otherwise why not.
    fn is_followed_by(&self, end: u64) -> Result<(), String> {
        if end < self.end {
            return Err(format!("its last transaction is {end}, and the copy has seen {}", self.end));
        }
        if end - self.begin > LATER_AT_MOST {
            return Err(format!("{} transactions have come since it was copied, too many to tell", end - self.begin));
        }
        Ok(())
    }
}

/// As it stands in a row.
#[allow(clippy::cast_possible_truncation, reason = "rows hold the lower half")]
fn low(transaction: u64) -> u32 {
    transaction as u32
}

fn among(numbers: impl Iterator<Item = u32>) -> String {
    let list: Vec<String> = numbers.map(|number| number.to_string()).collect();
    format!("x::text = ANY ('{{{}}}'::text[])", list.join(","))
}

impl Postgres {
    /// Counts the rows, and those that a transaction wrote which the snapshot with this horizon ([`Snapshot::horizon`])
    /// does not see. `seen`: what [`Postgres::seen_within`] gave of it. `tail`: only among so many rows with the largest
    /// keys.
    ///
    /// # Errors
    /// `switch.source-changed` for a source that is behind the horizon, or too far from it; what the database says.
    pub async fn changed_since(
        &self,
        table: &Table,
        horizon: &str,
        seen: &[u32],
        tail: Option<u32>,
    ) -> Result<Changed, Failure> {
        self.bridge().run(changed_since(self, table, &Horizon::parse(horizon)?, seen, tail)).await
    }

    /// Which transactions wrote rows of the table that the snapshot sees, among those of which its horizon alone cannot
    /// tell whether it does. Empty, without a look at the table, where there are no such; also where there are too many,
    /// and where numbers of transactions have been given a second time.
    ///
    /// # Errors
    /// `database.snapshot-gone`; what the database says.
    pub async fn seen_within(&self, snapshot: &Snapshot, table: &Table) -> Result<Vec<u32>, Failure> {
        self.bridge().run(seen_within(self, snapshot, table)).await
    }
}

async fn seen_within(database: &Postgres, snapshot: &Snapshot, table: &Table) -> Result<Vec<u32>, Failure> {
    let horizon = Horizon::parse(snapshot.horizon())?;
    // A row that was written a whole round of numbers ago would speak for one that is being written now.
    if !horizon.is_open() || !horizon.is_first_round() {
        return Ok(Vec::new());
    }
    let failure = |e| database.place.failure(&format!("look what was seen of {}", table.name), &e);
    let statement = format!(
        "SELECT DISTINCT x::text FROM (SELECT xmin AS x FROM {}) AS r WHERE {} LIMIT {}",
        quote_table(&table.name),
        horizon.within(),
        SEEN_AT_MOST + 1
    );
    let mut connection = database.acquire().await?;
    snapshot::begin(database, &mut connection, snapshot).await?;
    let watch = connection.watch();
    let rows = watch.answered(connection.fetch_all(AssertSqlSafe(statement))).await.map_err(failure)?;
    command(&mut connection, "ROLLBACK").await.map_err(failure)?;
    connection.give_back();
    let number = |row: &sqlx::postgres::PgRow| row.try_get::<&str, _>(0).ok()?.parse::<u32>().ok();
    let seen: Vec<u32> = rows.iter().filter_map(number).collect();
    Ok(if seen.len() > SEEN_AT_MOST { Vec::new() } else { seen })
}

async fn changed_since(
    database: &Postgres,
    table: &Table,
    horizon: &Horizon,
    seen: &[u32],
    tail: Option<u32>,
) -> Result<Changed, Failure> {
    let failure = |e| database.place.failure(&format!("look for changes of {}", table.name), &e);
    let (unseen, doubtful) = (horizon.unseen(), horizon.doubtful(seen));
    let name = quote_table(&table.name);
    let key: Vec<String> = table.key_columns().iter().map(|column| quote_name(column)).collect();
    let shown: Vec<String> = key.iter().map(|column| format!("{column}::text")).collect();
    let shown = if shown.is_empty() { "ctid::text".to_owned() } else { shown.join(" || ', ' || ") };
    let (rows, is_tail) = match tail {
        Some(tail) if !key.is_empty() => {
            let order: Vec<String> = key.iter().map(|column| format!("{column} DESC")).collect();
            (format!("SELECT xmin AS x, {shown} AS k FROM {name} ORDER BY {} LIMIT {tail}", order.join(", ")), true)
        }
        _ => (format!("SELECT xmin AS x, {shown} AS k FROM {name}"), false),
    };
    let mut connection = database.acquire().await?;
    let counting = format!(
        "SELECT count(*), count(*) FILTER (WHERE {unseen}), count(*) FILTER (WHERE {doubtful}), \
         pg_snapshot_xmax(pg_current_snapshot())::text FROM ({rows}) AS r"
    );
    let row = connection.fetch_one(AssertSqlSafe(counting)).await.map_err(failure)?;
    let number = |index: usize| row.try_get::<i64, _>(index).map(|n| u64::try_from(n).unwrap_or_default());
    let end = row.try_get::<&str, _>(3).map_err(failure)?.parse().unwrap_or(0);
    horizon.is_followed_by(end).map_err(|why| {
        let message = format!("whether {} has changed since it was copied cannot be told: {why}", table.name);
        Failure::data("switch.source-changed", message)
    })?;
    let mut changed = Changed {
        count: (!is_tail).then(|| number(0)).transpose().map_err(failure)?,
        changed: number(1).map_err(failure)?,
        doubtful: number(2).map_err(failure)?,
        keys: Vec::new(),
    };
    if changed.changed + changed.doubtful > 0 {
        let listing = format!(
            "SELECT k FROM ({rows}) AS r WHERE {unseen} OR {doubtful} ORDER BY {unseen} DESC LIMIT {KEYS_AT_MOST}"
        );
        for row in connection.fetch_all(AssertSqlSafe(listing)).await.map_err(failure)? {
            changed.keys.push(row.try_get::<Option<String>, _>(0).map_err(failure)?.unwrap_or_default());
        }
    }
    connection.give_back();
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_becomes_a_condition_on_32_bits() {
        let calm = Horizon::parse("745:745:").expect("a horizon");
        assert_eq!(calm.doubtful(&[]), "false");
        assert_eq!(calm.unseen(), "age(x) BETWEEN 0 AND age('745'::xid)");
        let over = Horizon::parse("4294967300:4294967310:4294967301,4294967302").expect("a horizon");
        assert_eq!(over.unseen(), "(age(x) BETWEEN 0 AND age('14'::xid) OR x::text = ANY ('{5,6}'::text[]))");
        assert!(over.is_open() && !over.is_first_round());
        assert_eq!(Horizon::parse("soon").expect_err("no horizon").code, "switch.unreadable-state");
    }

    #[test]
    fn what_lies_between_the_ends_is_doubtful_unless_it_was_seen() {
        let open = Horizon::parse("700:710:").expect("a horizon, of a standby");
        let young = "age(x) BETWEEN 0 AND age('710'::xid)";
        let within = "age(x) BETWEEN 0 AND age('700'::xid)";
        assert_eq!(open.doubtful(&[]), format!("({within} AND NOT {young})"));
        assert_eq!(
            open.doubtful(&[703, 704]),
            format!("({within} AND NOT {young} AND NOT x::text = ANY ('{{703,704}}'::text[]))")
        );
    }

    #[test]
    fn a_source_that_is_behind_or_too_far_ahead_cannot_tell() {
        let horizon = Horizon::parse("700:710:").expect("a horizon");
        assert!(horizon.is_followed_by(710).is_ok());
        assert!(horizon.is_followed_by(700 + LATER_AT_MOST).is_ok());
        assert!(horizon.is_followed_by(709).expect_err("behind").contains("has seen 710"));
        assert!(horizon.is_followed_by(701 + LATER_AT_MOST).expect_err("ahead").contains("too many"));
    }
}
