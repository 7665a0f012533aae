//! `millrace bench`.

use std::fs;

use millrace_model::Failure;
use millrace_model::quantity::grouped;

use super::{Exit, Home, Refusal, cancel_on_signal, print_json};
use crate::bench::{self, Contender, Contest, whole};
use crate::cli::{BenchCommand, BenchCopyArgs};
use crate::console;
use crate::databases::Databases;
use crate::setup::Setup;

pub(super) async fn bench(home: &Home, command: BenchCommand) -> Result<Exit, Refusal> {
    match command {
        BenchCommand::Copy(arguments) => copy(home, &arguments).await,
    }
}

async fn copy(home: &Home, arguments: &BenchCopyArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let setup = Setup::read(&home.runtime, &arguments.pipeline)?;
    let contenders = arguments
        .copier
        .iter()
        .map(|text| Contender::load(&home.runtime, text))
        .collect::<Result<Vec<Contender>, Failure>>()?;
    let databases = Databases::open(&setup, &cancel).await?;
    let contest = Contest { table: arguments.table.clone(), rows: arguments.rows, repeats: arguments.repeat };
    let said = |line: &str| note!("  {line}");
    let comparison = bench::compare(&setup, &databases, &contenders, &contest, &cancel, said).await?;

    let json = serde_json::to_string_pretty(&comparison).expect("figures are plain data");
    let save = |name: &str, text: &str| {
        let path = arguments.out.join(name);
        fs::create_dir_all(&arguments.out).and_then(|()| fs::write(&path, text)).map_err(|e| {
            Failure::config("run.output-not-writable", format!("{} cannot be written: {e}", path.display()))
        })
    };
    save("bench-copy.json", &json)?;
    save("bench-copy.html", &comparison.to_html())?;
    if arguments.json {
        print_json(&comparison);
    } else {
        let mut table =
            console::table(&["copier", "rows/s", "of the floor", "p50 ms", "p99 ms", "processor s", "peak MiB"]);
        for standing in &comparison.copiers {
            // Of the copy in the middle of its rates.
            let mut copies: Vec<_> = standing.copies.iter().collect();
            copies.sort_by(|a, b| a.rows_per_second.total_cmp(&b.rows_per_second));
            let Some(copy) = copies.get(copies.len() / 2) else { continue };
            let hundredths = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
            let tenths = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.1}"));
            table.add_row([
                standing.copier.clone(),
                grouped(whole(standing.median_rows_per_second)),
                hundredths(standing.floor_ratio),
                format!("{:.1}", copy.statements.p50_ms),
                format!("{:.1}", copy.statements.p99_ms),
                hundredths(copy.processor_seconds),
                tenths(copy.peak_memory_mib),
            ]);
        }
        say!("{table}");
        for note in &comparison.notes {
            say!("{note}");
        }
        say!("saved {0}/bench-copy.json and {0}/bench-copy.html", arguments.out.display());
    }
    if comparison.is_equal {
        return Ok(Exit::Done);
    }
    Err(Failure::data("bench.copies-differ", "the copies do not hold the same rows".to_owned()).into())
}
