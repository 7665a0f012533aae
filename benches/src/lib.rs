//! Benches of copying and conversion
