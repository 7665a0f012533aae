//! One migrated database, damaged in every way that is known to happen: a clean one must pass at every level, and each
//! damage must be found by the level that promises it and by every deeper one, named for what it is, and mended.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, figures};
use serde_json::{Value, json};

use crate::{QUICKSTART, millrace};

const LEVELS: [&str; 4] = ["basic", "standard", "detailed", "comprehensive"];

/// Tables of one shape, so that one validation looks at as many damages.
const ITEMS: usize = 12;

fn source_sql() -> String {
    let mut sql = "CREATE TYPE mood AS ENUM ('calm', 'sad', 'wild');
        CREATE TABLE parent (id integer PRIMARY KEY, name text NOT NULL);
        INSERT INTO parent SELECT i, 'parent ' || i FROM generate_series(1, 50) AS i;"
        .to_owned();
    for number in 1..=ITEMS {
        let item = item(number);
        sql.push_str(&format!(
            "CREATE TABLE {item} (
                id bigint PRIMARY KEY, title varchar(80) NOT NULL, body text, price numeric(12,4) NOT NULL,
                ratio float8, quantity integer NOT NULL DEFAULT 7, active boolean NOT NULL, made_at timestamptz NOT NULL,
                local_at timestamp, on_day date, at_time time, doc jsonb NOT NULL, tags integer[], code uuid NOT NULL,
                picture bytea, mood mood NOT NULL, optional_number integer, optional_text text,
                parent_id integer NOT NULL REFERENCES parent (id),
                CONSTRAINT {item}_code UNIQUE (code), CONSTRAINT {item}_quantity CHECK (quantity > -1000)
            );
            CREATE INDEX {item}_made ON {item} (made_at);
            INSERT INTO {item} SELECT i, 'Crème brûlée ' || i,
                CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE E'line one\\nline two of ' || i END,
                i * 1.2345, i / 7.0, i, i % 2 = 0, timestamptz '2024-03-01 12:00:00.123456+00' + i * interval '1 hour',
                timestamp '2024-05-01 08:00:00.654321' + i * interval '1 minute', date '2024-01-01' + i,
                time '10:00:00' + i * interval '1 second',
                jsonb_build_object('n', i, 'name', 'x' || i, 'list', jsonb_build_array(i, i + 1, 3)), ARRAY[i, i + 1, 3],
                md5(i::text)::uuid, decode(md5(i::text), 'hex'), (ARRAY['calm', 'sad', 'wild'])[i % 2 + 2]::mood,
                CASE WHEN i % 3 = 0 THEN NULL ELSE i END, CASE WHEN i % 3 = 0 THEN NULL ELSE 'text ' || i END, i % 50 + 1
            FROM generate_series(1, 300) AS i;"
        ));
    }
    sql.push_str(
        "CREATE TABLE country (code varchar(12) PRIMARY KEY, name text NOT NULL, area bigint);
        INSERT INTO country SELECT 'land' || i, 'Country ' || i, i * 1000 FROM generate_series(1, 200) AS i;
        CREATE TABLE city (code varchar(12) PRIMARY KEY, name text NOT NULL, people bigint);
        INSERT INTO city SELECT 'town' || i, 'City ' || i, i * 500 FROM generate_series(1, 200) AS i;
        CREATE TABLE line (order_id bigint, line smallint, amount numeric(10,2), note varchar(40), PRIMARY KEY (order_id, line));
        INSERT INTO line SELECT i / 3, i % 3, i * 1.5, 'note ' || i FROM generate_series(1, 300) AS i;
        CREATE TABLE log_entry (at timestamptz NOT NULL, who varchar(20), words text);
        INSERT INTO log_entry SELECT timestamptz '2024-01-01 00:00+00' + i * interval '1 second', 'user' || i, 'did ' || i
            FROM generate_series(1, 200) AS i;
        CREATE TABLE note_entry (at timestamptz NOT NULL, who varchar(20), words text);
        INSERT INTO note_entry SELECT timestamptz '2024-01-01 00:00+00' + i * interval '1 second', 'user' || i, 'did ' || i
            FROM generate_series(1, 200) AS i; ANALYZE;",
    );
    sql
}

fn item(number: usize) -> String {
    format!("item_{number:02}")
}

/// A finding that names a damage.
#[derive(Clone, Copy, Debug)]
struct Name {
    code: &'static str,
    cause: &'static str,
    /// Empty: not about a column, a rule or an object.
    about: &'static str,
}

