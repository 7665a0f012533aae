//! Connections that break: a proxy stands between Millrace and each of its databases, and breaks the connection over
//! which a stage's own statement comes. A run ends with equal digests after it tried again, or it stops and says that
//! the failure passes; then `resume` ends it so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Arm, Chance, Fault, Millrace, Outcome, Proxy, Told, count_rows, figures, names_of_tables};
use serde_json::json;
use tokio::sync::Mutex;

use crate::{QUICKSTART, millrace};

/// Cases at once, each lane with databases and proxies of its own.
const LANES: usize = 3;

const SOURCE: &str = "
    CREATE TABLE item (id integer PRIMARY KEY, name text NOT NULL, price numeric NOT NULL, note varchar(40));
    CREATE TABLE part (id integer PRIMARY KEY, item integer NOT NULL REFERENCES item (id), note varchar(40));
    INSERT INTO item SELECT n, 'item ' || n, n / 8.0, NULL FROM generate_series(1, 250) AS n;
    INSERT INTO part SELECT n, 1 + n % 250, 'part ' || n FROM generate_series(1, 150) AS n;
    ANALYZE";

/// Two databases, and Millrace between proxies that stand before them.
pub(crate) struct Wires {
    /// Where the rows come from.
    pub(crate) source: Database,
    /// Where they go.
    pub(crate) target: Database,
    /// Before the source.
    pub(crate) source_proxy: Proxy,
    /// Before the target.
    pub(crate) target_proxy: Proxy,
    /// Goes through both.
    pub(crate) millrace: Millrace,
    round: u32,
}

impl Wires {
    /// With this script carried out in the source.
    pub(crate) async fn open(script: &str, seed: u64) -> Result<Self> {
        let source = postgres18().fresh_database("wires").await?;
        source.run_sql(script).await?;
        let target = oceanbase().fresh_database("wires").await?;
        let source_proxy = Proxy::start(&source.url, seed).await?;
        let target_proxy = Proxy::start(&target.url, seed ^ 1).await?;
        let millrace = millrace()
            .with("MILLRACE_SOURCE_URL", &source_proxy.url(&source.url)?)
            .with("MILLRACE_TARGET_URL", &target_proxy.url(&target.url)?);
        Ok(Self { source, target, source_proxy, target_proxy, millrace, round: 0 })
    }

    /// [`Wires::open`] with two small tables, which have been migrated.
    pub(crate) async fn migrated() -> Result<Self> {
        let wires = Self::open(SOURCE, 0).await?;
        let pipeline = wires.pipeline(|text| text)?;
        wires.millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
        Ok(wires)
    }

    /// The quickstart's pipeline with little patience, and changed as a test wants it.
    pub(crate) fn pipeline(&self, change: impl Fn(String) -> String) -> Result<String> {
        let text = std::fs::read_to_string(QUICKSTART)?;
        let text = text
            .replace("_SOURCE_URL}\"", "_SOURCE_URL}\"\npatience = \"1s\"")
            .replace("_TARGET_URL}\"", "_TARGET_URL}\"\npatience = \"1s\"")
            .replace("config = { workers = 4 }", "config = { workers = 2, rows_per_chunk = 50 }")
            .replace("grace = \"24h\"", "grace = \"0s\"");
        Ok(self.millrace.write("wires.toml", &change(text)))
    }

    /// The source's developers change both tables.
    pub(crate) async fn change(&mut self) -> Result<()> {
        self.round += 1;
        let width = 40 + self.round;
        // A connection that was broken so that its server does not know holds what its session had locked, until the
        // server finds out; here it does at once.
        let script = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid(); \
             ALTER TABLE item ALTER COLUMN note TYPE varchar({width}); \
             ALTER TABLE part ALTER COLUMN note TYPE varchar({width})"
        );
        Ok(self.source.run_sql(&script).await?)
    }

    /// How wide the live tables' notes are.
    pub(crate) async fn live_width(&self) -> Result<u32> {
        let query = "SELECT character_maximum_length FROM information_schema.columns \
             WHERE table_schema = database() AND table_name = 'item' AND column_name = 'note'";
        let rows = self.target.query_text(query).await?;
        let width = rows.first().and_then(|row| row[0].clone()).context("item has a note")?;
        Ok(width.parse()?)
    }

    /// The run is done: the new tables are live, with all their rows, and nothing else is left.
    async fn is_done(&self, ran: &Outcome) -> Result<()> {
        Told::read(&ran.json()?)?.every_digest_is_equal()?;
        ensure!(self.live_width().await? == 40 + self.round, "the live tables are not the new ones");
        for table in ["item", "part"] {
            let rows = (count_rows(&self.source, table).await?, count_rows(&self.target, table).await?);
            ensure!(rows.0 == rows.1, "{table} has {} rows of {}", rows.1, rows.0);
        }
        let names = names_of_tables(&self.target).await?;
        ensure!(!names.iter().any(|name| name.contains("_tmp_")), "a shadow is left: {names:?}");
        Ok(())
    }
}

/// On which side of Millrace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Target,
}

