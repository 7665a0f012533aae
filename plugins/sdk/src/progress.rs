//! Whether a plugin should go on. Natively, in unit tests, it always should. Differs and converters have no such
//! import in their worlds: a component of theirs that calls this is refused by the host.

/// Whether the run is being cancelled. Calls to the host fail by themselves then; only long work of the
/// plugin's own needs to ask.
pub fn cancelled() -> bool {
    #[cfg(target_family = "wasm")]
    return crate::glue::bindings::millrace::stage::progress::cancelled();
    #[cfg(not(target_family = "wasm"))]
    return false;
}
