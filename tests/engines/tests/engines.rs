//! Engines start, answer, share, stop, die and leave nothing behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use millrace_test_engines::{Engine, Error, Kind, Options, oceanbase, query_text, run_sql, shared};

#[tokio::test]
async fn every_kind_gives_fresh_databases_that_run_scripts() {
    for kind in Kind::ALL {
        let one = shared(kind).fresh_database("scripts").await.unwrap();
        let two = shared(kind).fresh_database("scripts").await.unwrap();
        assert_ne!(one.url, two.url);
        for database in [&one, &two] {
            let script = "CREATE TABLE t (id int PRIMARY KEY, word varchar(10)); \
                          INSERT INTO t VALUES (1, 'one'), (2, NULL);";
            database.run_sql(script).await.unwrap();
        }
        let rows = one.query_text("SELECT id, word FROM t ORDER BY id").await.unwrap();
        assert_eq!(rows, [[Some("1".to_owned()), Some("one".to_owned())], [Some("2".to_owned()), None]], "{kind}");
    }
}

#[tokio::test]
async fn versions_are_what_their_kinds_say() {
    for (kind, beginning) in [(Kind::Postgres18, "18"), (Kind::Postgres16, "16")] {
        let url = shared(kind).engine().await.unwrap().admin_url();
        let version = query_text(&url, "SHOW server_version").await.unwrap();
        assert!(version[0][0].as_ref().unwrap().starts_with(beginning), "{version:?}");
        run_sql(&url, "CREATE EXTENSION IF NOT EXISTS vector; SELECT '[1,2]'::vector").await.unwrap();
    }
    let url = oceanbase().engine().await.unwrap().admin_url();
    let version = query_text(&url, "SELECT @@version_comment").await.unwrap();
    assert!(version[0][0].as_ref().unwrap().starts_with("OceanBase 4."), "{version:?}");
}

#[tokio::test]
async fn a_failing_script_says_which_and_why() {
    let database = oceanbase().fresh_database("failing").await.unwrap();
    let error = database.run_sql("SELECT * FROM missing").await.unwrap_err().to_string();
    assert!(error.contains("SELECT * FROM missing") && error.contains("missing' doesn't exist"), "{error}");
    let error = oceanbase().fresh_database("Not-A-Name").await.unwrap_err();
    assert!(matches!(error, Error::Usage(_)), "{error}");
}

#[tokio::test]
async fn two_engines_of_a_kind_run_side_by_side() {
    for kind in [Kind::OceanBase, Kind::Postgres16] {
        let other = Engine::start(kind).await.unwrap();
        assert_ne!(other.port(), shared(kind).engine().await.unwrap().port());
        let database = other.fresh_database("other").await.unwrap();
        database.run_sql("CREATE TABLE only_here (id int)").await.unwrap();
        let folder = other.folder().to_owned();
        drop(other);
        assert!(!folder.exists(), "a dropped {kind} leaves {}", folder.display());
        assert!(run_sql(&database.url, "SELECT 1").await.is_err());
    }
}

#[tokio::test]
async fn rows_outlive_a_stop_a_kill_and_a_restart() {
    for kind in [Kind::Postgres18, Kind::OceanBase] {
        let engine = Engine::start(kind).await.unwrap();
        let database = engine.fresh_database("durable").await.unwrap();
        database.run_sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)").await.unwrap();
        engine.stop().await.unwrap();
        assert!(!engine.is_running().await);
        assert!(run_sql(&database.url, "SELECT 1").await.is_err(), "{kind} answers after it was stopped");
        assert!(matches!(engine.fresh_database("x").await, Err(Error::Stopped { .. })));
        engine.stop().await.unwrap();
        engine.restart().await.unwrap();
        database.run_sql("INSERT INTO t VALUES (2)").await.unwrap();
        engine.kill().await.unwrap();
        assert!(run_sql(&database.url, "SELECT 1").await.is_err(), "{kind} answers after it was killed");
        engine.restart().await.unwrap();
        let rows = database.query_text("SELECT count(*) FROM t").await.unwrap();
        assert_eq!(rows[0][0].as_deref(), Some("2"), "{kind}");
        engine.restart().await.unwrap();
        assert!(engine.is_running().await);
    }
}

#[tokio::test]
async fn a_password_is_asked_for_when_there_is_one() {
    for kind in [Kind::Postgres18, Kind::OceanBase] {
        let options = Options { password: Some("correct42".to_owned()), ..Options::default() };
        let engine = Engine::start_with(kind, options).await.unwrap();
        let database = engine.fresh_database("secret").await.unwrap();
        database.run_sql("SELECT 1").await.unwrap();
        let wrong = database.url.replace("correct42", "wrong42");
        assert!(run_sql(&wrong, "SELECT 1").await.is_err(), "{kind} takes a wrong password");
        let none = database.url.replace(":correct42", "");
        assert!(run_sql(&none, "SELECT 1").await.is_err(), "{kind} takes no password");
        engine.restart().await.unwrap();
        database.run_sql("SELECT 1").await.unwrap();
    }
}

