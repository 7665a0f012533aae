//! The daemon: what the command line does, over HTTP.

use anyhow::Result;
use millrace_tests::{CHANGES, Client, Millrace, Running, SHOP_TABLES, Told, count_rows, live_tables};
use serde_json::{Value, json};

use crate::{QUICKSTART, Shop, millrace};

/// Serves the quickstart's pipeline as `shop`, with a switch that waits for approval, and as `at-once`, with one that
/// does not.
pub(crate) async fn serve(millrace: &Millrace) -> Result<(Running, Client)> {
    let text = std::fs::read_to_string(QUICKSTART)?;
    millrace.write("pipelines/at-once.toml", &text);
    let waiting = text.replace("plugin = \"switch-rename\"", "plugin = \"switch-rename\"\napprove = true");
    millrace.write("pipelines/shop.toml", &waiting);
    serve_again(millrace).await
}

pub(crate) async fn serve_again(millrace: &Millrace) -> Result<(Running, Client)> {
    serve_with(millrace, &[], &[]).await
}

/// With more arguments and environment variables.
pub(crate) async fn serve_with(
    millrace: &Millrace,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<(Running, Client)> {
    let folder = millrace.folder().join("pipelines");
    std::fs::create_dir_all(&folder)?;
    let mut all = vec!["serve", "--listen", "127.0.0.1:0", "--pipelines", folder.to_str().unwrap()];
    all.extend_from_slice(arguments);
    let mut daemon = millrace.spawn_with(&all, environment)?;
    let line = daemon.says("listening on").await?;
    Ok((daemon, Client::told_by(&line)?))
}

pub(crate) fn run_of(answer: &Value) -> String {
    answer["run"].as_str().unwrap_or_else(|| panic!("no run in {answer}")).to_owned()
}

/// The names of the journal's events, in order, until the run's task ends.
pub(crate) async fn follow(client: &Client, run: &str) -> Result<Vec<String>> {
    let events = client.get(&format!("/v1/runs/{run}/events")).await?.expect(200)?.events()?;
    let journal = events.iter().filter(|(name, _)| name == "journal");
    Ok(journal.map(|(_, event)| event["event"].as_str().unwrap_or_default().to_owned()).collect())
}

#[tokio::test]
async fn a_whole_migration_goes_over_http() -> Result<()> {
    let shop = Shop::open(200).await?;
    let (daemon, client) = serve(&shop.millrace).await?;
    assert_eq!(client.get("/v1/health").await?.expect(200)?.body, "ok");
    let pipelines = client.get("/v1/pipelines").await?.expect(200)?.json()?;
    let files: Vec<&str> = pipelines.as_array().unwrap().iter().filter_map(|p| p["file"].as_str()).collect();
    assert_eq!(files, ["at-once", "shop"], "{pipelines}");

    let plan = client.post("/v1/pipelines/shop/plan", None).await?.expect(200)?.json()?;
    assert_eq!(plan["tables"].as_array().unwrap().len(), SHOP_TABLES.len());
    let run = run_of(&client.post("/v1/pipelines/shop/runs", None).await?.expect(202)?.json()?);
    let journal = follow(&client, &run).await?;
    assert_eq!(journal.first().map(String::as_str), Some("run-started"));
    assert_eq!(journal.last().map(String::as_str), Some("run-waiting"));
    assert!(!live_tables(&shop.target).await?.contains_key("orders"));

    client.post(&format!("/v1/runs/{run}/approve"), None).await?.expect(202)?;
    assert_eq!(follow(&client, &run).await?.last().map(String::as_str), Some("run-finished"));
    let report = client.get(&format!("/v1/runs/{run}/report")).await?.expect(200)?.json()?;
    let told = Told::read(&report)?;
    assert_eq!(told.state, "done");
    told.every_digest_is_equal()?;
    for table in SHOP_TABLES {
        assert_eq!(count_rows(&shop.target, table).await?, count_rows(&shop.source, table).await?, "{table}");
    }
    let again = client.post("/v1/pipelines/shop/runs", None).await?.expect(200)?.json()?;
    assert_eq!(again["state"], "nothing-to-do");

    // Incrementally, approved beforehand; back; and forth.
    let before = live_tables(&shop.target).await?;
    shop.source.run_sql(CHANGES).await?;
    let approved = json!({ "approved": true });
    let second = run_of(&client.post("/v1/pipelines/shop/runs", Some(&approved)).await?.expect(202)?.json()?);
    assert_eq!(follow(&client, &second).await?.last().map(String::as_str), Some("run-finished"));
    client.post(&format!("/v1/runs/{second}/rollback"), None).await?.expect(202)?;
    assert_eq!(follow(&client, &second).await?.last().map(String::as_str), Some("run-rolled-back"));
    let after = live_tables(&shop.target).await?;
    for (name, table) in &before {
        assert_eq!(Some(table), after.get(name), "{name} is not what it was");
    }
    client.post(&format!("/v1/runs/{second}/resume"), Some(&approved)).await?.expect(202)?;
    assert_eq!(follow(&client, &second).await?.last().map(String::as_str), Some("run-finished"));
    let runs = client.get("/v1/runs?pipeline=quickstart").await?.expect(200)?.json()?;
    let states: Vec<&str> = runs.as_array().unwrap().iter().filter_map(|r| r["state"].as_str()).collect();
    assert_eq!(states, ["done", "done"]);
    let shown = client.get(&format!("/v1/runs/{second}")).await?.expect(200)?.json()?;
    assert_eq!(shown["active"], false);

    daemon.interrupt().await?;
    daemon.finish().await?.expect(0)?;
    // The command line sees the same runs.
    shop.millrace.run(&["show", &second]).await?.expect(0)?.says("done")?;
    Ok(())
}

#[tokio::test]
async fn requests_that_cannot_be_met_are_answered_with_their_code() -> Result<()> {
    let shop = Shop::open(20).await?;
    let (_daemon, client) = serve(&shop.millrace).await?;
    shop.millrace.write("pipelines/wrong.toml", "name = 7\n");
    let code = async |answer: millrace_tests::Answer| anyhow::Ok(answer.json()?["error"]["code"].clone());
    let unknown = client.post("/v1/pipelines/absent/runs", None).await?.expect(404)?;
    assert_eq!(code(unknown).await?, "serve.unknown-pipeline");
    let outside = client.post("/v1/pipelines/..%2Fshop/runs", None).await?.expect(404)?;
    assert_eq!(code(outside).await?, "serve.unknown-pipeline");
    assert_eq!(code(client.get("/v1/runs/absent").await?.expect(404)?).await?, "run.unknown");
    let wrong = client.post("/v1/pipelines/wrong/plan", None).await?.expect(422)?.json()?;
    assert!(wrong["error"]["diagnostics"].as_array().is_some_and(|d| !d.is_empty()), "{wrong}");

    // A run that waits can be given up; then it is over.
    let run = run_of(&client.post("/v1/pipelines/shop/runs", None).await?.expect(202)?.json()?);
    follow(&client, &run).await?;
    let cancelled = client.post(&format!("/v1/runs/{run}/cancel"), None).await?.expect(200)?.json()?;
    assert_eq!(cancelled["state"], "cancelled");
    let over = client.post(&format!("/v1/runs/{run}/resume"), None).await?.expect(409)?;
    assert_eq!(code(over).await?, "run.over");
    Ok(())
}

#[tokio::test]
async fn several_runs_go_at_once_and_interrupted_ones_are_found_again() -> Result<()> {
    let (first, second) = (Shop::open(200).await?, Shop::open(200).await?);
    let text = std::fs::read_to_string(QUICKSTART)?;
    let millrace = millrace()
        .with("FIRST_SOURCE", &first.source.url)
        .with("FIRST_TARGET", &first.target.url)
        .with("SECOND_SOURCE", &second.source.url)
        .with("SECOND_TARGET", &second.target.url);
    for name in ["first", "second"] {
        let upper = name.to_uppercase();
        let text = text
            .replace("\"quickstart\"", &format!("\"{name}\""))
            .replace("MILLRACE_SOURCE_URL", &format!("{upper}_SOURCE"))
            .replace("MILLRACE_TARGET_URL", &format!("{upper}_TARGET"));
        millrace.write(&format!("pipelines/{name}.toml"), &text);
    }
    let (daemon, client) = serve_again(&millrace).await?;
    let one = run_of(&client.post("/v1/pipelines/first/runs", None).await?.expect(202)?.json()?);
    let other = run_of(&client.post("/v1/pipelines/second/runs", None).await?.expect(202)?.json()?);
    daemon.kill().await?;

    let (_daemon, client) = serve_again(&millrace).await?;
    for run in [&one, &other] {
        let shown = client.get(&format!("/v1/runs/{run}")).await?.expect(200)?.json()?;
        let state = shown["run"]["state"].as_str().unwrap();
        if state != "done" {
            assert!(["planned", "interrupted"].contains(&state), "{shown}");
            client.post(&format!("/v1/runs/{run}/resume"), None).await?.expect(202)?;
            follow(&client, run).await?;
        }
        let report = client.get(&format!("/v1/runs/{run}/report")).await?.expect(200)?.json()?;
        let told = Told::read(&report)?;
        assert_eq!(told.state, "done", "{report}");
        told.every_digest_is_equal()?;
    }
    Ok(())
}

#[tokio::test]
async fn beyond_loopback_a_token_is_asked_for() -> Result<()> {
    let millrace = millrace();
    millrace.write("pipelines/none.txt", "");
    let folder = millrace.folder().join("pipelines");
    let folder = folder.to_str().unwrap();
    let open = millrace.run(&["serve", "--listen", "0.0.0.0:0", "--pipelines", folder]).await?.expect(2)?;
    open.says("serve.token-needed")?;
    let token = millrace.write("token", "a-token-of-some-length\n");
    let mut daemon =
        millrace.spawn(&["serve", "--listen", "127.0.0.1:0", "--pipelines", folder, "--token-file", &token])?;
    let client = Client::told_by(&daemon.says("listening on").await?)?;
    client.clone().without_token().get("/v1/runs").await?.expect(401)?;
    client.clone().with_token("another-token-of-some-length").get("/v1/runs").await?.expect(401)?;
    assert_eq!(client.token(), "a-token-of-some-length");
    client.get("/v1/runs").await?.expect(200)?;
    Ok(())
}
