//! Rows that the target cannot hold: listed, exported, tried again; and keys that would collide, found before.

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, count_rows, names_of_tables};
use serde_json::Value;

use crate::millrace;

const ROWS: &str =
    "CREATE TABLE measure (id integer PRIMARY KEY, value double precision, taken date, note varchar(40) NOT NULL);
    INSERT INTO measure SELECT i, i / 3.0, date '2024-01-01' + i, 'note ' || i FROM generate_series(1, 96) AS i;
    INSERT INTO measure VALUES (97, 'NaN', '2024-01-01', 'a, \"b\"'), (98, '-Infinity', '2024-01-01', 'c'),
        (99, 1, 'infinity', 'd'), (100, 2, '0044-03-15 BC', 'e');
    CREATE TABLE code (code varchar(20) PRIMARY KEY, n integer); INSERT INTO code VALUES ('a', 1), ('b', 2);";

/// A pipeline with these words in the copier's stage, and these in the converter's configuration.
fn pipeline(millrace: &Millrace, rejects: &str, configuration: &str) -> Result<String> {
    let text = std::fs::read_to_string(crate::QUICKSTART)?;
    let text =
        text.replace("config = { workers = 4 }", &format!("config = {{ workers = 4 }}\nrejects = {{ {rejects} }}"));
    let with = format!("plugin = \"convert-oceanbase\"\nconfig = {{ {configuration} }}");
    Ok(millrace.write("pipeline.toml", &text.replace("plugin = \"convert-oceanbase\"", &with)))
}

async fn databases(script: &str) -> Result<(Database, Database, Millrace)> {
    let source = postgres18().fresh_database("rejects").await?;
    let target = oceanbase().fresh_database("rejects").await?;
    source.run_sql(script).await?;
    let millrace = millrace().between(&source, &target);
    Ok((source, target, millrace))
}

