//! What to do next with a run: in its report, and after a command that ended with a failure.

use millrace_model::Failure;
use millrace_pipeline::{NextStep, Recovery, RunState};

use super::Summary;
use crate::store::RunRecord;
use crate::wording;

/// How a run stands.
pub(super) struct Position<'a> {
    pub(super) run: &'a RunRecord,
    pub(super) summary: &'a Summary,
    pub(super) failure: Option<&'a Failure>,
    /// What its journal says. None: it breaks its own rules.
    pub(super) recovery: Option<&'a Recovery>,
    /// Whether a process of this machine carries it out.
    pub(super) is_owned: bool,
}

/// What a failure asks for, besides that its cause be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// The run goes on.
    Resume,
    /// A new run: a resumed one would refuse the changed source or target, or not read the changed pipeline.
    NewRun,
    /// The same, after a look at the rows that are in the way.
    Rejects,
    /// Nothing that Millrace could do.
    Nothing,
}

fn asks(failure: &Failure) -> Asks {
    match failure.code.as_str() {
        "copy.rejects-exceeded" | "copy.parents-rejected" => Asks::Rejects,
        "switch.source-changed"
        | "switch.target-changed"
        | "copy.parent-missing"
        | "copy.unknown-chunk"
        | "run.superseded" => Asks::NewRun,
        "switch.backup-gone" => Asks::Nothing,
        _ => Asks::Resume,
    }
}

/// The command to type next, after the run has failed so. None: there is none.
pub(crate) fn command(run: &RunRecord, recovery: Option<&Recovery>, failure: &Failure) -> Option<String> {
    let (id, pipeline) = (&run.id, wording::typed(&run.origin));
    match asks(failure) {
        Asks::Nothing => return None,
        Asks::Rejects => return Some(format!("millrace rejects {id}")),
        Asks::NewRun => return Some(format!("millrace run {pipeline}")),
        Asks::Resume => {}
    }
    match recovery.map(|recovery| &recovery.next) {
        Some(NextStep::ContinueRollback) => Some(format!("millrace rollback {id}")),
        Some(NextStep::Approve { .. }) => Some(format!("millrace approve {id}")),
        Some(NextStep::Nothing) => None,
        Some(NextStep::Start | NextStep::Resume) | None => Some(format!("millrace resume {id}")),
    }
}

/// Sentences for the report.
pub(super) fn steps(position: &Position<'_>) -> Vec<String> {
    let Position { run, summary, recovery, .. } = position;
    let (id, pipeline) = (&run.id, wording::typed(&run.origin));
    let is = |state: RunState| run.state == state.name();
    let leftovers = format!("`millrace clean {pipeline} --leftovers`");
    let mut steps = Vec::new();
    if position.is_owned {
        steps.push(format!("Nothing: it is being carried out. `millrace show {id}` says how far it is."));
    } else if is(RunState::Done) {
        let builds = summary.rebuilt + summary.created > 0;
        if builds && recovery.is_some_and(|recovery| recovery.can_roll_back) {
            let does =
                if summary.rebuilt > 0 { "brings the old tables back" } else { "takes the new tables away again" };
            steps.push(format!("If the application is not content: `millrace rollback {id}` {does}."));
        }
        if summary.rebuilt > 0 {
            steps.push(format!(
                "When it is: `millrace clean {pipeline}` removes the old tables once their grace period is over."
            ));
        }
        if !run.plan.not_carried.is_empty() {
            steps.push("Go through what was not carried over: each entry says what to do.".to_owned());
        }
        if summary.rejects > 0 {
            steps.push(format!(
                "Look at the rows that were left out: `millrace rejects {id}`. When their cause is removed, \
                 `millrace rejects retry {id}` inserts them."
            ));
        }
    } else if is(RunState::WaitingApproval) {
        steps.push(format!("Review the plan, then: `millrace approve {id}`."));
        steps.push(format!("To give it up instead: `millrace cancel {id}`."));
    } else if is(RunState::RolledBack) {
        steps.push(format!("Nothing of it is live. To go forward again: `millrace resume {id}`."));
        steps.push(format!("To remove the new tables that it has made: {leftovers}."));
    } else if is(RunState::Cancelled) {
        steps.push(format!("It is given up. To begin anew: `millrace run {pipeline}`."));
        steps.push(format!("To remove the new tables that it has made: {leftovers}."));
    } else {
        stopped(position, &leftovers, &mut steps);
    }
    steps
}

/// Of a run that has stopped on its way.
fn stopped(position: &Position<'_>, leftovers: &str, steps: &mut Vec<String>) {
    let Position { run, recovery, .. } = position;
    let id = &run.id;
    let asked = position.failure.map_or(Asks::Resume, asks);
    if let Some(failure) = position.failure {
        steps.push(format!("Why it stopped, and what to do: `millrace explain {}`.", failure.code));
    }
    let next = position.failure.map_or_else(|| Some(format!("millrace resume {id}")), |f| command(run, *recovery, f));
    match (asked, next) {
        (_, None) => {}
        (Asks::Rejects, Some(next)) => steps.push(format!(
            "See which rows: `{next}`. After a change of the source or the pipeline: `millrace run {}`; a run that is \
             resumed would refuse the one and not read the other.",
            wording::typed(&run.origin)
        )),
        (Asks::NewRun, Some(next)) => steps.push(format!("It cannot go on. A new run plans anew: `{next}`.")),
        (_, Some(next)) => steps.push(format!("Continue where it stopped: `{next}`.")),
    }
    match recovery {
        Some(recovery) if recovery.can_cancel => {
            steps.push(format!("To give it up, and remove what it has made: {leftovers}."));
        }
        Some(recovery) if recovery.can_roll_back && recovery.next != NextStep::ContinueRollback => {
            steps.push(format!("To go back to what was live before it: `millrace rollback {id}`."));
        }
        _ => {}
    }
}
