//! A table in a file: its schema and its rows as SQL, compressed (Zstandard), written before the table is dropped.
//!
//! `zstd -dc FILE | mysql` reads it as well as [`restore`] does. The first line is a comment with a JSON object; every
//! statement ends with a line that holds only a semicolon, which no statement contains: literals have no line feeds. The
//! last line is a comment with the number of rows; a file without it was not written to its end, and never has the
//! final name. Foreign keys stand in comments: what they refer to may be gone.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use millrace_model::{Failure, Fault, TableName};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, Row};

use super::{MySql, cell, read_rows};
use crate::dialect::mysql::{quote_name, quote_table, quote_text};

/// The version of the file's form.
const FORMAT: u64 = 1;
/// Ends a statement, on a line of its own.
const END: &str = ";";
/// About so many bytes in one INSERT.
const STATEMENT_BYTES: usize = 1 << 20;
/// At most so many rows in one INSERT.
const STATEMENT_ROWS: usize = 500;
/// What the names of archives end with.
pub const SUFFIX: &str = ".sql.zst";

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The table.
    pub table: TableName,
    /// How many rows.
    pub rows: u64,
}

fn not_written(path: &Path, why: &impl std::fmt::Display) -> Failure {
    Failure::new(
        Fault::Data,
        "tables.archive-failed",
        format!("the archive {} cannot be written: {why}", path.display()),
    )
}

fn unreadable(path: &Path, why: &impl std::fmt::Display) -> Failure {
    Failure::config("tables.archive-unreadable", format!("{} cannot be restored: {why}", path.display()))
}

/// Writes the table to a file of this folder, which is made when it is not there.
pub(super) async fn write(target: &MySql, table: &TableName, folder: &Path, run: &str) -> Result<PathBuf, Failure> {
    let safe: String =
        table.name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect();
    let path = folder.join(format!("{safe}.{run}{SUFFIX}"));
    fs::create_dir_all(folder).map_err(|e| not_written(folder, &e))?;
    let part = path.with_extension("part");
    let failed = |e: std::io::Error| not_written(&path, &e);
    let file = File::create(&part).map_err(failed)?;
    let mut out = BufWriter::new(zstd::stream::write::Encoder::new(file, 3).map_err(failed)?);
    let written = write_table(target, table, run, &mut out, &path).await;
    let closed = written.and_then(|rows| {
        writeln!(out, "-- rows: {rows}").map_err(failed)?;
        let file = out.into_inner().map_err(|e| failed(e.into_error()))?.finish().map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&part, &path).map_err(failed)
    });
    match closed {
        Ok(()) => Ok(path),
        Err(failure) => {
            let _ = fs::remove_file(&part);
            Err(failure)
        }
    }
}

/// A column that is written: how it is selected, and whether it comes as hexadecimal digits.
struct ArchivedColumn {
    name: String,
    hexadecimal: bool,
}

