//! How far a plugin is. Natively, in unit tests, nobody listens. Differs and converters have no such
//! import in their worlds: a component of theirs that calls these functions is refused by the host.

/// Tells the host how much of how much is done, in the plugin's own unit.
pub fn report(done: u64, total: Option<u64>) {
    #[cfg(target_family = "wasm")]
    crate::glue::bindings::millrace::stage::progress::report(done, total);
    #[cfg(not(target_family = "wasm"))]
    let _ = (done, total);
}

/// Whether the run is being cancelled. Calls to the host fail by themselves then; only long work of the
/// plugin's own needs to ask.
pub fn cancelled() -> bool {
    #[cfg(target_family = "wasm")]
    return crate::glue::bindings::millrace::stage::progress::cancelled();
    #[cfg(not(target_family = "wasm"))]
    return false;
}
