//! Copiers, and a copy while it runs: every copier brings the same rows, and what an operator asks of a copy, or a target
//! in distress, it does.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, Engine, Kind, oceanbase, postgres18};
use millrace_tests::{Client, Millrace, Told, count_rows, names_of_tables};
use serde_json::{Value, json};

use crate::{QUICKSTART, Shop, millrace};

/// So many items, and a few words.
fn items(rows: u32) -> String {
    format!(
        "CREATE TABLE item (id bigint PRIMARY KEY, account integer NOT NULL, title varchar(60) NOT NULL,
            amount numeric(12,2), booked_at timestamp(6) NOT NULL);
         INSERT INTO item SELECT n, n % 1000, 'Item ' || n || ' ' || md5(n::text), n / 100.0,
            timestamp '2020-01-01' + n * interval '1 second' FROM generate_series(1, {rows}) AS n;
         CREATE TABLE word (id integer PRIMARY KEY, text varchar(20));
         INSERT INTO word SELECT n, 'word ' || n FROM generate_series(1, 10) AS n;
         ANALYZE;"
    )
}

/// A pipeline with this copier.
fn pipeline(millrace: &Millrace, copier: &str) -> Result<String> {
    let text = std::fs::read_to_string(QUICKSTART)?;
    let other = text.replace("plugin = \"copy-range\"\nconfig = { workers = 4 }", copier);
    ensure!(text != other, "the quickstart's copier is not what it was");
    Ok(millrace.write("pipelines/copiers.toml", &other))
}

/// A source with items, an empty target, and a pipeline with this copier between them.
struct Items {
    source: Database,
    target: Database,
    millrace: Millrace,
    pipeline: String,
}

impl Items {
    async fn open(rows: u32, copier: &str) -> Result<Self> {
        Self::open_at(oceanbase().fresh_database("items").await?, rows, copier).await
    }

    async fn open_at(target: Database, rows: u32, copier: &str) -> Result<Self> {
        let source = postgres18().fresh_database("items").await?;
        source.run_sql(&items(rows)).await?;
        let millrace = millrace().between(&source, &target);
        let pipeline = pipeline(&millrace, copier)?;
        Ok(Self { source, target, millrace, pipeline })
    }

    /// Runs the pipeline to its end, and reads what it tells.
    async fn run(&self) -> Result<Told> {
        let ran = self.millrace.run(&["run", &self.pipeline, "--yes", "--json"]).await?.expect(0)?;
        Told::read(&ran.json()?)
    }

    /// Rows of the shadow of the items, as others see them.
    async fn rows_arrived(&self) -> Result<u64> {
        match names_of_tables(&self.target).await?.into_iter().find(|name| name.starts_with("item_tmp_")) {
            Some(shadow) => count_rows(&self.target, &shadow).await,
            None => Ok(0),
        }
    }

    async fn tune(&self, arguments: &[&str]) -> Result<Value> {
        let arguments: Vec<&str> = ["tune", "last", "--json"].iter().chain(arguments).copied().collect();
        self.millrace.run(&arguments).await?.expect(0)?.json()
    }
}

#[tokio::test]
async fn every_copier_brings_the_same_rows() -> Result<()> {
    let mut digests = Vec::new();
    for copier in ["copy-range", "copy-stream", "copy-adaptive", "copy-in-server"] {
        let shop = Shop::open(300).await?;
        let pipeline = pipeline(&shop.millrace, &format!("plugin = \"{copier}\""))?;
        let ran = shop.millrace.run(&["run", &pipeline, "--yes", "--json"]).await?.expect(0)?;
        let told = Told::read(&ran.json()?)?;
        told.every_digest_is_equal()?;
        digests.push((copier, told.digests()));
    }
    for (copier, found) in &digests {
        assert_eq!(*found, digests[0].1, "{copier}");
    }
    Ok(())
}

const IN_SERVER: &str = "plugin = \"copy-in-server\"\nfrom = \"target\"\nconfig = { rows_per_chunk = 700 }";

