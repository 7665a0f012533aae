//! What the cleaner archives before it drops a table: nothing of it is lost.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, names_of_tables};

use crate::{QUICKSTART, millrace};

/// Tables that have been migrated twice, and whose backups may go.
struct Kept {
    source: Database,
    target: Database,
    millrace: Millrace,
    pipeline: String,
}

impl Kept {
    /// `source`: makes the tables. `before`: is done to the live tables of the target before they are replaced.
    async fn open(source_sql: &str, before: &str, change: &str) -> Result<Self> {
        let source = postgres18().fresh_database("archives").await?;
        let target = oceanbase().fresh_database("archives").await?;
        source.run_sql(source_sql).await?;
        let millrace = millrace().between(&source, &target);
        let text = std::fs::read_to_string(QUICKSTART)?;
        let text = text.replace("config = { grace = \"24h\" }", "config = { grace = \"0s\" }\narchive = \"kept\"");
        let pipeline = millrace.write("pipelines/archives.toml", &text);
        if before.is_empty() {
            millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
        } else {
            target.run_sql(before).await?;
        }
        source.run_sql(change).await?;
        // What is done to the live tables is what is to be archived.
        let arguments = ["run", &pipeline, "--yes", "--discard-target-rows"];
        millrace.run(&arguments).await?.expect(0)?;
        Ok(Self { source, target, millrace, pipeline })
    }

    async fn clean(&self) -> Result<()> {
        self.millrace.run(&["clean", &self.pipeline, "--yes"]).await?.expect(0)?;
        Ok(())
    }

    async fn backups(&self) -> Result<Vec<String>> {
        Ok(names_of_tables(&self.target).await?.into_iter().filter(|name| name.contains("_bak_")).collect())
    }

    fn folder(&self) -> PathBuf {
        self.millrace.folder().join("pipelines/kept")
    }

    fn archives(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder();
        let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        Ok(paths)
    }
}

#[tokio::test]
async fn tables_whose_names_differ_in_one_special_character_are_archived_beside_each_other() -> Result<()> {
    let names = ["a$b", "a_b", "a b"];
    let of_all = |statement: &dyn Fn(&str) -> String| names.map(statement).concat();
    let make = of_all(&|name| {
        format!(
            "CREATE TABLE \"{name}\" (id integer PRIMARY KEY, name text);
             INSERT INTO \"{name}\" SELECT n, 'of {name} ' || n FROM generate_series(1, 20) AS n;"
        )
    });
    let change = of_all(&|name| format!("ALTER TABLE \"{name}\" ADD COLUMN more integer;"));
    let kept = Kept::open(&make, "", &change).await?;
    let backups = kept.backups().await?;
    ensure!(backups.len() == 3, "{backups:?}");
    kept.clean().await?;
    ensure!(kept.backups().await?.is_empty());
    ensure!(kept.archives()?.len() == 3, "{:?}", kept.archives()?);
    let folder = kept.folder();
    let restored = kept.millrace.run(&["restore", &kept.pipeline, folder.to_str().context("a path")?]).await?;
    restored.expect(0)?.says("every value as it was archived")?;
    for backup in backups {
        let live = backup.split("_bak_").next().unwrap_or_default().to_owned();
        let found = kept.target.query_text(&format!("SELECT name FROM `{backup}` WHERE id = 7")).await?;
        ensure!(found == [[Some(format!("of {live} 7"))]], "{found:?}");
    }
    Ok(())
}

