//! What runs have left at the target, and what of it may go.
//!
//! A table is a leftover when nobody will use it again: what its run is, or will be once it is given up, decides. A run
//! that works, waits for somebody, or belongs to another state folder that says nothing of its end keeps what it made,
//! and whoever cleans is told why.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use millrace_database::mysql::{Bookkeeping, MadeTable, TableRole, is_trial, rehearsal_tables};
use millrace_model::Failure;
use millrace_model::switching::{Artefact, ArtefactKind};
use millrace_pipeline::{RunId, RunState};

use crate::clock;
use crate::service;
use crate::store::Store;
use crate::wording;

/// How much of what runs have left is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What the pipeline's cleaner takes for due.
    Due,
    /// Also, at once, the new tables of runs that are over, and those of runs that failed or whose process is gone:
    /// these are given up.
    Leftovers,
}

/// What becomes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The cleaner decides.
    Offered(Artefact),
    /// It goes.
    Goes {
        /// For people.
        why: String,
        /// Whether its run is given up for it: it could go on until then.
        gives_up: bool,
    },
    /// It stays.
    Stays(String),
}

/// Where the run stands that made a table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// A process of this machine carries it out.
    CarriedOut,
    /// It is in this state folder, and nobody carries it out.
    Own {
        state: String,
        /// Whether it may be given up: nothing of it is live.
        can_give_up: bool,
    },
    /// Another state folder has it, or none any more; what the target says of it. None: nothing.
    Foreign { state: Option<String>, is_claimed: bool },
}

/// What is asked, and what is known of the runs.
pub(super) struct Look<'a> {
    scope: Scope,
    /// Runs that somebody says nobody will ever continue.
    given_up: &'a [String],
    runs: BTreeMap<String, Standing>,
}

impl<'a> Look<'a> {
    /// Looks where the runs stand that made these tables.
    pub(super) async fn at(
        store: &Store,
        books: &Bookkeeping,
        made: &[&MadeTable],
        scope: Scope,
        given_up: &'a [String],
    ) -> Result<Self, Failure> {
        let (known, claims) = (books.runs().await?, books.claims().await?);
        let mut runs = BTreeMap::new();
        for made in made {
            if runs.contains_key(&made.run) {
                continue;
            }
            let standing = match store.state_of(&made.run).await? {
                Some(_) if store.is_owned(&made.run) => Standing::CarriedOut,
                Some(state) => {
                    let can_give_up = service::check_can_give_up(store, &made.run).await.is_ok();
                    Standing::Own { state, can_give_up }
                }
                None => Standing::Foreign {
                    state: known.iter().find(|row| row.run == made.run).map(|row| row.state.clone()),
                    is_claimed: claims.iter().any(|claim| claim.run == made.run && claim.is_held),
                },
            };
            runs.insert(made.run.clone(), standing);
        }
        Ok(Self { scope, given_up, runs })
    }

    /// What becomes of a table. None: it is none of what runs leave, whatever the books say.
    pub(super) fn fate(&self, made: &MadeTable) -> Option<Fate> {
        let trial = is_trial(&made.run, &made.table);
        // This is what applications use.
        if made.table == made.live && !trial && !rehearsal_tables(&made.run).contains(&made.table) {
            return None;
        }
        // A new table carries the second of its run in its name; what does not is not what a run made.
        let stamp = made.run.parse::<RunId>().map(|run| run.stamp());
        if matches!(made.role, TableRole::Shadow | TableRole::Discarded)
            && !trial
            && !stamp.is_ok_and(|stamp| made.table.name.ends_with(&format!("_tmp_{stamp}")))
        {
            return None;
        }
        if made.role == TableRole::Restoring {
            let why = "a restore fills it, or was broken off: `millrace restore` with the same archive begins it anew";
            return Some(Fate::Stays(why.to_owned()));
        }
        let run = &made.run;
        Some(match self.runs.get(run)? {
            Standing::CarriedOut | Standing::Foreign { is_claimed: true, .. } => {
                Fate::Stays(format!("run {run} is being carried out"))
            }
            Standing::Own { state, can_give_up } => self.of_own(made, state, *can_give_up),
            Standing::Foreign { state, .. } => self.of_foreign(made, state.as_deref()),
        })
    }

