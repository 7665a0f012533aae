//! Plugins that misbehave, compiled, as bytes: for tests of the host only.

/// A converter with many faces; its configuration, `{"face": "panic"}`, says which one it shows. What there is
/// stands in `hostile/src/lib.rs`.
pub static HOSTILE: &[u8] = include_bytes!(env!("MILLRACE_HOSTILE"));