async fn write_table(
    target: &MySql,
    table: &TableName,
    run: &str,
    out: &mut impl std::io::Write,
    path: &Path,
) -> Result<u64, Failure> {
    let failed = |e: std::io::Error| not_written(path, &e);
    let doing = format!("archive {table}");
    let head = json!({ "millrace_archive": FORMAT, "table": table.to_string(), "run": run });
    writeln!(out, "-- {head}").map_err(failed)?;
    let shown = target.rows_for(&doing, format!("SHOW CREATE TABLE {}", quote_table(table))).await?;
    let create = shown.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten().unwrap_or_default();
    let (create, keys) = without_foreign_keys(&create);
    for key in keys {
        writeln!(out, "-- foreign key: {key}").map_err(failed)?;
    }
    writeln!(out, "{create}\n{END}").map_err(failed)?;
    let columns = archived_columns(target, table).await?;
    let selected: Vec<String> = columns
        .iter()
        .map(|c| if c.hexadecimal { format!("HEX({})", quote_name(&c.name)) } else { quote_name(&c.name) })
        .collect();
    let names: Vec<String> = columns.iter().map(|c| quote_name(&c.name)).collect();
    let insert = format!("INSERT INTO {} ({}) VALUES", quote_table(table), names.join(", "));
    let mut connection = target.acquire().await?;
    let failure = |e| target.place.failure(&doing, &e);
    let select = format!("SELECT {} FROM {}", selected.join(", "), quote_table(table));
    let mut rows = 0;
    let (mut statement, mut in_statement) = (String::new(), 0);
    {
        let mut stream = sqlx::raw_sql(AssertSqlSafe(select)).fetch(&mut *connection);
        while let Some(row) = stream.try_next().await.map_err(failure)? {
            statement.push_str(if in_statement == 0 { "\n(" } else { ",\n(" });
            for (index, column) in columns.iter().enumerate().take(row.len()) {
                if index > 0 {
                    statement.push_str(", ");
                }
                match cell(&row, index).map_err(failure)? {
                    None => statement.push_str("NULL"),
                    Some(bytes) => {
                        let text = String::from_utf8_lossy(bytes);
                        if column.hexadecimal {
                            statement.push_str("x'");
                            statement.push_str(&text);
                            statement.push('\'');
                        } else {
                            statement.push_str(&quote_text(&text));
                        }
                    }
                }
            }
            statement.push(')');
            in_statement += 1;
            rows += 1;
            if in_statement == STATEMENT_ROWS || statement.len() > STATEMENT_BYTES {
                writeln!(out, "{insert}{statement}\n{END}").map_err(failed)?;
                statement.clear();
                in_statement = 0;
            }
        }
    }
    connection.give_back();
    if in_statement > 0 {
        writeln!(out, "{insert}{statement}\n{END}").map_err(failed)?;
    }
    Ok(rows)
}

async fn archived_columns(target: &MySql, table: &TableName) -> Result<Vec<ArchivedColumn>, Failure> {
    let schema = if table.schema.is_empty() { "DATABASE()".to_owned() } else { quote_text(&table.schema) };
    let sql = format!(
        "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {schema} \
         AND TABLE_NAME = {} AND COALESCE(GENERATION_EXPRESSION, '') = '' ORDER BY ORDINAL_POSITION",
        quote_text(&table.name)
    );
    let rows = target.rows_for(&format!("read the columns of {table}"), sql).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let name = cells.next().unwrap_or_default();
            let kind = cells.next().unwrap_or_default().to_ascii_lowercase();
            let hexadecimal = kind.contains("binary") || kind.contains("blob") || kind == "bit" || kind == "geometry";
            ArchivedColumn { name, hexadecimal }
        })
        .collect())
}

/// The statement without its foreign keys, and those.
fn without_foreign_keys(create: &str) -> (String, Vec<String>) {
    let is_key = |line: &str| line.trim_start().starts_with("CONSTRAINT") && line.contains(" FOREIGN KEY ");
    let keys = create.lines().filter(|line| is_key(line)).map(|line| line.trim().trim_end_matches(',').to_owned());
    let keys: Vec<String> = keys.collect();
    let mut kept: Vec<String> = create.lines().filter(|line| !is_key(line)).map(str::to_owned).collect();
    // The last part before the closing parenthesis has no comma.
    if let Some(closing) = kept.iter().position(|line| line.starts_with(')'))
        && closing > 0
    {
        let last = kept[closing - 1].trim_end_matches([',', ' ']).to_owned();
        kept[closing - 1] = last;
    }
    (kept.join("\n"), keys)
}

