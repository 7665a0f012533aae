//! What a query reads: tables, views and other queries, joined.

use sqlparser::ast::{Ident, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins};

use super::Untranslatable;
use super::query::{InQuery, Place, said};
use super::scope::{Entry, Relation, Scope};
use super::translate::{Translation, refuse};
use crate::dialect::mysql::name::quote_name;

/// What is read, as it stands after FROM, and under which names.
#[derive(Default)]
pub(super) struct Read {
    pub(super) sql: String,
    pub(super) relations: Vec<Relation>,
}

/// All that stands after FROM. An empty list reads nothing.
pub(super) fn read(place: &Place<'_>, from: &[TableWithJoins]) -> Result<Read, Untranslatable> {
    let mut all = Read::default();
    for tables in from {
        let tables = joined(place, tables)?;
        if !all.sql.is_empty() {
            all.sql.push_str(", ");
        }
        all.sql.push_str(&tables.sql);
        all.relations.extend(tables.relations);
    }
    refuse_like_names(place, &all.relations)?;
    Ok(all)
}

/// Names of tables are told apart by capitals at the source, and not everywhere in the target.
fn refuse_like_names(place: &Place<'_>, relations: &[Relation]) -> Result<(), Untranslatable> {
    let mut around = Vec::new();
    let mut scope = place.outer;
    while let Some(outer) = scope {
        around.extend(&outer.relations);
        scope = outer.outer;
    }
    for (at, relation) in relations.iter().enumerate() {
        let Some(alias) = relation.alias.as_deref() else { continue };
        let alike =
            |other: &&Relation| other.alias.as_deref().is_some_and(|name| name.to_lowercase() == alias.to_lowercase());
        if relations[..at].iter().any(|other| alike(&other))
            || around.iter().any(|other| alike(other) && other.alias.as_deref() != Some(alias))
        {
            return refuse(format!("two of the tables that it reads are called {alias}, but for capitals"));
        }
    }
    Ok(())
}

fn joined(place: &Place<'_>, tables: &TableWithJoins) -> Result<Read, Untranslatable> {
    let mut read = one(place, &tables.relation)?;
    for join in &tables.joins {
        read = join_one(place, read, join)?;
    }
    Ok(read)
}

fn join_one(place: &Place<'_>, mut left: Read, join: &Join) -> Result<Read, Untranslatable> {
    use JoinOperator as Op;
    let mut right = one(place, &join.relation)?;
    let (word, constraint) = match &join.join_operator {
        Op::Join(constraint) | Op::Inner(constraint) => ("join", constraint),
        Op::Left(constraint) | Op::LeftOuter(constraint) => ("left join", constraint),
        Op::Right(constraint) | Op::RightOuter(constraint) => ("right join", constraint),
        Op::CrossJoin(JoinConstraint::None) => ("cross join", &JoinConstraint::None),
        Op::FullOuter(_) => return refuse("there is no FULL JOIN"),
        _ => return refuse("one of its joins is not understood"),
    };
    let condition = match constraint {
        JoinConstraint::On(condition) => {
            let relations = left.relations.iter().chain(&right.relations).cloned().collect();
            let scope = Scope { relations, outer: place.outer };
            Some(Translation::in_query(&scope, InQuery::new(place)).condition(condition)?)
        }
        JoinConstraint::Using(columns) => Some(same(place, &left.relations, &right.relations, columns)?),
        JoinConstraint::Natural => return refuse("a NATURAL JOIN joins by whatever columns there are"),
        JoinConstraint::None if word == "cross join" => None,
        JoinConstraint::None => return refuse("one of its joins has no condition"),
    };
    let missing = match word {
        "left join" => &mut right.relations,
        "right join" => &mut left.relations,
        _ => &mut Vec::new(),
    };
    for (_, entry) in missing.iter_mut().flat_map(|relation| &mut relation.columns) {
        if let Ok(named) = entry {
            named.target.nullable = true;
        }
    }
    let on = condition.map(|condition| format!(" on {condition}")).unwrap_or_default();
    left.relations.append(&mut right.relations);
    Ok(Read { sql: format!("({} {word} {}{on})", left.sql, right.sql), relations: left.relations })
}

