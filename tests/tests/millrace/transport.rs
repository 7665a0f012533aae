//! What can be read, or changed, on the way to a database: what is asked of connections, and what is said of them.
//!
//! The engines that come as wheels have no TLS; those that a distribution has installed do, with certificates of the
//! test's own.

mod certificates;
mod postgres;

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result, ensure};
use certificates::Certificates;
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, Outcome};

use crate::mariadb::MariaDb;
use crate::{QUICKSTART, millrace};

fn runs_as_root() -> Result<bool> {
    Ok(tempfile::tempdir()?.path().metadata()?.uid() == 0)
}

/// The quickstart's pipeline with these lines in the table of one of its databases.
fn pipeline(millrace: &Millrace, database: &str, lines: &str) -> Result<String> {
    let text = fs::read_to_string(QUICKSTART)?;
    let table = format!("[databases.{database}]\n");
    ensure!(text.contains(&table), "{QUICKSTART} has no {table}");
    Ok(millrace.write("pipeline.toml", &text.replace(&table, &format!("{table}{lines}\n"))))
}

/// What `check` says where one of the databases is asked for this.
async fn checked(millrace: &Millrace, database: &str, lines: &str) -> Result<Outcome> {
    let pipeline = pipeline(millrace, database, lines)?;
    millrace.run(&["check", &pipeline, "--json"]).await
}

/// What it says of how a database is spoken with: verdict and sentence.
fn transport(outcome: &Outcome, database: &str) -> Result<(String, String)> {
    let json = outcome.json()?;
    let checks = json["checks"].as_array().context("a list of checks")?;
    let found = checks.iter().find(|check| {
        check["check"] == "transport"
            && check["message"].as_str().is_some_and(|m| m.starts_with(&format!("the {database} ")))
    });
    let text = |key: &str| found.and_then(|check| check[key].as_str()).unwrap_or_default().to_owned();
    Ok((text("verdict"), text("message")))
}

/// Demands that it ends so.
async fn is_told(millrace: &Millrace, database: &str, lines: &str, verdict: &str, ending: &str) -> Result<()> {
    let outcome = checked(millrace, database, lines).await?.expect(0)?;
    let (found, message) = transport(&outcome, database)?;
    ensure!(found == verdict && message.ends_with(ending), "{lines}: {found}: {message}");
    Ok(())
}

async fn is_refused(millrace: &Millrace, database: &str, lines: &str, code: &str) -> Result<Outcome> {
    checked(millrace, database, lines).await?.expect(2)?.fails_with(code)
}

/// The same place on this machine, under a name that is not known to be of this machine.
fn elsewhere(database: &Database) -> String {
    database.url.replace("127.0.0.1", "127.1").replace("localhost", "127.1")
}

#[tokio::test]
async fn no_password_and_no_row_goes_to_another_machine_in_plain_text_unless_the_pipeline_says_so() -> Result<()> {
    let source = postgres18().fresh_database("transport").await?;
    source.run_sql("CREATE TABLE item (id integer PRIMARY KEY)").await?;
    let target = oceanbase().fresh_database("transport").await?;
    let near = millrace().between(&source, &target);
    is_told(&near, "source", "", "pass", "plain text, on this machine").await?;
    is_refused(&near, "source", "tls = \"require\"", "database.no-tls").await?;

    let far = near.with("MILLRACE_SOURCE_URL", &elsewhere(&source));
    is_refused(&far, "source", "", "database.no-tls").await?.says("unless the pipeline says so")?;
    is_refused(&far, "source", "tls = \"verify\"", "database.no-tls").await?;
    is_told(&far, "source", "tls = \"off\"", "pass", "plain text, as the pipeline says").await?;
    is_told(&far, "source", "tls = \"prefer\"", "warn", "plain text, because the server offers no TLS").await?;
    let run = pipeline(&far, "source", "tls = \"off\"")?;
    far.run(&["run", &run, "--yes"]).await?.expect(0)?;

    let far = far.with("MILLRACE_SOURCE_URL", &format!("{}?sslmode=disable", elsewhere(&source)));
    is_told(&far, "source", "", "pass", "plain text, as the pipeline says").await?;
    is_refused(&far, "source", "tls = \"verify\"", "database.tls-contradiction").await?;
    is_refused(&far, "source", "ca = \"ca.pem\"", "pipeline.bad-tls").await?;
    is_refused(&far, "source", "tls = \"encrypt\"", "pipeline.bad-tls").await?;
    Ok(())
}

