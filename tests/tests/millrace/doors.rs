//! Who may ask the daemon: who has the token, and no web page that somebody on this machine has open.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;
use millrace_tests::Client;

use crate::millrace;
use crate::serving::serve_with;

/// What a page, a rebound name or a broken client sends, and how it is refused.
fn refused(own: &str) -> Vec<(String, u16, &'static str)> {
    let host = |host: &str| format!("HTTP/1.1\r\nhost: {host}\r\n");
    let page = |header: &str| format!("HTTP/1.1\r\nhost: {own}\r\n{header}\r\n");
    let port = own.rsplit(':').next().unwrap();
    vec![
        (host("evil.example"), 421, "serve.foreign-host"),
        (host(&format!("evil.example:{port}")), 421, "serve.foreign-host"),
        (host(&format!("localhost.evil.example:{port}")), 421, "serve.foreign-host"),
        (host("192.0.2.7"), 421, "serve.foreign-host"),
        (host("0.0.0.0"), 421, "serve.foreign-host"),
        (host("[2001:db8::1]"), 421, "serve.foreign-host"),
        (host("127.0.0.1@evil.example"), 421, "serve.foreign-host"),
        (host("evil.example/127.0.0.1"), 400, "serve.no-host"),
        (host(""), 400, "serve.no-host"),
        ("HTTP/1.0\r\n".to_owned(), 400, "serve.no-host"),
        ("HTTP/1.1\r\n".to_owned(), 400, "serve.no-host"),
        (format!("{}host: {own}\r\n", host(own)), 400, "serve.no-host"),
        (format!("{}host: {own}\r\n", host("evil.example")), 400, "serve.no-host"),
        (page("origin: null"), 403, "serve.foreign-origin"),
        (page("origin: http://evil.example"), 403, "serve.foreign-origin"),
        (page(&format!("origin: http://evil.example:{port}")), 403, "serve.foreign-origin"),
        (page("origin: http://127.0.0.1:1"), 403, "serve.foreign-origin"),
        (page("origin: http://127.0.0.1"), 403, "serve.foreign-origin"),
        (page(&format!("origin: http://localhost:{port}")), 403, "serve.foreign-origin"),
        (page(&format!("origin: http://{own}\r\norigin: http://evil.example")), 403, "serve.foreign-origin"),
        (page("sec-fetch-site: cross-site"), 403, "serve.foreign-origin"),
        (page("sec-fetch-site: same-site"), 403, "serve.foreign-origin"),
    ]
}

#[tokio::test]
async fn no_web_page_approves_a_switch_rolls_it_back_or_reads_a_report() -> Result<()> {
    let millrace = millrace();
    let (_daemon, client) = serve_with(&millrace, &[], &[]).await?;
    let own = client.address().to_string();
    let token = format!("authorization: Bearer {}\r\n", client.token());
    for asked in ["GET /v1/runs/last/report", "POST /v1/runs/last/approve", "OPTIONS /v1/runs", "DELETE /"] {
        for (head, status, code) in refused(&own) {
            let answer = client.send(&format!("{asked} {head}{token}"), "").await?;
            assert!(answer.status == status && answer.body.contains(code), "{asked} {head}: {answer:?}");
            // Before anything else: also without the token.
            let answer = client.send(&format!("{asked} {head}"), "").await?;
            assert_eq!(answer.status, status, "{asked} {head}");
        }
    }
    // The url of a request's first line goes before the header, and lets nobody in either.
    for (url, host) in [("evil.example", own.as_str()), (own.as_str(), "evil.example"), ("localhost", own.as_str())] {
        let answer = client.send(&format!("GET http://{url}/v1/runs HTTP/1.1\r\nhost: {host}\r\n{token}"), "").await?;
        answer.fails_with(421, "serve.foreign-host")?;
    }
    let port = client.address().port();
    for host in [own.clone(), format!("localhost:{port}"), "LOCALHOST".to_owned(), format!("[::1]:{port}")] {
        let head = format!("GET /v1/runs HTTP/1.1\r\nhost: {host}\r\n{token}");
        client.send(&head, "").await?.expect(200)?;
        client
            .send(&format!("{head}origin: http://{host}\r\nsec-fetch-site: same-origin\r\n"), "")
            .await?
            .expect(200)?;
        client.send(&format!("{head}sec-fetch-site: none\r\n"), "").await?.expect(200)?;
        client
            .send(&format!("GET http://{host}/v1/runs HTTP/1.1\r\nhost: {host}\r\n{token}"), "")
            .await?
            .expect(200)?;
    }
    Ok(())
}

