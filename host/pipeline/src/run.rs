//! A run's name, its states, and the names of its actions.

use std::fmt;
use std::str::FromStr;

use millrace_model::Failure;
use millrace_model::schema::TableName;
use serde::{Deserialize, Serialize};

/// A run's name: `20260501-093000-8f3a2c`, the second in UTC in which it was planned and six hexadecimal
/// digits of chance. Unique across daemons, and sorted by time as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// The id of a run planned at this second; of `entropy` the lowest 24 bits count.
    pub fn new(unix_seconds: u64, entropy: u64) -> Self {
        let (day, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
        let (year, month, day) = civil(day);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        Self(format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}-{:06x}", entropy & 0x00ff_ffff))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The second as it stands in the names of shadows and backups: `20260501093000`.
    pub fn stamp(&self) -> String {
        self.0.split('-').take(2).collect()
    }

    /// What stands at the end of names that are one in their whole database, such as those of constraints, and that no
    /// other run of the same second has: `20260501093000_8f3a2c`.
    pub fn tag(&self) -> String {
        let chance = self.0.rsplit('-').next().unwrap_or_default();
        format!("{}_{chance}", self.stamp())
    }
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar. Eras of 400 years are 146,097
/// days long, and a year that begins in March has its leap day at its end.
fn civil(day: u64) -> (u64, u64, u64) {
    let from_march_of_0 = day + 719_468;
    let (era, day) = (from_march_of_0 / 146_097, from_march_of_0 % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = year + 400 * era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for RunId {
    type Error = Failure;

    fn try_from(text: String) -> Result<Self, Failure> {
        let parts: Vec<&str> = text.split('-').collect();
        let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        let chance = |part: &str| part.len() == 6 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match parts.as_slice() {
            [date, time, entropy] if digits(date, 8) && digits(time, 6) && chance(entropy) => Ok(Self(text)),
            _ => Err(Failure::config(
                "run.bad-id",
                format!("{text:?} is not a run's id, which looks like 20260501-093000-8f3a2c"),
            )),
        }
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It has a plan and has done nothing.
    Planned,
    /// Somebody carries it out; in a journal whose process is dead, somebody did.
    Running,
    /// It goes on when somebody approves.
    WaitingApproval,
    /// It was stopped, or its process died; it can be resumed.
    Interrupted,
    /// An action failed; it can be resumed when the cause is gone, or rolled back.
    Failed,
    /// Everything was done. The way back is open until the backups are cleaned up.
    Done,
    /// Its actions are being undone.
    RollingBack,
    /// The old tables have their names again.
    RolledBack,
    /// Somebody gave it up before names were swapped; what it made is left to the cleaner.
    Cancelled,
}

impl RunState {
    /// Whether nothing more happens by itself: done, rolled back or cancelled.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::RolledBack | Self::Cancelled)
    }

    /// The state's name, as it is serialised.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::WaitingApproval => "waiting-approval",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Done => "done",
            Self::RollingBack => "rolling-back",
            Self::RolledBack => "rolled-back",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a step that a journal follows: a verb and, after a colon, what it is done to, such as
/// `copy:orders` or `switch:swap`. Any verb may be used; the constructors name those that the rules know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Action(String);

impl Action {
    /// An action by its whole name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    fn on_table(verb: &str, table: &TableName) -> Self {
        Self(format!("{verb}:{table}"))
    }

    /// Makes the shadow of a table.
    pub fn create_shadow(table: &TableName) -> Self {
        Self::on_table("create-shadow", table)
    }

    /// Tries what the plan says on empty tables, before any row is copied.
    pub fn try_out() -> Self {
        Self("try".into())
    }

    /// Copies a table's rows into its shadow.
    pub fn copy(table: &TableName) -> Self {
        Self::on_table("copy", table)
    }

    /// Gives a shadow its indexes and foreign keys.
    pub fn complete(table: &TableName) -> Self {
        Self::on_table("complete", table)
    }

    /// Proves that a table's rows arrived. It changes nothing, and may be done again after it succeeded.
    pub fn validate(table: &TableName) -> Self {
        Self::on_table("validate", table)
    }

    /// A step of the switcher, by the id that the switcher gave it.
    pub fn switch(step: &str) -> Self {
        Self(format!("switch:{step}"))
    }

    /// Calls what the pipeline runs `before` names are swapped, or `after`.
    pub fn hook(which: &str) -> Self {
        Self(format!("hook:{which}"))
    }

    /// Asks whether the applications live with the new tables.
    pub fn health() -> Self {
        Self("health".into())
    }

    /// Gives a shadow its foreign keys to tables that stay as they are.
    pub fn bind(table: &TableName) -> Self {
        Self::on_table("bind", table)
    }

    /// Says in the comments of the backups that they are some.
    pub fn mark() -> Self {
        Self("mark".into())
    }

    /// Lifts a fence that a switch, or an attempt at one, has left.
    pub fn lift() -> Self {
        Self("lift".into())
    }

    /// Notes that all steps of a switch are done: names are swapped, and nobody is kept off.
    pub fn switched() -> Self {
        Self("switched".into())
    }

    /// Lets the foreign keys of tables that were kept point at those that were swapped in.
    pub fn repoint() -> Self {
        Self("repoint".into())
    }

    /// Lets a table that was kept give the numbers that its source gives next.
    pub fn number(table: &TableName) -> Self {
        Self::on_table("number", table)
    }

    /// Makes a view on the new tables.
    pub fn view(view: &TableName) -> Self {
        Self::on_table("view", view)
    }

    /// Removes a table that a run left. There is no undo.
    pub fn clean(table: &TableName) -> Self {
        Self::on_table("clean", table)
    }

    /// What stands before the colon.
    pub fn verb(&self) -> &str {
        self.0.split_once(':').map_or(self.0.as_str(), |(verb, _)| verb)
    }

    /// What stands after the colon. None: the action has no subject, such as `repoint`.
    pub fn subject(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, subject)| subject)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether applications see it: then the order of undoing is the reverse of the order of doing, and a run
    /// with such an action in effect can be finished or rolled back, but not given up.
    pub fn is_visible(&self) -> bool {
        matches!(self.verb(), "switch" | "repoint" | "view")
    }

    /// Whether it may be done again after it succeeded, because the second time does no harm. The steps of a switch
    /// look before they act; a fence that was raised in an attempt that failed is raised again in the next one.
    pub fn is_repeatable(&self) -> bool {
        matches!(self.verb(), "validate" | "clean" | "bind" | "switch" | "switched" | "mark" | "health" | "number")
            || self.is_passing()
    }

    /// Whether it belongs to going forward as to going back, and leaves nothing to undo.
    pub fn is_passing(&self) -> bool {
        matches!(self.verb(), "hook" | "lift")
    }

    /// Whether it removes what runs have left: allowed when the run is over, never undone.
    pub fn is_cleaning(&self) -> bool {
        self.verb() == "clean"
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_tells_the_second_in_utc() {
        assert_eq!(RunId::new(0, 0).as_str(), "19700101-000000-000000");
        assert_eq!(RunId::new(951_782_400, 0xff8f_3a2c).as_str(), "20000229-000000-8f3a2c");
        assert_eq!(RunId::new(1_777_627_800, 1).as_str(), "20260501-093000-000001");
        assert_eq!(RunId::new(4_107_542_399, 1).as_str(), "21000228-235959-000001");
        assert_eq!(RunId::new(4_107_542_400, 1).stamp(), "21000301000000");
        assert_eq!(RunId::new(4_107_542_400, 1).tag(), "21000301000000_000001");
    }

    #[test]
    fn a_run_id_is_read_back_and_nothing_else_is() {
        let id = RunId::new(1_777_627_800, 0x008f_3a2c);
        assert_eq!(id.as_str().parse::<RunId>().expect("it was made so"), id);
        for wrong in ["", "last", "20260501-093000", "20260501-093000-8F3A2C", "2026051-0093000-8f3a2c", "../../../etc"]
        {
            assert_eq!(wrong.parse::<RunId>().expect_err(wrong).code, "run.bad-id");
        }
    }

    #[test]
    fn a_state_is_serialised_by_its_name() {
        for state in [RunState::Planned, RunState::WaitingApproval, RunState::RollingBack, RunState::Done] {
            assert_eq!(serde_json::to_value(state).expect("plain data"), state.name());
        }
    }
}