/// The condition of `USING (…)`: each column once on either side.
fn same(
    place: &Place<'_>,
    left: &[Relation],
    right: &[Relation],
    columns: &[ObjectName],
) -> Result<String, Untranslatable> {
    let owner = |side: &[Relation], name: &str| -> Result<Option<String>, Untranslatable> {
        let has = |relation: &&Relation| relation.columns.iter().any(|(n, _)| n == name);
        let mut owners = side.iter().filter(has);
        match (owners.next(), owners.next()) {
            (Some(relation), None) => Ok(relation.alias.clone()),
            _ => refuse(format!("USING ({name}) may mean several columns")),
        }
    };
    let scope = Scope { relations: left.iter().chain(right).cloned().collect(), outer: None };
    let mut translation = Translation::in_query(&scope, InQuery::new(place));
    let mut conditions = Vec::new();
    for column in columns {
        let Some(name) = column.0.last().and_then(|part| part.as_ident()) else {
            return refuse("one of its joins is not understood");
        };
        let of = |alias: Option<String>| {
            sqlparser::ast::Expr::CompoundIdentifier(vec![Ident::new(alias.unwrap_or_default()), name.clone()])
        };
        let (first, second) = (of(owner(left, &name.value)?), of(owner(right, &name.value)?));
        conditions.push(translation.compare(&first, "=", &second)?.sql);
    }
    Ok(conditions.join(" and "))
}

fn one(place: &Place<'_>, factor: &TableFactor) -> Result<Read, Untranslatable> {
    match factor {
        TableFactor::Table { name, alias, args: None, sample: None, with_ordinality: false, .. } => {
            named(place, name, alias.as_ref())
        }
        TableFactor::Table { name, sample: None, .. } => refuse(format!("it reads the function {name}")),
        TableFactor::Table { name, .. } => refuse(format!("it reads a sample of {name}")),
        TableFactor::Function { name, .. } => refuse(format!("it reads the function {name}")),
        TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None } => {
            let within = Place { outer: None, ..place.clone() };
            let names = names_of(alias);
            let query = said(&within, subquery, names.as_deref())?;
            let sql = format!("({}) {}", query.sql, quote_name(&alias.name.value));
            Ok(Read { sql, relations: vec![under(alias.name.value.clone(), query.entries())] })
        }
        TableFactor::Derived { lateral: true, .. } => refuse("there is no LATERAL"),
        TableFactor::NestedJoin { table_with_joins, alias: None } => joined(place, table_with_joins),
        TableFactor::NestedJoin { .. } => refuse("one of its joins has a name of its own"),
        other => refuse(format!("it reads {other}, which has no counterpart")),
    }
}

/// The names that an alias gives columns. None: it gives none.
pub(super) fn names_of(alias: &TableAlias) -> Option<Vec<String>> {
    (!alias.columns.is_empty()).then(|| alias.columns.iter().map(|column| column.name.value.clone()).collect())
}

fn under(alias: String, columns: Vec<Entry>) -> Relation {
    Relation { alias: Some(alias), columns }
}

fn named(place: &Place<'_>, name: &ObjectName, alias: Option<&TableAlias>) -> Result<Read, Untranslatable> {
    let parts: Vec<&str> = name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
    let (schema, table) = match parts.as_slice() {
        [table] => ("", *table),
        [schema, table] => (*schema, *table),
        _ => return refuse(format!("the table {name} is not understood")),
    };
    let (target, mut columns) = match place.common(table).filter(|_| schema.is_empty()) {
        Some(columns) => (table.to_owned(), columns.to_vec()),
        None => place.relation(schema, table)?,
    };
    // The first columns have the names that the alias gives them.
    for (column, name) in columns.iter_mut().zip(alias.and_then(names_of).into_iter().flatten()) {
        column.0 = name;
    }
    let alias = alias.map_or(table, |alias| alias.name.value.as_str());
    let sql = format!("{} {}", quote_name(&target), quote_name(alias));
    Ok(Read { sql, relations: vec![under(alias.to_owned(), columns)] })
}
