//! Target columns: what the source says of a column and what the mapping decides about it.

use millrace_plugin_sdk::model::{Column, Layout, LogicalType};

/// The longest name, in characters.
const NAME_CHARACTERS: usize = 64;
/// Texts are compared byte by byte, but for blanks at their ends.
pub(crate) const BINARY_COLLATION: &str = "utf8mb4_bin";

/// A column of this type, with everything else as at the source; expressions are still the source's.
pub(crate) fn column(source: &Column, declared: impl Into<String>, logical: LogicalType) -> Column {
    let declared = declared.into();
    let collation = has_collation(&declared).then(|| BINARY_COLLATION.to_owned());
    let mut properties = source.properties.clone();
    properties.retain(|name, _| name == "generated");
    Column {
        name: name(&source.name),
        declared,
        logical,
        nullable: source.nullable,
        default_expression: source.default_expression.clone(),
        generated_expression: source.generated_expression.clone(),
        identity: source.identity,
        collation,
        comment: source.comment.clone(),
        properties,
    }
}

/// A text type's meaning.
pub(crate) fn text(length: Option<u32>) -> LogicalType {
    let logical = LogicalType::new("text", Layout::Varlen);
    match length {
        Some(length) => logical.with("length", length.to_string()),
        None => logical,
    }
}

fn has_collation(declared: &str) -> bool {
    declared.starts_with("char")
        || declared.starts_with("varchar")
        || declared.starts_with("enum")
        || declared.ends_with("text")
}

/// The target takes no blanks at a name's end, and no long names.
pub(crate) fn name(source: &str) -> String {
    let trimmed = source.trim_end();
    if trimmed.chars().count() <= NAME_CHARACTERS && !trimmed.is_empty() {
        return trimmed.to_owned();
    }
    let hash = source.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let kept: String = trimmed.chars().take(NAME_CHARACTERS - 9).collect();
    format!("{kept}_{hash:08x}")
}
