//! Plugins that want to do harm, in pipelines between real databases. Whatever one of them says, asks for or leaves
//! undone: the run says so, and what people use in both databases is as it was.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_test_guests::{
    HOSTILE, HOSTILE_CLEANER, HOSTILE_COPIER, HOSTILE_DIFFER, HOSTILE_MODEL_SOURCE, HOSTILE_SWITCHER, HOSTILE_VALIDATOR,
};
use millrace_tests::{Millrace, Outcome, catalog, fill_shop, names_of_tables};
use sha2::{Digest as _, Sha256};

use crate::millrace;

const SOURCE: &str = "CREATE TABLE item (id serial PRIMARY KEY, name text NOT NULL); \
     CREATE UNIQUE INDEX item_name_key ON item (name) WHERE name <> 'x'; \
     INSERT INTO item (name) VALUES ('a'), ('b'), ('c')";

const TARGET: &str = "CREATE TABLE stranger (id int PRIMARY KEY, secret varchar(32)); \
     INSERT INTO stranger VALUES (1, 'one'), (2, 'two')";

/// The kinds of stages in their order, with what a friendly pipeline has there.
const STAGES: [(&str, &str); 8] = [
    ("source", "plugin = \"model-postgres\"\ndatabase = \"source\""),
    ("target", "plugin = \"model-oceanbase\"\ndatabase = \"target\""),
    ("differ", "plugin = \"differ\""),
    ("converter", "plugin = \"convert-oceanbase\""),
    ("copier", "plugin = \"copy-range\""),
    ("validator", "plugin = \"validate\""),
    ("switcher", "plugin = \"switch-rename\""),
    ("cleaner", "plugin = \"clean-expired\""),
];

/// What a stage says to have a component, which is written beside the pipeline.
fn pinned(millrace: &Millrace, name: &str, component: &[u8]) -> Result<String> {
    std::fs::write(millrace.folder().join(format!("{name}.wasm")), component)?;
    let mut digest = String::new();
    for byte in Sha256::digest(component) {
        write!(digest, "{byte:02x}")?;
    }
    Ok(format!("plugin = \"./{name}.wasm\"\nsha256 = \"{digest}\""))
}

/// A table that was migrated once, a stranger beside it in the target, and the command between both databases.
struct Scene {
    source: Database,
    target: Database,
    millrace: Millrace,
}

impl Scene {
    async fn open() -> Result<Self> {
        let source = postgres18().fresh_database("hostile").await?;
        let target = oceanbase().fresh_database("hostile").await?;
        source.run_sql(SOURCE).await?;
        target.run_sql(TARGET).await?;
        let millrace = millrace().between(&source, &target);
        let scene = Self { source, target, millrace };
        scene.command(&["run", "--yes"], &scene.pipeline(&[])).await?.expect(0)?;
        Ok(scene)
    }

    /// The friendly pipeline with other stages in the place of some; empty: without it.
    fn pipeline(&self, others: &[(&str, &str)]) -> String {
        let mut text = "name = \"hostile\"\n[databases.source]\nurl = \"${env:MILLRACE_SOURCE_URL}\"\n\
             [databases.target]\nurl = \"${env:MILLRACE_TARGET_URL}\"\n\
             [tables]\ninclude = [\"public.*\"]\nrows = \"recopy\"\n"
            .to_owned();
        for (kind, friendly) in STAGES {
            let stage = others.iter().find(|(other, _)| *other == kind).map_or(friendly, |(_, stage)| stage);
            // A vendor's converter leaves the other columns to the last one.
            let stage = if kind == "converter" && stage != friendly {
                format!("{stage}\n[[stage]]\n{friendly}")
            } else {
                stage.to_owned()
            };
            if !stage.is_empty() {
                let _ = write!(text, "[[stage]]\n{stage}\n");
            }
        }
        self.millrace.write("pipeline.toml", &text)
    }

    /// A stage of a hostile plugin that shows this face.
    fn stage(&self, component: &[u8], face: &str, with: &str) -> Result<String> {
        let plugin = pinned(&self.millrace, "hostile", component)?;
        Ok(format!("{plugin}\nconfig = {{ face = \"{face}\", with = '''{with}''' }}"))
    }

    async fn command(&self, arguments: &[&str], pipeline: &str) -> Result<Outcome> {
        let (verb, options) = arguments.split_first().context("a command has a verb")?;
        let arguments: Vec<&str> = [*verb, pipeline].into_iter().chain(options.iter().copied()).collect();
        self.millrace.run(&arguments).await
    }

    /// The source's catalog, and every row of both sides that people use.
    async fn everything(&self) -> Result<String> {
        let mut text = catalog(&self.source).await?;
        for (database, quote) in [(&self.source, '"'), (&self.target, '`')] {
            for table in names_of_tables(database).await?.into_iter().filter(|name| !name.contains("_tmp_")) {
                let rows = database.query_text(&format!("SELECT * FROM {quote}{table}{quote} ORDER BY 1")).await?;
                writeln!(text, "{table}: {rows:?}")?;
            }
        }
        let shapes = "SELECT table_name, column_name, column_type, column_default, is_nullable \
             FROM information_schema.columns WHERE table_schema = database() \
             AND table_name NOT LIKE 'millrace%' AND table_name NOT LIKE '%\\_tmp\\_%' ORDER BY 1, ordinal_position";
        writeln!(text, "{:?}", self.target.query_text(shapes).await?)?;
        Ok(text)
    }

