//! Foreign keys at the target: none is believed to be there, or to be possible, that nobody has looked at.

use std::path::Path;

use anyhow::{Context as _, Result};
use millrace_tests::count_rows;

use crate::{QUICKSTART, Shop};

const FAMILY: &str = "CREATE TABLE p (id integer PRIMARY KEY, v text);
    CREATE TABLE ch (id integer PRIMARY KEY, p integer, CONSTRAINT ch_p FOREIGN KEY (p) REFERENCES p);
    INSERT INTO p SELECT g, 'row ' || g FROM generate_series(1, 30) g; INSERT INTO ch SELECT g, g FROM generate_series(1, 30) g";

const CHANGE: &str = "ALTER TABLE p ADD COLUMN w integer DEFAULT 4";

impl Shop {
    /// The tables to which a table's foreign keys refer, a name for each key.
    async fn parents(&self, child: &str) -> Result<Vec<String>> {
        let query = format!(
            "SELECT referenced_table_name FROM information_schema.key_column_usage WHERE table_schema = database() \
             AND table_name = '{child}' AND referenced_table_name IS NOT NULL AND ordinal_position = 1 ORDER BY 1"
        );
        let rows = self.target.query_text(&query).await?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }
}

#[tokio::test]
async fn a_child_keeps_its_foreign_key_where_another_table_has_the_name_that_its_new_one_is_to_have() -> Result<()> {
    let shop = Shop::carried(FAMILY).await?;
    shop.source.run_sql(CHANGE).await?;
    shop.millrace.run(&["run", &shop.pipeline("approve = true")?]).await?.expect(4)?;
    let (stamp, chance) = {
        let run = shop.last().await?;
        let parts: Vec<&str> = run.split('-').collect();
        (parts[..2].concat(), parts[2].to_owned())
    };
    shop.target
        .run_sql(&format!(
            "CREATE TABLE own_p (id int PRIMARY KEY); CREATE TABLE own_c (p int, \
             CONSTRAINT ch_p_{stamp}_{chance} FOREIGN KEY (p) REFERENCES own_p (id))"
        ))
        .await?;
    shop.millrace.run(&["approve", "last", "--json"]).await?.expect(5)?;
    assert_eq!(shop.parents("ch").await?, ["p"], "its key is gone, or refers to a backup");
    assert!(!shop.has_column("p", "w").await?);
    assert!(shop.target.run_sql("INSERT INTO ch VALUES (99, 99)").await.is_err(), "nobody looks for a parent any more");
    shop.target.run_sql("DROP TABLE own_c").await?;
    shop.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert_eq!(shop.parents("ch").await?, ["p"]);
    assert!(shop.has_column("p", "w").await?);
    Ok(())
}

#[tokio::test]
async fn a_key_that_was_refused_for_its_rows_does_not_go_live_with_the_next_resume() -> Result<()> {
    let shop = Shop::empty(
        "CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE f (id integer PRIMARY KEY, a integer);
         INSERT INTO a VALUES (1); INSERT INTO f VALUES (2, 1);
         ALTER TABLE f ADD CONSTRAINT nv FOREIGN KEY (a) REFERENCES a;
         SET session_replication_role = replica; INSERT INTO f VALUES (1, 99); SET session_replication_role = origin",
    )
    .await?;
    let words = "1 row of f refers by nv to rows that a does not have, such as a = 99";
    shop.run(QUICKSTART, &[]).await?.expect(1)?.fails_with("copy.parent-missing")?.says(words)?;
    for _ in 0..2 {
        let again = shop.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(1)?;
        again.fails_with("copy.parent-missing")?.says(words)?;
        let query = "SELECT COUNT(*) FROM information_schema.key_column_usage \
             WHERE table_schema = database() AND referenced_table_name IS NOT NULL";
        assert_eq!(shop.target.query_text(query).await?, [[Some("0".to_owned())]], "the server has kept the key");
    }
    // What the page advises works.
    shop.source.run_sql("DELETE FROM f WHERE id = 1").await?;
    shop.run(QUICKSTART, &[]).await?.expect(0)?;
    assert_eq!(shop.parents("f").await?, ["a"]);
    Ok(())
}

