//! Looking into databases: catalogs as text, and numbers of rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use millrace_test_engines::Database;

/// Queries whose rows are PostgreSQL's catalog, as far as a user's objects go.
const POSTGRES: [&str; 9] = [
    "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1",
    "SELECT n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, c.reloptions, c.relacl::text \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2",
    "SELECT table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, data_type, \
     udt_name, character_maximum_length, numeric_precision, numeric_scale FROM information_schema.columns \
     WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 4",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint \
     WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index \
     WHERE indrelid >= 16384 ORDER BY 1",
    "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2",
    "SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE oid >= 16384 AND prokind = 'f' \
     AND pronamespace = 'public'::regnamespace ORDER BY 1",
    "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    "SELECT setdatabase::text, setrole::text, setconfig::text FROM pg_db_role_setting \
     WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1, 2",
];

/// The same of MySQL's dialects; the current database's.
const MYSQL: [&str; 6] = [
    "SELECT table_name, table_type, table_collation, table_comment FROM information_schema.tables \
     WHERE table_schema = database() ORDER BY 1",
    "SELECT table_name, column_name, ordinal_position, column_default, is_nullable, column_type, extra, \
     column_comment FROM information_schema.columns WHERE table_schema = database() ORDER BY 1, 3",
    "SELECT table_name, index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics \
     WHERE table_schema = database() ORDER BY 1, 2, 3",
    "SELECT table_name, constraint_name, constraint_type FROM information_schema.table_constraints \
     WHERE table_schema = database() ORDER BY 1, 2",
    "SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name \
     FROM information_schema.key_column_usage WHERE table_schema = database() ORDER BY 1, 2, 3",
    "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata \
     WHERE schema_name = database()",
];

/// The database's catalog as text, and how many rows each table has: two of them are equal when nothing has changed.
///
/// # Errors
/// What the database says.
pub async fn catalog(database: &Database) -> Result<String> {
    let queries: &[&str] = if database.kind.is_postgres() { &POSTGRES } else { &MYSQL };
    let mut text = String::new();
    for query in queries {
        for row in database.query_text(query).await? {
            let values: Vec<&str> = row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect();
            writeln!(text, "{}", values.join(" | "))?;
        }
        text.push('\n');
    }
    for table in names_of_tables(database).await? {
        writeln!(text, "{table}: {} rows", count_rows(database, &table).await?)?;
    }
    Ok(text)
}

/// The names of the tables of the database (in PostgreSQL: of the schema `public`), by name; partitions left out, and
/// so are the tables in which Millrace keeps its books.
///
/// # Errors
/// What the database says.
pub async fn names_of_tables(database: &Database) -> Result<Vec<String>> {
    let query = if database.kind.is_postgres() {
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition \
         AND relnamespace = 'public'::regnamespace ORDER BY relname"
    } else {
        "SELECT table_name FROM information_schema.tables WHERE table_schema = database() \
         AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'millrace\\_%' ORDER BY table_name"
    };
    let rows = database.query_text(query).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

/// How many rows a table has.
///
/// # Errors
/// What the database says.
pub async fn count_rows(database: &Database, table: &str) -> Result<u64> {
    let quote = if database.kind.is_postgres() { '"' } else { '`' };
    let quoted = format!("{quote}{}{quote}", table.replace(quote, &format!("{quote}{quote}")));
    let rows = database.query_text(&format!("SELECT count(*) FROM {quoted}")).await?;
    let count = rows.first().and_then(|row| row.first()).and_then(Option::as_deref).context("a count is a row")?;
    count.parse().context("a count is a number")
}

/// What applications see of each table of a MySQL database, as text: columns, keys, foreign keys (not by name: they
/// are spelled anew when a table is rebuilt) and the number of rows.
///
/// # Errors
/// What the database says.
pub async fn live_tables(database: &Database) -> Result<BTreeMap<String, String>> {
    const QUERIES: [&str; 3] = [
        "SELECT table_name, column_name, column_type, is_nullable, column_default, extra, column_comment \
         FROM information_schema.columns WHERE table_schema = database() ORDER BY table_name, ordinal_position",
        "SELECT table_name, non_unique, index_name, column_name FROM information_schema.statistics \
         WHERE table_schema = database() ORDER BY table_name, index_name, seq_in_index",
        "SELECT table_name, column_name, referenced_table_name, referenced_column_name \
         FROM information_schema.key_column_usage WHERE table_schema = database() \
         AND referenced_table_name IS NOT NULL ORDER BY 1, 2, 3, 4",
    ];
    let mut tables = BTreeMap::new();
    for name in names_of_tables(database).await? {
        let rows = count_rows(database, &name).await?;
        tables.insert(name, format!("{rows} rows\n"));
    }
    for query in QUERIES {
        for row in database.query_text(query).await? {
            let mut values = row.iter().map(|v| v.as_deref().unwrap_or("NULL"));
            if let Some(text) = values.next().and_then(|name| tables.get_mut(name)) {
                writeln!(text, "{}", values.collect::<Vec<_>>().join(" "))?;
            }
        }
    }
    Ok(tables)
}
