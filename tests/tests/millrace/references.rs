//! Foreign keys at the target: none is believed to be there, or to be possible, that nobody has looked at.

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, Outcome, count_rows};

use crate::{QUICKSTART, millrace};

const FAMILY: &str = "CREATE TABLE p (id integer PRIMARY KEY, v text);
    CREATE TABLE ch (id integer PRIMARY KEY, p integer, CONSTRAINT ch_p FOREIGN KEY (p) REFERENCES p);
    INSERT INTO p SELECT g, 'row ' || g FROM generate_series(1, 30) g; INSERT INTO ch SELECT g, g FROM generate_series(1, 30) g";

const CHANGE: &str = "ALTER TABLE p ADD COLUMN w integer DEFAULT 4";

/// A source, its target, and the command between them.
struct Lane {
    source: Database,
    target: Database,
    millrace: Millrace,
}

impl Lane {
    async fn open(script: &str) -> Result<Self> {
        let source = postgres18().fresh_database("references").await?;
        let target = oceanbase().fresh_database("references").await?;
        source.run_sql(script).await?;
        let millrace = millrace().between(&source, &target);
        Ok(Self { source, target, millrace })
    }

    /// The source after this script, migrated once.
    async fn migrated(script: &str) -> Result<Self> {
        let lane = Self::open(script).await?;
        lane.run(QUICKSTART).await?.expect(0)?;
        Ok(lane)
    }

    async fn run(&self, pipeline: &str) -> Result<Outcome> {
        self.millrace.run(&["run", pipeline, "--yes", "--json"]).await
    }

    /// A pipeline that waits for approval before names are swapped.
    fn waiting(&self) -> Result<String> {
        let text = std::fs::read_to_string(QUICKSTART)?;
        let stage = "plugin = \"switch-rename\"\napprove = true";
        Ok(self.millrace.write("waiting.toml", &text.replace("plugin = \"switch-rename\"", stage)))
    }

