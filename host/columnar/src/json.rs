//! JSON in one pass: checked, and rewritten so that equal documents have equal bytes.
//!
//! Canonical: no white space; members sorted by their names' bytes, of equal names the last one; numbers as
//! [`crate::decimal`] spells them, so that `1.0`, `1` and `1e0` are one; strings with the shortest escapes only.

use crate::decimal;

/// Arrays and objects within each other, at most.
pub const DEPTH_AT_MOST: u32 = 512;

/// Why a text is not JSON, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Another character was due.
    #[error("unexpected character at byte {0}")]
    Unexpected(usize),
    /// The text ends too early.
    #[error("the text ends within a value")]
    End,
    /// Text after the value.
    #[error("text after the value at byte {0}")]
    Trailing(usize),
    /// Not UTF-8.
    #[error("not UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// Arrays and objects within each other deeper than [`DEPTH_AT_MOST`].
    #[error("nested deeper than 512 at byte {0}")]
    TooDeep(usize),
    /// A number whose exponent has more than fifteen digits.
    #[error("a number out of all range at byte {0}")]
    Number(usize),
}

/// Appends the canonical form.
///
/// # Errors
/// When the text is not JSON; then nothing is appended.
pub fn canonical(text: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    visit_numbers(text, out, &mut |_| {})
}

/// As [`canonical`], calling `visit` with every number as it is spelled in the text: for whoever must know whether
/// the target's numbers can hold them.
///
/// # Errors
/// When the text is not JSON; then nothing is appended.
pub fn visit_numbers(text: &[u8], out: &mut Vec<u8>, visit: &mut dyn FnMut(&[u8])) -> Result<(), JsonError> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(JsonError::NotUtf8(error.valid_up_to()));
    }
    let start = out.len();
    let mut parser = Parser { text, at: 0, depth: 0, out, members: Vec::new(), visit };
    let parsed = parser.document();
    if parsed.is_err() {
        out.truncate(start);
    }
    parsed
}

