//! Swaps the names of shadows and live tables, through the pipeline's switcher.
//!
//! An attempt is all of the switcher's steps, each an action of the journal. The fence that one of them raises is the
//! host's: whatever becomes of the attempt, it is lifted, and a process that comes after one that died lifts it first
//! and says what it found. An attempt that took longer than its budget, or met somebody's lock, is made again a little
//! later, so many times as the pipeline says. What fails for good after the names were swapped is taken back.

use std::collections::HashSet;
use std::time::Duration;

use futures::FutureExt as _;
use millrace_database::mysql::{LiveMark, RENAME_IN_DOUBT, Sent, TableRole};
use millrace_model::schema::TableName;
use millrace_model::switching::{FenceBefore, Step, Swap};
use millrace_model::{Failure, Fault, Plan, StageKind};
use millrace_pipeline::{Action, EventKind, Journal, Outcome, Recovery};
use serde_json::{Value, json};

use super::context::RunContext;
use super::cutover::{Cutover, Depth, Mark, Named};
use super::execute::several;
use super::provenance;
use super::references;
use super::views;
use super::world::shadows;
use super::world::target::{self, Standings};
use crate::clock;
use crate::outcome::{DISCARDED, DiscardedRows, SwitchOutcome};
use crate::setup::blocking;
use crate::target_rows::{self, TargetRows};

/// The wait before the second attempt; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest wait between attempts, chance left out.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The tables of a run's switch. A created table has no old one; the backup's name then stands for nothing.
pub(super) fn swaps(plan: &Plan) -> Vec<Swap> {
    plan.builds()
        .filter_map(|table| {
            let shadow = table.shadow.clone()?;
            let backup = table
                .backup
                .clone()
                .unwrap_or_else(|| millrace_database::dialect::mysql::backup_name(&table.target, &plan.stamp));
            Some(Swap { live: table.target.clone(), shadow, backup })
        })
        .collect()
}

fn backups(plan: &Plan) -> impl Iterator<Item = (&TableName, &TableName)> {
    plan.builds().filter_map(|table| Some((&table.target, table.backup.as_ref()?)))
}

/// Whether everything of the switch was done before: then nobody need be stopped for it again.
pub(super) fn is_done(run: &RunContext) -> bool {
    let repointed = run.record.plan.after_switch.is_empty() || run.recorder.succeeded(&Action::repoint()).is_some();
    steps_are_done(run) && repointed && views::are_made(run) && run.recorder.succeeded(&Action::mark()).is_some()
}

/// Whether names are swapped and nobody is kept off any more.
fn steps_are_done(run: &RunContext) -> bool {
    are_done(&run.recorder.recovery())
}

fn are_done(recovery: &Recovery) -> bool {
    let done = |outcome: &Outcome| matches!(outcome, Outcome::Succeeded { .. });
    let mut steps = recovery.actions.iter().filter(|(action, _)| action.verb() == "switch").peekable();
    steps.peek().is_some() && steps.all(|(_, outcome)| done(outcome)) && done(&recovery.outcome(&Action::switched()))
}

/// Whether a run that stopped with this failure has left the new tables live, or may have.
pub(crate) fn may_be_switched(journal: &Journal, failure: &Failure) -> bool {
    let recovery = journal.recover();
    let half_back = |(action, outcome): &(Action, Outcome)| {
        action.is_visible() && matches!(outcome, Outcome::UndoUnknown { .. } | Outcome::UndoFailed { .. })
    };
    let unsettled = [RENAME_IN_DOUBT, "switch.half-renamed"].contains(&failure.code.as_str());
    unsettled || are_done(&recovery) || recovery.actions.iter().any(half_back)
}

/// How a switch ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Switched {
    /// The new tables are live.
    Done,
    /// They were, and something about them is wrong: the run must go back.
    GoBack(Failure),
    /// They are not, after as many attempts as the pipeline allows.
    GivenUp(Failure),
}

