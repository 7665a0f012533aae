//! Makes the table of an archive again.
//!
//! It is filled under a name of its own, `{table}_restoring`, which the books know before it exists; counted, read again and
//! compared with what the archive says of its rows; and gets its name last. Whatever ends a restore early, no table looks
//! whole that is not, and the next restore begins with nothing of it left.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use futures::TryStreamExt as _;
use millrace_model::{Failure, TableName};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor};

use super::super::{Bookkeeping, MySql, TableRole, read_rows};
use super::rows::Columns;
use super::{END, FOREIGN_KEY, FORMAT, FORMAT_COUNTED, ROWS, SUMS};
use crate::dialect::mysql::{NAME_CHARACTERS, quote_name, quote_table, restoring_name};
use crate::error::mysql_number;

/// What the names of Millrace's own tables begin with.
const RESERVED: &str = "millrace_";

/// MySQL's number, and OceanBase's, for a check whose name another one has.
const CHECK_NAME_TAKEN: u16 = 3822;

/// Takes every value that a table can hold: zero dates and days that no month has, numbers that are 0 in a column that
/// numbers itself. What it would bend to fit is found when the rows are read again.
const TAKES_ALL: &str = "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', foreign_key_checks = 0";

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The table.
    pub table: TableName,
    /// How many rows.
    pub rows: u64,
    /// Whether their values were compared with the archive's digests: archives of the first form have none.
    pub is_compared: bool,
    /// The foreign keys that the archived table had, or had before it was replaced, as SQL. They are not made again: what
    /// they refer to may be gone, or is live, and an old table is to bind no live one.
    pub foreign_keys: Vec<String>,
}

/// What came with the rows.
struct Filled {
    expected: Expected,
    foreign_keys: Vec<String>,
}

/// What an archive's rows must add up to.
enum Expected {
    Rows(u64),
    Sums(Value),
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::config("tables.archive-unreadable", format!("{} cannot be restored: {why}", path.display()))
}

fn in_the_way(table: &TableName, advice: &str) -> Failure {
    Failure::config("tables.in-the-way", format!("{table} exists already; {advice}")).with("table", table.to_string())
}

/// Refuses a name that the server would refuse when all rows are there, or that is kept for Millrace's own tables.
fn check_name(name: &str) -> Result<(), Failure> {
    let why = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.chars().count() > NAME_CHARACTERS {
        format!("it has more than {NAME_CHARACTERS} characters")
    } else if name.ends_with(char::is_whitespace) {
        "it ends with a blank".to_owned()
    } else if name.contains('\0') {
        "it has a character that no name has".to_owned()
    } else if name.to_lowercase().starts_with(RESERVED) {
        format!("names that begin with {RESERVED} are kept for Millrace's own tables")
    } else {
        return Ok(());
    };
    Err(Failure::config("tables.bad-name", format!("no table can be restored under the name {name:?}: {why}")))
}

/// Reads the whole file, so that nothing of one that is damaged or cut off is sent to a server.
fn prove(path: &Path) -> Result<(), Failure> {
    let mut last = String::new();
    for line in lines(path)? {
        last = line.map_err(|e| unreadable(path, &e))?;
    }
    match last.starts_with(SUMS) || last.starts_with(ROWS) {
        true => Ok(()),
        false => Err(unreadable(path, &"it was not written to its end")),
    }
}

fn lines(path: &Path) -> Result<impl Iterator<Item = std::io::Result<String>> + use<>, Failure> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let decoder = zstd::stream::read::Decoder::new(file).map_err(|e| unreadable(path, &e))?;
    Ok(BufReader::new(decoder).lines())
}

/// What stands in an archive's first line.
struct Head {
    table: TableName,
    run: String,
}

