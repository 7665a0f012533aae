//! Column types: one spelling for each, and whether one holds all that another does.

use crate::spelling::one_spelling;

/// A declared type, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    /// `bigint`, `varchar` …, the name that the server itself uses.
    base: String,
    /// What stands in the parentheses.
    arguments: Vec<String>,
    unsigned: bool,
    /// Any other word: `zerofill`.
    rest: Vec<String>,
}

impl Declared {
    /// Reads a type as a server or a person spells it.
    pub(crate) fn read(text: &str) -> Self {
        let text = one_spelling(text);
        let (head, tail) = match text.find('(') {
            Some(open) => (&text[..open], &text[open + 1..]),
            None => (text.as_str(), ""),
        };
        let (inside, after) = match closing(tail) {
            Some(close) => (&tail[..close], &tail[close + 1..]),
            None => (tail, ""),
        };
        let mut words: Vec<String> = head.split(' ').chain(after.split(' ')).map(str::to_owned).collect();
        words.retain(|word| !word.is_empty());
        if let Some(collate) = words.iter().position(|word| word == "collate") {
            words.drain(collate..(collate + 2).min(words.len()));
        }
        let unsigned = words.iter().any(|word| word == "unsigned");
        words.retain(|word| word != "unsigned" && word != "signed");
        let base = if words.is_empty() { String::new() } else { words.remove(0) };
        let mut declared = Self { base, arguments: arguments(inside), unsigned, rest: words };
        declared.settle();
        declared
    }

    /// Synonyms, defaults of lengths, and display widths.
    fn settle(&mut self) {
        let base = match self.base.as_str() {
            "bool" | "boolean" => {
                self.arguments = vec!["1".to_owned()];
                "tinyint"
            }
            "int1" => "tinyint",
            "int2" => "smallint",
            "int3" | "middleint" => "mediumint",
            "int4" | "integer" => "int",
            "int8" => "bigint",
            "dec" | "numeric" | "fixed" => "decimal",
            "real" | "float8" => "double",
            "float4" => "float",
            other => other,
        };
        self.base = base.to_owned();
        if self.base == "double" {
            self.rest.retain(|word| word != "precision");
        }
        let zerofill = self.rest.iter().any(|word| word == "zerofill");
        self.unsigned |= zerofill;
        match self.base.as_str() {
            "tinyint" if self.arguments == ["1"] => {}
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" if !zerofill => self.arguments.clear(),
            "year" => self.arguments.clear(),
            "datetime" | "timestamp" | "time" if self.arguments == ["0"] => self.arguments.clear(),
            "decimal" => {
                let number =
                    |at: usize, default: &str| self.arguments.get(at).map_or(default, String::as_str).to_owned();
                self.arguments = vec![number(0, "10"), number(1, "0")];
            }
            "char" | "binary" | "bit" if self.arguments.is_empty() => self.arguments.push("1".to_owned()),
            _ => {}
        }
    }

    pub(crate) fn is_bit(&self) -> bool {
        self.base == "bit"
    }

    pub(crate) fn is_number(&self) -> bool {
        self.integer_range().is_some() || matches!(self.base.as_str(), "decimal" | "float" | "double" | "year")
    }

    pub(crate) fn is_time(&self) -> bool {
        matches!(self.base.as_str(), "date" | "time" | "datetime" | "timestamp")
    }

    /// Whether texts of the type have a collation that matters.
    pub(crate) fn is_text(&self) -> bool {
        matches!(
            self.base.as_str(),
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set"
        )
    }

    /// Whether every value of this type is one of the other, as it is.
    pub(crate) fn fits_into(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        if let (Some(mine), Some(theirs)) = (self.integer_range(), other.integer_range()) {
            return theirs.0 <= mine.0 && mine.1 <= theirs.1;
        }
        if let (Some((whole, scale)), Some((smallest, largest))) = (self.digits(), other.integer_range()) {
            let most = u32::try_from(whole).ok().and_then(|whole| 10_i128.checked_pow(whole)).unwrap_or(i128::MAX) - 1;
            return scale == 0 && most <= largest && (self.unsigned || smallest <= -most);
        }
        if let (Some(mine), Some(theirs)) = (self.digits(), other.digits()) {
            return mine.0 <= theirs.0 && mine.1 <= theirs.1 && (!other.unsigned || self.unsigned);
        }
        if let (Some(mine), Some(theirs)) = (self.characters(), other.characters()) {
            return mine <= theirs;
        }
        if let (Some(mine), Some(theirs)) = (self.bytes(), other.bytes()) {
            return mine <= theirs;
        }
        match (self.base.as_str(), other.base.as_str()) {
            ("float", "double") => !other.unsigned || self.unsigned,
            ("enum", "enum") | ("set", "set") => self.arguments.iter().all(|label| other.arguments.contains(label)),
            ("date" | "datetime", "datetime") | ("timestamp", "timestamp") | ("time", "time") => {
                self.number(0).unwrap_or(0) <= other.number(0).unwrap_or(0)
            }
            ("bit", "bit") => self.number(0) <= other.number(0),
            ("tinyint" | "smallint" | "mediumint" | "int", "double") => !other.unsigned || self.unsigned,
            ("enum" | "set" | "json", _) => other.is_text() && other.characters().is_some_and(|most| most > 60_000),
            _ => other.characters().is_some_and(|most| self.longest_text().is_some_and(|longest| longest <= most)),
        }
    }

    fn number(&self, at: usize) -> Option<u64> {
        self.arguments.get(at).and_then(|text| text.parse().ok())
    }

