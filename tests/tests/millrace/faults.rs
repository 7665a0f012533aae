//! What can be wrong around a run: databases that cannot be reached or written to, disks that are full, tables that
//! vanish. Each has its code, and leaves nothing that `resume`, `rollback` or a new run cannot mend.

use anyhow::Result;
use millrace_test_engines::{Database, Engine, Kind, Options, oceanbase, postgres18};
use millrace_tests::{Millrace, Outcome, Told, live_tables};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{QUICKSTART, Shop, millrace};

const SMALL: &str = "CREATE TABLE item (id integer PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a'), (2, 'b')";

/// A table with four hundred columns.
const WIDE: &str = include_str!("../../scenarios/four-hundred-columns/source.sql");

/// A small source, an empty target.
async fn small() -> Result<(Database, Database)> {
    let source = postgres18().fresh_database("small").await?;
    source.run_sql(SMALL).await?;
    Ok((source, oceanbase().fresh_database("small").await?))
}

/// `check`, `plan` and `run` all fail with this code; gives what `check` said to people.
async fn all_fail_with(millrace: &Millrace, exit: i32, code: &str) -> Result<Outcome> {
    for command in ["plan", "check"] {
        millrace.run(&[command, QUICKSTART, "--json"]).await?.expect(exit)?.fails_with(code)?;
    }
    millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await?.expect(exit)?.fails_with(code)?;
    millrace.run(&["check", QUICKSTART]).await?.expect(exit)?.says(&format!("millrace explain {code}"))
}