impl Head {
    fn read(path: &Path, lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Result<Self, Failure> {
        let head = lines.next().transpose().map_err(|e| unreadable(path, &e))?.unwrap_or_default();
        let head: Value =
            serde_json::from_str(head.trim_start_matches("-- ")).map_err(|_| unreadable(path, &"it is no archive"))?;
        let form = &head["millrace_archive"];
        if !matches!(form.as_u64(), Some(FORMAT | FORMAT_COUNTED)) {
            let why = format!("its form is {form}, and this Millrace reads {FORMAT_COUNTED} and {FORMAT}");
            return Err(unreadable(path, &why));
        }
        let text = |field: &str| head[field].as_str().unwrap_or_default();
        Ok(Self { table: TableName::new(text("schema"), text("table")), run: text("run").to_owned() })
    }
}

/// The name that the table of an archive will have: this one, or its own.
///
/// # Errors
/// `tables.bad-name`, `tables.archive-unreadable`.
pub fn restored_name(path: &Path, name: Option<&TableName>) -> Result<TableName, Failure> {
    if let Some(name) = name {
        check_name(&name.name)?;
    }
    let own = Head::read(path, &mut lines(path)?)?.table;
    Ok(name.cloned().unwrap_or(own))
}

/// Makes the table of an archive again, with its rows, under its own name or another one. `pipeline`: whose books know the
/// table while it is filled. Nobody else is to restore anything under that name meanwhile.
///
/// # Errors
/// `tables.bad-name`; `tables.archive-unreadable`; `tables.in-the-way` when there is such a table; `tables.restore-differs` when a value came
/// out otherwise than it was archived: the rows then stay under the name that the failure says; and what the database says.
pub async fn restore(
    target: &MySql,
    pipeline: &str,
    path: &Path,
    name: Option<&TableName>,
) -> Result<Restored, Failure> {
    let table = restored_name(path, name)?;
    let mut lines = lines(path)?;
    let head = Head::read(path, &mut lines)?;
    prove(path)?;
    if target.table_exists(&table).await? {
        return Err(in_the_way(&table, "restore under another name"));
    }
    let books = target.bookkeeping();
    let restoring = restoring_name(&table);
    make_room(target, &books, &restoring).await?;
    books.create().await?;
    books.record_tables(&head.run, pipeline, TableRole::Restoring, &[(&restoring, &table)]).await?;
    let restored = match fill(target, path, &head.table, &restoring, lines).await {
        Ok(Filled { expected, foreign_keys }) => {
            compared(target, path, &restoring, expected).await.map(|found| (found, foreign_keys))
        }
        Err(failure) => Err(failure),
    };
    match restored {
        Ok(((rows, is_compared), foreign_keys)) => {
            let rename = format!("RENAME TABLE {} TO {}", quote_table(&restoring), quote_table(&table));
            target.execute(&rename).await?;
            books.forget_tables(&[&restoring]).await?;
            Ok(Restored { table, rows, is_compared, foreign_keys })
        }
        // All that there is of these rows: a person decides.
        Err(failure) if failure.code == "tables.restore-differs" => Err(failure),
        Err(failure) => {
            target.execute(&format!("DROP TABLE IF EXISTS {}", quote_table(&restoring))).await?;
            books.forget_tables(&[&restoring]).await?;
            Err(failure)
        }
    }
}

/// Drops what a restore left that was cut off; a table that no restore made stays.
async fn make_room(target: &MySql, books: &Bookkeeping, restoring: &TableName) -> Result<(), Failure> {
    if !target.table_exists(restoring).await? {
        return Ok(());
    }
    let made = books.all_made().await?;
    if !made.iter().any(|made| made.table == *restoring && made.role == TableRole::Restoring) {
        return Err(in_the_way(restoring, "it has the name under which rows are restored; rename it"));
    }
    target.execute(&format!("DROP TABLE IF EXISTS {}", quote_table(restoring))).await.map(|_| ())
}

/// Runs the archive's statements about another table.
async fn fill(
    target: &MySql,
    path: &Path,
    own: &TableName,
    restoring: &TableName,
    lines: impl Iterator<Item = std::io::Result<String>>,
) -> Result<Filled, Failure> {
    let doing = format!("restore {restoring}");
    let failure = |e: sqlx::Error| target.place.failure(&doing, &e);
    // Closed afterwards: nobody else is to have a session that takes all.
    let mut connection = target.acquire().await?;
    connection.execute(sqlx::raw_sql(TAKES_ALL)).await.map_err(failure)?;
    let mut statement = String::new();
    let (mut expected, mut foreign_keys) = (None, Vec::new());
    for line in lines {
        let line = line.map_err(|e| unreadable(path, &e))?;
        if line == END {
            let renamed = under(&statement, own, restoring);
            let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(renamed.as_str()))).await;
            if let Err(error) = done {
                // Names of checks are those of the whole database, and another table has this one.
                let unnamed = without_check_names(&renamed);
                if mysql_number(&error) != Some(CHECK_NAME_TAKEN) || unnamed == renamed {
                    return Err(failure(error));
                }
                connection.execute(sqlx::raw_sql(AssertSqlSafe(unnamed))).await.map_err(failure)?;
            }
            statement.clear();
        } else if let Some(rows) = line.strip_prefix(ROWS).filter(|_| statement.is_empty()) {
            expected = rows.parse().ok().map(Expected::Rows);
        } else if let Some(sums) = line.strip_prefix(SUMS).filter(|_| statement.is_empty()) {
            expected = serde_json::from_str(sums).ok().map(Expected::Sums);
        } else if let Some(key) = line.strip_prefix(FOREIGN_KEY).filter(|_| statement.is_empty()) {
            foreign_keys.push(key.to_owned());
        } else if !(statement.is_empty() && line.starts_with("-- ")) {
            if !statement.is_empty() {
                statement.push('\n');
            }
            statement.push_str(&line);
        }
    }
    let expected = expected.ok_or_else(|| unreadable(path, &"it was not written to its end"))?;
    Ok(Filled { expected, foreign_keys })
}

