//! What else of the target depends on tables that a plan replaces and will not go on as it is with the new ones: views that
//! read a column which goes, foreign keys whose parent's key or type goes, and rows whose parents only the target has.
//!
//! What a foreign key asks for is told by the models, what a view reads by its query as the server prints it. For rows both
//! databases are asked, within a limit: what the child refers to, and which of that the source has. A run looks again, by
//! the server itself and by the rows that were copied; here it is said before anything is made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millrace_database::dialect::mysql::{self as dialect, KeyStatement, quote_name, quote_table};
use millrace_database::mysql::MySql;
use millrace_database::postgres::Postgres;
use millrace_model::capability::TextRows;
use millrace_model::plan::{Certainty, Dependant, Statement, ViewPlan};
use millrace_model::quantity::{agreeing, counted};
use millrace_model::schema::{DatabaseModel, ForeignKey, Object, Table, TableName};
use millrace_model::{Cancel, Failure, Fault, TablePlan};

use super::views::FAITHFUL;
use crate::databases::Databases;
use crate::setup::blocking;

/// How long one foreign key's rows may be looked at.
const ROWS_WITHIN: Duration = Duration::from_secs(5);

/// Of a child that refers to more parents than this, nobody looks which of them the source has.
const PARENTS_AT_MOST: usize = 20_000;

/// How many parents the source is asked for at once.
const PARENTS_A_QUERY: usize = 1_000;

/// How many parents that the source does not have are named.
const NAMED: usize = 3;

/// What a plan touches, and what is there.
pub(super) struct Touched<'a> {
    pub(super) tables: &'a [TablePlan],
    pub(super) after_switch: &'a [Statement],
    pub(super) views: &'a [ViewPlan],
    pub(super) current: &'a DatabaseModel,
}

/// Looks for all of it. With a database closed, its rows are not known.
pub(super) async fn look(
    databases: &Databases,
    touched: &Touched<'_>,
    cancel: &Cancel,
) -> Result<Vec<Dependant>, Failure> {
    let database = databases.target.as_ref().map(MySql::database).unwrap_or_default();
    let mut found = touched.views_that_break(database);
    for (child, key, parent) in touched.keys(database) {
        let name = format!("{} of {child}", dialect::live_constraint_name(&key.name));
        let kind = "foreign-key".to_owned();
        let parent_name = &parent.target;
        let columns = touched.current.table(&child).map(|table| table.columns.as_slice()).unwrap_or_default();
        let obstacle = parent.desired.as_ref().and_then(|new| dialect::key_obstacle(&key, columns, new));
        if let Some(reason) = obstacle {
            let advice = format!(
                "a run is refused before it copies: drop the key, or change {child} and the key so that they fit the new \
                 {parent_name}"
            );
            found.push(Dependant { kind, name, reason, certainty: Certainty::Refused, advice });
            continue;
        }
        let asked = Asked { child: &child, key: &key, parent };
        let (Some(source), Some(target)) = (&databases.source, &databases.target) else { continue };
        let (source, target) = (source.with_cancel(cancel), target.with_cancel(cancel));
        let looked = tokio::time::timeout(ROWS_WITHIN, asked.rows(&source, &target)).await;
        let (reason, certainty) = match looked {
            Ok(Ok(Rows::All)) => continue,
            Ok(Ok(Rows::Without(reason))) => (reason, Certainty::Refused),
            Ok(Ok(Rows::NotLookedAt(why))) => (asked.not_known(&why), Certainty::Unknown),
            Ok(Err(failure)) if matches!(failure.fault, Fault::Transient | Fault::Cancelled) => return Err(failure),
            Ok(Err(failure)) => (asked.not_known(&failure.message), Certainty::Unknown),
            Err(_) => (asked.not_known(&format!("it took longer than {ROWS_WITHIN:?}")), Certainty::Unknown),
        };
        let advice = match certainty {
            Certainty::Refused => format!(
                "a run stops before names are swapped: delete these rows, or bring what they refer to into the source's {parent_name}"
            ),
            Certainty::Unknown => "a run looks before names are swapped, when the rows are copied".to_owned(),
        };
        found.push(Dependant { kind, name, reason, certainty, advice });
    }
    Ok(found)
}

