//! From text to a declaration: every mistake that can be seen without loading a plugin, all at once.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use millrace_model::Tls;
use millrace_model::plan::KeptRows;
use secrecy::{ExposeSecret, SecretString};
use toml::de::DeTable;

use crate::declaration::{DatabaseDeclaration, DatabaseName, Databases, Pipeline, parse_duration};
use crate::diagnostic::Diagnostic;
use crate::raw::{Field, Report, Section};
use crate::stage::{COMMAND_KEYS, HEALTH_KEYS, POST_KEYS, REJECTS_KEYS, STAGE_KEYS, stages};
use crate::suggestion::did_you_mean;
use crate::tables::{Rename, TablePattern, TableSelection};
use crate::variable::{Resolver, Template};

const PIPELINE_KEYS: &[&str] = &["name", "databases", "tables", "stage"];
pub(crate) const DATABASES_KEYS: &[&str] = &["source", "target"];
const DATABASE_KEYS: &[&str] = &["url", "dialect", "patience", "tls", "ca"];
const TABLES_KEYS: &[&str] = &["include", "exclude", "rename", "rows", "views"];
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
    ("stage.before", COMMAND_KEYS),
    ("stage.after", POST_KEYS),
    ("stage.health", HEALTH_KEYS),
];

impl Pipeline {
    /// Reads a pipeline's text.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the text.
    pub fn parse(text: &str, resolver: &dyn Resolver) -> Result<Self, Vec<Diagnostic>> {
        let mut report = Report { text, diagnostics: Vec::new() };
        let (document, syntax_errors) = DeTable::parse_recoverable(text);
        for error in &syntax_errors {
            let span = error.span().unwrap_or(0..0);
            report.add(span, "pipeline.syntax", format!("this is not TOML: {}", one_line(error.message())));
        }
        let broken_lines: BTreeSet<usize> = report.diagnostics.iter().map(|d| d.line).collect();
        let root = Section::new(document.get_ref(), 0..0, "a pipeline");
        let pipeline = pipeline(&root, resolver, &mut report);
        let mut diagnostics = report.diagnostics;
        if !broken_lines.is_empty() && PIPELINE_KEYS.iter().all(|key| root.get(key).is_none()) {
            // Another kind of file: what is wrong with its second line is of no use to anybody.
            diagnostics.retain(|d| d.code == "pipeline.syntax");
            diagnostics.truncate(1);
            let first = &mut diagnostics[0];
            first.message = format!("this is no pipeline: it has none of a pipeline's keys, and {}", first.message);
        }
        if !broken_lines.is_empty() {
            // What stands on a line that could not be read, or is missed because of it, is no second mistake.
            diagnostics.retain(|d| {
                d.code == "pipeline.syntax" || !(d.code == "pipeline.missing-key" || broken_lines.contains(&d.line))
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
    message.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

fn pipeline(root: &Section<'_>, resolver: &dyn Resolver, report: &mut Report<'_>) -> Option<Pipeline> {
    root.refuse_others(PIPELINE_KEYS, report);
    let name = root.required("name", report).and_then(|field| name(&field, report));
    let databases = root.required("databases", report).and_then(|field| databases(&field, resolver, report));
    let tables = match root.get("tables") {
        Some(field) => tables(&field, report),
        None => Some(TableSelection::default()),
    };
    let stages = root.required("stage", report).and_then(|field| stages(&field, report));
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
        let message = format!("{name:?} cannot name a pipeline: one to 64 letters, digits, `-`, `_` and `.`");
        report.add(field.span.clone(), "pipeline.bad-name", message);
        return None;
    }
    Some(name.to_owned())
}

fn databases(field: &Field<'_>, resolver: &dyn Resolver, report: &mut Report<'_>) -> Option<Databases> {
    let section = field.section("[databases]", report)?;
    section.refuse_others(DATABASES_KEYS, report);
    let mut one = |name: DatabaseName| {
        let field = section.required(name.as_str(), report)?;
        let section = field.section(format!("[databases.{name}]"), report)?;
        database(&section, resolver, report)
    };
    let (source, target) = (one(DatabaseName::Source), one(DatabaseName::Target));
    Some(Databases { source: source?, target: target? })
}

fn database(section: &Section<'_>, resolver: &dyn Resolver, report: &mut Report<'_>) -> Option<DatabaseDeclaration> {
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
    let url = optional(section.get("url"), report, |field, report| url(field, resolver, report));
    let patience = optional(section.get("patience"), report, duration);
    let tls = optional(section.get("tls"), report, tls);
    let ca = optional(section.get("ca"), report, |field, report| field.text(report).map(PathBuf::from));
    let (dialect, url, patience, tls, ca) = (dialect?, url?, patience?, tls?, ca?);
    if let (Some(field), true) = (section.get("ca"), tls != Some(Tls::Verify)) {
        report.add_with_help(
            field.span,
            "pipeline.bad-tls",
            "`ca` says whose certificates are trusted, and nothing asks for one",
            "write `tls = \"verify\"` beside it, or leave it out",
        );
        return None;
    }
    let (template, url) = url.unzip();
    if let (Some(dialect), Some(url), Some(field)) = (&dialect, &url, section.get("dialect")) {
        let is_postgres = family(url) == Some("postgres");
        if is_postgres != (dialect == "postgres") {
            let message = format!("the URL is not one of the dialect {dialect}");
            report.add(field.span, "pipeline.unknown-dialect", message);
            return None;
        }
    }
    Some(DatabaseDeclaration { url, template, dialect, patience, tls, ca })
}

fn tls(field: &Field<'_>, report: &mut Report<'_>) -> Option<Tls> {
    let text = field.text(report)?;
    let found = Tls::parse(text);
    if found.is_none() {
        let message = format!("{text:?} cannot be asked of a connection: it is off, prefer, require or verify");
        let help = did_you_mean(text, &Tls::ALL.map(Tls::as_str));
        report.add_with_help(field.span.clone(), "pipeline.bad-tls", message, help);
    }
    found
}

/// Reads a value that may be left out: the outer None is a mistake, the inner None that it is not there.
pub(crate) fn optional<'d, T>(
    field: Option<Field<'d>>,
    report: &mut Report<'_>,
    read: impl FnOnce(&Field<'d>, &mut Report<'_>) -> Option<T>,
) -> Option<Option<T>> {
    match field {
        Some(field) => read(&field, report).map(Some),
        None => Some(None),
    }
}

/// A length of time that is not zero.
fn duration(field: &Field<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let text = field.text(report)?;
    match parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Some(duration),
        Ok(_) => {
            report.add(field.span.clone(), "pipeline.bad-duration", format!("`{}` must not be zero", field.name));
            None
        }
        Err(why) => {
            report.add(field.span.clone(), "pipeline.bad-duration", why);
            None
        }
    }
}

fn url(field: &Field<'_>, resolver: &dyn Resolver, report: &mut Report<'_>) -> Option<(String, SecretString)> {
    let text = field.text(report)?;
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(problem) => {
            report.add(part_of(field, &problem.part, report.text), problem.code, problem.message);
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
                report.add(part_of(field, &problem.part, report.text), problem.code, problem.message);
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
    let start = text.get(field.span.clone()).and_then(|written| written.find(part)).map(|at| field.span.start + at);
    start.map_or(field.span.clone(), |start| start..start + part.len())
}

fn tables(field: &Field<'_>, report: &mut Report<'_>) -> Option<TableSelection> {
    let section = field.section("[tables]", report)?;
    section.refuse_others(TABLES_KEYS, report);
    let include = optional(section.get("include"), report, patterns);
    let exclude = optional(section.get("exclude"), report, patterns);
    let rename = optional(section.get("rename"), report, renames);
    let rows = optional(section.get("rows"), report, kept_rows);
    let views = optional(section.get("views"), report, Field::boolean);
    let (include, exclude, rename, rows, views) = (include?, exclude?, rename?, rows?, views?);
    if let (Some([]), Some(field)) = (include.as_deref(), section.get("include")) {
        report.add(field.span, "pipeline.bad-pattern", "`include` is empty, so that no table would be migrated");
        return None;
    }
    Some(TableSelection {
        include: include.unwrap_or(TableSelection::default().include),
        exclude: exclude.unwrap_or_default(),
        rename: rename.unwrap_or_default(),
        rows: rows.unwrap_or_default(),
        views: views.unwrap_or(true),
    })
}

fn kept_rows(field: &Field<'_>, report: &mut Report<'_>) -> Option<KeptRows> {
    let word = field.text(report)?;
    let known = KeptRows::WORDS.iter().find(|(name, _)| *name == word).map(|(_, rows)| *rows);
    if known.is_none() {
        let words = KeptRows::WORDS.map(|(name, _)| name);
        let message = format!("{word:?} is not what can become of rows: `trust`, `compare` or `recopy`");
        report.add_with_help(field.span.clone(), "pipeline.bad-rows", message, did_you_mean(word, &words));
    }
    known
}

fn patterns(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<TablePattern>> {
    checked(field, report, "pipeline.bad-pattern", TablePattern::parse)
}

/// A list of strings, each read by `read`. None: at least one is wrong.
pub(crate) fn checked<T>(
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
                let folded = rename.target.to_lowercase();
                if let Some(first) = renames.iter().find(|r| r.target.to_lowercase() == folded) {
                    let message =
                        format!("`{}` and `{}` are both renamed to `{}`", first.table, rename.table, first.target);
                    report.add(target.span.clone(), "pipeline.renamed-to-one", message);
                }
                renames.push(rename);
            }
            Err(why) => report.add(key_span.start..target.span.end, "pipeline.bad-pattern", why),
        }
    }
    (report.diagnostics.len() == before).then_some(renames)
}
