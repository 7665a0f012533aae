//! `millrace plan`: says what a run would do, and writes it down for `millrace apply`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use millrace_model::quantity::counted;
use millrace_model::{Cancel, ChangeKind, Failure, Plan, Strategy, TablePlan, document};

use super::{Exit, Home, Refusal, cancel_on_signal, print_json};
use crate::cli::PlanArgs;
use crate::databases::Databases;
use crate::output::put;
use crate::planner::{self, Planned};
use crate::private;
use crate::report::{definition, mappings};
use crate::run;
use crate::setup::Setup;
use crate::target_rows;
use crate::wording;

pub(super) async fn plan(home: &Home, arguments: &PlanArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let (setup, databases) = Databases::open_with(&home.runtime, &arguments.pipeline.pipeline, &cancel).await?;
    let mut planned = planner::plan(&setup, &databases, &cancel).await?;
    target_rows::look(&setup, &databases, &planned.current, &mut planned.plan, &cancel).await?;
    if let Some(folder) = &arguments.out {
        write_out(folder, &setup, &planned)?;
    }
    let tried = if arguments.try_out { Some(try_out(home, &databases, &planned, &cancel).await) } else { None };
    if arguments.pipeline.json {
        // One document: the plan, or why it cannot be carried out.
        tried.unwrap_or(Ok(()))?;
        print_json(&planned.plan);
        return Ok(Exit::Done);
    }
    put(format_args!("{}", describe(&planned.plan, Detail::Columns)));
    if let Some(folder) = &arguments.out {
        say!("\nwritten to {}; carry it out with: millrace apply {}", folder.display(), wording::typed(folder));
    }
    if let Some(tried) = tried {
        tried?;
        note!("\ntried on empty tables: the target takes all of its statements");
    }
    Ok(Exit::Done)
}

async fn try_out(home: &Home, databases: &Databases, planned: &Planned, cancel: &Cancel) -> Result<(), Failure> {
    let target = databases.target.as_ref().ok_or_else(|| {
        Failure::config("pipeline.database-without-url", "a plan is tried at its target, which has no url")
    })?;
    run::try_plan(&home.store, target, planned, cancel).await
}

/// How much of a plan is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Tables and changes.
    Tables,
    /// Every column, with the reason for what becomes of it.
    Columns,
}

/// A plan for people.
pub(crate) fn describe(plan: &Plan, detail: Detail) -> String {
    let mut out = String::new();
    write_plan(&mut out, plan, detail).expect("writing to a string");
    out
}

fn write_plan(out: &mut String, plan: &Plan, detail: Detail) -> std::fmt::Result {
    writeln!(
        out,
        "plan of {}: {} {} to {} {}\n",
        plan.pipeline, plan.source.dialect, plan.source.version, plan.target.dialect, plan.target.version
    )?;
    for table in &plan.tables {
        let rows = if table.strategy.builds() { format!(" ({})", size(table)) } else { String::new() };
        writeln!(out, "{:8} {}{rows}: {}", table.strategy.word(), table.target, table.reason)?;
        // What a kept table's source has and the target cannot have stays so: in one line, since nothing is done about it.
        if table.strategy == Strategy::Keep && detail == Detail::Columns && !table.notes.is_empty() {
            writeln!(out, "      note: {}", table.notes.join("; "))?;
        }
        if let Some(written) = &table.written {
            writeln!(
                out,
                "    ! {}: that stays behind in the backup, and asks for --discard-target-rows",
                written.message
            )?;
        }
        if let (Strategy::Keep, Detail::Tables, Some(numbers)) = (table.strategy, detail, &table.numbers) {
            writeln!(out, "    {}", numbers.message)?;
        }
        for change in &table.changes {
            if table.strategy != Strategy::Rebuild {
                continue;
            }
            let mark = match change.kind {
                ChangeKind::Added => '+',
                ChangeKind::Removed => '-',
                ChangeKind::Modified | ChangeKind::Renamed => '~',
            };
            let what = match (&change.before, &change.after) {
                (Some(before), Some(after)) => format!("{before} -> {after}"),
                (None, Some(after)) => after.clone(),
                (Some(before), None) => before.clone(),
                (None, None) => String::new(),
            };
            let warning = if change.destructive { "  [destroys]" } else { "" };
            writeln!(out, "    {mark} {} {}: {what}{warning}", change.subject, change.name)?;
        }
        if table.strategy.builds() && detail == Detail::Columns {
            for mapping in mappings(table) {
                let targets =
                    if mapping.targets.is_empty() { "dropped".to_owned() } else { mapping.targets.join(", ") };
                let why = if mapping.why.is_empty() { String::new() } else { format!("  # {}", mapping.why) };
                writeln!(out, "      {} -> {targets}{why}", mapping.sources.join(", "))?;
            }
            for line in table.desired.iter().flat_map(definition::constraints) {
                writeln!(out, "      {line}")?;
            }
            for note in &table.notes {
                writeln!(out, "      note: {note}")?;
            }
            for query in &table.queries {
                writeln!(out, "      asked the source ({}): {}", query.purpose, shortened(&query.sql))?;
            }
        }
    }
    views(out, plan)?;
    if !plan.not_carried.is_empty() {
        writeln!(out, "\nnot carried over:")?;
        for entry in &plan.not_carried {
            writeln!(out, "  {} {}: {}; {}", entry.kind, entry.name, entry.reason, entry.advice)?;
        }
    }
    let following: BTreeSet<&str> =
        plan.after_switch.iter().map(|s| s.purpose.as_str()).filter(|p| p.starts_with("foreign-key ")).collect();
    if !following.is_empty() {
        writeln!(out, "\nafter the switch these refer to the new tables:")?;
        for purpose in following {
            writeln!(out, "  {purpose}")?;
        }
    }
    if !plan.dependants.is_empty() {
        writeln!(out, "\nof the target's own, and not well with the new tables:")?;
        for entry in &plan.dependants {
            writeln!(out, "  {} {}: {}; {}", entry.kind, entry.name, entry.reason, entry.advice)?;
        }
    }
    if let Some(fence) = plan.fence.as_ref().filter(|_| !plan.is_empty()) {
        writeln!(out, "\nwhile names are swapped, writers are kept off by {}: {}", fence.means, fence.why)?;
    }
    if plan.is_empty() {
        writeln!(out, "\nnothing to do: source and target have the same schema")?;
    }
    Ok(())
}

