//! Every value arrives: random values of every type, and the ends of each, go through a whole run, and are compared by the
//! source itself with what the target says of them. Nothing of Millrace takes part in the comparison.
//!
//! `MILLRACE_VALUES_SEED` draws the same values again, `MILLRACE_VALUES_SECONDS` says for how long new ones are drawn, and
//! `MILLRACE_VALUES` names a part of the cases' names. A value that fails is added to `tests/regressions/values`, from
//! where it is tried every time.

mod cases;
mod choices;
mod properties;
mod random;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cases::{CASES, Case, Fate, quote};
use choices::CHOICES;
use millrace_test_engines::{Database, oceanbase, postgres18};
use random::Random;

use crate::mariadb::MariaDb;
use crate::millrace;

/// Random values of each type in one round.
const DRAWN: usize = 60;

/// The rows of the table of types: each must have a case here, or a property in [`properties`].
const TABLE_OF_TYPES: &[&str] = &[
    "smallint, integer, bigint, oid",
    "numeric(p,s)",
    "numeric",
    "NaN, ±infinity; dates ±infinity, BC, after 9999",
    "real, double",
    "money",
    "boolean",
    "char(n)",
    "varchar(n), text",
    "citext",
    "unique keys on text",
    "bytea",
    "date, timestamp, time",
    "timestamptz",
    "timetz, interval",
    "json, jsonb",
    "uuid",
    "enum, domain, composite, range, hstore, array",
    "bit(n), varbit",
    "inet, cidr, macaddr, xml, tsvector, point…",
    "vector(n)",
    "identity, serial",
    "generated column",
    "default",
    "partial unique index",
    "expression index",
    "GIN, GiST, exclusion, deferrable, inheritance, triggers, routines",
    "partitions",
    "names",
];

#[test]
fn every_row_of_the_table_of_types_is_tried() {
    let tried = |row: &str| CASES.iter().any(|c| c.row == row) || properties::PROPERTIES.iter().any(|p| p.row == row);
    let missing: Vec<&&str> = TABLE_OF_TYPES.iter().filter(|row| !tried(row)).collect();
    assert!(missing.is_empty(), "nothing tries {missing:#?}");
    let unknown: Vec<&str> = CASES.iter().map(|c| c.row).filter(|row| !TABLE_OF_TYPES.contains(row)).collect();
    assert!(unknown.is_empty(), "rows that the table does not have: {unknown:#?}");
}

#[tokio::test]
async fn values_of_every_type_arrive_or_are_rejected_with_their_code() -> Result<()> {
    let seconds = std::env::var("MILLRACE_VALUES_SECONDS").map_or(Ok(5), |text| text.parse())?;
    let wanted = std::env::var("MILLRACE_VALUES").unwrap_or_default();
    let cases = known_cases(&wanted).await?;
    let (began, limit) = (Instant::now(), Duration::from_secs(seconds));
    let mut seed = Random::chosen_seed();
    let mut values = 0;
    loop {
        let target = oceanbase().fresh_database("values").await?;
        values += Round::draw(&cases, seed).carry_out(&target).await.with_context(|| format!("seed {seed}"))?;
        if began.elapsed() >= limit {
            break;
        }
        seed = Random::new(seed).next();
    }
    eprintln!(
        "{values} values of {} types in {:.1} s; the last seed was {seed}",
        cases.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

#[tokio::test]
async fn values_of_every_type_but_vectors_arrive_in_mariadb() -> Result<()> {
    let Some(server) = MariaDb::start(&[]).await? else {
        eprintln!("MariaDB as a target was not tried: mariadbd is not installed");
        return Ok(());
    };
    let mut cases = known_cases("").await?;
    cases.retain(|case| !case.asked_in_target);
    let seed = Random::chosen_seed();
    let target = server.fresh_database().await?;
    let values = Round::draw(&cases, seed).carry_out(&target).await.with_context(|| format!("seed {seed}"))?;
    eprintln!("{values} values of {} types in MariaDB; the seed was {seed}", cases.len());
    Ok(())
}

/// The cases whose types the source has and whose names contain a text.
async fn known_cases(wanted: &str) -> Result<Vec<&'static Case>> {
    let source = postgres18().fresh_database("values").await?;
    let mut cases = Vec::new();
    for case in CASES.iter().chain(CHOICES).filter(|case| case.name.contains(wanted)) {
        match case.needs.is_empty() || !source.query_text(case.needs).await?.is_empty() {
            true => cases.push(case),
            false => eprintln!("{} is not tried: this server has no such type", case.declared),
        }
    }
    Ok(cases)
}

/// The folder of values that have failed once.
fn regressions(case: &Case) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions/values").join(format!("{}.sql", case.name))
}

