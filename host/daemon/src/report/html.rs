//! A report as one self-contained page: no script, no font, no picture from elsewhere.

use std::fmt::{self, Write as _};

use millrace_model::comparison::{Verdict, percent};
use millrace_model::quantity::grouped;

use super::{Report, byte_size};
use crate::wording;

pub(crate) const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --weak: #888; --good: #2a7d46; --bad: #b3261e; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code, td.code { font: 0.85rem ui-monospace, monospace; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; } .weak { color: var(--weak); }
.facts { display: flex; flex-wrap: wrap; gap: 0.5rem 2.5rem; margin: 1.5rem 0; }
.facts b { display: block; font-size: 1.4rem; font-weight: 600; }
details { margin: 0.4rem 0; } summary { cursor: pointer; }
.scroll { overflow-x: auto; }
";

/// Text in HTML.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A heading, its table's columns and rows; nothing when there are no rows. Columns named with a leading `#`
/// hold numbers, with a leading backtick code.
pub(crate) fn table(out: &mut String, title: &str, columns: &[&str], rows: &[Vec<String>]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let class = |column: &str| match column.chars().next() {
        Some('#') => " class=\"number\"",
        Some('`') => " class=\"code\"",
        _ => "",
    };
    if !title.is_empty() {
        writeln!(out, "<h2>{}</h2>", Escaped(title))?;
    }
    writeln!(out, "<div class=\"scroll\"><table><thead><tr>")?;
    for column in columns {
        write!(
            out,
            "<th{}>{}</th>",
            class(column).replace("code", ""),
            Escaped(column.trim_start_matches(['#', '`']))
        )?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for row in rows {
        write!(out, "<tr>")?;
        for (column, value) in columns.iter().zip(row) {
            let mark = match value.as_str() {
                "passed" => " class=\"good\"",
                "FAILED" | "destroys" => " class=\"bad\"",
                _ => class(column),
            };
            write!(out, "<td{mark}>{}</td>", Escaped(value))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></div>")
}

/// The whole page.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("writing to a string");
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    let summary = &report.summary;
    let title = format!("Run {} of {}", report.run, report.pipeline);
    let mood = match report.state.as_str() {
        "done" => "good",
        "failed" => "bad",
        _ => "weak",
    };
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head><body>\n<h1>{} <span class=\"{mood}\">{}</span></h1>\n",
        Escaped(&title),
        Escaped(&title),
        Escaped(&wording::state(&report.state)),
    )?;
    writeln!(
        out,
        "<p>From {} to {}, begun {}, last changed {}.</p>",
        Escaped(&report.source),
        Escaped(&report.target),
        report.created_at,
        report.updated_at
    )?;
    writeln!(out, "<div class=\"facts\">")?;
    let consistent = if summary.consistency.is_some() {
        percent(summary.rows_equal, summary.rows_compared)
    } else {
        "–".to_owned()
    };
    for (value, name) in [
        (consistent, "consistent"),
        (grouped(summary.rows), "rows"),
        (byte_size(summary.bytes), "copied"),
        (format!("{:.1} s", summary.seconds), "in all"),
        (grouped(summary.rows_per_second.max(0.0).round() as u64), "rows/s"),
        (summary.created.to_string(), report.said("created", "to create")),
        (summary.rebuilt.to_string(), report.said("rebuilt", "to rebuild")),
        (summary.kept.to_string(), report.said("kept", "to keep")),
        (summary.left.to_string(), "only in the target"),
        (grouped(summary.rejects), "rejected"),
    ] {
        writeln!(out, "<span><b>{value}</b>{name}</span>")?;
    }
    writeln!(out, "</div>")?;
    if let Some(failure) = &report.failure {
        writeln!(
            out,
            "<p class=\"bad\">It stopped: {} <code>{}</code></p>",
            Escaped(&failure.message),
            Escaped(&failure.code)
        )?;
    }
    if !report.next.is_empty() {
        writeln!(out, "<h2>What to do next</h2><ul>")?;
        for step in &report.next {
            writeln!(out, "<li>{}</li>", Escaped(step))?;
        }
        writeln!(out, "</ul>")?;
    }
    tables(out, report)?;
    let changes: Vec<_> = report
        .changes
        .iter()
        .map(|c| {
            vec![
                c.table.to_string(),
                format!("{} {:?}", c.subject, c.kind).to_lowercase(),
                c.name.clone(),
                c.before.clone().unwrap_or_default(),
                c.after.clone().unwrap_or_default(),
                if c.destructive { "destroys".to_owned() } else { String::new() },
            ]
        })
        .collect();
    table(out, "Changes", &["table", "what", "name", "`before", "`after", ""], &changes)?;
    let views: Vec<_> = report
        .views
        .iter()
        .map(|view| {
            let (state, message) = view.words();
            vec![view.target.clone(), view.strategy.word().to_owned(), state.to_owned(), message]
        })
        .collect();
    table(out, "Views", &["view", "strategy", "what became of it", "why"], &views)?;
    let not_carried: Vec<_> = report
        .not_carried
        .iter()
        .map(|n| vec![n.kind.clone(), n.name.clone(), n.reason.clone(), n.advice.clone()])
        .collect();
    table(out, "Not carried over", &["what", "name", "why", "what to do"], &not_carried)?;
    let rejects: Vec<_> = report
        .rejects
        .iter()
        .map(|r| {
            vec![
                r.table.clone(),
                r.key.clone(),
                r.column.clone().unwrap_or_default(),
                r.value.clone().unwrap_or_else(|| "NULL".to_owned()),
                r.reason.clone(),
                r.code.clone(),
            ]
        })
        .collect();
    table(out, "Rejected rows", &["table", "`key", "column", "`value", "why", "`code"], &rejects)?;
    let more = report.rejects_not_listed();
    if more > 0 {
        let words = format!("And {} more: millrace rejects {} lists them all.", grouped(more), report.run);
        writeln!(out, "<p>{}</p>", Escaped(&words))?;
    }
    if let Some(switch) = &report.switch {
        let words = format!(
            "Writers were kept off for {:.0} ms of {:.0} ms, in attempt {}, by {}.",
            switch.blocked_ms, switch.budget_ms, switch.attempts, switch.fence
        );
        writeln!(out, "<h2>Switch</h2><p>{}</p>", Escaped(&words))?;
        let failures: Vec<_> = switch.failures.iter().map(|failure| vec![failure.clone()]).collect();
        table(out, "Attempts that failed", &["why"], &failures)?;
        let left: Vec<_> = switch.left_behind.iter().map(|written| vec![written.clone()]).collect();
        table(out, "In the backups only", &["what applications wrote to the old tables"], &left)?;
    }
    let discarded: Vec<_> = report
        .discarded
        .iter()
        .map(|rows| vec![rows.message.clone(), rows.kept_in.clone(), rows.query.clone()])
        .collect();
    table(out, "Rows that were taken back", &["what", "they are in", "`to read them"], &discarded)?;
    let timings: Vec<_> =
        report.timings.iter().map(|t| vec![wording::phase(&t.stage).to_owned(), format!("{:.2}", t.seconds)]).collect();
    table(out, "Timings", &["stage", "#seconds"], &timings)?;
    writeln!(out, "<h2>Mapping decisions</h2>")?;
    for entry in report.tables.iter().filter(|t| !t.mappings.is_empty()) {
        writeln!(
            out,
            "<details><summary>{} <span class=\"weak\">{}: {}</span></summary>",
            Escaped(&entry.target),
            entry.strategy.word(),
            Escaped(&entry.reason)
        )?;
        let rows: Vec<_> = entry
            .mappings
            .iter()
            .map(|m| vec![m.sources.join(", "), m.targets.join(", "), m.converter.clone(), m.why.clone()])
            .collect();
        table(out, "", &["`source", "`target", "by", "why"], &rows)?;
        for note in &entry.notes {
            writeln!(out, "<p>{}</p>", Escaped(note))?;
        }
        writeln!(out, "</details>")?;
    }
    writeln!(out, "</body></html>")
}

fn tables(out: &mut String, report: &Report) -> fmt::Result {
    let rows: Vec<_> = report
        .tables
        .iter()
        .map(|t| {
            let copy = t.copy.as_ref();
            let verdict = t.validation.as_ref().map_or_else(String::new, |v| {
                let score = percent(v.validation.rows_equal, v.validation.rows_compared);
                match v.validation.verdict {
                    Verdict::Passed => format!("passed, {score}"),
                    Verdict::Failed => format!("FAILED, {score}"),
                }
            });
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            // a rate for people
            let rate = copy.filter(|c| c.seconds > 0.0).map(|c| grouped((c.rows as f64 / c.seconds) as u64));
            vec![
                t.target.clone(),
                t.strategy.word().to_owned(),
                copy.map(|c| grouped(c.rows)).unwrap_or_default(),
                copy.map(|c| byte_size(c.bytes)).unwrap_or_default(),
                rate.unwrap_or_default(),
                copy.map(|c| c.digest.clone()).unwrap_or_default(),
                verdict,
                t.backup.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(
        out,
        "Tables",
        &["table", "strategy", "#rows", "#size", "#rows/s", "`checksum of the rows", "validated", "`the old table"],
        &rows,
    )?;
    for entry in &report.tables {
        for finding in entry.validation.iter().flat_map(|v| &v.validation.findings) {
            writeln!(
                out,
                "<p class=\"bad\">{}: {} <code>{} {}</code></p><p>{}</p>",
                Escaped(&entry.target),
                Escaped(&finding.message),
                Escaped(&finding.code),
                Escaped(finding.cause.as_deref().unwrap_or_default()),
                Escaped(finding.repair.as_deref().unwrap_or_default()),
            )?;
            let rows: Vec<_> = finding
                .differences
                .iter()
                .map(|d| {
                    vec![
                        d.key.join(", "),
                        d.column.clone().unwrap_or_else(|| "row".to_owned()),
                        d.source.clone().unwrap_or_default(),
                        d.target.clone().unwrap_or_default(),
                    ]
                })
                .collect();
            table(out, "", &["`key", "column", "`source", "`target"], &rows)?;
        }
    }
    Ok(())
}
