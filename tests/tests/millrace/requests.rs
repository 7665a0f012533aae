//! What is asked of the daemon: by many at once, wrongly, by who reads slowly, and while a database is silent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use millrace_tests::{Answer, Client, Millrace, live_tables};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::serving::{follow, run_of, serve, serve_with};
use crate::{QUICKSTART, Shop, millrace};

/// So many ask at once.
const MANY: usize = 20;

/// Sends the same request often at once. All but one are refused, with the run or its pipeline in somebody's hands, or
/// because what was asked for has been done by then; the answer of the one.
async fn one_of_many(client: &Client, path: &str, status: u16) -> Result<Value> {
    let asked = (0..MANY).map(|_| {
        let (client, path) = (client.clone(), path.to_owned());
        tokio::spawn(async move { client.post(&path, None).await })
    });
    let mut done = Vec::new();
    for answer in asked.collect::<Vec<_>>() {
        let answer: Answer = answer.await??;
        if answer.status == status {
            done.push(answer.json()?);
        } else {
            let answer = answer.expect(409)?;
            let code = answer.json()?["error"]["code"].as_str().unwrap_or_default().to_owned();
            let codes = ["run.busy", "run.not-waiting", "run.over", "run.cannot-roll-back", "run.cannot-cancel"];
            ensure!(codes.contains(&code.as_str()), "{path}: {}", answer.body);
        }
    }
    ensure!(done.len() == 1, "{} of {MANY} were told that {path} is done", done.len());
    done.pop().context("one was done")
}

/// The last thing that a run's journal says when its task ends.
async fn last(client: &Client, run: &str) -> Result<String> {
    follow(client, run).await?.pop().context("a journal has events")
}

