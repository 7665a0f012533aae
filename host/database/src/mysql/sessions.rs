//! Who is in the way: sessions that hold open transactions on tables, named without what they wrote.

use std::fmt::Write as _;
use std::time::Duration;

use millrace_model::{Failure, Fault, TableName};

use super::MySql;
use super::processlist::{self, Extent};
use crate::dialect::mysql::{quote_text, tokens};

/// Most characters of a statement in a message.
const STATEMENT_CHARACTERS: usize = 120;

/// A session of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocker {
    id: String,
    user: String,
    host: String,
    statement: String,
    seconds: String,
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, user, host, statement, seconds } = self;
        write!(f, "session {id} ({user}@{host}) for {seconds} s")?;
        if statement.is_empty() { write!(f, ", idle in a transaction") } else { write!(f, ", running: {statement}") }
    }
}

/// The sessions that hold locks on the tables, the longest first. Empty also where the server does not let us look.
pub(super) async fn in_the_way(target: &MySql, tables: &[TableName]) -> Vec<Blocker> {
    let names: Vec<String> = tables.iter().map(|table| quote_text(&table.name)).collect();
    let sql = if target.dialect() == "oceanbase" {
        let all = match processlist::extent(target).await {
            Ok(Extent::Cluster | Extent::BehindProxy) => "GV$",
            _ => "V$",
        };
        // A lock names the tablet, as does the table's entry among the objects.
        format!(
            "SELECT p.ID, p.USER, p.HOST, p.INFO, FORMAT(MAX(l.CTIME) / 1000000, 1) FROM oceanbase.{all}OB_LOCKS AS l \
             JOIN oceanbase.{all}OB_PROCESSLIST AS p ON p.ID = l.SESSION_ID \
             JOIN oceanbase.DBA_OBJECTS o ON l.ID3 = CAST(o.DATA_OBJECT_ID AS CHAR) \
             WHERE l.TYPE = 'TM' AND o.OWNER = DATABASE() AND o.OBJECT_NAME IN ({}) AND p.ID <> CONNECTION_ID() \
             GROUP BY p.ID, p.USER, p.HOST, p.INFO ORDER BY MAX(l.CTIME) DESC LIMIT 5",
            names.join(", ")
        )
    } else {
        "SELECT p.ID, p.USER, p.HOST, p.INFO, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) \
         FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id \
         WHERE p.DB = DATABASE() AND p.ID <> CONNECTION_ID() ORDER BY t.trx_started LIMIT 5"
            .to_owned()
    };
    let rows = match target.rows_for("look for sessions in the way", sql).await {
        Ok(rows) => rows,
        Err(failure) => {
            tracing::debug!("{failure}");
            return Vec::new();
        }
    };
    rows.into_iter()
        .map(|row| {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || cells.next().unwrap_or_default();
            let (id, user, host) = (next(), next(), next());
            Blocker { id, user, host, statement: shape(&next()), seconds: next() }
        })
        .collect()
}

/// What is said when something waited in vain.
pub(super) fn waited(target: &MySql, doing: &str, patience: Duration, blockers: &[Blocker]) -> Failure {
    let mut words = format!("it had to wait for more than {} ms", patience.as_millis());
    match blockers {
        [] => words.push_str(", and no session could be seen in the way"),
        [one] => {
            let _ = write!(words, "; in the way was {one}");
        }
        many => {
            let each: Vec<String> = many.iter().map(ToString::to_string).collect();
            let _ = write!(words, "; in the way were {}", each.join("; "));
        }
    }
    let failure = target.place.said(Fault::Transient, "switch.in-the-way", doing, &words);
    match blockers.first() {
        Some(first) => failure.with("session", first.id.clone()),
        None => failure,
    }
}

/// A statement without the values in it.
fn shape(statement: &str) -> String {
    let mut shape = String::new();
    for token in tokens(statement) {
        let is_value = token.starts_with(['\'', '"']) || token.starts_with(|c: char| c.is_ascii_digit());
        if is_value {
            shape.push('?');
        } else if token.trim().is_empty() {
            if !shape.ends_with(' ') {
                shape.push(' ');
            }
        } else if !token.starts_with("/*") && !token.starts_with('#') && !token.starts_with("-- ") {
            shape.push_str(token);
        }
        if shape.chars().count() > STATEMENT_CHARACTERS {
            let mut short: String = shape.chars().take(STATEMENT_CHARACTERS).collect();
            short.push('…');
            return short;
        }
    }
    shape.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_without_its_values() {
        let statement =
            "UPDATE  card SET number = '4111 1111', pin=1234 /* of 'Ann' */\nWHERE name = \"Ann\" -- secret";
        assert_eq!(shape(statement), "UPDATE card SET number = ?, pin=? WHERE name = ?");
        assert!(shape(&"SELECT a, ".repeat(100)).chars().count() <= STATEMENT_CHARACTERS + 1);
    }

    #[test]
    fn a_session_that_does_nothing_is_called_idle() {
        let blocker = Blocker {
            id: "41".into(),
            user: "app".into(),
            host: "10.0.0.7:4711".into(),
            statement: String::new(),
            seconds: "12.5".into(),
        };
        assert_eq!(blocker.to_string(), "session 41 (app@10.0.0.7:4711) for 12.5 s, idle in a transaction");
    }
}