/// A stage's own statement, and what happens to it.
#[derive(Clone, Copy, Debug)]
struct Case {
    stage: &'static str,
    side: Side,
    statement: &'static [&'static str],
    fault: Fault,
}

/// For each stage statements that only it says.
const STATEMENTS: [(&str, Side, &[&str]); 13] = [
    ("models", Side::Source, &["declare millrace_catalog"]),
    ("models", Side::Target, &["information_schema.columns"]),
    ("plan", Side::Source, &["max(", "\"item\""]),
    ("plan", Side::Target, &["from millrace_tables"]),
    ("shadows", Side::Target, &["create table", "_tmp_"]),
    ("copy", Side::Source, &["pg_export_snapshot"]),
    ("copy", Side::Source, &["copy (", "\"item\""]),
    ("copy", Side::Target, &["insert into `item_tmp_"]),
    ("copy", Side::Target, &["commit"]),
    ("complete", Side::Target, &["foreign key", "_tmp_"]),
    ("validate", Side::Target, &["select `id`", "from `item_tmp_"]),
    ("switch", Side::Target, &["rename table"]),
    ("clean", Side::Target, &["drop table", "_bak_"]),
];

const FAULTS: [Fault; 8] = [
    Fault::Cut,
    Fault::CutWithin,
    Fault::DropAnswer,
    Fault::CutAnswer(7),
    Fault::CutAll,
    Fault::HalfOpen,
    Fault::Delay(Duration::from_millis(200)),
    Fault::Drip,
];

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The run ended by itself.
    Done,
    /// It stopped, and was resumed.
    Resumed,
}

async fn carry_out(wires: &mut Wires, pipeline: &str, case: Case) -> Result<End> {
    wires.change().await?;
    let proxy = if case.side == Side::Source { &wires.source_proxy } else { &wires.target_proxy };
    let arm = case.statement[1..].iter().fold(Arm::next(case.statement[0], case.fault), |arm, part| arm.and(part));
    proxy.arm([arm]);
    let ran = wires.millrace.run(&["run", pipeline, "--yes", "--json"]).await?;
    ensure!(proxy.fired() == 1, "nothing said {:?}; the last statements were {:#?}", case.statement, proxy.seen());
    proxy.disarm();
    if ran.code == Some(0) {
        wires.is_done(&ran).await?;
        return Ok(End::Done);
    }
    let said = ran.json()?;
    let failure = said.get("failure").or(said.get("error")).context("a failure")?;
    ensure!(failure["fault"] == "transient", "it stopped, and the failure does not pass: {ran}");
    ensure!(failure["code"].as_str().is_some_and(|code| !code.is_empty()), "a failure without a code: {ran}");
    let next: &[&str] = if said["run"].is_string() { &["resume", "last"] } else { &["run", pipeline] };
    let next: Vec<&str> = next.iter().copied().chain(["--yes", "--json"]).collect();
    let went_on = wires.millrace.run(&next).await?.expect(0)?;
    wires.is_done(&went_on).await?;
    Ok(End::Resumed)
}

/// Takes cases until there are none.
async fn lane(cases: Arc<Mutex<VecDeque<Case>>>) -> Result<Vec<(Case, End)>> {
    let mut wires = Wires::migrated().await?;
    let pipeline = wires.pipeline(|text| text)?;
    let mut ends = Vec::new();
    loop {
        let Some(case) = cases.lock().await.pop_front() else { return Ok(ends) };
        let begun = Instant::now();
        let end = carry_out(&mut wires, &pipeline, case).await.with_context(|| format!("{case:?}"))?;
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("  {}: {end:?} after {seconds:.1} s: {:?} {:?}", case.stage, case.statement, case.fault);
        ends.push((case, end));
    }
}

async fn all_end_well(cases: Vec<Case>) -> Result<()> {
    let begun = Instant::now();
    let count = cases.len();
    let cases = Arc::new(Mutex::new(VecDeque::from(cases)));
    let lanes: Vec<_> = (0..LANES).map(|_| tokio::spawn(lane(Arc::clone(&cases)))).collect();
    let mut ends = Vec::new();
    for lane in lanes {
        ends.extend(lane.await??);
    }
    let resumed = ends.iter().filter(|(_, end)| *end == End::Resumed).count();
    ensure!(ends.len() == count, "{} of {count} cases were tried", ends.len());
    let figures = json!({
        "cases": count, "ended_by_themselves": count - resumed, "ended_by_resume": resumed,
        "took_s": begun.elapsed().as_secs(),
    });
    figures::write("faults", figures.as_object().context("an object")?)
}

/// Each statement through one fault, another one for each.
#[tokio::test]
async fn every_stage_survives_a_connection_that_breaks() -> Result<()> {
    let cases = STATEMENTS.iter().enumerate().map(|(number, &(stage, side, statement))| {
        // What the switch waits for a server that is silent is in the long form.
        let fault = if stage == "switch" || statement == ["commit"] { Fault::DropAnswer } else { FAULTS[number % 8] };
        Case { stage, side, statement, fault }
    });
    all_end_well(cases.collect()).await
}

