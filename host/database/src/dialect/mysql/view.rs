//! Views of the source, as the target's dialect says them.
//!
//! A view is parsed as PostgreSQL prints it. What it reads are the pipeline's tables and other views that are carried,
//! under the names that they have in the target; each column that it gives has the name that it has at the source. A view
//! is carried if every part of it means exactly the same there, and refused with the part that does not.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use millrace_model::Mapping;
use millrace_model::plan::ViewColumn;
use millrace_model::schema::{Object, Table, TableName};
use sqlparser::ast::{CreateTableOptions, Expr, Query, SqlOption, Statement, Value};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::expression::{Entry, Kind, Met, Named, Place, Said, Untranslatable, columns_of_table, said};
use super::name::quote_name;

/// The kind of an object whose rows are kept, and made anew when somebody asks for it.
const MATERIALIZED: &str = "materialized-view";

/// A table of the source that a view may read.
#[derive(Clone, Debug)]
pub struct ReadableTable<'a> {
    /// The source's table.
    pub source: &'a Table,
    /// What its columns become.
    pub mappings: Vec<Mapping>,
    /// The source columns of which a vendor's converter makes other values: they are handed on, and nothing is computed
    /// from them.
    pub altered: BTreeSet<String>,
    /// The table as it will be, under its live name.
    pub target: &'a Table,
}

/// A view as the target says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslatedView {
    /// Its name at the source.
    pub source: TableName,
    /// Its name there.
    pub target: TableName,
    /// The whole statement, without a semicolon.
    pub statement: String,
    /// What it gives.
    pub columns: Vec<ViewColumn>,
    /// The target's tables and views that it reads.
    pub reads: BTreeSet<TableName>,
    /// What an operator should know.
    pub notes: Vec<String>,
}

/// The views of a source, in the order in which they can be made.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// Those that are carried.
    pub carried: Vec<TranslatedView>,
    /// Those that are not, each with the part that could not be said.
    pub refused: Vec<(TableName, String)>,
    /// What materialised views would be as plain ones.
    pub suggested: Vec<TranslatedView>,
}

