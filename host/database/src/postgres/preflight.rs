//! What would keep a run from reading tables completely, found before anything is built.

use millrace_model::{Failure, Table};

use super::Postgres;
use super::session::{command, text_rows};
use crate::dialect::postgres::{quote_table, quote_text};

/// The oldest server whose catalogs and snapshots are understood.
const OLDEST: u32 = 120_000;

pub(super) async fn check(database: &Postgres, tables: &[Table]) -> Result<Vec<Failure>, Failure> {
    let mut found = Vec::new();
    if database.version_number() < OLDEST {
        found.push(Failure::unsupported(
            "database.too-old",
            format!("database {} is PostgreSQL {}; 12 is the oldest that is read", database.place, database.version()),
        ));
    }
    if tables.is_empty() {
        return Ok(found);
    }
    let names: Vec<String> = tables.iter().map(|t| quote_text(&quote_table(&t.name))).collect();
    // A table may have gone since its model was read: to_regclass gives NULL for it.
    let query = format!(
        "SELECT t.oid IS NOT NULL, has_table_privilege(t.oid, 'SELECT'), row_security_active(t.oid) \
         FROM (SELECT to_regclass(name)::oid AS oid, at FROM unnest(ARRAY[{}]) WITH ORDINALITY AS v(name, at)) AS t \
         ORDER BY t.at",
        names.join(", ")
    );
    let failure = |e| database.place.failure("look at the tables' privileges", &e);
    let mut connection = database.acquire().await?;
    command(&mut connection, "BEGIN READ ONLY").await.map_err(failure)?;
    let rows = text_rows(&mut connection, query, failure).await?;
    command(&mut connection, "ROLLBACK").await.map_err(failure)?;
    connection.give_back();
    for (table, row) in tables.iter().zip(rows) {
        let says = |index: usize, word: &str| row.get(index).and_then(|c| c.as_deref()) == Some(word);
        let problem = if !says(0, "t") {
            Failure::data(
                "database.table-missing",
                format!("{} does not exist any more in database {}", table.name, database.place),
            )
        } else if !says(1, "t") {
            Failure::config(
                "database.missing-privilege",
                format!("the user of database {} may not SELECT from {}", database.place, table.name),
            )
        } else if says(2, "t") {
            Failure::config(
                "database.row-security",
                format!(
                    "row-level security would hide rows of {} from the user of database {}",
                    table.name, database.place
                ),
            )
        } else {
            continue;
        };
        found.push(problem.with("table", table.name.to_string()));
    }
    Ok(found)
}
