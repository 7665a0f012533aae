//! The desired table, as the target spells it.

use std::collections::BTreeMap;

use millrace_model::plan::NotCarried;
use millrace_model::{Failure, ForeignKey, IndexKind, Mapping, Properties, Table, TableName};

use super::expression::Scope;
use super::{column, comment, constraint, identity, index, spelling};

/// The desired table, and what became of the rest of the source's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembled {
    /// In the target's spelling, under the live name, as `model-oceanbase` would read it back. Writers go by its
    /// columns and not by the mappings': a generated column may have become a plain one.
    pub table: Table,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// What is not in the table, and what to do about it.
    pub not_carried: Vec<NotCarried>,
}

/// What assembling says besides the table.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) notes: Vec<String>,
    pub(super) not_carried: Vec<NotCarried>,
    /// Foreign keys of which a row has all columns, or none.
    pub(super) full: Vec<ForeignKey>,
    /// Generated columns that fail at the source for some rows, each with a condition that is false for them.
    pub(super) guards: Vec<(String, String)>,
}

impl Outcome {
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(super) fn not_carried(
        &mut self,
        kind: &str,
        name: impl Into<String>,
        reason: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.not_carried.push(NotCarried {
            kind: kind.to_owned(),
            name: name.into(),
            reason: reason.into(),
            advice: advice.into(),
        });
    }
}

/// Puts the desired table together: the mapped columns in the source's order, then keys, indexes, foreign keys and checks
/// with their names and expressions translated. `names` gives the target table of a source table; none: that
/// table is not in this pipeline. [`settle_references`] then looks at all tables at once.
///
/// # Errors
/// `plan.columns-collide` when two columns would have one name in the target, `plan.name-refused` for a name that the target
/// does not take, `plan.no-columns` for a table without columns; `plan.type-refused`, `plan.collation-refused` and `plan.expression-refused` for what a converter says
/// in the target's SQL and is not what it should be.
pub fn assemble(
    source: &Table,
    mappings: &[Mapping],
    target_name: TableName,
    names: &dyn Fn(&TableName) -> Option<TableName>,
) -> Result<Assembled, Failure> {
    let scope = Scope::new(source, mappings);
    let mut outcome = Outcome::default();
    let mut table = Table {
        name: target_name,
        comment: source.comment.clone(),
        estimated_rows: source.estimated_rows,
        estimated_bytes: source.estimated_bytes,
        ..Table::default()
    };
    for mapping in in_source_order(source, mappings) {
        table.columns.extend(column::settle(mapping, source, &scope, &mut outcome));
    }
    spelling::refuse_names(source, &table)?;
    column::refuse_foreign_sql(mappings, source, &table.columns)?;
    table.indexes = index::settle(source, &table, &scope, &mut outcome);
    for name in primary_columns(&table) {
        for column in table.columns.iter_mut().filter(|c| c.name == name) {
            column.nullable = false;
        }
    }
    identity::settle(source, &mut table, &mut outcome);
    table.foreign_keys = constraint::foreign_keys(source, &scope, names, &mut outcome);
    table.checks = constraint::checks(source, &table, &scope, &mut outcome);
    comment::fit(&mut table, &mut outcome);
    Ok(Assembled { table, notes: outcome.notes, not_carried: outcome.not_carried })
}

/// Mappings by the place of their first column in the source.
fn in_source_order<'a>(source: &Table, mappings: &'a [Mapping]) -> Vec<&'a Mapping> {
    let place =
        |mapping: &Mapping| source.columns.iter().position(|c| mapping.sources.contains(&c.name)).unwrap_or(usize::MAX);
    let mut ordered: Vec<&Mapping> = mappings.iter().collect();
    ordered.sort_by_key(|mapping| place(mapping));
    ordered
}

fn primary_columns(table: &Table) -> Vec<String> {
    table.primary_key().map(|k| k.parts.iter().map(|p| p.expression.clone()).collect()).unwrap_or_default()
}

/// Looks at all assembled tables at once: a foreign key stays only where both sides are of one type and what it refers to
/// is a key of the other table, which the target demands. Tables that are not among them are not looked at.
pub fn settle_references(tables: &mut [Assembled]) {
    spelling::name_apart(tables);
    let targets: BTreeMap<TableName, Table> = tables.iter().map(|a| (a.table.name.clone(), a.table.clone())).collect();
    for assembled in tables {
        let mut outcome = Outcome::default();
        let table = &mut assembled.table;
        let columns = table.columns.clone();
        let name = table.name.clone();
        table.foreign_keys.retain(|key| {
            let Some(parent) = targets.get(&key.references) else { return true };
            match constraint::obstacle(key, &columns, parent) {
                None => true,
                Some(reason) => {
                    outcome.not_carried(
                        "foreign-key",
                        format!("{name}.{}", key.name),
                        reason,
                        "make both columns of one type at the source, or check the reference in the application",
                    );
                    false
                }
            }
        });
        assembled.not_carried.append(&mut outcome.not_carried);
    }
}

/// An index of the target has no properties of the source's.
pub(super) fn no_properties() -> Properties {
    Properties::new()
}

/// Whether an index is the one that an AUTO_INCREMENT column needs while the table is created.
pub(super) fn carries_identity(table: &Table, name: &str) -> bool {
    let Some(identity) = table.columns.iter().find(|c| c.identity) else { return false };
    let leads =
        |i: &&millrace_model::Index| i.parts.first().is_some_and(|p| p.is_column && p.expression == identity.name);
    if table.indexes.iter().any(|i| i.kind == IndexKind::Primary && leads(&i)) {
        return false;
    }
    table.indexes.iter().find(leads).is_some_and(|i| i.name == name)
}
