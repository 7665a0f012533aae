//! The `millrace` command and daemon.
fn main() {}
