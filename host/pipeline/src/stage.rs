//! From text to stages.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use millrace_model::RejectValues;
use serde_json::Value;

use crate::declaration::{
    ContentDigest, Cutover, DEFAULT_MEMORY_BYTES, DEFAULT_RETRIES, DatabaseName, FencePolicy, Health, Hook, HookCall,
    OnFailure, Places, PluginReference, Rejects, Stage, parse_duration, parse_size,
};
use crate::parse::{DATABASES_KEYS, checked, optional};
use crate::raw::{Field, Report, Section, refuse_variable};
use crate::suggestion::did_you_mean;
use crate::tables::ColumnPattern;

pub(crate) const STAGE_KEYS: &[&str] = &[
    "plugin",
    "sha256",
    "database",
    "file",
    "columns",
    "config",
    "from",
    "memory",
    "rows_per_second",
    "rejects",
    "approve",
    "before",
    "after",
    "health",
    "retries",
    "on_failure",
    "fence",
    "accounts",
    "budget",
    "attempts",
    "archive",
];
const HOOK_KEYS: &[&str] = &["command", "post", "timeout"];
/// Of the two forms of a hook, the keys of each.
pub(crate) const COMMAND_KEYS: &[&str] = &["command", "timeout"];
pub(crate) const POST_KEYS: &[&str] = &["post", "timeout"];
pub(crate) const REJECTS_KEYS: &[&str] = &["keep", "at_most", "values"];
pub(crate) const HEALTH_KEYS: &[&str] = &["url", "within"];

pub(crate) fn stages(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<Stage>> {
    let items = field.list(report)?;
    let mut stages = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let name = format!("stage {}", number + 1);
        if let Some(section) = item.section(name, report) {
            stages.extend(stage(&section, report));
        }
    }
    if items.is_empty() {
        report.add(field.span.clone(), "pipeline.missing-key", "the pipeline has no stages");
    }
    (stages.len() == items.len()).then_some(stages)
}

fn stage(section: &Section<'_>, report: &mut Report<'_>) -> Option<Stage> {
    section.refuse_others(STAGE_KEYS, report);
    let mut places = Places { stage: section.span.clone(), ..Places::default() };
    for (field, _) in section.fields() {
        places.keys.insert(field.name.clone(), field.span);
    }
    let plugin = section.required("plugin", report).and_then(|field| plugin(&field, section, report));
    let database = optional(section.get("database"), report, database_name);
    let file = optional(section.get("file"), report, |field, report| path(field, report));
    let columns = optional(section.get("columns"), report, |field, report| {
        checked(field, report, "pipeline.bad-pattern", ColumnPattern::parse)
    });
    let config = config(section, &mut places, report);
    let from = optional(section.get("from"), report, database_name);
    let memory = optional(section.get("memory"), report, |field, report| {
        let size = parse_size(field.text(report)?);
        size.map_err(|why| report.add(field.span.clone(), "pipeline.bad-size", why)).ok()
    });
    let rows_per_second = optional(section.get("rows_per_second"), report, rate);
    let rejects = optional(section.get("rejects"), report, rejects);
    let approve = optional(section.get("approve"), report, super::raw::Field::boolean);
    let before = optional(section.get("before"), report, hook);
    let after = optional(section.get("after"), report, hook);
    let health = optional(section.get("health"), report, health);
    let retries = optional(section.get("retries"), report, retries);
    let on_failure = optional(section.get("on_failure"), report, on_failure);
    let cutover = cutover(section, report);
    let archive = optional(section.get("archive"), report, |field, report| path(field, report));
    Some(Stage {
        plugin: plugin?,
        database: database?,
        file: file?,
        columns: columns?.unwrap_or_default(),
        config: config?,
        from: from?.unwrap_or(DatabaseName::Source),
        memory: memory?.unwrap_or(DEFAULT_MEMORY_BYTES),
        rows_per_second: rows_per_second?.flatten(),
        rejects: rejects?.unwrap_or_default(),
        approve: approve?.unwrap_or(false),
        before: before?,
        after: after?,
        health: health?,
        retries: retries?.unwrap_or(DEFAULT_RETRIES),
        on_failure: on_failure?,
        cutover: cutover?,
        archive: archive?,
        places,
    })
}

fn database_name(field: &Field<'_>, report: &mut Report<'_>) -> Option<DatabaseName> {
    let name = field.text(report)?;
    let known = [DatabaseName::Source, DatabaseName::Target].into_iter().find(|d| d.as_str() == name);
    if known.is_none() {
        let message = format!("there is no database {name:?}");
        let help = did_you_mean(name, DATABASES_KEYS);
        report.add_with_help(field.span.clone(), "pipeline.unknown-database", message, help);
    }
    known
}

fn path(field: &Field<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let path = field.text(report)?;
    refuse_variable(path, &field.span, report);
    if path.is_empty() {
        report.add(field.span.clone(), "pipeline.bad-path", format!("`{}` is empty", field.name));
        return None;
    }
    Some(PathBuf::from(path))
}

