//! The expressions of MySQL and OceanBase, read by precedence and printed in one form.
//!
//! Operators and their precedence are those of the MySQL manual, "Operator Precedence". A general SQL parser would be
//! three quarters of this plugin, which the host compiles at its first start.

use super::{cast_type, number, plain_number, synonym};
use crate::spelling::{Token, spelled};

/// Each level of brackets takes some of the guest's stack. What is deeper than people and servers write is compared as
/// text.
const DEEPEST: usize = 50;

/// How tightly operators bind; brackets and lists begin at the loosest.
mod binding {
    pub(super) const LOOSEST: u8 = 0;
    pub(super) const OR: u8 = 1;
    pub(super) const XOR: u8 = 2;
    pub(super) const AND: u8 = 3;
    pub(super) const NOT: u8 = 4;
    pub(super) const COMPARISON: u8 = 5;
    pub(super) const BIT_OR: u8 = 6;
    pub(super) const BIT_AND: u8 = 7;
    pub(super) const SHIFT: u8 = 8;
    pub(super) const SUM: u8 = 9;
    pub(super) const PRODUCT: u8 = 10;
    pub(super) const BIT_XOR: u8 = 11;
    pub(super) const SIGN: u8 = 12;
    pub(super) const COLLATE: u8 = 13;
}

/// Operators of more than one sign, longest first.
const COMPOUND: [&[&str]; 11] = [
    &["<", "=", ">"],
    &["-", ">", ">"],
    &["<", "="],
    &[">", "="],
    &["<", ">"],
    &["!", "="],
    &["<", "<"],
    &[">", ">"],
    &["-", ">"],
    &["&", "&"],
    &["|", "|"],
];

/// Functions that may stand without brackets.
const BARE: [&str; 6] =
    ["current_timestamp", "localtime", "localtimestamp", "current_date", "current_time", "current_user"];

/// The one form of an expression. None: it is none that is known here.
pub(super) fn read(tokens: &[Token]) -> Option<String> {
    let mut reader = Reader { tokens, at: 0, depth: 0 };
    let form = reader.expression(binding::LOOSEST)?;
    (reader.at == tokens.len()).then(|| form.text())
}

/// A part that was read.
enum Form {
    /// In its one form.
    Text(String),
    /// Operands of one chain of `and` or of `or`: how it was nested means nothing.
    Chain(&'static str, Vec<String>),
}

impl Form {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Chain(word, operands) => format!("({})", operands.join(&format!(" {word} "))),
        }
    }

    fn chained(self, word: &'static str, other: Self) -> Self {
        let operands = |form: Self| match form {
            Self::Chain(of, operands) if of == word => operands,
            other => vec![other.text()],
        };
        let mut all = operands(self);
        all.extend(operands(other));
        Self::Chain(word, all)
    }
}

