//! Transactions that have been open for long: in the source they keep dead rows alive, in the target a rename waits for
//! them.

use millrace_model::Failure;
use millrace_model::capability::TextRows;

use super::{Finding, Subject, listed, number, text};

const CHECK: &str = "transactions";

/// From so many seconds on a transaction is long.
const LONG_SECONDS: f64 = 60.0;

/// Who, and for how many seconds. Prepared transactions have no session.
const SOURCE: &str = "SELECT 'session ' || pid || ' (' || coalesce(usename, '') || ', ' || coalesce(application_name, '') \
    || ')', extract(epoch FROM clock_timestamp() - xact_start) FROM pg_catalog.pg_stat_activity \
    WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database() \
    AND backend_type = 'client backend' AND application_name <> 'millrace' \
    UNION ALL SELECT 'prepared transaction ' || gid, extract(epoch FROM clock_timestamp() - prepared) \
    FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()";

/// The same, where this server or that keeps it.
const TARGET: [&str; 3] = [
    "SELECT CONCAT('session ', SESSION_ID), TIMESTAMPDIFF(MICROSECOND, CTX_CREATE_TIME, NOW(6)) / 1000000 \
     FROM oceanbase.GV$OB_TRANSACTION_PARTICIPANTS",
    "SELECT CONCAT('session ', s.session_id), MAX(UNIX_TIMESTAMP(NOW(6)) - UNIX_TIMESTAMP(s.ctx_create_time)) \
     FROM oceanbase.__all_virtual_trans_stat s WHERE s.session_id > 0 GROUP BY s.session_id",
    "SELECT CONCAT('session ', trx_mysql_thread_id), TIMESTAMPDIFF(MICROSECOND, trx_started, NOW(6)) / 1000000 \
     FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id > 0",
];

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    if let Some(rows) = subject.ask_source(SOURCE).await? {
        findings.push(judge("source", &rows));
    }
    for question in TARGET {
        if let Some(rows) = subject.ask_target(question).await? {
            findings.push(judge("target", &rows));
            break;
        }
    }
    Ok(findings)
}

fn judge(database: &str, rows: &TextRows) -> Finding {
    let long: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let seconds = number(row, 1).filter(|seconds| *seconds >= LONG_SECONDS)?;
            Some(format!("{} for {seconds:.0} s", text(row, 0)))
        })
        .collect();
    if long.is_empty() {
        return Finding::pass(CHECK, format!("no transaction has been open in the {database} for a minute"));
    }
    let message = format!("transactions are open in the {database}: {}", listed(&long));
    Finding::warn(CHECK, "preflight.long-transaction", message)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_transaction_is_long_from_a_minute_on() {
        let row = |who: &str, seconds: &str| vec![Some(who.to_owned()), Some(seconds.to_owned())];
        assert_eq!(judge("source", &vec![row("session 7 (app, psql)", "59.9")]).verdict, Verdict::Pass);
        let found = judge("source", &vec![row("session 7 (app, psql)", "3600.2"), row("session 8 (app, )", "1")]);
        assert_eq!(found.verdict, Verdict::Warn);
        assert!(found.message.ends_with("session 7 (app, psql) for 3600 s"), "{}", found.message);
    }
}
