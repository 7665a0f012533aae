//! Switcher: one atomic rename for all tables of a run, behind a fence.
//!
//! The steps are: raise the fence, compare once more, set the numbers, rename, verify, lift the fence. For every table
//! *before* means: the new table has the shadow's name and the old one, if there is one, the live name; *after*: the
//! new table has the live name and the old one the backup's. One statement takes all tables from before to after, and
//! one takes them back. Since the answer to a statement can be lost, no step trusts an outcome: it reads which names
//! exist, acts on what it sees, and reads again. So a step may be applied or undone any number of times, and the steps
//! before the rename do nothing when they find the names swapped.
//!
//! A server that stops in the middle of a rename may leave *half* of it: the old table moved away and the new
//! one not in its place. Half a rename is always taken back, so that the name has exactly one owner.
//!
//! Backwards the fence is raised by undoing its lifting, and lifted by undoing its raising; the old tables number on from
//! where the new ones stand.

mod names;

use millrace_plugin_sdk::configuration;
use millrace_plugin_sdk::handle::Tables;
use millrace_plugin_sdk::kind::{Step, Swap};
use millrace_plugin_sdk::model::TableName;
use millrace_plugin_sdk::{Failure, Plugin, Problem, Switcher, log, schemars, serde, serde_json};
use names::{Place, Seen};

const FENCE: &str = "fence";
const COMPARE: &str = "compare";
const NUMBER: &str = "number";
const RENAME: &str = "rename";
const VERIFY: &str = "verify";
const LIFT: &str = "lift";

/// How long to wait.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct Config {
    /// How long the fence and the rename may each wait for locks that others hold, within the stage's `budget`: `30s`.
    pub timeout: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { timeout: "30s".to_owned() }
    }
}

/// Swaps names by one statement.
#[derive(Debug)]
pub struct SwitchRename {
    timeout_ms: u32,
}

impl Plugin for SwitchRename {
    const NAME: &'static str = "switch-rename";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Swaps all tables of a run by one rename statement, and back.";
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Vec<Problem>> {
        let problem = |message| vec![Problem { path: "/timeout".to_owned(), message }];
        let timeout = configuration::milliseconds(&config.timeout).map_err(problem)?;
        match u32::try_from(timeout) {
            Ok(timeout_ms) if timeout_ms > 0 => Ok(Self { timeout_ms }),
            _ => Err(problem(format!("`{}` must be from 1ms to 49d", config.timeout))),
        }
    }
}

/// What `undo` needs, as JSON.
#[derive(Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields)]
struct State {
    /// The live names that an old table had before the switch.
    replaced: Vec<TableName>,
}

impl Switcher for SwitchRename {
    fn plan(&self, swaps: &[Swap]) -> Result<Vec<Step>, Failure> {
        if swaps.is_empty() {
            return Ok(Vec::new());
        }
        let rename = match swaps {
            [swap] => format!("Put {} in the place of {}", swap.shadow, swap.live),
            _ => format!("Put {} new tables in the places of the old ones, in one statement", swaps.len()),
        };
        let step = |id: &str, title: &str| Step { id: id.to_owned(), title: title.to_owned() };
        Ok(vec![
            step(FENCE, "Keep writers off"),
            step(COMPARE, "Compare the last rows once more"),
            step(NUMBER, "Let the new tables number on"),
            step(RENAME, &rename),
            step(VERIFY, "Read the catalogs, and try the new tables out"),
            step(LIFT, "Let writers on again"),
        ])
    }

    fn apply(&self, step: &str, swaps: &[Swap], target: &dyn Tables) -> Result<String, Failure> {
        match step {
            FENCE => {
                let seen = names::read(swaps, target)?;
                if is_after(&seen) {
                    return Ok(SWAPPED_ALREADY.to_owned());
                }
                self.take_back_half(&seen, target)?;
                target.raise_fence(&live(swaps), self.timeout_ms)
            }
            COMPARE | NUMBER => {
                if is_after(&names::read(swaps, target)?) {
                    return Ok(SWAPPED_ALREADY.to_owned());
                }
                if step == COMPARE {
                    return target.compare_last(&live(swaps));
                }
                target.set_numbers(&live(swaps)).map(|()| String::new())
            }
            RENAME => self.rename(swaps, target),
            VERIFY => {
                let seen = names::read(swaps, target)?;
                if !is_after(&seen) {
                    return Err(not_verified("are not swapped", &seen));
                }
                target.try_out(&live(swaps)).map(|()| String::new())
            }
            LIFT => target.lift_fence().map(|()| String::new()),
            _ => Err(unknown(step)),
        }
    }