/// Where one member of an object lies in the output.
#[derive(Clone, Copy)]
struct Member {
    start: usize,
    name_end: usize,
    end: usize,
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    out: &'a mut Vec<u8>,
    /// Of all objects that are open.
    members: Vec<Member>,
    visit: &'a mut dyn FnMut(&[u8]),
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), JsonError> {
        self.value()?;
        self.skip_blanks();
        if self.at == self.text.len() { Ok(()) } else { Err(JsonError::Trailing(self.at)) }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn wrong(&self) -> JsonError {
        if self.at >= self.text.len() { JsonError::End } else { JsonError::Unexpected(self.at) }
    }

    /// Skips blanks and takes the byte if it is this one.
    fn took(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<(), JsonError> {
        self.skip_blanks();
        match self.text.get(self.at) {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.wrong()),
        }
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<(), JsonError>) -> Result<(), JsonError> {
        if self.depth == DEPTH_AT_MOST {
            return Err(JsonError::TooDeep(self.at));
        }
        self.depth += 1;
        self.at += 1;
        parse(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.wrong());
        }
        self.at += word.len();
        self.out.extend_from_slice(word);
        Ok(())
    }

    fn array(&mut self) -> Result<(), JsonError> {
        self.out.push(b'[');
        if !self.took(b']') {
            loop {
                self.value()?;
                if self.took(b']') {
                    break;
                }
                if !self.took(b',') {
                    return Err(self.wrong());
                }
                self.out.push(b',');
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self) -> Result<(), JsonError> {
        self.out.push(b'{');
        let (first, body) = (self.members.len(), self.out.len());
        let mut ordered = true;
        if !self.took(b'}') {
            loop {
                let member = self.member()?;
                ordered &= self.members[first..].last().is_none_or(|previous| {
                    self.out[previous.start..previous.name_end] < self.out[member.start..member.name_end]
                });
                self.members.push(member);
                if self.took(b'}') {
                    break;
                }
                if !self.took(b',') {
                    return Err(self.wrong());
                }
                self.out.push(b',');
            }
        }
        if !ordered {
            self.sort_members(first, body);
        }
        self.members.truncate(first);
        self.out.push(b'}');
        Ok(())
    }

    fn member(&mut self) -> Result<Member, JsonError> {
        self.skip_blanks();
        if self.text.get(self.at) != Some(&b'"') {
            return Err(self.wrong());
        }
        let start = self.out.len();
        self.string()?;
        // Without its quotes, so that a name sorts before the longer ones that begin with it.
        let name_end = self.out.len() - 1;
        if !self.took(b':') {
            return Err(self.wrong());
        }
        self.out.push(b':');
        self.value()?;
        Ok(Member { start, name_end, end: self.out.len() })
    }

    /// Rewrites the members from `first`, whose bytes begin at `body`, in order and without repeated names.
    fn sort_members(&mut self, first: usize, body: usize) {
        let written = self.out.split_off(body);
        let name = |member: &Member| &written[member.start - body..member.name_end - body];
        // Stable: of equal names the last one stays last.
        self.members[first..].sort_by(|one, other| name(one).cmp(name(other)));
        let mut members = self.members[first..].iter().peekable();
        while let Some(member) = members.next() {
            if members.peek().is_some_and(|next| name(next) == name(member)) {
                continue;
            }
            if self.out.len() > body {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&written[member.start - body..member.end - body]);
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong()) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'-' | b'+')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let spelled = &self.text[start..self.at];
        if !decimal::normalise(spelled, self.out) {
            return Err(JsonError::Number(start));
        }
        (self.visit)(spelled);
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        self.out.push(b'"');
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).ok_or(JsonError::End)?;
            self.out.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match rest[plain] {
                b'"' => {
                    self.at += 1;
                    self.out.push(b'"');
                    return Ok(());
                }
                b'\\' => self.escape()?,
                _ => return Err(self.wrong()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        let character = match self.text.get(self.at) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => 10,
            Some(b'r') => 13,
            Some(b't') => 9,
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.wrong()),
        };
        self.at += 1;
        self.write_character(char::from(character));
        Ok(())
    }

    /// The four digits at this place.
    fn code_unit(&mut self) -> Result<u32, JsonError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.text.get(self.at).and_then(|&b| char::from(b).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.wrong())?;
            self.at += 1;
        }
        Ok(unit)
    }

    /// A character, a pair of surrogates, or a surrogate alone, which stays an escape: nothing else can spell it.
    fn unicode_escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        let unit = self.code_unit()?;
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
            let after_high = self.at;
            self.at += 2;
            let low = self.code_unit()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                self.write_character(char::from_u32(code).expect("a pair of surrogates is a character"));
                return Ok(());
            }
            self.at = after_high;
        }
        match char::from_u32(unit) {
            Some(character) => self.write_character(character),
            None => self.out.extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
        }
        Ok(())
    }

    fn write_character(&mut self, character: char) {
        match character {
            '"' => self.out.extend_from_slice(b"\\\""),
            '\\' => self.out.extend_from_slice(b"\\\\"),
            '\n' => self.out.extend_from_slice(b"\\n"),
            '\r' => self.out.extend_from_slice(b"\\r"),
            '\t' => self.out.extend_from_slice(b"\\t"),
            '\u{8}' => self.out.extend_from_slice(b"\\b"),
            '\u{c}' => self.out.extend_from_slice(b"\\f"),
            control if control < ' ' => {
                self.out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
            }
            other => self.out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> Result<String, JsonError> {
        let mut out = Vec::new();
        canonical(text.as_bytes(), &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn equal_documents_have_equal_bytes() {
        for (text, expected) in [
            (r#" { "b" : 1 , "a" : [ 1.0, 1e0, -0 ] } "#, r#"{"a":[1,1,0],"b":1}"#),
            (r#"{"a":1,"a":2,"b":0,"a":3}"#, r#"{"a":3,"b":0}"#),
            (r#"{"ab":1,"a":{"z":1,"y":2}}"#, r#"{"a":{"y":2,"z":1},"ab":1}"#),
            (r#""\u0041\/\u00e9\ud83d\ude00\n\u0001""#, "\"A/é😀\\n\\u0001\""),
            (r#""\ud800x""#, r#""\ud800x""#),
            (r#""\ud800\u0041""#, r#""\ud800A""#),
            ("[]", "[]"),
            ("{}", "{}"),
            (" null ", "null"),
            ("1E+2", "100"),
        ] {
            assert_eq!(spelled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "tru",
            "\"a",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "1 2",
            "{1:2}",
            "[1 2]",
            "'a'",
            "NaN",
            "1e",
            "nulll",
        ] {
            assert!(spelled(text).is_err(), "{text}");
        }
        assert_eq!(canonical(b"\"\xff\"", &mut Vec::new()), Err(JsonError::NotUtf8(1)));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(spelled(&nested(512)).is_ok());
        assert_eq!(spelled(&nested(513)), Err(JsonError::TooDeep(512)));
        assert_eq!(spelled(&"[".repeat(1_000_000)), Err(JsonError::TooDeep(512)));
    }

    #[test]
    fn a_failure_leaves_the_buffer_as_it_was() {
        let mut out = b"kept".to_vec();
        assert!(canonical(b"[1, 2, x]", &mut out).is_err());
        assert_eq!(out, b"kept");
    }

    #[test]
    fn numbers_are_visited_as_spelled() {
        let mut seen = Vec::new();
        let text = br#"{"a":[1.50,9007199254740993],"b":"2"}"#;
        visit_numbers(text, &mut Vec::new(), &mut |n| {
            seen.push(String::from_utf8_lossy(n).into_owned());
        })
        .unwrap();
        assert_eq!(seen, ["1.50", "9007199254740993"]);
    }

    proptest::proptest! {
        #[test]
        fn the_canonical_form_is_its_own(text in "[\\[\\]{},:\"0-9a-c.e \\\\nu-]{0,24}") {
            if let Ok(once) = spelled(&text) {
                proptest::prop_assert_eq!(spelled(&once), Ok(once.clone()));
            }
        }

        #[test]
        fn any_text_survives_as_a_string(text: String) {
            let quoted: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            let escaped = spelled(&format!("\"{quoted}\"")).unwrap();
            proptest::prop_assert_eq!(spelled(&escaped), Ok(escaped.clone()));
        }
    }
}
