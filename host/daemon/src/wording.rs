//! How states and paths are said to people. Programs are told the names that the journal has.

use std::path::Path;

/// A run's state, so that it fits behind "is": `waiting-approval` is `waiting for approval`.
pub(crate) fn state(name: &str) -> String {
    match name {
        "planned" => "planned and not begun".to_owned(),
        "waiting-approval" => "waiting for approval".to_owned(),
        "cancelled" => "given up".to_owned(),
        other => other.replace('-', " "),
    }
}

/// A path as it can be typed in a shell.
pub(crate) fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