#[tokio::test]
async fn a_rebuilt_table_is_filled_inside_the_targets_server_where_that_is_possible() -> Result<()> {
    let items = Items::open(5_000, IN_SERVER).await?;
    items.run().await?.every_digest_is_equal()?;
    items.source.run_sql("ALTER TABLE item ALTER COLUMN account TYPE bigint, ALTER COLUMN title TYPE text").await?;
    items.source.run_sql("ALTER TABLE word ADD COLUMN more integer").await?;

    let plan = items.millrace.run(&["plan", &items.pipeline]).await?.expect(0)?;
    plan.says("inside the target's server")?.says("column more is new")?;
    let told = items.run().await?;
    assert_eq!(told.with_strategy("rebuild"), ["item", "word"]);
    let (item, word) = (told.table("item")?, told.table("word")?);
    for table in [item, word] {
        let validation = &table.validation.as_ref().unwrap().validation;
        let copied = table.copy.as_ref().unwrap().rows;
        assert_eq!((validation.verdict.as_str(), validation.rows_compared), ("passed", copied), "{}", table.target);
    }
    assert_eq!(item.copy.as_ref().unwrap().rows, 5_000);
    assert_eq!(item.copy.as_ref().unwrap().digest, "", "no row of it was seen");
    assert_eq!(word.copy.as_ref().unwrap().digest.len(), 32, "it came from the source");
    let chunks = "SELECT COUNT(*), SUM(row_count), MIN(snapshot LIKE 'target/%') FROM millrace_chunks \
                  WHERE run = (SELECT run FROM millrace_runs ORDER BY changed_at DESC LIMIT 1) \
                  AND table_name LIKE 'item%'";
    let found = items.target.query_text(chunks).await?;
    assert_eq!(found[0], ["8", "5000", "1"].map(|text| Some(text.to_owned())), "eight ranges at one instant");

    Ok(())
}

#[tokio::test]
async fn rows_that_changed_in_the_source_alone_are_found_after_a_copy_inside_the_target() -> Result<()> {
    let items = Items::open(3_000, IN_SERVER).await?;
    items.run().await?;
    items.source.run_sql("ALTER TABLE item ALTER COLUMN account TYPE bigint").await?;
    items.source.run_sql("UPDATE item SET title = 'another' WHERE id = 77").await?;
    let ran = items.millrace.run(&["run", &items.pipeline, "--yes", "--json"]).await?.expect(3)?;
    ran.fails_with("validate.differences")?.says("77")?;
    assert_eq!(count_rows(&items.target, "item").await?, 3_000, "the old table is live");
    Ok(())
}

#[tokio::test]
async fn a_copier_that_is_told_to_refuse_does_not_read_rows_that_live_elsewhere() -> Result<()> {
    let refusing = "plugin = \"copy-in-server\"\nfrom = \"target\"\nconfig = { otherwise = \"refuse\" }";
    let items = Items::open(100, refusing).await?;
    let ran = items.millrace.run(&["run", &items.pipeline, "--yes", "--json"]).await?;
    ran.fails_with("copy.not-in-server")?;
    Ok(())
}

/// A copier that is so slow that there is time to tune it.
fn slow(config: &str) -> String {
    format!("plugin = \"copy-range\"\nconfig = {config}\nrows_per_second = 2_000")
}

/// Lets a run of the items begin, and pauses it before it has copied much.
async fn begin_paused(items: &Items) -> Result<millrace_tests::Running> {
    let mut running = items.millrace.spawn(&["run", &items.pipeline, "--yes"])?;
    running.says("made a shadow").await?;
    let mut tuned = items.tune(&["--pause"]).await?;
    let begun = Instant::now();
    // On a busy machine it may take its time until there is a copy that can rest.
    while tuned["in_effect"] != json!(true) && begun.elapsed() < Duration::from_secs(60) {
        tuned = items.tune(&[]).await?;
    }
    assert_eq!((&tuned["paused"], &tuned["in_effect"]), (&json!(true), &json!(true)), "{tuned}");
    running.says("paused").await?;
    Ok(running)
}

