//! What the target refuses of a plan is said before any row is copied, and what the plan takes from others when it is made.

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, Outcome, count_rows, names_of_tables};

use crate::{QUICKSTART, millrace};

const ITEMS: &str = "CREATE TABLE item (id integer PRIMARY KEY, n integer, code varchar(10), CONSTRAINT item_code UNIQUE (code));
    CREATE TABLE part (id integer PRIMARY KEY, item integer CONSTRAINT part_item REFERENCES item);
    INSERT INTO item SELECT g, g, 'c' || g FROM generate_series(1, 30) g; INSERT INTO part SELECT g, g FROM generate_series(1, 30) g";

/// A source, its target, and the command between them.
struct Lane {
    source: Database,
    target: Database,
    millrace: Millrace,
}

impl Lane {
    /// The source with the items, migrated once.
    async fn migrated() -> Result<Self> {
        let source = postgres18().fresh_database("trials").await?;
        let target = oceanbase().fresh_database("trials").await?;
        source.run_sql(ITEMS).await?;
        let millrace = millrace().between(&source, &target);
        let lane = Self { source, target, millrace };
        lane.run().await?.expect(0)?;
        Ok(lane)
    }

    async fn run(&self) -> Result<Outcome> {
        self.millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await
    }

    /// The tables and views of the target that a run has made and that are not live; those that are in the books alone, too.
    async fn left(&self) -> Result<Vec<String>> {
        let query = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() \
             AND table_name LIKE '%\\_tmp\\_%' UNION SELECT table_name FROM millrace_tables WHERE table_name LIKE 'millrace%'";
        let rows = self.target.query_text(query).await?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    /// How many chunks were copied, by all runs.
    async fn chunks(&self) -> Result<u64> {
        count_rows(&self.target, "millrace_chunks").await
    }

    /// Starts a run that is killed at this entry of its journal; the second that stands in its id.
    async fn killed_at(&self, entry: &str) -> Result<(String, String)> {
        let mut running = self.millrace.spawn_with(&["run", QUICKSTART, "--yes"], &[("MILLRACE_HOLD_AT", entry)])?;
        running.says("held at").await?;
        running.kill().await?;
        let runs = self.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
        let id = runs[0]["id"].as_str().context("a run has an id")?.to_owned();
        let stamp = id.split('-').take(2).collect();
        Ok((id, stamp))
    }

    /// What a trial that was cut short has left: a table, another one that refers to a new table, and a view.
    async fn leave_a_trial(&self, id: &str, stamp: &str) -> Result<()> {
        let made = ["0", "1", "view_2"].map(|number| format!("millrace_trial_{number}_tmp_{stamp}"));
        let [parent, child, view] = &made;
        let listed: Vec<String> = made
            .iter()
            .map(|name| format!("('{name}', '{id}', 'quickstart', 'shadow', '{name}', UTC_TIMESTAMP(6), 'made')"))
            .collect();
        self.target
            .run_sql(&format!(
                "INSERT INTO millrace_tables (table_name, run, pipeline, kind, live_name, made_at, state) VALUES {};
                 CREATE TABLE {parent} (id int PRIMARY KEY);
                 CREATE TABLE {child} (p int, i int, FOREIGN KEY (p) REFERENCES {parent} (id),
                     FOREIGN KEY (i) REFERENCES item_tmp_{stamp} (id));
                 CREATE VIEW {view} AS SELECT id FROM {parent}",
                listed.join(", ")
            ))
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn all_that_the_target_refuses_is_said_before_any_row_is_copied() -> Result<()> {
    let lane = Lane::migrated().await?;
    let columns: String = (0..1000).map(|n| format!(", c{n} text")).collect();
    lane.source
        .run_sql(&format!(
            "CREATE TABLE wide (id integer PRIMARY KEY{columns}); INSERT INTO wide (id) VALUES (1);
             ALTER TABLE item DROP CONSTRAINT item_code; ALTER TABLE item DROP COLUMN n"
        ))
        .await?;
    // No pipeline knows these.
    lane.target
        .run_sql(
            "CREATE TABLE outside (id int PRIMARY KEY, code varchar(10) COLLATE utf8mb4_bin,
                 CONSTRAINT outside_item FOREIGN KEY (code) REFERENCES item (code));
             CREATE VIEW numbers AS SELECT n, COUNT(*) AS items FROM item GROUP BY n;
             CREATE VIEW ids AS SELECT id FROM item",
        )
        .await?;
    let (before, chunks) = (names_of_tables(&lane.target).await?, lane.chunks().await?);
    let refused = lane.run().await?.expect(1)?.fails_with("plan.refused-by-target")?;
    refused
        .says("the target refuses 3 statements of the plan; nothing was copied")?
        .says("public.wide: ")?
        .says("the foreign key outside_item of outside: ")?
        .says("the target's view numbers, on the new tables: ")?
        .says("CREATE TABLE `wide_tmp_")?
        .never_says("the target's view ids")?;
    assert_eq!(names_of_tables(&lane.target).await?, before, "tables are left that hold nothing");
    assert_eq!(lane.chunks().await?, chunks, "rows were copied for a plan that cannot be carried out");
    assert_eq!(count_rows(&lane.target, "item").await?, 30);

    // It is refused again as long as it is, and goes on when it is not.
    lane.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(1)?.fails_with("plan.refused-by-target")?;
    lane.millrace.run(&["cancel", "last"]).await?.expect(0)?;
    lane.source.run_sql("DROP TABLE wide; ALTER TABLE item ADD CONSTRAINT item_code UNIQUE (code)").await?;
    lane.run().await?.expect(1)?.fails_with("plan.refused-by-target")?.says("refuses 1 statement of the plan")?;
    lane.target.run_sql("DROP VIEW numbers").await?;
    lane.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(0)?;
    assert!(lane.left().await?.is_empty(), "{:?}", lane.left().await?);
    assert_eq!(count_rows(&lane.target, "ids").await?, 30);
    let refers =
        lane.target.run_sql("INSERT INTO outside VALUES (1, 'c7'); INSERT INTO outside VALUES (2, 'none')").await;
    assert!(refers.is_err(), "nobody looks for the parent of a row of `outside` any more");
    Ok(())
}

#[tokio::test]
async fn a_plan_names_what_of_the_targets_own_does_not_go_on_with_the_new_tables_and_tries_it_when_asked() -> Result<()>
{
    let lane = Lane::migrated().await?;
    lane.target
        .run_sql(
            "CREATE TABLE by_code (id int PRIMARY KEY, code varchar(10) COLLATE utf8mb4_bin,
                 CONSTRAINT by_code_item FOREIGN KEY (code) REFERENCES item (code));
             CREATE TABLE by_id (id int PRIMARY KEY, item int, CONSTRAINT by_id_item FOREIGN KEY (item) REFERENCES item (id));
             CREATE TABLE well (id int PRIMARY KEY, item int, CONSTRAINT well_item FOREIGN KEY (item) REFERENCES item (id));
             INSERT INTO item VALUES (900, 1, NULL), (901, 1, NULL);
             INSERT INTO by_id VALUES (1, 900), (2, 901), (3, 901), (4, 7); INSERT INTO well VALUES (1, 7), (2, NULL);
             CREATE VIEW numbers AS SELECT i.n, COUNT(*) AS items FROM item i JOIN part p ON p.item = i.id GROUP BY i.n;
             CREATE VIEW ids AS SELECT id FROM item;
             CREATE TRIGGER noted BEFORE INSERT ON item FOR EACH ROW SET NEW.n = 1",
        )
        .await?;
    lane.source.run_sql("ALTER TABLE item DROP CONSTRAINT item_code; ALTER TABLE item DROP COLUMN n").await?;
    let names = names_of_tables(&lane.target).await?;
    let plan = lane.millrace.run(&["plan", QUICKSTART]).await?.expect(0)?;
    plan.says("foreign-key by_code_item of by_code: what it refers to is no key of item in the target; a run is refused")?
        .says("foreign-key by_id_item of by_id: 3 rows of by_id refer to rows that public.item does not have at the source, such as id = 900, 901")?
        .says("view numbers: it reads item.n, which the new table does not have; a run is refused before it copies")?
        .says("trigger noted of the target's item: it stays with the old table")?
        .never_says("well_item of well: ")?
        .never_says("view ids: ")?;
    let plan = lane.millrace.run(&["plan", QUICKSTART, "--json"]).await?.expect(0)?.json()?;
    let told = plan["dependants"].as_array().context("a list")?;
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|entry| entry["certainty"] == "refused"), "{told:?}");

    let tried = lane.millrace.run(&["plan", QUICKSTART, "--try"]).await?.expect(1)?;
    tried.says("plan.refused-by-target")?.says("refuses 2 statements")?.says("the target's view numbers")?;
    assert!(lane.left().await?.is_empty(), "{:?}", lane.left().await?);
    lane.target.run_sql("DROP VIEW numbers; DROP TABLE by_code; DELETE FROM by_id WHERE item > 30").await?;
    lane.millrace.run(&["plan", QUICKSTART, "--try"]).await?.expect(0)?.says("takes all of its statements")?;
    assert!(lane.left().await?.is_empty(), "{:?}", lane.left().await?);
    let after: Vec<String> = names.into_iter().filter(|name| name != "by_code").collect();
    assert_eq!(names_of_tables(&lane.target).await?, after);
    let run = ["run", QUICKSTART, "--yes", "--json", "--discard-target-rows"];
    lane.millrace.run(&run).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn a_trial_that_was_killed_leaves_nothing_that_a_resumed_run_or_a_cleaning_does_not_take_away() -> Result<()> {
    let lane = Lane::migrated().await?;
    lane.source.run_sql("ALTER TABLE item ADD COLUMN w integer DEFAULT 4").await?;
    let (id, stamp) = lane.killed_at("action-started@try").await?;
    lane.leave_a_trial(&id, &stamp).await?;
    lane.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert!(lane.left().await?.is_empty(), "{:?}", lane.left().await?);

    lane.source.run_sql("ALTER TABLE item ADD COLUMN x integer DEFAULT 5").await?;
    let (id, stamp) = lane.killed_at("action-started@try").await?;
    lane.leave_a_trial(&id, &stamp).await?;
    lane.millrace.run(&["clean", QUICKSTART, "--leftovers", "--yes"]).await?.expect(0)?;
    assert!(lane.left().await?.is_empty(), "{:?}", lane.left().await?);

    // The new tables are gone when this one is killed, and are made again.
    lane.target.run_sql("CREATE VIEW numbers AS SELECT n FROM item").await?;
    lane.source.run_sql("ALTER TABLE item DROP COLUMN n").await?;
    lane.killed_at("before:action-failed@try").await?;
    assert!(lane.left().await?.is_empty(), "{:?}", lane.left().await?);
    lane.target.run_sql("DROP VIEW numbers").await?;
    lane.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert_eq!(count_rows(&lane.target, "item").await?, 30);
    Ok(())
}
