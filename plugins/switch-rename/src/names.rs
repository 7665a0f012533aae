//! Which names exist, and what that says about how far a switch has come.

use std::collections::BTreeSet;

use millrace_plugin_sdk::Failure;
use millrace_plugin_sdk::handle::Tables;
use millrace_plugin_sdk::kind::Swap;
use millrace_plugin_sdk::model::TableName;

/// Where a table of a switch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The new table is the shadow.
    Before,
    /// The old table is the backup, and the new one still the shadow.
    Half,
    /// The new table is live.
    After,
}

/// One table of a switch, as the catalogs show it.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) swap: &'a Swap,
    pub(crate) place: Place,
    live_exists: bool,
    pub(crate) backup_exists: bool,
}

impl Seen<'_> {
    /// The renames that swap it.
    pub(crate) fn forward(&self) -> Vec<(TableName, TableName)> {
        let Swap { live, shadow, backup } = self.swap;
        let mut renames = Vec::new();
        if self.place == Place::Before {
            if self.live_exists {
                renames.push((live.clone(), backup.clone()));
            }
            renames.push((shadow.clone(), live.clone()));
        }
        renames
    }

    /// The renames that swap it back.
    pub(crate) fn backward(&self) -> Vec<(TableName, TableName)> {
        let Swap { live, shadow, backup } = self.swap;
        let mut renames = Vec::new();
        if self.place == Place::After {
            renames.push((live.clone(), shadow.clone()));
        }
        if self.backup_exists {
            renames.push((backup.clone(), live.clone()));
        }
        renames
    }
}

/// Reads the names of all tables, at one instant.
///
/// # Errors
/// `switch.unexpected-tables` when the names say nothing that a switch leaves behind: a person must look.
pub(crate) fn read<'a>(swaps: &'a [Swap], target: &dyn Tables) -> Result<Vec<Seen<'a>>, Failure> {
    let names: Vec<TableName> = swaps.iter().flat_map(|s| [&s.live, &s.shadow, &s.backup]).cloned().collect();
    let existing: BTreeSet<TableName> = target.existing(&names)?.into_iter().collect();
    // A table that is new in the target leaves no backup: the host lists one only where it replaces a table.
    let alone = |swap: &&Swap| {
        existing.contains(&swap.live) && !existing.contains(&swap.shadow) && !existing.contains(&swap.backup)
    };
    let doubtful: Vec<TableName> = swaps.iter().filter(alone).flat_map(|s| [&s.shadow, &s.backup]).cloned().collect();
    let owned = if doubtful.is_empty() { Vec::new() } else { target.owned_among(&doubtful)? };
    let owned: BTreeSet<TableName> = owned.into_iter().collect();
    swaps.iter().map(|swap| read_one(swap, &existing, &owned)).collect()
}

fn read_one<'a>(
    swap: &'a Swap,
    existing: &BTreeSet<TableName>,
    owned: &BTreeSet<TableName>,
) -> Result<Seen<'a>, Failure> {
    let live_exists = existing.contains(&swap.live);
    let shadow_exists = existing.contains(&swap.shadow);
    let backup_exists = existing.contains(&swap.backup);
    let place = match (live_exists, shadow_exists, backup_exists) {
        (_, true, false) => Place::Before,
        (false, true, true) => Place::Half,
        (true, false, true) => Place::After,
        (true, false, false) if owned.contains(&swap.shadow) && !owned.contains(&swap.backup) => Place::After,
        _ => return Err(unexpected(swap, live_exists, shadow_exists, backup_exists)),
    };
    Ok(Seen { swap, place, live_exists, backup_exists })
}

fn unexpected(swap: &Swap, live: bool, shadow: bool, backup: bool) -> Failure {
    let names = [(&swap.live, live), (&swap.shadow, shadow), (&swap.backup, backup)];
    let those = |wanted: bool| {
        let those: Vec<String> =
            names.iter().filter(|(_, exists)| *exists == wanted).map(|(name, _)| name.to_string()).collect();
        if those.is_empty() { "none of the three".to_owned() } else { those.join(" and ") }
    };
    Failure::data(
        "switch.unexpected-tables",
        format!(
            "of the tables of the swap, {} exist and {} are missing; no name was changed",
            those(true),
            those(false)
        ),
    )
    .with("table", swap.live.to_string())
}

/// For messages.
pub(crate) fn describe<'a>(seen: impl Iterator<Item = &'a Seen<'a>>) -> String {
    let each: Vec<String> = seen
        .map(|seen| match seen.place {
            Place::Before => format!("{} is not swapped", seen.swap.live),
            Place::Half => format!("{} is missing, its old table is {}", seen.swap.live, seen.swap.backup),
            Place::After => format!("{} is swapped", seen.swap.live),
        })
        .collect();
    each.join(", ")
}
