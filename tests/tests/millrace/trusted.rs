//! Rows of tables that look the same in source and target, and are trusted only while nothing happened to them that a
//! schema shows.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{QUICKSTART, Shop, millrace};

/// A table, what happens to it at the source, and what becomes of it.
struct Case {
    /// Makes the source's table of this name, with rows.
    table: &'static str,
    made: &'static str,
    /// What happens to it at the source.
    change: &'static str,
    /// `rebuild` or `keep`, and words of the reason.
    strategy: &'static str,
    says: &'static str,
    /// What is asked of the target in the end, and its answer.
    asked: &'static str,
    answer: &'static str,
}

const CASES: [Case; 19] = [
    Case {
        table: "instant",
        made: "CREATE TABLE instant (id integer PRIMARY KEY, v timestamp); INSERT INTO instant VALUES (1, '2024-05-01 12:00')",
        change: "ALTER TABLE instant ALTER v TYPE timestamptz USING v AT TIME ZONE 'Asia/Tokyo'",
        strategy: "rebuild",
        says: "public.instant has a column v of type timestamp with time zone now",
        asked: "SELECT v FROM instant",
        answer: "2024-05-01 03:00:00.000000",
    },
    Case {
        table: "crosswise",
        made: "CREATE TABLE crosswise (id integer PRIMARY KEY, a integer, b integer); INSERT INTO crosswise VALUES (1, 7, 8)",
        change: "ALTER TABLE crosswise RENAME a TO z; ALTER TABLE crosswise RENAME b TO a; ALTER TABLE crosswise RENAME z TO b",
        strategy: "rebuild",
        says: "public.crosswise calls its column a b now",
        asked: "SELECT CONCAT(a, ' ', b) FROM crosswise",
        answer: "8 7",
    },
    Case {
        table: "elements",
        made: "CREATE TABLE elements (id integer PRIMARY KEY, v integer[]); INSERT INTO elements VALUES (1, '{1,2}')",
        change: "ALTER TABLE elements ALTER v TYPE text[] USING v::text[]",
        strategy: "rebuild",
        says: "public.elements has a column v of type text[] now",
        asked: "SELECT JSON_TYPE(JSON_EXTRACT(v, '$[0]')) FROM elements",
        answer: "STRING",
    },
    Case {
        table: "document",
        made: "CREATE TABLE document (id integer PRIMARY KEY, v integer[]); INSERT INTO document VALUES (1, '{1,2}')",
        change: "ALTER TABLE document ALTER v TYPE jsonb USING jsonb_build_object('n', v[1])",
        strategy: "rebuild",
        says: "public.document has a column v of type jsonb now",
        asked: "SELECT JSON_EXTRACT(v, '$.n') FROM document",
        answer: "1",
    },
    Case {
        table: "network",
        made: "CREATE TABLE network (id integer PRIMARY KEY, v inet); INSERT INTO network VALUES (1, '10.1.2.3')",
        change: "ALTER TABLE network ALTER v TYPE cidr USING v::cidr",
        strategy: "rebuild",
        says: "public.network has a column v of type cidr now",
        asked: "SELECT v FROM network",
        answer: "10.1.2.3/32",
    },
    Case {
        table: "span",
        made: "CREATE TABLE span (id integer PRIMARY KEY, v int4range); INSERT INTO span VALUES (1, '[1,3)')",
        change: "ALTER TABLE span ALTER v TYPE int4multirange USING int4multirange(v)",
        strategy: "rebuild",
        says: "",
        asked: "SELECT COUNT(*) FROM span",
        answer: "1",
    },
    Case {
        table: "labels",
        made: "CREATE TYPE label AS ENUM ('a', 'b'); CREATE TABLE labels (id integer PRIMARY KEY, v label[]); \
               INSERT INTO labels VALUES (1, '{a,b}')",
        change: "ALTER TYPE label RENAME VALUE 'b' TO 'z'",
        strategy: "rebuild",
        says: "public.labels has columns of the type public.label, which is 'a', 'z' now",
        asked: "SELECT JSON_UNQUOTE(JSON_EXTRACT(v, '$[1]')) FROM labels",
        answer: "z",
    },
    Case {
        table: "more_labels",
        made: "CREATE TYPE grown AS ENUM ('a', 'b'); CREATE TABLE more_labels (id integer PRIMARY KEY, v grown[]); \
               INSERT INTO more_labels VALUES (1, '{a,b}')",
        change: "ALTER TYPE grown ADD VALUE 'c'",
        strategy: "keep",
        says: "its rows are compared, because public.more_labels has columns of the type public.grown",
        asked: "SELECT JSON_UNQUOTE(JSON_EXTRACT(v, '$[1]')) FROM more_labels",
        answer: "b",
    },
    Case {
        table: "attributes",
        made: "CREATE TYPE pair AS (a integer, b text); CREATE TABLE attributes (id integer PRIMARY KEY, v pair); \
               INSERT INTO attributes VALUES (1, '(1,x)')",
        change: "ALTER TYPE pair RENAME ATTRIBUTE b TO z",
        strategy: "rebuild",
        says: "public.attributes has columns of the type public.pair",
        asked: "SELECT JSON_UNQUOTE(JSON_EXTRACT(v, '$.z')) FROM attributes",
        answer: "x",
    },
    Case {
        table: "domains",
        made: "CREATE DOMAIN lower_name AS text; CREATE DOMAIN upper_name AS text; \
               CREATE TABLE domains (id integer PRIMARY KEY, v lower_name); INSERT INTO domains VALUES (1, 'x')",
        change: "ALTER TABLE domains ALTER v TYPE upper_name USING upper(v)::upper_name",
        strategy: "rebuild",
        says: "public.domains has a column v of type upper_name now",
        asked: "SELECT v FROM domains",
        answer: "X",
    },
    Case {
        table: "computed",
        made: "CREATE TABLE computed (id integer PRIMARY KEY, v text, g integer GENERATED ALWAYS AS (hashtext(v) % 2 + 5) STORED); \
               INSERT INTO computed VALUES (1, 'x')",
        change: "ALTER TABLE computed ALTER g SET EXPRESSION AS (hashtext(v) * 0 + 40)",
        strategy: "rebuild",
        says: "public.computed has a column g that is generated as",
        asked: "SELECT g FROM computed",
        answer: "40",
    },
    Case {
        table: "replaced",
        made: "CREATE TABLE replaced (id integer PRIMARY KEY, v text); INSERT INTO replaced VALUES (1, 'old')",
        change: "ALTER TABLE replaced RENAME TO replaced_old; ALTER INDEX replaced_pkey RENAME TO replaced_old_pkey; \
                 CREATE TABLE replaced (id integer PRIMARY KEY, v text); INSERT INTO replaced VALUES (1, 'new')",
        strategy: "rebuild",
        says: "public.replaced is another table than the one of that name was",
        asked: "SELECT v FROM replaced",
        answer: "new",
    },
    Case {
        table: "one",
        made: "CREATE TABLE one (id integer PRIMARY KEY, v text); INSERT INTO one VALUES (1, 'first')",
        change: "ALTER TABLE one RENAME TO three; ALTER TABLE two RENAME TO one; ALTER TABLE three RENAME TO two",
        strategy: "rebuild",
        says: "public.one is another table",
        asked: "SELECT v FROM one",
        answer: "second",
    },
    Case {
        table: "two",
        made: "CREATE TABLE two (id integer PRIMARY KEY, v text); INSERT INTO two VALUES (1, 'second')",
        change: "",
        strategy: "rebuild",
        says: "public.two is another table",
        asked: "SELECT v FROM two",
        answer: "first",
    },
    Case {
        table: "again",
        made: "CREATE TABLE again (id integer PRIMARY KEY, v integer); INSERT INTO again VALUES (1, 1)",
        change: "ALTER TABLE again DROP v; ALTER TABLE again ADD v integer; UPDATE again SET v = 2",
        strategy: "rebuild",
        says: "another column v: it was dropped and added again",
        asked: "SELECT v FROM again",
        answer: "2",
    },
    Case {
        table: "clustered",
        made: "CREATE TABLE clustered (id integer PRIMARY KEY, v text); INSERT INTO clustered VALUES (1, 'x')",
        change: "CLUSTER clustered USING clustered_pkey",
        strategy: "keep",
        says: "its rows are compared, because public.clustered was written anew",
        asked: "SELECT v FROM clustered",
        answer: "x",
    },
    Case {
        table: "filled_again",
        made: "CREATE TABLE filled_again (id integer PRIMARY KEY, v text); INSERT INTO filled_again VALUES (1, 'x')",
        change: "TRUNCATE filled_again; INSERT INTO filled_again VALUES (1, 'x')",
        strategy: "keep",
        says: "its rows are compared, because public.filled_again was written anew",
        asked: "SELECT v FROM filled_again",
        answer: "x",
    },
    Case {
        table: "wider",
        made: "CREATE TABLE wider (id integer PRIMARY KEY, v text, CHECK (id > 0)); INSERT INTO wider VALUES (1, 'x')",
        change: "ANALYZE wider; ALTER TABLE wider ALTER v SET STATISTICS 10; CREATE STATISTICS wider_of ON id, v FROM wider",
        strategy: "keep",
        says: "the same in source and target",
        asked: "SELECT v FROM wider",
        answer: "x",
    },
    Case {
        table: "untouched",
        made: "CREATE TABLE untouched (id integer PRIMARY KEY, v text); INSERT INTO untouched VALUES (1, 'x')",
        change: "",
        strategy: "keep",
        says: "the same in source and target",
        asked: "SELECT v FROM untouched",
        answer: "x",
    },
];