    /// Of a run of this state folder that nobody carries out.
    fn of_own(&self, made: &MadeTable, state: &str, can_give_up: bool) -> Fate {
        let (run, named) = (&made.run, self.given_up.contains(&made.run));
        let is = |wanted: RunState| state == wanted.name();
        if is(RunState::Done) {
            return self.of_ended(made, "is done");
        }
        if made.role == TableRole::Backup || is(RunState::RollingBack) {
            return Fate::Stays(format!(
                "run {run} is not at its end: `millrace resume {run}` or `millrace rollback {run}`"
            ));
        }
        if is(RunState::RolledBack) {
            return self.of_ended(made, "was rolled back");
        }
        if is(RunState::Cancelled) {
            return self.of_ended(made, "was given up");
        }
        if !can_give_up {
            return Fate::Stays(format!(
                "run {run} has begun to swap names: `millrace resume {run}` or `millrace rollback {run}`"
            ));
        }
        if is(RunState::WaitingApproval) && !named {
            return Fate::Stays(format!(
                "run {run} waits for approval: `millrace approve {run}` or `millrace cancel {run}`"
            ));
        }
        if made.role == TableRole::Shadow && (self.scope == Scope::Leftovers || named) {
            let ended = if is(RunState::Failed) { "failed" } else { "did not come to its end" };
            return Fate::Goes {
                why: format!("new table of run {run}, which {ended} and is given up"),
                gives_up: true,
            };
        }
        Fate::Stays(format!("run {run} can be continued: `millrace resume {run}` or `millrace cancel {run}`"))
    }

    /// Of a run that this state folder does not know: it may be at work, or wait for approval, wherever its own is. What
    /// the target's books do not call over is left alone, unless somebody names the run.
    fn of_foreign(&self, made: &MadeTable, state: Option<&str>) -> Fate {
        let run = &made.run;
        let is = |wanted: RunState| state == Some(wanted.name());
        let told = state.map_or_else(|| "in a state that the target does not know".to_owned(), wording::state);
        if is(RunState::Done) {
            return self.of_ended(made, "is done");
        }
        if made.role == TableRole::Backup {
            return Fate::Stays(format!("run {run} of another state folder is not at its end: it is {told}"));
        }
        if is(RunState::RolledBack) {
            return self.of_ended(made, "was rolled back");
        }
        if is(RunState::Cancelled) {
            return self.of_ended(made, "was given up");
        }
        match (self.given_up.contains(run), made.role) {
            (true, TableRole::Shadow) => Fate::Goes {
                why: format!("new table of run {run} of another state folder, which is given up"),
                gives_up: false,
            },
            (true, _) => offered(made),
            (false, _) => Fate::Stays(format!(
                "run {run} of another state folder is {told}; where nobody will ever continue it, say --give-up {run}"
            )),
        }
    }

    /// Of a run that nobody continues any more.
    fn of_ended(&self, made: &MadeTable, ended: &str) -> Fate {
        // Rows that applications wrote are in a discarded one and nowhere else: it stays as long as a backup does.
        if made.role == TableRole::Shadow && self.scope == Scope::Leftovers {
            return Fate::Goes { why: format!("new table of run {}, which {ended}", made.run), gives_up: false };
        }
        offered(made)
    }
}

/// Whether a table of a run that this state folder does not know may go, as the target says now.
pub(super) async fn may_go(books: &Bookkeeping, made: &MadeTable, given_up: &[String]) -> Result<bool, Failure> {
    let state = books.runs().await?.into_iter().find(|row| row.run == made.run).map(|row| row.state);
    let look = Look { scope: Scope::Leftovers, given_up, runs: BTreeMap::new() };
    Ok(!matches!(look.of_foreign(made, state.as_deref()), Fate::Stays(_)))
}

fn offered(made: &MadeTable) -> Fate {
    let kind = match made.role {
        TableRole::Backup | TableRole::Discarded | TableRole::Restoring => ArtefactKind::Backup,
        TableRole::Shadow => ArtefactKind::Shadow,
    };
    let age_seconds = age(&made.made_at);
    Fate::Offered(Artefact { kind, table: made.table.clone(), run: made.run.clone(), age_seconds })
}

/// Seconds since a time of the target's clock in UTC, `2026-05-01 09:30:00.000000`. A time that cannot be read, or
/// that lies ahead, is taken as now: nothing is removed too early.
fn age(made_at: &str) -> u64 {
    let made = made_at.parse::<DateTime>().ok().and_then(|t| t.to_zoned(TimeZone::UTC).ok());
    let made = made.map(|t| t.timestamp().as_second()).and_then(|s| u64::try_from(s).ok());
    made.map_or(0, |made| clock::now_seconds().saturating_sub(made))
}

#[cfg(test)]
mod tests {
    use millrace_model::TableName;

    use super::*;

    const RUN: &str = "20260501-093000-8f3a2c";

    fn made(role: TableRole) -> MadeTable {
        let name = match role {
            TableRole::Backup => "item_bak_20260501093000",
            TableRole::Shadow | TableRole::Discarded => "item_tmp_20260501093000",
            TableRole::Restoring => "item_restoring",
        };
        MadeTable {
            table: TableName::bare(name),
            run: RUN.to_owned(),
            pipeline: "shop".to_owned(),
            role,
            live: TableName::bare("item"),
            made_at: "2026-05-01 09:30:00.000000".to_owned(),
        }
    }

