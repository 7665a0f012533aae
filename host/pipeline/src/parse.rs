//! From text to a declaration: every mistake that can be seen without loading a plugin, all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use toml::de::DeTable;

use crate::declaration::{
    ContentDigest, DatabaseDeclaration, DatabaseName, Databases, Health, Hook, Pipeline, Places,
    PluginReference, Rejects, Stage, parse_duration,
};
use crate::diagnostic::Diagnostic;
use crate::raw::{Field, Report, Section, refuse_variable};
use crate::suggestion::did_you_mean;
use crate::tables::{ColumnPattern, NameCase, Rename, TablePattern, TableSelection};
use crate::variable::{Resolver, Template};

const PIPELINE_KEYS: &[&str] = &["name", "databases", "tables", "stage"];
const DATABASES_KEYS: &[&str] = &["source", "target"];
const DATABASE_KEYS: &[&str] = &["url", "dialect"];
const TABLES_KEYS: &[&str] = &["include", "exclude", "rename"];
const STAGE_KEYS: &[&str] = &[
    "plugin", "sha256", "database", "file", "columns", "config", "rejects", "approve", "before",
    "after", "health",
];
const REJECTS_KEYS: &[&str] = &["keep", "at_most"];
const HEALTH_KEYS: &[&str] = &["url", "within"];
const DIALECTS: &[&str] = &["postgres", "oceanbase", "mysql", "mariadb"];

/// Every key that a pipeline may have, by the table in which it stands. What stands in `tables.rename` and in
/// a stage's `config` is not the pipeline's own.
pub const KNOWN_KEYS: &[(&str, &[&str])] = &[
    ("", PIPELINE_KEYS),
    ("databases", DATABASES_KEYS),
    ("databases.source", DATABASE_KEYS),
    ("databases.target", DATABASE_KEYS),
    ("tables", TABLES_KEYS),
    ("stage", STAGE_KEYS),
    ("stage.rejects", REJECTS_KEYS),
    ("stage.health", HEALTH_KEYS),
];

impl Pipeline {
    /// Reads a pipeline's text.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the text.
    pub fn parse(text: &str, resolver: &dyn Resolver) -> Result<Self, Vec<Diagnostic>> {
        let mut report = Report {
            text,
            diagnostics: Vec::new(),
        };
        let (document, syntax_errors) = DeTable::parse_recoverable(text);
        for error in &syntax_errors {
            let span = error.span().unwrap_or(0..0);
            report.add(
                span,
                "pipeline.syntax",
                format!("this is not TOML: {}", one_line(error.message())),
            );
        }
        let broken_lines: BTreeSet<usize> = report.diagnostics.iter().map(|d| d.line).collect();
        let root = Section::new(document.get_ref(), 0..0, "a pipeline");
        let pipeline = pipeline(&root, resolver, &mut report);
        let mut diagnostics = report.diagnostics;
        if !broken_lines.is_empty() {
            // What stands on a line that could not be read, or is missed because of it, is no second mistake.
            diagnostics.retain(|d| {
                d.code == "pipeline.syntax"
                    || !(d.code == "pipeline.missing-key" || broken_lines.contains(&d.line))
            });
        }
        diagnostics.sort_by_key(|d| (d.span.start, d.span.end));
        match pipeline {
            Some(pipeline) if diagnostics.is_empty() => Ok(pipeline),
            _ => Err(diagnostics),
        }
    }
}

fn one_line(message: &str) -> String {
    message
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

fn pipeline(
    root: &Section<'_>,
    resolver: &dyn Resolver,
    report: &mut Report<'_>,
) -> Option<Pipeline> {
    root.refuse_others(PIPELINE_KEYS, report);
    let name = root
        .required("name", report)
        .and_then(|field| name(&field, report));
    let databases = root
        .required("databases", report)
        .and_then(|field| databases(&field, resolver, report));
    let tables = match root.get("tables") {
        Some(field) => tables(&field, report),
        None => Some(TableSelection::default()),
    };
    let stages = root
        .required("stage", report)
        .and_then(|field| stages(&field, report));
    Some(Pipeline {
        name: name?,
        databases: databases?,
        tables: tables?,
        stages: stages?,
        text: report.text.to_owned(),
    })
}

fn name(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let name = field.text(report)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let message =
            format!("{name:?} cannot name a pipeline: one to 64 letters, digits, `-`, `_` and `.`");
        report.add(field.span.clone(), "pipeline.bad-name", message);
        return None;
    }
    Some(name.to_owned())
}

