//! A report as Markdown.

use std::fmt::Write as _;

use millrace_model::comparison::{Verdict, percent};
use millrace_model::quantity::{counted, grouped};

use super::{Report, TableReport, byte_size};
use crate::wording;

/// The whole report.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("writing to a string");
    out
}

/// Text within a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let summary = &report.summary;
    writeln!(out, "# Run {} of {}: {}\n", report.run, report.pipeline, wording::state(&report.state))?;
    writeln!(
        out,
        "From {} to {}, begun {}, last changed {}.\n",
        report.source, report.target, report.created_at, report.updated_at
    )?;
    writeln!(
        out,
        "{}. {} ({}) in {:.1} s, copied at {:.0} rows/s; {} rejected.\n",
        report.tables_in_words(),
        counted(summary.rows, "row"),
        byte_size(summary.bytes),
        summary.seconds,
        summary.rows_per_second,
        counted(summary.rejects, "row"),
    )?;
    if summary.consistency.is_some() {
        writeln!(
            out,
            "Consistency: {} of {} compared rows are equal ({}).\n",
            grouped(summary.rows_equal),
            grouped(summary.rows_compared),
            percent(summary.rows_equal, summary.rows_compared),
        )?;
    }
    if let Some(failure) = &report.failure {
        writeln!(out, "**It stopped:** {failure}\n")?;
    }
    if !report.next.is_empty() {
        writeln!(out, "## What to do next\n")?;
        for step in &report.next {
            writeln!(out, "- {step}")?;
        }
        writeln!(out)?;
    }
    tables(out, report)?;
    if !report.changes.is_empty() {
        writeln!(out, "## Changes\n\n| table | what | before | after | destroys |\n|---|---|---|---|---|")?;
        for change in &report.changes {
            writeln!(
                out,
                "| {} | {} {} {} | {} | {} | {} |",
                cell(&change.table.to_string()),
                change.subject,
                format!("{:?}", change.kind).to_lowercase(),
                cell(&change.name),
                cell(change.before.as_deref().unwrap_or("")),
                cell(change.after.as_deref().unwrap_or("")),
                if change.destructive { "yes" } else { "" },
            )?;
        }
        writeln!(out)?;
    }
    if !report.views.is_empty() {
        writeln!(out, "## Views\n\n| view | strategy | what became of it | why |\n|---|---|---|---|")?;
        for view in &report.views {
            let (state, message) = view.words();
            writeln!(out, "| {} | {} | {state} | {} |", cell(&view.target), view.strategy.word(), cell(&message))?;
        }
        writeln!(out)?;
    }
    if !report.not_carried.is_empty() {
        writeln!(out, "## Not carried over\n\n| what | name | why | what to do |\n|---|---|---|---|")?;
        for entry in &report.not_carried {
            writeln!(
                out,
                "| {} | {} | {} | {} |",
                cell(&entry.kind),
                cell(&entry.name),
                cell(&entry.reason),
                cell(&entry.advice)
            )?;
        }
        writeln!(out)?;
    }
    if !report.rejects.is_empty() {
        writeln!(out, "## Rejected rows\n\n| table | key | column | value | why |\n|---|---|---|---|---|")?;
        for row in &report.rejects {
            writeln!(
                out,
                "| {} | {} | {} | {} | {} [{}] |",
                cell(&row.table),
                cell(&row.key),
                cell(row.column.as_deref().unwrap_or("")),
                cell(row.value.as_deref().unwrap_or("NULL")),
                cell(&row.reason),
                row.code,
            )?;
        }
        writeln!(out)?;
        let more = report.rejects_not_listed();
        if more > 0 {
            writeln!(out, "And {} more: `millrace rejects {}` lists them all.\n", grouped(more), report.run)?;
        }
    }
    if let Some(switch) = &report.switch {
        writeln!(
            out,
            "## Switch\n\nWriters were kept off for {:.0} ms of {:.0} ms, in attempt {}, by {}.\n",
            switch.blocked_ms, switch.budget_ms, switch.attempts, switch.fence
        )?;
        for failure in &switch.failures {
            writeln!(out, "- an attempt failed: {failure}")?;
        }
        for written in &switch.left_behind {
            writeln!(out, "- {written}: that is in the backup only")?;
        }
        if !switch.failures.is_empty() || !switch.left_behind.is_empty() {
            writeln!(out)?;
        }
    }
    if !report.discarded.is_empty() {
        writeln!(
            out,
            "## Rows that were taken back\n\nApplications wrote them to new tables that are not live any more. They are there until the cleaner's grace is over.\n"
        )?;
        writeln!(out, "| what | they are in | to read them |\n|---|---|---|")?;
        for rows in &report.discarded {
            writeln!(out, "| {} | {} | `{}` |", cell(&rows.message), rows.kept_in, rows.query)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "## Timings\n\n| stage | seconds |\n|---|---:|")?;
    for timing in &report.timings {
        writeln!(out, "| {} | {:.2} |", wording::phase(&timing.stage), timing.seconds)?;
    }
    writeln!(out)?;
    for table in report.tables.iter().filter(|t| !t.mappings.is_empty()) {
        mapping_decisions(out, table)?;
    }
    Ok(())
}