const fn named(code: &'static str, cause: &'static str, about: &'static str) -> Name {
    Name { code, cause, about }
}

const fn changed(cause: &'static str, about: &'static str) -> Name {
    named("validate.changed", cause, about)
}

const MISSING: Name = named("validate.missing", "row", "");
const EXTRA: Name = named("validate.extra", "row", "");

/// One way to damage a table.
#[derive(Clone, Debug)]
struct Damage {
    what: &'static str,
    table: String,
    sql: String,
    /// The level that promises to find it.
    level: &'static str,
    names: Vec<Name>,
}

/// Damages of items, each of another one: `{item}` stands for it.
fn of_items(damages: &[(&'static str, &str, &'static str, &[Name])]) -> Vec<Damage> {
    assert!(damages.len() <= ITEMS, "one damage an item");
    (1..)
        .zip(damages)
        .map(|(number, (what, sql, level, names))| Damage {
            what,
            table: item(number),
            sql: sql.replace("{item}", &item(number)),
            level,
            names: names.to_vec(),
        })
        .collect()
}

fn of(what: &'static str, table: &str, sql: &str, level: &'static str, names: &[Name]) -> Damage {
    Damage { what, table: table.to_owned(), sql: sql.to_owned(), level, names: names.to_vec() }
}

const ALL_BUT_ID: &str = "title, body, price, ratio, quantity, active, made_at, local_at, on_day, at_time, doc, tags, \
    picture, mood, optional_number, optional_text, parent_id";

