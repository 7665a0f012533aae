//! WASI, linked and empty. Guests that use their language's standard library import it and do not start
//! without it, but there is nothing behind it: no arguments, no environment, no folders, no network, a clock
//! that stands still, randomness that repeats itself, and standard error kept for messages.
//!
//! So a plugin's result depends on its input alone. Sleeping traps: epochs do not wake a guest that waits
//! inside the host.

use std::time::Duration;

use wasmtime::bail;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use crate::state::State;
use crate::stderr::Tail;

/// The seed of everything random: hash maps of the same guest iterate alike in every run.
const SEED: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;

/// An instance's WASI.
pub(crate) fn empty(stderr: Tail) -> WasiCtx {
    let bytes = || Deterministic::new(SEED.to_le_bytes().to_vec());
    WasiCtxBuilder::new()
        .stderr(stderr)
        .secure_random(bytes())
        .insecure_random(bytes())
        .insecure_random_seed(SEED)
        .max_random_size(1 << 20)
        .wall_clock(StoppedClock)
        .monotonic_clock(StoppedClock)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

struct StoppedClock;

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1_000_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Links what standard libraries ask for.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.2.12")?;
    for name in ["subscribe-duration", "subscribe-instant"] {
        clock.func_wrap(name, |_, _: (u64,)| -> wasmtime::Result<(Resource<DynPollable>,)> {
            bail!("a plugin may not sleep")
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}
