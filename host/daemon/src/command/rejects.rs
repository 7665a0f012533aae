//! `millrace rejects`: the rows that a run has left out, as the target keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_columnar::display::shortened;
use millrace_model::quantity::{agreeing, counted};
use millrace_model::{Cancel, Failure};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Exit, Home, Refusal, cancel_on_signal, print_json};
use crate::cli::{RejectsArgs, RejectsCommand, RejectsFormat, RunSelector};
use crate::console;
use crate::databases::Databases;
use crate::outcome::RejectedRow;
use crate::output;
use crate::private;
use crate::run::{self, RunContext, Watch};
use crate::service::{self, Purpose};
use crate::store::RunRecord;

/// Rejects that have code and column in common.
#[derive(Debug, Serialize)]
struct Group {
    code: String,
    column: Option<String>,
    rows: u64,
    example: String,
}

pub(super) async fn rejects(home: &Home, arguments: &RejectsArgs) -> Result<Exit, Refusal> {
    if let Some(RejectsCommand::Retry(selector)) = &arguments.command {
        return retry(home, selector).await;
    }
    let record = home.store.run_of(&arguments.run, arguments.pipeline.as_deref()).await?;
    let mut rows = read(home, &record).await?;
    let uncommitted = run::uncommitted_rejects(&home.store, &record.id).await?;
    let committed = rows.len();
    rows.extend(uncommitted);
    if arguments.json {
        let uncommitted = rows.len() - committed;
        print_json(&json!({
            "run": record.id, "rejects": rows, "groups": groups(&rows), "uncommitted": uncommitted
        }));
        return Ok(Exit::Done);
    }
    if let Some(format) = arguments.format {
        let text = match format {
            RejectsFormat::Csv => csv(&rows),
            RejectsFormat::Jsonl => jsonl(&record.id, &rows),
        };
        match &arguments.out {
            Some(path) => {
                private::write(path, &text).map_err(|e| {
                    Failure::config("run.output-not-writable", format!("{} cannot be written: {e}", path.display()))
                })?;
                let (count, are) = (rows.len() as u64, agreeing(rows.len() as u64, "is", "are"));
                note!("{} {are} in {}", counted(count, "row"), path.display());
            }
            None => output::put(format_args!("{text}")),
        }
        return Ok(Exit::Done);
    }
    print(&record, &rows);
    if rows.len() > committed {
        say!(
            "the last {} are the first ones of chunks that the copy did not finish: nothing of these chunks is in the target",
            rows.len() - committed
        );
    }
    Ok(Exit::Done)
}

/// All of them, from the target's books.
async fn read(home: &Home, record: &RunRecord) -> Result<Vec<RejectedRow>, Failure> {
    let setup = service::setup_of(&home.runtime, record)?;
    let (_, target) = Databases::open(&setup, &Cancel::new()).await?.both()?;
    let rejects = target.bookkeeping().rejects(&record.id).await?;
    Ok(rejects.into_iter().map(|(shadow, reject)| RejectedRow::of(&record.plan, &shadow, reject)).collect())
}

async fn retry(home: &Home, selector: &RunSelector) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let record = home.store.run_of(&selector.run, selector.pipeline.as_deref()).await?;
    let setup = service::setup_of(&home.runtime, &record)?;
    let owned = service::take(&home.store, &record, Purpose::RetryRejects).await?;
    let context = RunContext::open(Arc::new(setup), &home.store, owned, cancel, Watch::default()).await?;
    let (tried, inserted) = run::retry(&context).await?;
    drop(context);
    let remaining = read(home, &record).await?;
    if selector.json {
        print_json(&json!({ "run": record.id, "tried": tried, "inserted": inserted, "remaining": remaining }));
    } else {
        let are = agreeing(inserted, "is", "are");
        say!("tried {} again: {inserted} {are} in the live tables now", counted(tried, "row"));
        if !remaining.is_empty() {
            print(&record, &remaining);
        }
    }
    Ok(if remaining.is_empty() { Exit::Done } else { Exit::Failed })
}

/// What rejects have in common, most frequent first.
fn groups(rows: &[RejectedRow]) -> Vec<Group> {
    let mut found: BTreeMap<(&str, Option<&str>), (u64, &str)> = BTreeMap::new();
    for row in rows {
        found.entry((&row.code, row.column.as_deref())).or_insert((0, &row.reason)).0 += 1;
    }
    let mut groups: Vec<Group> = found
        .into_iter()
        .map(|((code, column), (rows, example))| Group {
            code: code.to_owned(),
            column: column.map(str::to_owned),
            rows,
            example: example.to_owned(),
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.rows));
    groups
}

fn print(record: &RunRecord, rows: &[RejectedRow]) {
    say!("run {} of {}: {} in quarantine", record.id, record.pipeline, counted(rows.len() as u64, "row"));
    if rows.is_empty() {
        return;
    }
    let mut table = console::table(&["table", "key", "column", "value", "why", "code"]);
    for row in rows {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        table.add_row([
            row.table.as_str(),
            shortened(&row.key, 120),
            &text(&row.column),
            shortened(&text(&row.value), 60),
            shortened(&row.reason, 300),
            &row.code,
        ]);
    }
    say!("{table}");
    for group in groups(rows) {
        let column = group.column.map_or_else(String::new, |column| format!(" in column {column}"));
        say!("{}: {}{column}", counted(group.rows, "row"), group.code);
    }
}

fn jsonl(run: &str, rows: &[RejectedRow]) -> String {
    let line = |row: &RejectedRow| {
        let key: Value = serde_json::from_str(&row.key).unwrap_or(Value::Null);
        let (column, value) = (&row.column, &row.value);
        let (table, code, reason) = (&row.table, &row.code, &row.reason);
        json!({ "run": run, "table": table, "key": key, "column": column, "value": value, "code": code, "reason": reason })
    };
    rows.iter().map(|row| format!("{}\n", line(row))).collect()
}

fn csv(rows: &[RejectedRow]) -> String {
    let mut out = String::from("table,key,column,value,code,reason\r\n");
    for row in rows {
        let cells = [
            Some(row.table.as_str()),
            Some(&row.key),
            row.column.as_deref(),
            row.value.as_deref(),
            Some(&row.code),
            Some(&row.reason),
        ];
        let cells: Vec<String> = cells.into_iter().map(|cell| cell.map(csv_cell).unwrap_or_default()).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

/// A cell without a value is empty, and an empty text is `""`.
fn csv_cell(text: &str) -> String {
    if text.is_empty() || text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_keep_every_character_and_tell_nothing_from_an_empty_text() {
        let row = RejectedRow {
            table: "t".to_owned(),
            key: r#"{"id":"1"}"#.to_owned(),
            column: None,
            value: Some(String::new()),
            code: "copy.too-long".to_owned(),
            reason: "a \"b\",\nc".to_owned(),
        };
        assert_eq!(
            csv(std::slice::from_ref(&row)),
            "table,key,column,value,code,reason\r\nt,\"{\"\"id\"\":\"\"1\"\"}\",,\"\",copy.too-long,\"a \"\"b\"\",\nc\"\r\n"
        );
        let line: Value = serde_json::from_str(&jsonl("r", &[row])).expect("a line of JSON");
        assert_eq!((&line["key"]["id"], &line["value"], &line["column"]), (&json!("1"), &json!(""), &Value::Null));
    }
}
