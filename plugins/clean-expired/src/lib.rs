//! Cleaner: backups past their grace and shadows of dead runs.
//!
//! The host offers only what runs of this pipeline made or swapped out, and only of runs that have ended. A
//! backup is the way back, and stays until its grace is over; a shadow of a dead run is of use to nobody, and
//! stays a little only for whoever looks for the cause.

use millrace_plugin_sdk::configuration;
use millrace_plugin_sdk::handle::Tables;
use millrace_plugin_sdk::kind::{Artefact, ArtefactKind, Removal};
use millrace_plugin_sdk::{Cleaner, Failure, Plugin, Problem, log, schemars, serde};

/// What to keep, and for how long.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct Config {
    /// How long a backup stays after the switch: `90s`, `24h`, `7d`.
    pub grace: String,
    /// How long a shadow of a dead run stays after it was made.
    pub shadows: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { grace: "24h".to_owned(), shadows: "1h".to_owned() }
    }
}

/// Removes what has expired.
#[derive(Debug)]
pub struct CleanExpired {
    config: Config,
    grace_seconds: u64,
    shadow_seconds: u64,
}

impl Plugin for CleanExpired {
    const NAME: &'static str = "clean-expired";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Drops backups past their grace period and shadows of dead runs.";
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Vec<Problem>> {
        let seconds = |key: &str, text: &str| {
            configuration::seconds(text).map_err(|message| Problem { path: format!("/{key}"), message })
        };
        match (seconds("grace", &config.grace), seconds("shadows", &config.shadows)) {
            (Ok(grace_seconds), Ok(shadow_seconds)) => Ok(Self { config, grace_seconds, shadow_seconds }),
            (grace, shadows) => Err([grace, shadows].into_iter().filter_map(Result::err).collect()),
        }
    }
}

impl Cleaner for CleanExpired {
    fn plan(&self, artefacts: &[Artefact]) -> Result<Vec<Removal>, Failure> {
        Ok(artefacts.iter().filter_map(|artefact| self.removal(artefact)).collect())
    }

    fn apply(&self, removal: &Removal, target: &dyn Tables) -> Result<(), Failure> {
        let table = &removal.table;
        if !target.exists(table)? {
            log::info(&format!("{table} is gone already"));
            // The host forgets a table that it drops; one that somebody else dropped is forgotten by the same call.
            return if target.owned(table)? { target.remove(table) } else { Ok(()) };
        }
        if !target.owned(table)? {
            return Err(Failure::data(
                "clean.not-owned",
                format!("{table} was not made by a run of this pipeline, and is left as it is"),
            )
            .with("table", table.to_string()));
        }
        if let Some(place) = target.archive(table)? {
            log::info(&format!("{table} is archived at {place}"));
        }
        target.remove(table)
    }
}

impl CleanExpired {
    fn removal(&self, artefact: &Artefact) -> Option<Removal> {
        let (keep_seconds, what, period) = match artefact.kind {
            ArtefactKind::Backup => (self.grace_seconds, "backup", &self.config.grace),
            ArtefactKind::Shadow => (self.shadow_seconds, "shadow", &self.config.shadows),
        };
        (artefact.age_seconds >= keep_seconds).then(|| Removal {
            table: artefact.table.clone(),
            why: format!("{what} of run {}, {} old, kept for {period}", artefact.run, age(artefact.age_seconds)),
        })
    }
}

/// An age for people, in its two largest units.
fn age(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

millrace_plugin_sdk::export!(CleanExpired as cleaner);

#[cfg(test)]
mod tests;
