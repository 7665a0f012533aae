//! Queries, as PostgreSQL prints those of its views: every column with its table's alias, every cast made explicit.

use std::cell::RefCell;
use std::collections::BTreeSet;

use millrace_model::{Column, Layout, LogicalType, TableName};
use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, With,
};

use super::Untranslatable;
use super::from::{self, names_of};
use super::order::{self, Sortable, Tail};
use super::printed::Printed;
use super::scope::{Entry, Kind, Named, Scope};
use super::translate::{Translation, comparable, refuse, text_literal};
use crate::dialect::mysql::name::{NAME_CHARACTERS, quote_name};

/// What a relation of the source became: its name, and its columns by their source names.
pub(crate) type Carried = (TableName, Vec<Entry>);

/// What was met on the way.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// The target's tables and views that are read.
    pub(crate) reads: BTreeSet<TableName>,
    /// What an operator should know.
    pub(crate) notes: BTreeSet<String>,
    /// The names of common table expressions.
    pub(crate) common: BTreeSet<String>,
}

/// Where a query stands: what it may read, and what is around it.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    /// Finds a relation of the source, by its schema (empty: as it is found) and its name.
    pub(crate) relations: &'a dyn Fn(&str, &str) -> Result<Carried, Untranslatable>,
    /// The common table expressions that are known here, the last first.
    pub(crate) common: Vec<(String, Vec<Entry>)>,
    /// The tables of the query around it.
    pub(crate) outer: Option<&'a Scope<'a>>,
    /// What was met.
    pub(crate) met: &'a RefCell<Met>,
}

impl Place<'_> {
    /// The columns of a common table expression. None: there is none of this name.
    pub(super) fn common(&self, name: &str) -> Option<&[Entry]> {
        self.common.iter().find(|(common, _)| common == name).map(|(_, columns)| columns.as_slice())
    }

    pub(super) fn relation(&self, schema: &str, name: &str) -> Result<(String, Vec<Entry>), Untranslatable> {
        let (target, columns) = (self.relations)(schema, name)?;
        self.met.borrow_mut().reads.insert(target.clone());
        Ok((target.name, columns))
    }

    fn note(&self, notes: Vec<String>) {
        self.met.borrow_mut().notes.extend(notes);
    }
}

/// What the expressions of a query know besides a table's.
pub(super) struct InQuery<'a> {
    place: &'a Place<'a>,
    /// What is grouped by. Empty: nothing.
    keys: Vec<(Expr, Printed)>,
    /// Columns that depend on what is grouped by, which the target does not know.
    loose: Vec<String>,
    pub(super) in_aggregate: bool,
}

impl<'a> InQuery<'a> {
    pub(super) fn new(place: &'a Place<'a>) -> Self {
        Self { place, keys: Vec::new(), loose: Vec::new(), in_aggregate: false }
    }

    /// An expression that is grouped by.
    pub(super) fn group_key(&self, expression: &Expr) -> Option<Printed> {
        let same = |(key, _): &&(Expr, Printed)| !self.in_aggregate && key == expression;
        self.keys.iter().find(same).map(|(_, printed)| printed.clone())
    }

    /// Takes note that a column is named, which must be grouped by outside of aggregates.
    pub(super) fn note_column(&mut self, sql: &str) {
        let is_known = self.keys.iter().any(|(_, key)| key.sql == sql) || self.loose.iter().any(|loose| loose == sql);
        if !self.keys.is_empty() && !self.in_aggregate && !is_known {
            self.loose.push(sql.to_owned());
        }
    }
}

/// A query in the target's dialect.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) sql: String,
    /// Its columns.
    pub(crate) columns: Vec<Named>,
}

impl Said {
    /// The columns as those see them who read the query.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let entry = |named: &Named| {
            let mut named = named.clone();
            // The order of an enum's labels is that of a table's column only.
            if named.kind == Kind::Enum {
                named.target.logical.name = "text".to_owned();
            }
            (named.target.name.clone(), Ok(named))
        };
        self.columns.iter().map(entry).collect()
    }

    fn sortable(&self, alias: Option<&str>) -> Vec<Sortable> {
        let sql = |named: &Named| match alias {
            Some(alias) => format!("{}.{}", quote_name(alias), quote_name(&named.target.name)),
            None => quote_name(&named.target.name),
        };
        self.columns
            .iter()
            .map(|named| Sortable {
                printed: Printed::new(sql(named), named.kind),
                nullable: named.target.nullable,
                is_declared_enum: false,
            })
            .collect()
    }
}