fn codes(json: &Value) -> Vec<String> {
    let rejects = json["rejects"].as_array().or_else(|| json["remaining"].as_array());
    rejects.into_iter().flatten().filter_map(|r| r["code"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn rejected_rows_are_listed_exported_and_tried_again() -> Result<()> {
    let (source, target, millrace) = databases(ROWS).await?;
    let pipeline = pipeline(&millrace, "at_most = 0.5", "")?;
    millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
    ensure!(count_rows(&target, "measure").await? == 96);
    let listed = millrace.run(&["rejects", "last", "--json"]).await?.expect(0)?.json()?;
    ensure!(codes(&listed) == ["convert.out-of-range"; 4], "{listed:#}");
    ensure!(listed["rejects"][0]["table"] == "measure" && listed["rejects"][0]["value"] == "NaN", "{listed:#}");
    ensure!(listed["groups"].as_array().map(Vec::len) == Some(2), "two columns: {listed:#}");
    millrace
        .run(&["rejects", "last"])
        .await?
        .expect(0)?
        .says("4 rows in quarantine")?
        .says("2 rows: convert.out-of-range in column")?;

    let file = millrace.folder().join("rejects.csv");
    let out = file.to_str().context("a path")?;
    millrace.run(&["rejects", "last", "--format", "csv", "--out", out]).await?.expect(0)?;
    let csv = std::fs::read_to_string(&file)?;
    ensure!(csv.starts_with("table,key,column,value,code,reason\r\n") && csv.matches("\r\n").count() == 5, "{csv}");
    let jsonl = millrace.run(&["rejects", "last", "--format", "jsonl"]).await?.expect(0)?.stdout;
    let lines: Vec<Value> = jsonl.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines.len() == 4 && lines[0]["key"]["id"] == "97", "{jsonl}");

    // One is corrected, one becomes wrong in another way, one goes, and one stays as it is.
    source
        .run_sql(
            "UPDATE measure SET value = 7.5 WHERE id = 97; DELETE FROM measure WHERE id = 98;
             UPDATE measure SET taken = '2024-02-29' WHERE id = 99",
        )
        .await?;
    target.run_sql("INSERT INTO measure VALUES (99, 0, '2000-01-01', 'written by an application')").await?;
    let tried = millrace.run(&["rejects", "retry", "last", "--json"]).await?.expect(1)?.json()?;
    ensure!(tried["tried"] == 4 && tried["inserted"] == 1, "{tried:#}");
    // Why each was left out stays; what is wrong with it now stands behind that.
    ensure!(codes(&tried) == ["convert.out-of-range"; 3], "{tried:#}");
    let refused = &tried["remaining"][1];
    ensure!(refused["column"] == "taken" && refused["value"] == "infinity", "the value is gone: {refused}");
    ensure!(refused["reason"].to_string().contains("; refused again: copy.duplicate-key: 1062"), "{refused}");
    let gone = tried["remaining"][0].to_string();
    ensure!(gone.contains("-Infinity") && gone.contains("the source has no row with this key any more"), "{gone}");
    let row = target.query_text("SELECT value, note FROM measure WHERE id = 97").await?;
    ensure!(row == [[Some("7.5".to_owned()), Some("a, \"b\"".to_owned())]], "{row:?}");

    source.run_sql("UPDATE measure SET taken = '2024-02-28' WHERE id = 100").await?;
    source.run_sql("INSERT INTO measure VALUES (98, 0.5, '2024-01-01', 'again')").await?;
    target.run_sql("DELETE FROM measure WHERE id = 99").await?;
    let tried = millrace.run(&["rejects", "retry", "last", "--json"]).await?.expect(0)?.json()?;
    ensure!(tried["inserted"] == 3 && codes(&tried).is_empty(), "{tried:#}");
    ensure!(count_rows(&target, "measure").await? == 100);
    millrace.run(&["rejects", "last"]).await?.expect(0)?.says("0 rows in quarantine")?;
    millrace.run(&["rollback", "last", "--discard-new-rows"]).await?.expect(0)?;
    millrace.run(&["rejects", "retry", "last", "--json"]).await?.expect(2)?.fails_with("run.not-done")?;
    Ok(())
}

#[tokio::test]
async fn rows_that_are_left_out_are_said_wherever_rows_are_counted() -> Result<()> {
    let (_, target, millrace) = databases(
        "CREATE TABLE dd (id integer PRIMARY KEY, d date NOT NULL);
         INSERT INTO dd SELECT i, CASE WHEN i % 2 = 0 THEN date 'infinity' ELSE date '2024-01-01' END
         FROM generate_series(1, 240) AS i;",
    )
    .await?;
    let pipeline = pipeline(&millrace, "at_most = 0.9", "")?;
    let pipeline_text = std::fs::read_to_string(&pipeline)?;
    let waits = pipeline_text.replace("plugin = \"switch-rename\"", "plugin = \"switch-rename\"\napprove = true");
    let pipeline = millrace.write("pipeline.toml", &waits);
    let ran = millrace.run(&["run", &pipeline]).await?.expect(4)?;
    ran.says("copied dd: 120 rows, 120 rejected")?
        .says("validated dd: 120 rows equal (100 %), 120 left out")?
        .says("120 rows were rejected and are not in the target: millrace rejects")?;
    let approved = millrace.run(&["approve", "last"]).await?.expect(0)?;
    approved.says("done:")?.says("120 rows were rejected and are not in the target")?;
    ensure!(count_rows(&target, "dd").await? == 120);
    for form in ["markdown", "html"] {
        millrace.run(&["report", "last", "--format", form]).await?.expect(0)?.says("nd 20 more")?;
    }
    let report = millrace.run(&["report", "last", "--json"]).await?.expect(0)?.json()?;
    ensure!(report["rejects_in_quarantine"] == 120 && report["rejects"].as_array().map(Vec::len) == Some(100));
    Ok(())
}

#[tokio::test]
async fn private_values_are_nowhere_but_in_their_rows() -> Result<()> {
    let (_, target, millrace) = databases(
        "CREATE TABLE person (id integer PRIMARY KEY, salary numeric NOT NULL, born date);
         INSERT INTO person SELECT i, i, '2000-01-01' FROM generate_series(1, 20) AS i;
         INSERT INTO person VALUES (21, 98765.4321, '2000-01-01'), (22, 5, '12345-06-07');",
    )
    .await?;
    let cast = "cast = { \"public.person.salary\" = \"DECIMAL(9,2)\" }";
    let pipeline = pipeline(&millrace, "at_most = 0.5, values = \"digest\"", cast)?;
    millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
    let kept = target.query_text("SELECT row_key, value, code, reason FROM millrace_rejects ORDER BY row_key").await?;
    let said = format!("{kept:?}{}", millrace.run(&["report", "last", "--json"]).await?.expect(0)?);
    ensure!(!said.contains("98765") && !said.contains("12345"), "a private value was told: {said}");
    let code = |row: usize| kept[row][2].clone().unwrap_or_default();
    ensure!((code(0), code(1)) == ("convert.cast-narrows".to_owned(), "convert.out-of-range".to_owned()), "{kept:?}");
    ensure!(kept.iter().all(|row| row[1].as_deref().is_some_and(|v| v.starts_with("xxh3:"))), "{kept:?}");
    Ok(())
}

#[tokio::test]
async fn keys_that_would_be_one_are_named_before_anything_is_built() -> Result<()> {
    let (source, target, millrace) = databases(ROWS).await?;
    source.run_sql("INSERT INTO code VALUES ('a  ', 3)").await?;
    let strict = pipeline(&millrace, "at_most = 0.0", "")?;
    for command in ["plan", "check"] {
        let refused = millrace.run(&[command, &strict, "--json"]).await?.expect(1)?;
        refused.fails_with("plan.keys-collide")?.says("('a  ') and ('a')")?.says("blanks at the end")?;
    }
    millrace.run(&["run", &strict, "--yes", "--json"]).await?.expect(1)?.fails_with("plan.keys-collide")?;
    ensure!(names_of_tables(&target).await?.is_empty(), "a refused run has made tables");

    let tolerant = pipeline(&millrace, "at_most = 0.5", "")?;
    millrace
        .run(&["plan", &tolerant])
        .await?
        .expect(0)?
        .says("('a  ') and ('a')")?
        .says("asked the source (key-probe)")?;
    millrace.run(&["run", &tolerant, "--yes"]).await?.expect(0)?;
    let listed = millrace.run(&["rejects", "last", "--json"]).await?.expect(0)?.json()?;
    ensure!(codes(&listed).iter().filter(|code| *code == "copy.duplicate-key").count() == 1, "{listed:#}");
    ensure!(count_rows(&target, "code").await? == 2);
    Ok(())
}

#[tokio::test]
async fn a_rejected_row_that_the_source_has_no_more_neither_alarms_for_good_nor_hides_a_lost_one() -> Result<()> {
    let script = "CREATE TABLE dd (id integer PRIMARY KEY, d date NOT NULL);
        INSERT INTO dd SELECT i, CASE WHEN i IN (50, 60) THEN date 'infinity' ELSE date '2024-01-01' END
        FROM generate_series(1, 100) AS i;
        CREATE TABLE heap (n integer, d date);
        INSERT INTO heap SELECT i, CASE WHEN i = 7 THEN date 'infinity' ELSE date '2024-01-01' END
        FROM generate_series(1, 40) AS i;
        CREATE TABLE code (code varchar(20) PRIMARY KEY, n integer); INSERT INTO code VALUES ('a', 1), ('a  ', 2), ('b', 3)";
    let (source, target, millrace) = databases(script).await?;
    let pipeline = pipeline(&millrace, "at_most = 0.9", "")?;
    millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
    millrace.run(&["validate", &pipeline, "--level", "basic"]).await?.expect(0)?;

    // One rejected row is deleted, one corrected on both sides, and one without a key deleted.
    source
        .run_sql(
            "DELETE FROM dd WHERE id = 50; UPDATE dd SET d = '2024-01-01' WHERE id = 60; DELETE FROM heap WHERE n = 7",
        )
        .await?;
    target.run_sql("INSERT INTO dd VALUES (60, '2024-01-01')").await?;
    millrace.run(&["validate", &pipeline, "--level", "basic"]).await?.expect(0)?;
    for level in ["standard", "detailed", "comprehensive"] {
        millrace.run(&["validate", &pipeline, "--level", level, "--tables", "dd"]).await?.expect(0)?;
    }
    target.run_sql("DELETE FROM dd WHERE id = 51").await?;
    let lost = millrace.run(&["validate", &pipeline, "--level", "basic"]).await?.expect(3)?;
    lost.says("public.dd has 99 rows and dd has 98")?;
    target.run_sql("DELETE FROM heap WHERE n = 8").await?;
    let lost = millrace.run(&["validate", &pipeline, "--level", "basic", "--tables", "heap"]).await?.expect(3)?;
    lost.says("public.heap has 39 rows and heap has 38")?;
    Ok(())
}

#[tokio::test]
async fn what_is_known_of_a_row_without_a_key_stays_when_it_is_tried_again() -> Result<()> {
    let script = "CREATE TABLE dd (at date, words text);
        INSERT INTO dd SELECT date '2024-01-01' + n, 'word ' || n FROM generate_series(1, 30) AS n;
        INSERT INTO dd VALUES ('infinity', 'x');";
    let (_, target, millrace) = databases(script).await?;
    let pipeline = pipeline(&millrace, "at_most = 0.5", "")?;
    millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
    for _ in 0..2 {
        let tried = millrace.run(&["rejects", "retry", "last", "--json"]).await?.expect(1)?.json()?;
        let row = &tried["remaining"][0];
        ensure!(
            row["column"] == "at" && row["value"] == "infinity" && row["code"] == "convert.out-of-range",
            "{tried:#}"
        );
        let reason = row["reason"].as_str().unwrap_or_default();
        ensure!(reason.matches("no key by which it could be found").count() == 1, "{reason}");
        ensure!(!reason.starts_with(';'), "the first reason is gone: {reason}");
    }
    ensure!(count_rows(&target, "dd").await? == 30);
    Ok(())
}

#[tokio::test]
async fn a_row_with_a_long_key_that_the_target_refused_is_found_again() -> Result<()> {
    // To the target, the two long keys are one.
    let script = "CREATE TABLE named (name text PRIMARY KEY, n integer NOT NULL);
        INSERT INTO named SELECT 'short ' || n, n FROM generate_series(1, 20) AS n;
        INSERT INTO named VALUES (repeat('k', 1500), 1), (repeat('k', 1500) || ' ', 2);";
    let (_, target, millrace) = databases(script).await?;
    let pipeline = pipeline(&millrace, "at_most = 0.5", "")?;
    millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
    ensure!(count_rows(&target, "named").await? == 21);
    target.run_sql("DELETE FROM named WHERE LENGTH(name) >= 1500").await?;
    let tried = millrace.run(&["rejects", "retry", "last", "--json"]).await?.expect(0)?.json()?;
    ensure!(tried["inserted"] == 1, "{tried:#}");
    Ok(())
}

#[tokio::test]
async fn rejects_of_a_copy_that_failed_are_listed_with_their_keys() -> Result<()> {
    let long = "1".repeat(400);
    let script = format!(
        "{ROWS} DELETE FROM measure WHERE id > 96;
         CREATE TABLE wide (id integer PRIMARY KEY, n numeric); INSERT INTO wide VALUES (1, 5), (7, {long});
         CREATE TABLE other (id integer PRIMARY KEY); INSERT INTO other SELECT generate_series(1, 30000);"
    );
    let (_, _, millrace) = databases(&script).await?;
    let pipeline = pipeline(&millrace, "at_most = 0.0", "cast = { \"public.wide.n\" = \"DECIMAL(9,2)\" }")?;
    let ran = millrace.run(&["run", &pipeline, "--yes"]).await?.expect(1)?.says("copy.rejects-exceeded")?;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    ensure!(said.contains("next:  millrace rejects"), "resuming it would refuse a source that was corrected: {said}");
    ensure!(said.matches("failed while copying ").count() == 1 && said.contains("failed while copying wide"), "{said}");
    ensure!(!said.contains(&long[..100]), "a value of 400 digits is printed whole: {said}");
    let listed = millrace.run(&["rejects", "last", "--json"]).await?.expect(0)?.json()?;
    let row = &listed["rejects"][0];
    ensure!(row["table"] == "wide" && row["key"] == "{\"id\":\"7\"}" && row["column"] == "n", "{listed:#}");
    ensure!(listed["uncommitted"] == 1, "{listed:#}");
    millrace.run(&["rejects", "last"]).await?.expect(0)?.says("the copy did not finish")?;
    Ok(())
}

#[tokio::test]
async fn rows_whose_parents_were_rejected_are_named_instead_of_a_broken_foreign_key() -> Result<()> {
    let script = "CREATE TABLE maker (id integer PRIMARY KEY, founded date);
        INSERT INTO maker SELECT n, '2000-01-01' FROM generate_series(1, 20) AS n;
        UPDATE maker SET founded = 'infinity' WHERE id = 13;
        CREATE TABLE item (id integer PRIMARY KEY, maker integer REFERENCES maker (id));
        INSERT INTO item SELECT n, 1 + n % 20 FROM generate_series(1, 100) AS n;";
    let (source, target, millrace) = databases(script).await?;
    let pipeline = pipeline(&millrace, "at_most = 0.5", "")?;
    let ran = millrace.run(&["run", &pipeline, "--yes", "--json"]).await?.expect(1)?;
    ran.fails_with("copy.parents-rejected")?.says("5 rows of item refer to rows of maker that were rejected")?;
    // What the page advises works: corrected at the source, a new run goes through.
    millrace.run(&["rollback", "last"]).await?.expect(0)?;
    source.run_sql("UPDATE maker SET founded = '2000-01-01' WHERE id = 13").await?;
    millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
    ensure!(count_rows(&target, "item").await? == 100);
    Ok(())
}

/// `citext` as its extension makes it, with comparisons in SQL.
const CITEXT: &str = "CREATE TYPE citext;
    CREATE FUNCTION citextin(cstring) RETURNS citext LANGUAGE internal IMMUTABLE STRICT AS 'textin';
    CREATE FUNCTION citextout(citext) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
    CREATE TYPE citext (INPUT = citextin, OUTPUT = citextout, INTERNALLENGTH = VARIABLE, STORAGE = extended,
                        CATEGORY = 'S', COLLATABLE = true);
    CREATE CAST (citext AS text) WITHOUT FUNCTION AS IMPLICIT;
    CREATE FUNCTION citext_cmp(citext, citext) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS
        'SELECT CASE WHEN lower($1::text) < lower($2::text) THEN -1 WHEN lower($1::text) > lower($2::text) THEN 1 ELSE 0 END';
    CREATE FUNCTION citext_lt(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) < lower($2::text)';
    CREATE FUNCTION citext_le(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) <= lower($2::text)';
    CREATE FUNCTION citext_eq(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) = lower($2::text)';
    CREATE FUNCTION citext_ge(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) >= lower($2::text)';
    CREATE FUNCTION citext_gt(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) > lower($2::text)';
    CREATE OPERATOR < (LEFTARG = citext, RIGHTARG = citext, FUNCTION = citext_lt);
    CREATE OPERATOR <= (LEFTARG = citext, RIGHTARG = citext, FUNCTION = citext_le);
    CREATE OPERATOR = (LEFTARG = citext, RIGHTARG = citext, FUNCTION = citext_eq, COMMUTATOR = =);
    CREATE OPERATOR >= (LEFTARG = citext, RIGHTARG = citext, FUNCTION = citext_ge);
    CREATE OPERATOR > (LEFTARG = citext, RIGHTARG = citext, FUNCTION = citext_gt);
    CREATE OPERATOR CLASS citext_ops DEFAULT FOR TYPE citext USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
        OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 citext_cmp(citext, citext);";

#[tokio::test]
async fn keys_are_folded_as_the_target_folds_them() -> Result<()> {
    let script = format!(
        "{CITEXT} CREATE TABLE account (id integer PRIMARY KEY, email citext UNIQUE);
         INSERT INTO account VALUES (1, 'Jose'), (2, 'straße'), (3, 'strasse'), (4, '😀');"
    );
    let (source, target, millrace) = databases(&script).await?;
    let pipeline = pipeline(&millrace, "at_most = 0.0", "")?;
    // The collation takes ß for one s, and not for two.
    millrace.run(&["plan", &pipeline]).await?.expect(0)?;
    for (other, named) in
        [("JOSÉ", "('JOSÉ') and ('Jose')"), ("🎉 ", "('🎉 ') and ('😀')"), ("strase", "('strase') and ('straße')")]
    {
        source.run_sql(&format!("INSERT INTO account VALUES (9, '{other}')")).await?;
        let refused = millrace.run(&["plan", &pipeline, "--json"]).await?.expect(1)?;
        refused.fails_with("plan.keys-collide")?.says(named)?.says("case, accents")?;
        source.run_sql("DELETE FROM account WHERE id = 9").await?;
    }
    millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
    ensure!(count_rows(&target, "account").await? == 4);
    Ok(())
}

#[tokio::test]
async fn a_type_that_nobody_claims_and_a_cast_that_cannot_be_are_refused_by_name() -> Result<()> {
    let (_, target, millrace) = databases(
        "CREATE EXTENSION vector; CREATE TABLE item (id integer PRIMARY KEY, half halfvec(3), raw bytea);
         INSERT INTO item VALUES (1, '[1,2,3]', '\\x00');",
    )
    .await?;
    let unclaimed = pipeline(&millrace, "at_most = 0.0", "")?;
    let refused = millrace.run(&["plan", &unclaimed, "--json"]).await?.expect(2)?;
    refused.fails_with("plan.unclaimed-column")?.says("halfvec(3)")?;
    let impossible =
        pipeline(&millrace, "at_most = 0.0", "cast = { \"public.item.raw\" = \"INT\", \"item.half\" = \"JSON\" }")?;
    let refused = millrace.run(&["run", &impossible, "--yes", "--json"]).await?.expect(2)?;
    refused.fails_with("convert.cast-unsupported")?.says("bytea")?;
    let unknown = pipeline(&millrace, "at_most = 0.0", "cast = { \"public.item.ra\" = \"INT\" }")?;
    millrace.run(&["plan", &unknown, "--json"]).await?.expect(2)?.fails_with("convert.unknown-column")?;
    ensure!(names_of_tables(&target).await?.is_empty());
    let cast = pipeline(&millrace, "at_most = 0.0", "cast = { \"item.half\" = \"VECTOR(3)\" }")?;
    millrace.run(&["run", &cast, "--yes"]).await?.expect(0)?;
    ensure!(target.query_text("SELECT COUNT(*) FROM item WHERE half = '[1,2,3]'").await?[0][0].as_deref() == Some("1"));
    Ok(())
}

#[tokio::test]
async fn a_row_that_no_statement_holds_is_rejected_alone() -> Result<()> {
    let (_, target, millrace) = databases(
        "CREATE TABLE document (id integer PRIMARY KEY, body text);
         INSERT INTO document VALUES (1, 'short'), (2, repeat('x', 20000000)), (3, 'short too');",
    )
    .await?;
    let pipeline = pipeline(&millrace, "at_most = 0.5", "")?;
    millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
    let listed = millrace.run(&["rejects", "last", "--json"]).await?.expect(0)?.json()?;
    ensure!(codes(&listed) == ["copy.row-too-large"], "{listed:#}");
    ensure!(count_rows(&target, "document").await? == 2);
    Ok(())
}
