//! What somebody meets who has only the README: slips that are named, and advice that works when it is followed.

use anyhow::Result;

use crate::{QUICKSTART, Shop, millrace};

#[tokio::test]
async fn models_of_two_kinds_of_databases_are_not_compared_as_if_they_were_one() -> Result<()> {
    let shop = Shop::migrated(50).await?;
    for database in ["source", "target"] {
        let out = shop.millrace.folder().join(format!("{database}.json"));
        let arguments = ["model", "export", QUICKSTART, "--database", database, "--out", out.to_str().unwrap()];
        shop.millrace.run(&arguments).await?.expect(0)?;
    }
    let path = |name: &str| shop.millrace.folder().join(name).to_str().unwrap().to_owned();
    let (source, target) = (path("source.json"), path("target.json"));
    let between = shop.millrace.run(&["model", "diff", &source, &target]).await?;
    between.expect(2)?.says("model.dialects-differ")?;
    shop.millrace.run(&["model", "diff", &source]).await?.expect(2)?.says("model.nothing-to-compare-with")?;
    shop.millrace.run(&["model", "diff", &target, &target]).await?.expect(0)?.says("no change")?;
    Ok(())
}

#[tokio::test]
async fn a_url_that_cannot_be_read_says_which_part_of_it_and_shows_none() -> Result<()> {
    for (url, part) in [
        ("postgres://me:s3cret@127.0.0.1:abc/shop", "port"),
        ("postgres://me:s3c/ret@127.0.0.1:5432/shop", "%2F"),
        ("postgres://me:s3c#ret@127.0.0.1:5432/shop", "%23"),
    ] {
        let millrace =
            millrace().with("MILLRACE_SOURCE_URL", url).with("MILLRACE_TARGET_URL", "mysql://a@127.0.0.1:1/b");
        let refused = millrace.run(&["plan", QUICKSTART]).await?;
        refused.expect(2)?.says(part)?.never_says("s3c")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_mistake_on_the_command_line_shows_the_command_and_not_the_environment() -> Result<()> {
    let wrong = millrace().run(&["run"]).await?;
    wrong.expect(2)?.says("<PIPELINE>")?.never_says("--state")?;
    Ok(())
}

#[tokio::test]
async fn an_approval_that_nobody_would_wait_for_is_refused() -> Result<()> {
    let millrace = millrace()
        .with("MILLRACE_SOURCE_URL", "postgres://a@127.0.0.1:1/b")
        .with("MILLRACE_TARGET_URL", "mysql://a@127.0.0.1:1/b");
    for plugin in ["copy-range", "clean-expired"] {
        let text = std::fs::read_to_string(QUICKSTART)?;
        let text = text.replace(&format!("plugin = \"{plugin}\""), &format!("plugin = \"{plugin}\"\napprove = true"));
        let pipeline = millrace.write("pipeline.toml", &text);
        millrace.run(&["plan", &pipeline]).await?.expect(2)?.says("pipeline.key-of-other-kind")?;
    }
    Ok(())
}