/// Translates a query. `names`: what its columns are called, where that is said elsewhere.
pub(crate) fn said(place: &Place<'_>, query: &Query, names: Option<&[String]>) -> Result<Said, Untranslatable> {
    if query.fetch.is_some() {
        return refuse("there is no WITH TIES");
    }
    if !query.locks.is_empty() || query.for_clause.is_some() || !query.pipe_operators.is_empty() {
        return refuse("it locks the rows that it reads");
    }
    let mut place = place.clone();
    let with = match &query.with {
        Some(with) => common(&mut place, with)?,
        None => String::new(),
    };
    let limit = order::limit(query)?;
    let mut body = match query.body.as_ref() {
        SetExpr::Select(select) => select_of(&place, select, names, Tail::of(query))?,
        body => {
            let all = operand(&place, body, names)?;
            let mut notes = Vec::new();
            match order::terms(Tail::of(query), &all.sortable(Some("u")), None, &mut notes)? {
                None => all,
                Some(order) => {
                    place.note(notes);
                    let columns = list(all.sortable(Some("u")).iter().zip(&all.columns).map(|(c, n)| (&c.printed, n)));
                    Said { sql: format!("select {columns} from ({}) `u` order by {order}", all.sql), ..all }
                }
            }
        }
    };
    body.sql = format!("{with}{}{limit}", body.sql);
    Ok(body)
}

fn common(place: &mut Place<'_>, with: &With) -> Result<String, Untranslatable> {
    if with.recursive {
        return refuse("its common table expressions are recursive");
    }
    let mut parts = Vec::new();
    for expression in &with.cte_tables {
        let name = &expression.alias.name.value;
        let names = names_of(&expression.alias);
        let within = Place { outer: None, ..place.clone() };
        let query = said(&within, &expression.query, names.as_deref())?;
        parts.push(format!("{} as ({})", quote_name(name), query.sql));
        place.met.borrow_mut().common.insert(name.to_lowercase());
        place.common.insert(0, (name.clone(), query.entries()));
    }
    Ok(format!("with {} ", parts.join(", ")))
}