#[tokio::test]
async fn settings_reach_the_server() {
    let settings = vec![("max_connections".to_owned(), "7".to_owned())];
    let engine = Engine::start_with(Kind::Postgres16, Options { settings, ..Options::default() }).await.unwrap();
    let value = query_text(&engine.admin_url(), "SHOW max_connections").await.unwrap();
    assert_eq!(value[0][0].as_deref(), Some("7"));
    assert!(engine.installation().psql().unwrap().is_file());

    let settings = vec![("no_such_setting".to_owned(), "7".to_owned())];
    let refused = Engine::start_with(Kind::Postgres16, Options { settings, ..Options::default() }).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("no_such_setting"), "the server's own words are missing: {error}");
}

#[tokio::test]
async fn nobody_reaches_an_engine_from_another_machine() {
    // The address of this machine on a network, when it has one; nothing is sent.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if probe.connect("192.0.2.1:9").is_err() {
        return;
    }
    let address = probe.local_addr().unwrap().ip().to_string();
    for kind in Kind::ALL {
        let database = shared(kind).fresh_database("local").await.unwrap();
        let outside = database.url.replace("127.0.0.1", &address);
        assert!(run_sql(&outside, "SELECT 1").await.is_err(), "{kind} answers on {address}");
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn servers_never_run_as_root() {
    use std::os::unix::fs::MetadataExt as _;
    for kind in Kind::ALL {
        let folder = shared(kind).engine().await.unwrap().folder();
        assert_ne!(folder.metadata().unwrap().uid(), 0, "{kind}");
        let processes = processes_in(folder);
        assert!(!processes.is_empty());
        for process in processes {
            assert_ne!(Path::new(&format!("/proc/{process}")).metadata().unwrap().uid(), 0, "{kind}");
        }
    }
}

#[test]
fn sigkill_of_their_owner_ends_servers_and_removes_their_folders() {
    let mut owner =
        Owner::start(Command::new(env!("CARGO_BIN_EXE_engines")).args(["start", "postgres18", "oceanbase"]));
    owner.child.kill().unwrap();
    owner.child.wait().unwrap();
    owner.assert_nothing_is_left();
}

#[test]
fn an_interrupt_of_their_owner_ends_servers_and_removes_their_folders() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engines"));
    command.args(["start", "postgres16", "oceanbase"]);
    let mut owner = Owner::start(command.process_group(0));
    // To the whole group, as a terminal does.
    let interrupt =
        Command::new("/bin/sh").args(["-c", &format!("kill -s INT -- -{}", owner.child.id())]).status().unwrap();
    assert!(interrupt.success());
    assert!(owner.child.wait().unwrap().success());
    owner.assert_nothing_is_left();
}

#[test]
fn a_panic_of_a_test_ends_servers_and_removes_their_folders() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut owner = Owner::start(command.args(["--ignored", "--exact", "a_test_that_panics", "--nocapture"]));
    assert!(!owner.child.wait().unwrap().success());
    owner.assert_nothing_is_left();
}

#[tokio::test]
#[ignore = "a part of another test, which runs it in a process of its own"]
async fn a_test_that_panics() {
    for kind in [Kind::Postgres18, Kind::OceanBase] {
        let engine = shared(kind).engine().await.unwrap();
        println!("{}", engine.admin_url());
        eprintln!("  {kind} in {}: ", engine.folder().display());
    }
    panic!("on purpose");
}

/// A process that started two engines and printed where they are.
struct Owner {
    child: Child,
    folders: Vec<PathBuf>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // A test that failed half-way must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Owner {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut folders = Vec::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, rest)) = line.split_once(" in ").filter(|_| line.starts_with("  ")) {
                folders.push(PathBuf::from(rest.split_once(": ").unwrap().0));
            }
            // The last line of `engines`; a test that panics writes until it ends.
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        assert_eq!(folders.len(), 2, "the engines did not start");
        Self { child, folders }
    }

    fn assert_nothing_is_left(&self) {
        let begin = Instant::now();
        for folder in &self.folders {
            while folder.exists() || !processes_in(folder).is_empty() {
                let left = processes_in(folder);
                assert!(begin.elapsed() < Duration::from_secs(20), "left: {}, {left:?}", folder.display());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// The processes whose command line names a folder: a server, and its guard.
fn processes_in(folder: &Path) -> Vec<u32> {
    let name = folder.to_str().unwrap();
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let names = |process: &u32| {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(name)
    };
    processes.filter(names).collect()
}