#[tokio::test]
async fn a_way_back_leaves_no_child_without_its_parent_and_no_writer_of_children_blocked() -> Result<()> {
    let shop = Shop::carried(FAMILY).await?;
    shop.source.run_sql(CHANGE).await?;
    shop.run(QUICKSTART, &[]).await?.expect(0)?;
    shop.target.run_sql("INSERT INTO p (id, v) VALUES (9999, 'new'); INSERT INTO ch VALUES (1000, 9999)").await?;
    let back = ["rollback", "last", "--discard-new-rows", "--json"];
    let refused = shop.millrace.run(&["rollback", "last", "--json"]).await?.expect(2)?;
    refused.fails_with("switch.new-rows")?;
    let refused = shop.millrace.run(&back).await?.expect(2)?;
    refused
        .fails_with("switch.parent-lost")?
        .says("1 row of ch refers by ch_p to rows that the old p does not have, such as p = 9999")?;
    assert_eq!(shop.parents("ch").await?, ["p"]);
    assert!(shop.has_column("p", "w").await?, "nothing was undone");
    shop.target.run_sql("INSERT INTO ch VALUES (1001, 9999)").await.context("a new parent's child is refused")?;

    shop.target.run_sql("DELETE FROM ch WHERE p = 9999").await?;
    shop.millrace.run(&back).await?.expect(0)?;
    assert!(!shop.has_column("p", "w").await?);
    assert_eq!(shop.parents("ch").await?, ["p"]);
    assert_eq!(count_rows(&shop.target, "ch").await?, 30);
    Ok(())
}

#[tokio::test]
async fn stale_rows_of_a_kept_child_are_named_before_names_are_swapped_and_not_by_going_there_and_back() -> Result<()> {
    let shop = Shop::carried(FAMILY).await?;
    shop.source.run_sql(&format!("DELETE FROM ch WHERE id = 5; DELETE FROM p WHERE id = 5; {CHANGE}")).await?;
    let refused = shop.run(QUICKSTART, &[]).await?.expect(1)?.fails_with("switch.parent-missing")?;
    refused.says("1 row of ch refers by ch_p to rows that the new p does not have, such as p = 5")?;
    assert!(!shop.has_column("p", "w").await?);
    assert_eq!(shop.parents("ch").await?, ["p"]);
    // What the page advises works.
    let text = std::fs::read_to_string(QUICKSTART)?;
    let recopying = shop.millrace.write("recopy.toml", &text.replace("[tables]", "[tables]\nrows = \"recopy\""));
    shop.run(&recopying, &[]).await?.expect(0)?;
    assert!(shop.has_column("p", "w").await?);
    assert_eq!(shop.parents("ch").await?, ["p"]);
    assert_eq!(count_rows(&shop.target, "ch").await?, 29);
    Ok(())
}

#[tokio::test]
async fn tables_that_are_made_anew_after_a_way_back_have_their_keys_and_checks() -> Result<()> {
    let shop = Shop::carried(&format!("{FAMILY}; ALTER TABLE ch ADD CONSTRAINT ch_positive CHECK (id > 0)")).await?;
    shop.source.run_sql(&format!("{CHANGE}; ALTER TABLE ch ADD COLUMN x integer")).await?;
    shop.run(QUICKSTART, &[]).await?.expect(0)?;
    // Both are made anew; then the parent alone, and its child refers to what was set aside.
    for written in
        ["INSERT INTO p (id) VALUES (100); INSERT INTO ch (id, p) VALUES (100, 100)", "INSERT INTO p (id) VALUES (200)"]
    {
        shop.target.run_sql(written).await?;
        shop.millrace.run(&["rollback", "last", "--discard-new-rows"]).await?.expect(0)?;
        shop.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
        assert!(shop.has_column("p", "w").await?);
        assert_eq!(shop.parents("ch").await?, ["p"], "after {written}");
        let shown = shop.target.query_text("SHOW CREATE TABLE ch").await?[0][1].clone().context("a statement")?;
        assert!(shown.contains("CHECK"), "{shown}");
        assert_eq!(count_rows(&shop.target, "p").await?, 30);
    }
    Ok(())
}

#[tokio::test]
async fn a_kept_child_that_was_dropped_stops_the_switch_before_it_begins_and_no_way_back() -> Result<()> {
    let shop = Shop::carried(FAMILY).await?;
    shop.source.run_sql(CHANGE).await?;
    shop.millrace.run(&["run", &shop.pipeline("approve = true")?]).await?.expect(4)?;
    shop.target.run_sql("CREATE TABLE kept AS SELECT * FROM ch; DROP TABLE ch").await?;
    let refused = shop.millrace.run(&["approve", "last", "--json"]).await?.expect(1)?;
    refused.fails_with("switch.tables-changed")?.says("ch is gone")?;
    assert!(!shop.has_column("p", "w").await?);

    shop.target
        .run_sql(
            "CREATE TABLE ch (id int PRIMARY KEY, p int, CONSTRAINT ch_again FOREIGN KEY (p) REFERENCES p (id)); \
             INSERT INTO ch SELECT * FROM kept; DROP TABLE kept",
        )
        .await?;
    shop.run(QUICKSTART, &[]).await?.expect(0)?;
    assert_eq!(shop.parents("ch").await?, ["p"]);
    shop.target.run_sql("DROP TABLE ch").await?;
    shop.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert!(!shop.has_column("p", "w").await?);
    Ok(())
}