/// `expression as name, …`.
fn list<'p>(columns: impl Iterator<Item = (&'p Printed, &'p Named)>) -> String {
    columns
        .map(|(sql, named)| format!("{} as {}", sql.sql, quote_name(&named.target.name)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// One side of a set operation, or a query in brackets.
fn operand(place: &Place<'_>, body: &SetExpr, names: Option<&[String]>) -> Result<Said, Untranslatable> {
    match body {
        SetExpr::Select(select) => select_of(place, select, names, Tail::default()),
        SetExpr::Query(query) => {
            let query = said(place, query, names)?;
            Ok(Said { sql: format!("({})", query.sql), ..query })
        }
        SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } => {
            let left = operand(place, left, names)?;
            let names: Vec<String> = left.columns.iter().map(|column| column.target.name.clone()).collect();
            let right = operand(place, right, Some(&names))?;
            union(left, *set_quantifier, right)
        }
        SetExpr::SetOperation { op, .. } => refuse(format!("there is no {op}")),
        SetExpr::Values(_) => refuse("it reads VALUES"),
        _ => refuse("it is no query"),
    }
}

fn union(left: Said, quantifier: SetQuantifier, right: Said) -> Result<Said, Untranslatable> {
    if left.columns.len() != right.columns.len() {
        return refuse("the parts of its UNION have different columns");
    }
    let mut columns = Vec::with_capacity(left.columns.len());
    for (first, second) in left.columns.iter().zip(&right.columns) {
        columns.push(either(first, second)?);
    }
    let all = format!("{} union all {}", left.sql, right.sql);
    if quantifier == SetQuantifier::All {
        return Ok(Said { sql: all, columns });
    }
    let all = Said { sql: all, columns };
    let sortable = all.sortable(Some("d"));
    let items: Vec<Item> = sortable
        .into_iter()
        .zip(&all.columns)
        .map(|(column, named)| Item { printed: column.printed, named: named.clone(), is_literal: false })
        .collect();
    let distinct = distinct_keys(&items)?;
    let columns = list(items.iter().map(|item| (&item.printed, &item.named)));
    Ok(Said { sql: format!("select {columns} from ({}) `d` group by {distinct}", all.sql), columns: all.columns })
}

/// What a column of a UNION is.
fn either(first: &Named, second: &Named) -> Result<Named, Untranslatable> {
    let (known, other) = if first.kind == Kind::Any { (second, first) } else { (first, second) };
    let alike =
        known.kind == other.kind || other.kind == Kind::Any || (known.kind.is_number() && other.kind.is_number());
    let texts = known.kind.is_text() && other.kind.is_text();
    if !alike && !texts {
        return refuse(format!("the parts of its UNION have different types in column {}", first.target.name));
    }
    let mut named = known.clone();
    named.target.name.clone_from(&first.target.name);
    named.target.nullable = first.target.nullable || second.target.nullable;
    if known.kind != other.kind && other.kind != Kind::Any {
        named.kind = if known.kind.is_text() { Kind::Text } else { wider_number(known.kind, other.kind) };
    }
    named.target.collation = known.target.collation.clone().or_else(|| other.target.collation.clone());
    let scale = known.target.logical.number("scale").zip(other.target.logical.number("scale"));
    named.target.logical.params.clear();
    if let Some((first, second)) = scale {
        named.target.logical = named.target.logical.with("scale", first.max(second).to_string());
    }
    named.changed = first.changed.clone().or_else(|| second.changed.clone());
    Ok(named)
}

fn wider_number(first: Kind, second: Kind) -> Kind {
    match (first, second) {
        (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
        (Kind::Decimal, _) | (_, Kind::Decimal) => Kind::Decimal,
        _ => Kind::Integer,
    }
}

/// A column that a query gives.
struct Item {
    printed: Printed,
    named: Named,
    /// A literal, which makes no row another.
    is_literal: bool,
}

impl Item {
    fn sortable(&self) -> Sortable {
        Sortable {
            printed: self.printed.clone(),
            nullable: self.named.target.nullable,
            is_declared_enum: self.named.target.logical.name == "enum",
        }
    }
}

/// A query without set operations. `tail`: what follows it.
fn select_of(
    place: &Place<'_>,
    select: &Select,
    names: Option<&[String]>,
    tail: Tail<'_>,
) -> Result<Said, Untranslatable> {
    if select.into.is_some() || select.top.is_some() || select.qualify.is_some() || !select.named_window.is_empty() {
        return refuse("it has windows");
    }
    let read = from::read(place, &select.from)?;
    let scope = Scope { relations: read.relations, outer: place.outer };
    let mut translation = Translation::in_query(&scope, InQuery::new(place));
    let mut sql = String::new();
    if !read.sql.is_empty() {
        sql.push_str(&format!(" from {}", read.sql));
    }
    if let Some(condition) = &select.selection {
        if read.sql.is_empty() {
            return refuse("it has a condition and reads nothing");
        }
        sql.push_str(&format!(" where {}", translation.condition(condition)?));
    }
    group_by(&mut translation, &select.group_by)?;
    let items = items(&mut translation, &select.projection, names)?;
    let having = select.having.as_ref().map(|having| translation.condition(having)).transpose()?;
    let mut notes = Vec::new();
    let columns: Vec<Sortable> = items.iter().map(Item::sortable).collect();
    let order = order::terms(tail, &columns, Some(&mut translation), &mut notes)?;
    place.note(notes);
    let InQuery { keys, loose, .. } = translation.query.take().unwrap_or_else(|| InQuery::new(place));
    let grouped = match &select.distinct {
        None | Some(Distinct::All) => grouping(&keys, &loose),
        Some(Distinct::Distinct) if keys.is_empty() && !is_aggregated(select) => distinct_keys(&items)?,
        Some(Distinct::Distinct) => return refuse("it has DISTINCT over groups"),
        Some(Distinct::On(_)) => return refuse("there is no DISTINCT ON"),
    };
    if !grouped.is_empty() {
        sql.push_str(&format!(" group by {grouped}"));
    }
    if let Some(having) = having {
        sql.push_str(&format!(" having {having}"));
    }
    if let Some(order) = order {
        sql.push_str(&format!(" order by {order}"));
    }
    let listed = list(items.iter().map(|item| (&item.printed, &item.named)));
    Ok(Said { sql: format!("select {listed}{sql}"), columns: items.into_iter().map(|item| item.named).collect() })
}

/// Whether aggregates make one row of all.
fn is_aggregated(select: &Select) -> bool {
    let words = ["count(", "sum(", "min(", "max(", "avg("];
    select.having.is_some()
        || select.projection.iter().any(|item| {
            let text = item.to_string().to_ascii_lowercase();
            words.iter().any(|word| text.contains(word))
        })
}

fn group_by(translation: &mut Translation<'_>, grouped: &GroupByExpr) -> Result<(), Untranslatable> {
    let GroupByExpr::Expressions(expressions, modifiers) = grouped else {
        return refuse("its groups are not understood");
    };
    if !modifiers.is_empty() {
        return refuse("it groups several times");
    }
    let mut keys = Vec::new();
    for expression in expressions {
        let key = unbracketed(expression);
        if matches!(key, Expr::Value(_) | Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) | Expr::Tuple(_)) {
            return refuse(format!("it groups by {key}"));
        }
        let printed = translation.value(key)?;
        require_comparable(&printed, &printed.sql)?;
        keys.push((key.clone(), printed));
    }
    if let Some(query) = translation.query.as_mut() {
        query.keys = keys;
    }
    Ok(())
}

fn unbracketed(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => unbracketed(inner),
        other => other,
    }
}

