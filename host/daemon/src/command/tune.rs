//! `millrace tune`.

use millrace_model::quantity::{counted, grouped};

use super::{Exit, Home, Refusal, print_json};
use crate::cli::TuneArgs;
use crate::run::{self, Tuned, TuningChange};

pub(super) async fn tune(home: &Home, arguments: &TuneArgs) -> Result<Exit, Refusal> {
    let record = home.store.run_of(&arguments.run.run, arguments.run.pipeline.as_deref()).await?;
    let paused = match (arguments.pause, arguments.resume) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let change = TuningChange { workers: arguments.workers, rows_per_second: arguments.rows_per_second, paused };
    let tuned = run::tune(&home.store, &record, change).await?;
    if arguments.run.json {
        print_json(&tuned);
    } else {
        say!("{}", describe(&tuned));
    }
    Ok(Exit::Done)
}

/// `run 20261121-…: 4 workers, at most 50,000 rows/s, paused`.
fn describe(tuned: &Tuned) -> String {
    let workers = match tuned.tuning.workers {
        Some(workers) => counted(workers.into(), "worker"),
        None => "workers as planned".to_owned(),
    };
    let rate = match tuned.tuning.rows_per_second {
        Some(rows) => format!("at most {} rows/s", grouped(rows)),
        None => "rows/s as the pipeline says".to_owned(),
    };
    let paused = if tuned.tuning.paused { ", paused" } else { "" };
    let when = if tuned.in_effect { "" } else { "; it is not copying yet, and will go so when it does" };
    format!("run {}: {workers}, {rate}{paused}{when}", tuned.run)
}