/// The views that follow the tables.
fn views(out: &mut String, plan: &Plan) -> std::fmt::Result {
    if !plan.views.is_empty() {
        writeln!(out)?;
    }
    for view in &plan.views {
        writeln!(out, "{:8} view {}: {}", view.strategy.word(), view.target, view.reason)?;
        for note in view.notes.iter().filter(|_| view.strategy.builds()) {
            writeln!(out, "      note: {note}")?;
        }
    }
    Ok(())
}

/// How many rows a table has, as its source believes: one that has never counted them knows no number.
fn size(table: &TablePlan) -> String {
    match (table.estimated_rows, table.estimated_bytes) {
        (0, 1..) => "rows not counted yet".to_owned(),
        (rows, _) => format!("about {}", counted(rows, "row")),
    }
}

/// The beginning of a long query; the plan's JSON has all of it.
fn shortened(sql: &str) -> String {
    const CHARACTERS: usize = 400;
    match sql.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{} …", &sql[..end]),
        None => sql.to_owned(),
    }
}

/// The SQL of a plan, one text a table.
fn sql_files(plan: &Plan) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (number, table) in plan.builds().enumerate() {
        let mut text = format!("-- {} {}: {}\n", table.strategy.word(), table.target, table.reason);
        for statement in &table.create {
            let _ = writeln!(text, "\n{};", statement.sql);
        }
        let _ = writeln!(text, "\n-- then the rows are copied\n");
        for statement in &table.complete {
            let _ = writeln!(text, "{};", statement.sql);
        }
        let safe: String =
            table.target.name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
        files.push((format!("{:03}-{safe}.sql", number + 1), text));
    }
    if !plan.after_switch.is_empty() {
        let mut text = "-- after the names were swapped\n\n".to_owned();
        for statement in &plan.after_switch {
            let _ = writeln!(text, "{};", statement.sql);
        }
        files.push(("after-switch.sql".to_owned(), text));
    }
    if plan.made_views().next().is_some() {
        let mut text = "-- on the new tables\n".to_owned();
        for view in plan.made_views() {
            let _ = writeln!(
                text,
                "\n-- {} view {}: {}\n{};",
                view.strategy.word(),
                view.target,
                view.reason,
                view.statement
            );
        }
        files.push(("views.sql".to_owned(), text));
    }
    files
}

fn write_out(folder: &Path, setup: &Setup, planned: &Planned) -> Result<(), Failure> {
    let not_writable = |e: std::io::Error| {
        Failure::config("plan.not-writable", format!("the plan cannot be written to {}: {e}", folder.display()))
    };
    // Its owner's alone: the plan names rows by their keys.
    private::create_folder(&folder.join("sql")).map_err(not_writable)?;
    let used = fs::read_dir(folder).map_err(not_writable)?.count() > 1;
    let used = used || fs::read_dir(folder.join("sql")).map_err(not_writable)?.next().is_some();
    if used {
        return Err(Failure::config(
            "plan.folder-in-use",
            format!("{} is not empty: a plan is never written over another", folder.display()),
        ));
    }
    let write = |name: &str, text: &str| private::write(&folder.join(name), text).map_err(not_writable);
    write("plan.json", &planned.plan.to_json())?;
    write("plan.md", &format!("```text\n{}```\n", describe(&planned.plan, Detail::Columns)))?;
    write("source-model.json", &document::write(&planned.source))?;
    write("target-model.json", &document::write(&planned.current))?;
    write("pipeline.toml", &setup.text)?;
    write("run", planned.run.as_str())?;
    for (name, text) in sql_files(&planned.plan) {
        write(&format!("sql/{name}"), &text)?;
    }
    Ok(())
}
