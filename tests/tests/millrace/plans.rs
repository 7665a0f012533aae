//! Looking without touching, and plans that are carried elsewhere.

use anyhow::Result;
use millrace_tests::{CHANGES, Told, catalog, live_tables};

use crate::{QUICKSTART, Shop};

#[tokio::test]
async fn plan_and_check_change_nothing_in_either_database() -> Result<()> {
    let shop = Shop::open(100).await?;
    let look = async || anyhow::Ok((catalog(&shop.source).await?, catalog(&shop.target).await?));
    let empty = look().await?;
    shop.millrace.run(&["check", QUICKSTART]).await?.expect(0)?.says("all is well")?;
    shop.millrace.run(&["plan", QUICKSTART]).await?.expect(0)?;
    shop.millrace.run(&["model", "diff", QUICKSTART]).await?.expect(0)?;
    assert_eq!(empty, look().await?);

    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    shop.source.run_sql(CHANGES).await?;
    let migrated = look().await?;
    assert_ne!(empty, migrated, "the catalogs' text must show what a run does");
    shop.millrace.run(&["check", QUICKSTART, "--json"]).await?.expect(0)?;
    shop.millrace.run(&["plan", QUICKSTART, "--json"]).await?.expect(0)?;
    shop.millrace.run(&["model", "export", QUICKSTART, "--database", "target"]).await?.expect(0)?;
    assert_eq!(migrated, look().await?);
    Ok(())
}

#[tokio::test]
async fn a_plan_that_was_written_down_is_carried_out_once() -> Result<()> {
    let shop = Shop::open(100).await?;
    let folder = shop.millrace.folder().join("review");
    let folder = folder.to_str().unwrap();
    shop.millrace.run(&["plan", QUICKSTART, "--out", folder]).await?.expect(0)?.says("millrace apply")?;
    for file in ["plan.json", "plan.md", "pipeline.toml", "source-model.json", "target-model.json"] {
        assert!(shop.millrace.folder().join("review").join(file).is_file(), "{file} is missing");
    }
    let sql: String = std::fs::read_dir(shop.millrace.folder().join("review/sql"))?
        .map(|entry| Ok(std::fs::read_to_string(entry?.path())?))
        .collect::<Result<_>>()?;
    assert!(sql.contains("CREATE TABLE"), "{sql}");
    let password = shop.source.url.as_str();
    assert!(!std::fs::read_to_string(shop.millrace.folder().join("review/pipeline.toml"))?.contains(password));

    let again = shop.millrace.run(&["plan", QUICKSTART, "--out", folder]).await?.expect(2)?;
    again.says("plan.folder-in-use")?;
    let ran = shop.millrace.run(&["apply", folder, "--yes", "--json"]).await?.expect(0)?;
    Told::read(&ran.json()?)?.every_digest_is_equal()?;
    shop.millrace.run(&["apply", folder, "--yes", "--json"]).await?.expect(2)?.fails_with("plan.applied-already")?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do")?;
    Ok(())
}

#[tokio::test]
async fn a_plan_is_refused_when_the_target_or_the_source_is_no_longer_what_it_was_made_for() -> Result<()> {
    let shop = Shop::open(100).await?;
    let folder = |name: &str| shop.millrace.folder().join(name).to_str().unwrap().to_owned();
    let (first, second) = (folder("first"), folder("second"));
    shop.millrace.run(&["plan", QUICKSTART, "--out", &first]).await?.expect(0)?;
    shop.target.run_sql("CREATE TABLE stock (id int PRIMARY KEY); INSERT INTO stock VALUES (1)").await?;
    let before = live_tables(&shop.target).await?;
    let refused = shop.millrace.run(&["apply", &first, "--yes", "--json"]).await?.expect(2)?;
    refused.fails_with("plan.target-changed")?;

    shop.millrace.run(&["plan", QUICKSTART, "--out", &second]).await?.expect(0)?;
    shop.source.run_sql("ALTER TABLE stock ALTER COLUMN quantity TYPE bigint").await?;
    let refused = shop.millrace.run(&["apply", &second, "--yes", "--json"]).await?.expect(2)?;
    refused.fails_with("plan.source-changed")?;
    assert_eq!(before, live_tables(&shop.target).await?, "a refused plan changed the target");
    Ok(())
}