/// Carries out the switcher's steps, then lets foreign keys of kept tables follow.
pub(super) async fn switch(run: &RunContext) -> Result<Switched, Failure> {
    let plan = &run.record.plan;
    let swaps = swaps(plan);
    if swaps.is_empty() {
        return Ok(Switched::Done);
    }
    if !steps_are_done(run) {
        let existing = match cut_over(run, &swaps).await {
            Ok(existing) => existing,
            Err(failure) if failure.code == RENAME_IN_DOUBT => return Err(failure),
            Err(failure) => {
                let for_good = matches!(failure.fault, Fault::Data | Fault::Unsupported | Fault::Internal);
                if for_good && is_swapped(run, &swaps).await? {
                    return Ok(Switched::GoBack(failure));
                }
                let attempts = failure.field("attempts").is_some();
                return if attempts { Ok(Switched::GivenUp(failure)) } else { Err(failure) };
            }
        };
        if let Some(failure) = left_undone(&existing, &swaps) {
            return failure;
        }
        references::bind_live(run).await?;
        run.again(&Action::switched(), async || Ok(Value::Null)).await?;
    }
    let shadows: Vec<&TableName> = swaps.iter().map(|swap| &swap.shadow).collect();
    run.books.forget_tables(&shadows).await?;
    // What was set aside is where it was; a new table that is live again is not.
    let mut discarded: Vec<DiscardedRows> = run.store.kept(run.id(), DISCARDED).await?.unwrap_or_default();
    discarded.retain(|rows| !swaps.iter().any(|swap| swap.shadow.to_string() == rows.kept_in));
    run.store.keep(run.id(), DISCARDED, &discarded).await?;
    references::repoint(run).await?;
    views::make(run).await?;
    run.again(&Action::mark(), async || {
        let mark = |(live, backup)| run.target.mark_backup(backup, live, run.id()).boxed();
        several(backups(plan).map(mark).collect()).await?;
        record_marks(run).await?;
        provenance::record_built(run).await?;
        Ok(Value::Null)
    })
    .await?;
    Ok(Switched::Done)
}

/// A switcher may say that it has swapped names, and not have done it. None: it has.
fn left_undone(existing: &HashSet<TableName>, swaps: &[Swap]) -> Option<Result<Switched, Failure>> {
    let undone = swaps.iter().find(|swap| !swap_is_done(existing, swap))?;
    let failure = Failure::internal(
        "switch.not-swapped",
        format!("the switcher says that it is done, and {} is not in the place of {}", undone.shadow, undone.live),
    )
    .with("table", undone.live.to_string());
    let any = swaps.iter().any(|swap| swap_is_done(existing, swap));
    Some(if any { Ok(Switched::GoBack(failure)) } else { Err(failure) })
}

/// Records what the tables held that are live now.
async fn record_marks(run: &RunContext) -> Result<(), Failure> {
    let Some(mark) = run.store.kept::<Mark>(run.id(), "switch-mark").await? else { return Ok(()) };
    let lives: Vec<TableName> = run.record.plan.builds().map(|table| table.target.clone()).collect();
    let ids = run.target.table_ids(&lives).await?;
    let marks: Vec<LiveMark> = lives
        .into_iter()
        .map(|live| LiveMark { run: run.id().to_owned(), id: ids.get(&live).cloned(), mark: mark.of(&live), live })
        .collect();
    run.books.record_marks(&marks).await
}

/// Which of the names of the swaps exist.
pub(super) async fn existing(run: &RunContext, swaps: &[Swap]) -> Result<HashSet<TableName>, Failure> {
    let names: Vec<TableName> = swaps.iter().flat_map(|s| [&s.live, &s.shadow, &s.backup]).cloned().collect();
    run.target.existing_tables(&names).await
}