/// Values of all cases, and their way through one run.
struct Round<'a> {
    seed: u64,
    /// Of each case its values in SQL; a value's id is its place.
    tables: Vec<(&'a Case, Vec<String>)>,
}

impl<'a> Round<'a> {
    fn draw(cases: &[&'a Case], seed: u64) -> Self {
        let tables = cases.iter().enumerate().map(|(at, case)| {
            let mut random = Random::new(seed.wrapping_add(at as u64));
            let known = std::fs::read_to_string(regressions(case)).unwrap_or_default();
            let mut values = vec!["NULL".to_owned()];
            values.extend(known.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
            values.extend(case.extremes.iter().map(|value| (*value).to_owned()));
            values.extend((0..DRAWN).map(|_| (case.random)(&mut random)));
            (*case, values)
        });
        Self { seed, tables: tables.collect() }
    }

    fn pipeline(&self) -> String {
        let mut choices = String::new();
        let mut casts = String::new();
        for (case, _) in &self.tables {
            if !case.choices.is_empty() {
                writeln!(choices, "\"public.{}.v\" = {{ {} }}", case.name, case.choices).unwrap();
            }
            if !case.cast.is_empty() {
                writeln!(casts, "\"public.{}.v\" = \"{}\"", case.name, case.cast).unwrap();
            }
        }
        let stage = |plugin: &str, rest: &str| format!("[[stage]]\nplugin = \"{plugin}\"\n{rest}\n");
        [
            "name = \"values\"\n[databases.source]\nurl = \"${env:MILLRACE_SOURCE_URL}\"\n[databases.target]\n\
             url = \"${env:MILLRACE_TARGET_URL}\"\n[tables]\ninclude = [\"public.v_*\"]\n"
                .to_owned(),
            stage("model-postgres", "database = \"source\""),
            stage("model-oceanbase", "database = \"target\""),
            stage("differ", ""),
            stage("convert-oceanbase", &format!("[stage.config.columns]\n{choices}[stage.config.cast]\n{casts}")),
            stage("copy-range", "rejects = { at_most = 1.0 }"),
            stage("validate", ""),
            stage("switch-rename", ""),
        ]
        .concat()
    }

    /// How many values were tried.
    async fn carry_out(&self, target: &Database) -> Result<usize> {
        let source = postgres18().fresh_database("values").await?;
        for (case, values) in &self.tables {
            let mut script =
                format!("{}\nCREATE TABLE {} (id integer PRIMARY KEY, v {});\n", case.setup, case.name, case.declared);
            let rows: Vec<String> = values.iter().enumerate().map(|(id, value)| format!("({id}, {value})")).collect();
            // A row each: a literal takes the column's type only where all of its neighbours would.
            for row in rows {
                writeln!(script, "INSERT INTO {} VALUES {row};", case.name).unwrap();
            }
            source.run_sql(&script).await.with_context(|| format!("{} in the source", case.name))?;
        }
        let millrace = millrace().between(&source, target);
        let pipeline = millrace.write("values.toml", &self.pipeline());
        let ran = millrace.run(&["run", &pipeline, "--yes", "--json"]).await?.expect(0)?;
        let state = ran.json()?["state"].clone();
        ensure!(state == "done", "the run is {state}");
        millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?.says("nothing to do")?;
        let rejects = rejects(target).await?;
        let mut failures = Vec::new();
        for (case, values) in &self.tables {
            let found = self.compare(case, &source, target, &rejects).await;
            for (id, what) in found.with_context(|| format!("comparing {}", case.name))? {
                let value = &values[id];
                keep(case, value)?;
                failures.push(format!("{}: {} {value}: {what}", case.name, case.declared));
            }
        }
        ensure!(failures.is_empty(), "with seed {} these are wrong:\n{}", self.seed, failures.join("\n"));
        Ok(self.tables.iter().map(|(_, values)| values.len()).sum())
    }

    /// What is wrong, by the value's place.
    async fn compare(
        &self,
        case: &Case,
        source: &Database,
        target: &Database,
        rejects: &BTreeMap<(String, usize), String>,
    ) -> Result<Vec<(usize, String)>> {
        let name = case.name;
        let back: BTreeMap<usize, Option<String>> = target
            .query_text(&format!("SELECT id, {} FROM {name}", case.target))
            .await?
            .into_iter()
            .map(|row| Ok((row[0].as_deref().context("an id")?.parse()?, row[1].clone())))
            .collect::<Result<_>>()?;
        let mut script = format!("CREATE TABLE back_{name} (id integer PRIMARY KEY, w text);\n");
        for (id, text) in &back {
            let text = text.as_deref().map_or("NULL".to_owned(), quote);
            writeln!(script, "INSERT INTO back_{name} VALUES ({id}, {text});").unwrap();
        }
        source.run_sql(&script).await?;
        // A composite of NULLs is no NULL, and says that it is.
        let query = format!(
            "SELECT id, {}, (w IS NULL) = (num_nulls(v) = 1) AND (w IS NULL OR ({})), num_nulls(v), w \
             FROM {name} LEFT JOIN back_{name} USING (id) ORDER BY id",
            case.shown, case.same
        );
        let mut wrong = Vec::new();
        for row in source.query_text(&query).await? {
            let id: usize = row[0].as_deref().context("an id")?.parse()?;
            let is_null = row[3].as_deref() == Some("1");
            // A policy may make NULL of a value: its text is then NULL too.
            let meant_null = is_null || row[1].is_none();
            let fate = match &row[1] {
                Some(shown) if !is_null => (case.fate)(shown),
                _ => Fate::Arrives,
            };
            let code = rejects.get(&(name.to_owned(), id));
            let arrived = back.contains_key(&id);
            let equal = match meant_null {
                true => arrived && back[&id].is_none(),
                false => row[2].as_deref() == Some("t"),
            };
            let what = match (fate, code) {
                (Fate::Arrives | Fate::Either(_), None) if arrived && equal => continue,
                (Fate::Rejected(expected) | Fate::Either(expected), Some(code)) if code == expected && !arrived => {
                    continue;
                }
                _ => format!(
                    "expected {fate:?} of {:?}; the target has {:?}, the quarantine {code:?}",
                    row[1],
                    back.get(&id)
                ),
            };
            wrong.push((id, what));
        }
        if case.asked_in_target {
            wrong.extend(self.ask_in_target(case, source, target).await?);
        }
        Ok(wrong)
    }

    async fn ask_in_target(&self, case: &Case, source: &Database, target: &Database) -> Result<Vec<(usize, String)>> {
        let mut wrong = Vec::new();
        let query = format!("SELECT id, {} FROM {} WHERE v IS NOT NULL", case.shown, case.name);
        for row in source.query_text(&query).await? {
            let (id, text) = (row[0].clone().context("an id")?, row[1].clone().context("a value")?);
            let question = format!("SELECT COUNT(*) FROM {} WHERE id = {id} AND v = {}", case.name, quote(&text));
            if target.query_text(&question).await?[0][0].as_deref() != Some("1") {
                wrong.push((id.parse()?, format!("the target has another value than {text}")));
            }
        }
        Ok(wrong)
    }
}

/// Table, id and code of every row in quarantine.
async fn rejects(target: &Database) -> Result<BTreeMap<(String, usize), String>> {
    let query = "SELECT t.live_name, r.row_key, r.code FROM millrace_rejects r JOIN millrace_tables t ON t.table_name = r.table_name";
    let rows = target.query_text(query).await?;
    let rows = if rows.is_empty() {
        // The run is over, and its shadows are no longer listed under their own names.
        target.query_text("SELECT table_name, row_key, code FROM millrace_rejects").await?
    } else {
        rows
    };
    rows.into_iter()
        .map(|row| {
            let key: serde_json::Value = serde_json::from_str(row[1].as_deref().context("a key")?)?;
            let id = key["id"].as_str().context("an id")?.parse()?;
            let table = row[0].clone().context("a table")?;
            let live = table.split("_tmp_").next().unwrap_or_default().to_owned();
            Ok(((live, id), row[2].clone().context("a code")?))
        })
        .collect()
}

/// Adds a value to those that are tried every time.
fn keep(case: &Case, value: &str) -> Result<()> {
    let path = regressions(case);
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    if value.contains('\n') || known.lines().any(|line| line == value) || case.extremes.contains(&value) {
        return Ok(());
    }
    std::fs::create_dir_all(path.parent().context("a folder")?)?;
    writeln!(std::fs::OpenOptions::new().create(true).append(true).open(&path)?, "{value}")?;
    Ok(())
}