fn plugin(field: &Field<'_>, stage: &Section<'_>, report: &mut Report<'_>) -> Option<PluginReference> {
    let sha256 = optional(stage.get("sha256"), report, |field, report| {
        let text = field.text(report)?;
        let digest = ContentDigest::parse(text);
        if digest.is_none() {
            let count = text.chars().count();
            let message = format!("`sha256` must be 64 hexadecimal digits; here are {count} characters");
            report.add(field.span.clone(), "pipeline.bad-sha256", message);
        }
        digest
    });
    let text = field.text(report)?;
    let path_like = text.contains(['/', '\\']) || PathBuf::from(text).extension().is_some_and(|e| e == "wasm");
    if path_like {
        return Some(PluginReference::File { path: path(field, report)?, sha256: sha256? });
    }
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || !text.chars().all(is_name) {
        report.add_with_help(
            field.span.clone(),
            "pipeline.unknown-plugin",
            format!("{text:?} is neither a plugin's name nor a component's file"),
            "a name is written in small letters, a file with a slash or `.wasm`",
        );
        return None;
    }
    if let (Some(Some(_)), Some(field)) = (&sha256, stage.get("sha256")) {
        let message = format!("`{text}` comes with Millrace, and is not pinned; `sha256` is for a component's file");
        report.add(field.span, "pipeline.bad-sha256", message);
        return None;
    }
    sha256.map(|_| PluginReference::Builtin(text.to_owned()))
}

fn config(section: &Section<'_>, places: &mut Places, report: &mut Report<'_>) -> Option<Value> {
    let Some(field) = section.get("config") else {
        return Some(Value::Object(serde_json::Map::new()));
    };
    field.section("`config`", report)?;
    let mut found = Vec::new();
    let value = field.json("", &mut found, report);
    places.config = found.into_iter().collect::<BTreeMap<_, _>>();
    value
}

fn rejects(field: &Field<'_>, report: &mut Report<'_>) -> Option<Rejects> {
    let section = field.section("`rejects`", report)?;
    section.refuse_others(REJECTS_KEYS, report);
    let keep = optional(section.get("keep"), report, super::raw::Field::boolean);
    let at_most = optional(section.get("at_most"), report, |field, report| {
        let ratio = field.number(report)?;
        if !(0.0..=1.0).contains(&ratio) {
            let message = "`at_most` is a share of the rows, from 0.0 (none) to 1.0 (all)";
            report.add(field.span.clone(), "pipeline.bad-ratio", message);
            return None;
        }
        Some(ratio)
    });
    let values = optional(section.get("values"), report, |field, report| match field.text(report)? {
        "keep" => Some(RejectValues::Keep),
        "digest" => Some(RejectValues::Digest),
        other => {
            let message = format!("`values` is `keep` or `digest`, not `{other}`");
            report.add(field.span.clone(), "pipeline.wrong-type", message);
            None
        }
    });
    let default = Rejects::default();
    Some(Rejects {
        keep: keep?.unwrap_or(default.keep),
        at_most: at_most?.unwrap_or(default.at_most),
        values: values?.unwrap_or(default.values),
    })
}

/// More would be a loop that nobody watches.
const RETRIES_AT_MOST: f64 = 100.0;
const RATE_AT_MOST: f64 = 1e9;