/// Damages of rows, in rounds: within a round every table is damaged once.
fn rounds_of_rows() -> Vec<Vec<Damage>> {
    let added = format!(
        "INSERT INTO {{item}} (id, code, {ALL_BUT_ID}) \
         SELECT 100000, '11111111-2222-3333-4444-555555555555', {ALL_BUT_ID} FROM {{item}} WHERE id = 5"
    );
    let replaced = format!("DELETE FROM {{item}} WHERE id = 7; {added}");
    let first = of_items(&[
        ("a row deleted", "DELETE FROM {item} WHERE id = 5", "basic", &[MISSING]),
        ("a row added", &added, "basic", &[EXTRA]),
        ("a row replaced by another", &replaced, "detailed", &[MISSING, EXTRA]),
        (
            "two rows' values swapped",
            "UPDATE {item} SET title = CASE id WHEN 5 THEN 'Crème brûlée 6' ELSE 'Crème brûlée 5' END WHERE id IN (5, 6)",
            "detailed",
            &[changed("swapped", "title")],
        ),
        (
            "a bit",
            "UPDATE {item} SET picture = x'e5da3b7fbbce2345d7772b0674a318d5' WHERE id = 5",
            "detailed",
            &[changed("bit", "picture")],
        ),
        ("a case", "UPDATE {item} SET title = LOWER(title) WHERE id = 5", "detailed", &[changed("case", "title")]),
        (
            "a trailing blank",
            "UPDATE {item} SET title = CONCAT(title, ' ') WHERE id = 5",
            "detailed",
            &[changed("trailing-blanks", "title")],
        ),
        (
            "combining marks",
            "UPDATE {item} SET title = 'Cre\u{300}me bru\u{302}le\u{301}e 5' WHERE id = 5",
            "detailed",
            &[changed("combining-marks", "title")],
        ),
        ("a sign", "UPDATE {item} SET quantity = -quantity WHERE id = 5", "detailed", &[changed("sign", "quantity")]),
        (
            "a scale digit",
            "UPDATE {item} SET price = ROUND(price, 2) WHERE id = 5",
            "detailed",
            &[changed("scale", "price")],
        ),
        (
            "a microsecond",
            "UPDATE {item} SET made_at = made_at + INTERVAL 1 MICROSECOND WHERE id = 5",
            "detailed",
            &[changed("microseconds", "made_at")],
        ),
        (
            "an hour",
            "UPDATE {item} SET made_at = made_at + INTERVAL 1 HOUR WHERE id = 5",
            "detailed",
            &[changed("time-zone", "made_at")],
        ),
    ]);
    let second = of_items(&[
        (
            "an empty text for NULL",
            "UPDATE {item} SET optional_text = '' WHERE id = 6",
            "detailed",
            &[changed("null-against-empty", "optional_text")],
        ),
        (
            "NULL for an empty text",
            "UPDATE {item} SET body = NULL WHERE id = 11",
            "detailed",
            &[changed("null-against-empty", "body")],
        ),
        (
            "0 for NULL",
            "UPDATE {item} SET optional_number = 0 WHERE id = 6",
            "detailed",
            &[changed("zero-for-null", "optional_number")],
        ),
        (
            "NULL for a value",
            "UPDATE {item} SET optional_number = NULL WHERE id = 5",
            "detailed",
            &[changed("null-for-value", "optional_number")],
        ),
        (
            "a value for NULL",
            "UPDATE {item} SET optional_number = 9 WHERE id = 6",
            "detailed",
            &[changed("value-for-null", "optional_number")],
        ),
        (
            "JSON reordered",
            "UPDATE {item} SET doc = '{\"n\": 5, \"name\": \"x5\", \"list\": [3, 6, 5]}' WHERE id = 5",
            "detailed",
            &[changed("json-order", "doc")],
        ),
        (
            "a digit in JSON",
            "UPDATE {item} SET doc = '{\"n\": 5, \"name\": \"x5\", \"list\": [5, 6, 4]}' WHERE id = 5",
            "detailed",
            &[changed("json-number", "doc")],
        ),
        (
            "a text in JSON",
            "UPDATE {item} SET doc = '{\"n\": 5, \"name\": \"y5\", \"list\": [5, 6, 3]}' WHERE id = 5",
            "detailed",
            &[changed("json-value", "doc")],
        ),
        (
            "three quarters of an hour",
            "UPDATE {item} SET local_at = local_at - INTERVAL 45 MINUTE WHERE id = 5",
            "detailed",
            &[changed("time-zone", "local_at")],
        ),
        (
            "a day",
            "UPDATE {item} SET on_day = on_day + INTERVAL 1 DAY WHERE id = 5",
            "detailed",
            &[changed("day", "on_day")],
        ),
        (
            "accents lost",
            "UPDATE {item} SET title = 'Creme brulee 5' WHERE id = 5",
            "detailed",
            &[changed("accents", "title")],
        ),
        (
            "a text misread as Latin-1",
            "UPDATE {item} SET title = 'CrÃ¨me brÃ»lÃ©e 5' WHERE id = 5",
            "detailed",
            &[changed("encoding", "title")],
        ),
    ]);
    let third = of_items(&[
        (
            "a text cut off",
            "UPDATE {item} SET body = LEFT(body, 4) WHERE id = 5",
            "detailed",
            &[changed("truncated", "body")],
        ),
        (
            "question marks for characters",
            "UPDATE {item} SET title = 'Cr?me br?l?e 5' WHERE id = 5",
            "detailed",
            &[changed("encoding", "title")],
        ),
        (
            "a blank doubled within a text",
            "UPDATE {item} SET title = 'Crème  brûlée 5' WHERE id = 5",
            "detailed",
            &[changed("white-space", "title")],
        ),
        (
            "other ends of lines",
            "UPDATE {item} SET body = REPLACE(body, CHAR(10), CONCAT(CHAR(13), CHAR(10))) WHERE id = 5",
            "detailed",
            &[changed("white-space", "body")],
        ),
        (
            "the last digits of a float",
            "UPDATE {item} SET ratio = ratio + 1e-9 WHERE id = 5",
            "detailed",
            &[changed("precision", "ratio")],
        ),
        (
            "the point moved",
            "UPDATE {item} SET price = price * 10 WHERE id = 5",
            "detailed",
            &[changed("scale", "price")],
        ),
        (
            "a flag turned",
            "UPDATE {item} SET active = 1 - active WHERE id = 5",
            "detailed",
            &[changed("value", "active")],
        ),
        ("another label", "UPDATE {item} SET mood = 'calm' WHERE id = 5", "detailed", &[changed("value", "mood")]),
        (
            "a digit of a UUID",
            "UPDATE {item} SET code = CONCAT('0', SUBSTR(code, 2)) WHERE id = 5",
            "detailed",
            &[changed("value", "code")],
        ),
        (
            "an array reordered",
            "UPDATE {item} SET tags = '[3, 6, 5]' WHERE id = 5",
            "detailed",
            &[changed("json-order", "tags")],
        ),
        (
            "a second",
            "UPDATE {item} SET at_time = ADDTIME(at_time, '00:00:01') WHERE id = 5",
            "detailed",
            &[changed("value", "at_time")],
        ),
        (
            "fractions of seconds lost",
            "UPDATE {item} SET local_at = DATE_FORMAT(local_at, '%Y-%m-%d %H:%i:%s') WHERE id = 5",
            "detailed",
            &[changed("microseconds", "local_at")],
        ),
    ]);
    let mut fourth = of_items(&[
        ("a key negated", "UPDATE {item} SET id = -5 WHERE id = 5", "detailed", &[changed("sign", "id")]),
        (
            "a whole column shifted by hours",
            "UPDATE {item} SET made_at = made_at + INTERVAL 8 HOUR",
            "detailed",
            &[changed("time-zone", "made_at")],
        ),
        ("a table emptied", "DELETE FROM {item}", "basic", &[MISSING]),
        ("half of a table lost", "DELETE FROM {item} WHERE id > 150", "basic", &[MISSING]),
        (
            "a row that refers to nothing",
            "SET foreign_key_checks = 0; UPDATE {item} SET parent_id = 9999 WHERE id = 5; SET foreign_key_checks = 1",
            "detailed",
            &[changed("value", "parent_id"), named("validate.rule", "foreign-key", "*")],
        ),
        (
            "two columns of one row",
            "UPDATE {item} SET title = UPPER(title), quantity = 0 WHERE id = 5",
            "detailed",
            &[changed("case", "title"), changed("value", "quantity")],
        ),
    ]);
    fourth.extend([
        of(
            "a row doubled in a table without a key",
            "log_entry",
            "INSERT INTO log_entry (at, who, words) SELECT at, who, words FROM log_entry WHERE who = 'user5'",
            "basic",
            &[named("validate.extra", "doubled", "")],
        ),
        of(
            "a value in a table without a key",
            "note_entry",
            "UPDATE note_entry SET words = 'did  5' WHERE who = 'user5'",
            "detailed",
            &[changed("white-space", "words")],
        ),
        of(
            "a trailing blank in a key",
            "country",
            "UPDATE country SET code = CONCAT(code, ' ') WHERE code = 'land5'",
            "detailed",
            &[changed("trailing-blanks", "code")],
        ),
        of(
            "a case in a key",
            "city",
            "UPDATE city SET code = 'TOWN5' WHERE code = 'town5'",
            "detailed",
            &[changed("case", "code")],
        ),
        of(
            "a cent in a table with two key columns",
            "line",
            "UPDATE line SET amount = amount + 0.01 WHERE order_id = 5 AND line = 1",
            "detailed",
            &[changed("scale", "amount")],
        ),
        of(
            "a parent row lost",
            "parent",
            "SET foreign_key_checks = 0; DELETE FROM parent WHERE id = 50; SET foreign_key_checks = 1",
            "basic",
            &[MISSING],
        ),
    ]);
    vec![first, second, third, fourth]
}