fn negated(negate: bool, form: Form) -> Form {
    if negate { Form::Text(format!("(not {})", form.text())) } else { form }
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&Token> {
        self.at += 1;
        self.tokens.get(self.at - 1)
    }

    fn is_word(&self, ahead: usize, wanted: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some(Token::Word(word)) if word == wanted)
    }

    fn is_symbol(&self, ahead: usize, wanted: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some(Token::Symbol(symbol)) if symbol == wanted)
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let there = self.is_word(0, wanted);
        self.at += usize::from(there);
        there
    }

    fn takes_symbol(&mut self, wanted: &str) -> bool {
        let there = self.is_symbol(0, wanted);
        self.at += usize::from(there);
        there
    }

    /// What stands here, as an operator; of one sign or more.
    fn operator(&self) -> Option<String> {
        match self.peek()? {
            Token::Word(word) => Some(word.clone()),
            Token::Literal(_) => None,
            Token::Symbol(symbol) => {
                let compound = COMPOUND
                    .iter()
                    .find(|signs| signs.iter().enumerate().all(|(ahead, sign)| self.is_symbol(ahead, sign)));
                Some(compound.map_or_else(|| symbol.clone(), |signs| signs.concat()))
            }
        }
    }

    /// Goes past an operator that [`Self::operator`] saw.
    fn pass(&mut self, operator: &str) {
        let signs = matches!(self.peek(), Some(Token::Symbol(_)));
        self.at += if signs { operator.len() } else { 1 };
    }

    fn expression(&mut self, least: u8) -> Option<Form> {
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let mut left = self.operand()?;
        while let Some(operator) = self.operator() {
            let Some(binds) = infix(&operator).filter(|binds| *binds >= least) else { break };
            left = self.joined(left, &operator, binds)?;
        }
        self.depth -= 1;
        Some(left)
    }

    fn text(&mut self, least: u8) -> Option<String> {
        self.expression(least).map(|form| form.text())
    }

    /// An operation whose left side is known.
    fn joined(&mut self, left: Form, operator: &str, binds: u8) -> Option<Form> {
        self.pass(operator);
        match operator {
            "and" | "&&" => return Some(left.chained("and", self.expression(binds + 1)?)),
            "or" => return Some(left.chained("or", self.expression(binds + 1)?)),
            "not" => return self.tested(&left.text(), true),
            "between" | "in" | "like" | "regexp" | "rlike" => {
                self.at -= 1;
                return self.tested(&left.text(), false);
            }
            "is" => return self.is(&left.text()),
            "collate" => {
                let Token::Word(name) = self.next()? else { return None };
                return Some(Form::Text(format!("({} collate {})", left.text(), name.trim_matches('`'))));
            }
            _ => {}
        }
        let (left, right) = (left.text(), self.text(binds + 1)?);
        Some(Form::Text(match (operator, left.as_str(), right.as_str()) {
            ("=", "1", "1") => "true".to_owned(),
            ("=", "1", "0") | ("=", "0", "1") => "false".to_owned(),
            ("!=", ..) => format!("({left} <> {right})"),
            ("mod", ..) => format!("({left} % {right})"),
            _ => format!("({left} {operator} {right})"),
        }))
    }

    /// `between`, `in`, `like`, `regexp`, after the value and an optional `not`.
    fn tested(&mut self, value: &str, negate: bool) -> Option<Form> {
        let Token::Word(word) = self.next()? else { return None };
        let form = match word.as_str() {
            "between" => {
                let low = self.text(binding::BIT_OR)?;
                if !self.takes_word("and") {
                    return None;
                }
                let high = self.text(binding::BIT_OR)?;
                Form::Chain("and", vec![format!("({value} >= {low})"), format!("({value} <= {high})")])
            }
            "in" => {
                let list = self.list()?;
                Form::Text(format!("({value} in ({}))", list.join(", ")))
            }
            "like" => {
                let pattern = self.text(binding::BIT_OR)?;
                let escape = if self.takes_word("escape") { self.text(binding::BIT_OR)? } else { String::new() };
                Form::Text(match escape.as_str() {
                    "" | r"'\\'" => format!("({value} like {pattern})"),
                    _ => format!("({value} like {pattern} escape {escape})"),
                })
            }
            "regexp" | "rlike" => Form::Text(format!("({value} regexp {})", self.text(binding::BIT_OR)?)),
            _ => return None,
        };
        Some(negated(negate, form))
    }

    fn is(&mut self, value: &str) -> Option<Form> {
        let not = if self.takes_word("not") { "not " } else { "" };
        let Token::Word(what) = self.next()? else { return None };
        let known = matches!(what.as_str(), "null" | "true" | "false" | "unknown");
        known.then(|| Form::Text(format!("({value} is {not}{what})")))
    }

    /// What stands before or between operators.
    fn operand(&mut self) -> Option<Form> {
        match self.next()?.clone() {
            Token::Literal(literal) => Some(Form::Text(one_literal(&literal))),
            Token::Word(word) => self.word(word),
            Token::Symbol(symbol) => match symbol.as_str() {
                "(" => self.bracketed(),
                "+" => self.expression(binding::SIGN),
                "-" => {
                    let operand = self.text(binding::SIGN)?;
                    Some(Form::Text(match plain_number(&operand) {
                        Some(_) => number(&format!("-{operand}")),
                        None => format!("(-{operand})"),
                    }))
                }
                "~" => Some(Form::Text(format!("(~{})", self.text(binding::SIGN)?))),
                "!" => Some(negated(true, self.expression(binding::SIGN)?)),
                _ => None,
            },
        }
    }

    /// After an opening bracket: an expression, or a row of several.
    fn bracketed(&mut self) -> Option<Form> {
        let first = self.expression(binding::LOOSEST)?;
        if self.takes_symbol(")") {
            return Some(first);
        }
        let mut row = vec![first.text()];
        while self.takes_symbol(",") {
            row.push(self.text(binding::LOOSEST)?);
        }
        self.takes_symbol(")").then(|| Form::Text(format!("({})", row.join(", "))))
    }

    /// `(a, b, …)`, with its brackets; it may be empty.
    fn list(&mut self) -> Option<Vec<String>> {
        if !self.takes_symbol("(") {
            return None;
        }
        let mut list = Vec::new();
        if self.takes_symbol(")") {
            return Some(list);
        }
        loop {
            list.push(self.text(binding::LOOSEST)?);
            if !self.takes_symbol(",") {
                break;
            }
        }
        self.takes_symbol(")").then_some(list)
    }

    fn word(&mut self, word: String) -> Option<Form> {
        let text = match word.as_str() {
            "not" => return Some(negated(true, self.expression(binding::NOT)?)),
            "case" => self.case()?,
            "binary" => format!("(binary {})", self.text(binding::COLLATE)?),
            "interval" if !self.is_symbol(0, "(") || self.is_measured() => {
                let count = self.text(binding::LOOSEST)?;
                let Token::Word(unit) = self.next()? else { return None };
                format!("interval {count} {unit}")
            }
            "date" | "time" | "timestamp" if matches!(self.peek(), Some(Token::Literal(_))) => {
                let Token::Literal(literal) = self.next()? else { return None };
                format!("{word} {}", one_literal(literal))
            }
            _ if is_number(&word) => self.number(word)?,
            _ if self.is_symbol(0, "(") => self.call(&word)?,
            _ if BARE.contains(&word.as_str()) => format!("{}()", synonym(&word)),
            _ if infix(&word).is_some() => return None,
            _ => self.column(word)?,
        };
        Some(Form::Text(text))
    }

    /// Whether a unit of time follows the bracket that begins here: `interval (1) day`, and no call.
    fn is_measured(&self) -> bool {
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(self.at) {
            if let Token::Symbol(symbol) = token {
                depth += i32::from(symbol == "(") - i32::from(symbol == ")");
            }
            if depth == 0 {
                return matches!(self.tokens.get(at + 1), Some(Token::Word(word)) if infix(word).is_none());
            }
        }
        false
    }

    /// Its exponent's sign stands apart.
    fn number(&mut self, mut word: String) -> Option<String> {
        let hexadecimal = word.starts_with("0x");
        if word.ends_with('e') && !hexadecimal {
            let Token::Symbol(sign) = self.next()?.clone() else { return None };
            let Token::Word(exponent) = self.next()? else { return None };
            word = format!("{word}{sign}{exponent}");
        }
        Some(number(&word))
    }

    /// The last part of a name: the others say which table's it is.
    fn column(&mut self, mut word: String) -> Option<String> {
        loop {
            match self.peek() {
                Some(Token::Word(dot)) if dot == "." => {
                    self.at += 1;
                    let Token::Word(last) = self.next()? else { return None };
                    word = last.clone();
                }
                Some(Token::Word(rest)) if rest.starts_with('.') && !word.ends_with('.') => {
                    word = rest.clone();
                    self.at += 1;
                }
                Some(Token::Word(last)) if word.ends_with('.') => {
                    word = last.clone();
                    self.at += 1;
                }
                _ => break,
            }
        }
        let last = if word.starts_with('`') { word.as_str() } else { word.rsplit('.').next().unwrap_or(&word) };
        (!last.is_empty()).then(|| last.to_owned())
    }

    fn case(&mut self) -> Option<String> {
        let mut text = String::from("case");
        if !self.is_word(0, "when") {
            text.push_str(&format!(" {}", self.text(binding::LOOSEST)?));
        }
        while self.takes_word("when") {
            let condition = self.text(binding::LOOSEST)?;
            if !self.takes_word("then") {
                return None;
            }
            text.push_str(&format!(" when {condition} then {}", self.text(binding::LOOSEST)?));
        }
        if self.takes_word("else") {
            let otherwise = self.text(binding::LOOSEST)?;
            if otherwise != "null" {
                text.push_str(&format!(" else {otherwise}"));
            }
        }
        self.takes_word("end").then(|| format!("({text} end)"))
    }

    fn call(&mut self, name: &str) -> Option<String> {
        let name = name.trim_matches('`');
        match name {
            "cast" => {
                self.at += 1;
                let value = self.text(binding::LOOSEST)?;
                if !self.takes_word("as") {
                    return None;
                }
                return Some(format!("cast({value} as {})", cast_type(&self.rest_of_call()?)));
            }
            "convert" => {
                self.at += 1;
                let value = self.text(binding::LOOSEST)?;
                if self.takes_word("using") {
                    return Some(format!("convert({value} using {})", self.rest_of_call()?));
                }
                let form = self.takes_symbol(",").then(|| self.rest_of_call())??;
                return Some(format!("cast({value} as {})", cast_type(&form)));
            }
            "extract" => {
                self.at += 1;
                let Token::Word(field) = self.next()?.clone() else { return None };
                return self.after("from", |value| format!("extract({field} from {value})"));
            }
            "position" => {
                self.at += 1;
                let part = self.text(binding::BIT_OR)?;
                return self.after("in", |whole| format!("locate({part}, {whole})"));
            }
            "trim" => return self.trim(),
            "substring" | "substr" | "mid" => return self.substring(),
            _ => {}
        }
        let arguments = self.list()?;
        Some(match (name, arguments.as_slice()) {
            ("mod", [left, right]) => format!("({left} % {right})"),
            (name, [precision]) if precision == "0" && synonym(name) == "current_timestamp" => {
                "current_timestamp()".to_owned()
            }
            _ => format!("{}({})", synonym(name), arguments.join(", ")),
        })
    }

    /// A word, an expression and the closing bracket.
    fn after(&mut self, word: &str, print: impl FnOnce(&str) -> String) -> Option<String> {
        if !self.takes_word(word) {
            return None;
        }
        let value = self.text(binding::LOOSEST)?;
        self.takes_symbol(")").then(|| print(&value))
    }

    /// `trim([both | leading | trailing] [what] [from] text)`.
    fn trim(&mut self) -> Option<String> {
        self.at += 1;
        let side = ["both", "leading", "trailing"].into_iter().find(|side| self.takes_word(side));
        let what = if self.is_word(0, "from") { String::new() } else { self.text(binding::LOOSEST)? };
        if side.is_none() && self.takes_symbol(")") {
            return Some(format!("trim({what})"));
        }
        let side = side.unwrap_or("both");
        self.after("from", |text| format!("trim({side} {what} from {text})"))
    }

    /// `substring(text, from, for)` and `substring(text from … for …)`.
    fn substring(&mut self) -> Option<String> {
        self.at += 1;
        let mut parts = vec![self.text(binding::LOOSEST)?];
        while self.takes_symbol(",") || self.takes_word("from") || self.takes_word("for") {
            parts.push(self.text(binding::LOOSEST)?);
        }
        self.takes_symbol(")").then(|| format!("substr({})", parts.join(", ")))
    }

    /// What stands before the bracket that closes the call, in one spelling.
    fn rest_of_call(&mut self) -> Option<String> {
        let from = self.at;
        let mut depth = 1;
        while depth > 0 {
            if let Token::Symbol(symbol) = self.next()? {
                depth += i32::from(symbol == "(") - i32::from(symbol == ")");
            }
        }
        Some(spelled(&self.tokens[from..self.at - 1]))
    }
}

