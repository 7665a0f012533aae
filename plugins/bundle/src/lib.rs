//! The first-party plugins, compiled, as bytes
