//! Names: quoting, lengths, and what a run's tables and constraints are called.

use millrace_model::TableName;

/// The longest name of a table, an index or a constraint, in characters.
pub const NAME_CHARACTERS: usize = 64;

/// A name between backticks.
pub fn quote_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A table's name between backticks; with its schema (a database), where it has one.
pub fn quote_table(table: &TableName) -> String {
    if table.schema.is_empty() {
        quote_name(&table.name)
    } else {
        format!("{}.{}", quote_name(&table.schema), quote_name(&table.name))
    }
}

/// A text literal, escaped as OceanBase prints it: sessions of Millrace never set `NO_BACKSLASH_ESCAPES`.
pub fn quote_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\'' => quoted.push_str("\\'"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0' => quoted.push_str("\\0"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

/// The name itself, or where it has more than `characters`, its beginning and a hash of the whole of it: the same name is
/// always shortened to the same one.
pub fn shorten(name: &str, characters: usize) -> String {
    if name.chars().count() <= characters {
        return name.to_owned();
    }
    let hash = hash_of(name);
    let kept: String = name.chars().take(characters.saturating_sub(hash.len() + 1)).collect();
    format!("{kept}_{hash}")
}

/// A table's name as the target takes it: without blanks at the end, and shortened where it is too long. Two tables may get
/// one name.
pub fn table_name(name: &str) -> String {
    shorten(name.trim_end(), NAME_CHARACTERS)
}

/// The new table before the swap: `{table}_tmp_{stamp}`.
pub fn shadow_name(table: &TableName, stamp: &str) -> TableName {
    with_suffix(table, &format!("_tmp_{stamp}"))
}

/// The old table after the swap: `{table}_bak_{stamp}`.
pub fn backup_name(table: &TableName, stamp: &str) -> TableName {
    with_suffix(table, &format!("_bak_{stamp}"))
}

/// A table that is being restored from its archive: `{table}_restoring`.
pub fn restoring_name(table: &TableName) -> TableName {
    with_suffix(table, "_restoring")
}

/// What a check or a foreign key is called on a table that the run of this tag makes: `{name}_{tag}`. The name stays after
/// the swap; [`live_constraint_name`] finds the name without the tag again. It is the only one of its database, and runs of
/// other pipelines begin in the same second: a stamp alone does not tell them apart.
pub fn constraint_name(name: &str, tag: &str) -> String {
    suffixed(name, &format!("_{tag}"))
}

/// A check's or foreign key's name without the tag of the run that made it, `{stamp}_{chance}`. Earlier versions left out
/// the chance.
pub fn live_constraint_name(name: &str) -> &str {
    let without_chance = match name.rsplit_once('_') {
        Some((before, chance)) if chance.len() == 6 && chance.bytes().all(|b| b.is_ascii_hexdigit()) => before,
        _ => name,
    };
    match without_chance.rsplit_once('_') {
        Some((before, stamp))
            if !before.is_empty() && stamp.len() == 14 && stamp.bytes().all(|b| b.is_ascii_digit()) =>
        {
            before
        }
        _ => name,
    }
}

fn with_suffix(table: &TableName, suffix: &str) -> TableName {
    TableName::new(table.schema.clone(), suffixed(&table.name, suffix))
}

/// The suffix is kept whole, so that names of one run are seen to belong together.
fn suffixed(name: &str, suffix: &str) -> String {
    format!("{}{suffix}", shorten(name, NAME_CHARACTERS.saturating_sub(suffix.chars().count())))
}

/// FNV-1a: it only has to tell a database's long names apart, and must never change.
fn hash_of(name: &str) -> String {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "20260501093000";

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        assert_eq!(quote_name("a`b"), "`a``b`");
        assert_eq!(quote_text("it's \\ x\n"), r"'it\'s \\ x\n'");
    }

    #[test]
    fn shadow_and_backup_carry_the_stamp() {
        let table = TableName::bare("orders");
        assert_eq!(shadow_name(&table, STAMP).name, "orders_tmp_20260501093000");
        assert_eq!(backup_name(&table, STAMP).name, "orders_bak_20260501093000");
    }

    #[test]
    fn long_names_keep_their_suffix_and_stay_apart() {
        let first = TableName::bare("x".repeat(63));
        let second = TableName::bare("x".repeat(64));
        let (first, second) = (shadow_name(&first, STAMP).name, shadow_name(&second, STAMP).name);
        assert_eq!(first.chars().count(), NAME_CHARACTERS);
        assert!(first.ends_with("_tmp_20260501093000"), "{first}");
        assert_ne!(first, second);
    }

    #[test]
    fn a_tag_is_found_at_the_end_of_a_constraint_name_and_nowhere_else() {
        let long = constraint_name(&"x".repeat(64), "20260501093000_8f3a2c");
        assert!(long.chars().count() == NAME_CHARACTERS && long.ends_with("_20260501093000_8f3a2c"), "{long}");
        assert_eq!(live_constraint_name("orders_check_20260501093000_8f3a2c"), "orders_check");
        assert_eq!(live_constraint_name("orders_8f3a2c"), "orders_8f3a2c");
        assert_eq!(live_constraint_name("orders_20260501093000_word"), "orders_20260501093000_word");
        assert_eq!(live_constraint_name(&constraint_name("orders_check", STAMP)), "orders_check");
        assert_eq!(live_constraint_name("orders_check"), "orders_check");
        assert_eq!(live_constraint_name("_20260501093000"), "_20260501093000");
        assert_eq!(live_constraint_name("a_2026050109300"), "a_2026050109300");
    }
}