fn databases(
    field: &Field<'_>,
    resolver: &dyn Resolver,
    report: &mut Report<'_>,
) -> Option<Databases> {
    let section = field.section("[databases]", report)?;
    section.refuse_others(DATABASES_KEYS, report);
    let mut one = |name: DatabaseName| {
        let field = section.required(name.as_str(), report)?;
        let section = field.section(format!("[databases.{name}]"), report)?;
        database(&section, resolver, report)
    };
    let (source, target) = (one(DatabaseName::Source), one(DatabaseName::Target));
    Some(Databases {
        source: source?,
        target: target?,
    })
}

fn database(
    section: &Section<'_>,
    resolver: &dyn Resolver,
    report: &mut Report<'_>,
) -> Option<DatabaseDeclaration> {
    section.refuse_others(DATABASE_KEYS, report);
    let dialect = optional(section.get("dialect"), report, |field, report| {
        let dialect = field.text(report)?;
        if !DIALECTS.contains(&dialect) {
            let message = format!("{dialect:?} is not a dialect that is known here");
            report.add_with_help(
                field.span.clone(),
                "pipeline.unknown-dialect",
                message,
                did_you_mean(dialect, DIALECTS),
            );
            return None;
        }
        Some(dialect.to_owned())
    });
    let url = optional(section.get("url"), report, |field, report| {
        url(field, resolver, report)
    });
    let (dialect, url) = (dialect?, url?);
    let (template, url) = url.unzip();
    if let (Some(dialect), Some(url), Some(field)) = (&dialect, &url, section.get("dialect")) {
        let is_postgres = family(url) == Some("postgres");
        if is_postgres != (dialect == "postgres") {
            let message = format!("the URL is not one of the dialect {dialect}");
            report.add(field.span, "pipeline.unknown-dialect", message);
            return None;
        }
    }
    Some(DatabaseDeclaration {
        url,
        template,
        dialect,
    })
}

/// Reads a value that may be left out: the outer None is a mistake, the inner None that it is not there.
fn optional<'d, T>(
    field: Option<Field<'d>>,
    report: &mut Report<'_>,
    read: impl FnOnce(&Field<'d>, &mut Report<'_>) -> Option<T>,
) -> Option<Option<T>> {
    match field {
        Some(field) => read(&field, report).map(Some),
        None => Some(None),
    }
}

fn url(
    field: &Field<'_>,
    resolver: &dyn Resolver,
    report: &mut Report<'_>,
) -> Option<(String, SecretString)> {
    let text = field.text(report)?;
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(problem) => {
            report.add(
                part_of(field, &problem.part, report.text),
                problem.code,
                problem.message,
            );
            return None;
        }
    };
    if template.holds_password() {
        report.add_with_help(
            field.span.clone(),
            "pipeline.password-in-text",
            "a password stands in the pipeline itself",
            "put it, or the whole URL, into an environment variable or a file: `${env:NAME}`, `${file:PATH}`",
        );
        return None;
    }
    let url = match template.resolve(resolver) {
        Ok(url) => url,
        Err(problems) => {
            for problem in problems {
                report.add(
                    part_of(field, &problem.part, report.text),
                    problem.code,
                    problem.message,
                );
            }
            return None;
        }
    };
    if family(&url).is_none() {
        report.add_with_help(
            field.span.clone(),
            "pipeline.unknown-database",
            "this is not the URL of a database that is known here",
            "it begins with `postgres://`, or with `mysql://` for OceanBase, MySQL and MariaDB",
        );
        return None;
    }
    Some((text.to_owned(), url))
}

/// `postgres` or `mysql`, by the URL's scheme.
fn family(url: &SecretString) -> Option<&'static str> {
    let (scheme, rest) = url.expose_secret().split_once("://")?;
    match scheme {
        _ if rest.is_empty() => None,
        "postgres" | "postgresql" => Some("postgres"),
        "mysql" | "mariadb" => Some("mysql"),
        _ => None,
    }
}

/// Where a part of a string stands, if it is written there without escapes; else the whole string.
fn part_of(field: &Field<'_>, part: &str, text: &str) -> Range<usize> {
    let start = text
        .get(field.span.clone())
        .and_then(|written| written.find(part))
        .map(|at| field.span.start + at);
    start.map_or(field.span.clone(), |start| start..start + part.len())
}

