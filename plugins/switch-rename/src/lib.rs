//! Switcher: one atomic rename for all tables of a run.
//!
//! A switch is one step. Its life, for every table: *before*, the new table has the shadow's name and the old
//! one, if there is one, the live name; *after*, the new table has the live name and the old one the backup's.
//! One statement takes all tables from before to after, and one takes them back. Since the answer to a statement
//! can be lost, the step never trusts an outcome: it reads which names exist, acts on what it sees, and reads
//! again. So a step may be applied or undone any number of times.
//!
//! A server that stops in the middle of a rename may leave *half* of it: the old table moved away and the new
//! one not in its place. Half a rename is always taken back, so that the name has exactly one owner.

mod names;

use millrace_plugin_sdk::configuration;
use millrace_plugin_sdk::handle::Tables;
use millrace_plugin_sdk::kind::{Step, Swap};
use millrace_plugin_sdk::model::TableName;
use millrace_plugin_sdk::{Failure, Plugin, Problem, Switcher, log, schemars, serde, serde_json};
use names::{Place, Seen};

const RENAME: &str = "rename";

/// How long to wait.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct Config {
    /// How long the rename may wait for locks that others hold: `30s`.
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
        let title = match swaps {
            [swap] => format!("Put {} in the place of {}", swap.shadow, swap.live),
            _ => format!("Put {} new tables in the places of the old ones, in one statement", swaps.len()),
        };
        Ok(vec![Step { id: RENAME.to_owned(), title }])
    }

    fn apply(&self, step: &str, swaps: &[Swap], target: &dyn Tables) -> Result<String, Failure> {
        known(step)?;
        let seen = names::read(swaps, target)?;
        if seen.iter().all(|s| s.place == Place::After) {
            log::info("the names are swapped already");
            return Ok(state_of(&seen));
        }
        self.take_back_half(&seen, target)?;
        let renames: Vec<_> = seen.iter().flat_map(Seen::forward).collect();
        let outcome = target.rename_all(&renames, self.timeout_ms);

        let after = names::read(swaps, target).map_err(|looking| outcome.clone().err().unwrap_or(looking))?;
        if after.iter().all(|s| s.place == Place::After) {
            return Ok(state_of(&after));
        }
        self.take_back_half(&after, target)?;
        Err(outcome.err().unwrap_or_else(|| not_verified("are as they were before", &after)))
    }

    fn undo(&self, step: &str, state: &str, swaps: &[Swap], target: &dyn Tables) -> Result<(), Failure> {
        known(step)?;
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
        let renames: Vec<_> = seen.iter().flat_map(Seen::backward).collect();
        let outcome = target.rename_all(&renames, self.timeout_ms);
        let after = names::read(swaps, target).map_err(|looking| outcome.clone().err().unwrap_or(looking))?;
        if before(&after) {
            return Ok(());
        }
        Err(outcome.err().unwrap_or_else(|| not_verified("are not back", &after)))
    }
}

impl SwitchRename {
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

fn known(step: &str) -> Result<(), Failure> {
    if step == RENAME {
        return Ok(());
    }
    Err(Failure::internal("switch.unknown-step", format!("switch-rename has no step `{step}`")))
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
