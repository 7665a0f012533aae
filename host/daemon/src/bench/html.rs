//! A comparison as one self-contained page, with a chart.

use std::fmt::{self, Write as _};

use millrace_model::quantity::grouped;

use super::{Comparison, Standing, whole};
use crate::report::html::{Escaped, STYLE, table};

/// A bar's height, and what is between two.
const BAR: usize = 22;
const GAP: usize = 10;
/// Width of the longest bar.
const WIDTH: f64 = 460.0;
/// Where bars begin.
const LEFT: usize = 250;

pub(super) fn render(comparison: &Comparison) -> String {
    let mut out = String::new();
    write(&mut out, comparison).expect("a string takes every write");
    out
}

fn write(out: &mut String, comparison: &Comparison) -> fmt::Result {
    let Comparison { at, table: name, source, target, processors, is_equal, copiers, notes, floor_rows_per_second } =
        comparison;
    writeln!(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">")?;
    writeln!(out, "<title>Copiers of {}</title><style>{STYLE}</style></head><body>", Escaped(name))?;
    writeln!(out, "<h1>Copiers of {}</h1>", Escaped(name))?;
    let facts = format!("{source} to {target}, {processors} processors, {at}");
    writeln!(out, "<p class=\"weak\">{}</p>", Escaped(&facts))?;
    let (class, words) =
        if *is_equal { ("good", "All copies hold the same rows.") } else { ("bad", "The copies differ.") };
    writeln!(out, "<p class=\"{class}\">{words}</p>")?;
    chart(out, copiers)?;
    if let Some(floor) = floor_rows_per_second {
        let ratios: Vec<String> =
            copiers.iter().filter_map(|s| Some(format!("{} {:.2}", s.copier, s.floor_ratio?))).collect();
        let words = format!(
            "The target takes {} rows/s of statements that are ready. Of that floor: {}.",
            grouped(whole(*floor)),
            ratios.join(", ")
        );
        writeln!(out, "<p>{}</p>", Escaped(&words))?;
    }
    let seconds = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
    let rows: Vec<Vec<String>> = copiers
        .iter()
        .flat_map(|standing| {
            standing.copies.iter().map(move |copy| {
                vec![
                    standing.copier.clone(),
                    grouped(copy.rows),
                    format!("{:.2}", copy.seconds),
                    grouped(whole(copy.rows_per_second)),
                    seconds(copy.processor_seconds),
                    seconds(copy.peak_memory_mib),
                    format!("{:.1}", copy.statements.p50_ms),
                    format!("{:.1}", copy.statements.p90_ms),
                    format!("{:.1}", copy.statements.p99_ms),
                    format!("{:.1}", copy.statements.max_ms),
                    grouped(copy.chunks),
                    copy.digest.clone().unwrap_or_else(|| "not hashed".to_owned()),
                ]
            })
        })
        .collect();
    let columns = [
        "copier",
        "#rows",
        "#seconds",
        "#rows/s",
        "#processor s",
        "#peak MiB",
        "#p50 ms",
        "#p90 ms",
        "#p99 ms",
        "#max ms",
        "#chunks",
        "`digest",
    ];
    table(out, "Every copy", &columns, &rows)?;
    writeln!(out, "<h2>What is measured</h2><p>From the first chunk's begin to the last one's commit, checkpoints,")?;
    writeln!(out, "digests and transactions included. The times are those of the target's statements.</p>")?;
    for note in notes {
        writeln!(out, "<p class=\"weak\">{}</p>", Escaped(note))?;
    }
    writeln!(out, "</body></html>")
}

/// A bar for each copier's median, and a mark for each of its copies.
fn chart(out: &mut String, copiers: &[Standing]) -> fmt::Result {
    let all = copiers.iter().flat_map(|s| &s.copies).map(|c| c.rows_per_second);
    let most = all.fold(1.0, f64::max);
    let height = copiers.len() * (BAR + GAP) + GAP;
    writeln!(out, "<h2>Rows a second</h2>")?;
    writeln!(out, "<svg viewBox=\"0 0 860 {height}\" width=\"100%\" role=\"img\" aria-label=\"Rows a second\">")?;
    for (at, standing) in copiers.iter().enumerate() {
        let top = GAP + at * (BAR + GAP);
        let middle = top + BAR / 2 + 5;
        let length = WIDTH * standing.median_rows_per_second / most;
        let short: String = standing.copier.chars().take(34).collect();
        writeln!(
            out,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\" font-size=\"14\" fill=\"currentColor\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"#3b76c4\"/>\
             <text x=\"{:.1}\" y=\"{middle}\" font-size=\"14\" fill=\"currentColor\">{}</text>",
            LEFT - 10,
            Escaped(&short),
            f64::from(u32::try_from(LEFT).unwrap_or(0)) + WIDTH + 14.0,
            grouped(whole(standing.median_rows_per_second))
        )?;
        for copy in &standing.copies {
            let x = f64::from(u32::try_from(LEFT).unwrap_or(0)) + WIDTH * copy.rows_per_second / most;
            writeln!(
                out,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{}\" stroke=\"currentColor\" stroke-width=\"1.5\"/>",
                top + BAR
            )?;
        }
    }
    writeln!(out, "</svg>")
}