impl Touched<'_> {
    /// The tables that are replaced, with what stands under their names.
    fn replaced(&self) -> impl Iterator<Item = (&TablePlan, &Table)> {
        let replaced = self.tables.iter().filter(|table| table.backup.is_some());
        replaced.filter_map(|table| Some((table, self.current.table(&table.target)?)))
    }

    /// The foreign keys of tables that stay, which follow to new tables.
    fn keys(&self, database: &str) -> Vec<(TableName, ForeignKey, &TablePlan)> {
        let follow = |statement: &Statement| match KeyStatement::read(&statement.sql)? {
            KeyStatement::Add { table, key } => {
                let parent = self.tables.iter().find(|parent| {
                    parent.backup.is_some()
                        && parent.target.name == key.references.name
                        && (key.references.schema.is_empty() || key.references.schema.eq_ignore_ascii_case(database))
                })?;
                Some((table, key, parent))
            }
            KeyStatement::Drop { .. } => None,
        };
        self.after_switch.iter().filter_map(follow).collect()
    }

    /// The views that no run makes and that read a column which goes.
    fn views_that_break(&self, database: &str) -> Vec<Dependant> {
        let made = |view: &Object| self.views.iter().any(|made| made.strategy.builds() && made.target == view.name);
        let views = self.current.objects.iter().filter(|object| object.kind == "view" && !made(object));
        views.flat_map(|view| self.replaced().filter_map(|(table, now)| breaks(view, database, table, now))).collect()
    }
}

/// Whether a view reads columns that a table will not have any more.
fn breaks(view: &Object, database: &str, table: &TablePlan, now: &Table) -> Option<Dependant> {
    let read = dialect::columns_read(&view.definition, database, &now.name)?;
    let desired = table.desired.as_ref()?;
    let stays = |name: &str| desired.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let gone: Vec<&str> = now.columns.iter().map(|column| column.name.as_str()).filter(|name| !stays(name)).collect();
    let is_read = |name: &&&str| read.iter().any(|read| read.eq_ignore_ascii_case(name));
    let certain: Vec<&str> = gone.iter().filter(is_read).copied().collect();
    let (certainty, verb, columns) = if certain.is_empty() {
        let named = gone.iter().filter(|name| dialect::quotes(&view.definition, name)).copied().collect();
        (Certainty::Unknown, "may read", named)
    } else {
        (Certainty::Refused, "reads", certain)
    };
    if columns.is_empty() {
        return None;
    }
    let columns = columns.iter().map(|column| format!("{}.{column}", now.name)).collect::<Vec<_>>().join(", ");
    let advice = match certainty {
        Certainty::Refused => "a run is refused before it copies: change or drop the view first",
        Certainty::Unknown => "a run tries it before it copies: look whether the view goes on",
    };
    Some(Dependant {
        kind: "view".to_owned(),
        name: view.name.to_string(),
        reason: format!("it {verb} {columns}, which the new table does not have"),
        certainty,
        advice: advice.to_owned(),
    })
}

/// What is known of the rows of a child.
enum Rows {
    /// The source has all that they refer to.
    All,
    /// It does not, in words.
    Without(String),
    /// Why nobody looked.
    NotLookedAt(String),
}

/// The foreign key of a child whose rows are looked at.
struct Asked<'a> {
    child: &'a TableName,
    key: &'a ForeignKey,
    parent: &'a TablePlan,
}

