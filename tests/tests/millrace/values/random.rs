//! Chance that can be repeated: everything is drawn from one seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// The seed that is used when a failure is to be met again: a number.
const SEED: &str = "MILLRACE_VALUES_SEED";

/// A stream of numbers from a seed (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// `MILLRACE_VALUES_SEED`, or the clock.
    pub(crate) fn chosen_seed() -> u64 {
        let chosen = std::env::var(SEED).ok().map(|text| text.parse().expect("a seed is a number"));
        chosen.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
            u64::from(now.subsec_nanos()) << 20 | now.as_secs() & 0xf_ffff
        })
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to one less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Both ends included.
    pub(crate) fn between(&mut self, first: i64, last: i64) -> i64 {
        let width = i128::from(last) - i128::from(first) + 1;
        i64::try_from(i128::from(first) + i128::from(self.next()) % width).expect("between two numbers of 64 bits")
    }

    /// Often small, sometimes anything.
    pub(crate) fn integer(&mut self, first: i64, last: i64) -> i64 {
        match self.below(4) {
            0 => self.between(first.max(-10), last.min(10)),
            1 => first,
            2 => last,
            _ => self.between(first, last),
        }
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).expect("small")]
    }

    pub(crate) fn digits(&mut self, at_most: u64) -> String {
        let count = 1 + self.below(at_most);
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).expect("a digit"))).collect()
    }

    /// A decimal without exponent.
    pub(crate) fn decimal(&mut self, before: u64, after: u64) -> String {
        let sign = if self.below(2) == 0 { "" } else { "-" };
        let whole = self.digits(before);
        if after == 0 || self.below(4) == 0 {
            return format!("{sign}{whole}");
        }
        format!("{sign}{whole}.{}", self.digits(after))
    }

    /// Characters that are known to make trouble.
    pub(crate) fn text(&mut self, at_most: u64) -> String {
        const PIECES: &[&str] = &[
            "a",
            "A",
            "z",
            "0",
            "á",
            "a\u{301}",
            "ß",
            "Ω",
            "ﬁ",
            "☃",
            "😀",
            "𝄞",
            "\u{10ffff}",
            " ",
            "  ",
            "\t",
            "\n",
            "\r",
            "'",
            "''",
            "\"",
            "\\",
            "\\'",
            "%",
            "_",
            ",",
            ";",
            "--",
            "/*",
            "\u{1}",
            "\u{1a}",
            "\u{7f}",
            "\u{feff}",
            "\u{200d}",
            "NULL",
            "\\N",
            "x'00'",
            "{",
            "}",
            "[",
            "]",
            "null",
        ];
        let mut text = String::new();
        for _ in 0..self.below(at_most + 1) {
            let piece = self.pick(PIECES);
            if u64::try_from(text.chars().count() + piece.chars().count()).expect("short") <= at_most {
                text.push_str(piece);
            }
        }
        text
    }

    /// A double by its bits.
    pub(crate) fn double(&mut self) -> f64 {
        match self.below(4) {
            0 => f64::from(i32::try_from(self.between(-1000, 1000)).expect("small")) / 8.0,
            1 => self.between(-1_000_000_000, 1_000_000_000) as f64 / 1000.0,
            _ => loop {
                let double = f64::from_bits(self.next());
                if double.is_finite() {
                    break double;
                }
            },
        }
    }

    /// A single by its bits.
    pub(crate) fn single(&mut self) -> f32 {
        loop {
            let single = f32::from_bits(u32::try_from(self.next() >> 32).expect("32 bits"));
            if single.is_finite() {
                return single;
            }
        }
    }

    pub(crate) fn hex(&mut self, bytes_at_most: u64) -> String {
        (0..self.below(bytes_at_most + 1)).map(|_| format!("{:02x}", self.below(256))).collect()
    }
}
