//! Compiles the hostile guest for `wasm32-wasip2`, as `plugins/bundle` does with the first-party plugins: by a
//! nested cargo call with a target folder of its own and none of the outer call's settings.

use std::path::PathBuf;
use std::process::{Command, exit};
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";

fn main() {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).expect("this crate lies at tests/guests");
    let guests = PathBuf::from(variable("OUT_DIR")).join("guests");
    for watched in ["tests/guests/hostile", "tests/guests/build.rs", "wit", "rust-toolchain.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }

    let mut cargo = Command::new(variable("CARGO"));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_of_outer_call) {
            cargo.env_remove(&name);
        }
    }
    let status = cargo
        .current_dir(root)
        .args(["build", "--locked", "--profile", "guest", "--target", TARGET])
        .args(["--package", "millrace-guest-hostile", "--target-dir"])
        .arg(&guests)
        .status();
    let component = guests.join(TARGET).join("guest/millrace_guest_hostile.wasm");
    if !status.is_ok_and(|status| status.success()) || fs::metadata(&component).is_err() {
        println!("cargo::error=the hostile guest did not compile for {TARGET}");
        exit(1);
    }
    println!("cargo::rustc-env=MILLRACE_HOSTILE={}", component.display());
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