    fn fate(standing: Standing, role: TableRole, scope: Scope, given_up: &[String]) -> &'static str {
        let look = Look { scope, given_up, runs: BTreeMap::from([(RUN.to_owned(), standing)]) };
        match look.fate(&made(role)) {
            None => "hidden",
            Some(Fate::Offered(_)) => "offered",
            Some(Fate::Goes { gives_up: true, .. }) => "given up",
            Some(Fate::Goes { .. }) => "goes",
            Some(Fate::Stays(_)) => "stays",
        }
    }

    const STATES: [RunState; 9] = [
        RunState::Planned,
        RunState::Running,
        RunState::WaitingApproval,
        RunState::Interrupted,
        RunState::Failed,
        RunState::RollingBack,
        RunState::Done,
        RunState::RolledBack,
        RunState::Cancelled,
    ];

    #[test]
    fn what_a_run_of_this_state_folder_left_goes_when_nobody_can_want_it() {
        let all = |role, scope, given_up: &[String], can_give_up| {
            STATES
                .map(|state| fate(Standing::Own { state: state.name().to_owned(), can_give_up }, role, scope, given_up))
        };
        let (stays, offered, up, goes) = ("stays", "offered", "given up", "goes");
        assert_eq!(
            all(TableRole::Shadow, Scope::Due, &[], true),
            [stays, stays, stays, stays, stays, stays, offered, offered, offered]
        );
        assert_eq!(
            all(TableRole::Shadow, Scope::Leftovers, &[], true),
            [up, up, stays, up, up, stays, goes, goes, goes]
        );
        assert_eq!(all(TableRole::Shadow, Scope::Leftovers, &[RUN.to_owned()], true)[2], up);
        assert_eq!(all(TableRole::Shadow, Scope::Leftovers, &[RUN.to_owned()], false)[..6], [stays; 6]);
        assert_eq!(
            all(TableRole::Backup, Scope::Leftovers, &[RUN.to_owned()], true),
            [stays, stays, stays, stays, stays, stays, offered, stays, stays]
        );
        assert_eq!(
            all(TableRole::Discarded, Scope::Leftovers, &[], true),
            [stays, stays, stays, stays, stays, stays, offered, offered, offered]
        );
        assert_eq!(fate(Standing::CarriedOut, TableRole::Shadow, Scope::Leftovers, &[RUN.to_owned()]), stays);
    }

    #[test]
    fn what_a_run_of_another_state_folder_left_goes_only_when_that_run_is_over_or_given_up() {
        let all = |role, given_up: &[String]| {
            STATES.map(|state| {
                let state = Some(state.name().to_owned());
                fate(Standing::Foreign { state, is_claimed: false }, role, Scope::Leftovers, given_up)
            })
        };
        let (stays, offered, goes) = ("stays", "offered", "goes");
        assert_eq!(all(TableRole::Shadow, &[]), [stays, stays, stays, stays, stays, stays, goes, goes, goes]);
        assert_eq!(all(TableRole::Shadow, &[RUN.to_owned()]), [goes; 9]);
        assert_eq!(
            all(TableRole::Backup, &[RUN.to_owned()]),
            [stays, stays, stays, stays, stays, stays, offered, stays, stays]
        );
        let unknown = || Standing::Foreign { state: None, is_claimed: false };
        assert_eq!(fate(unknown(), TableRole::Shadow, Scope::Leftovers, &[]), stays);
        let claimed = Standing::Foreign { state: None, is_claimed: true };
        assert_eq!(fate(claimed, TableRole::Shadow, Scope::Leftovers, &[RUN.to_owned()]), stays);
    }

    #[test]
    fn a_table_that_applications_use_is_no_leftover_whatever_the_books_say() {
        let look = Look {
            scope: Scope::Leftovers,
            given_up: &[],
            runs: BTreeMap::from([(
                RUN.to_owned(),
                Standing::Own { state: RunState::Done.name().to_owned(), can_give_up: false },
            )]),
        };
        let named = |table: &str, live: &str| MadeTable {
            table: TableName::bare(table),
            live: TableName::bare(live),
            ..made(TableRole::Shadow)
        };
        assert_eq!(look.fate(&named("item", "item")), None);
        assert_eq!(look.fate(&named("item_tmp_20260501093000", "item_tmp_20260501093000")), None);
        assert_eq!(look.fate(&named("item_tmp_20270101000000", "item")), None);
        let scratch = "millrace_fence_a_tmp_20260501093000";
        assert!(matches!(look.fate(&named(scratch, scratch)), Some(Fate::Goes { .. })));
        for trial in ["millrace_trial_2_tmp_20260501093000", "millrace_trial_view_3_tmp_20260501093000"] {
            assert!(matches!(look.fate(&named(trial, trial)), Some(Fate::Goes { .. })), "{trial}");
        }
    }

    #[test]
    fn an_age_is_never_too_large() {
        assert_eq!(age("not a time"), 0);
        assert_eq!(age("2999-01-01 00:00:00"), 0);
        assert!(age("2020-01-01 00:00:00.000000") > 5 * 365 * 86_400);
    }
}
