//! Finds the smallest part of an expression that differs by itself.

use anyhow::Result;
use millrace_test_engines::Shared;

use super::finding::{Finding, Kind};
use super::sample::Family;
use super::subject::{Purpose, Subject, Use};
use super::trial::Trial;

/// Of so many findings at most; others are told as they are.
const FINDINGS: usize = 40;
/// So many parts of one expression, the smallest first.
const PARTS: usize = 16;

/// Tries the parts of each expression that differs, all of them in one trial.
pub(super) async fn minimise(engine: &Shared, findings: &mut [Finding]) -> Result<()> {
    let mut subjects = Vec::new();
    for (at, finding) in findings.iter().enumerate().take(FINDINGS) {
        if finding.kind == Kind::Silent && finding.used.is_some() {
            subjects.push(parts_of(finding, format!("tab{at}")));
        }
    }
    if subjects.is_empty() {
        return Ok(());
    }
    let mut trial = Trial::open(engine).await?;
    trial.make(subjects).await?;
    for found in trial.judge().await?.findings {
        let at: Option<usize> = found.subject.name.strip_prefix("tab").and_then(|number| number.parse().ok());
        let (Some(used), Some(finding)) = (&found.used, at.and_then(|at| findings.get_mut(at))) else { continue };
        let text = format!("{} ({})", used.statement(&found.subject.name), found.answers);
        if finding.smallest.as_ref().is_none_or(|smallest| text.len() < smallest.len()) {
            finding.smallest = Some(text);
        }
    }
    Ok(())
}

/// A table with the parts of the expression, each put to a use of its own.
fn parts_of(finding: &Finding, name: String) -> Subject {
    let used = finding.used.as_ref();
    let parts = used.map(|used| used.expression.smaller()).unwrap_or_default();
    let key = used.is_some_and(|used| matches!(used.purpose, Purpose::UniqueKey));
    let uses = parts.into_iter().take(PARTS).enumerate().map(|(at, part)| Use {
        number: at + 1,
        purpose: match part.family {
            _ if key => Purpose::UniqueKey,
            Family::Boolean => Purpose::Check,
            family => Purpose::Generated { declared: plain(family).to_owned(), family, how: "STORED" },
        },
        expression: part.clone(),
        selected: true,
    });
    let uses = uses.collect();
    let rows = match (&finding.row, key) {
        (Some(row), false) => vec![row.clone()],
        _ => finding.subject.rows.clone(),
    };
    Subject { name, uses, rows, filled: false, ..finding.subject.clone() }
}

fn plain(family: Family) -> &'static str {
    match family {
        Family::Integer => "bigint",
        Family::Decimal => "numeric(50,20)",
        Family::Float => "float8",
        Family::Boolean => "boolean",
        Family::Text => "text",
        Family::Enum => "mood",
        Family::Date => "date",
        Family::Timestamp => "timestamp",
        Family::TimestampTz => "timestamptz",
        Family::Time => "time",
        Family::Interval => "interval",
        Family::Uuid => "uuid",
        Family::Bytes => "bytea",
        Family::Json => "jsonb",
        Family::Bits => "bit(4)",
        Family::Inet => "inet",
        Family::Integers => "integer[]",
        Family::Texts => "text[]",
    }
}
