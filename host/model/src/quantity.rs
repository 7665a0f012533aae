//! Numbers as people read them.

/// `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what it counts, in agreement: `1 row`, `0 rows`, `2,000 rows`. Of several words the last one is the
/// noun: `1 primary key`, `2 primary keys`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", grouped(number)),
    }
}

/// The verb that agrees with so many: `was` or `were`, `is` or `are`, `has` or `have`.
#[must_use]
pub fn agreeing<'a>(number: u64, of_one: &'a str, of_many: &'a str) -> &'a str {
    if number == 1 { of_one } else { of_many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_count_agrees_with_its_noun() {
        assert_eq!(counted(0, "table"), "0 tables");
        assert_eq!(counted(1, "table"), "1 table");
        assert_eq!(counted(1_000, "row"), "1,000 rows");
        assert_eq!(agreeing(1, "was", "were"), "was");
        assert_eq!(agreeing(0, "was", "were"), "were");
    }
}
