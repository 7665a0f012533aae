//! Views follow their tables, where each part of them means the same in the target.

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::Millrace;
use serde_json::Value;

use crate::{QUICKSTART, millrace};

const SOURCE: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE customer (id integer PRIMARY KEY, name text NOT NULL, mood mood, joined date, b boolean);
    CREATE TABLE bill (id bigint PRIMARY KEY, customer_id integer, total numeric(12,2), placed timestamptz, status varchar(10));
    INSERT INTO customer VALUES (1, 'Ann', 'ok', '2020-01-31', true), (2, 'ann', 'sad', '2021-05-01', false),
        (3, 'Ann ', NULL, NULL, NULL), (4, 'Zoë', 'ok', '2020-02-29', true);
    INSERT INTO bill SELECT n, 1 + n % 5, CASE WHEN n % 7 > 0 THEN n * 1.17 END, timestamptz '2024-01-01 00:00+00' + n * interval '7 hours',
        (ARRAY['new', 'paid', 'New', 'paid ', NULL])[1 + n % 5] FROM generate_series(1, 60) AS n;
    ANALYZE";

/// Views that are carried, with all that they hold.
const VIEWS: &str = "
    CREATE VIEW joined AS SELECT b.id, c.name AS customer, b.total, b.placed, c.mood FROM bill b JOIN customer c ON c.id = b.customer_id
        WHERE b.status IN ('new', 'paid');
    CREATE VIEW by_customer AS SELECT c.id, c.name, count(b.id) AS bills, sum(b.total) FILTER (WHERE b.status = 'paid') AS paid,
        round(avg(b.total), 2) AS mean, max(b.placed) AS last FROM customer c LEFT JOIN bill b ON b.customer_id = c.id
        GROUP BY c.id HAVING count(*) > 0;
    CREATE VIEW by_name AS SELECT name, count(*) AS n FROM customer GROUP BY name;
    CREATE VIEW sizes AS WITH large AS (SELECT * FROM bill WHERE total > 40)
        SELECT id, CASE WHEN total > 60 THEN 'Large' WHEN total > 50 THEN 'large' ELSE 'less' END AS size, total * 2 AS twice,
            id::numeric AS number, coalesce(status, '-') AS status FROM large;
    CREATE VIEW size_counts AS SELECT size, count(*) AS n, min(twice) AS least FROM sizes GROUP BY size;
    CREATE VIEW states AS SELECT DISTINCT status FROM bill UNION SELECT name FROM customer;
    CREATE VIEW latest AS SELECT id, total, extract(year FROM joined) AS year FROM (SELECT b.id, b.total, c.joined FROM bill b
        RIGHT JOIN customer c ON c.id = b.customer_id) q ORDER BY total DESC, id LIMIT 9;
    CREATE VIEW known AS SELECT id, (SELECT sum(total) FROM bill WHERE customer_id = c.id) AS sum, b IS NOT TRUE AS off FROM customer c
        WHERE EXISTS (SELECT 1 FROM bill WHERE customer_id = c.id) AND name NOT IN (SELECT status FROM bill WHERE status IS NOT NULL)";

/// A source, an empty target, and the command between them.
struct Lane {
    source: Database,
    target: Database,
    millrace: Millrace,
}

impl Lane {
    async fn open(views: &str) -> Result<Self> {
        let source = postgres18().fresh_database("views").await?;
        let target = oceanbase().fresh_database("views").await?;
        source.run_sql(SOURCE).await?;
        source.run_sql(views).await?;
        let millrace = millrace().between(&source, &target);
        Ok(Self { source, target, millrace })
    }

    async fn migrated(views: &str) -> Result<Self> {
        let lane = Self::open(views).await?;
        lane.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
        Ok(lane)
    }

    /// The views of the target, with their queries.
    async fn views(&self) -> Result<Vec<(String, String)>> {
        let query = "SELECT table_name, view_definition FROM information_schema.views WHERE table_schema = database() ORDER BY 1";
        let rows = self.target.query_text(query).await?;
        Ok(rows
            .into_iter()
            .map(|row| (row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default()))
            .collect())
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(self.views().await?.into_iter().map(|(name, _)| name).collect())
    }

    async fn plan(&self) -> Result<Value> {
        self.millrace.run(&["plan", QUICKSTART, "--json"]).await?.expect(0)?.json()
    }

    async fn nothing_to_do(&self) -> Result<()> {
        self.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do").map(|_| ())
    }
}

