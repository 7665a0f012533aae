//! A whole migration, from the first run to the last.

use anyhow::Result;
use millrace_test_engines::{Shared, postgres16, postgres18};
use millrace_tests::{SHOP_TABLES, Told, count_rows};

use crate::{QUICKSTART, Shop};

async fn migrates_in_full(engine: &Shared) -> Result<()> {
    let shop = Shop::open_in(engine, 2_000).await?;
    let ran = shop.millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await?.expect(0)?;
    let told = Told::read(&ran.json()?)?;
    assert_eq!(told.state, "done");
    assert_eq!(told.with_strategy("create"), SHOP_TABLES);
    told.every_digest_is_equal()?;
    for table in SHOP_TABLES {
        let rows = count_rows(&shop.source, table).await?;
        assert_eq!(count_rows(&shop.target, table).await?, rows, "{table}");
        assert_eq!(told.table(table)?.copy.as_ref().unwrap().rows, rows, "{table}");
    }
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do")?;
    Ok(())
}

#[tokio::test]
async fn the_shop_migrates_in_full_and_a_second_run_has_nothing_to_do() -> Result<()> {
    migrates_in_full(postgres18()).await
}

#[tokio::test]
async fn the_shop_migrates_in_full_from_the_older_postgres_as_well() -> Result<()> {
    migrates_in_full(postgres16()).await
}
