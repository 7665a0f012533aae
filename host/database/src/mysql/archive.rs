//! A table in a file: its schema and its rows as SQL, compressed (Zstandard), written before the table is dropped.
//!
//! `zstd -dc FILE | mysql` reads it as well as [`restore`] does. The first line is a comment with a JSON object; every
//! statement ends with a line that holds only a semicolon, which no statement contains: literals have no line feeds. The
//! last line is a comment with what the rows add up to: their number, and digests of all of them and of each column; a
//! file without it was not written to its end, and never has the final name. The compressed form has a checksum of its own,
//! so that of a damaged file nothing is sent to a server. Foreign keys stand in comments: what they
//! refer to may be gone.
//!
//! Values are read so that none loses a digit ([`rows`]). The digest is of the texts that the server prints for them, and
//! is taken again of the restored table, before it gets its name.

mod place;
mod restore;
mod rows;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use millrace_model::{Failure, TableName};
use serde_json::json;
use sqlx::AssertSqlSafe;

use self::place::Place;
use self::rows::{Columns, Sums};
use super::MySql;
use crate::dialect::mysql::{quote_name, quote_table};

pub use self::place::SUFFIX;
pub use self::restore::{Restored, restore, restored_name};

/// The version of the file's form.
const FORMAT: u64 = 2;
/// The first one: it ends with the number of rows and has no digests.
const FORMAT_COUNTED: u64 = 1;
/// Ends a statement, on a line of its own.
const END: &str = ";";
/// Before what the rows add up to.
const SUMS: &str = "-- sums: ";
/// Before a foreign key that the table had.
const FOREIGN_KEY: &str = "-- foreign key: ";
/// Before the number of rows, in the first form.
const ROWS: &str = "-- rows: ";
/// About so many bytes in one INSERT.
const STATEMENT_BYTES: usize = 1 << 20;
/// At most so many rows in one INSERT.
const STATEMENT_ROWS: usize = 500;

/// Writes the table to a file of this folder, which is made when it is not there. File and folder are on disk when it
/// returns. `keys`: foreign keys that the table had before it was replaced.
pub(super) async fn write(
    target: &MySql,
    table: &TableName,
    folder: &Path,
    run: &str,
    keys: &[String],
) -> Result<PathBuf, Failure> {
    let mut place = Place::open(folder, table, run)?;
    let mut out = place.writer()?;
    let head = json!({ "millrace_archive": FORMAT, "schema": table.schema, "table": table.name, "run": run });
    writeln!(out, "-- {head}").map_err(|e| place.failed(&e))?;
    for key in keys {
        // A comment ends with its line.
        writeln!(out, "{FOREIGN_KEY}{}", key.replace(['\n', '\r'], " ")).map_err(|e| place.failed(&e))?;
    }
    let sums = write_table(target, table, &mut out, &place).await?;
    writeln!(out, "{SUMS}{}", sums.json()).map_err(|e| place.failed(&e))?;
    place.finish(out)
}

async fn write_table(
    target: &MySql,
    table: &TableName,
    out: &mut impl std::io::Write,
    place: &Place,
) -> Result<Sums, Failure> {
    let failed = |e: std::io::Error| place.failed(&e);
    let doing = format!("archive {table}");
    let shown = target.rows_for(&doing, format!("SHOW CREATE TABLE {}", quote_table(table))).await?;
    let create = shown.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten().unwrap_or_default();
    let (create, keys) = without_foreign_keys(&create);
    for key in keys {
        writeln!(out, "{FOREIGN_KEY}{key}").map_err(failed)?;
    }
    writeln!(out, "{create}\n{END}").map_err(failed)?;
    let columns = Columns::of(target, table).await?;
    let insert = format!("INSERT INTO {} ({}) VALUES", quote_name(&table.name), columns.names());
    let mut sums = columns.sums();
    let (mut statement, mut in_statement) = (String::new(), 0);
    let mut connection = target.acquire().await?;
    let failure = |e| target.place.failure(&doing, &e);
    {
        let mut stream = sqlx::raw_sql(AssertSqlSafe(columns.select(table))).fetch(&mut *connection);
        while let Some(row) = stream.try_next().await.map_err(failure)? {
            sums.add(&row).map_err(failure)?;
            statement.push_str(if in_statement == 0 { "\n(" } else { ",\n(" });
            columns.spell(&row, &mut statement).map_err(|words| place.failed(&words))?;
            statement.push(')');
            in_statement += 1;
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
    Ok(sums)
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
}