/// Everything that can be asked of a server with a certificate for `localhost`, by its own name and by its address.
async fn certificate_is_looked_at(millrace: Millrace, database: &str, url: &str, files: &Certificates) -> Result<()> {
    let variable = format!("MILLRACE_{}_URL", database.to_uppercase());
    let named = millrace.with(&variable, url);
    is_told(&named, database, "", "pass", "TLSv1.3, its certificate not verified").await?;
    is_told(&named, database, "tls = \"off\"", "pass", "plain text, on this machine").await?;
    is_refused(&named, database, "tls = \"verify\"", "database.certificate-refused").await?;

    // A relative path starts at the pipeline's folder.
    fs::copy(files.authority(), named.folder().join("ca.pem"))?;
    let verify = "tls = \"verify\"\nca = \"ca.pem\"";
    is_told(&named, database, verify, "pass", "TLSv1.3, its certificate verified").await?;
    let run = pipeline(&named, database, verify)?;
    named.run(&["run", &run, "--yes"]).await?.expect(0)?;

    let secret = fs::read_to_string(files.key())?;
    fs::write(named.folder().join("ca.pem"), &secret)?;
    let refused = is_refused(&named, database, verify, "database.ca-unreadable").await?;
    let line = secret.lines().nth(1).context("a key of several lines")?;
    ensure!(!refused.to_string().contains(line), "a file's content is told: {refused}");

    // Another name for the same server.
    fs::copy(files.authority(), named.folder().join("ca.pem"))?;
    let address = named.with(&variable, &url.replace("localhost", "127.0.0.1"));
    is_refused(&address, database, verify, "database.certificate-refused").await?;
    is_told(&address, database, "tls = \"require\"", "pass", "TLSv1.3, its certificate not verified").await
}

#[tokio::test]
async fn a_source_that_cannot_prove_who_it_is_gets_no_password_where_the_pipeline_asks_for_proof() -> Result<()> {
    let Some(files) = Certificates::make().await? else {
        eprintln!("TLS to PostgreSQL was not tried: openssl is not installed");
        return Ok(());
    };
    let Some(server) = postgres::Postgres::start(&files).await? else {
        eprintln!("TLS to PostgreSQL was not tried: no PostgreSQL is installed in /usr/lib/postgresql or /usr/bin");
        return Ok(());
    };
    let target = oceanbase().fresh_database("transport").await?;
    let url = format!("postgres://postgres@localhost:{}/postgres", server.port);
    let millrace = millrace().with("MILLRACE_TARGET_URL", &target.url);
    certificate_is_looked_at(millrace, "source", &url, &files).await
}

#[tokio::test]
async fn a_target_that_cannot_prove_who_it_is_gets_no_rows_where_the_pipeline_asks_for_proof() -> Result<()> {
    let Some(files) = Certificates::make().await? else {
        eprintln!("TLS to MariaDB was not tried: openssl is not installed");
        return Ok(());
    };
    let options = [
        format!("--ssl-cert={}", files.server().display()),
        format!("--ssl-key={}", files.key().display()),
        format!("--ssl-ca={}", files.authority().display()),
    ];
    let Some(server) = MariaDb::start(&options).await? else {
        eprintln!("TLS to MariaDB was not tried: mariadbd is not installed");
        return Ok(());
    };
    let source = postgres18().fresh_database("transport").await?;
    source.run_sql("CREATE TABLE item (id integer PRIMARY KEY)").await?;
    let target = server.fresh_database().await?;
    let millrace = millrace().with("MILLRACE_SOURCE_URL", &source.url);
    certificate_is_looked_at(millrace, "target", &target.url.replace("127.0.0.1", "localhost"), &files).await
}