/// The names of a table's checks and foreign keys on the target: they carry the stamp of the run that made them.
async fn constraint(target: &Database, table: &str, kind: &str, holds: &str) -> Result<String> {
    let shown = target.query_text(&format!("SHOW CREATE TABLE {table}")).await?;
    let text = shown.first().and_then(|row| row.get(1).cloned().flatten()).context("a table's definition")?;
    let line = text.lines().find(|line| line.contains("CONSTRAINT `") && line.contains(kind) && line.contains(holds));
    let line = line.with_context(|| format!("{table} has no {kind} with {holds}: {text}"))?;
    Ok(line.split('`').nth(1).context("a quoted name")?.to_owned())
}

fn schema(cause: &'static str, about: &'static str) -> Name {
    named("validate.schema", cause, about)
}

/// Damages of the tables themselves, and of rows that got in because of them.
async fn round_of_schema(target: &Database) -> Result<Vec<Damage>> {
    let check = constraint(target, &item(3), "CHECK", "quantity").await?;
    let reference = constraint(target, &item(6), "FOREIGN KEY", "parent_id").await?;
    let violated = constraint(target, &item(9), "CHECK", "quantity").await?;
    let unchecked = format!("ALTER TABLE {{item}} DROP CHECK {check}");
    let unreferred = format!("ALTER TABLE {{item}} DROP FOREIGN KEY {reference}");
    let broken =
        format!("ALTER TABLE {{item}} DROP CHECK {violated}; UPDATE {{item}} SET quantity = -5000 WHERE id = 5");
    Ok(of_items(&[
        (
            "a dropped index",
            "ALTER TABLE {item} DROP INDEX {item}_made",
            "standard",
            &[schema("index", "item_01_made")],
        ),
        (
            "a dropped key",
            "ALTER TABLE {item} DROP INDEX {item}_code",
            "standard",
            &[schema("unique-key", "item_02_code")],
        ),
        ("a dropped check", &unchecked, "standard", &[schema("check", "*")]),
        (
            "a dropped default",
            "ALTER TABLE {item} ALTER COLUMN quantity DROP DEFAULT",
            "standard",
            &[schema("default", "quantity")],
        ),
        (
            "another default",
            "ALTER TABLE {item} ALTER COLUMN quantity SET DEFAULT 8",
            "standard",
            &[schema("default", "quantity")],
        ),
        ("a dropped reference", &unreferred, "standard", &[schema("foreign-key", "*")]),
        ("an added column", "ALTER TABLE {item} ADD COLUMN stray INT", "standard", &[schema("column", "stray")]),
        (
            "a wider type",
            "ALTER TABLE {item} MODIFY COLUMN title VARCHAR(90) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
            "standard",
            &[schema("column", "title")],
        ),
        (
            "a row that breaks a check which was dropped",
            &broken,
            "standard",
            &[schema("check", "*"), changed("value", "quantity"), named("validate.rule", "check", "*")],
        ),
        (
            "two rows with one key which was dropped",
            "ALTER TABLE {item} DROP INDEX {item}_code; UPDATE {item} SET code = (SELECT c FROM (SELECT code AS c FROM {item} \
             WHERE id = 6) AS other) WHERE id = 5",
            "standard",
            &[
                schema("unique-key", "item_10_code"),
                changed("value", "code"),
                named("validate.rule", "unique-key", "item_10_code"),
            ],
        ),
        (
            "NULL where it may not be",
            "ALTER TABLE {item} MODIFY COLUMN price DECIMAL(12,4) NULL; UPDATE {item} SET price = NULL WHERE id = 5",
            "standard",
            &[
                schema("not-null", "price"),
                changed("null-for-value", "price"),
                named("validate.rule", "not-null", "price"),
            ],
        ),
        (
            "an index of other columns",
            "ALTER TABLE {item} DROP INDEX {item}_made; ALTER TABLE {item} ADD INDEX {item}_made (local_at)",
            "standard",
            &[schema("index", "item_12_made")],
        ),
    ]))
}