#[tokio::test]
async fn names_other_than_the_machines_own_are_those_that_the_operator_gave() -> Result<()> {
    let millrace = millrace();
    let (_daemon, client) = serve_with(&millrace, &["--host", "millrace.example"], &[]).await?;
    let ask = async |host: &str| {
        let token = format!("authorization: Bearer {}\r\n", client.token());
        client.send(&format!("GET /v1/runs HTTP/1.1\r\nhost: {host}\r\n{token}"), "").await
    };
    ask("millrace.example").await?.expect(200)?;
    ask("Millrace.example:7077").await?.expect(200)?;
    ask("other.example").await?.fails_with(421, "serve.foreign-host")?;
    Ok(())
}

fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}

#[tokio::test]
async fn a_token_is_asked_for_from_the_first_day_and_only_its_user_can_read_it() -> Result<()> {
    let millrace = millrace();
    let (daemon, client) = serve_with(&millrace, &["--log", "trace"], &[]).await?;
    let file = millrace.state().join("api-token");
    assert_eq!(mode(&file)?, 0o600);
    assert_eq!(client.token().len(), 64, "256 bits");
    client.get("/v1/runs").await?.expect(200)?;
    let nobody = client.clone().without_token().get("/v1/runs").await?.fails_with(401, "serve.unauthorized")?;
    assert!(nobody.head.contains("www-authenticate: bearer"), "{}", nobody.head);
    let wrong = [client.token().to_uppercase(), client.token()[1..].to_owned(), format!("{}0", client.token())];
    for token in wrong.iter().map(String::as_str).chain(["", "Bearer"]) {
        client.clone().with_token(token).get("/v1/health").await?.fails_with(401, "serve.unauthorized")?;
    }
    let twice = format!("authorization: Bearer {}\r\n", client.token()).repeat(2);
    let host = client.address();
    let answer = client.send(&format!("GET /v1/runs HTTP/1.1\r\nhost: {host}\r\n{twice}"), "").await?;
    answer.fails_with(401, "serve.unauthorized")?;
    let in_url = format!("/v1/runs?token={}", client.token());
    client.clone().without_token().get(&in_url).await?.fails_with(401, "serve.unauthorized")?;

    // Several daemons of one state have one token, whoever made it, and none prints it.
    let again = serve_with(&millrace, &[], &[]).await?;
    assert_eq!(again.1.token(), client.token());
    let command_line = std::fs::read(format!("/proc/{}/cmdline", daemon.process().unwrap()))?;
    assert!(!String::from_utf8_lossy(&command_line).contains(client.token()));
    daemon.interrupt().await?;
    let said = daemon.finish().await?.expect(0)?;
    assert!(!said.to_string().contains(client.token()), "the token stands in the log");
    assert!(!said.stderr.contains(client.token()) && !said.stdout.contains(client.token()));
    Ok(())
}

#[tokio::test]
async fn a_token_that_others_have_read_is_not_used() -> Result<()> {
    let millrace = millrace();
    let (daemon, client) = serve_with(&millrace, &[], &[]).await?;
    daemon.kill().await?;
    let file = millrace.state().join("api-token");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    let folder = millrace.folder().join("pipelines");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--pipelines", folder.to_str().unwrap()];
    let exposed = millrace.run(&serve).await?.expect(2)?.says("serve.token-exposed")?;
    assert!(!exposed.stderr.contains(client.token()), "{exposed}");
    std::fs::remove_file(&file)?;
    let (_daemon, anew): (_, Client) = serve_with(&millrace, &[], &[]).await?;
    assert_ne!(anew.token(), client.token());
    assert_eq!(mode(&file)?, 0o600);
    Ok(())
}