    fn undo(&self, step: &str, state: &str, swaps: &[Swap], target: &dyn Tables) -> Result<(), Failure> {
        match step {
            LIFT => {
                if is_after(&names::read(swaps, target)?) {
                    target.raise_fence(&live(swaps), self.timeout_ms)?;
                }
                Ok(())
            }
            RENAME => self.rename_back(state, swaps, target),
            FENCE => target.lift_fence(),
            COMPARE | NUMBER | VERIFY => Ok(()),
            _ => Err(unknown(step)),
        }
    }
}

impl SwitchRename {
    fn rename(&self, swaps: &[Swap], target: &dyn Tables) -> Result<String, Failure> {
        let seen = names::read(swaps, target)?;
        if is_after(&seen) {
            log::info(SWAPPED_ALREADY);
            return Ok(state_of(&seen));
        }
        self.take_back_half(&seen, target)?;
        let renames: Vec<_> = seen.iter().flat_map(Seen::forward).collect();
        let outcome = target.rename_all(&renames, self.timeout_ms);

        let after = names::read(swaps, target).map_err(|looking| outcome.clone().err().unwrap_or(looking))?;
        if is_after(&after) {
            return Ok(state_of(&after));
        }
        self.take_back_half(&after, target)?;
        Err(outcome.err().unwrap_or_else(|| not_verified("are as they were before", &after)))
    }

    fn rename_back(&self, state: &str, swaps: &[Swap], target: &dyn Tables) -> Result<(), Failure> {
        let replaced = replaced_from(state)?;
        let before = |seen: &[Seen]| seen.iter().all(|s| s.place == Place::Before);

        let seen = names::read(swaps, target)?;
        if before(&seen) {
            log::info("the names are swapped back already");
            return Ok(());
        }
        if let Some(lost) =
            seen.iter().find(|s| s.place == Place::After && !s.backup_exists && replaced.contains(&s.swap.live))
        {
            return Err(Failure::data(
                "switch.backup-gone",
                format!(
                    "{} cannot go back: its old table {} does not exist any more; the names are left as they are",
                    lost.swap.live, lost.swap.backup
                ),
            )
            .with("table", lost.swap.live.to_string()));
        }
        // A number that a new table has given is not given again by the old one.
        target.set_numbers(&live(swaps))?;
        let renames: Vec<_> = seen.iter().flat_map(Seen::backward).collect();
        let outcome = target.rename_all(&renames, self.timeout_ms);
        let after = names::read(swaps, target).map_err(|looking| outcome.clone().err().unwrap_or(looking))?;
        if before(&after) {
            return Ok(());
        }
        Err(outcome.err().unwrap_or_else(|| not_verified("are not back", &after)))
    }

    /// Some names are swapped and others not, or one is swapped by half: takes all of them back, and says so.
    fn take_back_half(&self, seen: &[Seen], target: &dyn Tables) -> Result<(), Failure> {
        if seen.iter().all(|s| s.place == Place::Before) {
            return Ok(());
        }
        let renames: Vec<_> = seen.iter().flat_map(Seen::backward).collect();
        let places = names::describe(seen.iter().filter(|s| s.place != Place::Before));
        target.rename_all(&renames, self.timeout_ms).map_err(|failure| {
            Failure::data(
                "switch.half-renamed",
                format!(
                    "only part of the names was swapped ({places}), and taking that back failed: {}",
                    failure.message
                ),
            )
        })?;
        Err(Failure::transient(
            "switch.taken-back",
            format!("only part of the names was swapped ({places}); it was taken back, and the old tables are live"),
        ))
    }
}

const SWAPPED_ALREADY: &str = "the names are swapped already";

fn is_after(seen: &[Seen]) -> bool {
    seen.iter().all(|s| s.place == Place::After)
}

fn live(swaps: &[Swap]) -> Vec<TableName> {
    swaps.iter().map(|swap| swap.live.clone()).collect()
}

fn unknown(step: &str) -> Failure {
    Failure::internal("switch.unknown-step", format!("switch-rename has no step `{step}`"))
}

fn state_of(seen: &[Seen]) -> String {
    let replaced = seen.iter().filter(|s| s.backup_exists).map(|s| s.swap.live.clone()).collect();
    serde_json::to_string(&State { replaced }).expect("names are plain data")
}

/// Empty: the outcome of the step was lost before it was journaled, and the catalogs must do.
fn replaced_from(state: &str) -> Result<Vec<TableName>, Failure> {
    if state.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str::<State>(state).map(|state| state.replaced).map_err(|e| {
        Failure::internal("switch.unreadable-state", format!("the journal's state of the switch is unreadable: {e}"))
    })
}

fn not_verified(what: &str, seen: &[Seen]) -> Failure {
    Failure::transient(
        "switch.not-verified",
        format!(
            "the server reported success, but a new connection sees that the names {what}: {}",
            names::describe(seen.iter())
        ),
    )
}

millrace_plugin_sdk::export!(SwitchRename as switcher);

#[cfg(test)]
mod tests;
