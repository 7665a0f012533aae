//! Runs after the first: only what changed, and the way back.

use std::collections::BTreeSet;

use anyhow::Result;
use millrace_test_engines::Database;
use millrace_tests::{CHANGES, CHANGES_OF_PARENTS, Told, count_rows, live_tables};

use crate::{QUICKSTART, Shop};

/// The target's own numbers of tables: a table that is made anew has another.
async fn identities(target: &Database, tables: &[&str]) -> Result<Vec<Vec<Option<String>>>> {
    let list = tables.iter().map(|t| format!("'{t}'")).collect::<Vec<_>>().join(", ");
    let query = format!(
        "SELECT object_name, object_id FROM oceanbase.DBA_OBJECTS \
         WHERE owner = database() AND object_type = 'TABLE' AND object_name IN ({list}) ORDER BY 1"
    );
    let found = target.query_text(&query).await?;
    assert_eq!(found.len(), tables.len(), "{found:?}");
    Ok(found)
}

#[tokio::test]
async fn an_incremental_run_touches_only_what_changed_and_the_plan_named_exactly_that() -> Result<()> {
    const KEPT: [&str; 3] = ["customer", "orders", "product"];
    const REBUILT: [&str; 5] = ["address", "order_line", "page_view", "payment", "stock"];
    let shop = Shop::migrated(500).await?;
    let (kept, rebuilt) = (identities(&shop.target, &KEPT).await?, identities(&shop.target, &REBUILT).await?);
    let before = live_tables(&shop.target).await?;
    shop.source.run_sql(CHANGES).await?;

    let plan = shop.millrace.run(&["plan", QUICKSTART, "--json"]).await?.expect(0)?.json()?;
    let named: BTreeSet<String> = plan["tables"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|table| table["strategy"] == "rebuild")
        .flat_map(|table| table["changes"].as_array().unwrap())
        .map(|change| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let destroys = if change["destructive"] == true { ", destroys" } else { "" };
            let table = text(&change["table"]["name"]);
            format!(
                "{table}: {} {} {}{destroys}",
                text(&change["subject"]),
                text(&change["name"]),
                text(&change["kind"])
            )
        })
        .collect();
    let expected = [
        "address: column hint added",
        "order_line: index order_line_product added",
        "page_view: column agent removed, destroys",
        "payment: column receipt modified",
        "stock: column quantity modified",
    ];
    assert_eq!(named, expected.map(str::to_owned).into());

    let ran = shop.millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await?.expect(0)?;
    let told = Told::read(&ran.json()?)?;
    told.every_digest_is_equal()?;
    assert_eq!(told.with_strategy("keep"), KEPT);
    assert_eq!(told.with_strategy("rebuild"), REBUILT);
    assert_eq!(told.with_strategy("create"), ["review"]);
    assert_eq!(kept, identities(&shop.target, &KEPT).await?, "a kept table was made anew");
    let now = identities(&shop.target, &REBUILT).await?;
    assert!(rebuilt.iter().zip(&now).all(|(old, new)| old != new), "{rebuilt:?} {now:?}");
    for table in KEPT.iter().chain(&REBUILT).chain(&["review"]) {
        assert_eq!(count_rows(&shop.target, table).await?, count_rows(&shop.source, table).await?, "{table}");
    }

    shop.millrace.run(&["rollback", "last"]).await?.expect(0)?.says("the old tables are live again")?;
    let after = live_tables(&shop.target).await?;
    for (name, table) in &before {
        assert_eq!(Some(table), after.get(name), "{name} is not what it was");
    }
    assert_eq!(rebuilt, identities(&shop.target, &REBUILT).await?, "the old tables themselves are back");
    assert!(!after.contains_key("review"));

    // Forth again: what was built is still there.
    shop.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert_eq!(now, identities(&shop.target, &REBUILT).await?);
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do")?;
    Ok(())
}

#[tokio::test]
async fn tables_that_others_refer_to_are_rebuilt_and_brought_back() -> Result<()> {
    let shop = Shop::migrated(200).await?;
    let before = live_tables(&shop.target).await?;
    shop.source.run_sql(CHANGES_OF_PARENTS).await?;
    let ran = shop.millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await?.expect(0)?;
    let told = Told::read(&ran.json()?)?;
    told.every_digest_is_equal()?;
    assert_eq!(told.with_strategy("rebuild"), ["customer", "orders", "product"]);
    // The kept tables' references are to the new tables: a row that only the new one has can be referred to.
    let bell = "INSERT INTO stock (product_id, warehouse) SELECT id, 'NEW' FROM product WHERE title = 'Bell'";
    shop.target.run_sql(bell).await?;
    assert!(shop.target.run_sql("INSERT INTO stock (product_id, warehouse) VALUES (9999, 'NEW')").await.is_err());
    shop.target.run_sql("DELETE FROM stock WHERE warehouse = 'NEW'").await?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do")?;

    shop.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    let after = live_tables(&shop.target).await?;
    for (name, table) in &before {
        assert_eq!(Some(table), after.get(name), "{name} is not what it was");
    }
    Ok(())
}

#[tokio::test]
async fn reports_tell_of_a_run_in_three_forms() -> Result<()> {
    let shop = Shop::migrated(100).await?;
    let html = shop.millrace.folder().join("report.html");
    shop.millrace.run(&["report", "last", "--format", "html", "--out", html.to_str().unwrap()]).await?.expect(0)?;
    let html = std::fs::read_to_string(html)?;
    let markdown = shop.millrace.run(&["report"]).await?.expect(0)?.stdout;
    let json = shop.millrace.run(&["report", "--json"]).await?.expect(0)?;
    let told = Told::read(&json.json()?)?;
    for text in [&html, &markdown, &json.stdout] {
        for table in &told.tables {
            assert!(text.contains(&table.target), "no {}", table.target);
            assert!(text.contains(&table.copy.as_ref().unwrap().digest[..8]), "no digest of {}", table.target);
        }
        assert!(text.contains("unfinished_order"), "the view is missing");
    }
    assert!(!html.contains("src=\"http") && !html.contains("href=\"http"), "the page must stand by itself");
    let shown = shop.millrace.run(&["show", "last"]).await?.expect(0)?;
    shown.says("done")?.says("orders")?;
    let runs = shop.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
    assert_eq!(runs.as_array().unwrap().len(), 1);
    assert_eq!(runs[0]["id"], told.run.as_str());
    Ok(())
}