/// A database that has been migrated.
struct Stand {
    target: Database,
    millrace: Millrace,
    /// Findings where there was no damage.
    false_alarms: u64,
    tried: u64,
    found: BTreeSet<String>,
}

impl Stand {
    async fn validate(&self, level: &str, more: &[&str]) -> Result<(Option<i32>, BTreeMap<String, Value>)> {
        let mut arguments = vec!["validate", QUICKSTART, "--level", level, "--json"];
        arguments.extend(more);
        let outcome = self.millrace.run(&arguments).await?;
        ensure!(matches!(outcome.code, Some(0 | 3)), "a validation failed\n{outcome}");
        let tables = outcome.json()?["tables"].as_array().context("tables")?.clone();
        let by_name =
            tables.into_iter().filter_map(|t| Some((t["table"].as_str()?.to_owned(), t["validation"].clone())));
        Ok((outcome.code, by_name.collect()))
    }

    /// Demands that nothing is found, and counts what is.
    async fn expect_clean(&mut self, level: &str) -> Result<()> {
        let (code, tables) = self.validate(level, &[]).await?;
        for (name, validation) in &tables {
            for finding in validation["findings"].as_array().context("findings")? {
                eprintln!("false alarm at {level} in {name}: {finding:#}");
                self.false_alarms += 1;
            }
            ensure!(validation["rows_compared"] == validation["rows_equal"], "{name} at {level}: {validation:#}");
        }
        ensure!(code == Some(if self.false_alarms == 0 { 0 } else { 3 }), "exit code {code:?}");
        Ok(())
    }