/// Whether the new tables have the live names.
async fn is_swapped(run: &RunContext, swaps: &[Swap]) -> Result<bool, Failure> {
    let existing = existing(run, swaps).await?;
    Ok(swaps.iter().all(|swap| swap_is_done(&existing, swap)))
}

/// Whether the new table of a swap has the live name, where these names exist.
fn swap_is_done(existing: &HashSet<TableName>, swap: &Swap) -> bool {
    existing.contains(&swap.live) && !existing.contains(&swap.shadow)
}

/// Swaps names, and gives those that exist afterwards.
async fn cut_over(run: &RunContext, swaps: &[Swap]) -> Result<HashSet<TableName>, Failure> {
    let plan = &run.record.plan;
    let stage = run.setup.stage(StageKind::Switcher)?;
    let settings = &stage.declaration.cutover;
    let listed: Vec<_> = backups(plan).map(|(live, backup)| (backup, live)).collect();
    run.books.record_tables(run.id(), &run.record.pipeline, TableRole::Backup, &listed).await?;
    let cutover = Cutover::open(run).await?;
    lift_left_over(run, &cutover, swaps).await?;
    target::require_planned(run).await?;
    // What was known when the plan was made, and given up then.
    let told = plan.builds().filter_map(|table| Some(table.written.as_ref()?.message.clone()));
    let mut outcome = SwitchOutcome {
        budget_ms: milliseconds(settings.budget),
        left_behind: told.collect(),
        ..SwitchOutcome::default()
    };
    if is_swapped(run, swaps).await? {
        cutover.know_rows(&run.store.kept::<Mark>(run.id(), "switch-mark").await?.unwrap_or_default());
    } else {
        run.note_switching();
        references::refuse_others(run).await?;
        references::require_followers(run).await?;
        cutover.note_definitions(shadows::bound(run).await?).await?;
        target::require_shapes(run).await?;
        let written = cutover.target_rows(Named::Live, Depth::Whole).await?;
        if run.target_rows == TargetRows::Keep && !written.is_empty() {
            return Err(target_rows::left_behind(Fault::Data, &written.join("; ")));
        }
        let lives: Vec<TableName> = swaps.iter().map(|swap| swap.live.clone()).collect();
        let whole = cutover.compare(Depth::Whole, &lives).await?;
        tracing::info!(run = run.id(), compared = whole, "compared once more");
        run.store.keep(run.id(), "switch-mark", &cutover.mark().await?).await?;
        cutover.require_unwritten(Depth::Whole, &lives).await?;
        target::record_live(run).await?;
    }
    loop {
        outcome.attempts += 1;
        let attempted = attempt(run, swaps, &cutover, &mut outcome).await;
        let Err(failure) = attempted.map_err(in_words) else { break };
        lift(run, &cutover, json!({ "because": failure.message })).await?;
        outcome.blocked_ms = milliseconds(cutover.take_blocked());
        outcome.failures.push(failure.message.clone());
        run.store.keep(run.id(), "switch", &outcome).await?;
        if failure.fault != Fault::Transient || outcome.attempts >= settings.attempts {
            return Err(failure.with("attempts", outcome.attempts.to_string()));
        }
        let pause = pause(outcome.attempts);
        tracing::warn!(run = run.id(), attempt = outcome.attempts, pause = ?pause, "the switch is tried again: {failure}");
        let mut waited = Duration::ZERO;
        while waited < pause {
            run.check_cancelled()?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            waited += Duration::from_millis(50);
        }
    }
    outcome.blocked_ms = milliseconds(cutover.take_blocked());
    // A switcher that did not do what it says has left no backups.
    let existing = existing(run, swaps).await?;
    if swaps.iter().all(|swap| swap_is_done(&existing, swap)) {
        let looked = look_back(run, &cutover, &mut outcome).await;
        if let Err(failure) = &looked {
            outcome.failures.push(failure.message.clone());
        }
        run.store.keep(run.id(), "switch", &outcome).await?;
        looked?;
    }
    for written in &outcome.left_behind {
        tracing::warn!(run = run.id(), "{written}; that is in the backup only");
    }
    run.store.keep(run.id(), "fence-before", &None::<FenceBefore>).await?;
    Ok(existing)
}

