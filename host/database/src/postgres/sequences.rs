//! Where the sequences behind columns stand. A catalog says what a sequence has given and not what it was set to: the
//! sequence itself does.

use std::collections::HashMap;

use millrace_model::numbering::Sequence;
use millrace_model::{Failure, TableName};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use super::Postgres;
use crate::dialect::postgres::{quote_name, quote_table};

/// Sequences that are read with one statement.
const READ_AT_ONCE: usize = 200;

/// Sequences that belong to columns of these tables and that this user may read.
const BEHIND: &str = "SELECT n.nspname::text, c.relname::text, a.attname::text, \
    quote_ident(m.nspname) || '.' || quote_ident(q.relname), s.seqincrement, s.seqmin, s.seqmax, s.seqcycle \
    FROM pg_catalog.pg_sequence AS s JOIN pg_catalog.pg_class AS q ON q.oid = s.seqrelid \
    JOIN pg_catalog.pg_namespace AS m ON m.oid = q.relnamespace \
    JOIN pg_catalog.pg_depend AS d ON d.objid = s.seqrelid AND d.classid = 'pg_catalog.pg_class'::regclass \
    AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') \
    JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid \
    JOIN unnest($1::text[], $2::text[]) AS w(schema, name) ON w.schema = n.nspname AND w.name = c.relname \
    WHERE has_sequence_privilege(s.seqrelid, 'SELECT')";

/// A column that numbers itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Numbered {
    /// The source's table.
    pub table: TableName,
    /// The column.
    pub column: String,
}

/// Where a column's numbering stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its sequence.
    pub sequence: Sequence,
    /// The largest number that its rows have. None: there is none, or nobody asked.
    pub largest: Option<i64>,
}

/// Whether the largest number is asked for: cheap where an index begins with the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Largest {
    /// It is.
    Asked,
    /// It is not.
    LeftOut,
}

impl Postgres {
    /// Where these columns' numbering stands now, at no snapshot: numbers that were given are never given back. What has
    /// no sequence of its own, or one that this user may not read, is left out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn standings(&self, columns: &[(Numbered, Largest)]) -> Result<HashMap<Numbered, Standing>, Failure> {
        if columns.is_empty() {
            return Ok(HashMap::new());
        }
        self.bridge().run(read(self, columns)).await
    }
}

/// A sequence as the catalog has it.
struct Behind {
    column: Numbered,
    largest: Largest,
    /// Quoted.
    name: String,
    increment: i64,
    smallest: i64,
    most: i64,
    cycles: bool,
}

async fn read(database: &Postgres, columns: &[(Numbered, Largest)]) -> Result<HashMap<Numbered, Standing>, Failure> {
    let failure = |e| database.place.failure("read what sequences give next", &e);
    let schemas: Vec<&str> = columns.iter().map(|(column, _)| column.table.schema.as_str()).collect();
    let names: Vec<&str> = columns.iter().map(|(column, _)| column.table.name.as_str()).collect();
    let wanted: HashMap<&Numbered, Largest> = columns.iter().map(|(column, largest)| (column, *largest)).collect();
    let mut connection = database.acquire().await?;
    let watch = connection.watch();
    let asking = sqlx::query(BEHIND).bind(schemas).bind(names).fetch_all(&mut *connection);
    let rows = watch.answered(asking).await.map_err(failure)?;
    let behind = |row: &PgRow| -> Result<Option<Behind>, sqlx::Error> {
        let column = Numbered {
            table: TableName::new(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?),
            column: row.try_get(2)?,
        };
        let Some(largest) = wanted.get(&column).copied() else { return Ok(None) };
        Ok(Some(Behind {
            column,
            largest,
            name: row.try_get(3)?,
            increment: row.try_get(4)?,
            smallest: row.try_get(5)?,
            most: row.try_get(6)?,
            cycles: row.try_get(7)?,
        }))
    };
    let mut found = Vec::new();
    for row in &rows {
        found.extend(behind(row).map_err(failure)?);
    }
    let mut standings = HashMap::with_capacity(found.len());
    for some in found.chunks(READ_AT_ONCE) {
        let statement = some.iter().enumerate().map(standing_of).collect::<Vec<_>>().join(" UNION ALL ");
        let rows = watch.answered(connection.fetch_all(AssertSqlSafe(statement))).await.map_err(failure)?;
        for row in rows {
            let at = row.try_get::<i32, _>(0).map_err(failure)?;
            let Some(behind) = usize::try_from(at).ok().and_then(|at| some.get(at)) else { continue };
            let sequence = Sequence {
                value: row.try_get(1).map_err(failure)?,
                is_given: row.try_get(2).map_err(failure)?,
                increment: behind.increment,
                smallest: behind.smallest,
                largest: behind.most,
                cycles: behind.cycles,
            };
            let largest = row.try_get(3).map_err(failure)?;
            standings.insert(behind.column.clone(), Standing { sequence, largest });
        }
    }
    connection.give_back();
    Ok(standings)
}

/// The query that reads one sequence, and its table's largest number.
fn standing_of((place, behind): (usize, &Behind)) -> String {
    let largest = match behind.largest {
        Largest::Asked => {
            let (column, table) = (quote_name(&behind.column.column), quote_table(&behind.column.table));
            format!("(SELECT max({column})::bigint FROM {table})")
        }
        Largest::LeftOut => "NULL::bigint".to_owned(),
    };
    format!("SELECT {place}::integer, last_value, is_called, {largest} FROM {}", behind.name)
}