/// The statement that makes a table, with checks that the server names: `CONSTRAINT `c` CHECK (…)` loses its first half.
fn without_check_names(create: &str) -> String {
    let line = |line: &str| {
        let unnamed = line.trim_start().strip_prefix("CONSTRAINT `").and_then(|rest| {
            let check = rest.find("` CHECK ")?;
            // Not within the name: there each backtick stands twice.
            (!rest[..check].replace("``", "").contains('`')).then(|| &rest[check + 2..])
        });
        let indent = &line[..line.len() - line.trim_start().len()];
        unnamed.map_or_else(|| line.to_owned(), |check| format!("{indent}{check}"))
    };
    create.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// How many rows there are, and whether their values were compared.
async fn compared(
    target: &MySql,
    path: &Path,
    restoring: &TableName,
    expected: Expected,
) -> Result<(u64, bool), Failure> {
    let doing = format!("read {restoring} again");
    let failure = |e: sqlx::Error| target.place.failure(&doing, &e);
    let mut connection = target.acquire().await?;
    let archived = match expected {
        Expected::Sums(archived) => archived,
        Expected::Rows(archived) => {
            let count = format!("SELECT COUNT(*) FROM {}", quote_table(restoring));
            let rows = super::super::connect::first_number(&read_rows(&mut connection, count).await.map_err(failure)?);
            connection.give_back();
            if rows == archived {
                return Ok((rows, false));
            }
            return Err(unreadable(path, &super::rows::other_count(archived, rows)));
        }
    };
    let columns = Columns::of(target, restoring).await?;
    let mut sums = columns.sums();
    {
        let mut stream = sqlx::raw_sql(AssertSqlSafe(columns.select(restoring))).fetch(&mut *connection);
        while let Some(row) = stream.try_next().await.map_err(failure)? {
            sums.add(&row).map_err(failure)?;
        }
    }
    connection.give_back();
    match sums.differs_from(&archived) {
        None => Ok((sums.rows, true)),
        Some(what) => Err(Failure::data(
            "tables.restore-differs",
            format!("{} was restored, and {what}; the rows are kept in {restoring}", path.display()),
        )
        .with("table", restoring.to_string())),
    }
}

/// A statement that names its table first, about another table.
fn under(statement: &str, own: &TableName, table: &TableName) -> String {
    statement.replacen(&quote_name(&own.name), &quote_table(table), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_server_takes_are_refused_before_rows_are_sent() {
        let long = "x".repeat(65);
        for name in ["", "trail ", "Millrace_runs", long.as_str()] {
            assert_eq!(check_name(name).expect_err(name).code, "tables.bad-name");
        }
        for name in ["t", " t", "ünï 漢", &long[..64]] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn checks_lose_their_names_and_nothing_else_does() {
        let create = "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  CONSTRAINT `a``b` CHECK ((`id` > 1)),\n  \
                      CONSTRAINT `u` UNIQUE (`id`)\n)";
        let expected =
            "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  CHECK ((`id` > 1)),\n  CONSTRAINT `u` UNIQUE (`id`)\n)";
        assert_eq!(without_check_names(create), expected);
    }

    #[test]
    fn a_damaged_file_is_found_by_reading_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.sql.zst");
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
        encoder.include_checksum(true).expect("a checksum");
        std::io::Write::write_all(&mut encoder, b"-- {}\nINSERT INTO `t` VALUES (1)\n;\n-- rows: 1\n").expect("room");
        let whole = encoder.finish().expect("room");
        std::fs::write(&path, &whole).expect("a file");
        assert_eq!(prove(&path), Ok(()));
        for byte in 6..whole.len() {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1;
            std::fs::write(&path, &damaged).expect("a file");
            assert!(prove(&path).is_err(), "byte {byte} of {}", whole.len());
        }
        std::fs::write(&path, &whole[..whole.len() - 5]).expect("a file");
        assert!(prove(&path).is_err(), "cut off");
    }

    #[test]
    fn a_statement_is_turned_to_another_table_once() {
        let (own, other) = (TableName::bare("t"), TableName::bare("u"));
        assert_eq!(under("INSERT INTO `t` VALUES ('`t`')", &own, &other), "INSERT INTO `u` VALUES ('`t`')");
    }
}
