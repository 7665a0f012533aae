//! Whether sessions of applications will see the rows as they were: time zone and SQL mode. Millrace's own sessions set
//! both for themselves and have read them back when they were opened.

use millrace_model::Failure;

use super::{Finding, Subject, text};

const TIME_ZONE: &str = "time-zone";
const SQL_MODE: &str = "sql-mode";

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let source = subject.ask_source("SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'TimeZone'").await?;
    let source = source.and_then(|rows| rows.first().map(|row| text(row, 0).to_owned()));
    let target = subject.ask_target("SELECT @@global.time_zone, @@system_time_zone, @@global.sql_mode").await?;
    let Some(target) = target.and_then(|rows| rows.into_iter().next()) else { return Ok(Vec::new()) };
    let instants = subject.tables.iter().any(|t| t.columns.iter().any(|c| c.logical.name == "timestamp-tz"));
    let zone = match text(&target, 0) {
        "SYSTEM" => text(&target, 1),
        zone => zone,
    };
    Ok(vec![time_zone(source.as_deref(), zone, instants), sql_mode(text(&target, 2))])
}

fn is_utc(zone: &str) -> bool {
    let names = ["utc", "etc/utc", "gmt", "zulu", "universal", "+00:00", "+0:00", "greenwich"];
    names.contains(&zone.to_ascii_lowercase().as_str())
}

fn time_zone(source: Option<&str>, target: &str, instants: bool) -> Finding {
    let same = source.is_some_and(|source| source == target || (is_utc(source) && is_utc(target)));
    let message = format!(
        "new sessions are in {} in the source and in {target} in the target",
        source.unwrap_or("an unknown time zone")
    );
    // Times with a zone are kept as UTC: whoever reads them must know, unless the target's sessions are in UTC too.
    if instants && !same && !is_utc(target) {
        Finding::warn(TIME_ZONE, "preflight.time-zone", message)
    } else {
        Finding::pass(TIME_ZONE, message)
    }
}

fn sql_mode(modes: &str) -> Finding {
    if modes.split(',').any(|mode| mode.starts_with("STRICT_")) {
        return Finding::pass(SQL_MODE, "values that do not fit are refused in the target");
    }
    let message = format!("new sessions of the target have sql_mode `{modes}`, which cuts values that do not fit");
    Finding::warn(SQL_MODE, "preflight.sql-mode", message)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn another_time_zone_matters_where_instants_are_kept() {
        assert_eq!(time_zone(Some("UTC"), "+08:00", true).verdict, Verdict::Warn);
        assert_eq!(time_zone(Some("UTC"), "+08:00", false).verdict, Verdict::Pass);
        assert_eq!(time_zone(Some("Etc/UTC"), "+00:00", true).verdict, Verdict::Pass);
        assert_eq!(time_zone(Some("Asia/Shanghai"), "Asia/Shanghai", true).verdict, Verdict::Pass);
        assert_eq!(time_zone(Some("Europe/Berlin"), "UTC", true).verdict, Verdict::Pass);
    }

    #[test]
    fn a_lax_sql_mode_is_told() {
        assert_eq!(sql_mode("STRICT_ALL_TABLES,NO_ZERO_IN_DATE").verdict, Verdict::Pass);
        assert_eq!(sql_mode("ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES").verdict, Verdict::Pass);
        assert_eq!(sql_mode("").verdict, Verdict::Warn);
    }
}