fn tables(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "## Tables\n\n| table | strategy | rows | size | rows/s | checksum of the rows | validated |\n|---|---|---:|---:|---:|---|---|"
    )?;
    for table in &report.tables {
        let copy = table.copy.as_ref();
        #[allow(clippy::cast_precision_loss)] // a rate for people
        let rate = copy.filter(|c| c.seconds > 0.0).map(|c| format!("{:.0}", c.rows as f64 / c.seconds));
        let validated = table.validation.as_ref().map_or_else(String::new, |v| {
            let score = percent(v.validation.rows_equal, v.validation.rows_compared);
            match v.validation.verdict {
                Verdict::Passed => format!("passed, {score}"),
                Verdict::Failed => format!("FAILED, {score}"),
            }
        });
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {validated} |",
            cell(&table.target),
            table.strategy.word(),
            copy.map(|c| grouped(c.rows)).unwrap_or_default(),
            copy.map(|c| byte_size(c.bytes)).unwrap_or_default(),
            rate.unwrap_or_default(),
            copy.map(|c| c.digest.as_str()).unwrap_or_default(),
        )?;
    }
    writeln!(out)?;
    for table in &report.tables {
        for finding in table.validation.iter().flat_map(|v| &v.validation.findings) {
            let cause = finding.cause.as_deref().map(|cause| format!(", {cause}")).unwrap_or_default();
            writeln!(out, "- **{}**: {} [{}{cause}]", table.target, finding.message, finding.code)?;
            for difference in finding.differences.iter().take(10) {
                writeln!(
                    out,
                    "  - key {:?}, {}: {} at the source, {} at the target",
                    difference.key,
                    difference.column.as_deref().unwrap_or("row"),
                    difference.source.as_deref().unwrap_or("nothing"),
                    difference.target.as_deref().unwrap_or("nothing"),
                )?;
            }
            if let Some(repair) = &finding.repair {
                writeln!(out, "  - to mend it: {repair}")?;
            }
        }
    }
    Ok(())
}

fn mapping_decisions(out: &mut String, table: &TableReport) -> std::fmt::Result {
    writeln!(out, "## {} ({}: {})\n", table.target, table.strategy.word(), table.reason)?;
    writeln!(out, "| source | target | by | why |\n|---|---|---|---|")?;
    for mapping in &table.mappings {
        let targets = if mapping.targets.is_empty() { "dropped".to_owned() } else { mapping.targets.join(", ") };
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            cell(&mapping.sources.join(", ")),
            cell(&targets),
            mapping.converter,
            cell(&mapping.why)
        )?;
    }
    writeln!(out)?;
    for note in &table.notes {
        writeln!(out, "- {note}")?;
    }
    if !table.notes.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}
