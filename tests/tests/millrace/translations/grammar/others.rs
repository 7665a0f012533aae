//! Points in time, and types that are mostly compared.

use super::{Expression, Family, Grammar};

const D: Family = Family::Date;
const S: Family = Family::Timestamp;
const Z: Family = Family::TimestampTz;
const V: Family = Family::Interval;
const I: Family = Family::Integer;
const T: Family = Family::Text;

impl Grammar<'_> {
    /// A date.
    pub(super) fn date(&mut self, depth: u32) -> Expression {
        match self.chance.below(3) {
            0 => self.general(D, depth),
            _ => self.one_of(
                D,
                depth,
                &[
                    ("({} + 1)", &[D]),
                    ("({} - 30)", &[D]),
                    ("({} + {} % 100)", &[D, I]),
                    ("({})::date", &[S]),
                    ("({} AT TIME ZONE 'UTC')::date", &[Z]),
                    ("make_date(2020, 2, 1 + abs({} % 28))", &[I]),
                    ("date_trunc('month', {})::date", &[S]),
                    ("({} + interval '1 month')::date", &[D]),
                    ("({})::date", &[T]),
                ],
            ),
        }
    }

    /// A timestamp without time zone.
    pub(super) fn timestamp(&mut self, depth: u32) -> Expression {
        match self.chance.below(3) {
            0 => self.general(S, depth),
            _ => self.one_of(
                S,
                depth,
                &[
                    ("date_trunc('day', {})", &[S]),
                    ("date_trunc('month', {})", &[S]),
                    ("date_trunc('hour', {})", &[S]),
                    ("date_trunc('second', {})", &[S]),
                    ("date_trunc('week', {})", &[S]),
                    ("({} AT TIME ZONE 'UTC')", &[Z]),
                    ("({})::timestamp", &[D]),
                    ("({} + interval '1 day')", &[S]),
                    ("({} - interval '90 minutes')", &[S]),
                    ("({} + interval '1 month')", &[S]),
                    ("({} + {})", &[S, V]),
                    ("({} + {})", &[D, Family::Time]),
                    ("({})::timestamp(0)", &[S]),
                    ("({})::timestamp(3)", &[S]),
                ],
            ),
        }
    }

    /// A timestamp with time zone.
    pub(super) fn timestamp_tz(&mut self, depth: u32) -> Expression {
        match self.chance.below(3) {
            0 => self.general(Z, depth),
            _ => self.one_of(
                Z,
                depth,
                &[
                    ("({} AT TIME ZONE 'UTC')", &[S]),
                    ("({} AT TIME ZONE 'Europe/Berlin')", &[S]),
                    ("({} + interval '1 hour')", &[Z]),
                    ("date_trunc('day', {}, 'UTC')", &[Z]),
                    ("({})::timestamptz(0)", &[Z]),
                ],
            ),
        }
    }

    /// A time of day.
    pub(super) fn time(&mut self, depth: u32) -> Expression {
        match self.chance.below(2) {
            0 => self.general(Family::Time, depth),
            _ => self.one_of(
                Family::Time,
                depth,
                &[
                    ("({})::time", &[S]),
                    ("({} + interval '1 hour')", &[Family::Time]),
                    ("({})::time(0)", &[Family::Time]),
                ],
            ),
        }
    }

    /// A span of time.
    pub(super) fn interval(&mut self, depth: u32) -> Expression {
        self.one_of(
            V,
            depth,
            &[("({} - {})", &[S, S]), ("({} * 2)", &[V]), ("({} + {})", &[V, V]), ("justify_days({})", &[V])],
        )
    }

    /// Of families that have few operations of their own.
    pub(super) fn other(&mut self, family: Family, depth: u32) -> Expression {
        let own: &[(&str, &[Family])] = match family {
            Family::Enum => &[("({})::mood", &[T])],
            Family::Uuid => &[("({})::uuid", &[T])],
            Family::Bytes => &[("({} || {})", &[Family::Bytes, Family::Bytes]), ("substr({}, 1, 2)", &[Family::Bytes])],
            Family::Json => &[("({} -> 'a')", &[Family::Json]), ("({})::jsonb", &[T]), ("to_jsonb({})", &[I])],
            Family::Bits => &[("({} & {})", &[Family::Bits, Family::Bits]), ("(~ {})", &[Family::Bits])],
            _ => &[("({})::inet", &[T])],
        };
        match self.chance.once_in(3) {
            true => self.one_of(family, depth, own),
            false => self.general(family, depth),
        }
    }
}