/// How tightly an operator between two operands binds. None: it is no such operator.
fn infix(operator: &str) -> Option<u8> {
    Some(match operator {
        "or" | "||" => binding::OR,
        "xor" => binding::XOR,
        "and" | "&&" => binding::AND,
        "=" | "<=>" | ">=" | ">" | "<=" | "<" | "<>" | "!=" | "is" | "like" | "regexp" | "rlike" | "in" | "between"
        | "not" => binding::COMPARISON,
        "|" => binding::BIT_OR,
        "&" => binding::BIT_AND,
        "<<" | ">>" => binding::SHIFT,
        "+" | "-" => binding::SUM,
        "*" | "/" | "%" | "div" | "mod" => binding::PRODUCT,
        "^" => binding::BIT_XOR,
        "collate" | "->" | "->>" => binding::COLLATE,
        _ => return None,
    })
}

fn is_number(word: &str) -> bool {
    word.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit())
}

/// A literal with one kind of quotes and of escapes; bits and hexadecimal ones in lower case.
fn one_literal(literal: &str) -> String {
    let Some(at) = literal.find(['\'', '"']) else { return literal.to_owned() };
    let (prefix, quoted) = literal.split_at(at);
    let prefix = prefix.to_ascii_lowercase();
    if matches!(prefix.as_str(), "b" | "x") {
        return format!("{prefix}{}", quoted.to_ascii_lowercase());
    }
    let value = unescaped(quoted);
    format!("'{}'", value.replace('\\', r"\\").replace('\'', "''"))
}

/// The value of a text in quotes (MySQL manual, "String Literals").
fn unescaped(quoted: &str) -> String {
    let mut characters = quoted.chars();
    let quote = characters.next().unwrap_or('\'');
    let mut inner: Vec<char> = characters.collect();
    inner.pop();
    let mut value = String::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&c) = inner.get(at) {
        at += 1;
        if c == quote {
            // It is doubled.
            at += 1;
            value.push(c);
        } else if c == '\\' {
            let escaped = inner.get(at).copied().unwrap_or('\\');
            at += 1;
            match escaped {
                '0' => value.push('\0'),
                'b' => value.push('\u{8}'),
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'Z' => value.push('\u{1a}'),
                // Patterns need their backslash.
                '%' | '_' => value.extend(['\\', escaped]),
                other => value.push(other),
            }
        } else {
            value.push(c);
        }
    }
    value
}