/// Why a view is not carried.
fn reason(plan: &Value, view: &str) -> Result<String> {
    let entries = plan["not_carried"].as_array().context("a list")?;
    let entry = entries.iter().find(|entry| entry["name"] == view).with_context(|| format!("{view} in {entries:?}"))?;
    Ok(format!("{}; {}", entry["reason"].as_str().unwrap_or_default(), entry["advice"].as_str().unwrap_or_default()))
}

#[tokio::test]
async fn views_follow_their_tables_and_give_the_rows_of_the_source() -> Result<()> {
    let lane = Lane::open(VIEWS).await?;
    lane.source
        .run_sql(
            "CREATE VIEW listed AS SELECT string_agg(name, ',') AS names FROM customer;
             CREATE VIEW on_listed AS SELECT names FROM listed;
             CREATE MATERIALIZED VIEW kept AS SELECT id FROM bill WHERE total > 3",
        )
        .await?;
    let plan = lane.plan().await?;
    assert_eq!(plan["views"].as_array().map(Vec::len), Some(8), "{}", plan["not_carried"]);
    assert!(reason(&plan, "public.listed")?.contains("no aggregate string_agg"));
    assert!(reason(&plan, "public.on_listed")?.contains("it reads the view public.listed, which is not carried"));
    assert!(reason(&plan, "public.kept")?.contains("CREATE OR REPLACE VIEW `kept` (`id`) AS select"));

    let ran = lane.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    ran.says("8 views made")?;
    let report = lane.millrace.run(&["report", "--json"]).await?.expect(0)?.json()?;
    for view in report["views"].as_array().context("a list")? {
        assert_eq!(view["outcome"]["state"], "equal", "{view}");
    }
    // Beside what was compared by the run: names of texts that only blanks and capitals tell apart.
    let counted = |rows: Vec<Vec<Option<String>>>| rows.len();
    assert_eq!(counted(lane.target.query_text("SELECT * FROM by_name").await?), 4);
    assert_eq!(counted(lane.target.query_text("SELECT * FROM size_counts").await?), 3);
    lane.nothing_to_do().await?;

    lane.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert_eq!(lane.names().await?, Vec::<String>::new(), "a view of tables that are not live stayed");
    lane.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert_eq!(lane.names().await?.len(), 8);
    lane.nothing_to_do().await
}