impl Asked<'_> {
    fn not_known(&self, why: &str) -> String {
        format!("whether the source has what its rows refer to is not known: {why}")
    }

    /// The source's column to which the key refers, where its values stand there as they do in the target.
    fn source_column(&self) -> Option<(&TableName, &str)> {
        let [referred] = self.key.referenced_columns.as_slice() else { return None };
        let decision = self.parent.mappings.iter().find(|decision| {
            decision.converter == FAITHFUL
                && decision.mapping.targets.iter().any(|target| target.name.eq_ignore_ascii_case(referred))
        })?;
        let ([source], [target]) = (decision.mapping.sources.as_slice(), decision.mapping.targets.as_slice()) else {
            return None;
        };
        let column = self.parent.source_table.as_ref()?.column(source)?;
        let spelled_alike = match column.logical.name.as_str() {
            "integer" => target.declared.to_ascii_lowercase().contains("int"),
            "text" => column.logical.param("fixed").is_none(),
            "uuid" => target.declared.to_ascii_lowercase().starts_with("char"),
            _ => false,
        };
        spelled_alike.then_some((self.parent.source.as_ref()?, source.as_str()))
    }

    /// Looks whether the source has what the child's rows refer to.
    async fn rows(&self, source: &Postgres, target: &MySql) -> Result<Rows, Failure> {
        let (Some((table, column)), [own]) = (self.source_column(), self.key.columns.as_slice()) else {
            return Ok(Rows::NotLookedAt("the key's values are spelled otherwise there".to_owned()));
        };
        let (child, own) = (quote_table(self.child), quote_name(own));
        let referred = ask_target(
            target,
            format!(
                "SELECT CAST({own} AS CHAR), COUNT(*) FROM {child} WHERE {own} IS NOT NULL GROUP BY {own} LIMIT {}",
                PARENTS_AT_MOST + 1
            ),
        )
        .await?;
        if referred.len() > PARENTS_AT_MOST {
            let many = counted(PARENTS_AT_MOST as u64, "row");
            return Ok(Rows::NotLookedAt(format!("they refer to more than {many} of it")));
        }
        let referred: BTreeMap<String, u64> = referred.into_iter().filter_map(|row| value_and_count(&row)).collect();
        let mut missing: BTreeSet<&str> = referred.keys().map(String::as_str).collect();
        for some in referred.keys().collect::<Vec<_>>().chunks(PARENTS_A_QUERY) {
            let present = ask_source(source, query(table, column, some)).await?;
            for value in present.iter().filter_map(|row| row.first()?.as_deref()) {
                missing.remove(value);
            }
        }
        let rows: u64 = missing.iter().filter_map(|value| referred.get(*value)).sum();
        if rows == 0 {
            return Ok(Rows::All);
        }
        let examples = missing.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        Ok(Rows::Without(format!(
            "{} of {} {} to rows that {table} does not have at the source, such as {column} = {examples}",
            counted(rows, "row"),
            self.child,
            agreeing(rows, "refers", "refer"),
        )))
    }
}

/// Which of these values the source's column has.
fn query(table: &TableName, column: &str, values: &[&String]) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let column = quoted(column);
    let literals: Vec<String> = values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
    format!(
        "SELECT {column}::text FROM {}.{} WHERE {column} IN ({})",
        quoted(&table.schema),
        quoted(&table.name),
        literals.join(", ")
    )
}

fn value_and_count(row: &[Option<String>]) -> Option<(String, u64)> {
    let [Some(value), Some(count)] = row else { return None };
    Some((value.clone(), count.parse().ok()?))
}

async fn ask_target(target: &MySql, sql: String) -> Result<TextRows, Failure> {
    let mut session = target.session();
    blocking(move || session.query(&sql, &[])).await
}

async fn ask_source(source: &Postgres, sql: String) -> Result<TextRows, Failure> {
    let mut session = source.session();
    blocking(move || session.query(&sql, &[])).await
}

#[cfg(test)]
mod tests {
    use millrace_model::{Column, Strategy};

    use super::*;

    fn table(name: &str, columns: &[&str]) -> Table {
        let column = |name: &&str| Column { name: (*name).to_owned(), ..Column::default() };
        Table { name: TableName::bare(name), columns: columns.iter().map(column).collect(), ..Table::default() }
    }

    fn plan_of(desired: Table) -> TablePlan {
        serde_json::from_value(serde_json::json!({
            "source": null, "target": desired.name, "strategy": Strategy::Rebuild, "reason": "", "desired": desired,
        }))
        .expect("a plan of a table")
    }

    #[test]
    fn a_view_breaks_by_the_columns_that_go_and_by_no_others() {
        let (now, plan) = (table("item", &["id", "n", "w"]), plan_of(table("item", &["id", "w"])));
        let view = |definition: &str| Object {
            kind: "view".to_owned(),
            name: TableName::bare("v"),
            definition: definition.to_owned(),
        };
        let broken = |definition: &str| breaks(&view(definition), "shop", &plan, &now);
        let found = broken("select `shop`.`item`.`N` AS `n` from `shop`.`item`").expect("it breaks");
        assert_eq!(found.certainty, Certainty::Refused);
        assert_eq!(found.reason, "it reads item.n, which the new table does not have");
        assert!(broken("select `i`.`id` AS `id` from `shop`.`item` `i`").is_none());
        assert!(broken("select `shop`.`other`.`n` AS `w` from `shop`.`other`").is_none());
        let unsure = broken("select `n` AS `x` from `shop`.`item`").expect("it may break");
        assert_eq!(unsure.certainty, Certainty::Unknown);
    }

    #[test]
    fn values_cannot_leave_their_quotes() {
        let value = "it's".to_owned();
        assert_eq!(
            query(&TableName::new("public", "p\"q"), "id", &[&value]),
            "SELECT \"id\"::text FROM \"public\".\"p\"\"q\" WHERE \"id\" IN ('it''s')"
        );
    }
}
