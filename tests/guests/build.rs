//! Compiles the hostile guests, one of each world, for `wasm32-wasip2`, as `plugins/bundle` does with the first-party plugins: by a
//! nested cargo call with a target folder of its own and none of the outer call's settings.

use std::path::PathBuf;
use std::process::{Command, exit};
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";

/// The guests' folders; their packages are called `millrace-guest-` and that.
const GUESTS: [&str; 7] = [
    "hostile",
    "hostile-model-source",
    "hostile-differ",
    "hostile-copier",
    "hostile-validator",
    "hostile-switcher",
    "hostile-cleaner",
];

fn main() {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).expect("this crate lies at tests/guests");
    let guests = PathBuf::from(variable("OUT_DIR")).join("guests");
    let folders = GUESTS.map(|guest| format!("tests/guests/{guest}"));
    let others = ["tests/guests/build.rs", "wit", "rust-toolchain.toml"];
    for watched in folders.iter().map(String::as_str).chain(others) {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }

    let mut cargo = Command::new(variable("CARGO"));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_of_outer_call) {
            cargo.env_remove(&name);
        }
    }
    let packages = GUESTS.iter().flat_map(|guest| ["--package".to_owned(), format!("millrace-guest-{guest}")]);
    // Where a wrapper of somebody else's took the place of `.cargo/rustc`.
    if cfg!(unix) {
        let asked = Command::new(root.join(".cargo/guest-target")).arg(variable("RUSTC")).status();
        if !asked.is_ok_and(|status| status.success()) {
            println!("cargo::error=the toolchain has no {TARGET}");
            exit(1);
        }
    }
    let status = cargo
        .current_dir(root)
        .args(["build", "--locked", "--profile", "guest", "--target", TARGET])
        .args(packages)
        .arg("--target-dir")
        .arg(&guests)
        .status();
    let built = status.is_ok_and(|status| status.success());
    for guest in GUESTS {
        let file = format!("millrace_guest_{}.wasm", guest.replace('-', "_"));
        let component = guests.join(TARGET).join("guest").join(file);
        if !built || fs::metadata(&component).is_err() {
            println!("cargo::error=the hostile guests did not compile for {TARGET}");
            exit(1);
        }
        let name = guest.replace('-', "_").to_uppercase();
        println!("cargo::rustc-env=MILLRACE_{name}={}", component.display());
    }
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it for build scripts")
}

/// Where packages come from stays; how the host is built does not concern guests.
fn is_of_outer_call(name: &str) -> bool {
    let stays = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let tunes = ["RUSTC", "RUSTDOC", "RUSTFLAGS", "MAKEFLAGS", "MFLAGS", "OPT_LEVEL", "DEBUG", "TARGET"];
    tunes.iter().any(|tune| name.starts_with(tune))
        || (name.starts_with("CARGO_") && !stays.iter().any(|stay| name.starts_with(stay)))
}
