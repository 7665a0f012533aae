//! What became of a table since a snapshot, told by the transactions that wrote its rows: no row is compared.

use millrace_model::{Failure, Table};
use sqlx::{AssertSqlSafe, Executor, Row};

use super::Postgres;
use crate::dialect::postgres::{quote_name, quote_table, quote_text};

/// Most keys that are listed.
const KEYS_AT_MOST: u32 = 5;

/// What became of a table since a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Rows that the table has now. None: only its tail was looked at.
    pub count: Option<u64>,
    /// Rows that were inserted or changed.
    pub changed: u64,
    /// The keys of some of these, their columns separated by commas.
    pub keys: Vec<String>,
}

impl Postgres {
    /// Counts the rows, and those that a transaction wrote which the snapshot with this horizon
    /// ([`super::Snapshot::horizon`]) does not see. `tail`: only among so many rows with the largest keys.
    ///
    /// # Errors
    /// What the database says.
    pub async fn changed_since(&self, table: &Table, horizon: &str, tail: Option<u32>) -> Result<Changed, Failure> {
        self.bridge().run(changed_since(self, table, horizon, tail)).await
    }

    /// The last number that the sequence behind a column has given. None: it has none, or gave none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn last_number(&self, table: &Table, column: &str) -> Result<Option<i64>, Failure> {
        self.bridge().run(last_number(self, table, column)).await
    }
}

/// A condition on the column `x`, the number of the transaction that wrote a row, in 32 bits. None: not a horizon.
///
/// A row's number is behind the snapshot's upper end when it is younger: `age` knows how the numbers turn over. Rows that
/// are older than half of all numbers seem to lie ahead, with an age below zero.
fn unseen(horizon: &str) -> Option<String> {
    let mut parts = horizon.split(':');
    let low = |text: &str| text.parse::<u64>().ok().map(|number| number & 0xffff_ffff);
    let (_, end, running) = (parts.next()?, low(parts.next()?)?, parts.next()?);
    let running: Option<Vec<String>> = running
        .split(',')
        .filter(|id| !id.is_empty())
        .map(|id| low(id).map(|id| quote_text(&id.to_string())))
        .collect();
    let running = running?;
    let young = format!("age(x) BETWEEN 0 AND age('{end}'::xid)");
    Some(if running.is_empty() { young } else { format!("({young} OR x::text IN ({}))", running.join(", ")) })
}

async fn changed_since(
    database: &Postgres,
    table: &Table,
    horizon: &str,
    tail: Option<u32>,
) -> Result<Changed, Failure> {
    let failure = |e| database.place.failure(&format!("look for changes of {}", table.name), &e);
    let unseen = unseen(horizon).ok_or_else(|| {
        Failure::internal("switch.unreadable-state", format!("`{horizon}` is no horizon of a snapshot"))
    })?;
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
    let counting = format!("SELECT count(*), count(*) FILTER (WHERE {unseen}) FROM ({rows}) AS r");
    let row = connection.fetch_one(AssertSqlSafe(counting)).await.map_err(failure)?;
    let count: i64 = row.try_get(0).map_err(failure)?;
    let changed: i64 = row.try_get(1).map_err(failure)?;
    let mut keys = Vec::new();
    if changed > 0 {
        let listing = format!("SELECT k FROM ({rows}) AS r WHERE {unseen} LIMIT {KEYS_AT_MOST}");
        for row in connection.fetch_all(AssertSqlSafe(listing)).await.map_err(failure)? {
            keys.push(row.try_get::<Option<String>, _>(0).map_err(failure)?.unwrap_or_default());
        }
    }
    connection.give_back();
    let number = |n: i64| u64::try_from(n).unwrap_or_default();
    Ok(Changed { count: (!is_tail).then(|| number(count)), changed: number(changed), keys })
}

async fn last_number(database: &Postgres, table: &Table, column: &str) -> Result<Option<i64>, Failure> {
    let failure = |e| database.place.failure(&format!("read the sequence of {}.{column}", table.name), &e);
    let mut connection = database.acquire().await?;
    let sql = format!(
        "SELECT s.last_value FROM pg_sequences s WHERE format('%I.%I', s.schemaname, s.sequencename)::regclass \
         = pg_get_serial_sequence({}, {})::regclass",
        quote_text(&quote_table(&table.name)),
        quote_text(column)
    );
    let row = connection.fetch_optional(AssertSqlSafe(sql)).await.map_err(failure)?;
    let last = match row {
        Some(row) => row.try_get(0).map_err(failure)?,
        None => None,
    };
    connection.give_back();
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_becomes_a_condition_on_32_bits() {
        assert_eq!(unseen("745:745:").as_deref(), Some("age(x) BETWEEN 0 AND age('745'::xid)"));
        let over = unseen("4294967300:4294967310:4294967301,4294967302").expect("a horizon");
        assert_eq!(over, "(age(x) BETWEEN 0 AND age('14'::xid) OR x::text IN ('5', '6'))");
        assert_eq!(unseen("soon"), None);
    }
}