/// Looks at all of the old tables, the new ones and the source, now that nobody writes to the backups and nobody is kept
/// off: what could only be looked at in part before the names were swapped takes them back. Of a swap that an earlier
/// process has made nobody can tell what came before it and what after, so there it is said, and left as it is.
async fn look_back(run: &RunContext, cutover: &Cutover, outcome: &mut SwitchOutcome) -> Result<(), Failure> {
    let written = cutover.target_rows(Named::Backup, Depth::Whole).await?;
    if !run.is_switching() {
        outcome.left_behind.extend(written);
        let Err(failure) = cutover.compare_swapped().await else { return Ok(()) };
        if failure.code != "switch.source-changed" {
            return Err(failure);
        }
        let told = format!("{}, by another process: perhaps it changed only afterwards", failure.message);
        tracing::warn!(run = run.id(), "{told}");
        outcome.failures.push(told);
        return Ok(());
    }
    if run.target_rows == TargetRows::Keep && !written.is_empty() {
        return Err(target_rows::left_behind(Fault::Data, &written.join("; ")));
    }
    outcome.left_behind.extend(written);
    cutover.compare_swapped().await
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// Twice as long each time, and by chance up to half as long again: two runs that met do not meet again.
fn pause(attempts: u32) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << (attempts - 1).min(16)).min(LONGEST_PAUSE);
    let chance = clock::entropy() % u64::try_from((pause / 2).as_millis()).unwrap_or(1).max(1);
    pause + Duration::from_millis(chance)
}

/// A rename in doubt, with what becomes of the fence. Others as they are.
fn in_words(mut failure: Failure) -> Failure {
    if failure.code == RENAME_IN_DOUBT {
        failure.message.push_str("; the fence is lifted, and applications write to whichever table has the name");
    }
    failure
}

/// All of the switcher's steps.
async fn attempt(
    run: &RunContext,
    swaps: &[Swap],
    cutover: &Cutover,
    outcome: &mut SwitchOutcome,
) -> Result<(), Failure> {
    let stage = run.setup.stage(StageKind::Switcher)?;
    let mut switcher = stage.plugin.switcher(&stage.context(&run.cancel))?;
    let asked = swaps.to_vec();
    let (given_back, steps) = blocking(move || {
        let steps = switcher.plan(&asked)?;
        Ok((switcher, steps))
    })
    .await?;
    switcher = given_back;
    for Step { id, .. } in steps {
        let (lent, asked, step) = (cutover.lend(), swaps.to_vec(), id.clone());
        let mut returned = None;
        let state = run
            .again(&Action::switch(&id), async || {
                // The switcher looks before it acts, so that a step with an unknown outcome is simply applied again.
                let (switcher, state) = blocking(move || {
                    let state = switcher.apply(&step, &asked, lent)?;
                    Ok((switcher, state))
                })
                .await?;
                returned = Some(switcher);
                Ok(Value::String(state))
            })
            .await?;
        if let ("fence" | "compare", Some(words)) = (id.as_str(), state.as_str()) {
            let told = if id == "fence" { &mut outcome.fence } else { &mut outcome.compared };
            words.clone_into(told);
        }
        switcher = match returned {
            Some(switcher) => switcher,
            None => stage.plugin.switcher(&stage.context(&run.cancel))?,
        };
    }
    Ok(())
}

/// Lifts the fence in any case, with an entry in the journal.
async fn lift(run: &RunContext, cutover: &Cutover, state: Value) -> Result<(), Failure> {
    run.recorder.action(&Action::lift(), EventKind::ActionStarted).await?;
    let mut admin = cutover.lend();
    match blocking(move || admin.lift_fence()).await {
        Ok(()) => run.recorder.action(&Action::lift(), EventKind::ActionSucceeded { state }).await,
        Err(failure) => {
            run.recorder.action(&Action::lift(), EventKind::ActionFailed { failure: failure.clone() }).await?;
            Err(failure)
        }
    }
}