    fn integer_range(&self) -> Option<(i128, i128)> {
        let bits = match self.base.as_str() {
            "tinyint" => 8,
            "smallint" => 16,
            "mediumint" => 24,
            "int" => 32,
            "bigint" => 64,
            _ => return None,
        };
        Some(if self.unsigned { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) })
    }

    /// Of an exact number: digits before and after the point.
    fn digits(&self) -> Option<(u64, u64)> {
        if let Some((_, largest)) = self.integer_range() {
            return Some((largest.to_string().len() as u64, 0));
        }
        let (precision, scale) = (self.number(0)?, self.number(1)?);
        (self.base == "decimal").then(|| (precision.saturating_sub(scale), scale))
    }

    fn characters(&self) -> Option<u64> {
        match self.base.as_str() {
            "char" | "varchar" => self.number(0),
            "tinytext" => Some(255),
            "text" => Some(65_535),
            "mediumtext" => Some((1 << 24) - 1),
            "longtext" => Some(u64::from(u32::MAX)),
            _ => None,
        }
    }

    fn bytes(&self) -> Option<u64> {
        match self.base.as_str() {
            "binary" | "varbinary" => self.number(0),
            "tinyblob" => Some(255),
            "blob" => Some(65_535),
            "mediumblob" => Some((1 << 24) - 1),
            "longblob" => Some(u64::from(u32::MAX)),
            _ => None,
        }
    }

    /// Characters of the longest value, printed.
    fn longest_text(&self) -> Option<u64> {
        if let Some((smallest, largest)) = self.integer_range() {
            return Some(smallest.to_string().len().max(largest.to_string().len()) as u64);
        }
        match self.base.as_str() {
            "decimal" => self.number(0).map(|precision| precision + 2),
            "date" => Some(10),
            "datetime" | "timestamp" => Some(26),
            "time" => Some(17),
            "year" => Some(4),
            _ => None,
        }
    }
}

impl std::fmt::Display for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base)?;
        if !self.arguments.is_empty() {
            write!(f, "({})", self.arguments.join(","))?;
        }
        let zerofill = self.rest.iter().any(|word| word == "zerofill");
        if self.unsigned && !zerofill {
            f.write_str(" unsigned")?;
        }
        self.rest.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

/// Where the parenthesis that is open closes.
fn closing(text: &str) -> Option<usize> {
    split_at(text, |c| c == ')')
}

/// The first such character outside of quotes.
fn split_at(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '\'' => quoted = !quoted,
            c if !quoted && wanted(c) => return Some(at),
            _ => {}
        }
    }
    None
}

fn arguments(mut inside: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    while !inside.is_empty() {
        let end = split_at(inside, |c| c == ',').unwrap_or(inside.len());
        arguments.push(inside[..end].trim().to_owned());
        inside = inside.get(end + 1..).unwrap_or("");
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        Declared::read(a) == Declared::read(b)
    }

    #[test]
    fn spellings_of_one_type_are_one() {
        for (a, b) in [
            ("bigint(20)", "BIGINT"),
            ("int(10) unsigned", "integer unsigned"),
            ("tinyint(1)", "bool"),
            ("tinyint(4)", "tinyint"),
            ("decimal(10,0)", "numeric"),
            ("decimal(10, 2)", "DECIMAL(10,2)"),
            ("decimal(10)", "decimal(10,0)"),
            ("double", "double precision"),
            ("char", "char(1)"),
            ("year(4)", "year"),
            ("datetime(0)", "datetime"),
            ("varchar(20) character set utf8mb4 collate utf8mb4_bin", "VARCHAR(20)"),
            ("enum('a', 'b,c')", "ENUM('a','b,c')"),
            ("smallint(5) unsigned zerofill", "smallint(5) zerofill"),
        ] {
            assert!(same(a, b), "{a} is {b}: {} and {}", Declared::read(a), Declared::read(b));
        }
    }

    #[test]
    fn types_that_differ_are_told_apart() {
        for (a, b) in [
            ("tinyint(1)", "tinyint"),
            ("int", "int unsigned"),
            ("decimal(10,2)", "decimal(12,2)"),
            ("enum('a','b')", "enum('A','b')"),
            ("datetime(6)", "datetime"),
            ("varchar(20)", "char(20)"),
        ] {
            assert!(!same(a, b), "{a} is not {b}");
        }
    }

    #[test]
    fn a_type_that_holds_less_is_known() {
        let fits = |a: &str, b: &str| Declared::read(a).fits_into(&Declared::read(b));
        for (small, large) in [
            ("int", "bigint"),
            ("tinyint(1)", "tinyint"),
            ("int unsigned", "bigint"),
            ("decimal(10,2)", "decimal(12,2)"),
            ("int", "decimal(10,0)"),
            ("varchar(20)", "varchar(30)"),
            ("varchar(20)", "longtext"),
            ("varbinary(16)", "longblob"),
            ("float", "double"),
            ("datetime", "datetime(6)"),
            ("date", "datetime(6)"),
            ("enum('a')", "enum('a','b')"),
            ("bigint", "varchar(20)"),
            ("json", "longtext"),
        ] {
            assert!(fits(small, large), "{small} fits into {large}");
            assert!(small == "tinyint(1)" || !fits(large, small), "{large} does not fit into {small}");
        }
        assert!(!fits("int", "int unsigned"));
        assert!(!fits("decimal(10,2)", "decimal(10,4)"));
        assert!(!fits("varchar(10)", "int"));
        assert!(!fits("longtext", "json"));
    }
}