#[tokio::test]
async fn a_view_that_changed_is_made_anew_and_its_former_query_comes_back_with_the_way_back() -> Result<()> {
    let lane = Lane::migrated("CREATE VIEW v AS SELECT id FROM bill; CREATE VIEW w AS SELECT id FROM v").await?;
    let former = lane.views().await?;
    lane.source.run_sql("CREATE OR REPLACE VIEW v AS SELECT id FROM bill WHERE total > 10").await?;
    let plan = lane.plan().await?;
    assert_eq!(plan["views"][0]["strategy"], "rebuild", "{}", plan["views"]);
    assert_eq!(plan["views"][1]["strategy"], "keep", "{}", plan["views"]);
    lane.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("1 view made")?;
    let changed = lane.views().await?;
    assert!(changed != former && changed[0].1.contains("10"), "{changed:?}");
    lane.nothing_to_do().await?;
    let runs = lane.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
    let first =
        runs.as_array().context("a list")?.iter().filter_map(|run| run["id"].as_str()).min().context("a run")?;
    lane.millrace.run(&["rollback", first, "--json"]).await?.expect(2)?.fails_with("run.superseded")?;
    lane.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert_eq!(lane.views().await?, former);
    lane.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert_eq!(lane.views().await?, changed);
    // A table that is rebuilt takes its views along, also one that names what only the new table has.
    lane.source.run_sql("ALTER TABLE bill ADD COLUMN note varchar(9) DEFAULT 'x'").await?;
    lane.source.run_sql("DROP VIEW w; DROP VIEW v; CREATE VIEW v AS SELECT id, note FROM bill").await?;
    lane.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("1 rebuilt")?;
    assert_eq!(lane.target.query_text("SELECT id, note FROM v").await?.len(), 60);
    lane.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert_eq!(lane.views().await?, changed);
    assert!(!lane.target.query_text("SELECT id FROM v").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_no_run_has_made_is_not_replaced_by_a_view() -> Result<()> {
    let lane = Lane::open("CREATE VIEW v AS SELECT id FROM bill; CREATE VIEW t AS SELECT id FROM bill").await?;
    lane.target.run_sql("CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT 7 AS mine").await?;
    let plan = lane.plan().await?;
    assert!(reason(&plan, "public.v")?.contains("that no run has made"));
    assert!(reason(&plan, "public.t")?.contains("is that of the table t"));
    lane.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    assert_eq!(lane.target.query_text("SELECT mine FROM v").await?.len(), 1);
    // One that a run has made, and somebody has changed since.
    lane.target.run_sql("DROP VIEW v").await?;
    lane.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("1 view made")?;
    lane.target.run_sql("CREATE OR REPLACE VIEW v AS SELECT 8 AS theirs").await?;
    lane.source.run_sql("CREATE OR REPLACE VIEW v AS SELECT id FROM bill WHERE id > 1").await?;
    assert!(reason(&lane.plan().await?, "public.v")?.contains("was changed since run"));
    lane.nothing_to_do().await?;
    lane.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert_eq!(lane.target.query_text("SELECT theirs FROM v").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_view_that_gives_other_rows_is_taken_back_and_named() -> Result<()> {
    let lane =
        Lane::open("CREATE VIEW v AS SELECT id, total FROM bill; CREATE VIEW w AS SELECT id FROM customer").await?;
    let damaged = [("MILLRACE_FAILPOINT", "view-alters@1")];
    let ran = lane.millrace.spawn_with(&["run", QUICKSTART, "--yes"], &damaged)?.finish().await?.expect(0)?;
    ran.says("1 view made, 1 not")?.says("the view v is taken back: it gives other rows")?;
    assert_eq!(lane.names().await?, ["w"]);
    assert_eq!(lane.target.query_text("SELECT id FROM bill").await?.len(), 60, "the switch stays");
    assert!(reason(&lane.plan().await?, "public.v")?.contains("it was taken back in run"));
    lane.nothing_to_do().await?;
    lane.millrace.run(&["report"]).await?.expect(0)?.says("taken back")?;
    lane.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert_eq!(lane.names().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn rows_that_came_to_the_source_since_are_no_difference_of_a_view() -> Result<()> {
    let lane = Lane::migrated("CREATE VIEW v AS SELECT id, total FROM bill").await?;
    lane.source.run_sql("INSERT INTO bill (id) VALUES (1000)").await?;
    lane.source.run_sql("CREATE OR REPLACE VIEW v AS SELECT id, total FROM bill WHERE id > 3").await?;
    lane.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("1 view made")?;
    let report = lane.millrace.run(&["report", "--json"]).await?.expect(0)?.json()?;
    assert_eq!(report["views"][0]["outcome"]["state"], "not-compared", "{}", report["views"]);
    assert_eq!(lane.target.query_text("SELECT id FROM v").await?.len(), 57);
    Ok(())
}

#[tokio::test]
async fn a_run_killed_around_its_views_makes_them_when_it_is_resumed() -> Result<()> {
    for entry in ["action-started@view:v", "before:action-succeeded@view:v", "action-succeeded@view:v"] {
        let lane = Lane::open("CREATE VIEW v AS SELECT id FROM bill; CREATE VIEW w AS SELECT id FROM v").await?;
        let mut running = lane.millrace.spawn_with(&["run", QUICKSTART, "--yes"], &[("MILLRACE_HOLD_AT", entry)])?;
        running.says("held at").await?;
        running.kill().await?;
        lane.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?.says("2 views made")?;
        assert_eq!(lane.names().await?, ["v", "w"], "{entry}");
        lane.nothing_to_do().await?;
    }
    let lane = Lane::migrated("CREATE VIEW v AS SELECT id FROM bill; CREATE VIEW w AS SELECT id FROM v").await?;
    let held = [("MILLRACE_HOLD_AT", "undo-started@view:v")];
    let mut running = lane.millrace.spawn_with(&["rollback", "last"], &held)?;
    running.says("held at").await?;
    running.kill().await?;
    lane.millrace.run(&["resume", "last"]).await?.expect(5)?;
    assert_eq!(lane.names().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_pipeline_may_leave_views_out() -> Result<()> {
    let lane = Lane::open("CREATE VIEW v AS SELECT id FROM bill; CREATE VIEW w AS SELECT id FROM bill").await?;
    let text = std::fs::read_to_string(QUICKSTART)?;
    let without = lane.millrace.write("without.toml", &text.replace("[tables]", "[tables]\nviews = false"));
    let plan = lane.millrace.run(&["plan", &without, "--json"]).await?.expect(0)?.json()?;
    assert!(plan["views"].is_null() && reason(&plan, "public.v")?.contains("the pipeline leaves it out"), "{plan}");
    let except = lane.millrace.write("except.toml", &text.replace("[tables]", "[tables]\nexclude = [\"w\"]"));
    lane.millrace.run(&["run", &except, "--yes"]).await?.expect(0)?.says("1 view made")?;
    assert_eq!(lane.names().await?, ["v"]);
    Ok(())
}
