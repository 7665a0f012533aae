//! `millrace model export`, `diff`.

use std::fs;
use std::path::Path;

use millrace_model::schema::DatabaseModel;
use millrace_model::{Change, Failure, document};
use millrace_runtime::StageContext;

use super::{Exit, Home, Refusal, cancel_on_signal, print_json};
use crate::cli::{ModelCommand, WhichDatabase};
use crate::databases::Databases;
use crate::planner;
use crate::setup::{Setup, load_builtin};

pub(super) async fn model(home: &Home, command: ModelCommand) -> Result<Exit, Refusal> {
    match command {
        ModelCommand::Export { pipeline, database, out } => {
            let cancel = cancel_on_signal();
            let setup = Setup::read(&home.runtime, &pipeline)?;
            let databases = Databases::open(&setup, &cancel).await?;
            let model = match database {
                WhichDatabase::Source => {
                    let mut model = planner::selected_source(&setup, &databases, &cancel).await?;
                    if let Some(source) = &databases.source {
                        planner::add_profiles(&setup, source, &mut model, &cancel).await?;
                    }
                    model
                }
                WhichDatabase::Target => planner::selected_target(&setup, &databases, &cancel).await?,
            };
            let text = document::write(&model);
            match out {
                Some(path) => fs::write(&path, text).map_err(|e| {
                    Failure::config("run.output-not-writable", format!("{} cannot be written: {e}", path.display()))
                })?,
                None => say!("{text}"),
            }
            Ok(Exit::Done)
        }
        ModelCommand::Diff { desired, current, json } => {
            let changes = match current {
                Some(current) => {
                    let (desired, current) = (read(&desired)?, read(&current)?);
                    refuse_other_dialects(&desired, &current)?;
                    let mut differ =
                        load_builtin(&home.runtime, "differ")?.differ(&StageContext::new("differ", "{}"))?;
                    differ.diff(&desired, &current)?
                }
                None if desired.extension().is_some_and(|extension| extension == "json") => {
                    return Err(Failure::config(
                        "model.nothing-to-compare-with",
                        format!("{} is a model: name the one to compare it with, or a pipeline", desired.display()),
                    )
                    .into());
                }
                None => {
                    let cancel = cancel_on_signal();
                    let setup = Setup::read(&home.runtime, &desired)?;
                    let databases = Databases::open(&setup, &cancel).await?;
                    planner::plan(&setup, &databases, &cancel).await?.plan.changes().cloned().collect()
                }
            };
            print(&changes, json);
            Ok(Exit::Done)
        }
    }
}

fn read(path: &Path) -> Result<DatabaseModel, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|e| Failure::config("model.unreadable", format!("{} cannot be read: {e}", path.display())))?;
    document::read(&text)
}

/// Types are compared as they are spelled, and each kind of database spells them its own way.
fn refuse_other_dialects(desired: &DatabaseModel, current: &DatabaseModel) -> Result<(), Failure> {
    if (desired.dialect == "postgres") == (current.dialect == "postgres") {
        return Ok(());
    }
    Err(Failure::config(
        "model.dialects-differ",
        format!(
            "one model is {}'s and the other {}'s: only a pipeline's converters say what a type of the one is in the other",
            desired.dialect, current.dialect
        ),
    ))
}

fn print(changes: &[Change], json: bool) {
    if json {
        print_json(&changes);
        return;
    }
    if changes.is_empty() {
        say!("no change");
    }
    for change in changes {
        say!(
            "{:9} {} {} of {}: {} -> {}{}",
            format!("{:?}", change.kind).to_lowercase(),
            change.subject,
            change.name,
            change.table,
            change.before.as_deref().unwrap_or("nothing"),
            change.after.as_deref().unwrap_or("nothing"),
            if change.destructive { "  [destroys]" } else { "" }
        );
    }
}