/// Makes the table of an archive again, with its rows, under its own name or another one.
///
/// # Errors
/// `tables.archive-unreadable`, `tables.in-the-way` when there is such a table, and what the database says; the table is
/// then dropped again.
pub async fn restore(target: &MySql, path: &Path, name: Option<&TableName>) -> Result<Restored, Failure> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let decoder = zstd::stream::read::Decoder::new(file).map_err(|e| unreadable(path, &e))?;
    let mut lines = BufReader::new(decoder).lines();
    let head = lines.next().transpose().map_err(|e| unreadable(path, &e))?.unwrap_or_default();
    let head: serde_json::Value =
        serde_json::from_str(head.trim_start_matches("-- ")).map_err(|_| unreadable(path, &"it is no archive"))?;
    if head["millrace_archive"] != FORMAT {
        return Err(unreadable(
            path,
            &format!("its form is {}, and this Millrace reads {FORMAT}", head["millrace_archive"]),
        ));
    }
    let own = TableName::bare(head["table"].as_str().unwrap_or_default());
    let table = name.cloned().unwrap_or_else(|| own.clone());
    if target.table_exists(&table).await? {
        return Err(Failure::config(
            "tables.in-the-way",
            format!("{table} exists already; restore under another name"),
        )
        .with("table", table.to_string()));
    }
    let restored = restore_rows(target, path, &own, &table, lines).await;
    match restored {
        Ok(rows) => Ok(Restored { table, rows }),
        Err(failure) => {
            target.execute(&format!("DROP TABLE IF EXISTS {}", quote_table(&table))).await?;
            Err(failure)
        }
    }
}

async fn restore_rows(
    target: &MySql,
    path: &Path,
    own: &TableName,
    table: &TableName,
    lines: impl Iterator<Item = std::io::Result<String>>,
) -> Result<u64, Failure> {
    let doing = format!("restore {table}");
    let mut connection = target.acquire().await?;
    let mut statement = String::new();
    let mut expected: Option<u64> = None;
    for line in lines {
        let line = line.map_err(|e| unreadable(path, &e))?;
        if line == END {
            let renamed = under(&statement, own, table);
            let ran = connection.execute(sqlx::raw_sql(AssertSqlSafe(renamed))).await;
            ran.map_err(|e| target.place.failure(&doing, &e))?;
            statement.clear();
        } else if let Some(rows) = line.strip_prefix("-- rows: ").filter(|_| statement.is_empty()) {
            expected = rows.parse().ok();
        } else if !(statement.is_empty() && line.starts_with("-- ")) {
            if !statement.is_empty() {
                statement.push('\n');
            }
            statement.push_str(&line);
        }
    }
    let count = format!("SELECT COUNT(*) FROM {}", quote_table(table));
    let rows = read_rows(&mut connection, count).await.map_err(|e| target.place.failure(&doing, &e))?;
    connection.give_back();
    let rows = super::connect::first_number(&rows);
    match expected {
        None => Err(unreadable(path, &"it was not written to its end")),
        Some(expected) if expected != rows => {
            Err(unreadable(path, &format!("it says that it has {expected} rows, and {rows} came out of it")))
        }
        Some(_) => Ok(rows),
    }
}

/// A statement that names its table first, about another table.
fn under(statement: &str, own: &TableName, table: &TableName) -> String {
    if own == table { statement.to_owned() } else { statement.replacen(&quote_table(own), &quote_table(table), 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_keys_are_taken_out_of_a_statement() {
        let create = "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  PRIMARY KEY (`id`),\n  CONSTRAINT `t_fk` FOREIGN KEY \
                      (`id`) REFERENCES `p`(`id`) ON UPDATE RESTRICT\n) DEFAULT CHARSET = utf8mb4";
        let (kept, keys) = without_foreign_keys(create);
        let expected =
            "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  PRIMARY KEY (`id`)\n) DEFAULT CHARSET = utf8mb4";
        assert_eq!(kept, expected);
        assert_eq!(keys, ["CONSTRAINT `t_fk` FOREIGN KEY (`id`) REFERENCES `p`(`id`) ON UPDATE RESTRICT"]);
    }

    #[test]
    fn a_statement_is_turned_to_another_table_once() {
        let (own, other) = (TableName::bare("t"), TableName::bare("u"));
        assert_eq!(under("INSERT INTO `t` VALUES ('`t`')", &own, &other), "INSERT INTO `u` VALUES ('`t`')");
    }
}