fn require_comparable(printed: &Printed, what: &str) -> Result<(), Untranslatable> {
    let known = comparable(printed.kind, printed.kind) && (printed.kind != Kind::Text || printed.bin);
    if known { Ok(()) } else { refuse(format!("the values of {what} are compared otherwise there")) }
}

/// What is grouped by; texts also by their length, since blanks at their ends do not count otherwise.
fn grouping(keys: &[(Expr, Printed)], loose: &[String]) -> String {
    let mut parts: Vec<String> = keys.iter().map(|(_, key)| key.sql.clone()).collect();
    parts.extend(keys.iter().filter(|(_, key)| key.kind == Kind::Text).map(|(_, k)| format!("char_length({})", k.sql)));
    parts.extend(loose.iter().cloned());
    parts.join(", ")
}

/// DISTINCT, as a grouping by all columns.
fn distinct_keys(items: &[Item]) -> Result<String, Untranslatable> {
    let mut keys = Vec::new();
    for item in items.iter().filter(|item| !item.is_literal) {
        if let Some(changed) = &item.named.changed {
            return refuse(changed.clone());
        }
        let bin = super::scope::is_bin(&item.named.target);
        let printed = Printed { bin, kind: item.named.kind, ..item.printed.clone() };
        require_comparable(&printed, &item.named.target.name)?;
        keys.push((Expr::value(sqlparser::ast::Value::Null), printed));
    }
    if keys.is_empty() { refuse("it has DISTINCT over literals") } else { Ok(grouping(&keys, &[])) }
}

fn items(
    translation: &mut Translation<'_>,
    projection: &[SelectItem],
    names: Option<&[String]>,
) -> Result<Vec<Item>, Untranslatable> {
    let mut items: Vec<Item> = Vec::with_capacity(projection.len());
    for (at, item) in projection.iter().enumerate() {
        let (expression, name) = match item {
            SelectItem::UnnamedExpr(expression) => (expression, implied_name(expression)),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.value.clone())),
            other => return refuse(format!("its columns {other} are not listed")),
        };
        // An alias may name the first columns only.
        let given = names.and_then(|names| names.get(at)).cloned().or(name);
        // What EXISTS looks for needs no name at the source.
        let name = given.unwrap_or_else(|| format!("column{}", at + 1));
        if name.chars().count() > NAME_CHARACTERS || name != name.trim_end() {
            return refuse(format!("the name {name} of a column is none there"));
        }
        if items.iter().any(|item| item.named.target.name.to_lowercase() == name.to_lowercase()) {
            return refuse(format!("two of its columns are called {name}, but for capitals"));
        }
        items.push(project(translation, unbracketed(expression), name)?);
    }
    if items.is_empty() { refuse("it has no columns") } else { Ok(items) }
}

fn implied_name(expression: &Expr) -> Option<String> {
    match unbracketed(expression) {
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        _ => None,
    }
}