#[tokio::test]
async fn of_many_who_ask_for_the_same_at_once_one_gets_it_and_the_run_stays_in_reach() -> Result<()> {
    let shop = Shop::open(20).await?;
    let millrace = &shop.millrace;
    let (daemon, client) = serve(millrace).await?;
    daemon.kill().await?;
    drop(client);
    let held = |at: &'static str| async move { serve_with(millrace, &[], &[("MILLRACE_HOLD_AT", at)]).await };

    let (mut daemon, client) = held("action-started@copy").await?;
    let run = run_of(&one_of_many(&client, "/v1/pipelines/shop/runs", 202).await?);
    daemon.says("held at").await?;
    daemon.kill().await?;
    let runs = |client: Client| async move { client.get("/v1/runs").await?.expect(200)?.json() };

    let (mut daemon, client) = held("action-started@validate").await?;
    assert_eq!(runs(client.clone()).await?.as_array().map(Vec::len), Some(1));
    one_of_many(&client, &format!("/v1/runs/{run}/resume"), 202).await?;
    let shown = client.get(&format!("/v1/runs/{run}")).await?.expect(200)?.json()?;
    assert_eq!(shown["active"], true, "the run is out of reach: {shown}");
    daemon.says("held at").await?;
    daemon.kill().await?;

    let (_daemon, client) = serve_with(millrace, &[], &[]).await?;
    client.post(&format!("/v1/runs/{run}/resume"), None).await?.expect(202)?;
    assert_eq!(last(&client, &run).await?, "run-waiting");
    one_of_many(&client, &format!("/v1/runs/{run}/approve"), 202).await?;
    assert_eq!(last(&client, &run).await?, "run-finished");
    one_of_many(&client, &format!("/v1/runs/{run}/rollback"), 202).await?;
    assert_eq!(last(&client, &run).await?, "run-rolled-back");
    assert!(!live_tables(&shop.target).await?.contains_key("orders"));

    let second = run_of(&client.post("/v1/pipelines/shop/runs", None).await?.expect(202)?.json()?);
    assert_eq!(last(&client, &second).await?, "run-waiting");
    let cancelled = one_of_many(&client, &format!("/v1/runs/{second}/cancel"), 200).await?;
    assert_eq!(cancelled["state"], "cancelled");
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_not_understood_does_nothing_and_is_answered_in_json() -> Result<()> {
    let shop = Shop::open(20).await?;
    let (_daemon, client) = serve(&shop.millrace).await?;
    let head = |line: &str| {
        let (host, token) = (client.address(), client.token());
        format!("{line} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n")
    };
    let start = head("POST /v1/pipelines/shop/runs");
    let long = format!("{{\"approved\": {}true}}", " ".repeat(100_000));
    for (body, status, code) in [
        (r#"{"approved": tru"#, 400, "serve.not-json"),
        ("approved=true", 400, "serve.not-json"),
        (r#"{"approved": true} {}"#, 400, "serve.not-json"),
        ("[true]", 422, "serve.bad-body"),
        ("null", 422, "serve.bad-body"),
        ("\"approved\"", 422, "serve.bad-body"),
        (r#"{"approved": "true"}"#, 422, "serve.bad-body"),
        (r#"{"approved": null}"#, 422, "serve.bad-body"),
        (r#"{"aproved": true}"#, 422, "serve.bad-body"),
        (r#"{"approved": true, "approved": false}"#, 422, "serve.bad-body"),
        (&long, 413, "serve.body-too-large"),
    ] {
        for kind in ["", "content-type: application/json\r\n", "content-type: application/json; charset=utf-8\r\n"] {
            let shown: String = body.chars().take(40).collect();
            let answer = client.send(&format!("{start}{kind}"), body).await?;
            answer.fails_with(status, code).with_context(|| format!("{kind}{shown}"))?;
        }
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let answer = client.send(&format!("{start}content-type: {kind}\r\n"), r#"{"approved": true}"#).await?;
        answer.fails_with(415, "serve.not-json-type")?;
    }
    for path in ["runs/last/approve", "runs/last/cancel", "runs/last/stop", "pipelines/shop/plan"] {
        // What has no body takes none; a run is looked for first.
        let (status, code) = if path.starts_with("runs") { (404, "run.unknown") } else { (422, "serve.bad-body") };
        client.send(&head(&format!("POST /v1/{path}")), r#"{"yes": true}"#).await?.fails_with(status, code)?;
    }
    for (line, status, code) in [
        ("GET /v1/runs?limit=abc", 400, "serve.bad-query"),
        ("GET /v1/runs?limit=-1", 400, "serve.bad-query"),
        ("GET /v1/runs?limit=0", 400, "serve.bad-query"),
        ("GET /v1/runs?limit=4294967295", 400, "serve.bad-query"),
        ("GET /v1/runs?limt=1", 400, "serve.bad-query"),
        ("GET /v1/runs?limit=1&limit=2", 400, "serve.bad-query"),
        ("GET /v1/runs/%ff", 400, "serve.bad-path"),
        ("GET /v1/runs/last?pipelin=shop", 400, "serve.bad-query"),
        ("GET /v1/runs/last", 404, "run.unknown"),
        ("GET /v1/runs/%20", 404, "run.unknown"),
        ("GET /v1/runs/", 404, "serve.unknown-path"),
        ("POST /v1/runs//rollback", 404, "run.unknown"),
        ("GET /", 404, "serve.unknown-path"),
        ("GET /v1/absent", 404, "serve.unknown-path"),
        ("POST /v2/runs", 404, "serve.unknown-path"),
        ("GET /v1/pipelines/shop/plan", 405, "serve.other-method"),
        ("DELETE /v1/runs", 405, "serve.other-method"),
        ("OPTIONS /v1/runs/last", 405, "serve.other-method"),
        ("POST /v1/pipelines/absent/runs", 404, "serve.unknown-pipeline"),
    ] {
        let answer = client.send(&head(line), "").await?.fails_with(status, code).context(line)?;
        let allow = answer.head.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap_or_default().to_owned();
        assert_eq!(status == 405, !allow.is_empty(), "{line}: {allow}");
    }
    assert_eq!(client.get("/v1/runs").await?.expect(200)?.json()?, json!([]), "something was started");

    let document = client.get("/v1/openapi.json").await?.expect(200)?.json()?;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/runs/{run}/stop"]["post"].is_object());
    Ok(())
}

#[tokio::test]
async fn bounds_and_names_are_those_of_the_command_line() -> Result<()> {
    let shop = Shop::migrated(20).await?;
    let (_daemon, client) = serve(&shop.millrace).await?;
    for workers in [65, u32::MAX] {
        let tuned = client.post("/v1/runs/last/tune", Some(&json!({ "workers": workers }))).await?;
        tuned.fails_with(422, "run.too-many-workers")?;
    }
    shop.millrace.run(&["tune", "last", "--workers", "65"]).await?.expect(2)?;
    for command in ["rollback", "approve", "resume", "show", "report"] {
        let nobody = shop.millrace.run(&[command, "", "--json"]).await?.expect(2)?.fails_with("run.unknown")?;
        assert!(nobody.json()?["error"]["advice"].is_string(), "{nobody}");
    }
    assert!(live_tables(&shop.target).await?.contains_key("orders"), "a run was rolled back that nobody named");
    let last = |of: &'static str| ["show", "last", "--pipeline", of];
    shop.millrace.run(&last("quickstart")).await?.expect(0)?;
    shop.millrace.run(&last("other")).await?.expect(2)?.says("run.unknown")?;
    client.get("/v1/runs/last?pipeline=quickstart").await?.expect(200)?;
    client.post("/v1/runs/last/rollback?pipeline=other", None).await?.fails_with(404, "run.unknown")?;
    shop.millrace.write("wrong.toml", "name = 7\n");
    shop.millrace.run(&["model", "export", "wrong.toml"]).await?.expect(2)?.fails_with("pipeline.wrong-type").ok();
    let wrong = shop.millrace.run(&["model", "export", "wrong.toml"]).await?.expect(2)?.json()?;
    assert!(wrong["error"]["diagnostics"].is_array() && wrong["error"]["code"].is_string(), "{wrong}");
    Ok(())
}

#[tokio::test]
async fn who_comes_back_gets_the_events_that_it_has_missed() -> Result<()> {
    let shop = Shop::migrated(20).await?;
    let (_daemon, client) = serve_with(&shop.millrace, &[], &[]).await?;
    let head = format!(
        "GET /v1/runs/last/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n",
        client.address(),
        client.token()
    );
    let all = client.send(&head, "").await?.expect(200)?;
    let numbers = |answer: &Answer| -> Vec<u64> {
        answer.body.lines().filter_map(|line| line.strip_prefix("id:")?.trim().parse().ok()).collect()
    };
    let every = numbers(&all);
    assert_eq!(every, (1..=every.len() as u64).collect::<Vec<_>>());
    let (name, end) = all.events()?.pop().context("an end")?;
    assert_eq!((name.as_str(), &end["state"]), ("end", &json!("done")));
    let later = client.send(&format!("{head}last-event-id: 5\r\n"), "").await?.expect(200)?;
    assert_eq!(numbers(&later), every[5..]);
    client.send(&format!("{head}last-event-id: five\r\n"), "").await?.fails_with(400, "serve.bad-query")?;
    Ok(())
}

/// Passes a database's connections on until it falls silent: nothing is passed on then, and nothing is closed.
struct Silenceable {
    url: String,
    silent: watch::Sender<bool>,
}

impl Silenceable {
    async fn before(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").context("a url")?;
        let (account, server) = rest.split_once('@').context("an account")?;
        let (address, database) = server.split_once('/').context("a database")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own = listener.local_addr()?;
        let silent = watch::Sender::new(false);
        let (address, told) = (Arc::new(address.to_owned()), silent.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (address, mut told) = (address.clone(), told.subscribe());
                tokio::spawn(async move {
                    let passing = async {
                        let mut server = TcpStream::connect(address.as_str()).await?;
                        copy_bidirectional(&mut client, &mut server).await
                    };
                    let falls_silent = async { told.wait_for(|silent| *silent).await.is_ok() };
                    let falls_silent = tokio::select! {
                        biased;
                        silent = falls_silent => silent,
                        _ = passing => false,
                    };
                    if falls_silent {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Ok(Self { url: format!("{scheme}://{account}@{own}/{database}"), silent })
    }
}

/// A pipeline that copies slowly.
fn slow(millrace: &Millrace) -> Result<()> {
    let text = std::fs::read_to_string(QUICKSTART)?;
    let slow = text.replace("config = { workers = 4 }", "config = { workers = 2 }\nrows_per_second = 500");
    assert_ne!(text, slow);
    millrace.write("pipelines/slow.toml", &slow);
    Ok(())
}

#[tokio::test]
async fn a_run_whose_target_is_silent_is_given_up_without_waiting_for_it() -> Result<()> {
    let shop = Shop::open(400).await?;
    let relay = Silenceable::before(&shop.target.url).await?;
    let millrace = millrace().with("MILLRACE_SOURCE_URL", &shop.source.url).with("MILLRACE_TARGET_URL", &relay.url);
    slow(&millrace)?;
    let (_daemon, client) = serve_with(&millrace, &[], &[]).await?;
    let run = run_of(&client.post("/v1/pipelines/slow/runs", None).await?.expect(202)?.json()?);
    let begun = Instant::now();
    while client.get(&format!("/v1/runs/{run}")).await?.expect(200)?.json()?["progress"].is_null() {
        ensure!(begun.elapsed() < Duration::from_secs(60), "nothing is copied");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    relay.silent.send_replace(true);
    let asked = Instant::now();
    let answer = client.post(&format!("/v1/runs/{run}/cancel"), None).await?;
    ensure!(asked.elapsed() < Duration::from_secs(5), "the answer took {:?}", asked.elapsed());
    match answer.status {
        200 => assert_eq!(answer.json()?["state"], "cancelled"),
        _ => assert_eq!(answer.expect(202)?.json()?["state"], "stopping"),
    }
    let end = client.get(&format!("/v1/runs/{run}/events")).await?.expect(200)?.events()?.pop();
    ensure!(asked.elapsed() < Duration::from_secs(15), "it took {:?} to stop", asked.elapsed());
    assert_eq!(end.context("an end")?.1["state"], "cancelled");
    client.post(&format!("/v1/runs/{run}/resume"), None).await?.fails_with(409, "run.over")?;
    Ok(())
}
