//! Compiles the first-party plugins for `wasm32-wasip2` by one nested cargo call, and writes a table of
//! them that the crate includes.
//!
//! The nested call has a target folder of its own below this crate's output folder, so that the two calls never
//! wait for each other's lock, and none of the outer call's settings: flags, wrappers and the job server that
//! are meant for the host would break or needlessly rebuild the guests.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";
/// Guests read text sixteen bytes at a time, and parse expressions by recursion: the linker's one megabyte of stack is
/// too little for that. Memory that a stack does not reach is never touched.
const FLAGS: &str = "-Ctarget-feature=+simd128\x1f-Clink-arg=-zstack-size=4194304";
/// Folders below `plugins/` that are no plugins.
const NOT_PLUGINS: [&str; 2] = ["bundle", "sdk"];
/// What the plugins are built from, besides themselves.
const SHARED: [&str; 4] = ["plugins/sdk", "host/model", "host/columnar", "wit"];

fn main() {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).expect("this crate lies at plugins/bundle").to_owned();
    let output = PathBuf::from(variable("OUT_DIR"));
    let names = plugin_names(&root.join("plugins"));
    watch(&root, &names);

    let guests = output.join("guests");
    require_target(&root);
    build(&root, &guests, &names);

    let built = guests.join(TARGET).join(PROFILE);
    let mut table = String::from(
        "/// Name and component of every first-party plugin, in order of name.\n\
         pub static PLUGINS: &[(&str, &[u8])] = &[\n",
    );
    for name in &names {
        let component = built.join(format!("millrace_plugin_{}.wasm", name.replace('-', "_")));
        writeln!(table, "    ({name:?}, include_bytes!({:?})),", component.display().to_string())
            .expect("a string takes every write");
    }
    table.push_str("];\n");
    let path = output.join("plugins.rs");
    // An unchanged table keeps its time, and so what includes it is not compiled again.
    if fs::read_to_string(&path).ok().as_deref() != Some(&table) {
        fs::write(&path, table).unwrap_or_else(|e| stop(&format!("could not write {}: {e}", path.display())));
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|e| stop(&format!("cargo should have set {name}: {e}")))
}

fn stop(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1);
}

/// Every folder with a manifest is a plugin.
fn plugin_names(plugins: &Path) -> Vec<String> {
    let entries = fs::read_dir(plugins).unwrap_or_else(|e| stop(&format!("could not list {}: {e}", plugins.display())));
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !NOT_PLUGINS.contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

/// Runs this script again when, and only when, something changed that a guest is built from.
fn watch(root: &Path, names: &[String]) {
    let folders = names.iter().map(|name| format!("plugins/{name}"));
    for folder in folders.chain(SHARED.map(str::to_owned)) {
        let folder = root.join(folder);
        let sources = folder.join("src");
        if sources.is_dir() {
            println!("cargo::rerun-if-changed={}", sources.display());
            println!("cargo::rerun-if-changed={}", folder.join("Cargo.toml").display());
        } else {
            println!("cargo::rerun-if-changed={}", folder.display());
        }
    }
    for file in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "plugins/bundle/build.rs"] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
}

/// Sees that the toolchain has the guests' target, where a wrapper of somebody else's took the place of `.cargo/rustc`.
fn require_target(root: &Path) {
    if cfg!(unix) {
        let asked = Command::new(root.join(".cargo/guest-target")).arg(variable("RUSTC")).status();
        if !asked.is_ok_and(|status| status.success()) {
            stop(&format!("the toolchain has no {TARGET}"));
        }
    }
}

fn build(root: &Path, guests: &Path, names: &[String]) {
    let mut cargo = Command::new(variable("CARGO"));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(leaks) {
            cargo.env_remove(&name);
        }
    }
    cargo
        .current_dir(root)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS)
        .args(["build", "--locked", "--profile", PROFILE, "--target", TARGET])
        .arg("--target-dir")
        .arg(guests)
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"));
    for name in names {
        cargo.arg("--package").arg(format!("millrace-plugin-{name}"));
    }
    let status = cargo.status().unwrap_or_else(|e| stop(&format!("could not start cargo for the plugins: {e}")));
    if !status.success() {
        stop(&format!("the plugins did not compile for {TARGET}"));
    }
}

/// Variables that the outer cargo sets for build scripts, or that tune the host's build. What says where
/// packages come from and how to reach them stays.
fn leaks(name: &str) -> bool {
    const STAY: [&str; 6] =
        ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_"];
    const OTHERS: [&str; 13] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC",
        "RUSTDOC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_LINKER",
        "MAKEFLAGS",
        "MFLAGS",
        "CLIPPY_ARGS",
        "OPT_LEVEL",
        "DEBUG",
        "TARGET",
    ];
    OTHERS.contains(&name) || (name.starts_with("CARGO_") && !STAY.iter().any(|prefix| name.starts_with(prefix)))
}