#[tokio::test]
async fn another_process_pauses_a_run_slows_it_and_gives_it_workers() -> Result<()> {
    let items = Items::open(60_000, &slow("{ workers = 2, rows_per_chunk = 2_000 }")).await?;
    let mut running = begin_paused(&items).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = items.rows_arrived().await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let after = items.rows_arrived().await?;
    assert_eq!(before, after, "it rests");
    assert!(after < 20_000, "{after} rows are too many for a run that was slowed down at once");

    let begun = Instant::now();
    let tuned = items.tune(&["--resume", "--rows-per-second", "15000", "--workers", "3"]).await?;
    assert_eq!((&tuned["workers"], &tuned["rows_per_second"]), (&json!(3), &json!(15_000)), "{tuned}");
    running.says("goes on").await?;
    let left = 60_000 - after;
    running.says("copied item").await?;
    let (took, least) = (begun.elapsed().as_secs_f64(), left as f64 / 15_000.0 - 1.0);
    assert!(took > least, "{left} rows came within {took} s, and must take {least} s");
    running.finish().await?.expect(0)?;
    assert_eq!(count_rows(&items.target, "item").await?, 60_000);
    let over = items.millrace.run(&["tune", "last", "--pause", "--json"]).await?.expect(2)?;
    over.fails_with("run.not-running")?;
    Ok(())
}