/// Ends what an earlier process, or a lost connection, may have left at the server.
pub(super) async fn end_renames(run: &RunContext) -> Result<(), Failure> {
    let unsettled = |(action, outcome): &(Action, Outcome)| {
        let in_doubt = match outcome {
            Outcome::Failed { failure } | Outcome::UndoFailed { failure, .. } => failure.code == RENAME_IN_DOUBT,
            outcome => outcome.must_look(),
        };
        action.verb() == "switch" && in_doubt
    };
    let sent = match run.recorder.recovery().actions.iter().any(unsettled) {
        true => Sent::Unsettled { at_most: run.setup.stage(StageKind::Switcher)?.declaration.cutover.budget },
        false => Sent::Settled,
    };
    run.target.end_renames(run.id(), sent).await
}

/// Lifts what an earlier process, or an earlier attempt, may have left, and says what it found.
async fn lift_left_over(run: &RunContext, cutover: &Cutover, swaps: &[Swap]) -> Result<(), Failure> {
    let recovery = run.recorder.recovery();
    let begun = |(action, outcome): &(Action, Outcome)| action.verb() == "switch" && *outcome != Outcome::Undone;
    // A way back that died while it lifted has undone everything else.
    let lifting = run.recorder.outcome(&Action::lift()).must_look();
    if !lifting && !recovery.actions.iter().any(begun) {
        return Ok(());
    }
    // Nothing is to be renamed any more behind the back of what follows; the fence is lifted in any case.
    let ended = end_renames(run).await;
    let existing = existing(run, swaps).await?;
    let place = |swap: &Swap| {
        let exists = |name| existing.contains(name);
        match (exists(&swap.live), exists(&swap.shadow), exists(&swap.backup)) {
            (_, true, false) => format!("{} is not swapped", swap.live),
            (true, false, _) => format!("{} is swapped", swap.live),
            (false, true, true) => format!("{} is missing, its old table is {}", swap.live, swap.backup),
            _ => format!("{} is neither swapped nor not", swap.live),
        }
    };
    let found: Vec<String> = swaps.iter().map(place).collect();
    lift(run, cutover, json!({ "found": found.join(", ") })).await?;
    ended
}

/// A switch on its way back.
pub(super) struct WayBack {
    cutover: Cutover,
    swaps: Vec<Swap>,
}

impl WayBack {
    /// Opens what undoing needs; lifts what an earlier process may have left.
    pub(super) async fn open(run: &RunContext) -> Result<Self, Failure> {
        let swaps = swaps(&run.record.plan);
        // The books first: the switcher knows new tables by them.
        let made = run.books.tables(&run.record.pipeline).await?;
        let set_apart = |shadow: &TableName| {
            made.iter().any(|m| m.table == *shadow && m.run == run.id() && m.role == TableRole::Discarded)
        };
        let listed: Vec<_> =
            swaps.iter().filter(|swap| !set_apart(&swap.shadow)).map(|swap| (&swap.shadow, &swap.live)).collect();
        run.books.record_tables(run.id(), &run.record.pipeline, TableRole::Shadow, &listed).await?;
        // What the old tables held when their own runs made them live counts again.
        run.books.forget_marks(run.id()).await?;
        run.books.forget_sources(run.id()).await?;
        let cutover = Cutover::open(run).await?;
        let ended = end_renames(run).await;
        lift(run, &cutover, json!({ "because": "the run goes back" })).await?;
        ended?;
        Ok(Self { cutover, swaps })
    }

