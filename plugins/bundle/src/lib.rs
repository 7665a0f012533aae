//! The first-party plugins, compiled, as bytes.
//!
//! This crate's build script compiles every crate below `plugins/` (but the SDK and this one) for
//! `wasm32-wasip2` and embeds the components, so that plain `cargo build` gives a binary that has them all and
//! no second build tool is needed. The host loads them as it loads a vendor's file.

include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// The component of a first-party plugin, by its name as pipelines write it: `model-postgres`.
pub fn plugin(name: &str) -> Option<&'static [u8]> {
    PLUGINS.iter().find(|(known, _)| *known == name).map(|(_, component)| *component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_party_plugin_is_a_component() {
        let names: Vec<&str> = PLUGINS.iter().map(|(name, _)| *name).collect();
        for expected in [
            "clean-expired",
            "convert-oceanbase",
            "copy-adaptive",
            "copy-in-server",
            "copy-range",
            "copy-stream",
            "differ",
            "model-file",
            "model-oceanbase",
            "model-postgres",
            "switch-rename",
            "validate",
        ] {
            assert!(names.contains(&expected), "{expected} is not among {names:?}");
        }
        for (name, component) in PLUGINS {
            assert_eq!(component[..8], *b"\0asm\x0d\0\x01\0", "{name} is no component");
        }
        assert!(plugin("model-file").is_some());
        assert!(plugin("no-such-plugin").is_none());
    }
}