/// Translates views. `target_name` gives the name of a view in the target, or says why it can have none; `server` is the
/// target's dialect.
pub fn translate_views(
    views: &[&Object],
    tables: &[ReadableTable<'_>],
    target_name: &dyn Fn(&TableName) -> Result<TableName, String>,
    server: &str,
) -> Views {
    let mut world = World::default();
    for table in tables {
        let columns = columns_of_table(table.source, &table.mappings, table.target, &table.altered);
        world.known.insert(table.source.name.clone(), Ok((table.target.name.clone(), columns)));
    }
    let mut waiting: Vec<&Object> = views.to_vec();
    let mut done = Views::default();
    loop {
        let before = waiting.len();
        let mut still = Vec::new();
        for view in waiting {
            match world.translate(view, views, target_name, server) {
                Answer::Later => still.push(view),
                Answer::Refused(reason) => {
                    world.known.insert(view.name.clone(), Err(reason.clone()));
                    done.refused.push((view.name.clone(), reason));
                }
                Answer::Carried(translated, _) if view.kind == MATERIALIZED => {
                    world.known.insert(view.name.clone(), Err("it is a materialised view".to_owned()));
                    done.suggested.push(*translated);
                }
                Answer::Carried(translated, columns) => {
                    world.known.insert(view.name.clone(), Ok((translated.target.clone(), columns)));
                    done.carried.push(*translated);
                }
            }
        }
        waiting = still;
        if waiting.is_empty() || waiting.len() == before {
            break;
        }
    }
    done.refused.extend(waiting.into_iter().map(|view| (view.name.clone(), "it reads views that read it".to_owned())));
    done
}

enum Answer {
    Carried(Box<TranslatedView>, Vec<Entry>),
    Refused(String),
    /// It reads a view that is not translated yet.
    Later,
}

/// What is known of the source's relations.
#[derive(Default)]
struct World {
    /// What became of each; of a view that is not carried, why.
    known: BTreeMap<TableName, Result<(TableName, Vec<Entry>), String>>,
}

impl World {
    fn translate(
        &self,
        view: &Object,
        views: &[&Object],
        target_name: &dyn Fn(&TableName) -> Result<TableName, String>,
        server: &str,
    ) -> Answer {
        let waits = RefCell::new(false);
        let relations = |schema: &str, name: &str| {
            let is_meant = |known: &&TableName| known.name == name && (schema.is_empty() || known.schema == schema);
            let shown = if schema.is_empty() { name.to_owned() } else { format!("{schema}.{name}") };
            let known: Vec<&TableName> = self.known.keys().filter(is_meant).collect();
            match known.as_slice() {
                [found] => match &self.known[*found] {
                    Ok(carried) => Ok(carried.clone()),
                    Err(_) => Err(Untranslatable(format!("it reads the view {found}, which is not carried"))),
                },
                [] if views.iter().any(|other| is_meant(&&other.name)) => {
                    *waits.borrow_mut() = true;
                    Err(Untranslatable(format!("it reads {shown}")))
                }
                [] => Err(Untranslatable(format!("it reads {shown}, which is not among the pipeline's tables"))),
                _ => Err(Untranslatable(format!("it reads {name}, and several schemas have that"))),
            }
        };
        let made = target_name(&view.name).and_then(|target| {
            let met = RefCell::default();
            let place = Place { relations: &relations, common: Vec::new(), outer: None, met: &met };
            one(&place, view, target, server).map_err(|reason| reason.0)
        });
        match made {
            Ok((translated, columns)) => Answer::Carried(Box::new(translated), columns),
            Err(_) if *waits.borrow() => Answer::Later,
            Err(reason) => Answer::Refused(reason),
        }
    }
}

fn one(
    place: &Place<'_>,
    view: &Object,
    target: TableName,
    server: &str,
) -> Result<(TranslatedView, Vec<Entry>), Untranslatable> {
    let Defined { query, options } = defined(&view.definition)?;
    let Said { sql, columns } = said(place, &query, None)?;
    let mut notes = Vec::new();
    let check = options_of(&options, &mut notes)?;
    let Met { reads, notes: met, common } = place.met.take();
    if let Some(name) = reads.iter().find(|table| common.contains(&table.name.to_lowercase())) {
        return Err(Untranslatable(format!(
            "a common table expression is called {}, as a table that it reads",
            name.name
        )));
    }
    notes.extend(met);
    let handed_on = columns.iter().filter_map(|named| named.changed.clone());
    notes.extend(handed_on.map(|changed| format!("it gives what its table gives: {changed}")));
    let names: Vec<String> = columns.iter().map(|named| quote_name(&named.target.name)).collect();
    // Whoever reads a view may read what it reads, or not: nobody gains rights of whoever made it, where that can be said.
    let security = if matches!(server, "mysql" | "mariadb") { " SQL SECURITY INVOKER" } else { "" };
    let statement =
        format!("CREATE OR REPLACE{security} VIEW {} ({}) AS {sql}{check}", quote_name(&target.name), names.join(", "));
    let entries = Said { sql: String::new(), columns: columns.clone() }.entries();
    let translated = TranslatedView {
        source: view.name.clone(),
        target,
        statement,
        columns: columns.iter().map(column).collect(),
        reads,
        notes,
    };
    Ok((translated, entries))
}

fn column(named: &Named) -> ViewColumn {
    let kind = if named.kind == Kind::Any { Kind::Text } else { named.kind };
    ViewColumn { name: named.target.name.clone(), kind: kind.word().to_owned(), is_computable: named.changed.is_none() }
}

/// A view's definition: its query, and what stands after WITH.
struct Defined {
    query: Box<Query>,
    options: Vec<(String, String)>,
}

fn defined(definition: &str) -> Result<Defined, Untranslatable> {
    let unclear = |e: &dyn std::fmt::Display| Untranslatable(format!("it is not understood ({e})"));
    let statements = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(100)
        .try_with_sql(definition)
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|e| unclear(&e))?;
    match <[Statement; 1]>::try_from(statements) {
        Ok([Statement::Query(query)]) => Ok(Defined { query, options: Vec::new() }),
        Ok([Statement::CreateView(view)]) => {
            let options = match &view.options {
                CreateTableOptions::With(options) => options.iter().map(option).collect::<Option<Vec<_>>>(),
                CreateTableOptions::None => Some(Vec::new()),
                _ => None,
            };
            match options {
                Some(options) => Ok(Defined { query: view.query, options }),
                None => Err(unclear(&"its options")),
            }
        }
        _ => Err(unclear(&"it is no query")),
    }
}

fn option(option: &SqlOption) -> Option<(String, String)> {
    let SqlOption::KeyValue { key, value } = option else { return None };
    let value = match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    Some((key.value.to_ascii_lowercase(), value.to_ascii_lowercase()))
}

/// What stands at the end of the statement for the view's options.
fn options_of(options: &[(String, String)], notes: &mut Vec<String>) -> Result<&'static str, Untranslatable> {
    let mut check = "";
    for (name, value) in options {
        match (name.as_str(), value.as_str()) {
            ("check_option", "local") => check = " WITH LOCAL CHECK OPTION",
            ("check_option", "cascaded") => check = " WITH CASCADED CHECK OPTION",
            (_, "false" | "off" | "0") => {}
            ("security_barrier", _) => {
                notes.push(
                    "security_barrier has no counterpart: conditions of a query may be looked at first".to_owned(),
                );
            }
            ("security_invoker", _) => {
                notes.push("whose rights count is not carried: grant what it reads to those who read it".to_owned());
            }
            (name, _) => return Err(Untranslatable(format!("its option {name} has no counterpart"))),
        }
    }
    Ok(check)
}

#[cfg(test)]
mod tests;
