//! Plugins that misbehave, compiled, as bytes: for tests of the host only.
//!
//! Each has many faces; its configuration, `{"face": "panic"}`, says which one it shows. What there is stands in its source.

/// A converter.
pub static HOSTILE: &[u8] = include_bytes!(env!("MILLRACE_HOSTILE"));
/// A model source.
pub static HOSTILE_MODEL_SOURCE: &[u8] = include_bytes!(env!("MILLRACE_HOSTILE_MODEL_SOURCE"));
/// A differ.
pub static HOSTILE_DIFFER: &[u8] = include_bytes!(env!("MILLRACE_HOSTILE_DIFFER"));
/// A copier.
pub static HOSTILE_COPIER: &[u8] = include_bytes!(env!("MILLRACE_HOSTILE_COPIER"));
/// A validator.
pub static HOSTILE_VALIDATOR: &[u8] = include_bytes!(env!("MILLRACE_HOSTILE_VALIDATOR"));
/// A switcher.
pub static HOSTILE_SWITCHER: &[u8] = include_bytes!(env!("MILLRACE_HOSTILE_SWITCHER"));
/// A cleaner.
pub static HOSTILE_CLEANER: &[u8] = include_bytes!(env!("MILLRACE_HOSTILE_CLEANER"));