fn tables(field: &Field<'_>, report: &mut Report<'_>) -> Option<TableSelection> {
    let section = field.section("[tables]", report)?;
    section.refuse_others(TABLES_KEYS, report);
    let include = optional(section.get("include"), report, patterns);
    let exclude = optional(section.get("exclude"), report, patterns);
    let rename = optional(section.get("rename"), report, renames);
    let (include, exclude, rename) = (include?, exclude?, rename?);
    if let (Some([]), Some(field)) = (include.as_deref(), section.get("include")) {
        report.add(
            field.span,
            "pipeline.bad-pattern",
            "`include` is empty, so that no table would be migrated",
        );
        return None;
    }
    Some(TableSelection {
        include: include.unwrap_or(TableSelection::default().include),
        exclude: exclude.unwrap_or_default(),
        rename: rename.unwrap_or_default(),
    })
}

fn patterns(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<TablePattern>> {
    checked(field, report, "pipeline.bad-pattern", TablePattern::parse)
}

/// A list of strings, each read by `read`. None: at least one is wrong.
fn checked<T>(
    field: &Field<'_>,
    report: &mut Report<'_>,
    code: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let before = report.diagnostics.len();
    let mut values = Vec::new();
    for (text, span) in field.texts(report)? {
        match read(text) {
            Ok(value) => values.push(value),
            Err(why) => report.add(span, code, why),
        }
    }
    (report.diagnostics.len() == before).then_some(values)
}

fn renames(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<Rename>> {
    let section = field.section("tables.rename", report)?;
    let before = report.diagnostics.len();
    let mut written: Vec<_> = section.fields().collect();
    written.sort_by_key(|(_, key_span)| key_span.start);
    let mut renames: Vec<Rename> = Vec::new();
    for (target, key_span) in written {
        let Some(text) = target.text(report) else {
            continue;
        };
        match Rename::parse(&target.name, text) {
            Ok(rename) => {
                // Most servers of the target do not tell capitals apart in names.
                let folded = NameCase::Insensitive.fold(&rename.target);
                if let Some(first) = renames
                    .iter()
                    .find(|r| NameCase::Insensitive.fold(&r.target) == folded)
                {
                    let message = format!(
                        "`{}` and `{}` are both renamed to `{}`",
                        first.table, rename.table, first.target
                    );
                    report.add(target.span.clone(), "pipeline.renamed-to-one", message);
                }
                renames.push(rename);
            }
            Err(why) => report.add(key_span.start..target.span.end, "pipeline.bad-pattern", why),
        }
    }
    (report.diagnostics.len() == before).then_some(renames)
}

fn stages(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<Stage>> {
    let items = field.list(report)?;
    let mut stages = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let name = format!("stage {}", number + 1);
        if let Some(section) = item.section(name, report) {
            stages.extend(stage(&section, report));
        }
    }
    if items.is_empty() {
        report.add(
            field.span.clone(),
            "pipeline.missing-key",
            "the pipeline has no stages",
        );
    }
    (stages.len() == items.len()).then_some(stages)
}

fn stage(section: &Section<'_>, report: &mut Report<'_>) -> Option<Stage> {
    section.refuse_others(STAGE_KEYS, report);
    let mut places = Places {
        stage: section.span.clone(),
        ..Places::default()
    };
    for (field, _) in section.fields() {
        places.keys.insert(field.name.clone(), field.span);
    }
    let plugin = section
        .required("plugin", report)
        .and_then(|field| plugin(&field, section, report));
    let database = optional(section.get("database"), report, |field, report| {
        let name = field.text(report)?;
        let known = [DatabaseName::Source, DatabaseName::Target]
            .into_iter()
            .find(|d| d.as_str() == name);
        if known.is_none() {
            let message = format!("there is no database {name:?}");
            report.add_with_help(
                field.span.clone(),
                "pipeline.unknown-database",
                message,
                did_you_mean(name, DATABASES_KEYS),
            );
        }
        known
    });
    let file = optional(section.get("file"), report, |field, report| {
        path(field, report)
    });
    let columns = optional(section.get("columns"), report, |field, report| {
        checked(field, report, "pipeline.bad-pattern", ColumnPattern::parse)
    });
    let config = config(section, &mut places, report);
    let rejects = optional(section.get("rejects"), report, rejects);
    let approve = optional(section.get("approve"), report, |field, report| {
        field.boolean(report)
    });
    let before = optional(section.get("before"), report, hook);
    let after = optional(section.get("after"), report, hook);
    let health = optional(section.get("health"), report, health);
    Some(Stage {
        plugin: plugin?,
        database: database?,
        file: file?,
        columns: columns?.unwrap_or_default(),
        config: config?,
        rejects: rejects?.unwrap_or_default(),
        approve: approve?.unwrap_or(false),
        before: before?,
        after: after?,
        health: health?,
        places,
    })
}

fn path(field: &Field<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let path = field.text(report)?;
    refuse_variable(path, &field.span, report);
    if path.is_empty() {
        report.add(
            field.span.clone(),
            "pipeline.bad-path",
            format!("`{}` is empty", field.name),
        );
        return None;
    }
    Some(PathBuf::from(path))
}

fn plugin(
    field: &Field<'_>,
    stage: &Section<'_>,
    report: &mut Report<'_>,
) -> Option<PluginReference> {
    let sha256 = optional(stage.get("sha256"), report, |field, report| {
        let text = field.text(report)?;
        let digest = ContentDigest::parse(text);
        if digest.is_none() {
            let message = format!(
                "`sha256` has {} characters that are not all hexadecimal digits; it needs 64 that are",
                text.chars().count()
            );
            report.add(field.span.clone(), "pipeline.bad-sha256", message);
        }
        digest
    });
    let text = field.text(report)?;
    let path_like =
        text.contains(['/', '\\']) || PathBuf::from(text).extension().is_some_and(|e| e == "wasm");
    if path_like {
        return Some(PluginReference::File {
            path: path(field, report)?,
            sha256: sha256?,
        });
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
        let message = format!(
            "`{text}` comes with Millrace, and is not pinned; `sha256` is for a component's file"
        );
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
    let keep = optional(section.get("keep"), report, |field, report| {
        field.boolean(report)
    });
    let at_most = optional(section.get("at_most"), report, |field, report| {
        let ratio = field.number(report)?;
        if !(0.0..=1.0).contains(&ratio) {
            let message = "`at_most` is a share of the rows, from 0.0 (none) to 1.0 (all)";
            report.add(field.span.clone(), "pipeline.bad-ratio", message);
            return None;
        }
        Some(ratio)
    });
    let default = Rejects::default();
    Some(Rejects {
        keep: keep?.unwrap_or(default.keep),
        at_most: at_most?.unwrap_or(default.at_most),
    })
}

fn hook(field: &Field<'_>, report: &mut Report<'_>) -> Option<Hook> {
    let before = report.diagnostics.len();
    let texts = field.texts(report)?;
    for (text, span) in &texts {
        refuse_variable(text, span, report);
    }
    let mut words = texts.into_iter().map(|(text, _)| text.to_owned());
    match words.next() {
        _ if report.diagnostics.len() > before => None,
        Some(program) if !program.is_empty() => Some(Hook {
            program,
            arguments: words.collect(),
        }),
        _ => {
            let message = format!("`{}` names no program", field.name);
            report.add(field.span.clone(), "pipeline.bad-hook", message);
            None
        }
    }
}

fn health(field: &Field<'_>, report: &mut Report<'_>) -> Option<Health> {
    let section = field.section("`health`", report)?;
    section.refuse_others(HEALTH_KEYS, report);
    let url = section.required("url", report).and_then(|field| {
        let url = field.text(report)?;
        refuse_variable(url, &field.span, report);
        let host = url
            .strip_prefix("http://")
            .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if host.is_none_or(|host| host.is_empty() || host.contains('@')) {
            let message = "`url` must be an address that begins with `http://` and a host";
            report.add(field.span.clone(), "pipeline.bad-health-url", message);
            return None;
        }
        Some(url.to_owned())
    });
    let within = optional(section.get("within"), report, |field, report| {
        let within = parse_duration(field.text(report)?);
        within
            .map_err(|why| report.add(field.span.clone(), "pipeline.bad-duration", why))
            .ok()
    });
    Some(Health {
        url: url?,
        within: within?.unwrap_or(std::time::Duration::from_secs(30)),
    })
}