    /// Lets a hostile stage be part of a command, which must leave everything as it was. What it ended with.
    async fn suffers(&self, arguments: &[&str], others: &[(&str, &str)]) -> Result<Outcome> {
        let before = self.everything().await?;
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let outcome = self.command(&arguments, &self.pipeline(others)).await?;
        let after = self.everything().await?;
        ensure!(before == after, "{others:?} changed something\nbefore: {before}\nafter: {after}\n{outcome}");
        Ok(outcome)
    }
}

#[tokio::test]
async fn sql_in_what_a_converter_says_never_reaches_the_target() -> Result<()> {
    let scene = Scene::open().await?;
    let types = [
        "int NULL); DROP TABLE stranger; CREATE TABLE pwn (x int",
        "int) AS SELECT id, secret FROM stranger -- ",
        "int DEFAULT (sleep(100))",
        "int, pwn int",
    ];
    let expressions =
        ["1); DROP TABLE stranger; -- ", "(select secret from stranger)", "(sleep(100))", "1 PRIMARY KEY"];
    let mut attacks: Vec<(&str, &str, &str)> = Vec::new();
    attacks.extend(types.map(|with| ("sql-declared", with, "plan.type-refused")));
    attacks.push(("sql-collation", "utf8mb4_bin NULL, pwn int", "plan.collation-refused"));
    for face in ["sql-default", "sql-generated", "sql-on-update"] {
        attacks.extend(expressions.map(|with| (face, with, "plan.expression-refused")));
    }
    for (face, with, code) in attacks {
        let stage = scene.stage(HOSTILE, face, with)?;
        let outcome = scene.suffers(&["run", "--yes"], &[("converter", &stage)]).await?;
        outcome.fails_with(code).with_context(|| format!("{face}: {with}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn what_our_own_model_sources_ask_a_vendors_may_ask_as_well() -> Result<()> {
    let source = postgres18().fresh_database("hostile").await?;
    let target = oceanbase().fresh_database("hostile").await?;
    fill_shop(&source, 20).await?;
    let scene = Scene { millrace: millrace().between(&source, &target), source, target };
    let mut vendors = Vec::new();
    for (side, name) in [("source", "model-postgres"), ("target", "model-oceanbase")] {
        let component = millrace_bundle::plugin(name).context("it comes with the command")?;
        let plugin = pinned(&scene.millrace, name, component)?;
        vendors.push((side, format!("{plugin}\ndatabase = \"{side}\"")));
    }
    let vendors: Vec<(&str, &str)> = vendors.iter().map(|(side, stage)| (*side, stage.as_str())).collect();
    scene.command(&["run", "--yes"], &scene.pipeline(&[])).await?.expect(0)?;
    scene.command(&["plan"], &scene.pipeline(&vendors)).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn a_model_source_reads_the_catalog_and_nothing_else() -> Result<()> {
    let scene = Scene::open().await?;
    for side in ["source", "target"] {
        let stage = format!("{}\ndatabase = \"{side}\"", scene.stage(HOSTILE_MODEL_SOURCE, "queries", "")?);
        scene.suffers(&["plan"], &[(side, &stage)]).await?.fails_with("hostile.all-refused")?;
    }
    Ok(())
}

#[tokio::test]
async fn sql_in_what_a_model_source_says_never_reaches_a_database() -> Result<()> {
    let scene = Scene::open().await?;
    for (face, with) in [
        ("predicate", "true)) AS keys) AS found; COMMIT; DROP TABLE item; --"),
        ("predicate", "setval('item_id_seq', 999) > 0"),
        ("expression", "pg_sleep(1000)"),
        ("expression", "name) FROM item; COMMIT; DROP TABLE item; --"),
        ("texts", "1; DROP TABLE item; --"),
        ("texts", "x') ; DROP TABLE stranger; -- "),
    ] {
        let stage = format!("{}\ndatabase = \"source\"", scene.stage(HOSTILE_MODEL_SOURCE, face, with)?);
        let outcome = scene.suffers(&["plan"], &[("source", &stage)]).await?;
        outcome.expect(0).with_context(|| format!("{face}: {with}"))?;
    }
    let stage = format!("{}\ndatabase = \"target\"", scene.stage(HOSTILE_MODEL_SOURCE, "other-database", "")?);
    scene.suffers(&["plan"], &[("target", &stage)]).await?.fails_with("plan.not-of-the-target")?;

    // What becomes of the rows of a table that stays is a word of four, whatever the model says.
    let keeper = "CREATE TABLE keeper (id int PRIMARY KEY, name varchar(9), \
         CONSTRAINT keeper_item FOREIGN KEY (id) REFERENCES item (id))";
    scene.target.run_sql(keeper).await?;
    let with = "CASCADE; DROP TABLE stranger";
    let stage = format!("{}\ndatabase = \"target\"", scene.stage(HOSTILE_MODEL_SOURCE, "actions", with)?);
    let outcome = scene.command(&["plan", "--json"], &scene.pipeline(&[("target", &stage)])).await?.expect(0)?;
    let sql = outcome.json()?["after_switch"].to_string();
    ensure!(sql.contains("ADD CONSTRAINT") && sql.contains("ON DELETE RESTRICT"), "{sql}");
    ensure!(!sql.contains("DROP TABLE"), "{sql}");
    Ok(())
}

#[tokio::test]
async fn a_differ_says_what_it_likes_and_changes_nothing() -> Result<()> {
    let scene = Scene::open().await?;
    let stage = scene.stage(HOSTILE_DIFFER, "texts", "x`; DROP TABLE stranger; --")?;
    scene.suffers(&["plan"], &[("differ", &stage)]).await?.expect(0)?;
    let stage = scene.stage(HOSTILE_DIFFER, "giant", "")?;
    scene.suffers(&["plan"], &[("differ", &stage)]).await?.fails_with("plugin.returned-too-much")?;
    Ok(())
}

#[tokio::test]
async fn a_copier_that_loses_keeps_or_forges_rows_gets_none_of_them_live() -> Result<()> {
    let scene = Scene::open().await?;
    for face in [
        "drops-rows",
        "never-commits",
        "commits-nothing",
        "after-write",
        "foreign-handle",
        "no-such-column",
        "empty-chunks",
        "hoards-batches",
    ] {
        let stage = scene.stage(HOSTILE_COPIER, face, "")?;
        let outcome = scene.suffers(&["run", "--yes"], &[("copier", &stage)]).await?;
        ensure!(outcome.code != Some(0), "{face} went unnoticed\n{outcome}");
    }
    for face in ["takes-all-at-once", "smallest-chunks", "asks-for-the-world", "copies-inside-and-outside"] {
        let stage = scene.stage(HOSTILE_COPIER, face, "")?;
        // Without a switch, to see that the rows are right and nothing else has happened.
        let others = [("copier", stage.as_str()), ("switcher", ""), ("cleaner", "")];
        scene.suffers(&["run", "--yes"], &others).await?.expect(0).with_context(|| face.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn sql_in_a_validators_ranges_is_a_text_and_its_verdict_stops_the_run() -> Result<()> {
    let scene = Scene::open().await?;
    let stage = scene.stage(HOSTILE_VALIDATOR, "ranges", "1'); DROP TABLE item; --")?;
    scene.suffers(&["run", "--yes"], &[("validator", &stage)]).await?.fails_with("hostile.all-refused")?;
    let stage = scene.stage(HOSTILE_VALIDATOR, "everything", "")?;
    scene.suffers(&["run", "--yes"], &[("validator", &stage)]).await?.fails_with("hostile.all-refused")?;
    let stage = scene.stage(HOSTILE_VALIDATOR, "texts", "<script>x</script>; DROP TABLE item; --")?;
    scene.suffers(&["run", "--yes"], &[("validator", &stage)]).await?.expect(3)?;
    Ok(())
}

#[tokio::test]
async fn a_switcher_moves_no_table_but_those_of_the_switch_and_cannot_say_that_it_did() -> Result<()> {
    let scene = Scene::open().await?;
    for (face, words) in [
        ("strangers", "everything was refused"),
        ("does-nothing", "the switcher says that it is done"),
        ("no-steps", "the switcher says that it is done"),
        ("leaves-a-fence", "it leaves the fence up"),
    ] {
        let stage = scene.stage(HOSTILE_SWITCHER, face, "")?;
        let outcome = scene.suffers(&["run", "--yes"], &[("switcher", &stage)]).await?;
        ensure!(outcome.code != Some(0), "{face} went unnoticed\n{outcome}");
        outcome.says(words)?;
    }
    scene.target.run_sql("INSERT INTO item (id, name) VALUES (4, 'd')").await.context("the fence is still up")?;
    Ok(())
}

#[tokio::test]
async fn a_cleaner_removes_only_what_it_was_offered() -> Result<()> {
    let scene = Scene::open().await?;
    // A second run leaves a backup of the first one's table.
    scene.command(&["run", "--yes"], &scene.pipeline(&[("cleaner", "")])).await?.expect(0)?;
    for (face, with) in [("unoffered", "stranger"), ("unoffered", "item"), ("other-database", ""), ("twice", "")] {
        let stage = scene.stage(HOSTILE_CLEANER, face, with)?;
        let outcome = scene.suffers(&["clean", "--yes"], &[("cleaner", &stage)]).await?;
        outcome.fails_with("plugin.malformed").with_context(|| face.to_owned())?;
    }
    let stage = scene.stage(HOSTILE_CLEANER, "strangers", "")?;
    scene.suffers(&["clean", "--yes"], &[("cleaner", &stage)]).await?.fails_with("hostile.all-refused")?;
    Ok(())
}