/// One column. A column that is only handed on may be one whose values are written otherwise there: they are those of
/// its table.
fn project(translation: &mut Translation<'_>, expression: &Expr, name: String) -> Result<Item, Untranslatable> {
    if matches!(expression, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
        let mut named = translation.found(expression)?.named.clone();
        let sql = translation.name_column(expression)?;
        named.target.name = name;
        let printed = Printed { bin: super::scope::is_bin(&named.target), ..Printed::new(sql, named.kind) };
        return Ok(Item { printed, named, is_literal: false });
    }
    let mut printed = translation.value(expression)?;
    if printed.kind == Kind::Text {
        // A literal that others compare what they read with.
        printed = printed.by_code_points();
    } else if printed.kind == Kind::Float && printed.is_exact {
        printed = printed.into_double();
    }
    let mut logical = LogicalType::new(printed.kind.word(), Layout::Varlen);
    if let Some(scale) = printed.scale {
        logical = logical.with("scale", scale.to_string());
    }
    let target = Column {
        name,
        logical,
        nullable: true,
        collation: printed.bin.then(|| "utf8mb4_bin".to_owned()),
        ..Column::default()
    };
    let is_literal =
        text_literal(expression).is_some() || matches!(super::translate::unwrap_casts(expression), Expr::Value(_));
    let source = target.logical.clone();
    let named = Named { target, kind: printed.kind, source, letters: printed.letters, changed: None };
    Ok(Item { named, printed, is_literal })
}

/// The place of a query within an expression.
fn within<T>(
    translation: &Translation<'_>,
    subquery: &Query,
    work: impl FnOnce(Said) -> Result<T, Untranslatable>,
) -> Result<T, Untranslatable> {
    let Some(query) = &translation.query else { return refuse(format!("{subquery} has no counterpart")) };
    let place = Place { outer: Some(translation.scope), ..query.place.clone() };
    work(said(&place, subquery, None)?)
}

/// `EXISTS (…)`.
pub(super) fn exists(
    translation: &mut Translation<'_>,
    subquery: &Query,
    negated: bool,
) -> Result<Printed, Untranslatable> {
    let exists = within(translation, subquery, |query| Ok(format!("exists ({})", query.sql)))?;
    Ok(Printed::new(if negated { format!("(not({exists}))") } else { format!("({exists})") }, Kind::Boolean))
}

/// `(SELECT …)` of one value.
pub(super) fn scalar(translation: &mut Translation<'_>, subquery: &Query) -> Result<Printed, Untranslatable> {
    within(translation, subquery, |query| match query.columns.as_slice() {
        [named] => match &named.changed {
            Some(changed) => refuse(changed.clone()),
            None => Ok(super::column::of(named, format!("({})", query.sql), false)),
        },
        _ => refuse("a query that stands for a value has several columns"),
    })
}

/// `… IN (SELECT …)`.
pub(super) fn one_of(
    translation: &mut Translation<'_>,
    expression: &Expr,
    subquery: &Query,
    negated: bool,
) -> Result<Printed, Untranslatable> {
    if subquery.limit_clause.is_some() {
        return refuse("there is no LIMIT within IN");
    }
    let first = translation.value(expression)?;
    let word = if negated { "not in" } else { "in" };
    // What is looked for by its length too stands in brackets of its own, where nothing around it is seen.
    let within = |translation: &Translation<'_>, work: &dyn Fn(Said) -> Result<String, Untranslatable>| {
        let Some(query) = translation.query.as_ref().filter(|_| first.kind == Kind::Text) else {
            return within(translation, subquery, work);
        };
        work(said(&Place { outer: None, ..query.place.clone() }, subquery, None)?)
    };
    let sql = within(translation, &|query| {
        let [named] = query.columns.as_slice() else { return refuse("a query within IN has several columns") };
        if let Some(changed) = &named.changed {
            return refuse(changed.clone());
        }
        if !comparable(first.kind, named.kind) {
            return refuse(format!("{expression} and what it is looked for in are not of one type"));
        }
        if first.kind != Kind::Text && named.kind != Kind::Text {
            return Ok(format!("({} {word} ({}))", first.sql, query.sql));
        }
        if !first.bin && !super::scope::is_bin(&named.target) {
            return refuse("literals are compared otherwise there");
        }
        let column = format!("`i`.{}", quote_name(&named.target.name));
        Ok(format!(
            "(({0}, char_length({0})) {word} (select {column}, char_length({column}) from ({1}) `i`))",
            first.sql, query.sql
        ))
    })?;
    Ok(Printed::new(sql, Kind::Boolean))
}