    /// The tables to which a table's foreign keys refer, a name for each key.
    async fn parents(&self, child: &str) -> Result<Vec<String>> {
        let query = format!(
            "SELECT referenced_table_name FROM information_schema.key_column_usage WHERE table_schema = database() \
             AND table_name = '{child}' AND referenced_table_name IS NOT NULL AND ordinal_position = 1 ORDER BY 1"
        );
        let rows = self.target.query_text(&query).await?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    /// Whether the live `p` is the one with the column that was added.
    async fn is_switched(&self) -> Result<bool> {
        let query = "SELECT COUNT(*) FROM information_schema.columns \
             WHERE table_schema = database() AND table_name = 'p' AND column_name = 'w'";
        Ok(self.target.query_text(query).await? == [[Some("1".to_owned())]])
    }

    async fn last(&self) -> Result<String> {
        let runs = self.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
        Ok(runs[0]["id"].as_str().context("a run has an id")?.to_owned())
    }
}

#[tokio::test]
async fn a_child_keeps_its_foreign_key_where_another_table_has_the_name_that_its_new_one_is_to_have() -> Result<()> {
    let lane = Lane::migrated(FAMILY).await?;
    lane.source.run_sql(CHANGE).await?;
    lane.millrace.run(&["run", &lane.waiting()?]).await?.expect(4)?;
    let (stamp, chance) = {
        let run = lane.last().await?;
        let parts: Vec<&str> = run.split('-').collect();
        (parts[..2].concat(), parts[2].to_owned())
    };
    lane.target
        .run_sql(&format!(
            "CREATE TABLE own_p (id int PRIMARY KEY); CREATE TABLE own_c (p int, \
             CONSTRAINT ch_p_{stamp}_{chance} FOREIGN KEY (p) REFERENCES own_p (id))"
        ))
        .await?;
    lane.millrace.run(&["approve", "last", "--json"]).await?.expect(5)?;
    assert_eq!(lane.parents("ch").await?, ["p"], "its key is gone, or refers to a backup");
    assert!(!lane.is_switched().await?);
    assert!(lane.target.run_sql("INSERT INTO ch VALUES (99, 99)").await.is_err(), "nobody looks for a parent any more");
    lane.target.run_sql("DROP TABLE own_c").await?;
    lane.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert_eq!(lane.parents("ch").await?, ["p"]);
    assert!(lane.is_switched().await?);
    Ok(())
}

#[tokio::test]
async fn a_key_that_was_refused_for_its_rows_does_not_go_live_with_the_next_resume() -> Result<()> {
    let lane = Lane::open(
        "CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE f (id integer PRIMARY KEY, a integer);
         INSERT INTO a VALUES (1); INSERT INTO f VALUES (1, 99), (2, 1);
         ALTER TABLE f ADD CONSTRAINT nv FOREIGN KEY (a) REFERENCES a NOT VALID",
    )
    .await?;
    let checked = lane.millrace.run(&["check", QUICKSTART]).await?;
    checked.says("1 row of public.f refers by nv to rows that public.a does not have, such as 99")?;
    let words = "1 row of f refers by nv to rows that a does not have, such as a = 99";
    lane.run(QUICKSTART).await?.expect(1)?.fails_with("copy.parent-missing")?.says(words)?;
    for _ in 0..2 {
        let again = lane.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(1)?;
        again.fails_with("copy.parent-missing")?.says(words)?;
        let query = "SELECT COUNT(*) FROM information_schema.key_column_usage \
             WHERE table_schema = database() AND referenced_table_name IS NOT NULL";
        assert_eq!(lane.target.query_text(query).await?, [[Some("0".to_owned())]], "the server has kept the key");
    }
    // What the page advises works.
    lane.source.run_sql("DELETE FROM f WHERE id = 1; ALTER TABLE f VALIDATE CONSTRAINT nv").await?;
    lane.run(QUICKSTART).await?.expect(0)?;
    assert_eq!(lane.parents("f").await?, ["a"]);
    Ok(())
}

#[tokio::test]
async fn a_way_back_leaves_no_child_without_its_parent_and_no_writer_of_children_blocked() -> Result<()> {
    let lane = Lane::migrated(FAMILY).await?;
    lane.source.run_sql(CHANGE).await?;
    lane.run(QUICKSTART).await?.expect(0)?;
    lane.target.run_sql("INSERT INTO p (id, v) VALUES (9999, 'new'); INSERT INTO ch VALUES (1000, 9999)").await?;
    let back = ["rollback", "last", "--discard-new-rows", "--json"];
    let refused = lane.millrace.run(&["rollback", "last", "--json"]).await?.expect(2)?;
    refused.fails_with("switch.new-rows")?;
    let refused = lane.millrace.run(&back).await?.expect(2)?;
    refused
        .fails_with("switch.parent-lost")?
        .says("1 row of ch refers by ch_p to rows that the old p does not have, such as p = 9999")?;
    assert_eq!(lane.parents("ch").await?, ["p"]);
    assert!(lane.is_switched().await?, "nothing was undone");
    lane.target.run_sql("INSERT INTO ch VALUES (1001, 9999)").await.context("a new parent's child is refused")?;

    lane.target.run_sql("DELETE FROM ch WHERE p = 9999").await?;
    lane.millrace.run(&back).await?.expect(0)?;
    assert!(!lane.is_switched().await?);
    assert_eq!(lane.parents("ch").await?, ["p"]);
    assert_eq!(count_rows(&lane.target, "ch").await?, 30);
    Ok(())
}

#[tokio::test]
async fn stale_rows_of_a_kept_child_are_named_before_names_are_swapped_and_not_by_going_there_and_back() -> Result<()> {
    let lane = Lane::migrated(FAMILY).await?;
    lane.source.run_sql(&format!("DELETE FROM ch WHERE id = 5; DELETE FROM p WHERE id = 5; {CHANGE}")).await?;
    let refused = lane.run(QUICKSTART).await?.expect(1)?.fails_with("switch.parent-missing")?;
    refused.says("1 row of ch refers by ch_p to rows that the new p does not have, such as p = 5")?;
    assert!(!lane.is_switched().await?);
    assert_eq!(lane.parents("ch").await?, ["p"]);
    // What the page advises works.
    let text = std::fs::read_to_string(QUICKSTART)?;
    let recopying = lane.millrace.write("recopy.toml", &text.replace("[tables]", "[tables]\nrows = \"recopy\""));
    lane.run(&recopying).await?.expect(0)?;
    assert!(lane.is_switched().await?);
    assert_eq!(lane.parents("ch").await?, ["p"]);
    assert_eq!(count_rows(&lane.target, "ch").await?, 29);
    Ok(())
}

#[tokio::test]
async fn tables_that_are_made_anew_after_a_way_back_have_their_keys_and_checks() -> Result<()> {
    let lane = Lane::migrated(&format!("{FAMILY}; ALTER TABLE ch ADD CONSTRAINT ch_positive CHECK (id > 0)")).await?;
    lane.source.run_sql(&format!("{CHANGE}; ALTER TABLE ch ADD COLUMN x integer")).await?;
    lane.run(QUICKSTART).await?.expect(0)?;
    // Both are made anew; then the parent alone, and its child refers to what was set aside.
    for written in
        ["INSERT INTO p (id) VALUES (100); INSERT INTO ch (id, p) VALUES (100, 100)", "INSERT INTO p (id) VALUES (200)"]
    {
        lane.target.run_sql(written).await?;
        lane.millrace.run(&["rollback", "last", "--discard-new-rows"]).await?.expect(0)?;
        lane.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
        assert!(lane.is_switched().await?);
        assert_eq!(lane.parents("ch").await?, ["p"], "after {written}");
        let shown = lane.target.query_text("SHOW CREATE TABLE ch").await?[0][1].clone().context("a statement")?;
        assert!(shown.contains("CHECK"), "{shown}");
        assert_eq!(count_rows(&lane.target, "p").await?, 30);
    }
    Ok(())
}

#[tokio::test]
async fn a_kept_child_that_was_dropped_stops_the_switch_before_it_begins_and_no_way_back() -> Result<()> {
    let lane = Lane::migrated(FAMILY).await?;
    lane.source.run_sql(CHANGE).await?;
    lane.millrace.run(&["run", &lane.waiting()?]).await?.expect(4)?;
    lane.target.run_sql("CREATE TABLE kept AS SELECT * FROM ch; DROP TABLE ch").await?;
    let refused = lane.millrace.run(&["approve", "last", "--json"]).await?.expect(1)?;
    refused.fails_with("switch.tables-changed")?.says("ch is gone")?;
    assert!(!lane.is_switched().await?);

    lane.target
        .run_sql(
            "CREATE TABLE ch (id int PRIMARY KEY, p int, CONSTRAINT ch_again FOREIGN KEY (p) REFERENCES p (id)); \
             INSERT INTO ch SELECT * FROM kept; DROP TABLE kept",
        )
        .await?;
    lane.run(QUICKSTART).await?.expect(0)?;
    assert_eq!(lane.parents("ch").await?, ["p"]);
    lane.target.run_sql("DROP TABLE ch").await?;
    lane.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert!(!lane.is_switched().await?);
    Ok(())
}

#[tokio::test]
async fn what_a_foreign_key_of_the_source_does_is_done_by_the_target_or_said() -> Result<()> {
    let lane = Lane::open(
        "CREATE TABLE p (a integer, b integer, PRIMARY KEY (a, b)); INSERT INTO p VALUES (1, 1), (2, 2);
         CREATE TABLE partly (id integer PRIMARY KEY, a integer, b integer,
             CONSTRAINT partly_p FOREIGN KEY (a, b) REFERENCES p ON DELETE SET NULL (b));
         CREATE TABLE fully (id integer PRIMARY KEY, a integer, b integer,
             CONSTRAINT fully_p FOREIGN KEY (a, b) REFERENCES p MATCH FULL);
         CREATE TABLE firmly (id integer PRIMARY KEY, a integer NOT NULL, b integer,
             CONSTRAINT firmly_p FOREIGN KEY (a, b) REFERENCES p ON DELETE SET NULL);
         INSERT INTO partly VALUES (1, 1, 1); INSERT INTO fully VALUES (1, 1, 1); INSERT INTO firmly VALUES (1, 2, 2)",
    )
    .await?;
    let plan = lane.millrace.run(&["plan", QUICKSTART]).await?.expect(0)?;
    plan.says("ON DELETE SET NULL (b)")?.says("fully_p")?.says("MATCH FULL")?.says("firmly_p")?;
    lane.run(QUICKSTART).await?.expect(0)?;
    assert!(lane.parents("partly").await?.is_empty(), "a deleted parent would empty both columns");
    assert_eq!(lane.parents("fully").await?, ["p"]);
    assert_eq!(lane.parents("firmly").await?, ["p"]);
    assert!(lane.target.run_sql("DELETE FROM p WHERE a = 2").await.is_err(), "as at the source");
    lane.run(QUICKSTART).await?.expect(0)?;
    Ok(())
}