#[tokio::test]
async fn what_a_foreign_key_of_the_source_does_is_done_by_the_target_or_said() -> Result<()> {
    let shop = Shop::empty(
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
    let plan = shop.millrace.run(&["plan", QUICKSTART]).await?.expect(0)?;
    plan.says("ON DELETE SET NULL (b)")?.says("fully_p")?.says("MATCH FULL")?.says("firmly_p")?;
    shop.run(QUICKSTART, &[]).await?.expect(0)?;
    assert!(shop.parents("partly").await?.is_empty(), "a deleted parent would empty both columns");
    assert_eq!(shop.parents("fully").await?, ["p"]);
    assert_eq!(shop.parents("firmly").await?, ["p"]);
    assert!(shop.target.run_sql("DELETE FROM p WHERE a = 2").await.is_err(), "as at the source");
    shop.run(QUICKSTART, &[]).await?.expect(0)?;
    Ok(())
}

/// A plan's folder is made one of the second of another plan: what stands in names is the second, and chance.
fn date_back(folder: &Path, from: &str, to: &str) -> Result<()> {
    let stamp = |second: &str| second.replace('-', "");
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            date_back(&path, from, to)?;
        } else {
            let text = std::fs::read_to_string(&path)?;
            std::fs::write(&path, text.replace(from, to).replace(&stamp(from), &stamp(to)))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn constraints_of_two_pipelines_whose_runs_began_in_the_same_second_are_all_there() -> Result<()> {
    let shop = Shop::empty(
        "CREATE SCHEMA one; CREATE TABLE one.p1 (id integer PRIMARY KEY); CREATE SCHEMA two;
         CREATE TABLE two.p2 (id integer PRIMARY KEY); INSERT INTO one.p1 VALUES (1); INSERT INTO two.p2 VALUES (1);
         CREATE TABLE one.kept1 (id integer PRIMARY KEY, p integer CONSTRAINT same REFERENCES one.p1);
         CREATE TABLE two.kept2 (id integer PRIMARY KEY, p integer CONSTRAINT same REFERENCES two.p2);
         CREATE TABLE one.new1 (id integer PRIMARY KEY, p integer CONSTRAINT alike REFERENCES one.p1,
             CONSTRAINT positive CHECK (id > 0));
         CREATE TABLE two.new2 (id integer PRIMARY KEY, p integer CONSTRAINT alike REFERENCES two.p2,
             CONSTRAINT positive CHECK (id > 0))",
    )
    .await?;
    let operators = [shop.operator("one", "switch-rename", "")?, shop.operator("two", "switch-rename", "")?];
    for (operator, schema) in operators.iter().zip(["one.*", "two.*"]) {
        let text = std::fs::read_to_string(&operator.pipeline)?;
        std::fs::write(&operator.pipeline, text.replace("public.*", schema))?;
        operator.run(&[]).await?.expect(0)?;
    }
    let change = |schema: &str, n: u32| {
        format!("ALTER TABLE {schema}.p{n} ADD COLUMN w integer; ALTER TABLE {schema}.new{n} ADD COLUMN w integer;")
    };
    shop.source.run_sql(&(change("one", 1) + &change("two", 2))).await?;

    let mut seconds = Vec::new();
    let mut plans = Vec::new();
    for operator in &operators {
        let folder = operator.millrace.folder().join("plan");
        let path = folder.to_str().context("a path of letters")?.to_owned();
        operator.millrace.run(&["plan", &operator.pipeline, "--out", &path]).await?.expect(0)?;
        let run = std::fs::read_to_string(folder.join("run"))?;
        seconds.push(run.rsplit_once('-').context("an id ends with chance")?.0.to_owned());
        plans.push(path);
    }
    date_back(Path::new(&plans[1]), &seconds[1], &seconds[0])?;
    for (operator, plan) in operators.iter().zip(&plans) {
        let hold = ("MILLRACE_HOLD_AT", "run-started");
        let mut held = operator.millrace.spawn_with(&["apply", plan, "--yes"], &[hold])?;
        held.says("held at").await?;
        held.kill().await?;
        assert!(operator.last().await?.starts_with(&seconds[0]));
    }
    for (operator, n) in operators.iter().zip([1, 2]) {
        operator.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
        assert!(shop.has_column(&format!("p{n}"), "w").await?);
    }
    for n in [1, 2] {
        for child in [format!("kept{n}"), format!("new{n}")] {
            assert_eq!(shop.parents(&child).await?, [format!("p{n}")], "{child}");
        }
        let wrong = shop.target.run_sql(&format!("INSERT INTO new{n} (id) VALUES (-1)")).await;
        assert!(wrong.is_err(), "new{n} has lost its check");
    }
    Ok(())
}