    /// Applies the damages of a round and looks for them at these levels.
    async fn damage(&mut self, round: &[Damage], levels: &[&str]) -> Result<()> {
        for damage in round {
            self.target.run_sql(&damage.sql).await.with_context(|| format!("{}: {}", damage.what, damage.sql))?;
            self.tried += 1;
            self.found.insert(damage.what.to_owned());
        }
        let damaged: BTreeSet<&str> = round.iter().map(|d| d.table.as_str()).collect();
        for level in levels {
            let depth = LEVELS.iter().position(|l| l == level).context("a level")?;
            let (_, tables) = self.validate(level, &[]).await?;
            for (name, validation) in tables.iter().filter(|(name, _)| !damaged.contains(name.as_str())) {
                if validation["verdict"] != "passed" {
                    // A row that is away breaks the references to it, too.
                    let is_echo = |f: &Value| f["code"] == "validate.rule" && f["cause"] == "foreign-key";
                    let findings = validation["findings"].as_array().context("findings")?;
                    for finding in findings.iter().filter(|f| !is_echo(f)) {
                        eprintln!("false alarm at {level} in {name}: {finding:#}");
                        self.false_alarms += 1;
                    }
                }
            }
            for damage in round {
                let validation = tables.get(&damage.table).with_context(|| format!("no table {}", damage.table))?;
                let promised = LEVELS.iter().position(|l| *l == damage.level).context("a level")?;
                if depth >= promised && !is_found(damage, level, validation) {
                    eprintln!("{} was not found, or not named, at {level}: {validation:#}", damage.what);
                    self.found.remove(damage.what);
                }
            }
        }
        Ok(())
    }
}

/// Whether a level says what it must of a damage.
fn is_found(damage: &Damage, level: &str, validation: &Value) -> bool {
    let findings: Vec<&Value> = validation["findings"].as_array().into_iter().flatten().collect();
    let says = |name: &Name| {
        findings.iter().any(|finding| {
            let about = finding["differences"].as_array().and_then(|all| all.first()).map(|d| d["column"].clone());
            let is_about = match name.about {
                "*" => true,
                "" => about.is_none_or(|column| column.is_null()),
                column => about.is_some_and(|about| about == column),
            };
            finding["code"] == name.code && finding["cause"] == name.cause && is_about
        })
    };
    let due = |name: &&Name| match name.code {
        "validate.schema" => true,
        "validate.rule" => level == "comprehensive",
        _ => level == "detailed" || level == "comprehensive",
    };
    validation["verdict"] == "failed" && damage.names.iter().filter(due).all(says)
}

#[tokio::test]
async fn every_kind_of_damage_is_found_named_and_mended_and_a_clean_database_has_no_finding() -> Result<()> {
    let source = postgres18().fresh_database("mutations").await?;
    let target = oceanbase().fresh_database("mutations").await?;
    source.run_sql(&source_sql()).await?;
    let millrace = millrace().between(&source, &target);
    millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    let mut stand = Stand { target, millrace, false_alarms: 0, tried: 0, found: BTreeSet::new() };
    for level in LEVELS {
        stand.expect_clean(level).await?;
    }
    // Each level is used in some round, and the two that look at every row in all of them.
    let levels = [&LEVELS[..], &LEVELS[2..], &LEVELS[2..], &["basic", "detailed", "comprehensive"]];
    for (round, levels) in rounds_of_rows().iter().zip(levels) {
        stand.damage(round, levels).await?;
        let (code, _) = stand.validate("comprehensive", &["--repair", "--yes", "--discard-new-rows"]).await?;
        ensure!(code == Some(0), "what was repaired still differs");
    }
    stand.expect_clean("comprehensive").await?;
    let round = round_of_schema(&stand.target).await?;
    stand.damage(&round, &LEVELS[1..]).await?;
    // Rows are mended by a repair, tables by a run; what the damage wrote to their rows may go.
    stand.millrace.run(&["run", QUICKSTART, "--yes", "--discard-target-rows"]).await?.expect(0)?;
    stand.expect_clean("comprehensive").await?;

    let found = stand.found.len() as u64;
    let figures = json!({
        "damages_tried": stand.tried, "damages_found": found, "false_alarms": stand.false_alarms,
    });
    println!("{figures}");
    figures::write("mutations", figures.as_object().context("an object")?)?;
    assert!(stand.tried >= 40, "{} damages are too few", stand.tried);
    assert_eq!(found, stand.tried, "damages that were not found");
    assert_eq!(stand.false_alarms, 0);
    Ok(())
}