/// A URL like this one with another user and password.
fn as_user(url: &str, user: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    format!("{scheme}://{user}@{place}")
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() -> Result<()> {
    let (source, target) = small().await?;
    // Nothing listens on port 1.
    let nowhere = |scheme: &str| format!("{scheme}://somebody:secret-word@127.0.0.1:1/shop");
    for (name, url) in [("MILLRACE_SOURCE_URL", nowhere("postgres")), ("MILLRACE_TARGET_URL", nowhere("mysql"))] {
        let millrace = millrace().between(&source, &target).with(name, &url);
        let said = all_fail_with(&millrace, 1, "database.unreachable").await?.says("127.0.0.1:1")?;
        assert!(!format!("{said}").contains("secret-word"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_told_from_other_refusals() -> Result<()> {
    let (source, target) = small().await?;
    let locked = Options { password: Some("right".to_owned()), ..Options::default() };
    let engine = Engine::start_with(Kind::Postgres16, locked).await?;
    let url = as_user(&engine.admin_url(), "postgres:wrong-word");
    let millrace = millrace().between(&source, &target).with("MILLRACE_SOURCE_URL", &url);
    let said = all_fail_with(&millrace, 2, "database.wrong-password").await?;
    assert!(!format!("{said}").contains("wrong-word"), "{said}");

    target.run_sql(&format!("CREATE USER IF NOT EXISTS guest_{} IDENTIFIED BY 'right'", target.name)).await?;
    let url = as_user(&target.url, &format!("guest_{}:wrong-word", target.name));
    let millrace = crate::millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &url);
    let said = all_fail_with(&millrace, 2, "database.wrong-password").await?;
    assert!(!format!("{said}").contains("wrong-word"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_source_that_may_not_be_read_is_found_by_check() -> Result<()> {
    let (source, target) = small().await?;
    let role = format!("reader_{}", source.name);
    source
        .run_sql(&format!(
            "CREATE TABLE hidden (id integer PRIMARY KEY); CREATE ROLE {role} LOGIN; GRANT SELECT ON item TO {role}"
        ))
        .await?;
    let millrace = millrace().between(&source, &target).with("MILLRACE_SOURCE_URL", &as_user(&source.url, &role));
    let checked = millrace.run(&["check", QUICKSTART, "--json"]).await?;
    assert_ne!(checked.code, Some(0), "{checked}");
    checked.fails_with("database.missing-privilege")?.says("hidden")?;
    let ran = millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await?;
    assert_ne!(ran.code, Some(0), "{ran}");
    ran.fails_with("database.missing-privilege")?;
    assert!(!live_tables(&target).await?.contains_key("item"));

    source.run_sql(&format!("GRANT SELECT ON hidden TO {role}")).await?;
    millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn a_target_that_may_not_be_written_to_fails_before_any_row_is_copied() -> Result<()> {
    let (source, target) = small().await?;
    let user = format!("guest_{}", target.name);
    let url = target.create_account(&user, "SELECT").await?;
    let millrace = millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &url);
    let ran = millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await?;
    assert_ne!(ran.code, Some(0), "{ran}");
    ran.fails_with("database.missing-privilege")?;
    assert!(live_tables(&target).await?.is_empty());

    target.run_sql(&format!("GRANT ALL ON {}.* TO {user}", target.name)).await?;
    let ran = millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(0)?;
    Told::read(&ran.json()?)?.every_digest_is_equal()
}

#[tokio::test]
async fn a_target_that_is_not_mysql_is_refused() -> Result<()> {
    let (source, target) = small().await?;
    let other = postgres18().fresh_database("small").await?;
    let by_url = millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &other.url);
    all_fail_with(&by_url, 2, "database.bad-url").await?.says("mysql://")?;
    // The URL says mysql, and PostgreSQL answers: it waits for the client to speak first, as does the client.
    let disguised = other.url.replace("postgres://", "mysql://");
    let by_protocol = millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &disguised);
    let said = by_protocol.run(&["check", QUICKSTART, "--json"]).await?;
    assert_ne!(said.code, Some(0), "{said}");
    let code = said.failure()?.unwrap_or_default();
    assert!(["database.not-mysql", "database.unreachable", "database.timeout"].contains(&code.as_str()), "{said}");
    Ok(())
}

/// Answers every login at a MySQL server with this error, after the server's own greeting. The address.
async fn refuses_every_login(server: &str, number: u16, state: &str, words: &str) -> Result<String> {
    let (listener, server) = (TcpListener::bind("127.0.0.1:0").await?, server.to_owned());
    let address = listener.local_addr()?.to_string();
    let mut refusal = vec![0xff];
    refusal.extend(number.to_le_bytes());
    refusal.extend([b"#", state.as_bytes(), words.as_bytes()].concat());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let greeted = TcpStream::connect(&server).await.unwrap().read(&mut bytes).await.unwrap();
            // Without the offer of TLS (0x0800): in plain sight the login is one packet. The flags lie behind the
            // version, which ends with a zero, a number, and the first part of the salt.
            let version_end = 5 + bytes[5..greeted].iter().position(|byte| *byte == 0).unwrap();
            bytes[version_end + 15] &= !0x08;
            client.write_all(&bytes[..greeted]).await.unwrap();
            let _login = client.read(&mut bytes).await.unwrap();
            let header = [u8::try_from(refusal.len()).unwrap(), 0, 0, bytes[3] + 1];
            client.write_all(&[&header, refusal.as_slice()].concat()).await.unwrap();
        }
    });
    Ok(address)
}

#[tokio::test]
async fn a_tenant_in_oracle_mode_is_named_for_what_it_is() -> Result<()> {
    let (source, target) = small().await?;
    let (rest, database) = target.url.rsplit_once('/').unwrap();
    let (user, server) = rest.rsplit_once('@').unwrap();
    let words = "Oracle tenant for current client driver is not supported";
    let address = refuses_every_login(server, 1235, "0A000", words).await?;
    let url = format!("{user}@{address}/{database}");
    let millrace = millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &url);
    all_fail_with(&millrace, 1, "database.oracle-mode").await?.says("MySQL mode")?;
    Ok(())
}

#[tokio::test]
async fn a_source_that_is_not_postgres_is_refused() -> Result<()> {
    let (source, target) = small().await?;
    let millrace = millrace().between(&source, &target).with("MILLRACE_SOURCE_URL", &target.url);
    all_fail_with(&millrace, 2, "database.bad-url").await?.says("postgres://")?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() -> Result<()> {
    let (source, target) = small().await?;
    let source_url = source.url.replace(&source.name, "not_there");
    let absent = millrace().between(&source, &target).with("MILLRACE_SOURCE_URL", &source_url);
    all_fail_with(&absent, 2, "database.unknown-database").await?.says("not_there")?;
    let target_url = target.url.replace(&target.name, "not_there");
    let absent = millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &target_url);
    all_fail_with(&absent, 2, "database.unknown-database").await?.says("not_there")?;
    Ok(())
}

#[tokio::test]
async fn a_read_only_target_is_refused_and_accepted_again() -> Result<()> {
    let source = postgres18().fresh_database("small").await?;
    source.run_sql(SMALL).await?;
    // Of its own: the switch is the whole server's.
    let engine = Engine::start(Kind::OceanBase).await?;
    let target = engine.fresh_database("small").await?;
    target.run_sql("SET GLOBAL read_only = 1").await?;
    let millrace = millrace().between(&source, &target);
    for command in [&["check", QUICKSTART, "--json"][..], &["run", QUICKSTART, "--yes", "--json"]] {
        let said = millrace.run(command).await?;
        assert_ne!(said.code, Some(0), "{said}");
        said.fails_with("database.read-only")?;
    }
    assert!(live_tables(&target).await?.is_empty());
    target.run_sql("SET GLOBAL read_only = 0").await?;
    millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn a_state_that_cannot_be_written_is_found_before_anything_is_done() -> Result<()> {
    let (source, target) = small().await?;
    let millrace = millrace().between(&source, &target);
    let file = millrace.write("not-a-folder", "");
    let state = format!("{file}/state");
    let said = millrace.run(&["run", QUICKSTART, "--yes", "--json", "--state", &state]).await?;
    assert_ne!(said.code, Some(0), "{said}");
    said.fails_with("state.not-writable")?;
    assert!(live_tables(&target).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_full_disk_under_the_state_stops_a_run_that_then_goes_on() -> Result<()> {
    let mut failures = 0;
    // Writing past these sizes of a file fails as on a full disk, at different places of a run. Units of 512 bytes.
    // Wide tables make a plan of a few mebibytes: less would already be too little for the plugins themselves.
    for size in [2000, 4000, 6000, 8000] {
        let shop = Shop::open(20).await?;
        for table in ["first", "second", "third"] {
            shop.source.run_sql(&WIDE.replace(" wide ", &format!(" {table} "))).await?;
        }
        // Plugins are compiled beforehand: this is about the state.
        shop.millrace.run(&["check", QUICKSTART]).await?.expect(0)?;
        let shell = format!("trap '' XFSZ; ulimit -f {size}");
        let ran = shop.millrace.run_after_saying(&shell, &["run", QUICKSTART, "--yes", "--json"]).await?;
        if ran.code == Some(0) {
            continue;
        }
        failures += 1;
        ran.fails_with("state.disk-full")?;
        let runs = shop.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
        let kept = !runs.as_array().unwrap().is_empty();
        let next: &[&str] = if kept { &["resume", "last"] } else { &["run", QUICKSTART] };
        let next: Vec<&str> = next.iter().copied().chain(["--yes", "--json"]).collect();
        let ran = shop.millrace.run(&next).await?.expect(0)?;
        Told::read(&ran.json()?)?.every_digest_is_equal()?;
        shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do")?;
    }
    assert!(failures > 0, "no size was small enough");
    Ok(())
}

/// Drops a table at this point of a run, and expects the run to say so when it goes on.
async fn table_vanishes_at(entry: &str) -> Result<()> {
    let shop = Shop::migrated(50).await?;
    shop.source.run_sql(millrace_tests::CHANGES).await?;
    let before = live_tables(&shop.target).await?;
    let mut running = shop.millrace.spawn_with(&["run", QUICKSTART, "--yes"], &[("MILLRACE_HOLD_AT", entry)])?;
    running.says("held at").await?;
    running.kill().await?;
    shop.source.run_sql("ALTER TABLE stock RENAME TO stock_for_now").await?;
    let went_on = shop.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(1)?;
    assert_eq!(went_on.failure()?.as_deref(), Some("database.table-missing"), "{went_on}");
    went_on.says("public.stock")?.says("does not exist")?;
    let after = live_tables(&shop.target).await?;
    for (name, table) in &before {
        assert_eq!(Some(table), after.get(name), "{name} is not what it was");
    }
    shop.source.run_sql("ALTER TABLE stock_for_now RENAME TO stock").await?;
    let ran = shop.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(0)?;
    Told::read(&ran.json()?)?.every_digest_is_equal()
}

#[tokio::test]
async fn a_table_that_vanishes_before_it_is_copied_stops_the_run() -> Result<()> {
    table_vanishes_at("action-started@create-shadow").await
}

#[tokio::test]
async fn a_table_that_vanishes_before_it_is_validated_stops_the_run() -> Result<()> {
    table_vanishes_at("action-started@validate").await
}