    /// Which tables are to have the live names again, by these. Empty while the names are not swapped.
    pub(super) async fn old_tables(&self, run: &RunContext) -> Result<Standings, Failure> {
        if !self.is_swapped(run).await? {
            return Ok(Standings::new());
        }
        let pairs: Vec<_> = backups(&run.record.plan).collect();
        let names: Vec<TableName> = pairs.iter().map(|(_, backup)| (*backup).clone()).collect();
        let mut ids = run.target.table_ids(&names).await?;
        Ok(pairs.into_iter().filter_map(|(live, backup)| Some((live.clone(), ids.remove(backup)?))).collect())
    }

    /// Whether the new tables have the live names still.
    pub(super) async fn is_swapped(&self, run: &RunContext) -> Result<bool, Failure> {
        is_swapped(run, &self.swaps).await
    }

    /// Undoes one action, with its entries in the journal; made again a little later when somebody was in the way.
    pub(super) async fn undo(&self, run: &RunContext, action: &Action, state: Option<&Value>) -> Result<(), Failure> {
        let attempts = run.setup.stage(StageKind::Switcher)?.declaration.cutover.attempts;
        for attempt in 1.. {
            run.recorder.action(action, EventKind::UndoStarted).await?;
            let result = match action.verb() {
                "switch" => self.undo_step(run, action, state).await,
                "repoint" => references::undo_repoint(run).await,
                "view" => views::undo(run, &TableName::bare(action.subject().unwrap_or_default())).await,
                _ => Ok(()),
            };
            let Err(failure) = result else {
                return run.recorder.action(action, EventKind::Undone).await;
            };
            run.recorder.action(action, EventKind::UndoFailed { failure: failure.clone() }).await?;
            if failure.fault != Fault::Transient || attempt >= attempts {
                return Err(failure);
            }
            lift(run, &self.cutover, json!({ "because": failure.message })).await?;
            tracing::warn!(run = run.id(), attempt, "the way back is tried again: {failure}");
            tokio::time::sleep(pause(attempt)).await;
        }
        Ok(())
    }

    async fn undo_step(&self, run: &RunContext, action: &Action, state: Option<&Value>) -> Result<(), Failure> {
        let stage = run.setup.stage(StageKind::Switcher)?;
        let mut switcher = stage.plugin.switcher(&stage.context(&run.cancel))?;
        let step = action.subject().unwrap_or_default().to_owned();
        let state = state.and_then(Value::as_str).unwrap_or_default().to_owned();
        let (swaps, lent) = (self.swaps.clone(), self.cutover.lend());
        blocking(move || switcher.undo(&step, &state, &swaps, lent)).await
    }

    /// Lifts the fence whatever became of the way back. When it went well the old tables are nobody's backups any more.
    pub(super) async fn close(&self, run: &RunContext, result: Result<(), Failure>) -> Result<(), Failure> {
        let lifted = lift(run, &self.cutover, json!({ "because": "the way back ends" })).await;
        let blocked = self.cutover.take_blocked();
        tracing::info!(run = run.id(), blocked_ms = milliseconds(blocked), "writers were kept off on the way back");
        run.store.keep(run.id(), "rollback-blocked-ms", &milliseconds(blocked)).await?;
        result?;
        lifted?;
        run.store.keep(run.id(), "fence-before", &None::<FenceBefore>).await?;
        let unmark = |(live, _)| run.target.unmark_backup(live, live, run.id()).boxed();
        several(backups(&run.record.plan).map(unmark).collect()).await?;
        let gone: Vec<&TableName> = backups(&run.record.plan).map(|(_, backup)| backup).collect();
        run.books.forget_tables(&gone).await?;
        run.books.forget_live(run.id()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        for (attempt, least_ms) in [(1, 200), (2, 400), (3, 800), (40, 10_000)] {
            let least = Duration::from_millis(least_ms);
            let pause = pause(attempt);
            assert!(pause >= least && pause <= least * 3 / 2, "{attempt}: {pause:?}");
        }
    }
}