#[tokio::test]
#[ignore = "the long form: some minutes"]
async fn every_stage_survives_every_fault_of_a_connection() -> Result<()> {
    let mut cases: Vec<Case> = STATEMENTS
        .iter()
        .flat_map(|&(stage, side, statement)| FAULTS.map(|fault| Case { stage, side, statement, fault }))
        .collect();
    // What takes long comes first.
    cases.sort_by_key(|case| case.fault != Fault::HalfOpen);
    all_end_well(cases).await
}

/// A table without a key: a row that came twice would be there twice.
fn heap(rows: u32) -> String {
    format!(
        "CREATE TABLE heap (n integer NOT NULL, words text NOT NULL);
         CREATE TABLE keyed (id bigint PRIMARY KEY, words text NOT NULL);
         INSERT INTO heap SELECT n, repeat(md5(n::text), 3) FROM generate_series(1, {rows}) AS n;
         INSERT INTO keyed SELECT n, md5(n::text) FROM generate_series(1, {rows}) AS n;
         ANALYZE"
    )
}

/// Cuts connections at random while rows are copied, until there were so many cuts.
async fn no_row_is_lost_or_doubled(rows: u32, cuts_wanted: u32) -> Result<()> {
    let seed = Chance::seed();
    eprintln!("cuts: MILLRACE_TEST_SEED={seed}");
    let begun = Instant::now();
    let (mut cuts, mut runs, mut resumed) = (0, 0_u32, 0);
    while cuts < cuts_wanted {
        let wires = Wires::open(&heap(rows), seed + u64::from(runs)).await?;
        let pipeline = wires.pipeline(|text| text.replace("rows_per_chunk = 50", "rows_per_chunk = 100"))?;
        runs += 1;
        wires.target_proxy.arm([
            Arm::next("_tmp_", Fault::AnyCut).and("insert into").times(u32::MAX).once_in(10),
            Arm::next("commit", Fault::AnyCut).times(u32::MAX).once_in(14),
        ]);
        wires.source_proxy.arm([Arm::next("copy (", Fault::AnyCut).times(u32::MAX).once_in(16)]);
        let mut ran = wires.millrace.run(&["run", &pipeline, "--yes", "--json"]).await?;
        while ran.code != Some(0) {
            let failure = ran.json()?["failure"].clone();
            ensure!(failure["fault"] == "transient", "it stopped, and the failure does not pass: {ran}");
            resumed += 1;
            ensure!(resumed < 100, "it never ends: {ran}");
            ran = wires.millrace.run(&["resume", "last", "--yes", "--json"]).await?;
        }
        cuts += wires.target_proxy.fired() + wires.source_proxy.fired();
        Told::read(&ran.json()?)?.every_digest_is_equal()?;
        for (table, column) in [("heap", "n"), ("keyed", "id")] {
            let digest = |database: &Database| {
                let words = if database.kind.is_postgres() { "sum(length(words))" } else { "sum(char_length(words))" };
                let query = format!("SELECT count(*), count(DISTINCT {column}), sum({column}), {words} FROM {table}");
                let database = database.clone();
                async move { database.query_text(&query).await }
            };
            let (source, target) = (digest(&wires.source).await?, digest(&wires.target).await?);
            ensure!(source == target, "{table} is not what it was: {source:?} and {target:?}; seed {seed}");
        }
    }
    let figures = json!({
        "cuts": cuts, "runs": runs, "resumes": resumed, "rows_lost": 0, "rows_doubled": 0, "seed": seed,
        "took_s": begun.elapsed().as_secs(),
    });
    figures::write("cuts", figures.as_object().context("an object")?)
}

#[tokio::test]
async fn twenty_random_cuts_in_the_copy_lose_and_double_no_row() -> Result<()> {
    no_row_is_lost_or_doubled(2_500, 20).await
}

#[tokio::test]
#[ignore = "the long form: some minutes"]
async fn two_hundred_random_cuts_in_the_copy_lose_and_double_no_row() -> Result<()> {
    no_row_is_lost_or_doubled(2_500, 200).await
}

#[tokio::test]
async fn a_commit_that_arrives_late_is_waited_for_and_no_row_is_refused_as_there_already() -> Result<()> {
    let wires = Wires::open(SOURCE, 0).await?;
    let pipeline = wires.pipeline(|text| text)?;
    // Its connection is given up after two seconds of silence; the rows are still locked then.
    wires.target_proxy.arm([Arm::next("commit", Fault::HeldBack(Duration::from_secs(4)))]);
    let ran = wires.millrace.run(&["run", &pipeline, "--yes", "--json"]).await?.expect(0)?;
    ensure!(wires.target_proxy.fired() == 1, "nothing was committed");
    let told = Told::read(&ran.json()?)?;
    told.every_digest_is_equal()?;
    for (table, rows) in [("item", 250), ("part", 150)] {
        ensure!(count_rows(&wires.target, table).await? == rows, "{table} is not whole");
    }
    ensure!(count_rows(&wires.target, "millrace_rejects").await? == 0, "rows were refused");
    Ok(())
}