#[tokio::test]
async fn a_table_is_told_to_be_copied_when_it_is_and_not_at_the_end() -> Result<()> {
    let items = Items::open(30_000, &slow("{ workers = 2, rows_per_chunk = 1_000 }")).await?;
    let mut running = begin_paused(&items).await?;
    // Two workers are at the items; a third one has only the words.
    items.tune(&["--resume", "--workers", "3"]).await?;
    running.says("copied word: 10 rows").await?;
    let arrived = items.rows_arrived().await?;
    assert!(arrived < 30_000, "all {arrived} items were copied by then");
    items.tune(&["--rows-per-second", "1000000"]).await?;
    running.says("copied item: 30,000 rows").await?;
    running.finish().await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn the_daemon_tunes_a_run_of_its_own_over_http() -> Result<()> {
    let items = Items::open(20_000, &slow("{ workers = 1, rows_per_chunk = 500 }")).await?;
    let folder = items.millrace.folder().join("pipelines");
    let mut daemon =
        items.millrace.spawn(&["serve", "--listen", "127.0.0.1:0", "--pipelines", folder.to_str().unwrap()])?;
    let client = Client::told_by(&daemon.says("listening on").await?)?;
    let started = client.post("/v1/pipelines/copiers/runs", None).await?.expect(202)?.json()?;
    let path = format!("/v1/runs/{}", started["run"].as_str().context("a run")?);
    let tuned = client.post(&format!("{path}/tune"), Some(&json!({ "rows_per_second": 3_000 }))).await?;
    assert_eq!(tuned.expect(200)?.json()?["rows_per_second"], 3_000);
    let begun = Instant::now();
    let pace = loop {
        ensure!(begun.elapsed() < Duration::from_secs(60), "the copy never said how it goes");
        let shown = client.get(&path).await?.expect(200)?.json()?;
        if shown["progress"]["pace"]["rows_per_second"] == 3_000 {
            break shown["progress"]["pace"].clone();
        }
        ensure!(shown["run"]["state"] != "done", "20,000 rows came at once: {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&pace["paused"], &pace["workers"]), (&json!(false), &json!(1)), "{pace}");
    client.post(&format!("{path}/tune"), Some(&json!({ "rows_per_second": 0 }))).await?.expect(200)?;
    let wrong = client.post(&format!("{path}/tune"), Some(&json!({ "wrokers": 3 }))).await?;
    assert_eq!(wrong.status, 422);
    let begun = Instant::now();
    while client.get(&path).await?.json()?["run"]["state"] != "done" {
        ensure!(begun.elapsed() < Duration::from_secs(60), "the run does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let over = client.post(&format!("{path}/tune"), Some(&json!({ "paused": true }))).await?.expect(409)?;
    assert_eq!(over.json()?["error"]["code"], "run.not-running");
    Ok(())
}

/// Each committed chunk of the items, with when that was.
async fn committed_chunks(target: &Database) -> Result<Vec<Vec<Option<String>>>> {
    let chunks = "SELECT table_name, chunk, committed_at, digest_high, digest_low FROM millrace_chunks ORDER BY 1, 2";
    Ok(target.query_text(chunks).await?)
}

#[tokio::test]
async fn a_killed_copy_goes_on_without_touching_a_chunk_that_was_committed() -> Result<()> {
    let items = Items::open(20_000, "plugin = \"copy-range\"\nconfig = { workers = 2, rows_per_chunk = 500 }").await?;
    let mut running = items.millrace.spawn(&["run", &items.pipeline, "--yes"])?;
    running.says("made a shadow").await?;
    items.tune(&["--rows-per-second", "5000"]).await?;
    let begun = Instant::now();
    while items.rows_arrived().await? < 5_000 {
        ensure!(begun.elapsed() < Duration::from_secs(60), "no rows arrive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.kill().await?;
    let before = committed_chunks(&items.target).await?;
    let rows_before = items.rows_arrived().await?;
    assert!((5_000..20_000).contains(&rows_before), "{rows_before} rows had arrived");

    let resumed = items.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(0)?;
    let told = Told::read(&resumed.json()?)?;
    told.every_digest_is_equal()?;
    let after = committed_chunks(&items.target).await?;
    assert!(before.iter().all(|chunk| after.contains(chunk)), "a committed chunk was copied again");
    // 40 chunks of 500 items, or a few more, and the words.
    let rows: u64 = told.table("item")?.copy.as_ref().unwrap().rows;
    assert_eq!((rows, count_rows(&items.target, "item").await?), (20_000, 20_000));
    assert!(after.len() > before.len());
    Ok(())
}

#[tokio::test]
async fn a_target_that_times_out_slows_the_copy_down_until_it_is_well_again() -> Result<()> {
    // Of its own: how long it waits for locks is the whole server's.
    let engine = Engine::start(Kind::OceanBase).await?;
    let target = engine.fresh_database("items").await?;
    target.run_sql("SET GLOBAL ob_trx_lock_timeout = 300000").await?;
    let items = Items::open_at(target, 20_000, &slow("{ workers = 4, rows_per_chunk = 1_000 }")).await?;
    let mut running = begin_paused(&items).await?;
    // Somebody holds keys of rows that are still to come: whoever inserts them waits, and times out.
    let shadow = names_of_tables(&items.target).await?.into_iter().find(|name| name.starts_with("item_tmp_"));
    let held = format!(
        "START TRANSACTION; INSERT INTO {} (id, account, title, booked_at) VALUES (10500, 1, 'held', '2024-01-01'), \
         (19999, 1, 'held', '2024-01-01'); SELECT SLEEP(3); ROLLBACK",
        shadow.context("there is a shadow")?
    );
    let target = items.target.clone();
    let holder = tokio::spawn(async move { target.run_sql(&held).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    items.tune(&["--resume", "--rows-per-second", "1000000"]).await?;
    let said = running.says("slowed down to").await?;
    assert!(said.contains("2 workers") || said.contains("1 worker"), "{said}");
    holder.await??;
    running.says("copied item").await?;
    running.finish().await?.expect(0)?;
    let report = items.millrace.run(&["report", "--json"]).await?.expect(0)?;
    Told::read(&report.json()?)?.every_digest_is_equal()
}

/// The most memory that a process held, in MiB, as Linux counts it. None: it has ended, or this is not Linux.
fn peak_memory_mib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// Copies large rows with so much memory, and gives the most that the process held, in MiB.
async fn peak_with(memory: &str) -> Result<Option<u64>> {
    let copier = format!("plugin = \"copy-range\"\nmemory = \"{memory}\"\nconfig = {{ workers = 8 }}");
    let items = Items::open(10, &copier).await?;
    let large = "CREATE TABLE large (id integer PRIMARY KEY, text text, bytes bytea);
        INSERT INTO large SELECT n, string_agg(md5(n::text || m), ''),
            decode(string_agg(md5(m::text || n), ''), 'hex')
        FROM generate_series(1, 80) AS n, generate_series(1, 20000) AS m GROUP BY n; ANALYZE;";
    items.source.run_sql(large).await?;
    let running = items.millrace.spawn(&["run", &items.pipeline, "--yes", "--json"])?;
    let process = running.process().context("it runs")?;
    let ending = tokio::spawn(running.finish());
    let mut peak = None;
    while !ending.is_finished() {
        peak = peak_memory_mib(process).or(peak);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = Told::read(&ending.await??.expect(0)?.json()?)?;
    told.every_digest_is_equal()?;
    assert_eq!(told.table("large")?.copy.as_ref().unwrap().rows, 80);
    Ok(peak)
}

#[tokio::test]
async fn large_rows_stay_within_the_memory_that_they_are_given() -> Result<()> {
    let (Some(little), Some(much)) = (peak_with("8MiB").await?, peak_with("1GiB").await?) else {
        eprintln!("not Linux: nothing was measured");
        return Ok(());
    };
    eprintln!("with 8 MiB for rows {little} MiB, with 1 GiB {much} MiB");
    assert!(little <= 256, "{little} MiB with 8 MiB for rows");
    assert!(little + 30 <= much, "{little} MiB with 8 MiB for rows, {much} MiB with 1 GiB");
    Ok(())
}

#[tokio::test]
async fn copiers_are_compared_on_the_same_rows() -> Result<()> {
    let items = Items::open(4_000, "plugin = \"copy-range\"").await?;
    let vendor = items.millrace.folder().join("vendor.wasm");
    let component = millrace_bundle::plugin("copy-stream").context("it comes with Millrace")?;
    std::fs::write(&vendor, component)?;
    let arguments = [
        "bench",
        "copy",
        "--pipeline",
        &items.pipeline,
        "--table",
        "public.item",
        "--rows",
        "3000",
        "--repeat",
        "2",
        "--copier",
        "copy-range {\"workers\": 2, \"rows_per_chunk\": 500}",
        "--copier",
        "copy-adaptive",
        "--copier",
        "./vendor.wasm",
        "--out",
        "figures",
        "--json",
    ];
    let told = items.millrace.run(&arguments).await?.expect(0)?.json()?;
    assert_eq!(told["is_equal"], true, "{told:#}");
    let copiers = told["copiers"].as_array().context("copiers")?;
    assert_eq!(copiers.len(), 3);
    assert!(told["floor_rows_per_second"].as_f64() > Some(0.0), "{told:#}");
    for copier in copiers {
        assert!(copier["floor_ratio"].as_f64() > Some(0.0), "{copier}");
        let copies = copier["copies"].as_array().context("copies")?;
        assert_eq!(copies.len(), 2);
        for copy in copies {
            assert_eq!(
                (&copy["rows"], &copy["digest"]),
                (&json!(3_000), &copiers[0]["copies"][0]["digest"]),
                "{copier}"
            );
            assert!(
                copy["rows_per_second"].as_f64().unwrap() > 0.0 && copy["statements"]["statements"].as_u64() > Some(0)
            );
        }
    }
    let folder = items.millrace.folder().join("figures");
    let saved: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("bench-copy.json"))?)?;
    assert_eq!(saved, told);
    let page = std::fs::read_to_string(folder.join("bench-copy.html"))?;
    assert!(page.contains("<svg") && page.contains("vendor.wasm") && !page.contains("src=\"http"));
    assert!(!names_of_tables(&items.target).await?.iter().any(|name| name.starts_with("item")), "shadows are left");
    let unknown =
        ["bench", "copy", "--pipeline", &items.pipeline, "--table", "nobody", "--copier", "copy-range", "--json"];
    items.millrace.run(&unknown).await?.expect(2)?.fails_with("bench.unknown-table")?;
    let wrong = ["bench", "copy", "--pipeline", &items.pipeline, "--table", "item", "--copier", "differ", "--json"];
    items.millrace.run(&wrong).await?.expect(2)?.fails_with("bench.not-a-copier")?;
    Ok(())
}

/// Rows a second of hand-written `INSERT … SELECT` over ranges of so many rows, in so many sessions.
async fn by_hand(target: &Database, rows: u64, each: u64, sessions: u64) -> Result<f64> {
    target.run_sql("DROP TABLE IF EXISTS hand; CREATE TABLE hand LIKE item").await?;
    let ranges: Vec<u64> = (0..rows.div_ceil(each)).collect();
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for session in 0..sessions {
        let statements: Vec<String> = ranges
            .iter()
            .filter(|range| *range % sessions == session)
            .map(|range| {
                let (first, end) = (range * each + 1, (range + 1) * each + 1);
                format!(
                    "START TRANSACTION; INSERT INTO hand (id, account, title, amount, booked_at) \
                     SELECT id, account, title, amount, booked_at FROM item WHERE id >= {first} AND id < {end}; COMMIT"
                )
            })
            .collect();
        let (target, script) = (
            target.clone(),
            format!("SET ob_query_timeout = 3600000000, ob_trx_timeout = 3600000000; {}", statements.join("; ")),
        );
        tasks.spawn(async move { target.run_sql(&script).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let rate = rows as f64 / begun.elapsed().as_secs_f64();
    ensure!(count_rows(target, "hand").await? == rows, "rows are missing");
    target.run_sql("DROP TABLE hand").await?;
    Ok(rate)
}

/// Copying inside the server against what it is made of, turn by turn. `MILLRACE_BENCH_ROWS` sets the number of rows.
#[tokio::test]
#[ignore = "takes minutes; writes in_server_floor_ratio to target/figures/copiers.json"]
async fn a_copy_inside_the_server_is_about_as_fast_as_one_by_hand() -> Result<()> {
    const EACH: u64 = 100_000;
    let rows: u64 = std::env::var("MILLRACE_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let items = Items::open(u32::try_from(rows)?, "plugin = \"copy-range\"").await?;
    items.run().await?;
    let config = format!("plugin = \"copy-in-server\"\nfrom = \"target\"\nconfig = {{ rows_per_chunk = {EACH} }}");
    let pipeline = pipeline(&items.millrace, &config)?;
    let copier = format!("copy-in-server {{\"workers\": 4, \"rows_per_chunk\": {EACH}}}");
    let arguments =
        ["bench", "copy", "--pipeline", &pipeline, "--table", "item", "--repeat", "1", "--copier", &copier, "--json"];
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for turn in 0..6 {
        let floor = by_hand(&items.target, rows, EACH, 4).await?;
        let told = items.millrace.run(&arguments).await?.expect(0)?.json()?;
        let copy = &told["copiers"][0]["copies"][0];
        assert_eq!((&copy["rows"], &copy["digest"]), (&json!(rows), &Value::Null));
        let rate = copy["rows_per_second"].as_f64().context("a rate")?;
        eprintln!("turn {turn}: {rate:.0} rows/s, by hand {floor:.0} rows/s");
        // The first turn warms the server up.
        if turn > 0 {
            ours.push(rate);
            floors.push(floor);
        }
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let (ours, floor) = (median(&mut ours), median(&mut floors));
    let figures = json!({
        "in_server_rows_per_second": ours,
        "in_server_floor_rows_per_second": floor,
        "in_server_floor_ratio": ours / floor,
    });
    millrace_tests::figures::write("copiers", figures.as_object().context("an object")?)?;
    assert!(ours / floor > 0.5, "{ours:.0} rows/s, and {floor:.0} by hand");
    Ok(())
}