/// What a plan says of a table.
fn planned(plan: &Value, table: &str) -> Result<(String, String)> {
    let tables = plan["tables"].as_array().context("a plan has tables")?;
    let found = tables.iter().find(|t| t["target"]["name"] == table).with_context(|| format!("no table {table}"))?;
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    Ok((text("strategy"), text("reason")))
}

async fn migrated() -> Result<Shop> {
    let script: Vec<&str> = CASES.iter().map(|case| case.made).collect();
    let shop = Shop::empty(&script.join(";\n")).await?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    Ok(shop)
}

#[tokio::test]
async fn values_that_were_rewritten_at_the_source_do_not_stay_old_where_the_target_looks_the_same() -> Result<()> {
    let shop = migrated().await?;
    let plan = shop.millrace.run(&["plan", QUICKSTART, "--json"]).await?.expect(0)?.json()?;
    for case in &CASES {
        assert_eq!(
            planned(&plan, case.table)?,
            ("keep".into(), "the same in source and target".into()),
            "{}",
            case.table
        );
    }
    for case in CASES.iter().filter(|case| !case.change.is_empty()) {
        shop.source.run_sql(case.change).await.context(case.table)?;
    }

    // Ownership of rows is the target's affair: another state folder knows as much.
    let elsewhere = millrace().between(&shop.source, &shop.target);
    let plan = elsewhere.run(&["plan", QUICKSTART, "--json"]).await?.expect(0)?.json()?;
    let mut wrong = Vec::new();
    for case in &CASES {
        let (strategy, reason) = planned(&plan, case.table)?;
        if strategy != case.strategy || !reason.contains(case.says) {
            wrong.push(format!("{}: {strategy}, {reason}", case.table));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");

    elsewhere.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    for case in &CASES {
        let found = shop.target.query_text(case.asked).await.context(case.table)?;
        let found = found.into_iter().flatten().flatten().collect::<Vec<_>>().join(", ");
        if found != case.answer {
            wrong.push(format!("{}: {found}", case.table));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    let validated = shop.millrace.run(&["validate", QUICKSTART, "--level", "comprehensive"]).await?.expect(0)?;
    validated.never_says("FAILED")?;

    let again = shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    again.says("nothing to do")?.never_says("were not looked at")?;

    // The old tables are live again, and what they were read from is known again.
    elsewhere.run(&["rollback", "last"]).await?.expect(0)?;
    let plan = shop.millrace.run(&["plan", QUICKSTART, "--json"]).await?.expect(0)?.json()?;
    for case in CASES.iter().filter(|case| case.strategy == "rebuild") {
        let (strategy, reason) = planned(&plan, case.table)?;
        ensure!(strategy == "rebuild" && reason.contains(case.says), "{}: {strategy}, {reason}", case.table);
    }
    Ok(())
}

const ONE_TABLE: &str =
    "CREATE TABLE item (id integer PRIMARY KEY, v text); INSERT INTO item VALUES (1, 'x'), (2, 'y')";

#[tokio::test]
async fn a_table_that_was_written_anew_with_other_values_stops_the_run_however_shallow_its_validator_looks()
-> Result<()> {
    let shop = Shop::empty(ONE_TABLE).await?;
    let text = std::fs::read_to_string(QUICKSTART)?;
    let shallow = text.replace("plugin = \"validate\"", "plugin = \"validate\"\nconfig = { level = \"basic\" }");
    ensure!(shallow != text, "the pipeline has another form");
    let shallow = shop.millrace.write("shallow.toml", &shallow);
    // Neither a validator nor what must not be without one.
    let (without, _) = text.split_once("[[stage]]\nplugin = \"validate\"").context("the pipeline has another form")?;
    let without = shop.millrace.write("without.toml", without);
    shop.millrace.run(&["run", &shallow, "--yes"]).await?.expect(0)?;

    // Neither a column's type nor its name shows this one.
    shop.source.run_sql("ALTER TABLE item ALTER v TYPE text USING upper(v)").await?;
    let plan = shop.millrace.run(&["plan", &without]).await?.expect(0)?;
    plan.says("its rows were not looked at: public.item was written anew")?.says("the pipeline has no validator")?;
    let ran = shop.millrace.run(&["run", &shallow, "--yes"]).await?.expect(3)?;
    ran.says("item differs from its source")?;
    shop.millrace.run(&["validate", QUICKSTART, "--repair", "--yes"]).await?.expect(0)?;
    // It is compared once more, and known from then on.
    shop.millrace.run(&["run", &shallow, "--yes"]).await?.expect(0)?.says("1 kept")?;
    shop.millrace.run(&["run", &shallow, "--yes"]).await?.expect(0)?.says("nothing to do")?;
    Ok(())
}

#[tokio::test]
async fn rows_of_which_nobody_knows_what_they_were_read_from_are_not_said_to_be_the_source_s() -> Result<()> {
    let shop = Shop::empty(ONE_TABLE).await?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    // As an earlier version has left it.
    shop.target.run_sql("DROP TABLE millrace_sources").await?;
    let plan = shop.millrace.run(&["plan", QUICKSTART]).await?.expect(0)?;
    plan.says("its rows were not looked at: nothing is known of what they were read from")?;
    let ran = shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    ran.says("nothing to do")?.says("the rows of 1 table were not looked at")?;

    let text = std::fs::read_to_string(QUICKSTART)?;
    let compare = shop.millrace.write("compare.toml", &text.replace("[tables]", "[tables]\nrows = \"compare\""));
    shop.millrace.run(&["run", &compare, "--yes"]).await?.expect(0)?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.never_says("were not looked at")?;

    // Rows that are copied inside the target are not carried over from values that the source does not have any more.
    shop.source.run_sql("ALTER TABLE item ALTER v TYPE varchar USING upper(v); ALTER TABLE item ADD w integer").await?;
    let inside = text
        .replace("plugin = \"copy-range\"\nconfig = { workers = 4 }", "plugin = \"copy-in-server\"\nfrom = \"target\"");
    ensure!(inside != text, "the pipeline has another form");
    let inside = shop.millrace.write("inside.toml", &inside);
    let plan = shop.millrace.run(&["plan", &inside]).await?.expect(0)?;
    plan.says("its rows are read from the source, and not copied inside the target: public.item has a column v")?;
    shop.millrace.run(&["run", &inside, "--yes"]).await?.expect(0)?;
    let values = shop.target.query_text("SELECT v FROM item ORDER BY id").await?;
    assert_eq!(values, [[Some("X".to_owned())], [Some("Y".to_owned())]]);
    Ok(())
}