/// Every type that the target has, at its ends.
const EVERY_TYPE: &str = r#"
    SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';
    CREATE TABLE item (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, f float, d double, v VECTOR(3), b1 bit(1),
        b64 bit(64), bi binary(4), vb varbinary(40), bl longblob, tb tinyblob, j json, de decimal(65,30), di decimal(20,0),
        y year, ti time(6), dt datetime(6), ts timestamp(6) NULL, da date, e enum('a','b','1'), s set('x','y','z'),
        ti1 tinyint(1), us smallint unsigned, me mediumint, big bigint, fc char(20), txt text, mt mediumtext, p point,
        twice bigint GENERATED ALWAYS AS (big + 2) STORED, KEY by_big (big), CONSTRAINT item_me CHECK (me < 9000000))
        COMMENT = 'it''s; -- /* every */ type' AUTO_INCREMENT = 5000;
    INSERT INTO item (id, f, d, v, b1, b64, bi, vb, bl, tb, j, de, di, y, ti, dt, ts, da, e, s, ti1, us, me, big, fc, txt, mt, p)
    VALUES (0, 1234567, 0.1e0, '[0.123456789,3.40282347e38,1.17549435e-38]', b'1', ~0, x'00ff', x'', x'00ff0a0d27', x'5c',
        '{"a": 1.0, "b": 1.2345678901234568e22, "c": "\\u0001\\n\\\\"}',
        '12345678901234567890123456789012345.123456789012345678901234567890', '-99999999999999999999', 2155,
        '-838:59:59', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999999', '0000-00-00', 'a', 'x,z', 1, 65535,
        -8388608, -9223372036854775808, 'a  ', CONCAT(CHAR(0), CHAR(1), CHAR(8), CHAR(9), CHAR(10), CHAR(11), CHAR(12),
        CHAR(13), CHAR(26), CHAR(27), CHAR(34), CHAR(39), CHAR(92), CHAR(127), ' é 漢 😀 `;'), REPEAT('lang ', 60000),
        ST_GeomFromText('POINT(1.1 -2.2)')),
     (9223372036854775808, 3.4028234663852886e38, 1.7976931348623157e308, '[1,2,3]', b'0', 0, x'', x'ffff', '', '',
        'null', 0, 0, 0, '12:34:56.000001', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '2024-02-31', '1', '', 0, 0,
        8388607, 9223372036854775804, '', '', '', NULL),
     (7, 1.17549435e-38, 5e-324, '[-0.1,1e-7,16777217]', b'1', 1, x'01020304', NULL, NULL, NULL, '[true, "x"]',
        '-0.000000000000000000000000000001', 5, 1901, '-00:00:00.000001', '1000-01-01 00:00:00', NULL, '2024-02-29', 'b',
        'y', 127, 1, 1, 1, 'x', '-- rows: 5', ';', NULL),
     (8, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO item (f, d, bl, txt) VALUES (0.1, -2.5, REPEAT(x'00ff', 1500000), '\n;\n');
"#;

/// What no statement of the archive's would print with fewer digits.
const EXACT: &str = "SELECT id, f + 0e0, d, ARRAY_MAP(x -> x + 0e0, v), b1 + 0, b64 + 0, HEX(bi), HEX(vb), MD5(bl), HEX(tb), j, de, di, y, ti, dt,
    ts, da, e + 0, s + 0, ti1, us, me, big, HEX(fc), HEX(txt), MD5(mt), HEX(p), twice FROM";

#[tokio::test]
async fn a_restored_table_has_every_digit_byte_and_number_that_the_archived_one_had() -> Result<()> {
    let source = "CREATE TABLE item (id bigint PRIMARY KEY); INSERT INTO item VALUES (1);";
    let kept = Kept::open(source, EVERY_TYPE, "").await?;
    let [backup] = kept.backups().await?.try_into().map_err(|all| anyhow::anyhow!("not one backup: {all:?}"))?;
    let exact = format!("{EXACT} {backup} ORDER BY id");
    let before = kept.target.query_text(&exact).await?;
    ensure!(before.len() == 5, "{before:?}");
    let shape = kept.target.query_text(&format!("SHOW CREATE TABLE {backup}")).await?;
    kept.clean().await?;
    let [archive] = kept.archives()?.try_into().map_err(|all| anyhow::anyhow!("not one archive: {all:?}"))?;
    let archive = archive.to_str().context("a path")?;
    kept.millrace
        .run(&["restore", &kept.pipeline, archive])
        .await?
        .expect(0)?
        .says("every value as it was archived")?;
    let after = kept.target.query_text(&exact).await?;
    for (row, (before, after)) in before.iter().zip(&after).enumerate() {
        for (column, (before, after)) in before.iter().zip(after).enumerate() {
            ensure!(before == after, "row {row}, column {column}: {before:?} became {after:?}");
        }
    }
    ensure!(before.len() == after.len());
    let restored = kept.target.query_text(&format!("SHOW CREATE TABLE {backup}")).await?;
    ensure!(shape == restored, "{shape:?}\n{restored:?}");
    Ok(())
}

#[tokio::test]
async fn of_two_restores_under_one_name_one_is_refused_and_one_that_is_killed_is_done_again() -> Result<()> {
    let source = "CREATE TABLE maker (id integer PRIMARY KEY);
        CREATE TABLE item (id integer PRIMARY KEY, words text, maker integer REFERENCES maker);
        INSERT INTO item SELECT n, repeat('word ' || n || ' ', 20) FROM generate_series(1, 40000) AS n;";
    let kept = Kept::open(source, "", "ALTER TABLE item ADD COLUMN more integer").await?;
    kept.clean().await?;
    let [archive] = kept.archives()?.try_into().map_err(|all| anyhow::anyhow!("not one archive: {all:?}"))?;
    let arguments = ["restore", &kept.pipeline, archive.to_str().context("a path")?, "--as", "back"];
    let running = kept.millrace.spawn(&arguments)?;
    while !names_of_tables(&kept.target).await?.iter().any(|name| name == "back_restoring") {
        tokio::task::yield_now().await;
    }
    // It stands still, and is not dead.
    let process = running.process().context("it was too quick to be stopped")?.to_string();
    std::process::Command::new("kill").args(["-STOP", &process]).status()?;
    let elsewhere = millrace().between(&kept.source, &kept.target);
    for other in [&kept.millrace, &elsewhere] {
        let refused = other.run(&[&arguments[..], &["--json"]].concat()).await?.expect(2)?;
        refused.fails_with("run.tables-claimed")?;
    }
    ensure!(running.kill_unless_ended().await?, "it was too quick to be killed");
    let names = names_of_tables(&kept.target).await?;
    ensure!(!names.iter().any(|name| name == "back"), "half a table has the name of a whole one: {names:?}");
    // Its own state folder knows that it is dead. The old table's key was taken from it when names were swapped.
    let restored = kept.millrace.run(&arguments).await?.expect(0)?.says("40,000 rows")?;
    restored.says("without its foreign key: CONSTRAINT")?.says("REFERENCES `maker`")?;
    let names = names_of_tables(&kept.target).await?;
    ensure!(names.iter().any(|name| name == "back") && !names.iter().any(|name| name == "back_restoring"), "{names:?}");
    // A table that no restore made is nobody's to drop.
    kept.target.run_sql("CREATE TABLE other_restoring (id integer PRIMARY KEY)").await?;
    let other = ["restore", &kept.pipeline, archive.to_str().context("a path")?, "--as", "other", "--json"];
    kept.millrace.run(&other).await?.expect(2)?.fails_with("tables.in-the-way")?;
    ensure!(names_of_tables(&kept.target).await?.iter().any(|name| name == "other_restoring"));
    Ok(())
}

#[tokio::test]
async fn a_restore_says_before_it_loads_what_cannot_be_and_afterwards_what_is_missing() -> Result<()> {
    let source = "CREATE TABLE maker (id integer PRIMARY KEY); INSERT INTO maker VALUES (1);
        CREATE TABLE item (id integer PRIMARY KEY, maker integer REFERENCES maker (id), n integer CHECK (n > 0));
        INSERT INTO item SELECT i, 1, i FROM generate_series(1, 50) AS i;";
    // Both are replaced, so that the old tables refer to each other until they are archived.
    let change = "ALTER TABLE item ADD COLUMN more integer; ALTER TABLE maker ADD COLUMN more integer";
    let kept = Kept::open(source, "", change).await?;
    kept.clean().await?;
    let is_child = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("item_"));
    let archive = kept.archives()?.into_iter().find(is_child).context("an archive of item")?;
    let path = archive.to_str().context("a path")?;
    let long = "x".repeat(65);
    for name in ["", "trail ", "millrace_runs_2", long.as_str()] {
        let refused = kept.millrace.run(&["restore", &kept.pipeline, path, "--as", name, "--json"]).await?;
        refused.expect(2)?.fails_with("tables.bad-name")?;
    }
    let mut bytes = std::fs::read(&archive)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = kept.millrace.folder().join("damaged.sql.zst");
    std::fs::write(&damaged, bytes)?;
    let damaged = damaged.to_str().context("a path")?;
    let refused = kept.millrace.run(&["restore", &kept.pipeline, damaged, "--as", "back", "--json"]).await?;
    refused.expect(2)?.fails_with("tables.archive-unreadable")?;
    let names = names_of_tables(&kept.target).await?;
    ensure!(!names.iter().any(|name| name.ends_with("_restoring")), "{names:?}");
    // The second copy has a check of the same name as the first one.
    for name in ["back", "again"] {
        let restored = kept.millrace.run(&["restore", &kept.pipeline, path, "--as", name]).await?.expect(0)?;
        restored.says("50 rows")?.says("without its foreign key: CONSTRAINT")?;
        let wrong = kept.target.run_sql(&format!("INSERT INTO {name} (id, maker, n) VALUES (99, 1, 0)")).await;
        ensure!(wrong.is_err(), "{name} has lost its check");
    }
    Ok(())
}
