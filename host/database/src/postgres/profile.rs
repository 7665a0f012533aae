//! Measures columns: one query a table, so that one pass over it answers every converter's questions.

use millrace_model::{Column, Failure, Measure, Profile, ProfileRequest, Table};

use super::Postgres;
use super::session::{command, text_rows};
use crate::dialect::postgres::{quote_name, quote_table};

/// What a number or an instant prints as when it is none.
const NON_FINITE: &str = "('NaN', 'Infinity', '-Infinity', 'infinity', '-infinity')";

pub(super) async fn profile(
    database: &Postgres,
    table: &Table,
    requests: &[ProfileRequest],
) -> Result<Vec<Profile>, Failure> {
    if let Some(unknown) = requests.iter().find(|r| table.column(&r.column).is_none()) {
        return Err(Failure::internal(
            "profile.unknown-column",
            format!("{} has no column {} to be measured", table.name, unknown.column),
        ));
    }
    if requests.iter().all(|r| r.measures.is_empty()) {
        return Ok(requests.iter().map(|r| Profile { column: r.column.clone(), measured: Vec::new() }).collect());
    }
    let doing = format!("profile {}", table.name);
    let failure = |e| database.place.failure(&doing, &e).with("table", table.name.to_string());
    let mut connection = database.acquire().await?;
    command(&mut connection, "BEGIN READ ONLY").await.map_err(failure)?;
    let rows = text_rows(&mut connection, sql(table, requests), failure).await?;
    command(&mut connection, "ROLLBACK").await.map_err(failure)?;
    connection.give_back();
    let mut cells = rows.into_iter().flatten();
    Ok(requests
        .iter()
        .map(|request| {
            let measured = request.measures.iter().map(|measure| (*measure, cells.next().flatten())).collect();
            Profile { column: request.column.clone(), measured }
        })
        .collect())
}

/// One column of the answer for each measure, in the requests' order.
pub(super) fn sql(table: &Table, requests: &[ProfileRequest]) -> String {
    let measures: Vec<String> = requests
        .iter()
        .flat_map(|request| {
            let column = table.column(&request.column);
            request.measures.iter().map(move |measure| expression(column, &request.column, *measure))
        })
        .collect();
    format!("SELECT {} FROM {}", measures.join(", "), quote_table(&table.name))
}

fn expression(column: Option<&Column>, name: &str, measure: Measure) -> String {
    let logical = column.map_or("", |c| c.logical.name.as_str());
    let name = quote_name(name);
    let text = format!("{name}::text");
    // Digits without sign or exponent; nothing for what is no number.
    let digits = match logical {
        "decimal" | "integer" => format!("(CASE WHEN {text} NOT IN {NON_FINITE} THEN {text} END)"),
        _ => format!("(CASE WHEN {text} NOT IN {NON_FINITE} THEN {name}::numeric::text END)"),
    };
    match measure {
        Measure::LongestBytes if logical == "bytes" => format!("max(octet_length({name}))"),
        Measure::LongestBytes => format!("max(octet_length({text}))"),
        Measure::LongestChars if logical == "bytes" => format!("max(octet_length({name}))"),
        Measure::LongestChars => format!("max(char_length({text}))"),
        Measure::IntegerDigits => format!("max(length(ltrim(split_part({digits}, '.', 1), '-0')))"),
        Measure::Scale => format!("max(length(rtrim(split_part({digits}, '.', 2), '0')))"),
        Measure::NonFinite if matches!(logical, "date" | "timestamp" | "timestamp-tz") => {
            format!("count(*) FILTER (WHERE {name} < '0001-01-01' OR {name} >= '10000-01-01')")
        }
        Measure::NonFinite => format!("count(*) FILTER (WHERE {text} IN {NON_FINITE})"),
        Measure::Smallest => format!("min({})::text", ordered(logical, &name)),
        Measure::Largest => format!("max({})::text", ordered(logical, &name)),
    }
}

/// The column itself where its type has a smallest and a largest value, else its text.
fn ordered(logical: &str, name: &str) -> String {
    match logical {
        "integer" | "decimal" | "float" | "date" | "time" | "time-tz" | "timestamp" | "timestamp-tz" | "interval"
        | "enum" | "text" => name.to_owned(),
        "bytes" => format!("encode({name}, 'hex')"),
        _ => format!("{name}::text"),
    }
}
