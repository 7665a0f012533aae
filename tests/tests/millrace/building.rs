//! What a build does before it compiles anything: the plugins' target is there, or is added, or is asked for.
//!
//! The compiler and rustup are scripts of the test's own, which write down how they were called: a toolchain that others
//! build with at this moment is not touched.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tempfile::TempDir;

const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.cargo");

/// A toolchain without the plugins' target.
struct Toolchain {
    folder: TempDir,
}

impl Toolchain {
    /// In a folder as rustup's toolchains lie, or as a distribution's.
    fn new(place: &str, rustup: Option<&str>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let sysroot = folder.path().join(place);
        fs::create_dir_all(sysroot.join("bin"))?;
        fs::create_dir(folder.path().join("programs"))?;
        let toolchain = Self { folder };
        let libraries = sysroot.join("lib/rustlib/wasm32-wasip2/lib");
        let rustc = format!(
            "case $* in '--print sysroot') echo {};; *target-libdir*) echo {};; *) echo compiled \"$@\" with $(printenv CARGO_BIN_EXE_a-b);; esac",
            sysroot.display(),
            libraries.display()
        );
        script(&toolchain.rustc(), &rustc)?;
        fs::rename(toolchain.rustc(), sysroot.join("bin/rustc"))?;
        symlink(sysroot.join("bin/rustc"), toolchain.rustc())?;
        // Found before any other of this machine, and the only programs that there are.
        for program in [
            "bash", "sh", "printenv", "ls", "find", "head", "tail", "sed", "mktemp", "rm", "mkdir", "touch", "sleep",
            "id", "flock",
        ] {
            let found = ["/usr/bin", "/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(program));
            if let Some(found) = found.iter().find(|path| path.exists()) {
                symlink(found, toolchain.programs().join(program))?;
            }
        }
        if let Some(rustup) = rustup {
            let libraries = libraries.display();
            let rustup = rustup.replace("INSTALL", &format!("mkdir -p {libraries}; touch {libraries}/libstd-1.rlib"));
            let calls = toolchain.folder.path().join("calls");
            script(&toolchain.programs().join("rustup"), &format!("echo \"$@\" >>{}; {rustup}", calls.display()))?;
        }
        Ok(toolchain)
    }

    fn programs(&self) -> PathBuf {
        self.folder.path().join("programs")
    }

    fn rustc(&self) -> PathBuf {
        self.folder.path().join("rustc")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(Path::new(SETTINGS).join(name));
        command.arg(self.rustc()).env("PATH", self.programs()).env("TMPDIR", self.folder.path());
        command
    }

    /// As cargo asks a compiler that it has not met.
    fn asked_for_its_version(&self) -> Result<Output> {
        Ok(self.command("rustc").arg("-vV").output()?)
    }

    /// How rustup was called, one call a line.
    fn calls(&self) -> String {
        fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default()
    }
}

fn script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, format!("#!/usr/bin/env bash\n{text}\n"))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// Demands that it was refused in three lines, of which the last says what to type.
fn refused(output: &Output, why: &str, what_to_type: &str) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && output.stdout.is_empty(), "it went on: {output:?}");
    ensure!(said.lines().count() == 3, "three lines:\n{said}");
    ensure!(said.contains("wasm32-wasip2") && said.contains(why), "{why}?\n{said}");
    ensure!(said.lines().last().is_some_and(|line| line.contains(what_to_type)), "{what_to_type}?\n{said}");
    Ok(())
}

#[test]
fn a_build_adds_the_plugins_target_to_its_own_toolchain_and_only_once() -> Result<()> {
    let toolchain = Toolchain::new("home/toolchains/1.95.0-here", Some("sleep 0.2; INSTALL"))?;
    // Two builds begin at once.
    let mut builds = [toolchain.command("rustc"), toolchain.command("rustc")];
    let builds = builds.each_mut().map(|build| build.arg("-vV").spawn());
    for build in builds {
        ensure!(build?.wait()?.success(), "a build did not begin");
    }
    let calls = toolchain.calls();
    ensure!(calls.starts_with("target add --toolchain 1.95.0-here wasm32-wasip2\n"), "{calls}");
    // Where there is nothing to take turns with, the second is refused by rustup, and goes on with what the first added.
    ensure!(calls.lines().count() == 1 || !toolchain.programs().join("flock").exists(), "{calls}");
    // The compiler is called as it would be without, and finds what cargo tells it.
    let told = ("CARGO_BIN_EXE_a-b", "there");
    let output = toolchain.command("rustc").args(["--crate-name", "x y"]).env(told.0, told.1).output()?;
    ensure!(output.stdout == b"compiled --crate-name x y with there\n", "{output:?}");
    Ok(())
}

#[test]
fn a_build_that_cannot_add_the_plugins_target_says_what_to_type_before_it_compiles_anything() -> Result<()> {
    let add = "rustup target add --toolchain 1.95.0-here wasm32-wasip2";
    let broken = "echo 'error: download failed: not found: no such host' >&2; exit 1";
    let toolchain = Toolchain::new("home/toolchains/1.95.0-here", Some(broken))?;
    refused(&toolchain.asked_for_its_version()?, "not found: no such host", add)?;
    let toolchain = Toolchain::new("home/toolchains/1.95.0-here", None)?;
    refused(&toolchain.asked_for_its_version()?, "no rustup", add)?;
    let toolchain = Toolchain::new("usr", Some("INSTALL"))?;
    refused(&toolchain.asked_for_its_version()?, "not one of rustup's", "rustup target add wasm32-wasip2")?;
    ensure!(toolchain.calls().is_empty(), "rustup knows nothing of this toolchain");
    Ok(())
}

#[test]
fn a_build_does_not_wait_for_a_network_that_keeps_silent() -> Result<()> {
    let toolchain = Toolchain::new("home/toolchains/1.95.0-here", Some("exec sleep 60"))?;
    let began = Instant::now();
    let output = toolchain.command("guest-target").arg("1").output()?;
    ensure!(began.elapsed() < Duration::from_secs(10), "it waited for {:?}", began.elapsed());
    refused(&output, "nothing was received", "rustup target add")
}

#[test]
fn every_build_of_this_workspace_asks_for_the_plugins_target_first() -> Result<()> {
    let settings: toml::Table = fs::read_to_string(Path::new(SETTINGS).join("config.toml"))?.parse()?;
    let wrapper = settings["build"]["rustc-workspace-wrapper"].as_str();
    ensure!(wrapper == Some(".cargo/rustc"), "{wrapper:?}");
    let quickstart = settings["alias"]["quickstart"].as_str().unwrap_or_default();
    ensure!(!quickstart.contains("quiet"), "nobody sees that it compiles: {quickstart}");
    Ok(())
}