fn retries(field: &Field<'_>, report: &mut Report<'_>) -> Option<u32> {
    let number = field.number(report)?;
    if number.fract() != 0.0 || !(0.0..=RETRIES_AT_MOST).contains(&number) {
        let message = format!("`retries` must be a whole number from 0 to {RETRIES_AT_MOST}");
        report.add(field.span.clone(), "pipeline.bad-retries", message);
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 100")]
    Some(number as u32)
}

/// Rows a second. None, as a 0 says: as many as can be.
fn rate(field: &Field<'_>, report: &mut Report<'_>) -> Option<Option<u64>> {
    let number = field.number(report)?;
    if number.fract() != 0.0 || !(0.0..=RATE_AT_MOST).contains(&number) {
        let message = "`rows_per_second` must be a whole number from 0, which means no limit, to a thousand million";
        report.add(field.span.clone(), "pipeline.bad-rate", message);
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to a thousand million")]
    let rows = number as u64;
    Some((rows > 0).then_some(rows))
}

fn on_failure(field: &Field<'_>, report: &mut Report<'_>) -> Option<OnFailure> {
    let text = field.text(report)?;
    let found = OnFailure::ALL.into_iter().find(|policy| policy.as_str() == text);
    if found.is_none() {
        let known: Vec<&str> = OnFailure::ALL.into_iter().map(OnFailure::as_str).collect();
        report.add_with_help(
            field.span.clone(),
            "pipeline.bad-policy",
            format!("a run cannot {text:?} when a stage fails"),
            did_you_mean(text, &known),
        );
    }
    found
}

fn hook(field: &Field<'_>, report: &mut Report<'_>) -> Option<Hook> {
    if field.is_list() {
        let call = command(field, report)?;
        return Some(Hook { call, timeout: Hook::DEFAULT_TIMEOUT });
    }
    let section = field.section(format!("`{}`", field.name), report)?;
    section.refuse_others(HOOK_KEYS, report);
    let call = match (section.get("command"), section.get("post")) {
        (Some(field), None) => command(&field, report),
        (None, Some(field)) => http_url(&field, "pipeline.bad-hook", report).map(|url| HookCall::Post { url }),
        _ => {
            let message = format!("`{}` must have either a `command` or a `post`", field.name);
            report.add(field.span.clone(), "pipeline.bad-hook", message);
            None
        }
    };
    let timeout = optional(section.get("timeout"), report, |field, report| duration(field, report));
    Some(Hook { call: call?, timeout: timeout?.unwrap_or(Hook::DEFAULT_TIMEOUT) })
}

fn command(field: &Field<'_>, report: &mut Report<'_>) -> Option<HookCall> {
    let before = report.diagnostics.len();
    let texts = field.texts(report)?;
    for (text, span) in &texts {
        refuse_variable(text, span, report);
    }
    let mut words = texts.into_iter().map(|(text, _)| text.to_owned());
    match words.next() {
        _ if report.diagnostics.len() > before => None,
        Some(program) if !program.is_empty() => Some(HookCall::Command { program, arguments: words.collect() }),
        _ => {
            let message = format!("`{}` names no program", field.name);
            report.add(field.span.clone(), "pipeline.bad-hook", message);
            None
        }
    }
}

fn cutover(section: &Section<'_>, report: &mut Report<'_>) -> Option<Cutover> {
    let fence = optional(section.get("fence"), report, |field, report| {
        let word = field.text(report)?;
        let known = FencePolicy::WORDS.iter().find(|(known, _)| *known == word).map(|(_, fence)| *fence);
        if known.is_none() {
            let message = format!("`fence` is `auto`, `tables`, `accounts` or `none`, and not {word:?}");
            report.add(field.span.clone(), "pipeline.bad-fence", message);
        }
        known
    });
    let accounts = optional(section.get("accounts"), report, |field, report| {
        let before = report.diagnostics.len();
        let accounts = field.texts(report)?;
        for (text, span) in &accounts {
            refuse_variable(text, span, report);
            if text.is_empty() || text.starts_with('@') {
                let message = "an account is written as `name` or `name@host`";
                report.add(span.clone(), "pipeline.bad-fence", message);
            }
        }
        (report.diagnostics.len() == before)
            .then(|| accounts.into_iter().map(|(text, _)| text.to_owned()).collect::<Vec<_>>())
    });
    let budget = optional(section.get("budget"), report, |field, report| {
        let budget = duration(field, report)?;
        if budget.is_zero() {
            report.add(field.span.clone(), "pipeline.bad-duration", "`budget` must be longer than nothing");
            return None;
        }
        Some(budget)
    });
    let attempts = optional(section.get("attempts"), report, |field, report| {
        let number = field.number(report)?;
        if number.fract() != 0.0 || !(1.0..=1000.0).contains(&number) {
            let message = "`attempts` is a whole number from 1 to 1000";
            report.add(field.span.clone(), "pipeline.bad-attempts", message);
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was checked just now")]
        Some(number as u32)
    });
    let default = Cutover::default();
    let (fence, accounts) = (fence?.unwrap_or(default.fence), accounts?.unwrap_or_default());
    if fence == FencePolicy::Accounts && accounts.is_empty() {
        report.add(
            section.span.clone(),
            "pipeline.bad-fence",
            "`fence = \"accounts\"` needs `accounts` that are named",
        );
        return None;
    }
    Some(Cutover {
        fence,
        accounts,
        budget: budget?.unwrap_or(default.budget),
        attempts: attempts?.unwrap_or(default.attempts),
    })
}

fn duration(field: &Field<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let duration = parse_duration(field.text(report)?);
    duration.map_err(|why| report.add(field.span.clone(), "pipeline.bad-duration", why)).ok()
}

/// An address that the host asks by plain HTTP.
fn http_url(field: &Field<'_>, code: &str, report: &mut Report<'_>) -> Option<String> {
    let url = field.text(report)?;
    refuse_variable(url, &field.span, report);
    let host = url.strip_prefix("http://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if host.is_none_or(|host| host.is_empty() || host.contains('@')) {
        let message = format!("`{}` must be an address that begins with `http://` and a host", field.name);
        report.add(field.span.clone(), code, message);
        return None;
    }
    Some(url.to_owned())
}

fn health(field: &Field<'_>, report: &mut Report<'_>) -> Option<Health> {
    let section = field.section("`health`", report)?;
    section.refuse_others(HEALTH_KEYS, report);
    let url = section.required("url", report).and_then(|field| http_url(&field, "pipeline.bad-health-url", report));
    let within = optional(section.get("within"), report, |field, report| duration(field, report));
    Some(Health { url: url?, within: within?.unwrap_or(Duration::from_secs(30)) })
}
