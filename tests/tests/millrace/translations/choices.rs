//! What the converter is told to make of types, table by table.

use millrace_tests::Chance;

/// Choices other than the converter's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choices {
    pub(super) uuid_as_bytes: bool,
    pub(super) enum_as_text: bool,
    pub(super) bits_as_text: bool,
    pub(super) json_as_text: bool,
    pub(super) array_as_text: bool,
    /// Points in time are kept in TIMESTAMP, which each session shows in its own time zone.
    pub(super) timestamp: bool,
    pub(super) interval_as_microseconds: bool,
    pub(super) long_texts: bool,
}

impl Choices {
    pub(super) fn draw(chance: &mut Chance) -> Self {
        Self {
            uuid_as_bytes: chance.once_in(2),
            enum_as_text: chance.once_in(2),
            bits_as_text: chance.once_in(2),
            json_as_text: chance.once_in(2),
            array_as_text: chance.once_in(2),
            timestamp: chance.once_in(2),
            interval_as_microseconds: chance.once_in(2),
            long_texts: chance.once_in(2),
        }
    }

    /// The converter's configuration for all columns of a table, as TOML. Empty: its own choices.
    pub(super) fn toml(self, table: &str) -> String {
        let all = [
            (self.uuid_as_bytes, "uuid = \"binary\""),
            (self.enum_as_text, "enum = \"text\""),
            (self.bits_as_text, "bit = \"text\""),
            (self.json_as_text, "json = \"text\""),
            (self.array_as_text, "array = \"text\""),
            (self.timestamp, "timestamptz = \"timestamp\""),
            (self.interval_as_microseconds, "interval = \"microseconds\""),
            (self.long_texts, "text = \"longtext\""),
        ];
        let chosen: Vec<&str> = all.iter().filter(|(chosen, _)| *chosen).map(|(_, words)| *words).collect();
        match chosen.is_empty() {
            true => String::new(),
            false => format!("\"public.{table}.*\" = {{ {} }}\n", chosen.join(", ")),
        }
    }
}
